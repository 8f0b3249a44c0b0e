"""What words alone say of an exchange: lengths, repetition, and how much of the reference the response holds.

These few numbers go into the head of a cross-encoder judge beside what it reads. They know nothing of meaning.
"""

import itertools
import math
import re
import unicodedata
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from selfj.backends.base import JudgeInput

OVERLAP_FEATURES = 30
_ALONE = 17
_WORD = re.compile(r"[^\W_]+")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_ARTICLES = frozenset(("a", "an", "the"))
_COUNTED = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty",
)  # fmt: skip
_NUMERALS = {word: str(number) for number, word in enumerate(_COUNTED)}
_LINKING = frozenset((
    "a", "an", "the", "of", "to", "in", "on", "at", "by", "for", "with", "from", "and", "or", "but", "as", "is", "are",
    "was", "were", "be", "that", "which", "this", "these", "its", "their",
))  # fmt: skip
_UNSPEAKABLE = re.compile(r"[^aeiouy]{5}|^[^aeiouy]+$|[aeiou]{4}")
_VERDICTS = frozenset(("yes", "no", "true", "false"))
_ENDS = frozenset(".!?:;)]}\"'`’”»>。！？")
_MOST_ALTERNATIVES = 64
_LONGEST_ALTERNATIVE = 12
_SOFT_WORDS = 24


def words(text: str) -> list[str]:
    """Words without case, accents, articles and punctuation; small numbers as digits.

    Example:
        >>> words("The café has Two doors.")
        ['cafe', 'has', '2', 'doors']
    """
    plain = "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))
    return [_NUMERALS.get(word, word) for word in _WORD.findall(plain) if word not in _ARTICLES]


def nearest_alternative(response: str, reference: str) -> str:
    """The alternative that the response comes closest to, where a reference lists some between slashes.

    Example:
        >>> nearest_alternative("It is New York City.", "NYC/New York/Big Apple")
        'New York'
    """
    pieces = [piece.strip() for piece in reference.split("/")]
    short = all(0 < len(piece.split()) <= _LONGEST_ALTERNATIVE for piece in pieces)
    if len(pieces) < 2 or not short or not any(len(word) > 1 for word in _WORD.findall(reference)):
        return reference
    said = words(response)
    spelled = _trigrams(said)
    best, most = reference, (-1.0, -1.0, -1.0)
    for piece in pieces[:_MOST_ALTERNATIVES]:
        asked = words(piece)
        held = float(_holds(said, asked) and bool(asked))
        found = (held * len(asked), _recall(asked, said), _share(_trigrams(asked), spelled))
        if found > most:
            best, most = piece, found
    return best


def overlap_features(inputs: Sequence[JudgeInput]) -> npt.NDArray[np.float32]:
    """Numbers about each exchange, about -1 to 1, shape (n, 30); the last 13 are zeros without a reference."""
    rows = np.zeros((len(inputs), OVERLAP_FEATURES), dtype=np.float32)
    for row, exchange in zip(rows, inputs, strict=True):
        asked, said = words(exchange.instruction), words(exchange.response)
        row[:_ALONE] = _alone(exchange.response, asked, said)
        if exchange.reference is not None:
            row[_ALONE:] = _compared(exchange, asked, said)
    return rows


def _alone(response: str, asked: list[str], said: list[str]) -> list[float]:
    text = response.strip()
    triples = list(zip(said, said[1:], said[2:], strict=False))
    return [
        math.log1p(len(said)) / 6,
        min(len(said), 300) / 300,
        len(set(said)) / max(1, len(said)),
        1 - len(set(triples)) / max(1, len(triples)) if triples else 0.0,
        _share(set(said), set(asked)),
        _share(set(asked), set(said)),
        sum(c.isalpha() or c.isspace() for c in text) / max(1, len(text)),
        float(text[-1:] in _ENDS) if text else 0.0,
        float(not said),
        min(20.0, sum(map(len, said)) / max(1, len(said))) / 10,
        float(text[:1].isupper() or text[:1].isdigit()),
        *_order(text),
    ]


def _order(text: str) -> list[float]:
    """Signs of a text that was cut or shuffled, each in [0, 1]."""
    pieces = text.split()
    plain = [piece.strip("\"'().,;:!?").lower() for piece in pieces]
    linking = [word in _LINKING for word in plain]
    pairs = max(1, len(pieces) - 1)
    long = [word for word in plain if len(word) > 3 and word.isascii() and word.isalpha()]
    lines = [line.strip() for line in re.split(r"[\n.!?]+", text) if line.strip()]
    stops = [place for place, piece in enumerate(pieces[:-1]) if piece[-1] in ".!?"]
    unclosed = text.count("(") != text.count(")") or text.count("[") != text.count("]") or text.count("`") % 2 == 1
    return [
        float(bool(linking) and (linking[-1] or pieces[-1][-1] in ",-(")),
        sum(one and other for one, other in itertools.pairwise(linking)) / pairs,
        sum(bool(_UNSPEAKABLE.search(word)) for word in long) / max(1, len(long)),
        sum(pieces[place + 1][:1].islower() for place in stops) / max(1, len(stops)),
        float(unclosed),
        1 - len(set(lines)) / len(lines) if lines else 0.0,
    ]


def _compared(exchange: JudgeInput, asked: list[str], said: list[str]) -> list[float]:
    reference = exchange.reference or ""
    known = words(reference)
    new = [word for word in known if word not in set(asked)]
    said_numbers, known_numbers = _numbers(exchange.response), _numbers(reference)
    strange = said_numbers - known_numbers - _numbers(exchange.instruction)
    return [
        1.0,
        float(bool(known) and _holds(said, known)),
        float(bool(said) and _holds(known, said)),
        _recall(known, said),
        _share(set(said), set(known)),
        _recall(new, said) if new else _recall(known, said),
        _share(known_numbers, said_numbers) if known_numbers else 1.0,
        len(strange) / max(1, len(said_numbers)),
        max(-1.0, min(1.0, math.log((len(said) + 1) / (len(known) + 1)) / 5)),
        _agreement(said, known),
        math.log1p(len(known)) / 6,
        _share(_trigrams(known), _trigrams(said)),
        float(bool(known) and _recall(known[-1:], said) == 1),
    ]


def _numbers(text: str) -> set[str]:
    found = {number.replace(",", "").rstrip(".") for number in _NUMBER.findall(text)}
    return found | {_NUMERALS[word] for word in _WORD.findall(text.lower()) if word in _NUMERALS}


def _holds(text: list[str], part: list[str]) -> bool:
    """Whether the words of a part follow each other in a text."""
    return f" {' '.join(part)} " in f" {' '.join(text)} "


def _recall(known: list[str], said: list[str]) -> float:
    """Share of words that are said; a long word also counts where one spelled nearly alike is said."""
    wanted, found = set(known), set(said)
    absent = wanted - found
    hits = len(wanted) - len(absent)
    if len(known) <= _SOFT_WORDS and absent:
        spare = [_trigrams([word]) for word in found - wanted if len(word) > 3]
        hits += sum(any(_dice(_trigrams([word]), other) >= 0.6 for other in spare) for word in absent if len(word) > 3)
    return hits / max(1, len(wanted))


def _share(part: set[str], whole: set[str]) -> float:
    return len(part & whole) / max(1, len(part))


def _dice(one: set[str], other: set[str]) -> float:
    return 2 * len(one & other) / max(1, len(one) + len(other))


def _trigrams(found: Sequence[str]) -> set[str]:
    return {f" {word} "[start : start + 3] for word in found for start in range(len(word))}


def _agreement(said: list[str], known: list[str]) -> float:
    """1 where both begin with the same of yes and no, -1 where with different ones, else 0."""
    first, other = (found[0] if found and found[0] in _VERDICTS else None for found in (said, known))
    if first is None or other is None:
        return 0.0
    return 1.0 if first == other else -1.0
