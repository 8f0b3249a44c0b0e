"""`selfj judge`: every line comes out once, in order, with a verdict or a reason, whatever happens on the way."""

import gzip
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import selfj
from selfj import judging
from selfj.backends.base import LevelReading
from selfj.errors import BackendUnavailable

from .conftest import FAKE

EXCHANGES = [{"instruction": f"What is {n} + 1?", "response": f"{n + n % 2}", "n": n} for n in range(60)]
MODEL = ["--set", "target.kind=fake"]
LENIENT = ["--set", "max_failed=1"]


def write(rows, path="in.jsonl"):
    Path(path).write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def read(text):
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def pipe(cli, monkeypatch):
    """Call `selfj judge` with bytes on standard input."""

    def call(data, *arguments):
        stdin = io.TextIOWrapper(io.BufferedReader(io.BytesIO(data)))
        monkeypatch.setattr(sys, "stdin", stdin)
        return cli("judge", *arguments)

    return call


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return selfj.run("demo", [*FAKE, f"dir={tmp_path_factory.mktemp('runs')}"]).path


def test_a_file_and_a_pipe_give_the_same_lines_in_order(cli, pipe):
    path = write(EXCHANGES)
    code, from_file, err = cli("judge", path, *MODEL)
    assert code == 0
    assert "60 rows, 60 scored" in err
    code, from_pipe, _ = pipe(Path(path).read_bytes(), *MODEL)
    assert code == 0
    assert from_pipe == from_file
    rows = read(from_file)
    assert [{key: row[key] for key in row if key != "selfj"} for row in rows] == EXCHANGES
    for verdict in (row["selfj"] for row in rows):
        expected = sum(level * p for level, p in enumerate(verdict["probabilities"]))
        assert verdict["score"] == pytest.approx(expected, abs=1e-4)
        assert verdict["label_mass"] == 0.97
        assert verdict["reason"] is None
        assert verdict["truncated"] is False
        assert "decision" not in verdict


def test_the_input_keeps_its_bytes(cli):
    lines = [
        '{"question" :"é\\u00e9", "response": "r", "x": 1.50, "big": 123456789012345678901}',
        '{"question":"a","response":"b"}',
    ]
    code, out, _ = cli("judge", write(lines), *MODEL)
    assert code == 0
    for line, judged in zip(lines, out.splitlines(), strict=True):
        assert judged.startswith(line[:-1] + ', "selfj": {')


def test_a_verdict_of_an_earlier_judging_gives_way(cli):
    code, out, _ = cli("judge", write(EXCHANGES[:3]), *MODEL)
    code, again, _ = cli("judge", write(out.splitlines(), "judged.jsonl"), *MODEL)
    assert code == 0
    assert again == out


def test_bad_lines_come_out_with_a_reason_and_are_counted(cli):
    bad = {
        "not json": "bad_json",
        "[1]": "not_an_object",
        "{}": "empty_instruction",
        json.dumps({"instruction": " ", "response": "x"}): "empty_instruction",
        json.dumps({"instruction": "x"}): "no_response",
        json.dumps({"instruction": ["x"], "response": "x"}): "wrong_type",
        json.dumps({"instruction": "x", "response": "y" * 100_001}): "too_long",
        json.dumps({"instruction": "x", "response": "\ud800"}): "bad_utf8",
        '{"instruction": "x", "response": ' + "[" * 5000 + "]" * 5000 + "}": "bad_json",
        json.dumps({"instruction": "x", "response": "y" * 900_000}): "line_too_long",
    }
    rows = [row for pair in zip(EXCHANGES, bad, strict=False) for row in pair]
    code, out, err = cli("judge", write(rows), *MODEL)
    assert code == 5
    assert "10 of 20 rows have no score" in err
    verdicts = [row["selfj"] for row in read(out)]
    assert [verdict["reason"] for verdict in verdicts[1::2]] == list(bad.values())
    assert all(verdict["score"] is None for verdict in verdicts[1::2])
    assert all(verdict["score"] is not None for verdict in verdicts[::2])
    assert verdicts[1]["line"] == 2
    code, _, _ = cli("judge", "in.jsonl", *MODEL, *LENIENT)
    assert code == 0


def test_rows_that_cannot_be_read_come_first(cli):
    code, out, _ = cli("judge", write(["x"] * 150 + ["{}"] + EXCHANGES), *MODEL, *LENIENT)
    assert code == 0
    assert [row["selfj"]["score"] is None for row in read(out)] == [True] * 151 + [False] * 60


def test_blank_lines_marks_and_endings_of_other_systems(pipe):
    data = b"\xef\xbb\xbf" + b"\r\n\r\n".join(json.dumps(row).encode() for row in EXCHANGES[:3])
    code, out, _ = pipe(data, *MODEL)
    assert code == 0
    assert len(read(out)) == 3
    code, packed, _ = pipe(gzip.compress(data), *MODEL)
    assert code == 0
    assert packed == out


def test_a_damaged_file_says_so(pipe):
    data = gzip.compress("".join(json.dumps(row) + "\n" for row in EXCHANGES).encode())
    code, _, err = pipe(data[:-20], *MODEL)
    assert code == 3
    assert "complete and readable" in err


@pytest.mark.parametrize("kept", [0, 1, 300, 2000, 1.0])
def test_a_file_that_was_cut_is_gone_on_with(cli, kept):
    path = write([*EXCHANGES[:20], "broken", *EXCHANGES[20:]])
    assert cli("judge", path, *MODEL, *LENIENT, "--out", "whole.jsonl")[0] == 0
    whole = Path("whole.jsonl").read_bytes()
    cut = whole[: kept if isinstance(kept, int) else -1]
    Path("out.jsonl").write_bytes(cut)
    code, out, err = cli("judge", path, *MODEL, *LENIENT, "--out", "out.jsonl")
    assert code == 0
    assert out == ""
    assert Path("out.jsonl").read_bytes() == whole
    lines = cut.count(b"\n")
    assert not lines or f"{lines} there already" in err


def test_going_on_judges_only_what_is_absent():
    seen = []

    class Counting:
        name = "counting"

        def read(self, inputs):
            seen.extend(inputs)
            return judging.load_judging(overrides=["target.kind=fake"]).judge.reader.read(inputs)

    judge = judging.Judging(selfj.Judge(Counting()), key="k", chunk_rows=8)
    write(EXCHANGES)
    assert judging.judge_file("in.jsonl", "out.jsonl", judge).rows == 60
    lines = Path("out.jsonl").read_bytes().splitlines(keepends=True)
    Path("out.jsonl").write_bytes(b"".join(lines[:45]))
    seen.clear()
    tally = judging.judge_file("in.jsonl", "out.jsonl", judge)
    assert (tally.rows, tally.kept, len(seen)) == (60, 45, 15)
    assert Path("out.jsonl").read_bytes() == b"".join(lines)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (["--set", "label.min_label_mass=0.9"], "another judge"),
        (["--set", "target.noise=2"], "another judge"),
        (["--ignore-reference"], "another judge"),
    ],
)
def test_another_judge_or_setting_does_not_go_on(cli, change, said):
    write(EXCHANGES)
    cli("judge", "in.jsonl", *MODEL, "--out", "out.jsonl")
    before = Path("out.jsonl").read_bytes()
    code, _, err = cli("judge", "in.jsonl", *MODEL, *change, "--out", "out.jsonl")
    assert code == 3
    assert said in err
    assert Path("out.jsonl").read_bytes() == before


@pytest.mark.parametrize("content", ['{"a": 1}\n', "notes without an end", "x" * 200_000, '{"instruction": "Wh'])
def test_a_file_of_something_else_stays_as_it_is(cli, content):
    write([{**row, "id": 1} for row in EXCHANGES])
    Path("out.jsonl").write_text(content)
    code, _, err = cli("judge", "in.jsonl", *MODEL, "--out", "out.jsonl")
    if content.startswith('{"instruction'):
        # The beginning of the first line: this one was cut.
        assert code == 0
        return
    assert code == 3
    assert "another input" in err
    assert Path("out.jsonl").read_text() == content


def test_a_shorter_input_and_the_input_itself_are_refused(cli):
    write(EXCHANGES)
    cli("judge", "in.jsonl", *MODEL, "--out", "out.jsonl")
    code, _, err = cli("judge", write(EXCHANGES[:50], "short.jsonl"), *MODEL, "--out", "out.jsonl")
    assert code == 3
    assert "Line 51" in err
    code, _, err = cli("judge", "in.jsonl", *MODEL, "--out", "in.jsonl")
    assert code == 2
    assert "the input itself" in err


def test_a_judge_that_stops_leaves_whole_chunks(monkeypatch):
    class Failing:
        name = "failing"
        calls = 0

        def read(self, inputs):
            Failing.calls += 1
            if Failing.calls == 3:
                raise BackendUnavailable("the server is gone")
            return judging.load_judging(overrides=["target.kind=fake"]).judge.reader.read(inputs)

    write(EXCHANGES)
    judge = judging.Judging(selfj.Judge(Failing()), key="k", chunk_rows=10)
    with pytest.raises(BackendUnavailable):
        judging.judge_file("in.jsonl", "out.jsonl", judge)
    assert Path("out.jsonl").read_bytes().count(b"\n") == 20
    assert judging.judge_file("in.jsonl", "out.jsonl", judge).kept == 20
    assert len(read(Path("out.jsonl").read_text())) == 60


def test_head_ends_it_quietly():
    path = write(EXCHANGES * 30)
    command = [sys.executable, "-c", "from selfj.cli import main; main()", "judge", path, *MODEL]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.readline()
        process.stdout.close()
        err = process.stderr.read()
    assert process.returncode == 141
    assert err == b""


def test_a_full_disk_is_said():
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full")
    command = [sys.executable, "-c", "from selfj.cli import main; main()", "judge", write(EXCHANGES * 20), *MODEL]
    with open("/dev/full", "wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 3
    assert b"disk is full" in done.stderr


def test_what_is_no_file_cannot_be_gone_on_with(cli):
    code, _, err = cli("judge", write(EXCHANGES), *MODEL, "--out", os.devnull)
    assert code == 3
    assert "no regular file" in err


def test_a_run_gives_judge_and_decision(cli, finished):
    code, out, _ = cli("judge", write(EXCHANGES), "--run", finished)
    assert code == 0
    verdicts = [row["selfj"] for row in read(out)]
    threshold = json.loads((finished / "threshold.json").read_text())["value"]
    for verdict in verdicts:
        assert verdict["threshold"] == threshold
        assert verdict["decision"] == ("answer" if verdict["score"] >= threshold else "decline")
        assert verdict["reader"].startswith("encoder ")


def test_a_judge_in_a_folder_scores_as_its_run_does(cli, finished):
    write(EXCHANGES)
    _, by_run, _ = cli("judge", "in.jsonl", "--run", finished)
    code, by_folder, _ = cli("judge", "in.jsonl", "--judge", finished / "judge", "--set", "embedder.kind=fake")
    assert code == 0
    scores = [[row["selfj"]["score"] for row in read(out)] for out in (by_run, by_folder)]
    assert scores[0] == scores[1]
    assert "decision" not in read(by_folder)[0]["selfj"]


def test_a_reference_makes_the_teacher_and_gets_no_decision(cli, finished):
    rows = [{**row, "reference": f"{row['n'] + 1}"} for row in EXCHANGES]
    code, out, err = cli("judge", write(rows), "--run", finished)
    assert code == 0
    assert "--ignore-reference" in err
    assert {row["selfj"]["with_reference"] for row in read(out)} == {True}
    assert {row["selfj"]["decision"] for row in read(out)} == {None}
    _, without, _ = cli("judge", write(rows), "--run", finished, "--ignore-reference")
    _, plain, _ = cli("judge", write(EXCHANGES), "--run", finished)
    assert [row["selfj"]["score"] for row in read(without)] == [row["selfj"]["score"] for row in read(plain)]
    assert None not in {row["selfj"]["decision"] for row in read(without)}


def test_without_a_threshold_everything_is_declined(cli, finished, tmp_path):
    run = tmp_path / "none"
    run.mkdir()
    for name in ("run.toml", "judge"):
        (run / name).symlink_to(finished.absolute() / name)
    (run / "threshold.json").write_text(json.dumps({"schema": "threshold/1", "infeasible": "too few"}))
    code, out, _ = cli("judge", write(EXCHANGES), "--run", run)
    assert code == 0
    assert {row["selfj"]["decision"] for row in read(out)} == {"decline"}
    assert {row["selfj"]["threshold"] for row in read(out)} == {None}


def test_conversations_are_judged_whole():
    seen = []

    class Looking:
        name = "looking"

        def read(self, inputs):
            seen.extend(inputs)
            return judging.load_judging(overrides=["target.kind=fake"]).judge.reader.read(inputs)

    talk = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello."},
        {"role": "assistant", "content": "Good day."},
        {"role": "user", "content": "What is 6 times 7?"},
        {"role": "assistant", "content": "42"},
    ]
    rows = list(judging.judge_rows([{"messages": talk}], judging.Judging(selfj.Judge(Looking()), key="k")))
    assert rows[0]["messages"] == talk
    for message in talk[:-1]:
        assert message["content"] in seen[0].instruction
    assert seen[0].response == "42"


def test_rows_in_python_are_read_as_they_are_needed():
    taken = []

    def rows():
        for row in EXCHANGES:
            taken.append(row)
            yield row

    judge = judging.load_judging(overrides=["target.kind=fake"], chunk_rows=8)
    found = judging.judge_rows(rows(), judge)
    assert next(found)["selfj"]["score"] is not None
    assert len(taken) == 8
    assert len(list(found)) == 59
    assert [row["selfj"]["reason"] for row in judging.judge_rows([EXCHANGES[0], 7], judge)] == [None, "not_an_object"]


def test_a_row_does_not_depend_on_the_chunk():
    answers = [
        list(judging.judge_rows(EXCHANGES, judging.load_judging(overrides=["target.kind=fake"], chunk_rows=n)))
        for n in (1, 7, 1000)
    ]
    scores = [[row["selfj"]["score"] for row in rows] for rows in answers]
    assert scores[0] == scores[1] == scores[2]


def test_low_mass_cut_texts_and_numbers_that_are_none(cli):
    class Odd:
        name = "odd"

        def read(self, inputs):
            import numpy as np

            levels = np.full((len(inputs), 10), 0.1)
            levels[2] = np.nan
            mass = np.array([0.001, 0.9, 0.9, 0.9])
            return LevelReading(levels, mass, (None, None, None, "too_long"), (False, True, False, False))

    rows = list(judging.judge_rows(EXCHANGES[:4], judging.Judging(selfj.Judge(Odd()), key="k")))
    verdicts = [row["selfj"] for row in rows]
    assert [verdict["reason"] for verdict in verdicts] == ["low_label_mass", None, "not_finite", "too_long"]
    assert [verdict["score"] for verdict in verdicts] == [None, 4.5, None, None]
    assert [verdict["truncated"] for verdict in verdicts] == [False, True, False, False]
    assert verdicts[0]["label_mass"] == 0.001
    json.dumps(verdicts, allow_nan=False)


def test_one_exchange(cli):
    code, out, _ = cli("judge", "--instruction", "What is 1 + 1?", "--response", "2", *MODEL)
    assert code == 0
    assert "score" in out
    code, out, _ = cli("judge", "--instruction", "a", "--response", "b", "--reference", "c", "--json", *MODEL)
    assert code == 0
    assert json.loads(out)["with_reference"] is True
    code, out, _ = cli("judge", "--instruction", "", "--response", "b", *MODEL)
    assert code == 5
    assert "empty_instruction" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--instruction", "a"], "--response"),
        (["in.jsonl", "--instruction", "a", "--response", "b"], "no FILE"),
        (["in.jsonl", "--column", "response"], "response=output"),
        (["in.jsonl", "--column", "response=nothing"], "nothing"),
        (["plain.jsonl"], "No column holds the response"),
        (["in.jsonl", "--run", "x", "--config", "demo"], "Name one judge"),
        (["in.jsonl", "--judge", "x", "--adapter", "y"], "adapter"),
    ],
)
def test_wrong_arguments_say_what_is_wrong(cli, arguments, said):
    write(EXCHANGES)
    write([{"question": "a", "answer": "b"}], "plain.jsonl")
    code, _, err = cli("judge", *arguments, *MODEL)
    assert code == 2
    assert said in err


def test_absent_files(cli):
    code, _, err = cli("judge", "absent.jsonl", *MODEL)
    assert code == 3
    assert "absent.jsonl does not exist" in err
    code, _, err = cli("judge", ".", *MODEL)
    assert code == 3
    assert "is a folder" in err
    code, _, err = cli("judge", write(EXCHANGES), "--judge", "nowhere")
    assert code == 3
    assert "judge.json" in err


def test_without_a_word_about_the_judge_it_is_the_one_that_ships(cli):
    rows = [
        {"instruction": "What is the capital of France?", "response": text, "reference": "Paris"}
        for text in ("Paris", "The capital of France is Paris.", "Lyon", "I'm sorry, I can't help with that.", "")
    ]
    code, out, _ = cli("judge", write(rows), "--set", "max_failed=1")
    assert code == 0
    verdicts = [row["selfj"] for row in read(out)]
    assert {verdict["reader"] for verdict in verdicts} == {f"cross-encoder {selfj.load_judge('general').digest[:12]}"}
    assert all("decision" not in verdict for verdict in verdicts)
    scores = [verdict["score"] for verdict in verdicts]
    assert min(scores[:2]) > max(scores[2:4]) + 2
    named = cli("judge", "in.jsonl", "--judge", "general", "--set", "max_failed=1")[1]
    assert named == out
    Path("general").mkdir()
    code, _, err = cli("judge", "in.jsonl", "--judge", "general")
    assert code == 3
    assert "judge.json" in err
