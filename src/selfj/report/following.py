"""Selective following as a table."""

from collections.abc import Mapping, Sequence

from selfj.report import Following, Report
from selfj.report.grid import Grid, GridCell, strongest
from selfj.report.text import percent

TITLE = "Selective following"
NOTES = (
    "Coverage at r %: the share of responses that can be answered while at most r % of the answers fail by gold. "
    "Over-decline at r %: the share of good responses that are declined then. All shares are in %.",
    "The thresholds are chosen on these very rows, so this says how well scores order responses and promises nothing. "
    "AURC: lower is better. PRR: 1 is the oracle's order, 0 a random one. The best of each block is marked.",
)
_LARGEST = "Of many categories only the largest are told."


def following_grid(
    parts: Mapping[str, Sequence[Following]],
    titles: Mapping[str, str],
    *,
    title: str = TITLE,
    by_category: bool = False,
) -> Grid | None:
    """One row per method: over all exchanges, or one for each method in each category; None without any.

    Args:
        parts: From `selfj.following.following`, under the name of each target model, which begins the name of its
            rows; an empty one begins none.
        titles: By method.
        title: Heads the table.
        by_category: Take the rows of categories instead of those of all exchanges.
    """
    made: list[tuple[str, tuple[GridCell, ...]]] = []
    risks: list[float] = []
    for part, rows in parts.items():
        kept = [row for row in rows if (row["category"] is not None) == by_category]
        for category in dict.fromkeys(row["category"] for row in kept):
            block = [row for row in kept if row["category"] == category]
            risks = [item["max_risk"] for item in block[0]["reach"]]
            strong = _strong(block, len(risks))
            for place, row in enumerate(block):
                name = ": ".join(word for word in (part, category, titles[row["method"]]) if word)
                made.append((name, _cells(row, [column[place] for column in strong])))
    if not made:
        return None
    at = [percent(risk) for risk in risks]
    shares = [*(f"coverage at {r}" for r in at), *(f"over-decline at {r}" for r in at)]
    return Grid(
        title, ("method", *shares, "AURC", "PRR", "n", "failures"), tuple(made), (_LARGEST,) if by_category else NOTES
    )


def of_report(report: Report) -> list[Grid]:
    """The tables of a run's report: over all test exchanges, and by category; empty where it has none."""
    rows = report.get("selective_following") or []
    titles = {key: method["title"] for key, method in report["methods"].items()}
    known = {"": [row for row in rows if row["method"] in titles]}
    found = (
        following_grid(known, titles),
        following_grid(known, titles, title=f"{TITLE} by category", by_category=True),
    )
    return [grid for grid in found if grid is not None]


def _cells(row: Following, strong: Sequence[bool]) -> tuple[GridCell, ...]:
    shares = [item["coverage"] for item in row["reach"]] + [item["over_decline"] for item in row["reach"]]
    values = [(None if share is None else round(100 * share, 6), 1) for share in shares]
    values += [(row["aurc"], 3), (row["prr"], 3)]
    cells = [GridCell(value, strong=best, digits=digits) for (value, digits), best in zip(values, strong, strict=True)]
    return (*cells, GridCell(float(row["n"]), digits=0), GridCell(float(row["failures"]), digits=0))


def _strong(block: Sequence[Following], risks: int) -> list[list[bool]]:
    """Which values are the best of each column; of over-decline and AURC the lowest."""
    higher = [[row["reach"][i]["coverage"] for row in block] for i in range(risks)]
    lower = [[row["reach"][i]["over_decline"] for row in block] for i in range(risks)]
    lower.append([row["aurc"] for row in block])
    turned = [[None if value is None else -value for value in column] for column in lower]
    columns = [*higher, *turned, [row["prr"] for row in block]]
    # Where all are alike none is the best.
    return [mark if False in mark else [False] * len(mark) for mark in strongest(columns)]
