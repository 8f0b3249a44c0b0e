"""`selfj grade`: every row comes out with a grade or a reason, nothing is asked twice, and the cap holds."""

import json
import multiprocessing
import os
import re
import signal
import time
import traceback
from pathlib import Path

import pytest

from selfj import grading
from selfj.errors import BackendRefused, ConfigError
from selfj.grading.price import most_tokens

from ..backends.http_fake import MODEL, Reply, error, serving

EXCHANGES = [{"id": n, "instruction": f"What is {n} + 1?", "response": f"{n + n % 2}"} for n in range(40)]
CHEAP = ("--price-in", "1", "--price-out", "2")
FAST = ("--set", "backend.backoff_s=0.001")


def write(rows, path="in.jsonl"):
    Path(path).write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def read(path="out.jsonl"):
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def says(text, **usage):
    choice = {"message": {"content": text}, "finish_reason": usage.pop("finish", "stop")}
    usage = {"prompt_tokens": 100, "completion_tokens": 10} | usage
    return Reply({"choices": [choice], "usage": usage})


@pytest.fixture
def server():
    with serving() as started:
        yield started


@pytest.fixture
def grade(cli, server):
    """Call `selfj grade` on in.jsonl, at the server."""

    def call(*more, source="in.jsonl", out="out.jsonl"):
        return cli("grade", source, "--out", out, "--model", MODEL, "--base-url", server.url, *FAST, *more)

    return call


def test_a_file_is_graded_in_order(grade, server):
    write(EXCHANGES)
    code, out, err = grade(*CHEAP)
    assert (code, err.count("40 of 40 rows")) == (0, 1)
    rows = read()
    assert [row["id"] for row in rows] == list(range(40))
    assert all(1 <= row["grade"] <= 10 and row["grade_reason"] is None for row in rows)
    assert all(f"[[{row['grade']}]]" in row["grade_text"] for row in rows)
    assert len({row["grade"] for row in rows}) > 3
    assert rows[0]["grader"] | {"key": ""} == {
        "model": MODEL,
        "template": "grader",
        "key": "",
        "with_reference": False,
        "truncated": False,
    }
    assert len(server.seen) == 40
    taken = sum(len(body["messages"][0]["content"]) // 4 for _, body in server.seen)
    assert f"40 requests, {taken:,} tokens in and 800 out" in out
    assert f"cost: {(taken + 1600) / 1e6:.4f} USD" in out
    assert all("logprobs" not in body and body["temperature"] == 0 for _, body in server.seen)


def test_what_is_kept_is_not_asked_again(grade, server):
    write(EXCHANGES)
    grade()
    before = Path("out.jsonl").read_bytes()
    code, out, _ = grade("--set", "backend.concurrency=1")
    assert code == 0
    assert "40 graded already" in out
    assert "cost: nothing is to be asked" in out
    assert "40 replies from before, 0 requests" in out
    assert len(server.seen) == 40
    assert Path("out.jsonl").read_bytes() == before
    write([*EXCHANGES, EXCHANGES[0], {"instruction": "new", "response": "x"}])
    assert grade()[0] == 0
    assert len(server.seen) == 41
    assert read()[40]["grade"] == read()[0]["grade"]
    grade("--set", "preset=levels")
    assert len(server.seen) == 82


def test_equal_rows_are_asked_once(grade, server):
    write([EXCHANGES[0]] * 5)
    assert grade()[0] == 0
    assert len(server.seen) == 1
    assert len({row["grade"] for row in read()}) == 1


def test_a_dry_run_sends_and_makes_nothing(grade, server):
    write(EXCHANGES)
    code, out, _ = grade("--dry-run", "--api-key-env", "NO_SUCH_KEY", *CHEAP, "--max-cost", "0.000001")
    assert code == 0
    assert "40 rows, 0 graded already" in out
    assert "40 requests, about" in out
    assert "1 in, 2 out per million tokens, given" in out
    assert server.seen == []
    assert sorted(path.name for path in Path().iterdir()) == ["in.jsonl"]
    assert "cost: unknown" in grade("--dry-run")[1]


def test_overload_and_faults_are_tried_again(grade, server):
    write(EXCHANGES[:10])
    server.script = lambda n, path, body: {0: error(429), 1: error(500), 2: error(503)}.get(n)
    assert grade()[0] == 0
    assert len(server.seen) == 13
    assert all(row["grade"] for row in read())


BAD = {
    "no number here": "no_verdict",
    "": "no_verdict",
    "[[3]] or rather [[8]]": "several_verdicts",
    "[[11]]": "verdict_out_of_range",
    "[[seven]]": "malformed_verdict",
    "Rating: 7": "no_verdict",
}


def test_a_reply_without_one_verdict_gives_no_grade_and_is_asked_again(grade, server):
    rows = [{"instruction": f"q{n}", "response": text} for n, text in enumerate(BAD)]
    rows += [{"instruction": "refuse", "response": "x"}, {"instruction": "cut", "response": "x"}]
    write([*rows, *EXCHANGES[:4]])
    replies = [says(text) for text in BAD]
    replies.append(Reply({"choices": [{"message": {"content": None, "refusal": "no"}}], "usage": {}}))
    replies.append(says("It is good [[7]]", finish="length"))

    def script(n, path, body):
        text = body["messages"][0]["content"]
        known = [f"q{place}\n" in text for place in range(len(BAD))] + ["refuse\n" in text, "cut\n" in text]
        return replies[known.index(True)] if True in known else None

    server.script = script
    code, out, err = grade()
    assert code == 5
    assert "8 of 12 rows have no grade" in err
    made = read()
    assert [row["grade_reason"] for row in made[:8]] == [*BAD.values(), "refused", "cut_reply"]
    assert [row["grade"] for row in made[:8]] == [None] * 8
    assert made[2]["grade_text"] == "[[3]] or rather [[8]]"
    assert "4 graded" in out
    asked = len(server.seen)
    server.script = None
    assert grade()[0] == 0
    assert len(server.seen) == asked + 8
    assert all(row["grade"] for row in read())


def test_rows_that_cannot_be_read_keep_their_place(grade, server):
    write([EXCHANGES[0], "not json", {"instruction": "x"}, {"response": "y"}, EXCHANGES[1]])
    code, _, _ = grade("--set", "max_failed=1")
    assert code == 0
    rows = read()
    assert [row["grade_reason"] for row in rows] == [None, "bad_json", "no_response", "empty_instruction", None]
    assert rows[1]["line"] == 2
    assert len(server.seen) == 2


def test_references_are_shown_or_not(grade, server):
    write([{"instruction": "q", "response": "r", "reference": "the truth", "n": 1}])
    grade()
    grade("--ignore-reference", out="blind.jsonl")
    with_it, without = (body["messages"][0]["content"] for _, body in server.seen)
    assert "the truth" in with_it
    assert "the truth" not in without
    assert read()[0]["grader"]["with_reference"] is True
    assert read("blind.jsonl")[0]["grader"]["with_reference"] is False
    assert read()[0]["grader"]["key"] != read("blind.jsonl")[0]["grader"]["key"]


def test_repeats_give_mean_and_spread(grade, server):
    write(EXCHANGES[:6])
    server.script = lambda n, path, body: says(f"[[{(5, 6, 10)[n % 3]}]]")
    code, out, _ = grade("--repeats", "3", "--set", "backend.concurrency=1")
    assert code == 0
    assert len(server.seen) == 18
    for row in read():
        assert row["grade"] == 7
        assert row["grade_sd"] == pytest.approx(7**0.5, abs=1e-6)
        assert [entry["grade"] for entry in row["grade_repeats"]] == [5, 6, 10]
    assert "agreement of 3 repeats over 6 exchanges" in out
    assert "0.0% of pairs equal" in out
    grade("--repeats", "4", "--set", "backend.concurrency=1")
    assert len(server.seen) == 24


def test_seeds_differ_between_repeats(grade, server):
    write(EXCHANGES[:1])
    grade("--repeats", "3", "--set", "temperature=0.5")
    assert sorted(body["seed"] for _, body in server.seen) == [0, 1, 2]


def test_the_cap_ends_the_work_before_it_is_passed(grade, server):
    write(EXCHANGES)
    server.script = lambda n, path, body: says("[[6]]", prompt_tokens=200, completion_tokens=400)
    cap = 0.0116
    more = ("--price-in", "1", "--price-out", "1", "--set", "max_tokens=400", "--max-cost", cap)
    # The estimate takes 150 tokens for a reply and is below the cap; the replies have 400.
    code, out, err = grade(*more)
    assert code == 7
    assert "Run the same command to go on" in err
    assert "Go on with: selfj grade in.jsonl --out out.jsonl" in out
    sent = len(server.seen)
    spent = sent * 600 / 1e6
    assert spent <= cap
    worst = (most_tokens(server.seen[0][1]["messages"][0]["content"]) + 450) / 1e6
    assert spent > cap - worst
    assert f"cost: {spent:.4f} USD" in out
    rows = read()
    assert sum(row["grade"] == 6 for row in rows) == sent
    assert {row["grade_reason"] for row in rows} == {None, "over_budget"}
    codes = [grade(*more)[0] for _ in range(3)]
    assert codes[-1] == 0
    assert len(server.seen) == 40
    assert [row["grade"] for row in read()] == [6] * 40


def test_an_estimate_above_the_cap_sends_nothing(grade, server):
    write(EXCHANGES)
    code, out, err = grade(*CHEAP, "--max-cost", "0.001")
    assert code == 7
    assert "Nothing was sent" in err
    assert "40 requests, about" in out
    assert server.seen == []
    assert not Path("out.jsonl").exists()


def test_requests_without_usage_count_at_the_most(grade, server):
    write(EXCHANGES[:2])
    server.script = lambda n, path, body: Reply({"choices": [{"message": {"content": "[[4]]"}}]})
    code, out, _ = grade("--price-in", "0", "--price-out", "1000", "--set", "max_tokens=100")
    assert code == 0
    assert "cost: 0.2000 USD" in out
    assert "2 requests without a count of tokens" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--max-cost", "5"], "price of fake-model there is unknown"),
        (["--price-in", "5"], "Give both"),
        (["--price-in", "-5", "--price-out", "1"], "0 or more"),
        (["--max-cost", "0", *CHEAP], "more than 0"),
        (["--column", "response=nothing"], "nothing"),
        (["--column", "response"], "response=output"),
        (["--set", "presett=levels"], "did you mean preset"),
        (["--set", "samples=2", "--set", "temperature=1"], "--repeats"),
        (["--set", "prompt=Grade it."], "{response}"),
        (["--set", "backend.retries=-1"], "retries"),
        (["--api-key-env", "NO_SUCH_KEY"], "NO_SUCH_KEY"),
    ],
)
def test_wrong_arguments_say_what_is_wrong(grade, server, arguments, said):
    write(EXCHANGES)
    code, _, err = grade(*arguments)
    assert code == 2
    assert said in err
    assert server.seen == []
    assert not Path("out.jsonl").exists()


def test_a_grader_needs_model_and_address(cli):
    write(EXCHANGES)
    code, _, err = cli("grade", "in.jsonl", "--out", "out.jsonl", "--model", "m")
    assert code == 2
    assert "--base-url" in err
    code, _, err = cli("grade", "in.jsonl", "--out", "o.jsonl", "--model", "m", "--base-url", "http://u:sk-1@h/v1")
    assert code == 2
    assert "sk-1" not in err
    address = ("--base-url", "http://h/v1", "--api-key-env", "sk-live-1")
    code, _, err = cli("grade", "in.jsonl", "--out", "o.jsonl", "--model", "m", *address)
    assert code == 2
    assert "not the key itself" in err
    assert "sk-live" not in err


def test_files_that_cannot_be_graded(grade):
    Path("in.jsonl").touch()
    assert grade()[0] == 3
    assert "absent.jsonl does not exist" in grade(source="absent.jsonl")[2]
    write([{"question": "a", "answer": "b"}])
    code, _, err = grade()
    assert code == 2
    assert "No column holds the response to grade" in err
    write([EXCHANGES[0] | {"grade": 3}])
    assert "selfj grade did not write" in grade()[2]


def test_nothing_else_is_written_over(grade):
    write(EXCHANGES)
    assert "is the input itself" in grade(out="in.jsonl")[2]
    Path("notes.txt").write_text("mine")
    code, _, err = grade(out="notes.txt")
    assert code == 2
    assert "no file of grades" in err
    assert Path("notes.txt").read_text() == "mine"


def test_an_earlier_grade_gives_way(grade):
    write(EXCHANGES[:3])
    grade("--repeats", "2")
    assert grade("--set", "preset=levels", source="out.jsonl", out="again.jsonl")[0] == 0
    rows = read("again.jsonl")
    assert all(row["grader"]["template"] == "levels" and "grade_sd" not in row for row in rows)


def test_other_formats_and_numbers_that_are_none(grade):
    Path("in.csv").write_text("question,response\nWhat?,é\nWhy?,b\n")
    assert grade(source="in.csv")[0] == 0
    assert read()[0]["response"] == "é"
    write(['{"instruction": "q", "response": "r", "x": NaN, "y": "\\ud800"}'])
    assert grade(out="odd.jsonl")[0] == 0
    assert read("odd.jsonl")[0]["x"] is None


def test_a_key_is_needed_and_never_seen(grade, server, monkeypatch):
    write(EXCHANGES[:12])
    monkeypatch.setenv("MY_KEY", "sk-very-secret")
    server.key = "sk-very-secret"
    told = [grade("--api-key-env", "MY_KEY", *CHEAP), grade("--api-key-env", "MY_KEY", "--dry-run")]
    server.key = "another"
    told.append(grade("--api-key-env", "MY_KEY", out="b.jsonl"))
    told.append(grade(out="c.jsonl"))
    assert [code for code, _, _ in told] == [0, 0, 6, 6]
    assert "MY_KEY" in told[2][2]
    files = [path for path in Path().rglob("*") if path.is_file()]
    assert any(path.name == "replies.sqlite" for path in files)
    assert not [path for path in files if b"very-secret" in path.read_bytes()]
    assert "very-secret" not in str(told)
    with pytest.raises(BackendRefused) as caught:
        grading.grade("in.jsonl", "d.jsonl", model=MODEL, base_url=server.url, api_key_env="MY_KEY")
    assert "very-secret" not in "".join(traceback.format_exception(caught.value))


def work(url):
    grading.grade("in.jsonl", "out.jsonl", model=MODEL, base_url=url, overrides=["backend.concurrency=2"])


def test_a_kill_costs_no_reply_and_changes_no_byte(grade, server):
    write(EXCHANGES)
    grade(out="whole.jsonl")
    before = len(server.seen)
    server.script = lambda n, path, body: time.sleep(0.05)
    process = multiprocessing.get_context("spawn").Process(target=work, args=(server.url,))
    process.start()
    try:
        deadline = time.monotonic() + 120
        while len(server.seen) < before + 15 and time.monotonic() < deadline:
            time.sleep(0.01)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        process.close()
    assert not Path("out.jsonl").exists()
    server.script = None
    sent = len(server.seen)
    assert before + 15 <= sent < before + 40
    code, out, _ = grade()
    assert code == 0
    assert "0 graded already" not in out
    # At most the requests under way at the kill are asked again.
    assert len(server.seen) - before <= 42
    assert Path("out.jsonl").read_bytes() == Path("whole.jsonl").read_bytes()


def test_a_server_that_is_away_ends_it_and_keeps_what_is_there(grade, server):
    write(EXCHANGES)
    server.script = lambda n, path, body: None if n < 10 else error(503)
    code, _, err = grade("--set", "backend.retries=0", "--set", "backend.concurrency=1")
    assert code == 6
    assert "status 503" in err
    assert not Path("out.jsonl").exists()
    server.script = None
    code, out, _ = grade()
    assert code == 0
    # A request that was under way when the work ended may have got its reply.
    assert int(re.search(r"(\d+) graded already", out)[1]) in (10, 11)


def test_in_python(server):
    write(EXCHANGES)
    made = grading.grade("in.jsonl", "out.jsonl", model=MODEL, base_url=server.url, limit=5, price_in=1, price_out=1)
    assert len(made.rows) == made.summary.graded == 5
    assert made.rows == read()
    assert made.scale == (1, 10)
    assert made.summary.cost == (made.summary.tokens_in + made.summary.tokens_out) / 1e6
    assert made.summary.agreement is None
    made.check()
    with pytest.raises(ConfigError, match="repeats"):
        grading.grade("in.jsonl", "o.jsonl", model=MODEL, base_url=server.url, repeats=0)
