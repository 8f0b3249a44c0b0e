import doctest
import importlib
import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import selfj

SRC = Path(selfj.__file__).parent


def with_examples():
    names = (info.name for info in pkgutil.walk_packages([str(SRC)], "selfj."))
    for name in ["selfj", *names]:
        path = SRC.joinpath(*name.split(".")[1:])
        source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if ">>>" in source.read_text(encoding="utf-8"):
            yield name


def test_every_public_name_is_there():
    assert sorted(selfj.__all__) == list(selfj.__all__)
    for name in selfj.__all__:
        assert getattr(selfj, name).__name__ in (name, "load"), name


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = selfj.nothing


def test_importing_loads_no_heavy_package():
    code = "import selfj, sys; print([m for m in ('torch', 'transformers', 'numpy', 'pyarrow') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", list(with_examples()))
def test_examples_in_docstrings(name):
    Path("questions.jsonl").write_text(json.dumps({"question": "What is 6 times 7?", "answer": "42"}) + "\n")
    found = doctest.testmod(importlib.import_module(name))
    assert found.attempted
    assert not found.failed


def test_every_public_function_is_documented():
    for name in selfj.__all__:
        assert getattr(selfj, name).__doc__, name


def test_the_help_says_what_each_verb_does():
    from typer.testing import CliRunner

    from selfj.cli import app

    shown = CliRunner().invoke(app, ["--help"]).output
    for verb in (
        "collect",
        "describe",
        "select",
        "release",
        "sample",
        "label",
        "sft",
        "tune",
        "score",
        "calibrate",
        "evaluate",
        "run",
        "ask",
        "judge",
        "grade",
        "doctor",
        "rank",
        "rerank",
        "audit",
        "serve",
        "export",
        "recalibrate",
    ):
        assert verb in shown
        help_of_verb = CliRunner().invoke(app, [verb, "--help"]).output
        assert f"selfj {verb}" in help_of_verb, verb
