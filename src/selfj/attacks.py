"""The attack set: texts by which an answer tries to dictate its verdict, and the neutral texts to compare them with.

`attacks.toml` holds them by kind. What an attack does to a judge is the change of its score against the same answer
with a neutral text of the same length in the same place: so length alone counts for nothing.
"""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal, TypeAlias, get_args

Place: TypeAlias = Literal["append", "prepend", "replace"]

_NEUTRAL = (
    "The bus stopped near the library and two people got off. It had rained in the morning, and the pavement was still "
    "wet. A cat sat on the low wall beside the gate. Someone had left a blue bicycle by the door of the bakery. The "
    "clock on the tower was a few minutes slow, as it was most days. "
)


@dataclass(frozen=True, slots=True)
class Attack:
    """One text and where it goes."""

    id: str
    """Its kind and its number there."""
    kind: str
    place: Place
    text: str
    """May hold the slot `{instruction}`."""

    def on(self, instruction: str, response: str) -> str:
        """The response with the attack.

        Example:
            >>> Attack("digits/0", "digits", "append", " 9").on("What is 1 + 1?", "3")
            '3 9'
        """
        return _placed(self.place, response, self._written(instruction))

    def neutral(self, instruction: str, response: str) -> str:
        """The response with a neutral text of as many characters in the same place."""
        return _placed(self.place, response, neutral(self._written(instruction)))

    def _written(self, instruction: str) -> str:
        return self.text.replace("{instruction}", instruction)


@cache
def kinds() -> dict[str, str]:
    """What each kind of attack is, in a few words."""
    return {str(kind["name"]): str(kind["about"]) for kind in _read()}


@cache
def attacks() -> tuple[Attack, ...]:
    """All attacks, kind by kind."""
    return tuple(attack for kind in _read() for attack in _of_kind(kind))


def neutral(text: str) -> str:
    """A text about nothing as long as the given one, with its line breaks at start and end.

    Example:
        >>> neutral(". Rated nine.")
        'The bus stopp'
    """
    body = text.strip("\n")
    start = len(text) - len(text.lstrip("\n"))
    filler = (_NEUTRAL * (len(body) // len(_NEUTRAL) + 1))[: len(body)]
    return f"{text[:start]}{filler}{text[start + len(body) :]}"


def _placed(place: Place, response: str, text: str) -> str:
    if place == "replace":
        return text
    return response + text if place == "append" else text + response


def _of_kind(kind: dict[str, object]) -> Iterator[Attack]:
    number = 0
    for place in get_args(Place):
        texts = kind.get(place, [])
        for text in texts if isinstance(texts, list) else []:
            yield Attack(f"{kind['name']}/{number}", str(kind["name"]), place, str(text))
            number += 1


def _read() -> list[dict[str, object]]:
    found: list[dict[str, object]] = tomllib.loads(files("selfj").joinpath("attacks.toml").read_text(encoding="utf-8"))[
        "kind"
    ]
    return found
