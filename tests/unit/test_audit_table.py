"""What an audit reads, the evaluator table against brute force, and the files."""

import csv
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from selfj import audit
from selfj.audit.evaluators import evaluator, table
from selfj.audit.material import Exchange, Material, limited, read_material
from selfj.audit.subject import Subject
from selfj.backends.base import JudgeInput
from selfj.errors import ConfigError, InputError
from selfj.judging.scorers import NamedScorer

ROWS = [
    {
        "instruction": f"Q{i}",
        "response": "r" * (1 + (7 * i + 3 * k) % 11),
        "model": f"m{k}",
        "gold": (5 * i + k * k) % 7,
    }
    for i in range(12)
    for k in range(4)
]


def write(rows, name="in.jsonl"):
    Path(name).write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return name


def scorer(read, name="x"):
    return NamedScorer(name, name, f"{name}/1", False, True, lambda inputs: [(read(item), None) for item in inputs])


def score(item):
    return float((len(item.response) * 5 + len(item.instruction)) % 6)


def test_agreement_and_length_bias_against_brute_force():
    found = read_material(write(ROWS))
    row = evaluator(Subject("x", scorer(score), found, draws=50))
    right, bias = [], []
    for i in range(12):
        of = [r for r in ROWS if r["instruction"] == f"Q{i}"]
        for x, y in itertools.combinations(of, 2):
            if x["response"] == y["response"]:
                continue
            sx, sy = (score(JudgeInput(r["instruction"], r["response"])) for r in (x, y))
            if x["gold"] != y["gold"]:
                right.append(0.5 if sx == sy else float((sx > sy) == (x["gold"] > y["gold"])))
            if len(x["response"]) != len(y["response"]):
                if len(x["response"]) < len(y["response"]):
                    x, y, sx, sy = y, x, sy, sx
                mine = 0.5 if sx == sy else float(sx > sy)
                gold = 0.5 if x["gold"] == y["gold"] else float(x["gold"] > y["gold"])
                bias.append(mine - gold)
    assert row.agreement.value == pytest.approx(np.mean(right))
    assert row.agreement.n == len(right)
    assert row.length_bias.value == pytest.approx(np.mean(bias))
    scores = [score(JudgeInput(r["instruction"], r["response"])) for r in ROWS]
    gold = [r["gold"] for r in ROWS]
    assert row.spearman.value == pytest.approx(stats.spearmanr(scores, gold).statistic)
    assert row.pearson.value == pytest.approx(stats.pearsonr(scores, gold).statistic)
    assert row.deviation.value == 0
    assert (row.n, row.missing, row.price) == (48, 0, 0)
    assert row.seconds > 0


def test_the_deviation_is_that_of_one_reading():
    draw = np.random.default_rng(0)
    of = Material("a test", tuple(Exchange(JudgeInput(f"q{i}", "r"), float(i)) for i in range(64)))
    row = evaluator(Subject("x", scorer(lambda item: 4 + 0.5 * draw.normal()), of, draws=50))
    assert row.deviation.value == pytest.approx(0.5, rel=0.25)
    assert row.agreement.value is None


def test_the_table_puts_the_best_first_and_marks_it():
    found = read_material(write(ROWS))
    gold = {e.input: e.gold for e in found.exchanges}
    rows = [
        evaluator(Subject(name, scorer(read, name), found, draws=20), {"perfect": 2.5})
        for name, read in (("flat", lambda i: 1.0), ("perfect", lambda i: gold[i]))
    ]
    grid = table(rows, found)
    assert [name for name, _ in grid.rows] == ["perfect", "flat"]
    (_, best), (_, flat) = grid.rows
    assert best[0].value == 1
    assert best[0].strong
    assert best[3].value == 2.5
    assert flat[0].value == 0.5
    assert flat[1].value is None


def test_pairs_are_read_with_every_way_to_write_a_preference():
    written = ["a", "b", "tie", 1, 2, 0, 1.5, 0.5, "response_a", None, 0.7, 1.2, 1.9]
    rows = [{"instruction": f"q{i}", "response_a": "x", "response_b": "yy", "preference": p, "model_a": "m"}
            for i, p in enumerate(written)]  # fmt: skip
    found = read_material(write([*rows, {**rows[0], "preference": "left"}, "{"]))
    wanted = [1, 0, 0.5, 1, 0, 0, 0.5, 0.5, 1, None, 1, 1, 0]
    assert [pair.preference for pair in found.pairs] == wanted
    assert [e.input.response for e in found.exchanges] == ["x", "yy"] * 13
    assert [e.model for e in found.exchanges[:2]] == ["m", ""]
    assert found.faults == {"bad_preference": 1, "bad_json": 1}
    assert found.rows == 15


def test_gold_is_a_column_of_numbers_and_a_reference_one_of_texts():
    found = read_material(write([{"instruction": "q", "response": "r", "gold": "Lima"}]))
    assert found.exchanges[0].input.reference == "Lima"
    assert np.isnan(found.gold()).all()
    rows = [{"instruction": f"q{i}", "response": "r", "gold": i, "reference": "Lima"} for i in (1, 3, 5)]
    found = read_material(write(rows))
    assert found.gold().tolist() == [1, 3, 5]
    assert found.gold_levels().tolist() == [0, 4.5, 9]
    assert found.exchanges[0].input.reference == "Lima"
    named = read_material(write([{"instruction": "q", "response": "r", "stars": "4"}]), gold="stars")
    assert named.gold().tolist() == [4]


def test_bad_input_is_named():
    with pytest.raises(InputError, match=r"absent\.jsonl"):
        read_material("absent.jsonl")
    with pytest.raises(ConfigError, match="no column with a response"):
        read_material(write([{"instruction": "q", "reference": "r"}]))
    with pytest.raises(ConfigError, match="--gold stars"):
        read_material(write(ROWS), gold="stars")
    with pytest.raises(ConfigError, match="holds no number"):
        read_material(write(ROWS), gold="model")
    with pytest.raises(InputError, match="No row"):
        read_material(write([{"instruction": " ", "response": "r"}]))
    with pytest.raises(ConfigError, match="name the file"):
        read_material(gold="score")
    with pytest.raises(ConfigError, match="neither"):
        audit.evaluators([], read_material(write([{"instruction": "q", "response": "r"}])))


def test_a_limit_draws_instructions_with_their_rows():
    every = read_material(write(ROWS))
    some = limited(every, 9, seed=1)
    assert len(some.exchanges) == 9
    assert some.left_out == 39
    counts = [sum(e.input.instruction == f"Q{i}" for e in some.exchanges) for i in range(12)]
    assert sorted(counts)[-3:] == [1, 4, 4]
    assert some == limited(every, 9, seed=1)
    assert some != limited(every, 9, seed=2)
    rows = [{"instruction": f"q{i}", "response_a": f"a{i}", "response_b": f"b{i}", "preference": "a"} for i in range(9)]
    pairs = limited(read_material(write(rows)), 3, seed=0)
    assert len(pairs.exchanges) == 6
    for pair in pairs.pairs:
        a, b = pairs.exchanges[pair.a].input.response, pairs.exchanges[pair.b].input.response
        assert (a[0], b[0], a[1:]) == ("a", "b", b[1:])


def test_the_world_gives_right_and_wrong_answers():
    found = read_material(limit=40, seed=3)
    assert found == read_material(limit=40, seed=3)
    assert len(found.exchanges) == 40
    gold = found.gold().reshape(-1, 2)
    assert (gold[:, 0] == 9).all()
    assert (gold[:, 1] < 9).mean() > 0.5


def test_the_same_audit_gives_the_same_bytes_and_reads_its_kept_scores(tmp_path):
    asked = []
    one = scorer(lambda item: asked.append(item) or score(item))
    found = read_material(write(ROWS))
    written, calls = [], []
    for _ in range(2):
        made = audit.audit_scorers({"x": one}, found, beside={}, out=tmp_path, draws=20)
        calls.append(len(asked))
        asked.clear()
        # The table has seconds, which differ.
        audit.write_audit(audit.Audit(made.material, made.judges), tmp_path, "selfj audit in.jsonl")
        written.append([(tmp_path / f"audit.{end}").read_bytes() for end in ("json", "md", "csv", "tex", "html")])
    assert written[0] == written[1]
    assert calls[1] < calls[0] - 500
    data = json.loads(written[0][0])
    assert data["format"] == "audit/1"
    assert [f["probe"] for f in data["judges"][0]["findings"]] == [
        *("length", "format", "batch", "family", "swap", "paraphrase", "null", "attack", "missing")
    ]
    rows = list(csv.DictReader(written[0][2].decode().splitlines()))
    assert {"judge", "probe words", "measure words", "value", "value low"} <= set(rows[0])


def test_a_text_cannot_leave_its_place_in_the_page_or_in_markdown(tmp_path):
    rows = [
        {"instruction": "<script>alert(1)</script>", "response": "# Title\n</dd><b>bold\n[x](y)", "gold": i}
        for i in (1, 2)
    ]
    made = audit.audit_scorers({"x": scorer(score)}, read_material(write(rows)), draws=20)
    audit.write_audit(made, tmp_path)
    page = (tmp_path / "audit.html").read_text()
    assert "<script" not in page
    assert "</dd><b>" not in page
    assert "\n# Title" not in (tmp_path / "audit.md").read_text()
