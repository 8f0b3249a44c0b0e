"""Figures of a collection: sources, categories, lengths, root verbs, duplicates between sources, reasons."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle, Wedge
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from selfj.collection.tally import NONE
from selfj.report.canvas import (
    BAD,
    GOOD,
    INK,
    LINE,
    MUTED,
    NARROW,
    PALETTE,
    PAPER,
    WIDE,
    new_axes,
    plot_width,
    say_nothing,
    short,
    style,
)

_COLOURS = {"common": GOOD, "coding": PALETTE["m2"], "academic": PALETTE["m1"], NONE: MUTED}
_SPARE = (PALETTE["m3"], PALETTE["m4"], PALETTE["m6"])
_WHEEL = (GOOD, PALETTE["m2"], PALETTE["m3"], PALETTE["m1"], PALETTE["m6"], PALETTE["m4"], BAD, PALETTE["m5"])
MOST_SOURCES = 60
MOST_CELLS = 24
"""Sources in the map of duplicates."""

Lengths = Mapping[str, Sequence[int]]
"""Rows by category and bin."""


def colour(category: str, known: Sequence[str]) -> str:
    """The colour of a category."""
    others = [name for name in known if name not in _COLOURS]
    return _COLOURS.get(category) or _SPARE[others.index(category) % len(_SPARE)]


def short_count(n: float) -> str:
    """A count in a few signs: 834,728 as `835k`.

    Example:
        >>> short_count(690), short_count(12_345), short_count(5_754_412)
        ('690', '12.3k', '5.75M')
    """
    for limit, unit in ((1e6, "M"), (1e3, "k")):
        if n >= 0.9995 * limit:
            value = n / limit
            return f"{value:.{max(0, 2 - int(math.log10(max(1.0, value * 1.0005))))}f}{unit}"
    return f"{n:,.0f}"


def _tick(value: float, _: int) -> str:
    unit, sign = (1e6, "M") if value >= 1e6 else (1e3, "k") if value >= 1e3 else (1, "")
    return f"{value / unit:g}{sign}"


@style()
def sources(
    rows: Sequence[tuple[str, Mapping[str, int], int | None]], categories: Sequence[str], *, width: int = WIDE
) -> Figure:
    """Draw the rows kept of every source as a bar in the colours of its categories.

    Args:
        rows: Name, rows by category, and the paper's rows where they are to be marked; the largest first.
        categories: In the order of the bars' pieces.
        width: In pixels.
    """
    narrow = width < 500
    rows = rows[:MOST_SOURCES]
    step, top, bottom = (36 if narrow else 23), 44, 44
    left, right = (8, 58) if narrow else (310, 70)
    height = top + bottom + step * max(1, len(rows))
    figure, axes = new_axes(width, height, left=left, right=right, top=top, bottom=bottom)
    most = max([sum(parts.values()) for _, parts, _ in rows] + [paper or 0 for *_, paper in rows], default=1) or 1
    axes.set(xlim=(0, 1.004 * most), ylim=(max(1, len(rows)) - 0.4, -0.6), yticks=[], xlabel="rows")
    axes.xaxis.set_major_formatter(FuncFormatter(_tick))
    axes.locator_params(axis="x", nbins=4 if narrow else 7)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    across = axes.get_yaxis_transform()
    for y, (name, parts, paper) in enumerate(rows):
        at, begin = (y + 0.18 if narrow else y), 0
        for category in categories:
            axes.barh(at, parts.get(category, 0), 0.44 if narrow else 0.62, begin, color=colour(category, categories))
            begin += parts.get(category, 0)
        if paper is not None:
            axes.plot([paper, paper], [at - 0.4, at + 0.4], color=INK, linewidth=1.6, solid_capstyle="butt")
        if narrow:
            axes.text(0, y - 0.28, short(name, 44), transform=across, va="center", fontsize=10.5, color=INK)
        else:
            axes.text(-8 / plot_width(axes), y, short(name, 46), transform=across, ha="right", va="center", fontsize=11)
        place = 1 + 6 / plot_width(axes)
        axes.text(place, at, short_count(begin), transform=across, va="center", fontsize=11, color=MUTED)
    _key(figure, categories, paper=any(paper is not None for *_, paper in rows))
    if not rows:
        say_nothing(axes)
    return figure


def _key(figure: Figure, categories: Sequence[str], *, paper: bool = False) -> None:
    """Write which colour is which category at the top of a figure."""
    width, height = (72 * side for side in figure.get_size_inches())
    x, y = 4.0, height - 16

    def piece(left: float, low: float, wide: float, high: float, tint: str) -> None:
        place = (left / width, low / height)
        figure.add_artist(
            Rectangle(place, wide / width, high / height, transform=figure.transFigure, facecolor=tint, linewidth=0)
        )

    for name in categories:
        piece(x, y - 5, 10, 10, colour(name, categories))
        figure.text((x + 15) / width, y / height, name, va="center_baseline", fontsize=11.5)
        x += 30 + 7.9 * len(name)
    if paper:
        piece(x + 3, y - 7, 1.8, 14, INK)
        figure.text((x + 12) / width, y / height, "the paper's rows", va="center_baseline", fontsize=11.5)


@style()
def pie(
    found: Mapping[str, int], paper: Mapping[str, int] | None, categories: Sequence[str], *, width: int = WIDE
) -> Figure:
    """Draw the shares of the categories; beside them those of the paper's collection.

    Args:
        found: Rows by category.
        paper: The paper's rows by category; None leaves its circle out.
        categories: In the order of the pieces.
        width: In pixels.
    """
    narrow = width < 500
    circles = [("this collection", found)] + ([("the paper", paper)] if paper else [])
    height = 330 * len(circles) if narrow else 340
    figure = Figure(figsize=(width / 72, height / 72), dpi=72)
    for place, (title, counts) in enumerate(circles):
        share = 1 / len(circles)
        box = (0, 1 - share * (place + 1), 1, share) if narrow else (place * share, 0, share, 1)
        axes = figure.add_axes(box)
        reach = 360 if narrow else width * share
        tall = height * share if narrow else height
        axes.set(xlim=(-reach / 2, reach / 2), ylim=(-tall / 2, tall / 2), aspect="equal")
        axes.axis("off")
        total = sum(counts.values())
        begin = 90.0
        for name in categories:
            part = counts.get(name, 0)
            if not part or not total:
                continue
            end = begin - 360 * part / total
            look: dict[str, Any] = {"facecolor": colour(name, categories), "edgecolor": PAPER, "linewidth": 2}
            axes.add_patch(Wedge((0, 0), 112, end, begin, width=46, alpha=1 if not place else 0.75, **look))
            _beside_wedge(axes, (begin + end) / 2, name, part / total)
            begin = end
        axes.text(0, 8, short_count(total), ha="center", va="center", fontsize=22, fontweight="bold", color=INK)
        axes.text(0, -16, title, ha="center", va="center", fontsize=11, color=MUTED)
    return figure


def _beside_wedge(axes: Any, angle: float, name: str, share: float) -> None:
    x, y = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    side = "left" if x > 0.2 else "right" if x < -0.2 else "center"
    drop = "bottom" if y > 0.7 else "top" if y < -0.7 else "center"
    axes.text(120 * x, 120 * y, f"{name}\n{100 * share:.1f} %", ha=side, va=drop, fontsize=11.5, color=INK)


@style()
def lengths(
    edges: Sequence[float], instruction: Lengths, reference: Lengths, categories: Sequence[str], *, width: int = WIDE
) -> Figure:
    """Draw how long instructions and references are, as shares of each category's rows, on a log scale.

    Args:
        edges: Ends of the bins in characters, shape (bins + 1,).
        instruction: Rows by category, each of shape (bins,).
        reference: The same.
        categories: In the order of the key.
        width: In pixels.
    """
    narrow = width < 500
    height = 560 if narrow else 310
    figure = Figure(figsize=(width / 72, height / 72), dpi=72)
    panels: list[tuple[str, Lengths]] = [("instruction", instruction), ("reference", reference)]
    shares = [n / max(1, sum(c)) for _, counts in panels for c in counts.values() for n in c]
    highest = 100 * 1.08 * max(shares, default=0.01)
    axes: Any = None
    for place, (title, counts) in enumerate(panels):
        margin = 46 / width
        if narrow:
            box = (margin, (50 + (1 - place) * 262) / height, 1 - margin - 0.03, 196 / height)
        else:
            wide = (width - 46 - 60 - 16) / 2 / width
            box = (margin + place * (wide + 60 / width), 50 / height, wide, (height - 50 - 42) / height)
        axes = figure.add_axes(box)
        for name in categories:
            total = sum(counts.get(name, ()))
            if total:
                heights = [100 * n / total for n in counts[name]]
                tint = colour(name, categories)
                axes.stairs(heights, edges, color=tint, linewidth=1.8)
                axes.stairs(heights, edges, color=tint, alpha=0.1, fill=True)
        axes.set_xscale("log")
        axes.set(xlim=(edges[0], edges[-1]), ylim=(0, highest), xlabel=f"characters of the {title}")
        ticks = [10**power for power in range(5) if edges[0] <= 10**power <= edges[-1]]
        axes.xaxis.set_major_locator(FixedLocator(ticks))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xticklabels([f"{tick:,}" for tick in ticks])
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} %"))
        axes.locator_params(axis="y", nbins=5)
        axes.grid(color=LINE)
        if not any(map(sum, counts.values())):
            say_nothing(axes)
    _key(figure, categories)
    return figure


@style()
def sunburst(verbs: Sequence[tuple[str, int, Sequence[tuple[str, int]]]], *, width: int = 760) -> Figure:
    """Draw root verbs as an inner ring and their nouns as an outer one; sizes are rows with the nouns shown.

    Args:
        verbs: Verb, its rows, and its most frequent nouns with theirs.
        width: In pixels; also the height.
    """
    figure = Figure(figsize=(width / 72, width / 72), dpi=72)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(-380, 380), ylim=(-380, 380), aspect="equal")
    axes.axis("off")
    total = sum(n for *_, nouns in verbs for _, n in nouns)
    if not total:
        axes.text(0, 0, "nothing to show", ha="center", color=MUTED)
        return figure
    scale = width / 760
    begin = 90.0
    for place, (verb, _, nouns) in enumerate(verbs):
        tint = _WHEEL[place % len(_WHEEL)]
        start = begin
        for noun, n in nouns:
            end = begin - 360 * n / total
            look: dict[str, Any] = {"facecolor": tint, "edgecolor": "none"}
            axes.add_patch(Wedge((0, 0), 372, end, begin, width=150, alpha=0.22, **look))
            axes.add_patch(Wedge((0, 0), 372, end, begin, width=150, facecolor="none", edgecolor=PAPER, linewidth=1))
            _inside(axes, begin, end, 297, 140, noun, INK, 11, scale)
            begin = end
        axes.add_patch(Wedge((0, 0), 220, begin, start, width=140, facecolor=tint, edgecolor=PAPER, linewidth=1.4))
        _inside(axes, start, begin, 150, 132, verb, PAPER, 12.5, scale, bold=True)
    return figure


def _inside(
    axes: Any, begin: float, end: float, radius: float, depth: float, word: str, ink: str, size: float, scale: float,
    *, bold: bool = False,
) -> None:  # fmt: skip
    """Write a word along the radius in the middle of a wedge, smaller where it must be, or not at all."""
    angle = (begin + end) / 2
    arc = radius * math.radians(begin - end)
    size = min(size * max(scale, 0.7), scale * arc / 1.15, scale * depth / (0.62 * max(1, len(word))))
    if size < 5.5:
        return
    turned = angle % 360
    turned = turned - 180 if 90 < turned < 270 else turned
    x, y = radius * math.cos(math.radians(angle)), radius * math.sin(math.radians(angle))
    look: dict[str, Any] = {"ha": "center", "va": "center_baseline", "rotation_mode": "anchor"}
    weight = "bold" if bold else "normal"
    axes.text(x, y, word, rotation=turned, color=ink, fontsize=size, fontweight=weight, **look)


@style()
def duplicates(found: Mapping[tuple[str, str], int], *, width: int = WIDE) -> Figure:
    """Draw how many rows of each source (lines) were dropped for a row of each source (columns).

    Args:
        found: Rows by the dropped row's source and the kept row's.
        width: In pixels.
    """
    narrow = width < 500
    totals: dict[str, int] = {}
    for (own, other), n in found.items():
        for name in {own, other}:
            totals[name] = totals.get(name, 0) + n
    names = sorted(totals, key=lambda name: (-totals[name], name))[: 10 if narrow else MOST_CELLS]
    left, right = (112, 44) if narrow else (230, 60)
    signs = 15 if narrow else 32
    top = round(24 + 5.4 * min(signs, max(map(len, names), default=0)))
    cell = min(44.0, (width - left - right) / max(1, len(names)))
    side = cell * max(1, len(names))
    height = round(top + side + 16)
    figure, axes = new_axes(width, height, left=left, right=round(width - left - side), top=top, bottom=16)
    axes.set(xlim=(-0.5, len(names) - 0.5), ylim=(len(names) - 0.5, -0.5), xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_visible(False)
    most = max(found.values(), default=1)
    size = max(7.0, min(11.0, cell / 3.4))
    for y, own in enumerate(names):
        for x, other in enumerate(names):
            n = found.get((own, other), 0)
            axes.add_patch(Rectangle((x - 0.48, y - 0.48), 0.96, 0.96, facecolor=LINE, alpha=0.35, linewidth=0))
            if n:
                depth = 0.12 + 0.88 * math.log1p(n) / math.log1p(most)
                axes.add_patch(
                    Rectangle((x - 0.48, y - 0.48), 0.96, 0.96, facecolor=GOOD, alpha=round(depth, 3), linewidth=0)
                )
                if cell >= 24:
                    ink = PAPER if depth > 0.55 else INK
                    axes.text(x, y, short_count(n), ha="center", va="center", fontsize=size, color=ink)
        axes.text(-0.65, y, short(own, signs), ha="right", va="center", fontsize=min(11, cell * 0.8), color=INK)
        look: dict[str, Any] = {"rotation": 55, "rotation_mode": "anchor", "ha": "left", "va": "center"}
        axes.text(y, -0.7, short(own, signs), fontsize=min(11, cell * 0.8), color=INK, **look)
    if not names:
        say_nothing(axes)
    return figure


@style()
def reasons(rows: Sequence[tuple[str, int]], *, width: int = WIDE) -> Figure:
    """Draw how many rows each reason dropped.

    Args:
        rows: Reason and rows, the most frequent first.
        width: In pixels.
    """
    narrow = width < 500
    left, right = (150, 56) if narrow else (250, 80)
    figure, axes = new_axes(width, 60 + 26 * max(1, len(rows)), left=left, right=right, top=10, bottom=46)
    most = max((n for _, n in rows), default=1)
    axes.set(xlim=(0, most), ylim=(max(1, len(rows)) - 0.4, -0.6), yticks=[], xlabel="rows dropped")
    axes.xaxis.set_major_formatter(FuncFormatter(_tick))
    axes.locator_params(axis="x", nbins=3 if narrow else 7)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    across = axes.get_yaxis_transform()
    for y, (name, n) in enumerate(rows):
        axes.barh(y, n, 0.6, color=BAD)
        said = name.replace("_", " ")
        axes.text(-8 / plot_width(axes), y, short(said, 30), transform=across, ha="right", va="center", fontsize=11.5)
        place = 1 + 6 / plot_width(axes)
        axes.text(place, y, short_count(n), transform=across, va="center", fontsize=11, color=MUTED)
    if not rows:
        say_nothing(axes)
    return figure


__all__ = ["NARROW", "WIDE", "colour", "duplicates", "lengths", "pie", "reasons", "short_count", "sources", "sunburst"]
