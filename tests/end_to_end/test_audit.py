"""`selfj audit`: a page for any judge, with a file and without, and a word for every bad input."""

import json
from pathlib import Path

import pytest

FAKE = ("--set", "embedder.kind=fake")
ROWS = [
    {"instruction": f"Name {k} of {i}.", "response": f"It is not {i}, {m} says." + " So it is." * (i % 4), "model": m,
     "score": (i * (2 + len(m))) % 8}
    for i in range(12) for k in ("one",) for m in ("vicuna-13b", "gpt-4", "llama-7b")
]  # fmt: skip
PAIRS = [
    {
        "instruction": f"Q{i}",
        "response_a": f"Answer {i}.",
        "response_b": f"No answer to {i}.",
        "preference": "ab"[i % 2],
    }
    for i in range(10)
]
PROBES = ("Length", "Format", "Position in a batch", "Own and other", "Swap of a pair", "Paraphrase", "Null outputs")
FILES = {f"audit.{end}" for end in ("json", "md", "csv", "tex", "html")}
TABLE = {f"evaluators.{end}" for end in ("md", "csv", "tex")}


def write(rows, name="in.jsonl"):
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return name


def files(folder):
    return {path.name for path in Path(folder).iterdir() if path.name[0] != "." and "sqlite" not in path.name}


def test_without_a_file_the_world_is_audited(cli):
    code, out, err = cli("audit", "--judge", "length", "--limit", "30", *FAKE)
    assert code == 0, err
    assert all(name in out for name in (*PROBES, "Words that game", "Missing and failed", "the embedded world"))
    assert "no model column" in out
    assert files("audit") == FILES | TABLE


def test_judges_side_by_side_and_the_table(cli):
    judges = [word for name in ("length", "random", "cosine") for word in ("--judge", name)]
    code, out, err = cli("audit", write(ROWS), *judges, "--gold", "score", "--price", "cosine=1.5", "--out", "a", *FAKE)
    assert code == 0, err
    assert files("a") == FILES | TABLE
    data = json.loads(Path("a/audit.json").read_text())
    assert [judge["name"] for judge in data["judges"]] == ["length", "random", "cosine"]
    rows = {row["name"]: row for row in data["evaluators"]}
    assert rows["cosine"]["price"] == 1.5
    assert rows["random"]["price"] == 0
    assert all(row["n"] == 36 and row["missing"] == 0 and row["seconds"] > 0 for row in rows.values())
    page = Path("a/audit.html").read_text()
    for text in (
        "Evaluators",
        "Cosine with the instruction: Length",
        "selfj audit in.jsonl",
        "Example: padded",
        "<svg",
    ):
        assert text in page
    assert r"\begin{tabular}" in Path("a/audit.tex").read_text()
    assert "seconds" in out


def test_pairs(cli):
    code, _, err = cli("audit", write(PAIRS), "--judge", "length", *FAKE)
    assert code == 0, err
    swap = next(
        f for f in json.loads(Path("audit/audit.json").read_text())["judges"][0]["findings"] if f["probe"] == "swap"
    )
    values = {measure["name"]: measure["value"] for measure in swap["measures"]}
    assert values["decisions that flip"] == 0
    assert values["accuracy"] == 0.5


def test_the_table_alone(cli):
    code, out, err = cli("audit", write(ROWS), "--judge", "length", "--gold", "score", "--table", *FAKE)
    assert code == 0, err
    assert files("audit") == TABLE | {"evaluators.json", "evaluators.html"}
    for title in ("Length", "Random", "Cosine"):
        assert title in out


@pytest.mark.slow
def test_the_judge_that_ships_is_audited_by_default(cli):
    code, out, err = cli("audit", write(ROWS[:3]), "--gold", "score")
    assert code == 0, err
    assert "General judge" in out


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["absent.jsonl"], 3, "absent.jsonl"),
        (["in.jsonl", "--judge", "nobody"], 2, "nobody"),
        (["in.jsonl", "--gold", "stars"], 2, "stars"),
        (["in.jsonl", "--judge", "length", "--table"], 2, "--gold COLUMN"),
        (["in.jsonl", "--judge", "length", "--price", "length"], 2, "NAME=AMOUNT"),
        (["in.jsonl", "--judge", "length", "--price", "cosine=1"], 2, "NAME=AMOUNT"),
        (["in.jsonl", "--judge", "length", "--column", "response"], 2, "response=output"),
        (["--gold", "score"], 2, "FILE"),
        (["empty.jsonl"], 3, "empty.jsonl"),
        (["in.jsonl", "--judge", "length", "--out", "in.jsonl"], 3, "in.jsonl"),
    ],
)
def test_bad_input_is_named_and_leaves_no_page(cli, words, code, told):
    write(ROWS)
    write([], "empty.jsonl")
    found, _, err = cli("audit", *words, *FAKE)
    assert found == code, err
    assert told in " ".join(err.split())
    assert not Path("audit/audit.html").exists()
