"""The curves of the tuning: from the judge's manifest to the page."""

import json
import math
from typing import Any

import numpy as np
import pytest

from selfj.report import figures, page, training

from .test_report import make_report, read


def judge(steps: int = 60, **more: Any) -> dict[str, Any]:
    falling = [3.0 * math.exp(-step / 20) + 1 for step in range(steps)]
    losses = [
        {"total": 2 * value, "teacher": value, "student": value + 0.1, "distillation": value - 1} for value in falling
    ]
    return {"losses": losses, **more}


VALIDATION = [
    {"step": step, "student_pearson": 0.5 + step / 200, "teacher_pearson": 0.6 + step / 200, "loss": 2.0}
    for step in (20, 40, 60)
]


def report_of(made: Any) -> Any:
    return {**make_report(), "training": made}


def svg(report: Any, width: int = figures.WIDE) -> str:
    return figures.to_svg(training.draw(report, width=width), label="x")


def test_every_step_of_a_short_training_is_kept() -> None:
    source = judge(60, validation=VALIDATION, exchanges_per_second=12.5)
    made = training.training(source)
    assert made is not None
    assert made["steps"] == [float(step) for step in range(1, 61)]
    assert made["losses"]["teacher"] == [round(row["teacher"], 6) for row in source["losses"]]
    assert made["validation"] == VALIDATION
    assert made["rate"] == 12.5
    json.dumps(made, allow_nan=False)


def test_a_long_training_is_cut_into_means() -> None:
    source = judge(4001)
    made = training.training(source)
    assert made is not None
    assert len(made["steps"]) == len(made["losses"]["total"]) == 400
    assert made["total_steps"] == 4001
    assert np.all(np.diff(made["steps"]) > 0)
    first = [row["total"] for row in source["losses"][:11]]
    assert made["losses"]["total"][0] == pytest.approx(sum(first) / 11, abs=1e-5)
    assert "means of a few steps" in training.sentences(made)


@pytest.mark.parametrize("source", [{}, {"losses": []}, {"losses": [], "validation": VALIDATION}])
def test_where_nothing_was_kept_nothing_is_drawn(source: Any) -> None:
    assert training.training(source) is None
    written, _ = read(report_of(None))
    assert "How the judge learned" not in written
    assert read(make_report())[0] == written


@pytest.mark.parametrize("validation", [None, [], VALIDATION])
@pytest.mark.parametrize("width", [figures.WIDE, figures.NARROW])
def test_it_is_drawn_with_and_without_validation(validation: Any, width: int) -> None:
    report = report_of(training.training(judge(validation=validation)))
    drawn = svg(report, width)
    for part in ("total", "teacher", "student", "distillation"):
        assert f">{part}<" in drawn
    assert ("correlation, exchanges held back" in drawn) is bool(validation)
    assert ("total, held back" in drawn) is bool(validation)
    axes = training.draw(report, width=width).axes
    assert len(axes) == (2 if validation else 1)
    if validation:
        (student, teacher) = axes[1].lines
        assert list(student.get_ydata()) == [point["student_pearson"] for point in VALIDATION]
        assert list(teacher.get_ydata()) == [point["teacher_pearson"] for point in VALIDATION]
        assert list(student.get_xdata()) == [20, 40, 60]


def test_the_running_mean_stays_inside_and_single_steps_may_not() -> None:
    source = judge(100)
    source["losses"][50]["total"] = 500.0
    axes = training.draw(report_of(training.training(source))).axes[0]
    raw, smooth = axes.lines[0].get_ydata(), axes.lines[1].get_ydata()
    assert max(raw) == 500 > max(smooth)
    assert axes.get_ylim()[1] >= max(smooth)
    assert smooth[10] == pytest.approx(np.mean(raw[7:14]))


def test_what_is_not_known_is_left_out() -> None:
    validation = [{"step": 10, "student_pearson": None, "teacher_pearson": float("nan"), "loss": None}]
    source = judge(3, validation=validation)
    source["losses"][1]["total"] = float("nan")
    made = training.training(source)
    assert made is not None
    assert made["losses"]["total"][1] is None
    report = report_of(made)
    assert "nothing to show" in svg(report)
    assert "at – without" in page.render(report)
    json.dumps(made, allow_nan=False)


def test_one_step_is_a_dot() -> None:
    assert training.draw(report_of(training.training(judge(1)))).axes[0].lines[1].get_marker() == "o"


def test_who_cannot_see_it_is_told_the_numbers() -> None:
    made = training.training(judge(validation=VALIDATION, exchanges_per_second=1234.5))
    written, reader = read(report_of(made))
    assert len(reader.ids) == len(set(reader.ids))
    label = written.split('aria-label="How the judge learned')[1].split('"')[0]
    for word in ("Over 60 steps the total went from", "0.80 without the reference", "0.90 with it", "1,234 exchanges"):
        assert word in label
    assert written.count("How the judge learned") == 3


def test_names_of_further_parts_are_shown_as_they_are() -> None:
    source = {"losses": [{"total": 1.0, "<b>$x_2$": 0.5, "note": "text"}, {"total": 0.5, "<b>$x_2$": 0.2}]}
    made = training.training(source)
    assert made is not None
    assert list(made["losses"]) == ["total", "<b>$x_2$"]
    assert "&lt;b&gt;$x_2$" in svg(report_of(made))
