"""Picks of best of N as a file of rows, and what they gain as tables, sentences, a figure and files."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from selfj.files import write_json, write_text, writing
from selfj.judging.rows import KEY
from selfj.ranking import figures
from selfj.ranking.pages import (
    cell,
    check_free,
    digits_for,
    exact,
    plain_faults,
    plain_interval,
    told_faults,
    write_grids,
    write_png,
)
from selfj.ranking.reranked import ORACLE, RANDOM, Curve, Pick, Reranking
from selfj.report.grid import Grid, GridCell
from selfj.report.sheet import Block, Fact, Picture, Words, render_sheet
from selfj.report.text import number, percent

TITLE = "The best of several candidates"
_FILES = ("picks.jsonl", "rerank.json", "rerank.csv", "rerank.md", "rerank.tex", "rerank.html")


def gain_grid(found: Reranking) -> Grid:
    """Mean gold of each way to pick, by the number of candidates."""
    sizes = [point.size for point in found.curves[0].points] if found.curves else []
    digits = max(2, digits_for(point.gold.value for curve in found.curves for point in curve.points))
    rows = []
    for curve in found.curves:
        last = curve.points[-1]
        cells = [cell(point.gold, digits) for point in curve.points]
        cells += [GridCell(words="–") if curve.scorer == RANDOM else cell(last.gain, digits), cell(last.win_rate, 3)]
        rows.append((curve.title, tuple(cells)))
    headers = ("pick by", *(f"of {size}" for size in sizes), f"gain at {sizes[-1]}", f"win rate at {sizes[-1]}")
    notes = (
        f"Mean {found.gold} of the pick out of so many candidates drawn at random, over {found.used:,} instructions "
        f"that have at least {sizes[-1]} with {found.gold}; expectations over all draws are exact. Intervals: "
        f"{found.draws:,} resamples of the instructions. Win rate: against one random candidate, ties half.",
    )
    return Grid(f"Mean {found.gold} of the pick", headers, tuple(rows), notes)


def sentences(found: Reranking) -> tuple[str, ...]:
    """What a person should know beside the table."""
    ties = sum(pick.tied > 1 for pick in found.picks)
    told = [f"{len(found.picks):,} of {found.instructions:,} instructions have a pick by {found.title}."]
    told += [f"For {ties:,} of them several candidates share the highest score; the first is picked."] if ties else []
    if found.unscored:
        told.append(f"Without a pick, because no candidate has a score: {len(found.unscored):,} instructions.")
    if found.reasons:
        told.append(
            f"Candidates without a score: {', '.join(f'{n:,} {reason}' for reason, n in found.reasons.items())}."
        )
    if found.without_gold:
        told.append(f"Candidates without a number as {found.gold}, which are in no mean: {found.without_gold:,}.")
    judge = next((curve for curve in found.curves if curve.scorer == found.judge), None)
    if judge is not None and judge.points[-1].size > 1:
        point = judge.points[-1]
        told.append(
            f"Out of {point.size} the pick gains {number(point.gain.value, 3, signed=True)} {found.gold} over a random "
            f"candidate, and is better than one {percent(point.win_rate.value)} of the time."
        )
    elif judge is not None:
        told.append("Most instructions have one candidate only, so there is nothing to gain.")
    return (*told, *told_faults(found.faults, found.where))


def write_reranking(found: Reranking, out: str | Path, *, inputs: Sequence[str | Path] = (), command: str = "") -> Path:
    """Write the picks, and with gold the page of what they gain; the same result gives the same bytes.

    Args:
        found: From `rerank`.
        out: Folder.
        inputs: Files that must not be written over.
        command: What makes the page again, for its foot.

    Returns:
        The page, `rerank.html`.

    Raises:
        ConfigError: An input would be written over.
        ArtefactError: A file cannot be written.
    """
    folder = Path(out)
    check_free(folder, _FILES, inputs)
    with writing(folder / "picks.jsonl") as handle:
        for pick in found.picks:
            handle.write(json.dumps(_line(pick, found.judge), allow_nan=False).encode() + b"\n")
    told = sentences(found)
    grids = [gain_grid(found)] if found.curves else []
    write_json(folder / "rerank.json", plain(found))
    write_text(folder / "rerank.csv", curve_grid(found.curves).csv())
    write_grids(folder / "rerank", TITLE, grids, told)
    blocks: list[Block] = [*grids]
    if found.curves:
        figure = figures.gains(found.curves, found.gold or "gold")
        caption = (
            "How the mean quality of the pick grows with the number of candidates to pick from. A random sample stays "
            "level, the oracle knows the quality; bands are 95 % intervals over instructions."
        )
        blocks.append(Picture("Gain with the number of candidates", figure, caption))
        write_png(folder / "rerank_gain.png", figure)
    blocks.append(Words("In words", told))
    lead = f"{found.candidates:,} candidates for {found.instructions:,} instructions, picked by {found.title}."
    page = folder / "rerank.html"
    write_text(page, render_sheet(TITLE, lead, blocks, facts=_facts(found), command=command))
    return page


def curve_grid(curves: Sequence[Curve]) -> Grid:
    """Every point of every curve on a row of its own; for CSV."""
    rows = [
        (curve.title, (GridCell(point.size), cell(point.gold), cell(point.gain), cell(point.win_rate)))
        for curve in curves
        for point in curve.points
    ]
    return Grid("Points", ("pick by", "candidates", "gold", "gain", "win rate"), tuple(rows))


def plain(found: Reranking) -> dict[str, Any]:
    """What was found as plain data; the picks are in their own file."""
    return {
        "judge": found.judge,
        "gold": found.gold,
        "instructions": found.instructions,
        "candidates": found.candidates,
        "picks": len(found.picks),
        "unscored": [
            {"instruction": item.instruction, "candidates": item.candidates, "reasons": dict(item.reasons)}
            for item in found.unscored
        ],
        "no_score": dict(found.reasons),
        "no_gold": found.without_gold,
        "instructions_in_curves": found.used,
        "resamples": found.draws,
        "seed": found.seed,
        "curves": [
            {
                "scorer": curve.scorer,
                "title": curve.title,
                "points": [
                    {
                        "candidates": point.size,
                        "gold": plain_interval(point.gold),
                        "gain": plain_interval(point.gain),
                        "win_rate": plain_interval(point.win_rate),
                    }
                    for point in curve.points
                ],
            }
            for curve in found.curves
        ],
        "left_out": plain_faults(found.faults, found.where),
    }


def _line(pick: Pick, judge: str) -> dict[str, Any]:
    told = {
        "score": exact(pick.score),
        "judge": judge,
        "candidates": pick.candidates,
        "scored": pick.scored,
        "tied": pick.tied,
    }
    return {**{name: _plain_value(value) for name, value in pick.row.items() if name != KEY}, KEY: told}


def _plain_value(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, Mapping):
        return {str(name): _plain_value(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain_value(item) for item in value]
    return str(value)


def _facts(found: Reranking) -> list[Fact]:
    facts = [Fact("Picks", f"{len(found.picks):,}", f"of {found.instructions:,} instructions")]
    for curve in found.curves:
        if curve.scorer in (found.judge, ORACLE) and curve.points[-1].size > 1:
            point = curve.points[-1]
            note = f"mean {found.gold} over a random candidate, out of {point.size}"
            facts.append(Fact(curve.title, number(point.gain.value, 3, signed=True), note))
    return facts
