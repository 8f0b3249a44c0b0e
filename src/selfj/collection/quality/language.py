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
Ints = npt.NDArray[np.int64]

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
    "vi": "ơưđạảấầẩậắằẳặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹ", "hr": "đčćšž", "sl": "čšž",
    "lt": "ėįųūąčšž", "lv": "āēīūļņķģ", "et": "õäöü", "ca": "çàèòï", "it": "àèìòù", "nl": "ë",
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
_LETTERS_FEW = 6
"""Letters below which spelling tells nothing."""
_LETTERS_LEAST = 32
"""Letters from which a text without an English word that is spelled unlike English is foreign."""
UNKNOWN = "und"
"""A language that is not English, and else is not known."""
_CODES = np.zeros(256, np.uint8)
for _large, _small in zip(range(65, 91), range(97, 123), strict=True):
    _CODES[[_large, _small]] = _small - 96
_NONE = -1


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
def _letters() -> tuple[npt.NDArray[np.uint8], Floats]:
    """Kind of each letter that speaks for a language, 0 for others; and for which each kind speaks, and how much."""
    names = table().names
    signs = sorted(set("".join(_LETTERS.values())))
    kinds = np.zeros(1 << 16, np.uint8)
    weights = np.zeros((len(signs) + 1, len(names)), np.float64)
    for kind, sign in enumerate(signs, start=1):
        kinds[[ord(sign), ord(sign.upper()[0])]] = kind
        for name, own in _LETTERS.items():
            weights[kind, names.index(name)] = _LETTER_WEIGHT * (sign in own)
    return kinds, weights


def languages(texts: pa.Array, found_words: Words) -> pa.Array:
    """The language of each text as a code of two letters, shape (n,); null where it cannot be told.

    `und` stands for a language that is not English, and else is not known.

    Example:
        >>> from selfj.collection.quality.words import bytes_of, words
        >>> texts = pa.array(["Wie hoch ist der Berg?", "How high is the mountain?", "x = 3", "Какой сегодня день?"])
        >>> languages(texts, words(bytes_of(texts))).to_pylist()
        ['de', 'en', None, 'ru']
    """
    held = table()
    n = len(texts)
    places = held.places[(found_words.hashes & np.uint64(_BUCKETS - 1)).astype(np.int64)].astype(np.int64)
    hit = np.flatnonzero((held.hashes[places] == found_words.hashes) & (places > 0))
    rows, places = found_words.rows[hit], places[hit]
    others = np.bincount(rows, held.foreign[places], minlength=n)
    english = np.bincount(rows, held.weights[places, 0], minlength=n)
    count = found_words.counts
    foreign = flags(matches(texts, r"[^\x00-\x7f]"))
    plain = (english >= _LEAST) & (english >= _LEAST_SHARE * count) & (english >= others) & ~foreign
    codes = np.where(plain, 0, _NONE)
    rest = np.flatnonzero(~plain)
    if len(rest):
        inverse = np.full(n, -1)
        inverse[rest] = np.arange(len(rest))
        mine = inverse[rows] >= 0
        codes[rest] = _told(texts.take(pa.array(rest)), inverse[rows[mine]], places[mine], count[rest], foreign[rest])
    return _names().take(pa.array(codes, pa.int64(), mask=codes == _NONE))


@functools.cache
def _names() -> pa.Array:
    """Languages of frequent words, then `und`, then scripts."""
    return pa.array([*table().names, UNKNOWN, *_scripts()[0]], pa.string())


def _told(texts: pa.Array, rows: Ints, places: Ints, count: Ints, foreign: npt.NDArray[np.bool_]) -> Ints:
    """Places of languages in `_names`, shape (n,); `_NONE` where it cannot be told.

    Args:
        texts: Strings, shape (n,).
        rows: Text of each frequent word found.
        places: Which word it is.
        count: Words of each text.
        foreign: Whether each text has a sign beyond ASCII.
    """
    held = table()
    n = len(texts)
    scores = _sums(held.weights[places], rows, n)
    scripts = np.full(n, _NONE)
    own = np.flatnonzero(foreign)
    if len(own):
        scripts[own] = _by_letters(texts.take(pa.array(own)), scores, own)
    latin = len(LATIN)
    best = scores[:, :latin].argmax(axis=1)
    score = scores[np.arange(n), best]
    english = scores[:, 0]
    speaks = held.weights[places, best[rows]] > 0
    pairs = np.unique(rows[speaks] * len(held.hashes) + places[speaks])
    distinct = np.bincount(pairs // len(held.hashes), minlength=n)
    sure = (score >= _LEAST) & (score >= _LEAST_SHARE * count) & ((best == 0) | (distinct > 1))
    codes = np.where(sure, best, _NONE)
    codes[(english >= _ENGLISH_LEAST) & (english * _AHEAD >= score)] = 0
    likeness, letters = english_likeness(texts)
    open_ = codes == _NONE
    like = open_ & (score <= english + _CLOSE) & (letters >= _LETTERS_FEW) & (likeness >= _LIKE_ENGLISH)
    unlike = open_ & (letters >= _LETTERS_LEAST) & (likeness < _UNLIKE_ENGLISH) & (english == 0)
    codes[like] = 0
    codes[unlike] = len(held.names)
    first = len(held.names) + 1
    codes = np.where(scripts == _NONE, codes, first + scripts)
    for name, words in (("cyrillic", CYRILLIC), ("arabic", ARABIC)):
        begin = held.names.index(next(iter(words)))
        mine = scripts == _scripts()[0].index(name)
        codes[mine] = begin + scores[mine, begin : begin + len(words)].argmax(axis=1)
    return codes


def english_likeness(texts: pa.Array) -> tuple[Floats, Ints]:
    """How English the spelling of each text is, and how many letters it has; each of shape (n,).

    The first is the mean of log2(1 + count) over its triples of letters, about 8 to 14.
    """
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


def _sums(values: Floats, rows: Ints, n: int) -> Floats:
    """Sums of values of the same row; rows come in order."""
    sums = np.zeros((n, values.shape[1]))
    if len(rows):
        starts = np.flatnonzero(np.r_[True, rows[1:] != rows[:-1]])
        sums[rows[starts]] = np.add.reduceat(values, starts, axis=0)
    return sums


def _by_letters(texts: pa.Array, scores: Floats, at: Ints) -> Ints:
    """Adds to the scores what letters tell; gives the script of texts mostly in another than Latin, `_NONE` else.

    Args:
        texts: Strings, shape (m,).
        scores: Of all rows; changed in place.
        at: Row of each text, shape (m,).
    """
    names, kinds = _scripts()
    n = len(texts)
    points = np.frombuffer("".join(texts.to_pylist()).encode("utf-32-le"), np.uint32)
    points = np.where(points < 1 << 16, points, 0)
    rows = np.repeat(np.arange(n), pc.utf8_length(texts).to_numpy())
    width = len(names) + 2
    found = np.bincount(rows * width + kinds[points], minlength=n * width).reshape(-1, width)
    letters, weights = _letters()
    which = letters[points]
    some = np.flatnonzero(which)
    scores[at] += np.minimum(_sums(weights[which[some]], rows[some], n), _MOST_FROM_LETTERS)
    total = found[:, 1:].sum(axis=1)
    best = found[:, 2:].argmax(axis=1)
    scripts = np.where(2 * found[np.arange(n), best + 2] > total, best, _NONE)
    japanese, chinese = names.index("ja"), names.index("zh")
    both = found[:, japanese + 2] + found[:, chinese + 2]
    kana = np.where(10 * found[:, japanese + 2] >= both, japanese, chinese)
    return np.where(2 * both > total, kana, scripts)
