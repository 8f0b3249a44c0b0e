"""From small local files to a collection, its page, a selection, and a run that reads it; and what is refused."""

import json
import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest

# Daft leaves the pipes of its workers to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")

TOKEN = "hf_averysecrettoken0123456789"
FILE = """
[[sources]]
name = "forum"
path = "forum.jsonl"
instruction = "question"
reference = "answer"
reference_kind = "accepted"
category = "common"
licence = "cc-by-sa-4.0"

[[sources]]
name = "code"
path = "code.jsonl"
instruction = "question"
category = "coding"
licence = "mit"

[matching]
threshold = 0.8
"""
THINGS = ["rivers", "lions", "bridges", "violins", "comets", "glaciers", "castles", "orchids", "engines", "markets"]
PLACES = ["Peru", "Norway", "Kenya", "Japan", "Chile", "Egypt", "Canada", "India"]


@pytest.fixture
def file():
    forum = [
        {
            "question": f"Why are the {thing} of {place} so well known among travellers?",
            "answer": f"{place} has {thing}.",
        }
        for thing in THINGS
        for place in PLACES
    ]
    forum += [forum[0], {"question": "Hm?", "answer": "No."}]
    code = [
        {"question": f"Write a function that sorts {thing} by their {key} in Python."}
        for thing in THINGS
        for key in ("length", "weight", "price")
    ]
    code.append({"question": forum[1]["question"]})
    for name, rows in (("forum", forum), ("code", code)):
        Path(f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    Path("mine.toml").write_text(FILE)
    return "mine.toml"


def made(cli, file, *more):
    code, out, err = cli("collect", file, "--out", "own", *more)
    assert code == 0, err
    return out


def test_from_files_to_a_run(cli, fake, file):
    out = made(cli, file)
    assert "forum" in out
    assert "Page: own/report/report.html" in out
    manifest = json.loads(Path("own/manifest.json").read_text())
    assert manifest["read"] == 113
    assert manifest["kept"] == 110
    assert manifest["dropped"] == {"duplicate": 2, "too_short": 1}
    assert not Path("own/work").exists()
    page = Path("own/report/report.html").read_text()
    assert "110 instructions from 2 sources" in page
    card = Path("own/README.md").read_text()
    assert card.startswith('---\nlicense: ["cc-by-sa-4.0", "mit"]')

    before = Path("own/report/report.json").read_bytes()
    code, out, _ = cli("describe", "own")
    assert code == 0
    assert "Card: own/README.md" in out
    assert Path("own/report/report.json").read_bytes() == before

    code, out, _ = cli("select", "own", "--n", 60, "--by", "category", "--seed", 3)
    assert code == 0
    assert "Written: instructions.parquet, 60 rows" in out
    first = Path("instructions.parquet").read_bytes()
    assert cli("select", "own", "--n", 60, "--by", "category", "--seed", 3)[0] == 0
    assert Path("instructions.parquet").read_bytes() == first
    taken = json.loads(Path("instructions.json").read_text())["taken"]
    assert {entry["source"]: entry["rows"] for entry in taken} == {"code": 30, "forum": 30}

    source = "collect.source={kind='file', path='instructions.parquet'}"
    code, _, err = cli("collect", "demo", *fake("name=read", source)[:-2], "--set", source)
    assert code == 0, err
    [part] = Path("runs/read/instructions").glob("*.parquet")
    rows = pq.read_table(part).to_pylist() if part else []
    assert len(rows) == 60
    assert {row["group"] for row in rows} == {"forum", "code"}
    assert all(row["error"] is None for row in rows)
    assert sum(row["reference"] is not None for row in rows) == 30


def test_a_diverse_selection_with_the_embedder_of_the_settings(cli, file):
    made(cli, file, "--no-describe")
    assert not Path("own/report").exists()
    options = ["--diverse", "--with-reference", "--set", "embedder.kind=fake", "--out", "far.parquet"]
    code, out, err = cli("select", "own", "--n", 12, *options)
    assert code == 0, err
    assert "12 rows" in out
    about = json.loads(Path("far.json").read_text())["selection"]
    assert (about["diverse"], about["with_reference"]) == (True, True)
    code, out, _ = cli("select", "own", "--preset", "judge")
    assert code == 0
    assert "30,000 rows were asked for and 80 are there that fit" in out


def test_a_release_with_checksums(cli, file):
    made(cli, file, "--no-describe")
    code, out, err = cli("release", "own", "--format", "both", "--compression", "gzip", "--out", "shared")
    assert code == 0, err
    assert "Written: shared, 110 rows" in out
    assert sorted(path.name for path in Path("shared").iterdir()) == [
        "README.md", "SHA256SUMS", "data", "jsonl", "release.json", "report.json",
    ]  # fmt: skip
    assert "There already" in cli("release", "own", "--format", "both", "--compression", "gzip", "--out", "shared")[1]


def test_a_push_without_a_token_ends_before_work(cli, file, monkeypatch, tmp_path):
    made(cli, file, "--no-describe")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    code, _, err = cli("release", "own", "--push", "acme/own", "--token-env", "NO_SUCH_TOKEN")
    assert code == 2
    assert "NO_SUCH_TOKEN is empty" in err
    assert not Path("own/release").exists()
    monkeypatch.setenv("OTHER", TOKEN)
    code, out, err = cli("release", "own", "--push", "acme/own", "--token-env", "OTHER")
    assert code == 2
    assert "HF_HUB_OFFLINE" in err
    assert TOKEN not in out + err


def test_a_dry_run_makes_nothing(cli, file):
    code, out, _ = cli("collect", file, "--dry-run", "--limit", 5)
    assert code == 0
    assert "forum.jsonl" in out
    assert "2 sources" in out
    assert sorted(os.listdir()) == ["code.jsonl", "forum.jsonl", "mine.toml"]
    code, out, _ = cli("collect", "self-j", "--dry-run", "--only", "academic", "--out", "x")
    assert code == 0
    assert "pubmed" in out
    assert "not here" in out
    assert not Path("x").exists()


def test_only_exclude_and_limit(cli, file):
    made(cli, file, "--only", "code", "--limit", 7, "--no-describe", "--keep-work")
    manifest = json.loads(Path("own/manifest.json").read_text())
    assert [source["name"] for source in manifest["sources"]] == ["code"]
    assert manifest["read"] == 7
    assert Path("own/work").exists()
    code, _, err = cli("collect", file, "--exclude", "poems")
    assert code == 2
    assert "No source is named 'poems'" in err


def test_a_source_that_is_absent_lets_the_rest_go_on(cli, file):
    Path("code.jsonl").unlink()
    code, out, _ = cli("collect", file, "--out", "own")
    assert code == 5
    assert "code: no file fits" in " ".join(out.split())
    assert "The source code is not whole" in Path("own/report/report.html").read_text()
    Path("forum.jsonl").unlink()
    code, _, err = cli("collect", file, "--out", "none")
    assert code == 3
    assert "There is nothing to collect" in err


def test_options_of_the_other_kind_are_refused(cli, file):
    for arguments, said in (
        (["demo", "--out", "x"], "--out belongs to a collection"),
        ([file, "--force"], "--force belongs to a run"),
        ([file, "--runner", "slurm"], "runner"),
        ([file, "--set", "matching.threshold=2"], "matching.threshold"),
    ):
        code, _, err = cli("collect", *arguments)
        assert code == 2, arguments
        assert said in " ".join(err.split())
    for verb in ("describe", "release"):
        code, _, err = cli(verb, "absent")
        assert code == 3
        assert "is no folder" in err
    for arguments, said in (
        (["absent", "--n", 5], "is no folder"),
        (["own"], "Give --n, or --preset"),
        (["own", "--preset", "all"], "judge, sft"),
        (["own", "--n", 5, "--quota", "coding"], "NAME=ROWS"),
    ):
        code, _, err = cli("select", *arguments)
        assert code in (2, 3)
        assert said in " ".join(err.split())
