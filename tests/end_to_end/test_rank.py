"""`selfj rank` and `selfj rerank`: files in, tables and figures out, and going on after a kill."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

from selfj.judging import scorers

MODELS = {"short": "Yes.", "middle": "Yes, it is so, as everybody knows.", "long": "Yes. " * 20}
FAKE = ["--set", "embedder.kind=fake"]
RANK_FILES = {
    "ranking.json",
    "ranking.csv",
    "agreement.csv",
    "ranking.md",
    "ranking.tex",
    "ranking.html",
    "ranking_models.png",
    "ranking_leaderboard.png",
}
RERANK_FILES = {"picks.jsonl", "rerank.json", "rerank.csv", "rerank.md", "rerank.tex", "rerank.html", "rerank_gain.png"}


@pytest.fixture
def results():
    for model, text in MODELS.items():
        rows = [
            {"instruction": f"Is {n} a number?", "output": f"{text}{'!' * (n % 5)}", "generator": model}
            for n in range(30)
        ]
        if model == "long":
            rows[0]["output"] = ""
        path = Path("results") / model / "model_outputs.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(rows))
    Path("leaderboard.csv").write_text(",win_rate,avg_length\nshort,10,4\nmiddle,20,40\nlong,30,100\nabsent,5,3\n")
    return "results"


@pytest.fixture
def candidates():
    rows = [
        {"prompt": f"Is {n} a number?", "response": "Yes" * (k + 1), "quality": (k * n) % 4, "model": "m"}
        for n in range(20)
        for k in range(4)
    ]
    Path("in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return rows


def bytes_of(folder):
    return {path.name: path.read_bytes() for path in Path(folder).iterdir() if not path.name.startswith("scores.")}


def test_rank_prints_and_writes_everything(cli, results):
    judges = ["--judge", "cosine", "--judge", "random", *FAKE]
    code, out, err = cli("rank", results, *judges, "--leaderboard", "leaderboard.csv", "--out", "o")
    assert code == 0, err
    assert {path.name for path in Path("o").iterdir()} >= RANK_FILES
    for text in ("middle", "Spearman", "length held equal", "1 empty_response", "absent", "long (1)", "o/ranking.html"):
        assert text in out
    data = json.loads(Path("o/ranking.json").read_text())
    assert [scorer["scorer"] for scorer in data["scorers"]] == ["cosine", "random", "length"]
    by_length = data["scorers"][2]["models"]
    assert [model["model"] for model in by_length] == ["long", "middle", "short"]
    assert (by_length[0]["n"], by_length[0]["missing"], by_length[0]["leaderboard"]) == (29, 1, 30)
    assert by_length[0]["mean"]["low"] <= by_length[0]["mean"]["value"] <= by_length[0]["mean"]["high"]
    assert by_length[0]["above_next"] == 1
    assert data["agreement"][-1]["spearman"]["value"] == 1
    assert data["only_on_leaderboard"] == ["absent"]
    (left_out,) = data["left_out"]
    assert (left_out["model"], left_out["reason"], left_out["rows"]) == ("long", "empty_response", 1)
    with Path("o/ranking.csv").open() as handle:
        assert {row["model"] for row in csv.DictReader(handle)} == set(MODELS)
    page = Path("o/ranking.html").read_text()
    assert "<svg" in page
    assert "selfj rank results" in page
    assert r"\toprule" in Path("o/ranking.tex").read_text()


def test_rank_needs_no_leaderboard(cli, results):
    code, out, err = cli("rank", results, "--judge", "length", "--draws", "20", "--out", "o")
    assert code == 0, err
    assert "Spearman" not in out
    assert not (Path("o") / "agreement.csv").exists()
    assert json.loads(Path("o/ranking.json").read_text())["agreement"] == []


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["absent.json"], 3, "absent.json"),
        (["results", "--judge", "nothing"], 2, "nothing"),
        (["results", "--leaderboard", "absent.csv"], 3, "absent.csv"),
        (["results", "--leaderboard", "leaderboard.csv", "--value", "elo"], 2, "win_rate"),
        (["results", "--value", "win_rate"], 2, "--leaderboard"),
        (["results", "--column", "response"], 2, "response=output"),
        (["results", "--column", "response=outpt"], 2, "output"),
        (["."], 3, "model_outputs.json"),
    ],
)
def test_rank_says_what_is_wrong(cli, results, arguments, code, words):
    found, _, err = cli("rank", *arguments, *([] if "--judge" in arguments else ["--judge", "length"]), "--out", "o")
    assert found == code, err
    assert words in err
    assert not (Path("o") / "ranking.json").exists()


def test_rank_does_not_write_over_its_input(cli, results):
    Path("o").mkdir()
    Path("o/ranking.json").write_text(Path("results/long/model_outputs.json").read_text())
    code, _, err = cli("rank", "o/ranking.json", "--judge", "length", "--out", "o")
    assert code == 2
    assert "--out" in err


def test_rerank_picks_and_says_what_it_gains(cli, candidates):
    code, out, err = cli("rerank", "in.jsonl", "--judge", "cosine", *FAKE, "--gold", "quality", "--out", "o")
    assert code == 0, err
    assert {path.name for path in Path("o").iterdir()} >= RERANK_FILES
    for text in ("Longest", "Oracle", "Random sample", "of 4", "o/rerank.html", "20 of 20 instructions"):
        assert text in out
    picks = [json.loads(line) for line in Path("o/picks.jsonl").read_text().splitlines()]
    assert len(picks) == 20
    for pick in picks:
        told = pick.pop("selfj")
        assert pick in candidates
        assert (told["judge"], told["candidates"], told["scored"]) == ("cosine", 4, 4)
    data = json.loads(Path("o/rerank.json").read_text())
    assert [curve["scorer"] for curve in data["curves"]] == ["cosine", "length", "random sample", "oracle"]
    assert [point["candidates"] for point in data["curves"][0]["points"]] == [1, 2, 4]
    longest = [row for n in range(20) for row in candidates[4 * n + 3 : 4 * n + 4]]
    mean = sum(row["quality"] for row in longest) / 20
    assert data["curves"][1]["points"][2]["gold"]["value"] == pytest.approx(mean)


def test_rerank_without_gold_only_picks(cli, candidates):
    code, _, err = cli("rerank", "in.jsonl", "--judge", "length", "--out", "o")
    assert code == 0, err
    picks = [json.loads(line) for line in Path("o/picks.jsonl").read_text().splitlines()]
    assert all(pick["response"] == "Yes" * 4 for pick in picks)
    assert not (Path("o") / "rerank_gain.png").exists()


def test_rerank_tells_which_instructions_have_no_pick(cli):
    rows = [
        {"question": "A?", "response": "Lima", "reference": "Lima"},
        {"question": "A?", "response": "Rome", "reference": "Lima"},
        {"question": "B?", "response": "Rome"},
    ]
    Path("in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    code, out, err = cli("rerank", "in.jsonl", "--judge", "contains+reference", "--out", "o")
    assert code == 0, err
    assert "1 instructions" in out
    assert len(Path("o/picks.jsonl").read_text().splitlines()) == 1
    (unscored,) = json.loads(Path("o/rerank.json").read_text())["unscored"]
    assert unscored == {"instruction": "B?", "candidates": 1, "reasons": {"no_reference": 1}}


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["absent.jsonl"], 3, "absent.jsonl"),
        (["in.jsonl", "--gold", "qualty"], 2, "quality"),
        (["in.jsonl", "--gold", "response"], 2, "number"),
        (["in.jsonl", "--judge", "nothing"], 2, "nothing"),
    ],
)
def test_rerank_says_what_is_wrong(cli, candidates, arguments, code, words):
    found, _, err = cli("rerank", *arguments, *([] if "--judge" in arguments else ["--judge", "length"]), "--out", "o")
    assert found == code, err
    assert words in err
    assert not (Path("o") / "picks.jsonl").exists()


KILLED = """
import os, signal
from selfj.judging import scorers, score_cache
from selfj.cli import main
scorers.CHUNK = 16
put, calls = score_cache.ScoreCache.put, []
def once(self, scores):
    put(self, scores)
    calls.append(1)
    if len(calls) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
score_cache.ScoreCache.put = once
main()
"""


@pytest.mark.parametrize("verb", ["rank", "rerank"])
def test_a_kill_costs_one_chunk_and_changes_no_byte(cli, results, monkeypatch, verb):
    Path("killed").mkdir()
    Path("undisturbed").mkdir()
    arguments = [verb, str(Path("results").resolve()), "--judge", "cosine", *FAKE, "--out", "o"]
    monkeypatch.chdir("undisturbed")
    assert cli(*arguments)[0] == 0
    monkeypatch.chdir("../killed")
    done = subprocess.run([sys.executable, "-c", KILLED, *arguments], capture_output=True, check=False)
    assert done.returncode == -9
    assert {path.name.split(".")[0] for path in Path("o").iterdir()} == {"scores"}
    asked = []
    real = scorers._similarities
    monkeypatch.setattr(scorers, "_similarities", lambda e, inputs, r: asked.extend(inputs) or real(e, inputs, r))
    assert cli(*arguments)[0] == 0
    assert len(asked) == 89 - 3 * 16
    assert bytes_of("o") == bytes_of("../undisturbed/o")
