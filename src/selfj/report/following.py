"""Selective following as tables."""

from collections.abc import Mapping, Sequence

from selfj.report import Following
from selfj.report.grid import Grid, GridCell, strongest
from selfj.report.text import percent

NOTES = (
    "Coverage at r %: the share of responses that can be answered while at most r % of the answers fail by gold. "
    "Over-decline at r %: the share of good responses that are declined then. All shares are in %.",
    "The thresholds are chosen on these very rows, so this says how well scores order responses and promises nothing. "
    "AURC: lower is better. PRR: 1 is the oracle's order, 0 a random one.",
)


def following_grid(
    rows: Sequence[Following],
    titles: Mapping[str, str],
    *,
    title: str = "Selective following",
    by_category: bool = False,
) -> Grid:
    """One row per method: over all exchanges, or one for each method in each category.

    Args:
        rows: From `selfj.following.following`.
        titles: By method.
        title: Heads the table.
        by_category: Take the rows of categories instead of those of all exchanges.
    """
    kept = [row for row in rows if (row["category"] is not None) == by_category]
    risks = [item["max_risk"] for item in kept[0]["reach"]] if kept else []
    at = [percent(risk) for risk in risks]
    headers = [*(f"coverage at {r}" for r in at), *(f"over-decline at {r}" for r in at), "AURC", "PRR", "n", "failures"]
    made: list[tuple[str, tuple[GridCell, ...]]] = []
    for category in dict.fromkeys(row["category"] for row in kept):
        block = [row for row in kept if row["category"] == category]
        strong = _strong(block, len(risks))
        for place, row in enumerate(block):
            name = titles[row["method"]]
            named = name if category is None else f"{category}: {name}"
            made.append((named, _cells(row, [column[place] for column in strong])))
    notes = () if by_category else NOTES
    return Grid(title, ("category: method" if by_category else "method", *headers), tuple(made), notes)


def _cells(row: Following, strong: Sequence[bool]) -> tuple[GridCell, ...]:
    shares = [item["coverage"] for item in row["reach"]] + [item["over_decline"] for item in row["reach"]]
    values = [(None if share is None else round(100 * share, 6), 1) for share in shares]
    values += [(row["aurc"], 3), (row["prr"], 3)]
    cells = [GridCell(value, strong=best, digits=digits) for (value, digits), best in zip(values, strong, strict=True)]
    return (*cells, GridCell(words=f"{row['n']:,}"), GridCell(words=f"{row['failures']:,}"))


def _strong(block: Sequence[Following], risks: int) -> list[list[bool]]:
    """Which values are the best of each column; of over-decline and AURC the lowest."""
    higher = [[row["reach"][i]["coverage"] for row in block] for i in range(risks)]
    lower = [[row["reach"][i]["over_decline"] for row in block] for i in range(risks)]
    lower.append([row["aurc"] for row in block])
    turned = [[None if value is None else -value for value in column] for column in lower]
    return strongest([*higher, *turned, [row["prr"] for row in block]])
