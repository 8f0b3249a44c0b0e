"""A page of tables, figures and sentences as one HTML file: for everything but the report of a run."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup, escape
from matplotlib.figure import Figure

from selfj.report.canvas import to_svg
from selfj.report.grid import Grid, GridCell, show
from selfj.report.page import style
from selfj.report.text import number, plain

TEMPLATE = "sheet.html"


@dataclass(frozen=True, slots=True)
class Fact:
    """One of the big numbers at the top."""

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure with what it shows in words."""

    title: str
    figure: Figure
    caption: str


@dataclass(frozen=True, slots=True)
class Words:
    """A heading with sentences below it."""

    title: str
    sentences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """Texts to look at, each under its name, such as an exchange and what became of it."""

    title: str
    parts: tuple[tuple[str, str], ...]
    """Name and text."""


@dataclass(frozen=True, slots=True)
class Samples:
    """A heading with texts to look at."""

    title: str
    samples: tuple[Sample, ...]
    intro: str = ""


Block = Grid | Picture | Words | Samples


def render_sheet(
    title: str,
    lead: str,
    blocks: Sequence[Block],
    *,
    facts: Sequence[Fact] = (),
    kicker: str = "selfj",
    command: str = "",
) -> str:
    """Write the page; the same input gives the same bytes.

    Args:
        title: Heads the page.
        lead: One sentence below it.
        blocks: In the order of the page.
        facts: At most three big numbers at the top.
        kicker: Small line above the title.
        command: What makes the page again.
    """
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(bare=lambda cell: show(cell._replace(low=None, high=None)), span=_span, coded=_coded)
    template = environment.from_string(files("selfj.report").joinpath(TEMPLATE).read_text("utf-8"))
    pictures = {
        place: Markup(to_svg(block.figure, label=block.title, prefix=f"s{place}"))
        for place, block in enumerate(blocks)
        if isinstance(block, Picture)
    }
    kinds = [(type(block).__name__.lower(), block) for block in blocks]
    page = template.render(
        style=Markup(style()), title=title, lead=lead, blocks=kinds, facts=facts, kicker=kicker, command=command,
        pictures=pictures,
    )  # fmt: skip
    return plain(page)


def _coded(sentence: str) -> Markup:
    """A sentence whose `parts` between backticks are code."""
    return Markup(re.sub(r"`([^`<>]+)`", r"<code>\1</code>", str(escape(sentence))))


def _span(cell: GridCell) -> str:
    """The interval of a cell, which the page shows below its number; empty without one."""
    if cell.value is None or cell.low is None or cell.high is None:
        return ""
    return f"{number(cell.low, cell.digits)} to {number(cell.high, cell.digits)}"
