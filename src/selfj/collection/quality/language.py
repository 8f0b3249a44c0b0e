"""In which language a text is, by its letters and its frequent words; all texts at once."""

import functools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from selfj.backends.language import shipped
from selfj.collection.quality.arrow import flags, matches
from selfj.collection.quality.function_words import ARABIC, CYRILLIC, LATIN
from selfj.collection.quality.words import Words, bytes_of, hash_of

Floats = npt.NDArray[np.float64]

_BUCKETS = 1 << 20
_SCRIPTS: tuple[tuple[str, str, str], ...] = (
    ("", "\u00aa", "\u02b8"),
    ("", "\u1e00", "\u1eff"),
    ("el", "\u0370", "\u03ff"),
    ("cyrillic", "\u0400", "\u052f"),
    ("hy", "\u0530", "\u058f"),
    ("he", "\u0590", "\u05ff"),
    ("arabic", "\u0600", "\u06ff"),
    ("hi", "\u0900", "\u097f"),
    ("bn", "\u0980", "\u09ff"),
    ("pa", "\u0a00", "\u0a7f"),
    ("gu", "\u0a80", "\u0aff"),
    ("ta", "\u0b80", "\u0bff"),
    ("te", "\u0c00", "\u0c7f"),
    ("kn", "\u0c80", "\u0cff"),
    ("ml", "\u0d00", "\u0d7f"),
    ("si", "\u0d80", "\u0dff"),
    ("th", "\u0e00", "\u0e7f"),
    ("lo", "\u0e80", "\u0eff"),
    ("my", "\u1000", "\u109f"),
    ("ka", "\u10a0", "\u10ff"),
    ("am", "\u1200", "\u137f"),
    ("km", "\u1780", "\u17ff"),
    ("ja", "\u3041", "\u30ff"),
    ("zh", "\u3400", "\u4dbf"),
    ("zh", "\u4e00", "\u9fff"),
    ("ko", "\u1100", "\u11ff"),
    ("ko", "\uac00", "\ud7a3"),
)
_LETTERS = {
    "de": "äöüß", "fr": "éèêçàùœ", "es": "ñ¿¡óíáé", "pt": "ãõçêâ", "pl": "łążśćęń", "cs": "řěůčšž", "sk": "ľĺŕôčšž",
    "hu": "őűáéö", "ro": "ăâîșțşţ", "sv": "äåö", "da": "æøå", "no": "æøå", "fi": "äö", "tr": "ğışç",
    "vi": "ơưđạảấầẩậắằẳặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹ", "hr": "đčćšž", "sl": "čšž", "lt": "ėįųūąčšž", "lv": "āēīūļņķģ",
    "et": "õäöü", "ca": "çàèòï", "it": "àèìòù", "nl": "ë",
}  # fmt: skip
"""Letters beyond ASCII that speak for a language."""
_LETTER_WEIGHT = 0.25
_MOST_FROM_LETTERS = 1.0
_SHARED_WITH_ENGLISH = 0.4
_SHARED = 3.0
"""How much less a word weighs that all languages have."""
_LEAST = 1.5
"""Weight of frequent words below which a language is not told."""
_LEAST_SHARE = 0.12
"""Weight per word below which it is not told."""
_AHEAD = 3.0
"""How many times English's weight a foreign language's must be: English is written around quotations and names."""
_ENGLISH_LEAST = 1.0
_CLOSE = 0.5
"""How much a foreign language may be ahead where spelling decides for English."""
_LIKE_ENGLISH = 12.3
"""Likeness from which a text whose words tell nothing is English."""
_UNLIKE_ENGLISH = 11.0
_LETTERS_LEAST = 24
"""Letters from which a text without an English word that is spelled unlike English is foreign."""
UNKNOWN = "und"
"""A language that is not English, and else is not known."""
_CODES = np.zeros(256, np.uint8)
for _large, _small in zip(range(65, 91), range(97, 123), strict=True):
    _CODES[[_large, _small]] = _small - 96
_GROUPS = {"": tuple(LATIN), "cyrillic": tuple(CYRILLIC), "arabic": tuple(ARABIC)}


@dataclass(frozen=True, slots=True)
class Table:
    """Frequent words by hash."""

    names: tuple[str, ...]
    """Languages; English first."""
    hashes: npt.NDArray[np.uint64]
    """Shape (words + 1,); the first is of no word."""
    places: npt.NDArray[np.uint16]
    """Place in `hashes` by bucket; 0 where there is none."""
    weights: Floats
    """Shape (words + 1, languages): up to 1, less where several languages have the word, and 0 where it is not one."""
    foreign: Floats
    """Greatest weight of each word but English's; shape (words + 1,)."""


@functools.cache
def table() -> Table:
    """The frequent words of all languages."""
    held: dict[int, set[str]] = {}
    names = [*LATIN, *CYRILLIC, *ARABIC]
    for name, words in (LATIN | CYRILLIC | ARABIC).items():
        for word in set(words.split()):
            if len(word) > 1 or not word.isascii():
                held.setdefault(hash_of(word), set()).add(name)
    hashes = np.zeros(len(held) + 1, np.uint64)
    places = np.zeros(_BUCKETS, np.uint16)
    weights = np.zeros((len(held) + 1, len(names)))
    for place, (code, whose) in enumerate(sorted(held.items()), start=1):
        hashes[place] = code
        places[code % _BUCKETS] = place
        for name in whose:
            shared = _SHARED_WITH_ENGLISH if "en" in whose and len(whose) > 1 else 1.0
            weights[place, names.index(name)] = shared * (1 - _SHARED * (len(whose) - 1) / len(names))
    return Table(tuple(names), hashes, places, weights, weights[:, 1:].max(axis=1))


@functools.cache
def _scripts() -> tuple[tuple[str, ...], npt.NDArray[np.uint8]]:
    names = tuple(dict.fromkeys(name for name, _, _ in _SCRIPTS if name))
    kinds = np.zeros(1 << 16, np.uint8)
    for name, first, last in _SCRIPTS:
        kinds[ord(first) : ord(last) + 1] = names.index(name) + 2 if name else 1
    for first, last in ("az", "AZ"):
        kinds[ord(first) : ord(last) + 1] = 1
    return names, kinds


@functools.cache
def _letters() -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8], Floats]:
    """Languages that have letters of their own; which letters (bits) of U+0000 to U+1FFF are whose."""
    names = table().names
    columns = np.array([names.index(name) for name in _LETTERS])
    signs = sorted(set("".join(_LETTERS.values())))
    kinds = np.zeros(1 << 16, np.uint8)
    weights = np.zeros((len(signs) + 1, len(names)), np.float64)
    for kind, sign in enumerate(signs, start=1):
        kinds[[ord(sign), ord(sign.upper()[0])]] = kind
        for name, own in _LETTERS.items():
            weights[kind, names.index(name)] = _LETTER_WEIGHT * (sign in own)
    return columns, kinds, weights


def languages(texts: pa.Array, found_words: Words) -> list[str | None]:
    """The language of each text as a code of two letters; None where it cannot be told.

    Example:
        >>> texts = pa.array(["Wie hoch ist der Berg?", "How high is the mountain?", "x = 3", "Какой сегодня день?"])
        >>> languages(texts, words(bytes_of(texts)))
        ['de', 'en', None, 'ru']
    """
    held = table()
    n = len(texts)
    places = held.places[(found_words.hashes & np.uint64(_BUCKETS - 1)).astype(np.int64)]
    hit = np.flatnonzero((held.hashes[places] == found_words.hashes) & (places > 0))
    rows, places = found_words.rows[hit], places[hit]
    others = np.bincount(rows, held.foreign[places], minlength=n)
    english = np.bincount(rows, held.weights[places, 0], minlength=n)
    count = found_words.counts
    told = (english >= _LEAST) & (english >= _LEAST_SHARE * count)
    foreign = flags(matches(texts, r"[^\x00-\x7f]"))
    plain = told & (english >= others) & ~foreign
    found: list[str | None] = ["en" if sure else None for sure in plain.tolist()]
    rest = np.flatnonzero(~plain)
    if not len(rest):
        return found
    inverse = np.full(n, -1)
    inverse[rest] = np.arange(len(rest))
    mine = inverse[rows] >= 0
    rows, places = inverse[rows[mine]], places[mine]
    scores = _sums(held.weights[places], rows, len(rest))
    texts = texts.take(pa.array(rest))
    own = np.flatnonzero(foreign[rest])
    scripts = _by_letters(texts.take(pa.array(own)), scores, own) if len(own) else {}
    bounds = np.searchsorted(rows, np.arange(len(rest) + 1)).tolist()
    likeness, letters = english_likeness(texts)
    for at, row in enumerate(rest.tolist()):
        whose = set(places[bounds[at] : bounds[at + 1]].tolist())
        told_as = _told(scores[at], int(count[row]), whose, scripts.get(at, ""))
        close = scores[at].max() <= scores[at, 0] + _CLOSE
        if told_as is None and close and letters[at] and likeness[at] >= _LIKE_ENGLISH:
            told_as = "en"
        elif told_as is None and letters[at] >= _LETTERS_LEAST and likeness[at] < _UNLIKE_ENGLISH and not english[row]:
            told_as = UNKNOWN
        found[row] = told_as
    return found


def english_likeness(texts: pa.Array) -> tuple[Floats, npt.NDArray[np.int64]]:
    """How English the spelling of each text is, as the mean of log2(1 + count) of its triples of letters; and how many."""
    held = bytes_of(texts)
    codes = _CODES[held.data]
    before, after = np.zeros_like(codes), np.zeros_like(codes)
    before[1:], after[:-1] = codes[:-1], codes[1:]
    size = len(codes)
    before[held.offsets[:-1][held.offsets[:-1] < size]] = 0
    after[held.offsets[1:][held.offsets[1:] > 0] - 1] = 0
    at = np.flatnonzero(codes)
    triples = shipped().letters[before[at], codes[at], after[at]].astype(np.float64) / 8
    bounds = np.searchsorted(at, held.offsets)
    number = np.diff(bounds)
    sums = np.diff(np.concatenate([[0.0], np.cumsum(triples)])[bounds])
    return sums / np.maximum(number, 1), number


def _sums(values: Floats, rows: npt.NDArray[np.int64], n: int) -> Floats:
    """Sums of values of the same row; rows come in order."""
    sums = np.zeros((n, values.shape[1]))
    if len(rows):
        starts = np.flatnonzero(np.r_[True, rows[1:] != rows[:-1]])
        sums[rows[starts]] = np.add.reduceat(values, starts, axis=0)
    return sums


def _by_letters(texts: pa.Array, scores: Floats, at: npt.NDArray[np.int64]) -> dict[int, str]:
    """Adds to the scores what letters tell; gives the script of texts mostly in another than Latin, by place."""
    names, kinds = _scripts()
    points = np.frombuffer("".join(texts.to_pylist()).encode("utf-32-le"), np.uint32)
    points = np.where(points < 1 << 16, points, 0)
    rows = np.repeat(np.arange(len(texts)), pc.utf8_length(texts).to_numpy())
    width = len(names) + 2
    found = np.bincount(rows * width + kinds[points], minlength=len(texts) * width).reshape(-1, width)
    columns, letters, weights = _letters()
    which = letters[points]
    some = np.flatnonzero(which)
    extra = _sums(weights[which[some]], rows[some], len(texts))
    scores[at] += np.minimum(extra, _MOST_FROM_LETTERS)
    total = found[:, 1:].sum(axis=1)
    best = found[:, 2:].argmax(axis=1)
    held = {}
    for i in np.flatnonzero(2 * found[np.arange(len(texts)), best + 2] > total).tolist():
        held[int(at[i])] = names[best[i]]
    japanese, chinese = names.index("ja") + 2, names.index("zh") + 2
    both = found[:, japanese] + found[:, chinese]
    for i in np.flatnonzero(2 * both > total).tolist():
        held[int(at[i])] = "ja" if 10 * found[i, japanese] >= both[i] else "zh"
    return held


def _told(scores: Floats, count: int, whose: set[int], script: str) -> str | None:
    held = table()
    if script and script not in _GROUPS:
        return script
    own = [held.names.index(name) for name in _GROUPS.get(script, _GROUPS[""])]
    best = own[int(scores[own].argmax())]
    if script:
        return held.names[best] if scores[best] > 0 else _GROUPS[script][0]
    english = float(scores[0])
    score = float(scores[best])
    if best and english >= _ENGLISH_LEAST and english * _AHEAD >= score:
        return "en"
    if score < _LEAST or score < _LEAST_SHARE * count:
        return None
    return held.names[best] if not best or sum(held.weights[place, best] > 0 for place in whose) > 1 else None
