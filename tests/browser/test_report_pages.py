"""The pages that commands write, opened as files: they need nothing else, on any screen and in both schemes."""

import csv
import json
import sys
from pathlib import Path

import pytest

from selfj.cli import main

from .checks import check_alone, check_look

pytestmark = pytest.mark.browser
PAGES = ("report", "trust", "ranking", "rerank", "audit", "comparison")
MODELS = ("short", "a model with a rather long name of its own", "x" * 30)
FAKE = ("--set", "embedder.kind=fake")


def _rows():
    for place in range(40):
        for model in MODELS:
            grade = (place * 7 + len(model)) % 10
            yield {
                "instruction": f"Is {place} a number? <b>Say</b> & reason.",
                "response": "Yes. " * (1 + place % 4) + model,
                "model": model,
                "gold": grade,
                "reward": grade + (place % 3),
            }


def _call(*words):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["selfj", *map(str, words)])
        # A command that does well may end on its own or with code 0.
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code or 0
        assert code == 0, words


@pytest.fixture(scope="module")
def pages(whole_run, tmp_path_factory):
    """Every page under its name."""
    folder = tmp_path_factory.mktemp("pages")
    rows = list(_rows())
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        Path("in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        with Path("in.csv").open("w", newline="") as handle:
            writer = csv.DictWriter(handle, list(rows[0]))
            writer.writeheader()
            writer.writerows({**row, "model": f"{row['model']} 2"} for row in rows)
        judges = ("--judge", "length", "--judge", "random")
        _call("rank", "in.jsonl", *judges, *FAKE, "--out", "rank")
        _call("rerank", "in.jsonl", "--judge", "length", "--gold", "gold", *FAKE, "--out", "rerank")
        _call("audit", "in.jsonl", *judges, "--gold", "gold", *FAKE, "--out", "audit")
        scores = ("--gold", "gold", "--gold-scale", "0,9", "--score", "x=reward", "--draws", "20")
        _call("evaluate", "in.jsonl", "in.csv", *scores, "--out", "evaluate")
    made = {path.stem: path for path in folder.glob("*/*.html")}
    return made | {path.stem: path for path in (whole_run / "report").glob("*.html")}


@pytest.mark.parametrize(("width", "scheme"), [(400, "dark"), (1280, "light")])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_needs_nothing_else(tab, axe, pages, name, width, scheme):
    tab.size(width)
    tab.scheme(scheme)
    address = pages[name].as_uri()
    tab.go(address)
    # What is folded away is there to be opened.
    tab.js("document.querySelectorAll('details').forEach(part => { part.open = true; })")
    check_look(tab, scheme, axe)
    check_alone(tab, address)
    assert len(tab.text("h1")) > 3


def test_every_page_is_looked_at(pages):
    assert set(pages) == set(PAGES)
