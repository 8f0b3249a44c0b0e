"""One table in every form."""

import csv
import io

from selfj.report.canvas import new_axes
from selfj.report.grid import Grid, GridCell, strongest
from selfj.report.sheet import Fact, Picture, Sample, Samples, Words, render_sheet

GRID = Grid(
    "Judges",
    ("judge", "Pearson", "price"),
    (
        ("50 % <b>|_x", (GridCell(0.5, 0.25, 0.75, strong=True), GridCell(words="needs a key"))),
        ("=1+1", (GridCell(-0.123456), GridCell())),
    ),
    ("A note with 5 %.",),
)


def test_markdown_escapes_names_and_marks_the_best():
    lines = GRID.markdown().splitlines()
    assert lines[2] == r"| 50 % &lt;b&gt;\|\_x | **0.50 \[0.25, 0.75\]** | needs a key |"
    assert lines[3] == "| =1+1 | −0.12 | – |"


def test_latex_escapes_its_signs():
    text = GRID.latex()
    assert r"50 \% <b>|\_x & \textbf{0.50 [0.25, 0.75]} & needs a key \\" in text
    assert r"$-$0.12 & --" in text
    assert "% A note" in text


def test_csv_keeps_full_figures_and_runs_no_formula():
    rows = list(csv.DictReader(io.StringIO(GRID.csv())))
    assert float(rows[1]["Pearson"]) == -0.123456
    assert rows[1]["judge"] == "'=1+1"
    assert rows[0]["price words"] == "needs a key"
    assert rows[0]["Pearson high"] == "0.75"
    assert rows[0]["Pearson words"] == rows[1]["price words"] == ""


def test_the_page_holds_everything_and_escapes_it():
    figure, _ = new_axes(440, 200, left=20, right=20, top=20, bottom=20)
    blocks = [
        GRID,
        Picture("A figure", figure, "What it shows."),
        Words("Words", ("One sentence.",)),
        Samples("Examples", (Sample("One", (("Asked", "<script>"),)),)),
    ]
    page = render_sheet("T", "L", blocks, facts=(Fact("Good", "0.50", "of 1"),), command="selfj rank x")
    assert page == render_sheet("T", "L", blocks, facts=(Fact("Good", "0.50", "of 1"),), command="selfj rank x")
    for text in (
        "One sentence.",
        "&lt;script&gt;",
        "<svg",
        "needs a key",
        "What it shows.",
        "selfj rank x",
        "<small>0.25 to 0.75</small>",
    ):
        assert text in page
    assert "<script" not in page


def test_the_strongest_of_each_column():
    assert strongest([[1.0, None, 3.0], [None, None, 2.0], [2.0, 2.0]]) == [
        [False, False, True],
        [False, False, False],
        [True, True],
    ]
