"""`selfj evaluate` over one run, several runs, and files of exchanges."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from selfj import pipeline
from selfj.metrics import pearson

from .conftest import FAKE

MODULE = """
import numpy as np
from selfj.backends.base import Generation, RewardReading

class Writer:
    name = "writer"
    def generate(self, conversations, seeds, sampling):
        texts = [messages[-1]["content"] for messages in conversations]
        return [Generation(f"[[{9 if 'answer to:' in text else 2}]]", 3, None, "stop") for text in texts]

class Reward:
    name = "reward"
    def rewards(self, inputs):
        good = [float(len(exchange.response)) for exchange in inputs]
        return RewardReading(np.array(good), (None,) * len(inputs), (False,) * len(inputs))
"""
PEERS = (
    "judges=["
    "{kind='generative', name='gpt35_reference', reference=true, backend={kind='plugin', target='table_peers:Writer'}},"
    "{kind='generative', name='other', title='Another', backend={kind='plugin', target='table_peers:Writer'}},"
    "{kind='reward', name='ultrarm', backend={kind='plugin', target='table_peers:Reward'}}]"
)
SMALL = [*FAKE, "collect.source.n=300", "label.cosine=true"]
OUT = Path("comparison")


def make_run(name, *more):
    return pipeline.run("demo", [*SMALL, f"name={name}", *more])


def table(folder=OUT):
    data = json.loads((folder / "comparison.json").read_text())
    named = {}
    for name, grid in data["tables"].items():
        heads = grid["headers"][1:]
        named[name] = {row["name"]: dict(zip(heads, row["cells"], strict=True)) for row in grid["rows"]}
    return data, named


def test_one_run_keeps_its_report_and_options(cli):
    made = make_run("one", "label.cosine=false", "collect.source.n=600")
    assert not made.report["selective"]["infeasible"]
    page = (made.path / "report" / "report.html").read_bytes()
    code, out, _ = cli("evaluate", "runs/one")
    assert code == 0
    assert "report.html" in out
    assert (made.path / "report" / "report.html").read_bytes() == page
    Path("config").write_text((made.path / "run.toml").read_text())
    assert cli("evaluate", "config")[0] == 0
    assert not OUT.exists()
    assert not (made.path / "comparison").exists()
    code, out, _ = cli("evaluate", "runs/one", "--dry-run")
    assert code == 0
    assert "evaluate" in out
    assert cli("evaluate", "runs/one", "--set", "calibrate.max_risk=0.3")[0] == 3
    assert cli("evaluate", "runs/one", "--set", "evaluate.bootstrap=30", "--force", "--retry-failed")[0] == 0


def test_the_report_tells_selective_following(cli):
    made = make_run("one")
    found = json.loads((made.path / "report" / "report.json").read_text())["selective_following"]
    over = {row["method"] for row in found if row["category"] is None}
    assert {"self_j", "length", "random", "ppl"} <= over
    assert "z" not in over
    assert {row["category"] for row in found} == {None, "academic", "coding", "common"}
    page = (made.path / "report" / "report.html").read_text()
    assert "Selective following" in page
    assert "over-decline at 10" in page
    assert "Selective following by category" in made.table()


def test_one_run_with_an_option_of_the_table_gives_both(cli):
    made = make_run("one")
    code, out, _ = cli("evaluate", "runs/one", "--published", "--draws", "20")
    assert code in (0, 4)
    assert "report.html" in out
    assert "comparison.html" in out
    _, tables = table(made.path / "comparison")
    self_j = tables["without_reference"]["Self-J"]
    assert self_j["average, published"]["value"] == 58.65
    assert self_j["fake-0.5"]["value"] == pytest.approx(
        100 * made.report["methods"]["self_j"]["pearson"]["value"], abs=1e-3
    )
    assert tables["with_reference"]["Self-eval + Cosine"]["fake-0.5"]["words"] == "is the gold"


def test_runs_of_two_models_with_judges_that_fill_rows(cli, monkeypatch):
    Path("table_peers.py").write_text(MODULE)
    monkeypatch.syspath_prepend(".")
    made = make_run("one", PEERS)
    make_run("two", "target.skill=0.8", "seed=4", "tune.ablations=['cosine']")
    code, out, err = cli("evaluate", "runs/one", "runs/two", "--draws", "30", "--judge", "contains+reference")
    assert code == 0, err
    assert "Auto-J-13b" in out
    data, tables = table()
    assert data["models"] == ["fake-0.5", "fake-0.8"]
    top, low = tables["with_reference"], tables["without_reference"]
    scores = made.report["methods"]
    assert low["UltraRM-13b"]["fake-0.5"]["value"] == pytest.approx(
        100 * scores["peer_ultrarm"]["pearson"]["value"], abs=1e-3
    )
    assert low["UltraRM-13b"]["fake-0.8"]["words"] == "needs a judge in `judges`"
    assert low["UltraRM-13b"]["average"]["words"] == "1 of 2 models"
    assert low["Another"]["fake-0.5"]["value"] is not None
    assert low["Another"]["fake-0.8"]["words"] == "was not run"
    assert low["Judge (Cosine)"]["fake-0.8"]["value"] is not None
    assert "tune.ablations" in low["Judge (Cosine)"]["fake-0.5"]["words"]
    assert top["GPT-3.5-turbo"]["fake-0.5"]["value"] is not None
    assert top["GPT-3.5-turbo + Cosine"]["fake-0.5"]["value"] is not None
    assert "API key" in low["GPT-3.5-turbo"]["fake-0.5"]["words"]
    assert top["Holds the reference"]["average"]["value"] is not None
    notes = " ".join(data["tables"]["without_reference"]["notes"])
    assert "GPT-3.5-turbo with reference is the judge gpt35_reference, a backend of kind plugin" in notes
    assert "fake-0.8: Self-J" in tables["selective"]
    assert "fake-0.8: coding: Self-J" in tables["selective_by_category"]
    assert "Length" in tables["differences"]
    assert "seeds" not in tables
    files = {path.name: path.read_bytes() for path in OUT.iterdir() if path.suffix != ".sqlite"}
    assert cli("evaluate", "runs/one", "runs/two", "--draws", "30", "--judge", "contains+reference")[0] == 0
    assert files == {path.name: path.read_bytes() for path in OUT.iterdir() if path.suffix != ".sqlite"}


def test_two_seeds_of_one_model(cli):
    made = [make_run(f"s{seed}", f"seed={seed}") for seed in (1, 2)]
    assert cli("evaluate", "runs/s1", "runs/s2", "--draws", "20")[0] == 0
    data, tables = table()
    assert data["models"] == ["fake-0.5"]
    values = [100 * run.report["methods"]["length"]["pearson"]["value"] for run in made]
    assert tables["seeds"]["Length"]["fake-0.5: standard deviation"]["value"] == pytest.approx(
        np.std(values, ddof=1), abs=1e-3
    )
    assert tables["without_reference"]["Length"]["fake-0.5"]["value"] == pytest.approx(np.mean(values), abs=1e-3)
    assert "fake-0.5, seed 2: Self-J" in tables["selective"]


def exchanges(n=40, models=("alpha", "beta")):
    rng = np.random.default_rng(0)
    for i in range(n):
        for model in models:
            grade = int(rng.integers(1, 11))
            text = "word " * (1 + grade * (model == "alpha")) + str(i)
            yield {
                "instruction": f"Question {i}?", "output": text, "generator": model, "gold": grade,
                "reward": grade + rng.random() * 5, "gpt": None if i == 3 else grade + 1, "topic": "x",
            }  # fmt: skip


def as_jsonl(rows, name="exchanges.jsonl"):
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return name


def test_a_file_with_many_models(cli):
    rows = list(exchanges())
    name = as_jsonl(rows)
    code, _, err = cli(
        "evaluate", name, "--gold", "gold", "--score", "ultrarm=reward", "--score", "mine+reference=gpt",
        "--draws", "25", "--judge", "random", "--gold-scale", "1,10", "--out", "o",
    )  # fmt: skip
    assert code == 0, err
    data, tables = table(Path("o"))
    assert data["models"] == ["alpha", "beta"]
    assert data["sources"][0]["gold_scale"] == [1, 10]
    low = tables["without_reference"]
    for model in data["models"]:
        mine = [row for row in rows if row["generator"] == model]
        gold = np.array([row["gold"] for row in mine], dtype=float)
        reward = np.array([row["reward"] for row in mine])
        length = np.array([len(row["output"]) for row in mine], dtype=float)
        assert low["UltraRM-13b"][model]["value"] == pytest.approx(100 * pearson(reward, gold), abs=1e-5)
        assert low["Length"][model]["value"] == pytest.approx(100 * pearson(length, gold), abs=1e-5)
    assert tables["with_reference"]["mine"]["alpha"]["value"] == 100
    assert low["Self-J"]["alpha"]["words"].startswith("needs --score self_j")
    assert "mine+reference is the column gpt where a source has it; random is scored here, where" in " ".join(
        data["tables"]["without_reference"]["notes"]
    )
    assert "1 of 40 (alpha)" in " ".join(data["tables"]["without_reference"]["notes"])
    assert "alpha: UltraRM-13b" in tables["selective"]
    assert next(iter(tables["differences"])) == "Length"


def test_forms_of_files_agree_and_their_rows_come_together(cli):
    rows = list(exchanges())
    with Path("a.csv").open("w", newline="") as handle:
        writer = csv.DictWriter(handle, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows[:50])
    Path("b.json").write_text(json.dumps(rows[40:]))
    name = as_jsonl(rows)
    options = ("--gold", "gold", "--score", "self_j=reward", "--draws", "20")
    assert cli("evaluate", name, *options, "--out", "whole")[0] == 0
    assert cli("evaluate", "a.csv", "b.json", *options, "--out", "parts")[0] == 0
    whole, parts = table(Path("whole")), table(Path("parts"))
    for model in ("alpha", "beta"):
        a, b = (found["without_reference"]["Self-J"][model]["value"] for _, found in (whole, parts))
        assert a == pytest.approx(b, abs=1e-6)
    assert "stand there twice" in " ".join(parts[0]["tables"]["without_reference"]["notes"])
    assert "selective" not in whole[1]
    assert "--gold-scale" in " ".join(whole[0]["tables"]["without_reference"]["notes"])


def test_a_column_of_ones_own_names_the_model_and_the_file_does_otherwise(cli):
    rows = list(exchanges())
    for row in rows:
        row["who"], row["response"] = row.pop("generator"), row.pop("output")
    name = as_jsonl(rows, "mixed.jsonl")
    options = ("--gold", "gold", "--score", "x=reward", "--draws", "20")
    assert cli("evaluate", name, *options)[0] == 0
    assert table()[0]["models"] == ["mixed"]
    assert cli("evaluate", name, *options, "--model", "who")[0] == 0
    assert table()[0]["models"] == ["alpha", "beta"]


def test_names_from_a_file_steer_nothing(cli):
    rows = list(exchanges(models=("alpha\x1b[31m<script>&\\b$x$_", "[red]beta|x")))
    code, out, _ = cli("evaluate", as_jsonl(rows), "--gold", "gold", "--score", "x=reward", "--draws", "20")
    assert code == 0
    assert "\x1b" not in out
    assert "[red]beta|x" in out
    assert "<script" not in (OUT / "comparison.html").read_text()
    assert r"[red]beta\|x".replace("[", r"\[").replace("]", r"\]") in (OUT / "comparison.md").read_text()
    assert r"\&\textbackslash{}b\$x\$\_" in (OUT / "comparison.tex").read_text()


def test_a_run_beside_a_file(cli):
    rows = [{**row, "reference": f"the answer {i}"} for i, row in enumerate(exchanges(200, ("gamma",)))]
    source = as_jsonl(rows, "source.jsonl")
    settings = (
        f"collect.source={{kind='file', path='{source}', columns={{reference='reference'}}}}",
        "target.kind=none",
    )
    made = make_run(
        "one", *settings, "label.self_eval=false", "evaluate={gold='gold', gold_range=[1, 10], bootstrap=20}"
    )
    name = as_jsonl(exchanges())
    options = ("--gold", "gold", "--score", "self_j=reward", "--draws", "20")
    code, _, err = cli("evaluate", "runs/one", name, *options, "--gold-scale", "1,10")
    assert code == 0, err
    data, tables = table()
    assert data["models"] == ["gamma", "alpha", "beta"]
    length = made.report["methods"]["length"]["pearson"]["value"]
    assert tables["without_reference"]["Length"]["gamma"]["value"] == pytest.approx(100 * length, abs=1e-3)
    # The column wins over the run's own judge, since it was named.
    assert tables["without_reference"]["Self-J"]["gamma"]["value"] > 50
    assert tables["without_reference"]["Self-eval"]["gamma"]["words"] == "needs a target model"
    assert "gamma: Self-J" in tables["selective"]
    code, _, err = cli("evaluate", "runs/one", name, "--gold", "z", "--score", "self_j=reward")
    assert code == 2
    assert "no gold column 'z'" in err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["f.jsonl"], 2, "needs --gold"),
        (["f.jsonl", "--gold", "nothing"], 2, "no gold column 'nothing'"),
        (["f.jsonl", "--gold", "output"], 2, "No column of f.jsonl holds the response"),
        (["f.jsonl", "--gold", "topic"], 2, "must hold numbers, found 'x'"),
        (["f.jsonl", "--gold", "gold", "--score", "a=nothing"], 2, "no source has a column 'nothing'"),
        (["f.jsonl", "--gold", "gold", "--score", "a=topic"], 2, "must hold numbers"),
        (["f.jsonl", "--gold", "gold", "--score", "a"], 2, "--score must look like NAME=COLUMN"),
        (["f.jsonl", "--gold", "gold", "--score", "a=reward", "--score", "a=gpt"], 2, "twice"),
        (["f.jsonl", "--gold", "gold"], 2, "No source has scores of any method"),
        (["f.jsonl", "--gold", "gold", "--judge", "nobody"], 2, "no scorer 'nobody'"),
        (["f.jsonl", "--gold", "gold", "--judge", "row=length"], 2, "'row' is no row"),
        (["f.jsonl", "--gold", "gold", "--score", "a=reward", "--gold-scale", "0,9"], 2, "from 0 to 9"),
        (["f.jsonl", "--gold", "gold", "--gold-scale", "low"], 2, "LOW,HIGH"),
        (["f.jsonl", "--gold", "gold", "--score", "a=reward", "--model", "nobody"], 2, "no column 'nobody'"),
        (["f.jsonl", "--gold", "gold", "--score", "a=reward", "--column", "wrong=gpt"], 2, "wrong is not one of"),
        (["f.jsonl", "f.jsonl", "--gold", "gold"], 2, "stands there twice"),
        (["f.jsonl", "--gold", "gold", "--dry-run"], 2, "for one run"),
        (["f.jsonl", "g.jsonl", "--gold", "gold"], 2, "There is no g.jsonl"),
        (["f.jsonl", "h.jsonl", "--gold=gold", "--score=a=reward", "--score=b=other"], 2, "No method has scores"),
        (["empty.jsonl", "--gold", "gold"], 3, "empty"),
        (["f.jsonl", "unfinished", "--gold", "gold", "--score", "a=reward"], 3, "Run the stage that makes"),
        (["nowhere"], 2, "No config at nowhere"),
    ],
)  # fmt: skip
def test_bad_input_is_named(cli, arguments, code, said):
    as_jsonl(exchanges(), "f.jsonl")
    other = [{"instruction": f"Q{i}", "response": "r", "model": "gamma", "gold": i, "other": i * i} for i in range(9)]
    as_jsonl(other, "h.jsonl")
    Path("empty.jsonl").write_text("")
    Path("unfinished").mkdir()
    Path("unfinished/run.toml").write_text("name = 'unfinished'\ndir = '.'\n[evaluate]\ngold='gold'\n")
    found, _, err = cli("evaluate", *arguments)
    assert (found, said in " ".join(err.split())) == (code, True), err
    assert "Traceback" not in err
    assert not (OUT / "comparison.json").exists()
