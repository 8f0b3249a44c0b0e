"""The paper's table: its arithmetic against brute force, its rows, its columns, and its forms against one another."""

import csv
import io
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest

from selfj import config as configs
from selfj.bootstrap import bootstrap, bootstrap_difference
from selfj.comparison import published, tables
from selfj.comparison.columns import check_scale, numbers
from selfj.comparison.correlate import all_methods, correlate
from selfj.comparison.gather import _named_apart
from selfj.comparison.records import Asked, Method, Source
from selfj.comparison.roster import KEYS, ROSTER, filled_by, needed_by_file
from selfj.comparison.selecting import selective
from selfj.comparison.write import command, write
from selfj.errors import ConfigError
from selfj.exchanges import Exchange
from selfj.metrics import auroc, kendall, pearson, prr, spearman
from selfj.records import Instruction, Response
from selfj.report.grid import Grid, GridCell

DRAWS = 40


def source(model, ids, *, seed=None, scale=(0.0, 9.0), keys=("self_j", "ppl", "cosine", "own"), start=0, name=None):
    rng = np.random.default_rng([start, len(ids), *model.encode()])
    exchanges = [
        Exchange(Instruction(str(i), f"q{i}", category="ab"[i % 2]), Response(f"{model}{n}", str(i), 0, text="x" * n))
        for n, i in enumerate(ids)
    ]
    gold = rng.random(len(ids)) * 9
    scores = {key: gold * rng.random() + rng.random(len(ids)) * 4 for key in keys}
    scores["self_j"][::7] = np.nan
    absent = {row.key: row.needs for row in ROSTER}
    own = Method("own", "Own", reference=False)
    return Source(name or model, model, exchanges, gold, "gold", scale, scores, absent, (own,), seed)


def table_of(sources, metric="pearson", **more):
    settings = {"min_quality": 5.0, "draws": DRAWS, "confidence": 0.9, "seed": 3, **more}
    return correlate(sources, metric, **settings)


def place(table, key):
    return [method.key for method in table.methods].index(key)


@pytest.mark.parametrize(("metric", "statistic"), [("pearson", pearson), ("spearman", spearman), ("kendall", kendall)])
def test_one_source_has_the_intervals_of_the_report_of_a_run(metric, statistic):
    one = source("m", range(30))
    table = table_of([one], metric)
    for key in ("self_j", "cosine"):
        wanted = bootstrap(statistic, one.scores[key], one.gold, groups=one.groups, draws=DRAWS, confidence=0.9, seed=3)
        found = table.cell(0, place(table, key))
        assert (found.value, found.low, found.high) == pytest.approx((wanted.value, wanted.low, wanted.high))
        assert table.average(place(table, key)) == found
    wanted = bootstrap_difference(
        statistic, one.scores["self_j"], one.scores["ppl"], one.gold,
        groups=one.groups, draws=DRAWS, confidence=0.9, seed=3,
    )  # fmt: skip
    found = table.difference(place(table, "self_j"), place(table, "ppl"))
    assert (found.value, found.low, found.high) == pytest.approx((wanted.value, wanted.low, wanted.high))


def test_auroc_is_that_of_good_exchanges():
    one = source("m", range(30))
    found = table_of([one], "auroc").cell(0, 0)
    assert found.value == pytest.approx(auroc(one.scores["cosine"], one.gold >= 5))
    unknown = table_of([source("m", range(30), scale=None)], "auroc").cell(0, 0)
    assert math.isnan(unknown.value)
    assert math.isnan(unknown.low)


def by_hand(sources, key, seed):
    """Draw instructions of all sources by name, and correlate row by row."""
    names = sorted({str(i) for s in sources for i in s.groups})
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(DRAWS):
        drawn = [names[i] for i in rng.integers(0, len(names), len(names))]
        row = []
        for s in sources:
            pairs = [
                (s.scores[key][n], s.gold[n])
                for name in drawn
                for n, group in enumerate(s.groups)
                if group == name and not math.isnan(s.scores[key][n])
            ]
            x, y = np.array(pairs).T
            row.append(np.corrcoef(x, y)[0, 1])
        found.append(row)
    return np.array(found)


def test_models_share_the_draw_of_an_instruction_and_the_average_is_within_each_draw():
    sources = [source("a", range(20)), source("b", [*range(10, 30), 12, 12])]
    table = table_of(sources)
    for key in ("self_j", "ppl"):
        wanted, i = by_hand(sources, key, 3), place(table, key)
        np.testing.assert_allclose(table.drawn[:, :, i], wanted)
        average = table.average(i)
        np.testing.assert_allclose((average.low, average.high), np.quantile(wanted.mean(1), (0.05, 0.95)))
    a, b = by_hand(sources, "self_j", 3), by_hand(sources, "ppl", 3)
    found = table.difference(place(table, "self_j"), place(table, "ppl"))
    np.testing.assert_allclose((found.low, found.high), np.quantile((a - b).mean(1), (0.05, 0.95)))


def test_runs_of_one_model_that_differ_in_seed_share_a_column_and_have_a_spread():
    runs = [source("m", range(25), seed=s, start=s, name=f"run{s}") for s in (1, 2, 3)]
    sources = _named_apart([*runs, source("n", range(25), seed=1)])
    table = table_of(sources)
    assert table.models == ("m", "n")
    each = np.array([pearson(s.scores["ppl"], s.gold) for s in runs])
    i = place(table, "ppl")
    assert table.cell(0, i).value == pytest.approx(each.mean())
    grid = tables.seeds(sources, table, Asked(("x",)))
    cells = dict(grid.rows)["PPL"]
    assert cells[0].value == pytest.approx(100 * each.mean(), abs=1e-5)
    assert cells[1].value == pytest.approx(100 * np.std(each, ddof=1), abs=1e-5)
    assert cells[2].words == "3"
    assert grid.headers[1:] == ("m: mean", "m: standard deviation", "m: runs")
    assert "seeds 1, 2, 3" in grid.notes[0]
    assert tables.seeds(sources[-1:], table_of(sources[-1:]), Asked(("x",))) is None


@pytest.mark.parametrize("seeds", [(1, 1), (None, 1), (None, None)])
def test_sources_of_one_model_that_do_not_differ_in_seed_stand_apart(seeds):
    found = _named_apart([source("m", range(5), seed=s, name=f"run{n}") for n, s in enumerate(seeds)])
    assert [s.model for s in found] == ["m (run0)", "m (run1)"]


def test_every_method_of_the_paper_has_a_row_and_says_what_it_needs():
    sources = [source("a", range(20)), source("b", range(20), keys=("self_j", "cosine"))]
    table = table_of(sources)
    first, second = tables.blocks(sources, table, Asked(("x",), published=True))
    assert [name for name, _ in first.rows] == [row.title for row in ROSTER if row.reference]
    paper = [row.title for row in ROSTER if not row.reference]
    assert [name for name, _ in second.rows] == [*paper, "Own"]
    rows = dict(second.rows)
    assert rows["Auto-J-13b"][0].words == "needs a judge in `judges`"
    assert "API key" in rows["GPT-3.5-turbo"][0].words
    assert rows["PPL"][2].words == "1 of 2 models"
    assert rows["PPL"][2].value is None
    assert second.headers == (
        "Without reference", "a", "b", "average", *(f"{name}, published" for name in published.MODELS),
    )  # fmt: skip
    assert [cell.value for cell in rows["Self-J"][3:]] == [56.94, 56.67, 53.10, 64.87, 61.65, 58.65]
    assert not any(cell.strong for _, cells in (*first.rows, *second.rows) for cell in cells[3:])
    assert any("published" in note and "Ye and Ng" in note for note in second.notes)


def test_the_best_of_each_column_is_marked_within_its_block():
    sources = [source("a", range(40)), source("b", range(40), start=1)]
    for grid in tables.blocks(sources, table_of(sources), Asked(("x",))):
        for column in range(3):
            values = {name: cells[column].value for name, cells in grid.rows if cells[column].value is not None}
            strong = [name for name, cells in grid.rows if cells[column].strong]
            assert strong == ([max(values, key=values.get)] if len(values) > 1 else [])


def test_without_self_j_the_first_method_is_compared():
    one = source("m", range(20), keys=("self_j", "vro", "own"))
    del one.scores["self_j"]
    grid = tables.differences([one], table_of([one]), "Pearson x 100")
    assert grid.title.startswith("VRO minus")
    assert [name for name, _ in grid.rows] == ["Own"]


def test_missing_scores_and_an_unknown_scale_are_told():
    one = source("m", range(20), scale=None)
    second = tables.blocks([one], table_of([one]), Asked(("x",)))[1]
    notes = " ".join(second.notes)
    assert "Self-J 3 of 20 (m)" in notes
    assert "--gold-scale" in notes
    assert selective([one], all_methods([one]), Asked(("x",))) == dict.fromkeys(
        ("selective", "selective_differences", "selective_by_category")
    )
    auc = tables.blocks([one], table_of([one], "auroc"), Asked(("x",), metric="auroc"))[1]
    assert dict(auc.rows)["Self-J"][0].words == "needs --gold-scale"


def test_differences_in_prr_are_paired():
    one = source("m", range(40))
    grid = selective([one], all_methods([one]), Asked(("x",), draws=DRAWS, confidence=0.9, seed=3))[
        "selective_differences"
    ]
    bad = (one.gold < 5).astype(float)
    wanted = bootstrap_difference(
        prr, one.scores["self_j"], one.scores["ppl"], bad, groups=one.groups, draws=DRAWS, confidence=0.9, seed=3
    )
    found = dict(grid.rows)["PPL"][0]
    assert (found.value, found.low, found.high) == pytest.approx((wanted.value, wanted.low, wanted.high), abs=1e-6)


def test_rows_without_gold_are_left_out_and_counted():
    one = source("m", range(20))
    one.gold[:5] = np.nan
    found = one.known()
    assert len(found.gold) == len(found.exchanges) == len(found.scores["ppl"]) == 15
    assert "5 of 20" in found.notes[0]
    one.gold[:] = np.nan
    with pytest.raises(ConfigError, match="None of the 20 exchanges of m has gold"):
        one.known()


def test_published_averages_are_those_of_their_rows():
    assert tuple(published.PEARSON) == KEYS
    for row in published.PEARSON.values():
        assert round(sum(row[:-1]) / 5, 2) == row[-1]


PEERS = [
    (
        "kind='generative', name='x', backend={kind='http', url='http://h/v1', model='openai/GPT-3.5-turbo-0301'}",
        "gpt35",
    ),
    (
        "kind='generative', name='x', reference=true, backend={kind='http', url='http://h/v1', model='gpt-35-turbo'}",
        "gpt35_reference",
    ),
    ("kind='generative', name='x', preset='auto_j', backend={kind='vllm', model='GAIR/autoj-13b'}", "auto_j"),
    ("kind='reward', name='x', backend={kind='transformers', model='openbmb/UltraRM-13b'}", "ultrarm"),
    ("kind='reward', name='ultrarm', backend={kind='plugin', target='a:B'}", "ultrarm"),
    ("kind='reward', name='ultrarm', backend={kind='transformers', model='some/other'}", None),
    ("kind='generative', name='ultrarm', backend={kind='fake'}", None),
    ("kind='generative', name='x', backend={kind='vllm', model='openbmb/UltraRM-13b'}", None),
    ("kind='generative', name='x', backend={kind='http', url='http://h/v1', model='gpt-4'}", None),
]


@pytest.mark.parametrize(("peer", "row"), PEERS)
def test_judges_of_a_run_find_their_row_by_their_model(peer, row):
    found = filled_by(configs.parse("", [f"judges=[{{{peer}}}]"]))
    assert list(found) == ([row] if row else [])


def test_what_a_file_needs_names_the_option():
    for row in ROSTER:
        assert "--" in needed_by_file(row)


def test_cells_become_numbers_or_a_message():
    found = numbers([1, 2.5, " 3 ", True, None, "", float("nan")], "gold", "f")
    np.testing.assert_array_equal(found, [1, 2.5, 3, 1, np.nan, np.nan, np.nan])
    for bad in ("good", [1], "inf"):
        with pytest.raises(ConfigError, match="'gold' of f must hold numbers"):
            numbers([1, bad], "gold", "f")
    with pytest.raises(ConfigError, match="from 0 to 9, found 1 to 10"):
        check_scale(np.array([1.0, 10.0]), (0, 9), "gold", "f")


def test_what_cannot_be_shown_is_refused():
    with pytest.raises(ConfigError, match="Pearson"):
        Asked(("x",), published=True, metric="kendall")
    with pytest.raises(ConfigError, match="LOW below HIGH"):
        Asked(("x",), gold_scale=(3, 3))


def test_all_forms_say_the_same(tmp_path):
    sources = [source("a & b", range(20)), source("c_d", range(20), start=1, keys=("self_j", "cosine", "own"))]
    asked = Asked(("x.jsonl",), gold="g", published=True, out=tmp_path)
    table = table_of(sources)
    grids = dict(zip(("with_reference", "without_reference"), tables.blocks(sources, table, asked), strict=True))
    write(grids, sources, asked)
    data = json.loads((tmp_path / "comparison.json").read_text())["tables"]
    latex = (tmp_path / "comparison.tex").read_text()
    bodies = re.findall(r"\\midrule\n(.*?)\\bottomrule", latex, re.DOTALL)
    markdown = (tmp_path / "comparison.md").read_text()
    for (name, grid), body in zip(grids.items(), bodies, strict=True):
        rows = list(csv.DictReader(io.StringIO((tmp_path / f"{name}.csv").read_text())))
        lines = [line.removesuffix(r" \\").split(" & ") for line in body.strip().splitlines()]
        assert len(rows) == len(lines) == len(data[name]["rows"]) == len(grid.rows)
        for row, line, entry in zip(rows, lines, data[name]["rows"], strict=True):
            assert row[grid.headers[0]] == entry["name"] == line[0]
            assert entry["name"] in markdown
            for header, cell, tex in zip(grid.headers[1:], entry["cells"], line[1:], strict=True):
                value = row[header]
                assert (float(value) if value else None) == cell["value"]
                assert row[f"{header} words"] == cell["words"]
                if cell["value"] is None:
                    assert tex == cell["words"].replace("_", r"\_") or not cell["words"]
                else:
                    shown = tex.replace(r"\textbf{", "").replace("$-$", "-").split(" ")[0].rstrip("}")
                    assert float(shown) == pytest.approx(cell["value"], abs=0.00501)
    page = (tmp_path / "comparison.html").read_text()
    assert "a &amp; b" in page
    assert "published" in page


def test_tables_from_before_do_not_stay(tmp_path):
    one = source("m", range(20))
    (tmp_path / "seeds.csv").write_text("old")
    (tmp_path / "mine.csv").write_text("mine")
    table = table_of([one])
    grids = dict(zip(("with_reference", "without_reference"), tables.blocks([one], table, Asked(("x",))), strict=True))
    write(grids, [one], Asked(("x",), out=tmp_path))
    assert not (tmp_path / "seeds.csv").exists()
    assert (tmp_path / "mine.csv").read_text() == "mine"


def test_a_long_table_is_in_its_file_and_not_on_the_page(tmp_path):
    grid = Grid("Long", ("method", "n"), tuple((f"row number {i}", (GridCell(float(i)),)) for i in range(61)))
    write({"selective_by_category": grid}, [source("m", range(20))], Asked(("x",), out=tmp_path))
    page = (tmp_path / "comparison.html").read_text()
    assert "61 rows, in selective_by_category.csv" in page
    assert "row number" not in page
    assert (tmp_path / "selective_by_category.csv").read_text().count("row number") == 61
    assert (tmp_path / "comparison.md").read_text().count("row number") == 61


def test_the_command_is_complete():
    asked = Asked(
        ("a b", "c.jsonl"), gold="g", scores={"x": "y"}, judges=("length",), model="m", columns={"response": "r"},
        gold_scale=(1, 10), overrides=("seed=1",), force=True, out=Path("o"),
    )  # fmt: skip
    assert command(asked) == (
        "selfj evaluate 'a b' c.jsonl --gold g --score x=y --judge length --model m --column response=r "
        "--metric pearson --gold-scale 1,10 --min-quality 5 --draws 1000 --confidence 0.95 --seed 0 --set seed=1 "
        "--force --out o"
    )
