"""What people said of decisions, and the label that comes of it."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from selfj.errors import ConfigError

GOOD, BAD = 9.0, 0.0
"""Qualities of a verdict that only says good or bad."""
_MOST = {"who": 200, "comment": 4000}
_KNOWN = {"decision_id", "good", "quality", "who", "comment"}


@dataclass(frozen=True, slots=True)
class Feedback:
    """One verdict on one decision."""

    decision_id: str
    good: bool | None = None
    quality: float | None = None
    """In [0, 9]; None where only good or bad was said."""
    who: str = ""
    """Empty where nobody said so."""
    comment: str = ""
    at: float = 0.0
    """When, in seconds since 1970 (UTC)."""
    id: int = 0
    """Number in the store, rising."""

    @property
    def value(self) -> float:
        """Quality in [0, 9]; good is 9 and bad 0."""
        if self.quality is not None:
            return self.quality
        return GOOD if self.good else BAD


def parse_feedback(value: Mapping[str, Any], at: float) -> Feedback:
    """Read a verdict from JSON.

    Args:
        value: With `decision_id`, and `good` (true or false) or `quality` (0 to 9) or both; perhaps `who`, `comment`.
        at: When it was given.

    Raises:
        ConfigError: A field is absent, unknown, of another type or out of range.
    """
    if odd := sorted(set(value) - _KNOWN):
        raise ConfigError(f"Feedback has fields {', '.join(sorted(_KNOWN))}; found also {', '.join(map(str, odd))}.")
    texts = {name: value.get(name, "") for name in ("decision_id", "who", "comment")}
    for name, text in texts.items():
        if text is None:
            texts[name] = ""
        elif not isinstance(text, str):
            raise ConfigError(f"{name} of feedback must be text, got {type(text).__name__}.")
        elif len(text) > _MOST.get(name, 200):
            raise ConfigError(
                f"{name} of feedback must have at most {_MOST.get(name, 200)} characters, got {len(text)}."
            )
    if not texts["decision_id"]:
        raise ConfigError("Feedback needs decision_id, the identifier of a decision.")
    good, quality = value.get("good"), value.get("quality")
    if good is not None and not isinstance(good, bool):
        raise ConfigError(f"good of feedback must be true or false, got {good!r}.")
    if quality is not None and (
        isinstance(quality, bool) or not isinstance(quality, int | float) or not 0 <= quality <= 9
    ):
        raise ConfigError(f"quality of feedback must be a number from 0 to 9, got {quality!r}.")
    if good is None and quality is None:
        raise ConfigError("Feedback needs good (true or false) or quality (0 to 9).")
    return Feedback(good=good, quality=None if quality is None else float(quality), at=at, **texts)


def label(verdicts: Iterable[Feedback]) -> float:
    """Quality of one exchange in [0, 9]: the mean over people of the last verdict of each.

    Verdicts without a name count each on their own. NaN where there is none.

    Example:
        >>> label([Feedback("a", good=False, who="Ann"), Feedback("a", good=True, who="Ann")])
        9.0
    """
    last: dict[tuple[str, int], float] = {}
    for number, verdict in enumerate(verdicts):
        last[(verdict.who, 0) if verdict.who else ("", number)] = verdict.value
    return sum(last.values()) / len(last) if last else math.nan
