"""An audit as tables, a page and files."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from selfj.audit.evaluators import Evaluator, cell
from selfj.audit.evaluators import table as evaluator_table
from selfj.audit.material import Material
from selfj.audit.subject import Example, Finding, Measure
from selfj.audit.texts import SIGNED
from selfj.files import write_json, write_text
from selfj.report.canvas import BAD, GOOD, MUTED, WIDE, Row, line_of, new_rows, style
from selfj.report.grid import Grid, GridCell
from selfj.report.sheet import Block, Fact, Picture, Sample, Samples, Words, render_sheet
from selfj.report.text import number

FORMAT = "audit/1"
_SHOWN = 700
"""Characters of a text in an example."""
_PICKED = ("format", "null")
"""Probes whose number is the greatest of several; its name stands beside it."""
_SIGNED = ("length", "format", "paraphrase", "attack")
"""Probes of the figure, with those measures of theirs that 0 is the middle of."""
_UNITS = {"levels": "levels", "correlation": "−1 to 1", "share": "share"}


@dataclass(frozen=True, slots=True)
class JudgeAudit:
    """What all probes found of one judge."""

    name: str
    title: str
    quality: bool
    """Whether its scores are levels; else they were stretched over the levels for the probes."""
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Audit:
    """What an audit found."""

    material: Material
    judges: tuple[JudgeAudit, ...]
    evaluators: tuple[Evaluator, ...] = ()
    seed: int = 0

    def grid(self) -> Grid:
        """One row for each probe, one column for each judge."""
        rows = []
        for place, finding in enumerate(self.judges[0].findings if self.judges else ()):
            own = [judge.findings[place] for judge in self.judges]
            measure = next((f.number for f in own if f.number is not None), None)
            unit = _UNITS[measure.unit] if measure is not None else ""
            rows.append((finding.title, (GridCell(words=unit), *map(_number_cell, own))))
        notes = [
            f"{_counted(self.material)} Each number is the first of its probe below, with its bootstrap interval of "
            "95 % over instructions; what it means stands there."
        ]
        stretched = [judge.title for judge in self.judges if not judge.quality]
        if stretched:
            notes.append(
                f"No levels are given by {', '.join(stretched)}: the lowest and highest score over these exchanges are "
                "taken as 0 and 9."
            )
        return Grid("Audit", ("probe", "unit", *(j.title for j in self.judges)), tuple(rows), tuple(notes))

    def details(self) -> Grid:
        """Every measure of every probe and judge as one row."""
        rows = []
        for judge in self.judges:
            for finding in judge.findings:
                for measure in finding.measures:
                    cells = (GridCell(words=finding.title), GridCell(words=measure.name), cell(measure),
                             GridCell(words=_UNITS[measure.unit]), GridCell(float(measure.n), digits=0))  # fmt: skip
                    rows.append((judge.title, cells))
        return Grid("All measures", ("judge", "probe", "measure", "value", "unit", "n"), tuple(rows))

    def table(self) -> Grid | None:
        """The evaluator table, where there is one."""
        return evaluator_table(self.evaluators, self.material) if self.evaluators else None

    def data(self) -> dict[str, Any]:
        """All of it as plain data for JSON."""
        return {
            "format": FORMAT,
            "source": self.material.name,
            "seed": self.seed,
            "exchanges": len(self.material.exchanges),
            "pairs": len(self.material.natural_pairs()),
            "rows": self.material.rows,
            "faults": dict(self.material.faults),
            "left_out": self.material.left_out,
            "judges": [asdict(judge) for judge in self.judges],
            "evaluators": [asdict(row) for row in self.evaluators],
        }


def write_audit(audit: Audit, folder: str | Path, command: str = "") -> Path:
    """Write `audit.json`, `.md`, `.csv`, `.tex`, `.html`, and the evaluator table as `evaluators.*` where there is one.

    Returns:
        The page.

    Raises:
        ArtefactError: The folder cannot be written.
    """
    out = Path(folder)
    table = audit.table()
    if table is not None:
        write_grid(table, out, "evaluators")
    if not audit.judges:
        write_json(out / "evaluators.json", audit.data())
        page = out / "evaluators.html"
        lead = f"Judges and plain measures against gold. {_counted(audit.material)}"
        write_text(page, render_sheet("Evaluators", lead, [table] if table else [], command=command))
        return page
    write_json(out / "audit.json", audit.data())
    write_text(out / "audit.md", markdown(audit))
    write_text(out / "audit.csv", audit.details().csv())
    write_text(out / "audit.tex", audit.grid().latex())
    write_text(out / "audit.html", html(audit, command))
    return out / "audit.html"


def write_grid(grid: Grid, folder: Path, name: str) -> None:
    """Write a table as Markdown, CSV and LaTeX."""
    write_text(folder / f"{name}.md", grid.markdown())
    write_text(folder / f"{name}.csv", grid.csv())
    write_text(folder / f"{name}.tex", grid.latex())


def markdown(audit: Audit) -> str:
    """The audit as Markdown."""
    parts = ["# Audit", audit.grid().markdown()]
    table = audit.table()
    if table is not None:
        parts += [f"## {table.title}", table.markdown()]
    for judge in audit.judges:
        parts.append(f"## {judge.title}")
        for finding in judge.findings:
            lines = [f"* {name}: {shown}" for name, shown in _listed(finding.measures)]
            parts += [f"### {finding.title}", finding.reading]
            parts += [finding.absent] if finding.absent else []
            parts += ["\n".join(lines)] if lines else []
            if finding.example is not None:
                parts.append(_fenced(finding.example))
    return "\n\n".join(part.strip() for part in parts) + "\n"


def html(audit: Audit, command: str = "") -> str:
    """The audit as one page."""
    blocks: list[Block] = [audit.grid()]
    table = audit.table()
    if table is not None:
        blocks.append(table)
    for judge in audit.judges:
        figure = forest(judge)
        if figure is not None:
            caption = "Mean change of the score in levels with its interval. 0 would be no effect; orange leaves 0 out."
            blocks.append(Picture(f"{judge.title}: what moves the score", figure, caption))
        for finding in judge.findings:
            blocks += _blocks(finding, judge.title if len(audit.judges) > 1 else "")
    lead = f"What a judge is swayed by, besides the quality of a response. {_counted(audit.material)}"
    title = f"Audit of {', '.join(judge.title for judge in audit.judges)}"
    return render_sheet(title, lead, blocks, facts=_facts(audit), kicker="selfj audit", command=command)


def forest(judge: JudgeAudit) -> Figure | None:
    """A figure with the changes in levels that have a sign and an interval; None where there is none."""
    lines: list[tuple[Row, Measure | None]] = []
    for finding in judge.findings:
        kept = [m for m in finding.measures if _is_drawn(finding.probe, m)]
        if kept:
            lines.append((Row(finding.title, None), None))
            lines += [(Row(measure.name, f"{finding.probe}/{measure.name}"), measure) for measure in kept]
    if not lines:
        return None
    with style():
        figure, axes = new_rows([row for row, _ in lines], WIDE, gutter=260, right=40, xlabel="levels")
        axes.axvline(0, color=MUTED, linewidth=1)
        for y, (_, measure) in enumerate(lines):
            if measure is None or measure.value is None or measure.low is None or measure.high is None:
                continue
            colour = BAD if measure.low > 0 or measure.high < 0 else GOOD
            at = line_of(axes, y)
            axes.plot([measure.low, measure.high], [at, at], color=colour, linewidth=2)
            axes.plot([measure.value], [at], "o", color=colour, markersize=6)
    return figure


def _is_drawn(probe: str, measure: Measure) -> bool:
    if measure.unit != "levels" or measure.value is None or measure.low is None or probe not in _SIGNED:
        return False
    return probe != "paraphrase" or measure.name == SIGNED


def _facts(audit: Audit) -> list[Fact]:
    if len(audit.judges) != 1:
        return []
    found = {finding.probe: finding for finding in audit.judges[0].findings}
    made = []
    for probe, name in (("length", "Filler adds"), ("format", "Dress moves"), ("attack", "Gaming words gain")):
        measure = found[probe].number if probe in found else None
        if measure is not None and measure.value is not None:
            what = f": {measure.name}" if probe in _PICKED else ""
            made.append(Fact(name, number(measure.value, signed=True), f"levels, {_span(measure)}{what}"))
    return made


def _blocks(finding: Finding, judge: str) -> list[Block]:
    title = f"{judge}: {finding.title}" if judge else finding.title
    notes = (finding.reading, *((finding.absent,) if finding.absent else ()))
    rows = tuple(
        (m.name, (cell(m), GridCell(words=_UNITS[m.unit]), GridCell(float(m.n), digits=0))) for m in finding.measures
    )
    blocks: list[Block] = (
        [Grid(title, ("measure", "value", "unit", "n"), rows, notes)] if rows else [Words(title, notes)]
    )
    if finding.example is not None:
        e = finding.example
        gap = f"{number(e.score_before)} to {number(e.score_after)}"
        parts = (("Instruction", _cut(e.instruction)), (f"Before: {number(e.score_before)}", _cut(e.before)),
                 (f"After: {number(e.score_after)}", _cut(e.after, at_end=True)))  # fmt: skip
        blocks.append(Samples(f"Example: {e.what}", (Sample(f"score {gap}", parts),)))
    return blocks


def _fenced(example: Example) -> str:
    scores = f"{number(example.score_before)} to {number(example.score_after)}"
    texts = (("instruction", example.instruction), ("before", example.before), ("after", example.after))
    shown = "\n".join(
        f"[{name}] {_cut(text, at_end=name == 'after')}" for name, text in texts
    )  # fmt: skip
    # Indented, so that no sign in a text can end the block.
    block = "\n".join(f"    {line}" for line in shown.split("\n"))
    return f"Example, {example.what}: {scores}.\n\n{block}"


def _listed(measures: Sequence[Measure]) -> list[tuple[str, str]]:
    made = []
    for m in measures:
        shown = f"{number(m.value)} {_UNITS[m.unit] if m.unit == 'levels' else ''}".strip()
        made.append((m.name, f"{shown}{f' ({_span(m)})' if _span(m) else ''}, n = {m.n:,}"))
    return made


def _number_cell(finding: Finding) -> GridCell:
    if finding.number is None or finding.number.value is None:
        return GridCell(words="cannot be told")
    return cell(finding.number)._replace(words=finding.number.name if finding.probe in _PICKED else "")


def _span(measure: Measure) -> str:
    if measure.low is None or measure.high is None:
        return ""
    return f"{number(measure.low)} to {number(measure.high)}"


def _counted(material: Material) -> str:
    pairs = f" in {len(material.pairs):,} pairs" if material.pairs else ""
    left = f" ({material.left_out:,} rows left out by the limit)" if material.left_out else ""
    return f"{len(material.exchanges):,} exchanges{pairs} from {material.name}{left}."


def _cut(text: str, *, at_end: bool = False) -> str:
    if len(text) <= _SHOWN:
        return text or "(empty)"
    if at_end:
        half = _SHOWN // 2
        return f"{text[:half]} … {text[-half:]}"
    return f"{text[:_SHOWN]} …"
