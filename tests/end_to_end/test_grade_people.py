"""Scores by people joined with exchanges, and grades of either kind as gold of `selfj evaluate`."""

import json
from pathlib import Path

import numpy as np
import pytest

import selfj
from selfj import grading
from selfj.exchanges import load_exchanges
from selfj.records import SCORES
from selfj.store import open_artefact

from ..backends.http_fake import MODEL, serving
from .conftest import FAKE
from .test_grade import read, write

ROWS = [{"id": n, "question": f"q{n}", "response": f"r{n}", "n": n} for n in range(6)]


def scores(text, path="scores.csv"):
    Path(path).write_text(text)
    return path


@pytest.fixture
def join(cli):
    def call(*more):
        return cli("grade", "in.jsonl", "--out", "out.jsonl", "--from", "scores.csv", *more)

    return call


def test_several_raters_are_averaged(join):
    write(ROWS)
    scores("id,score,rater\n0,1,a\n0,3,b\n1,4,a\n1,5,b\n2,2,a\n2,2,b\n3,5,a\n9,1,a\n3,4,a\n4,x,a\n4,9,b\n,3,a\n5,,a\n")
    code, out, _ = join("--scale", "1,5")
    assert code == 0
    rows = read()
    assert [row["grade"] for row in rows] == [2, 4.5, 2, 5, None, None]
    assert [row["grade_reason"] for row in rows] == [None, None, None, None, "no_score", "no_score"]
    assert [row["grade_raters"] for row in rows] == [2, 2, 2, 1, 0, 0]
    assert rows[0]["grade_sd"] == pytest.approx(2**0.5, abs=1e-6)
    assert rows[3]["grade_sd"] is None
    assert [row["n"] for row in rows] == list(range(6))
    assert "6 rows, 4 graded, 2 no_score" in out
    assert "13 scores, 7 used" in out
    for reason in ("1 unmatched", "1 duplicate", "1 no_number", "1 out_of_scale", "1 no_key", "1 empty"):
        assert reason in out
    assert "agreement of 2 raters over 3 exchanges" in out
    assert "evaluate.gold_range=[1,5]" in out


def test_raters_without_a_name_and_raters_in_columns(join):
    write(ROWS)
    scores("id,score\n0,1\n0,2\n1,4\n1,4\n")
    code, out, _ = join()
    assert code == 0
    assert [row["grade"] for row in read()[:2]] == [1.5, 4]
    assert "agreement of 2 raters over 2 exchanges" in out
    scores("id,anna,ben\n0,1,2\n1,4,4\n2,3,\n")
    code, again, _ = join("--value", "anna", "--value", "ben")
    assert code == 0
    assert [row["grade"] for row in read()[:3]] == [1.5, 4, 3]
    assert "6 scores, 5 used, 1 empty" in again


def test_exchanges_are_found_by_their_texts(join):
    write([*ROWS, ROWS[0] | {"id": 17}])
    scores('instruction,output,score\nq0,r0,3\nq1,r2,4\n"q3 ",r3,1\n')
    assert join("--key", "instruction+response")[0] == 2
    scores('instruction,response,score\nq0,r0,3\nq1,r2,4\n"q3 ",r3,1\n')
    code, out, _ = join("--key", "instruction+response")
    assert code == 0
    # Equal exchanges have equal grades.
    assert [row["grade"] for row in read()] == [3, None, None, 1, None, None, 3]
    assert "1 unmatched" in out


def test_a_key_of_several_exchanges_grades_none_of_them(join):
    write([*ROWS, {"id": 0, "question": "another", "response": "x"}])
    scores("id,score\n0,3\n1,4\n")
    code, out, _ = join()
    assert code == 0
    rows = read()
    assert (rows[0]["grade"], rows[0]["grade_reason"]) == (None, "ambiguous_key")
    assert rows[6]["grade_reason"] == "ambiguous_key"
    assert rows[1]["grade"] == 4
    assert "1 ambiguous_key" in out


@pytest.mark.parametrize(
    ("text", "arguments", "said"),
    [
        ("id,score\n0,1\n", ["--key", "nothing"], "no column 'nothing' for --key"),
        ("id,score\n0,1\n", ["--key", "n"], "no column 'n'"),
        ("id,score\n0,1\n", ["--value", "points"], "no column 'points'"),
        ("id,score\n0,1\n", ["--rater", "who"], "no column 'who'"),
        ("id,score\n0,1\n", ["--scale", "5,1"], "--scale"),
        ("id,score\n0,1\n", ["--key", "+"], "--key must name"),
        ("id,score\n77,1\n", [], "1 unmatched"),
        ("id,score\n0,1\n", ["--model", "m"], "Name one grader"),
    ],
)
def test_wrong_arguments_say_what_is_wrong(join, text, arguments, said):
    write(ROWS)
    scores(text)
    code, _, err = join(*arguments)
    assert code == 2
    assert said in err
    assert not Path("out.jsonl").exists()


def test_files_of_scores_that_cannot_be_used(cli, join):
    write(ROWS)
    scores("")
    assert join()[0] == 3
    code, _, err = cli("grade", "in.jsonl", "--out", "o.jsonl", "--key", "id")
    assert code == 2
    assert "--from" in err


def test_in_python():
    write(ROWS)
    write([{"id": n, "score": n} for n in range(6)], "scores.jsonl")
    made = grading.grade_by_people("in.jsonl", "out.jsonl", "scores.jsonl", limit=4)
    assert made.rows == read()
    assert (made.graded, made.used, made.unused["unmatched"]) == (4, 4, 2)
    assert made.scale == (0, 3)
    assert made.agreement is None


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return selfj.run("demo", [*FAKE, f"dir={tmp_path_factory.mktemp('runs')}"]).path


def test_a_run_is_evaluated_against_its_grades(cli, finished):
    with serving() as server:
        code, out, _ = cli("grade", finished, "--out", "g.jsonl", "--model", MODEL, "--base-url", server.url)
    assert code == 0
    assert f"selfj evaluate {finished} --set evaluate.gold=g.jsonl --set 'evaluate.gold_range=[1,10]'" in out
    test = load_exchanges(finished).of("test")
    rows = read("g.jsonl")
    assert [row["exchange_id"] for row in rows] == [exchange.id for exchange in test]
    words = ("--set", "evaluate.gold=g.jsonl", "--set", "evaluate.gold_range=[1,10]")
    code, _, err = cli("evaluate", finished, *words)
    assert code in (0, 4), err
    report = json.loads((finished / "report" / "report.json").read_text())
    assert report["gold"]["name"] == "g.jsonl"
    grades = {row["exchange_id"]: row["grade"] for row in rows}
    found = [row for row in open_artefact(finished, SCORES).records() if row.method == "length" and row.id in grades]
    expected = np.corrcoef([row.score for row in found], [grades[row.id] for row in found])[0, 1]
    assert report["methods"]["length"]["pearson"]["value"] == pytest.approx(expected, abs=1e-4)
    assert report["methods"]["length"]["n"] == len(test)


def test_gold_in_a_file_that_does_not_fit(cli, finished):
    write([{"exchange_id": "x", "grade": 3}], "other.jsonl")
    write([{"id": "x"}], "odd.jsonl")
    for name, said in (("other", "for none of these"), ("odd", "KeyError"), ("absent", "FileNotFoundError")):
        code, _, err = cli("evaluate", finished, "--set", f"evaluate.gold={name}.jsonl")
        assert code == 2
        assert said in err


def test_a_graded_file_is_gold_of_a_run_over_it(cli):
    rows = [{"question": f"q{n}", "reference": f"a{n}", "response": f"a{n + n % 3}"} for n in range(60)]
    write(rows)
    with serving() as server:
        assert cli("grade", "in.jsonl", "--out", "g.jsonl", "--model", MODEL, "--base-url", server.url)[0] == 0
    settings = [
        *FAKE,
        "target={kind='none'}",
        "collect.source={kind='file', path='g.jsonl'}",
        "label={self_eval=false, cosine=true}",
        "evaluate={gold='grade', gold_range=[1, 10], bootstrap=20}",
        "score.methods=['length']",
        "name=graded",
    ]
    settings = [text for text in settings if not text.startswith(("collect.source.n", "target.kind", "label.cosine"))]
    report = selfj.run("demo", settings).report
    assert report["gold"]["name"] == "grade"
    assert report["methods"]["length"]["n"] > 0
