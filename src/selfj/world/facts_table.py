"""Reads the tables of facts that the families draw from."""


def pairs(text: str) -> tuple[tuple[str, str], ...]:
    """Reads rows of two words that are separated by commas."""
    rows = (row.split() for row in text.split(","))
    return tuple((first, second) for first, second in rows)
