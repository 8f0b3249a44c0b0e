import sys

import pytest

from selfj.cli import main

FAKE = [
    "target.kind=fake",
    "embedder.kind=fake",
    "tune.method={kind='encoder', epochs=8, hidden=16}",
    "collect.source.n=600",
    "evaluate={bootstrap=20}",
    "label.cosine=false",
    "calibrate.max_risk=0.45",
    "part_size=64",
]
"""A whole run in two seconds, without a language model."""


@pytest.fixture
def cli(monkeypatch, capsys):
    """Call the command line; gives exit code, standard output and standard error."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["selfj", *map(str, arguments)])
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = stop.code or 0
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture
def fake():
    """Overrides as arguments."""

    def build(*more):
        return [word for setting in [*FAKE, *more] for word in ("--set", setting)]

    return build
