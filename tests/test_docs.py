"""The commands and the Python of the documents run as they stand, on the fake backend."""

import json
import re
import shlex
import sys
from pathlib import Path

import pytest

from benchmarks import documents
from selfj import config as configs
from selfj.cli import main

from .end_to_end.conftest import FAKE

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(path for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("*/README.md")])


def blocks(path, language):
    return re.findall(rf"```{language}\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def fake_demo():
    """`demo` now means a small run on the fake backend: a file of that name wins over the config that ships."""
    Path("demo").write_text(configs.dump(configs.load("demo", [*FAKE, "collect.source.n=600"])))


def test_the_python_of_the_readme(fake_demo, capsys):
    code = "\n".join(blocks(ROOT / "README.md", "python"))
    assert len([line for line in code.splitlines() if line.strip()]) <= 8
    exec(compile(code, "README.md", "exec"), {})
    assert "correlate" in capsys.readouterr().out


def test_the_commands_of_the_readme(fake_demo, monkeypatch, capsys):
    rows = [
        {"instruction": f"What is {i} + 1?", "reference": f"{i + 1}", "response": f"{i + i % 2}"} for i in range(90)
    ]
    Path("exchanges.jsonl").write_text("\n".join(map(json.dumps, rows)))
    graded = [{**row, "grade": i % 3, "model": f"m{i % 2}"} for i, row in enumerate(rows)]
    for name in ("graded.jsonl", "outputs.jsonl"):
        Path(name).write_text("\n".join(map(json.dumps, graded)))
    lines = "\n".join(blocks(ROOT / "README.md", "bash")).splitlines()
    verbs = []
    for words in (shlex.split(line, comments=True) for line in lines):
        if words and words[0] == "selfj":
            more = ["--set", "embedder.kind=fake"] if {"own", "cosine+reference"} & set(words) else []
            more += ["--set", "calibrate.max_risk=0.9"] if "own" in words else []
            monkeypatch.setattr(sys, "argv", [*words, *more])
            try:
                main()
                code = 0
            except SystemExit as stop:
                code = stop.code or 0
            assert code == 0, (words, capsys.readouterr().err)
            verbs.append(words[1])
    assert {"run", "ask", "evaluate", "doctor", "grade", "rank", "rerank", "audit"} <= set(verbs)


def test_the_config_of_the_readme():
    for block in blocks(ROOT / "README.md", "toml"):
        assert configs.parse(block).name


def test_every_table_says_what_was_measured():
    for name in documents.DOCUMENTS:
        assert documents.renewed(ROOT / name) == (ROOT / name).read_text("utf-8"), "run python -m benchmarks.documents"


def test_make_targets_exist():
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for path in DOCUMENTS:
        for block in blocks(path, "bash"):
            for target in re.findall(r"^make (\w+)", block, re.MULTILINE):
                assert target in targets, f"{path.name}: make {target}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path):
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        if "://" not in link:
            assert (path.parent / link).exists(), link


@pytest.mark.parametrize("name", configs.builtin_configs())
def test_every_config_that_ships_loads_and_dumps_back_equal(name):
    config = configs.load(name)
    assert configs.parse(configs.dump(config)) == config
