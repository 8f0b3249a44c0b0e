"""Outputs and leaderboards in every form, and what is left out of them."""

import csv
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from selfj.errors import ConfigError, InputError
from selfj.ranking.leaderboard import match, read_leaderboard
from selfj.ranking.read import read_candidates

ROWS = [
    {"instruction": f"Question {n}?", "output": f"Answer {n} by {model}.", "generator": model, "dataset": "d"}
    for model in ("a", "b")
    for n in range(3)
]


def write_json(path, rows):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rows))
    return path


def texts(found):
    return {(row.model, row.place): row.input.response for row in found.rows}


EXPECTED = {(row["generator"], n % 3): row["output"] for n, row in enumerate(ROWS)}


@pytest.mark.parametrize("kind", ["json", "jsonl", "csv", "parquet"])
def test_each_format_gives_the_same(tmp_path, kind):
    path = tmp_path / f"outputs.{kind}"
    if kind == "json":
        write_json(path, ROWS)
    elif kind == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    elif kind == "csv":
        with path.open("w", newline="") as handle:
            writer = csv.DictWriter(handle, list(ROWS[0]))
            writer.writeheader()
            writer.writerows(ROWS)
    else:
        pq.write_table(pa.Table.from_pylist(ROWS), path)
    found = read_candidates([path], once=True)
    assert texts(found) == EXPECTED
    assert found.instructions == ["Question 0?", "Question 1?", "Question 2?"]
    assert not found.faults


def test_a_folder_of_results_names_models_by_their_folders(tmp_path):
    for model in ("b", "a"):
        rows = [{**row, "generator": f"{model}-long-name"} for row in ROWS if row["generator"] == model]
        write_json(tmp_path / "results" / model / "model_outputs.json", rows)
    (tmp_path / "results" / "empty").mkdir()
    found = read_candidates([tmp_path / "results"], once=True)
    assert texts(found) == EXPECTED
    assert found.models == ["a", "b"]
    assert found.aliases == {"a": "a-long-name", "b": "b-long-name"}
    several = read_candidates(sorted((tmp_path / "results").glob("*/model_outputs.json")), once=True)
    assert several.models == ["a-long-name", "b-long-name"]
    one = read_candidates([tmp_path / "results" / "a"], once=True)
    assert one.models == ["a-long-name"]


def test_a_file_without_a_model_is_named_by_its_name_or_folder(tmp_path):
    rows = [{"question": "Q?", "answer": "A."}]
    assert read_candidates([write_json(tmp_path / "mine.json", rows)], once=True).models == ["mine"]
    path = write_json(tmp_path / "x" / "model_outputs.json", rows)
    assert read_candidates([path], once=True).models == ["x"]


def test_a_reference_is_seen_and_columns_can_be_named(tmp_path):
    rows = [{"ask": "Q?", "said": "A.", "gold": "G.", "system": "m"}]
    path = write_json(tmp_path / "x.json", rows)
    found = read_candidates([path], {"instruction": "ask", "response": "said", "model": "system"}, once=True)
    assert found.rows[0].model == "m"
    assert found.rows[0].input.response == "A."
    assert found.rows[0].input.reference == "G."
    plain = write_json(tmp_path / "y.json", [{"instruction": "Q?", "output": "A.", "llm": "n"}])
    named = read_candidates([plain], {"model": "llm"}, once=True).rows[0]
    assert (named.model, named.input.response, named.input.reference) == ("n", "A.", None)


def test_bad_rows_are_counted_with_their_reason(tmp_path):
    good = {"instruction": "Q?", "output": "A.", "generator": "m"}
    bad = [
        {**good, "output": "  "},
        {**good, "output": None},
        {**good, "output": ["x", 1]},
        {**good, "instruction": ""},
        {**good, "instruction": 7.5e400},
        {**good, "generator": None},
        {**good, "output": "another"},
        "no object",
    ]
    found = read_candidates([write_json(tmp_path / "x.json", [good, *bad])], once=True)
    assert texts(found) == {("m", 0): "A."}
    assert found.reasons() == {
        "empty_response": 1,
        "no_response": 1,
        "wrong_type": 2,
        "empty_instruction": 1,
        "no_model": 1,
        "duplicate": 1,
        "not_an_object": 1,
    }
    assert found.where["duplicate"].endswith("x.json:8")
    assert found.faults["m", "empty_response"] == 1
    assert found.faults["", "no_model"] == 1


def test_further_samples_are_no_duplicates_where_they_are_candidates(tmp_path):
    rows = [{"instruction": "Q?", "response": text, "model": "m", "n": n} for n, text in enumerate("xyx")]
    found = read_candidates([write_json(tmp_path / "x.json", rows)], once=False, whole=True)
    assert [row.fields["n"] for row in found.rows] == [0, 1, 2]
    assert not found.faults


@pytest.mark.parametrize(
    ("rows", "columns", "error", "words"),
    [
        ([{"instruction": "Q?", "x": "A."}], {}, ConfigError, "holds the responses"),
        ([{"x": "Q?", "output": "A."}], {}, ConfigError, "holds the instruction"),
        (ROWS, {"response": "outpt"}, ConfigError, "outpt"),
        (ROWS, {"model": "modle"}, ConfigError, "modle"),
        (ROWS, {"respnse": "output"}, ConfigError, "respnse"),
        ([{**ROWS[0], "output": ""}], {}, InputError, "empty_response"),
        ([], {}, InputError, "no rows"),
    ],
)
def test_what_cannot_be_read_is_said(tmp_path, rows, columns, error, words):
    with pytest.raises(error, match=words):
        read_candidates([write_json(tmp_path / "x.json", rows)], columns, once=True)


def test_paths_that_lead_nowhere(tmp_path):
    with pytest.raises(InputError, match="absent"):
        read_candidates([tmp_path / "absent.json"], once=True)
    with pytest.raises(InputError, match=r"model_outputs\.json"):
        read_candidates([tmp_path], once=True)
    with pytest.raises(ConfigError, match="No file"):
        read_candidates([], once=True)


def test_leaderboards_in_each_form(tmp_path):
    board = tmp_path / "leaderboard.csv"
    board.write_text(",win_rate,avg_length,mode\na,50.5,100,x\nb,20,,x\nc,,7,x\n")
    found = read_leaderboard(board)
    assert (found.column, found.values, found.without) == ("win_rate", {"a": 50.5, "b": 20.0}, ("c",))
    assert read_leaderboard(board, "avg_length").values == {"a": 100.0, "c": 7.0}
    table = [{"Model": "a", "elo": 1000, "note": "x"}, {"Model": "b", "elo": 900, "note": "y"}]
    pq.write_table(pa.Table.from_pylist(table), tmp_path / "b.parquet")
    assert read_leaderboard(tmp_path / "b.parquet").values == {"a": 1000, "b": 900}
    assert read_leaderboard(write_json(tmp_path / "c.json", table)).column == "elo"
    assert read_leaderboard(write_json(tmp_path / "d.json", {"a": 1.5, "b": 2})).values == {"a": 1.5, "b": 2}
    nested = {"a": {"win_rate": 1, "n": 3}, "b": {"win_rate": 2, "n": 3}}
    assert read_leaderboard(write_json(tmp_path / "e.json", nested)).values == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("text", "value", "error", "words"),
    [
        ("x,win_rate\na,1\n", None, ConfigError, "no column holds the models"),
        ("model,win_rate\na,1\n", "elo", ConfigError, "no column 'elo'"),
        ("model,x,y\na,1,2\n", None, ConfigError, "which column"),
        ("model,win_rate\na,1\na,2\n", None, InputError, "two values"),
        ("model,word\na,b\n", None, ConfigError, "none"),
    ],
)
def test_a_leaderboard_that_cannot_be_used_is_named(tmp_path, text, value, error, words):
    path = tmp_path / "board.csv"
    path.write_text(text)
    with pytest.raises(error, match=words):
        read_leaderboard(path, value)


def test_models_are_matched_by_name_and_then_by_their_other_name(tmp_path):
    board = read_leaderboard(write_json(tmp_path / "x.json", {"a": 1.0, "b-long": 2.0, "d": 3.0}))
    found = match(["a", "b", "c"], {"b": "b-long", "c": "a"}, board)
    assert found.values == {"a": 1.0, "b": 2.0}
    assert found.only_outputs == ("c",)
    assert found.only_leaderboard == ("d",)
