"""The figures of a report but `training`, each drawn for wide and narrow pages with matplotlib's object API."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from selfj.report import Group, Method, Report
from selfj.report.canvas import (
    BAD,
    GOOD,
    HALF,
    INK,
    LINE,
    MUTED,
    NARROW,
    PALETTE,
    PAPER,
    WIDE,
    Row,
    line_of,
    new_axes,
    new_rows,
    plot_width,
    say_nothing,
    short,
    style,
    to_png,
    to_svg,
    write_beside,
)
from selfj.report.text import BOUNDS, JUDGE, grouped, known, number, percent, value_of

__all__ = [
    "HALF",
    "NARROW",
    "WIDE",
    "calibration",
    "fold",
    "groups",
    "methods",
    "risk_coverage",
    "score_histogram",
    "to_png",
    "to_svg",
]

MAX_GROUPS = 40
HEADINGS = {
    "without reference": "without the reference",
    "with reference": "with the reference",
    "bounds": "floor and ceiling",
}
COLOURS = {
    "ppl": "m1",
    "vro": "m2",
    "self_eval": "m3",
    "length": "m4",
    "judge_cosine": "m5",
    "judge_self_eval": "m6",
}
DASHES: tuple[Any, ...] = (
    "-",
    (0, (5, 2)),
    (0, (3, 1.5, 1, 1.5)),
    (0, (1.5, 1.5)),
    (0, (8, 2)),
    (0, (6, 2, 1, 2)),
)


@style()
def risk_coverage(report: Report, *, width: int = WIDE) -> Figure:
    """Draw the failure rate among answers against the share answered, with the promise and the threshold."""
    narrow = width < 500
    keys = [key for group, keys in grouped(report) if group != "with reference" for key in keys]
    keys = [key for key in keys if _points(report, key)]
    height = 340 + 20 * -(-len(keys) // 2) if narrow else 410
    right, bottom = (22, height - 290) if narrow else (220, 46)
    figure, axes = new_axes(width, height, left=60, right=right, top=30, bottom=bottom)
    top = _risk_top(report, keys)
    bound = report["selective"]["max_risk"]
    axes.axhspan(0, bound, color=PALETTE["band"], linewidth=0)
    axes.axhline(bound, color=GOOD, linewidth=1, linestyle=(0, (4, 3)))
    promised = "promised" if report["selective"]["infeasible"] is None else "asked for"
    text = f"{promised}: at most {percent(bound)}"
    above = bound < 0.08 * top
    axes.text(0.99, bound, text, color=GOOD, ha="right", va="bottom" if above else "top", fontsize=11)
    for index, key in enumerate(keys):
        coverage, risk = np.array(_points(report, key)).T
        title = short(report["methods"][key]["title"], 20 if narrow else 27)
        marker = "o" if len(risk) == 1 else ""
        axes.plot(coverage, risk, marker=marker, label=title, **_line(key, index))
    if not keys:
        say_nothing(axes)
    point = report["threshold_point"]
    if point is not None and None not in (known(point["coverage"]), known(point["risk"])):
        x, y = point["coverage"], point["risk"]
        axes.plot([x, x], [0, top], color=INK, linewidth=1, linestyle=(0, (4, 2)))
        look = {"color": INK, "markersize": 8, "markeredgecolor": PAPER, "markeredgewidth": 1.5}
        axes.plot([x], [y], "o", zorder=5, **look)
        note = f"{'' if narrow else 'threshold: '}answers {percent(x)}, {percent(y)} of them fail"
        # The words are centred on the line, unless they would leave the figure.
        reach = 3.8 * len(note) / plot_width(axes)
        place = x if reach < x < 1 - reach else (0 if x <= reach else 1)
        side = "center" if place == x else ("left" if place == 0 else "right")
        axes.text(place, 1.02, note, transform=axes.transAxes, ha=side, va="bottom", fontweight="bold")
    axes.set(xlim=(0, 1), ylim=(0, top))
    axes.set(xlabel="share of questions answered", ylabel="failures among answers")
    axes.xaxis.set_major_formatter(PercentFormatter(1, 0, " %"))
    axes.yaxis.set_major_formatter(PercentFormatter(1, 0, " %"))
    axes.grid(axis="y")
    if keys and narrow:
        below = {"loc": "upper left", "bbox_to_anchor": (-0.2, -0.16), "ncols": 2}
        axes.legend(handlelength=1.8, columnspacing=1, **below)
    elif keys:
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), handlelength=2.4, labelspacing=0.7)
    return figure


@style()
def calibration(report: Report, *, width: int = HALF) -> Figure:
    """Draw the mean quality found at each score; on the diagonal the score means what it says."""
    figure, axes = new_axes(width, 340, left=44, right=14, top=14, bottom=46)
    axes.plot([0, 9], [0, 9], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    axes.text(0.2, 9.1, "too strict", color=MUTED, fontsize=11, va="top")
    axes.text(8.8, 0.2, "too kind", color=MUTED, fontsize=11, ha="right", va="bottom")
    found = [
        (9 * predicted, 9 * observed, entry["n"])
        for entry in report["calibration"]["bins"]
        if (predicted := known(entry["predicted"])) is not None
        and (observed := known(entry["observed"])) is not None
        and entry["n"] > 0
    ]
    if found:
        predicted, observed, n = np.array(sorted(found)).T
        axes.plot(predicted, observed, color=GOOD, linewidth=1.5)
        axes.scatter(predicted, observed, s=24 + 260 * n / n.max(), color=GOOD, edgecolors=PAPER, zorder=3)
    else:
        say_nothing(axes)
    axes.set(xlim=(0, 9), ylim=(0, 9.3), xlabel="the judge's score", ylabel="mean quality found")
    axes.set(xticks=range(0, 10, 3), yticks=range(0, 10, 3))
    axes.grid(axis="both")
    return figure


@style()
def score_histogram(report: Report, *, width: int = HALF) -> Figure:
    """Draw how many good answers (upwards) and failures (downwards) got each score, with the threshold."""
    figure, axes = new_axes(width, 340, left=44, right=14, top=14, bottom=46)
    histogram = report["histogram"]
    edges = np.array(histogram["edges"], dtype=float)
    good, bad = np.array(histogram["good"], dtype=float), np.array(histogram["bad"], dtype=float)
    peak = max([1.0, *good, *bad])
    if len(edges) > 1:
        widths, gap = np.diff(edges), 0.06 * np.diff(edges)
        bars = {"x": edges[:-1] + gap, "width": widths - 2 * gap, "align": "edge"}
        axes.bar(height=good, color=GOOD, **bars)
        axes.bar(height=-bad, color=BAD, **bars)
    else:
        say_nothing(axes)
    low, high = (float(edges[0]), float(edges[-1])) if len(edges) > 1 else (0.0, 9.0)
    threshold = known(report["selective"]["threshold"])
    if threshold is not None:
        axes.plot([threshold] * 2, [-1.2 * peak, 1.27 * peak], color=INK, linewidth=1, linestyle=(0, (4, 2)))
        for side, text, step in (("right", "declined", -1), ("left", "answered", 1)):
            room = threshold - low if step < 0 else high - threshold
            if room > 0.2 * (high - low):
                place = {"xytext": (6 * step, 0), "textcoords": "offset points", "ha": side, "va": "top"}
                axes.annotate(text, (threshold, 1.24 * peak), **place)
    axes.axhline(0, color=MUTED, linewidth=1)
    axes.text(low, 1.08 * peak, "good ↑", color=GOOD, fontweight="bold", va="top")
    axes.text(low, -1.17 * peak, "failures ↓", color=BAD, fontweight="bold", va="bottom")
    axes.set(xlim=(low - 0.1, high + 0.1), ylim=(-1.22 * peak, 1.3 * peak))
    axes.set(xlabel="the judge's score", ylabel="test questions")
    axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.yaxis.set_major_formatter(lambda value, _: f"{abs(value):.0f}")
    axes.grid(axis="y")
    return figure


@style()
def methods(report: Report, *, width: int = WIDE) -> Figure:
    """Draw each method's Pearson correlation with its interval, methods that read the reference apart."""
    rows: list[Row] = []
    for group, keys in grouped(report):
        rows += [Row(HEADINGS[group], None), *(Row(report["methods"][key]["title"], key) for key in keys)]
    figure, axes = new_rows(rows, width, gutter=250, right=56, xlabel="Pearson correlation with the quality")
    lowest = min([0.0, *(known(method["pearson"]["low"]) or 0.0 for method in report["methods"].values())])
    axes.set_xlim(max(-1.05, min(-0.05, lowest - 0.05)), 1.05)
    axes.axvline(0, color=MUTED, linewidth=1)
    for y, row in enumerate(rows):
        if row.key is not None:
            _dot(axes, y, row.key, report["methods"][row.key])
    return figure


@style()
def groups(report: Report, *, width: int = WIDE) -> Figure:
    """Draw, per group, the share of good answers among all and among those given, and the share answered."""
    shown = fold(report["groups"])
    categories = sorted({entry["category"] or "" for entry in shown})
    rows: list[Row] = []
    entries: dict[int, Group] = {}
    for category in categories:
        if len(categories) > 1:
            rows.append(Row(category or "other", None))
        for entry in sorted((e for e in shown if (e["category"] or "") == category), key=_by_accuracy):
            entries[len(rows)] = entry
            rows.append(Row(entry["group"], entry["group"]))
    label = "share of answers that are good"
    figure, axes = new_rows(rows, width, gutter=250, right=130, xlabel=label, head="answered")
    axes.set_xlim(-0.02, 1.02)
    axes.xaxis.set_major_formatter(PercentFormatter(1, 0, " %"))
    for side in ("all answered", "those answered") if entries else ():
        axes.plot([], [], "o", label=side, **_circle(side == "those answered"))
    if entries:
        above = {"loc": "lower left", "bbox_to_anchor": (-0.02, 1), "ncols": 2, "borderaxespad": 0}
        axes.legend(handletextpad=0.2, columnspacing=1, **above)
    for y, entry in entries.items():
        _dumbbell(axes, y, known(entry["accuracy"]), known(entry["risk"]))
        share = known(entry["coverage"])
        write_beside(axes, y, percent(share, 0), 78 if width >= 500 else 0)
        if width >= 500 and share is not None:
            _bar(axes, y, share)
    return figure


def fold(found: Sequence[Group], most: int = MAX_GROUPS) -> list[Group]:
    """Keep the largest groups and pool the rest into one, weighting by rows."""
    if len(found) <= most:
        return list(found)
    ranked = sorted(found, key=lambda entry: (-entry["n"], entry["group"]))
    kept, rest = ranked[: most - 1], ranked[most - 1 :]
    n = sum(entry["n"] for entry in rest)
    answered = [(known(entry["coverage"]) or 0.0) * entry["n"] for entry in rest]
    pooled: Group = {
        "group": f"{len(rest)} smaller groups",
        "category": None,
        "n": n,
        "accuracy": _mean([entry["accuracy"] for entry in rest], [entry["n"] for entry in rest]),
        "coverage": _mean([entry["coverage"] for entry in rest], [entry["n"] for entry in rest]),
        "risk": _mean([entry["risk"] for entry in rest], answered),
        "pearson": None,
    }
    return [*kept, pooled]


def _dot(axes: Any, y: float, key: str, method: Method) -> None:
    value = value_of(method, "pearson")
    apart = method["group"] == "with reference"
    colour = MUTED if apart or key in BOUNDS else GOOD if key == JUDGE else INK
    write_beside(axes, y, number(value), 44 if axes.bbox.width >= 400 else 0)
    if value is None:
        return
    low, high = known(method["pearson"]["low"]), known(method["pearson"]["high"])
    y = line_of(axes, y)
    if low is not None and high is not None:
        thick = 3 if key == JUDGE else 1.8
        axes.plot([low, high], [y, y], color=colour, linewidth=thick, solid_capstyle="round")
    size = 11 if key == JUDGE else 8
    look = {"markersize": size - 2 * apart, "markeredgewidth": 1.6, "zorder": 3}
    inside = PAPER if apart or key in BOUNDS else colour
    axes.plot([value], [y], "D" if apart else "o", color=colour, markerfacecolor=inside, **look)


def _bar(axes: Any, y: float, share: float) -> None:
    """Draw a share as a small bar in the right margin."""
    left, full = 1 + 16 / plot_width(axes), 56 / plot_width(axes)
    look = {"linewidth": 5, "solid_capstyle": "butt", "clip_on": False}
    for end, colour in ((1.0, LINE), (share, GOOD)):
        axes.plot([left, left + end * full], [y, y], color=colour, transform=axes.get_yaxis_transform(), **look)


def _dumbbell(axes: Any, y: float, everything: float | None, risk: float | None) -> None:
    y = line_of(axes, y)
    if everything is not None and risk is not None:
        colour = GOOD if 1 - risk >= everything else BAD
        axes.plot([everything, 1 - risk], [y, y], color=colour, linewidth=2, alpha=0.45)
    if everything is not None:
        axes.plot([everything], [y], "o", **_circle(False))
    if risk is not None:
        axes.plot([1 - risk], [y], "o", **_circle(True))


def _circle(filled: bool) -> dict[str, Any]:
    if filled:
        return {"color": GOOD, "markersize": 9, "zorder": 4}
    return {"color": MUTED, "markersize": 8, "markerfacecolor": PAPER, "markeredgewidth": 1.6, "zorder": 3}


def _points(report: Report, key: str) -> list[tuple[float, float]]:
    curve = report["curves"].get(key, {"coverage": [], "risk": []})
    pairs = zip(curve["coverage"], curve["risk"], strict=True)
    return [(x, y) for x, y in pairs if known(x) is not None and known(y) is not None]


def _risk_top(report: Report, keys: Sequence[str]) -> float:
    """Leave out the restless start of the curves, where one failure among few answers reaches any height."""
    settled = [y for key in keys for x, y in _points(report, key) if x >= 0.1]
    return min(1.02, max(1.6 * report["selective"]["max_risk"], 1.12 * max(settled, default=0.0)))


def _line(key: str, index: int) -> dict[str, Any]:
    if key == JUDGE:
        return {"color": GOOD, "linewidth": 3, "zorder": 4}
    if key in BOUNDS:
        return {"color": MUTED, "linewidth": 1.3, "linestyle": (0, (1, 2) if key == "random" else (6, 3))}
    names = list(COLOURS.values())
    place = names.index(COLOURS[key]) if key in COLOURS else index % len(names)
    return {"color": PALETTE[names[place]], "linewidth": 1.6, "linestyle": DASHES[place]}


def _by_accuracy(entry: Group) -> tuple[bool, float, str]:
    accuracy = known(entry["accuracy"])
    return accuracy is None, -(accuracy or 0.0), entry["group"]


def _mean(values: Sequence[float | None], weights: Sequence[float]) -> float | None:
    pairs = zip(map(known, values), weights, strict=True)
    defined = [(value, weight) for value, weight in pairs if value is not None]
    total = sum(weight for _, weight in defined)
    return sum(value * weight for value, weight in defined) / total if total else None
