"""How many rows of each source and category a selection takes: quotas, and what becomes of those that cannot be met."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from selfj.errors import ConfigError

By = Literal["proportional", "category", "source"]
WAYS: tuple[By, ...] = ("proportional", "category", "source")
Cell = tuple[str, str]
"""Category and source."""


@dataclass(frozen=True, slots=True)
class Quotas:
    """Rows to take."""

    cells: dict[Cell, int]
    """Of each category and source."""
    told: tuple[str, ...]
    """Sentences on what could not be had, and who took its place."""


def share_out(available: Mapping[Cell, int], n: int, by: By, stated: Mapping[str, int] | None = None) -> Quotas:
    """Share n rows out over the cells.

    With `proportional` a cell gets rows by its size. With `category` (or `source`) every category (or source) gets the
    same number, and its cells share that by size. What one cannot give, the others share.

    Args:
        available: Rows of each cell.
        n: Rows wanted, at least 1.
        by: One of `WAYS`.
        stated: Rows of some categories (sources), where `by` names these; the others share the rest.

    Returns:
        Quotas whose sum is n, or all rows where there are not so many.

    Raises:
        ConfigError: An argument is wrong, or the stated rows are more than n.
    """
    stated = dict(stated or {})
    if by not in WAYS:
        raise ConfigError(f"--by is {by!r}, expected one of {', '.join(WAYS)}.")
    if n < 1:
        raise ConfigError(f"--n must be at least 1, got {n}.")
    if not available:
        raise ConfigError("The collection has no row that fits: nothing can be selected.")
    if by == "proportional":
        if stated:
            raise ConfigError("--quota needs --by category or --by source, which say what its names are.")
        total = min(n, sum(available.values()))
        return Quotas(proportional(available, total), _short(n, total))
    place = 0 if by == "category" else 1
    groups: dict[str, int] = {}
    for cell, rows in available.items():
        groups[cell[place]] = groups.get(cell[place], 0) + rows
    _check_stated(stated, groups, n, by)
    told = [
        f"{name}: {stated[name]:,} rows were stated and {groups[name]:,} are there; the others take the rest."
        for name in sorted(stated)
        if stated[name] > groups[name]
    ]
    fixed = {name: min(rows, groups[name]) for name, rows in stated.items()}
    others = {name: rows for name, rows in groups.items() if name not in stated}
    rest = min(n - sum(fixed.values()), sum(others.values()))
    even = level(others, rest)
    fair = -(-(n - sum(stated.values())) // max(1, len(others)))
    for name in sorted(others):
        if others[name] < fair and even[name] == others[name] and any(even[o] > fair for o in others):
            told.append(
                f"{name}: an even share is {fair:,} rows and {others[name]:,} are there; the others take the rest."
            )
    goals = {**fixed, **even}
    cells: dict[Cell, int] = {}
    for name, goal in goals.items():
        cells |= proportional({cell: rows for cell, rows in available.items() if cell[place] == name}, goal)
    return Quotas(dict(sorted(cells.items())), (*told, *_short(n, sum(goals.values()))))


def proportional(available: Mapping[Cell, int], n: int) -> dict[Cell, int]:
    """Share n rows (at most all) by size, by largest remainders; equal remainders in the order of names."""
    total = sum(available.values())
    if not total:
        return dict.fromkeys(available, 0)
    made = {cell: rows * n // total for cell, rows in available.items()}
    left = n - sum(made.values())
    order = sorted(available, key=lambda cell: (-(available[cell] * n % total), cell))
    for cell in order[:left]:
        made[cell] += 1
    return made


def level(available: Mapping[str, int], n: int) -> dict[str, int]:
    """Give every group the same number until n (at most all) are given; who has fewer gives all."""
    made = dict.fromkeys(available, 0)
    open_groups = sorted(name for name, rows in available.items() if rows)
    left = n
    while left and open_groups:
        step = max(1, min(left // len(open_groups), min(available[name] - made[name] for name in open_groups)))
        for name in open_groups[: left if left < len(open_groups) else len(open_groups)]:
            made[name] += step
            left -= step
        open_groups = [name for name in open_groups if made[name] < available[name]]
    return made


def _check_stated(stated: Mapping[str, int], groups: Mapping[str, int], n: int, by: str) -> None:
    for name, rows in stated.items():
        if name not in groups:
            raise ConfigError(
                f"--quota names {name!r}, and no row that fits is of that {by}. Known: {_listed(groups)}."
            )
        if rows < 0:
            raise ConfigError(f"--quota {name}={rows} is below 0.")
    if sum(stated.values()) > n:
        raise ConfigError(f"--quota states {sum(stated.values()):,} rows, more than the {n:,} of --n.")


def _listed(names: Mapping[str, int]) -> str:
    return ", ".join(sorted(names))


def _short(wanted: int, got: int) -> tuple[str, ...]:
    return (f"{wanted:,} rows were asked for and {got:,} are there that fit: all are taken.",) if got < wanted else ()


__all__: Sequence[str] = ["WAYS", "By", "Cell", "Quotas", "level", "proportional", "share_out"]
