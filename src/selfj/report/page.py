"""A report as one HTML file that needs nothing else: no script, no font, no network."""

import re
from collections.abc import Callable
from importlib.resources import files
from typing import Any, NamedTuple

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup, escape
from matplotlib.figure import Figure

from selfj.report import Example, Report, figures, following, text, training
from selfj.report.grid import show

TEMPLATE = "page.html"
STYLE = "style.css"


class Drawing(NamedTuple):
    """A figure of the page in one or two widths, with what to say about it."""

    wide: Markup
    narrow: Markup | None
    title: str
    caption: str


class Card(NamedTuple):
    """An example, whether the decision was right, and that in words."""

    example: Example
    right: bool | None
    verdict: str


class Cell(NamedTuple):
    """A value in the table of methods."""

    value: str
    span: str
    best: bool


def render(report: Report) -> str:
    """Write the page; the same report gives the same bytes."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(number=text.number, percent=text.percent, duration=text.duration, tie=_tie, show=show)
    template = environment.from_string(files("selfj.report").joinpath(TEMPLATE).read_text("utf-8"))
    page = template.render(
        style=Markup(style()),
        report=report,
        selective=report["selective"],
        summary=text.summary(report),
        answer=_answer(report),
        remedies=text.REMEDIES,
        metrics=text.METRICS,
        groups_of_methods=_methods(report),
        differences=_differences(report),
        following=following.of_report(report),
        drawings=_drawings(report),
        families=sorted(report["groups"], key=lambda entry: (entry["category"] or "", entry["group"])),
        examples=_examples(report),
        command=report.get("command") or f"selfj run runs/{report['name']}",
        settings=report.get("settings") or "",
        confidence=report.get("interval_confidence"),
        undefined=text.UNDEFINED,
    )
    return text.plain(page)


def style() -> str:
    """The style sheet that every page shares."""
    return files("selfj.report").joinpath(STYLE).read_text("utf-8")


def _answer(report: Report) -> dict[str, Any]:
    """Gather the three big numbers; what was measured by gold goes before what the calibration saw."""
    selective = report["selective"]
    by_gold = selective["risk_gold"] is not None
    risk = selective["risk_gold"] or selective["risk"]
    n = max(1, selective["n"])
    return {
        "risk": risk,
        "risk_all": selective["risk_all_gold"] if by_gold else selective["risk_all"],
        "by_gold": by_gold,
        "promised": text.promised_label(report),
        "kept": text.promise_kept(report),
        "parts": [
            ("answered", selective["answered"], selective["answered"] / n),
            ("declined", selective["declined"], selective["declined"] / n),
            ("unscored", selective["unscored"], selective["unscored"] / n),
        ],
    }


def _methods(report: Report) -> list[tuple[str, list[tuple[str, dict[str, Any]]]]]:
    winners = text.best(report)
    found = []
    for group, keys in text.grouped(report):
        rows = []
        for key in keys:
            method = report["methods"][key]
            cells = [
                Cell(
                    text.number(text.value_of(method, column.key)),
                    text.span(text.metric(method, column.key)),
                    (key, column.key) in winners,
                )
                for column in text.METRICS
            ]
            rows.append(
                (
                    key,
                    {
                        "title": method["title"],
                        "cells": cells,
                        "n": method["n"],
                        "missing": method["missing"],
                    },
                )
            )
        found.append((group, rows))
    return found


def _differences(report: Report) -> list[dict[str, str]]:
    def title(key: str) -> str:
        return report["methods"][key]["title"] if key in report["methods"] else key

    names = {column.key: column.title for column in text.METRICS}
    return [
        {
            "a": title(entry["a"]),
            "b": title(entry["b"]),
            "metric": names.get(entry["metric"], entry["metric"]),
            "value": text.number(entry["value"], signed=True),
            "span": text.span(entry),
            "verdict": text.verdict(entry),
        }
        for entry in report["differences"]
    ]


def _drawings(report: Report) -> dict[str, Drawing]:
    selective = report["selective"]
    placed = " The dot is the chosen threshold, on the judge's curve." if report["threshold_point"] else ""
    promise = " The shaded band is the promise."
    if selective["risk_gold"] is not None:
        by = text.gold_name(report)
        promise = f" The promise (shaded) is about the label {selective['label']}, the curves are by {by}."
    return {
        "risk_coverage": _drawing(
            report, "risk_coverage", figures.risk_coverage, "Risk against coverage",
            "From right to left the assistant answers fewer and fewer questions, the ones that a method "
            "scores lowest going first. A useful method's curve falls quickly; random declining stays level; "
            f"the oracle knows the truth.{placed}{promise}",
        ),
        "methods": _drawing(
            report, "methods", figures.methods, "Correlation with the quality, by method",
            "Each dot is a method's Pearson correlation on the test questions, the bar its interval. "
            "Diamonds read the reference, which is absent when the assistant is in use: they show what is "
            "possible, not what one gets.",
        ),
        "calibration": _drawing(
            report, "calibration", figures.calibration, "Does a score mean what it says?",
            "Answers binned by score. On the dashed diagonal, answers scored 7 have a mean quality of 7. "
            "Larger dots hold more answers. The threshold needs the order only, not the diagonal.",
        ),
        "score_histogram": _drawing(
            report, "score_histogram", figures.score_histogram, "Scores of good answers and of failures",
            "Good answers are drawn upwards and failures downwards. The farther the two lie apart, the more "
            "can be answered safely. What is left of the dashed threshold is declined.",
        ),
        "groups": _drawing(
            report, "groups", figures.groups, "What declining changes, by group",
            "Open circle: share of good answers if every question were answered. Filled circle: among those "
            "that were answered. At the right: the share answered. A group with no filled circle was "
            "declined altogether.",
        ),
        **_training(report),
    }  # fmt: skip


def _training(report: Report) -> dict[str, Drawing]:
    made = report.get("training")
    if not made:
        return {}
    said = training.sentences(made)
    return {"training": _drawing(report, "training", training.draw, "How the judge learned", said)}


def _drawing(report: Report, name: str, draw: Callable[..., Figure], title: str, caption: str) -> Drawing:
    label = f"{title}. {caption}"
    if name in ("calibration", "score_histogram"):
        svg = figures.to_svg(draw(report), label=label, prefix=name)
        return Drawing(Markup(svg), None, title, caption)
    wide = figures.to_svg(draw(report, width=figures.WIDE), label=label, prefix=name)
    narrow = figures.to_svg(draw(report, width=figures.NARROW), label=label, prefix=f"{name}-narrow")
    return Drawing(Markup(wide), Markup(narrow), title, caption)


def _examples(report: Report) -> list[tuple[str, str, list[Card]]]:
    shown = report["examples"]
    return [
        ("Answered", "answered", [_card(example, answered=True) for example in shown["answered"]]),
        ("Declined", "declined", [_card(example, answered=False) for example in shown["declined"]]),
    ]


def _card(example: Example, *, answered: bool) -> Card:
    if text.known(example["gold"]) is None and text.known(example["z"]) is None:
        return Card(example, None, "quality not known")
    mistake = example["mistake"]
    if answered:
        verdict = "mistake: this failure got through" if mistake else "right, the answer is good"
    else:
        verdict = "mistake: the answer was good" if mistake else "right, the answer is a failure"
    return Card(example, not mistake, verdict)


def _tie(value: str) -> Markup:
    """Escape, and keep a number and its percent sign on one line."""
    return Markup(re.sub(r"(?<=\d) %", "\u00a0%", str(escape(value))))
