"""What all figures share: colours, style, axes of a size in pixels, and how a figure becomes SVG or PNG."""

import html
import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.style
from matplotlib.figure import Figure

WIDE, HALF, NARROW = 950, 440, 360
"""Widths of figures in pixels of the page."""

# Each colour is unique, so that `to_svg` can turn it into the page's variable of that name. Contrast on white
# is at least 3 to 1, and blue against orange survives every common colour blindness.
PALETTE = {
    "ink": "#1d2330",
    "muted": "#667084",
    "line": "#dcdfe5",
    "paper": "#ffffff",
    "judge": "#0b62b0",
    "bad": "#c4520c",
    "band": "#e8f1f9",
    "m1": "#a8408a",
    "m2": "#0a7a5e",
    "m3": "#9a6a00",
    "m4": "#7b5a49",
    "m5": "#4f86c0",
    "m6": "#5d6ab8",
}
INK, MUTED, LINE, PAPER = PALETTE["ink"], PALETTE["muted"], PALETTE["line"], PALETTE["paper"]
GOOD, BAD = PALETTE["judge"], PALETTE["bad"]

RC: dict[str, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": LINE,
    "axes.facecolor": "none",
    "axes.labelcolor": MUTED,
    "axes.labelsize": 12,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.unicode_minus": True,
    "figure.facecolor": PAPER,
    "font.family": "DejaVu Sans",
    "font.size": 12,
    "grid.color": LINE,
    "grid.linewidth": 0.8,
    "legend.fontsize": 12,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "svg.fonttype": "none",
    "svg.hashsalt": "selfj",
    "text.color": INK,
    # A dollar sign in the name of a group or method is not a formula.
    "text.parse_math": False,
    "xtick.color": LINE,
    "xtick.labelcolor": MUTED,
    "ytick.color": LINE,
    "ytick.labelcolor": MUTED,
    "ytick.major.size": 0,
}


class Row(NamedTuple):
    """One line of a figure with rows: a heading, or an item with a label."""

    label: str
    key: str | None


@contextmanager
def style() -> Iterator[None]:
    """Draw and save in the look of the report, whatever matplotlib is set to elsewhere."""
    with matplotlib.style.context(["default", RC]), warnings.catch_warnings():
        # The browser has the glyphs that matplotlib's font lacks; widths need not be exact.
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        yield


def to_svg(figure: Figure, *, label: str = "", prefix: str = "f") -> str:
    """Write a figure as an `<svg>` element that follows the colours of the page around it.

    Args:
        figure: A figure of this module.
        label: What the figure shows, for those who cannot see it.
        prefix: Put before every id, so that several figures fit into one page.
    """
    buffer = io.StringIO()
    with style():
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", text[text.index("<svg") :], flags=re.S)
    text = text.replace("xlink:href=", "href=")
    used = set(re.findall(r'(?:href="|url\()#([\w.-]+)', text))
    text = re.sub(r' id="([\w.-]+)"', lambda m: f' id="{prefix}-{m[1]}"' if m[1] in used else "", text)
    text = re.sub(r'(href="|url\()#', rf"\g<1>#{prefix}-", text)
    for name, colour in PALETTE.items():
        text = text.replace(colour, f"var(--{name}, {colour})")
    text = re.sub(r"font: ([^'\";]*?)'DejaVu Sans'[^;\"]*", r"font: \1 system-ui, sans-serif", text)
    width, height = (round(72 * side) for side in figure.get_size_inches())
    described = f' role="img" aria-label="{html.escape(label)}"' if label else ' aria-hidden="true"'
    box = f'viewBox="0 0 {width} {height}" width="{width}"'
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" {box}{described}>'
    text = re.sub(r"<svg[^>]*>", lambda _: opening, text, count=1)
    return re.sub(r"\n\s*", "\n", text).strip()


def to_png(figure: Figure, path: str | Path) -> None:
    """Write a figure as a PNG on white, at twice the size of the page."""
    with style():
        figure.savefig(path, format="png", dpi=144, metadata={"Software": None})


def new_axes(width: int, height: int, *, left: int, right: int, top: int, bottom: int) -> tuple[Figure, Any]:
    """Make a figure of this size with one pair of axes inside these margins, all in pixels."""
    figure = Figure(figsize=(width / 72, height / 72), dpi=72)
    box = (left / width, bottom / height, (width - left - right) / width, (height - top - bottom) / height)
    return figure, figure.add_axes(box)


def new_rows(
    rows: Sequence[Row], width: int, *, gutter: int, right: int, xlabel: str, head: str = ""
) -> tuple[Figure, Any]:
    """Make axes with one line per row: labels beside the lines, or above them where there is little room."""
    narrow = width < 500
    step = 38 if narrow else 25
    top = 34 if head else 8
    height = top + 50 + step * max(1, len(rows))
    left, right = (10, 22) if narrow else (gutter, right)
    figure, axes = new_axes(width, height, left=left, right=right, top=top, bottom=50)
    axes.set(ylim=(max(1, len(rows)) - 0.4, -0.6), yticks=[], xlabel=xlabel)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    if head:
        side = "right" if narrow else "left"
        offset = (0 if narrow else 16, 9)
        axes.annotate(head, (1, 1), offset, "axes fraction", "offset points", ha=side, va="bottom")
    for y, row in enumerate(rows):
        is_head = row.key is None
        look = {"color": MUTED, "fontweight": "bold"} if is_head else {"color": INK}
        x = 0.0 if narrow else -(gutter if is_head else 12) / plot_width(axes)
        above = 0.32 if narrow and not is_head else 0.0
        look["ha"] = "left" if narrow or is_head else "right"
        across = axes.get_yaxis_transform()
        axes.text(x, y - above, short(row.label, 34), transform=across, va="center", **look)
    if not rows:
        say_nothing(axes)
    return figure, axes


def write_beside(axes: Any, y: float, text: str, offset: int) -> None:
    """Write a value at the right of a row; above the row's line where the labels are there too."""
    place = (1 + offset / plot_width(axes), y if offset else y - 0.32)
    side = "left" if text.endswith("%") and offset else "right"
    axes.text(*place, text, transform=axes.get_yaxis_transform(), ha=side, va="center")


def line_of(axes: Any, y: float) -> float:
    """Give the height at which the marks of a row are drawn."""
    return y + 0.04 if plot_width(axes) < 400 else y


def plot_width(axes: Any) -> float:
    """Give the width of the axes in pixels."""
    return float(axes.bbox.width)


def say_nothing(axes: Any) -> None:
    """Say in the middle of empty axes that they are empty on purpose."""
    axes.text(0.5, 0.6, "nothing to show", transform=axes.transAxes, ha="center", color=MUTED)


def short(text: str, most: int) -> str:
    """Put a text on one line of at most so many characters."""
    flat = " ".join(text.split())
    return flat if len(flat) <= most else flat[: most - 1] + "…"
