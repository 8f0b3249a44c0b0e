"""Figures of a ranking and of best of N."""

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from selfj.ranking.ranked import RankedModel, ScorerRanking
from selfj.ranking.reranked import ORACLE, RANDOM, Curve
from selfj.report.canvas import BAD, GOOD, INK, LINE, MUTED, PALETTE, PAPER, WIDE, new_axes, say_nothing, short, style

_SIDE = 560
_MOST_NAMED = 12


@style()
def models(ranking: ScorerRanking, *, width: int = WIDE) -> Figure:
    """Draw every model's mean with its interval, the best at the top; open circles hold length equal."""
    rows = [model for model in ranking.models if not math.isnan(model.mean.value)]
    step = 24 if len(rows) <= 40 else 15
    size = 12 if len(rows) <= 40 else 10
    figure, axes = new_axes(width, 66 + step * max(1, len(rows)), left=270, right=24, top=12, bottom=54)
    controlled = any(not math.isnan(model.controlled.value) for model in rows)
    for y, model in enumerate(rows):
        if not math.isnan(model.mean.low):
            axes.plot([model.mean.low, model.mean.high], [y, y], color=GOOD, linewidth=2, solid_capstyle="butt")
        if controlled:
            look = {"markerfacecolor": PAPER, "markeredgecolor": BAD, "markeredgewidth": 1.3, "markersize": 5}
            axes.plot([model.controlled.value], [y], "o", **look)
        axes.plot([model.mean.value], [y], "o", color=GOOD, markersize=6, markeredgecolor=PAPER, markeredgewidth=1)
        across = axes.get_yaxis_transform()
        axes.text(-0.012, y, short(model.name, 38), transform=across, ha="right", va="center", color=INK, fontsize=size)
    named = f"mean score by {ranking.title}" + (", open: with length held equal" if controlled else "")
    axes.set(ylim=(max(1, len(rows)) - 0.4, -0.6), yticks=[], xlabel=named)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    if not rows:
        say_nothing(axes)
    return figure


@style()
def scatter(ranking: ScorerRanking, column: str, note: str, *, width: int = WIDE) -> Figure:
    """Draw each model's value on the leaderboard against its mean score."""
    rows = [model for model in ranking.models if not math.isnan(model.mean.value) and not math.isnan(model.value)]
    figure, axes = new_axes(width, _SIDE, left=66, right=30, top=34, bottom=54)
    for model in rows:
        if not math.isnan(model.mean.low):
            ends = [model.mean.low, model.mean.high]
            axes.plot(ends, [model.value] * 2, color=PALETTE["m5"], linewidth=1, alpha=0.6)
    look: dict[str, Any] = {"markersize": 6, "markeredgecolor": PAPER, "markeredgewidth": 0.8}
    axes.plot([m.mean.value for m in rows], [m.value for m in rows], "o", color=GOOD, **look)
    axes.set(xlabel=f"mean score by {ranking.title}", ylabel=column)
    axes.grid()
    axes.margins(0.06)
    _name(axes, rows)
    axes.text(0, 1.02, note, transform=axes.transAxes, ha="left", va="bottom", fontweight="bold")
    if not rows:
        say_nothing(axes)
    return figure


def _name(axes: Any, rows: Sequence[RankedModel]) -> None:
    """Name the models whose places differ most, where the name runs into no other name and no dot."""
    axes.autoscale_view()
    by_score = {model.name: place for place, model in enumerate(rows)}
    by_value = sorted(rows, key=lambda model: (-model.value, model.name))
    off = {model.name: by_score[model.name] - place for place, model in enumerate(by_value)}
    at = {model.name: axes.transData.transform((model.mean.value, model.value)) for model in rows}
    boxes = [(float(x) - 4, float(x) + 4, float(y)) for x, y in at.values()]
    named = 0
    for model in sorted(rows, key=lambda model: (-abs(off[model.name]), model.name)):
        x, y = (float(side) for side in at[model.name])
        text = short(model.name, 26)
        reach = 6.0 * len(text)
        for side, start in (("left", x + 8), ("right", x - 8 - reach)):
            end = start + reach
            inside = axes.bbox.x0 < start and end < axes.bbox.x1
            # Above the line of the dot, so that no interval strikes the name out.
            above = y + 8
            if not inside or any(abs(above - c) < 12 and start < b and a < end for a, b, c in boxes):
                continue
            boxes.append((start, end, above))
            place = (5 if side == "left" else -5, 8)
            look: dict[str, Any] = {"fontsize": 10, "color": MUTED, "va": "center", "ha": side}
            axes.annotate(text, (model.mean.value, model.value), place, textcoords="offset points", **look)
            named += 1
            break
        if named == _MOST_NAMED:
            return


@style()
def gains(curves: Sequence[Curve], gold: str, *, width: int = WIDE) -> Figure:
    """Draw the mean gold of each way to pick against the number of candidates."""
    figure, axes = new_axes(width, 420, left=70, right=230, top=20, bottom=50)
    ends: list[tuple[float, str, str]] = []
    colours = {RANDOM: MUTED, ORACLE: INK, "length": PALETTE["m4"]}
    spare = iter([GOOD, *(PALETTE[f"m{number}"] for number in (1, 2, 3, 5, 6))])
    for curve in curves:
        colour = colours.get(curve.scorer) or next(spare, BAD)
        sizes = [point.size for point in curve.points]
        gold_means = [point.gold.value for point in curve.points]
        bound = curve.scorer in (RANDOM, ORACLE)
        dashes: Any = (0, (5, 3)) if bound else "-"
        if not bound:
            low = [point.gold.low for point in curve.points]
            axes.fill_between(sizes, low, [p.gold.high for p in curve.points], color=colour, alpha=0.12, linewidth=0)
        axes.plot(sizes, gold_means, marker="o", markersize=5, color=colour, linestyle=dashes)
        ends.append((gold_means[-1], curve.title, colour))
    sizes = [point.size for point in curves[0].points] if curves else [1]
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(FixedLocator(sizes))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels([str(size) for size in sizes])
    axes.set(xlabel="candidates to pick from", ylabel=f"mean {gold} of the pick")
    axes.grid(color=LINE)
    _beside(axes, ends)
    return figure


def _beside(axes: Any, ends: Sequence[tuple[float, str, str]]) -> None:
    """Write each curve's name at its end, moved apart where they would touch."""
    low, high = axes.get_ylim()
    step = 18 * (high - low) / float(axes.bbox.height)
    places: list[float] = []
    for value, title, colour in sorted(ends):
        place = value if not places else max(value, places[-1] + step)
        places.append(place)
        axes.annotate(
            short(title, 28),
            (1, place),
            (10, 0),
            axes.get_yaxis_transform(),
            "offset points",
            color=colour,
            va="center",
        )
