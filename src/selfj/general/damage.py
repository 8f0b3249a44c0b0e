"""Broken answers, graded by how they were broken: what a judge must tell from complete ones."""

import random
import re
from collections.abc import Callable

from selfj.general.dressing import sentences

REFUSALS = (
    "I'm sorry, but I can't help with that.", "I don't know.",
    "As an AI language model, I cannot answer this question.",
    "I am unable to assist with that request.", "Sorry, I do not have enough information to answer.", "No idea.",
    "I'm not sure about that.", "I cannot provide an answer to this question.", "Unfortunately, I can't answer that.",
    "I apologize, but I am not able to do that.", "There is no information available on this.",
    "I have no opinion on it.",
    "It is not clear what you are asking for.", "I would rather not talk about this.", "Please ask someone else.",
    "I'm sorry, I am just a language model and have no access to this kind of information.", "N/A", "unknown",
    "I do not have the answer, and I suggest that you consult an expert.", "My apologies, this is beyond my abilities.",
)  # fmt: skip
VAGUE = (
    "It depends on many factors.", "There are many ways to look at this.", "This is an interesting question.",
    "Many people have asked this before.", "Opinions differ, and each case is different.", "It is a matter of taste.",
    "You should think about what is important to you.", "There is a lot to be said about it.", "It can be done.",
)  # fmt: skip
_NOISE = (
    "asdf jkl; asdf qwerty", "lorem ipsum dolor sit amet consectetur", "??????", "aaaaaaaaaaaaaaa", "<pad><pad><unk>",
    "el perro come la manzana en la casa", "das ist mir leider nicht bekannt", "je ne sais pas du tout", "1 1 1 1 1 1",
    "null", "undefined", "[object Object]", "Error 500", "test test", "ok", "yes yes yes no no", "%%%$$$###",
)  # fmt: skip
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


def empty(text: str, other: str, draw: random.Random) -> tuple[str, float]:
    """Nothing, or nothing but marks."""
    return draw.choice(("", " ", "\n", ".", "...", "-")), 0.0


def cut(text: str, other: str, draw: random.Random) -> tuple[str, float] | None:
    """The beginning, ended in the middle of a sentence; better the more is kept. None for fewer than 12 words."""
    places = [found.end() for found in re.finditer(r"\S+", text)]
    if len(places) < 12:
        return None
    kept = draw.uniform(0.1, 0.75)
    end = places[max(1, int(kept * len(places))) - 1]
    part = text[:end].rstrip(".!?,;:")
    return (part[: -draw.randint(1, 3)] if draw.random() < 0.3 and len(part) > 20 else part), 1.0 + 5.0 * kept


def repeated(text: str, other: str, draw: random.Random) -> tuple[str, float]:
    """One piece over and over: a sentence, some words, or the answer as a whole."""
    said = text.split()
    way = draw.random()
    if way < 0.4:
        piece = draw.choice(sentences(text) or [text])
        return " ".join([piece] * draw.randint(3, max(3, min(12, 150 // max(1, len(piece.split())))))), 1.0
    if way < 0.75:
        start, size = draw.randrange(max(1, len(said) - 2)), draw.randint(1, 5)
        loop = said[start : start + size] or ["the"]
        head = said[:start] if draw.random() < 0.5 else []
        return " ".join(head[-30:] + loop * draw.randint(5, 20)), 1.0
    return "\n".join([text[:400]] * draw.randint(3, 5)), 1.5


def off_topic(text: str, other: str, draw: random.Random) -> tuple[str, float]:
    """An answer to another instruction."""
    return other, 0.5


def garbled(text: str, other: str, draw: random.Random) -> tuple[str, float] | None:
    """Words or characters out of order, or many of them lost. None for fewer than 5 words."""
    said = text.split()
    if len(said) < 5:
        return None
    way = draw.random()
    if way < 0.35:
        return " ".join(draw.sample(said, len(said))), 1.0
    if way < 0.7:
        return " ".join(_scrambled(word, draw) if draw.random() < 0.7 else word for word in said), 1.0
    if way < 0.85:
        return "".join(c for c in text if draw.random() > 0.3), 1.0
    letters = "abcdefghijklmnopqrstuvwxyz"
    return "".join(draw.choice(letters) if c.isalpha() and draw.random() < 0.35 else c for c in text), 1.0


def refusing(text: str, other: str, draw: random.Random) -> tuple[str, float]:
    """No answer, in words."""
    return " ".join(draw.sample(REFUSALS, draw.choice((1, 1, 2)))), 0.5


def vague(text: str, other: str, draw: random.Random) -> tuple[str, float]:
    """Words that would suit any question."""
    return " ".join(draw.sample(VAGUE, draw.randint(1, 4))), 1.0


def noise(text: str, other: str, draw: random.Random) -> tuple[str, float]:
    """What no one would call an answer."""
    return " ".join(draw.sample(_NOISE, draw.choice((1, 1, 2, 3)))), 0.0


def mixed(text: str, other: str, draw: random.Random) -> tuple[str, float] | None:
    """A beginning that answers, and an end that answers something else. None for short answers."""
    own, strange = sentences(text), sentences(other)
    if len(own) < 2 or not strange:
        return None
    kept = draw.randint(1, len(own) - 1)
    return " ".join(own[:kept] + strange[:3]), 2.0 + 3.0 * kept / len(own)


def wrong_numbers(text: str, other: str, draw: random.Random) -> tuple[str, float] | None:
    """The same text with other numbers; None where there is none."""
    found = list(_NUMBER.finditer(text))
    if not found:
        return None
    changed = {found[-1].start(), *(item.start() for item in found if draw.random() < 0.4)}
    return _NUMBER.sub(lambda m: wrong_number(m[0], draw) if m.start() in changed else m[0], text), 2.0


def wrong_number(number: str, draw: random.Random) -> str:
    """Another number of the same kind, for years and counts near by."""
    if "." in number:
        return f"{float(number) + draw.choice((-1, 1)) * draw.uniform(0.5, 5):.{len(number.split('.')[1])}f}".lstrip(
            "-"
        )
    value = int(number)
    if value < 100:
        choices = [
            n for n in (value - 2, value - 1, value + 1, value + 2, value * 2, value + 10) if n >= 0 and n != value
        ]
        return str(draw.choice(choices))
    return str(value + draw.choice((-1, 1)) * draw.randint(1, max(2, value // 60)))


DAMAGE: dict[str, Callable[[str, str, random.Random], tuple[str, float] | None]] = {
    "empty": empty,
    "cut": cut,
    "repeated": repeated,
    "off_topic": off_topic,
    "garbled": garbled,
    "refusing": refusing,
    "vague": vague,
    "noise": noise,
    "mixed": mixed,
    "wrong_numbers": wrong_numbers,
}
"""Ways to break a text. Each takes the text, an answer to another instruction and a source of chance, and gives the
broken text with its quality in [0, 9], or None where the text cannot be broken so."""


def _scrambled(word: str, draw: random.Random) -> str:
    if len(word) < 3:
        return word
    return "".join(draw.sample(word, len(word)))
