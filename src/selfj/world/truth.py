"""Grades a response to an exercise from 0 to 9 against the computed right answer.

The bare answer is taken out of the response by the family's reply templates; a response that follows none
of them is itself the candidate. Spaces, surrounding quotes and a final period do not count; neither does
case, except in strings.

| kind   | right | wrong                                                                             |
|--------|-------|-----------------------------------------------------------------------------------|
| word   | 9     | 1 to 3 for a misspelling (similarity above 0.8), else 0                           |
| number | 9     | 0 to 4 by the share of digits in place; sign and length must be the same, else 0  |
| list   | 9     | 0 to 5 by the share of positions that are right                                   |
| string | 9     | 0 to 5 by how far the longest common subsequence passes half of the longer string |
| open   | 9     | 0                                                                                 |

An empty response gets 0.
"""

import difflib
import functools
import re
from collections.abc import Callable
from dataclasses import dataclass

from selfj.world.draw import FAMILIES
from selfj.world.exercise import Exercise

RIGHT = 9


@dataclass(frozen=True, slots=True)
class _Key:
    family: str
    kind: str
    right: tuple[str, ...]


def meta(exercise: Exercise) -> dict[str, object]:
    """Collects what `quality` needs to know about an exercise, in JSON-able types."""
    return {
        "family": exercise.family,
        "difficulty": exercise.difficulty,
        "kind": exercise.kind,
        "answer": exercise.answer,
        "accepts": list(exercise.accepts),
        "slots": [list(pair) for pair in exercise.slots],
    }


def quality(meta: dict[str, object], response: str) -> int:
    """Grades a response by the rule in this module's docstring.

    Args:
        meta: What `meta` returned for the exercise, possibly after a trip through JSON.
        response: The whole response.

    Returns:
        An integer from 0 to 9; 9 means right.

    Raises:
        ValueError: If the response is no string or the meta is garbled.
    """
    if not isinstance(response, str):
        raise ValueError(f"a response must be a string, not {type(response).__name__}")
    key = _read(meta)
    candidate = _normal(_bare(key.family, response), key.kind)
    right = [_normal(answer, key.kind) for answer in key.right]
    if not candidate:
        return 0
    if candidate in right:
        return RIGHT
    return max(_PARTIAL[key.kind](candidate, answer) for answer in right)


def _read(meta: object) -> _Key:
    if not isinstance(meta, dict):
        raise ValueError(f"the meta of an exercise must be a dict, not {type(meta).__name__}")
    family, kind, answer = meta.get("family"), meta.get("kind"), meta.get("answer")
    accepts = meta.get("accepts", ())
    if not isinstance(family, str) or family not in FAMILIES:
        raise ValueError(f"the meta names no known family: {family!r}")
    if not isinstance(kind, str) or kind not in _PARTIAL:
        raise ValueError(f"the meta has kind {kind!r}; it must be one of {', '.join(_PARTIAL)}")
    if not isinstance(answer, str) or not answer:
        raise ValueError(f"the meta has answer {answer!r}; it must be a string that is not empty")
    if not isinstance(accepts, list | tuple) or not all(isinstance(item, str) for item in accepts):
        raise ValueError(f"the meta has accepts {accepts!r}; it must be a list of strings")
    if kind == "number" and not re.fullmatch(r"-?\d+(\.\d+)?", answer):
        raise ValueError(f"the meta has answer {answer!r}, which is no number")
    return _Key(family, kind, (answer, *accepts))


@functools.cache
def _patterns(family: str) -> tuple[re.Pattern[str], ...]:
    templates = (template for template in FAMILIES[family].replies if template != "{a}")
    return tuple(re.compile(_as_regex(template), re.IGNORECASE) for template in templates)


def _as_regex(template: str) -> str:
    parts = re.split(r"(\{\w+\})", template.rstrip("."))
    made = []
    for part in parts:
        if part == "{a}":
            made.append("(?P<a>.+?)")
        elif part.startswith("{"):
            made.append(".+?")
        else:
            made.append(re.escape(part))
    return "".join(made) + r"\.?"


def _bare(family: str, response: str) -> str:
    text = " ".join(response.split())
    for pattern in _patterns(family):
        found = pattern.fullmatch(text)
        if found:
            return found["a"]
    return text


def _normal(text: str, kind: str) -> str:
    bare = " ".join(text.split()).removesuffix(".").strip("'\"` ")
    if kind == "number":
        return bare.replace(",", "").removeprefix("+")
    if kind == "list":
        return ",".join(item.strip("'\" ") for item in bare.strip("[]() ").split(",")).casefold()
    return bare if kind == "string" else bare.casefold()


def _word(candidate: str, answer: str) -> int:
    similarity = difflib.SequenceMatcher(None, candidate, answer, autojunk=False).ratio()
    return min(3, 1 + int((similarity - 0.8) * 15)) if similarity > 0.8 else 0


def _number(candidate: str, answer: str) -> int:
    if len(candidate) != len(answer) or candidate.startswith("-") != answer.startswith("-"):
        return 0
    pairs = [(a, b) for a, b in zip(candidate, answer, strict=True) if b.isdigit()]
    return 5 * sum(a == b for a, b in pairs) // len(pairs)


def _list(candidate: str, answer: str) -> int:
    given, wanted = candidate.split(","), answer.split(",")
    right = sum(a == b for a, b in zip(given, wanted, strict=False))
    return 5 * right // max(len(given), len(wanted))


def _string(candidate: str, answer: str) -> int:
    longer = max(len(candidate), len(answer))
    beyond_half = 2 * _common(candidate, answer) - longer
    return max(0, 5 * beyond_half // longer)


def _common(first: str, second: str) -> int:
    row = [0] * (len(second) + 1)
    for a in first:
        above = row[:]
        for j, b in enumerate(second):
            row[j + 1] = above[j] + 1 if a == b else max(above[j + 1], row[j])
    return row[-1]


def _open(candidate: str, answer: str) -> int:
    return 0


_PARTIAL: dict[str, Callable[[str, str], int]] = {
    "word": _word,
    "number": _number,
    "list": _list,
    "string": _string,
    "open": _open,
}
