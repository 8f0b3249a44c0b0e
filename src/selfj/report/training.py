"""How the judge learned: the loss and what the validation said, from the judge's manifest to a figure."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from selfj.report import Report, Training, ValidationPoint
from selfj.report.canvas import GOOD, INK, MUTED, PALETTE, PAPER, WIDE, say_nothing, style
from selfj.report.text import known, number

_MOST_POINTS = 400
_WINDOW = 0.06
"""Share of the steps that a smoothed value is the mean of."""
_PARTS = {"total": INK, "teacher": PALETTE["m1"], "student": GOOD, "distillation": PALETTE["m2"]}
_DASHES: dict[str, Any] = {"teacher": (0, (5, 2)), "distillation": (0, (1.5, 1.5))}
_LEGEND: dict[str, Any] = {"frameon": True, "facecolor": PAPER, "edgecolor": "none", "framealpha": 1}
_FURTHER = (PALETTE["m3"], PALETTE["m5"], PALETTE["m6"], PALETTE["m4"])
_SIDES = {"student_pearson": ("student", GOOD), "teacher_pearson": ("teacher", PALETTE["m1"])}
Array = npt.NDArray[np.float64]


def training(judge: Mapping[str, Any]) -> Training | None:
    """Take the curves out of a judge's manifest; None where it holds none.

    A long training is cut into at most 400 pieces, each with the mean of its steps.

    Args:
        judge: `judge.json`: `losses` has one mapping a step, `validation` and `exchanges_per_second` may be absent.
    """
    losses: Sequence[Mapping[str, Any]] = judge.get("losses") or []
    found: Sequence[Mapping[str, Any]] = judge.get("validation") or []
    if not losses:
        return None
    pieces = np.array_split(np.arange(len(losses)), min(len(losses), _MOST_POINTS))
    parts = {
        name: [_mean([losses[step].get(name) for step in piece]) for piece in pieces]
        for name in losses[0]
        if isinstance(losses[0][name], int | float)
    }
    return Training(
        steps=[round(float(piece.mean()) + 1, 1) for piece in pieces],
        total_steps=len(losses),
        losses=parts,
        validation=[
            ValidationPoint(
                step=int(point["step"]),
                student_pearson=known(point.get("student_pearson")),
                teacher_pearson=known(point.get("teacher_pearson")),
                loss=known(point.get("loss")),
            )
            for point in found
        ],
        rate=known(judge.get("exchanges_per_second")),
    )


def sentences(made: Training) -> str:
    """Say in words what the figure shows."""
    total = [value for value in made["losses"].get("total", []) if known(value) is not None]
    few = max(1, len(total) // 10)
    light = "single steps" if made["total_steps"] <= len(made["steps"]) else "means of a few steps each"
    said = [
        f"Light lines are {light}, strong ones their running mean. The teacher reads the reference, the student does "
        "not and learns from the teacher as well (distillation)."
    ]
    if total:
        first, last = (number(_mean(values)) for values in (total[:few], total[-few:]))
        said.append(f"Over {made['total_steps']:,} steps the total went from {first} to {last}.")
    if made["validation"]:
        last_point = made["validation"][-1]
        student, teacher = (number(last_point[side]) for side in ("student_pearson", "teacher_pearson"))
        said.append(
            f"At the end the scores of exchanges held back correlate with their labels at {student} without the "
            f"reference and at {teacher} with it."
        )
    if made["rate"] is not None:
        said.append(f"{made['rate']:,.0f} exchanges a second.")
    return " ".join(said)


@style()
def draw(report: Report, *, width: int = WIDE) -> Figure:
    """Draw the parts of the loss over the steps, and beside it the correlation of exchanges held back."""
    made = report.get("training")
    narrow = width < 500
    pair = made is not None and bool(made["validation"])
    height = (560 if pair else 300) if narrow else 330
    figure = Figure(figsize=(width / 72, height / 72), dpi=72)
    left, right, top, bottom = 56, 14, 26, 46
    if not pair:
        losses = figure.add_axes(_box(width, height, left, bottom, width - left - right, height - top - bottom))
        _draw_losses(losses, made)
        return figure
    if narrow:
        each = (height - 2 * (top + bottom)) // 2
        low = _box(width, height, left, bottom, width - left - right, each)
        high = _box(width, height, left, each + 2 * bottom + top, width - left - right, each)
        losses, sides = figure.add_axes(high), figure.add_axes(low)
    else:
        first = round(0.58 * (width - 2 * left - 2 * right))
        second = width - 2 * left - 2 * right - first
        tall = height - top - bottom
        losses = figure.add_axes(_box(width, height, left, bottom, first, tall))
        sides = figure.add_axes(_box(width, height, 2 * left + right + first, bottom, second, tall))
    _draw_losses(losses, made)
    _draw_validation(sides, made)
    return figure


def _box(width: int, height: int, x: int, y: int, wide: int, tall: int) -> tuple[float, float, float, float]:
    return x / width, y / height, wide / width, tall / height


def _draw_losses(axes: Any, made: Training | None) -> None:
    axes.set(xlabel="step", ylabel="")
    axes.text(0, 1.03, "loss", transform=axes.transAxes, color=MUTED, va="bottom")
    axes.grid(axis="y")
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, steps=[1, 2, 5, 10]))
    tops = []
    further = iter(_FURTHER)
    for name, values in (made["losses"] if made is not None else {}).items():
        steps, raw = _known(made["steps"], values) if made is not None else (np.empty(0), np.empty(0))
        if not len(raw):
            continue
        colour = _PARTS.get(name) or next(further, MUTED)
        smooth = _smoothed(raw)
        tops.append(float(smooth.max()))
        axes.plot(steps, raw, color=colour, linewidth=0.8, alpha=0.3)
        wide = 2.6 if name == "total" else 1.8
        look = {"linestyle": _DASHES.get(name, "-"), "marker": "o" if len(raw) == 1 else ""}
        axes.plot(steps, smooth, color=colour, linewidth=wide, label=name, **look)
    held_back = [(point["step"], point["loss"]) for point in made["validation"]] if made is not None else []
    steps, losses = _known([step for step, _ in held_back], [loss for _, loss in held_back])
    if len(losses):
        look = {"markersize": 6, "markerfacecolor": PAPER, "markeredgewidth": 1.5, "linestyle": "none"}
        axes.plot(steps, losses, "o", color=INK, label="total, held back", **look)
        tops.append(float(losses.max()))
    if not tops:
        say_nothing(axes)
        return
    # Single steps may leave the figure; the running mean does not.
    axes.set(ylim=(0, 1.12 * max(tops) or 1), xlim=(0, None))
    axes.legend(loc="upper right", handlelength=2.2, labelspacing=0.4, borderaxespad=0, **_LEGEND)


def _draw_validation(axes: Any, made: Training | None) -> None:
    axes.set(xlabel="step", ylabel="")
    axes.text(0, 1.03, "correlation, exchanges held back", transform=axes.transAxes, color=MUTED, va="bottom")
    axes.grid(axis="y")
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, steps=[1, 2, 5, 10]))
    lowest = 0.0
    for side, (name, colour) in _SIDES.items():
        points = made["validation"] if made is not None else []
        values = [point["student_pearson"] if name == "student" else point["teacher_pearson"] for point in points]
        steps, found = _known([point["step"] for point in points], values)
        if not len(found):
            continue
        lowest = min(lowest, float(found.min()))
        said = f"{name}, {'without' if side == 'student_pearson' else 'with'} the reference"
        look = {"markersize": 6, "markeredgecolor": PAPER, "markeredgewidth": 1}
        axes.plot(steps, found, "o-" if name == "student" else "D--", color=colour, linewidth=1.8, label=said, **look)
    axes.set(ylim=(lowest - 0.02 if lowest < 0 else 0, 1), xlim=(0, None))
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="lower right", handlelength=2.2, labelspacing=0.4, borderaxespad=0.4, **_LEGEND)
    else:
        say_nothing(axes)


def _known(steps: Sequence[float], values: Sequence[float | None]) -> tuple[Array, Array]:
    pairs = [(step, found) for step, value in zip(steps, values, strict=True) if (found := known(value)) is not None]
    table = np.array(pairs, dtype=np.float64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def _smoothed(values: Array) -> Array:
    """Running mean over a window that is cut at both ends."""
    half = round(len(values) * _WINDOW / 2)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    places = np.arange(len(values))
    low, high = np.maximum(places - half, 0), np.minimum(places + half + 1, len(values))
    smooth: Array = (sums[high] - sums[low]) / (high - low)
    return smooth


def _mean(values: Sequence[Any]) -> float | None:
    found = [value for value in map(known, values) if value is not None]
    return round(sum(found) / len(found), 6) if found else None
