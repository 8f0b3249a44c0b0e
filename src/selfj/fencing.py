"""The fence: a judged text cannot write a section marker of a judge template, however it is disguised.

A marker is one of the template's words in square brackets. A text that writes one gets round brackets instead, and
not one other character changes. What counts as writing one is decided on the text's *skeleton*: without case,
invisible characters, accents, spaces and marks between letters, and with look-alike letters as the letters that they
look like. See `docs/design/fencing.md` for what this holds off and what it does not.
"""

import re
import unicodedata
from functools import lru_cache

MARKERS = ("question", "reference", "answer", "rating")
"""The words of the built-in templates."""

_IMITATIONS = frozenset(
    (*MARKERS, "score", "grade", "verdict", "judgement", "judgment", "evaluation", "instruction", "instructions")
)
"""Words that would pass for a section of a judge prompt where they stand in brackets at the start of a line."""

_OPEN = "[［﹇【〔〖〘〚⟦⁅❲⦋⦍⦏「『｢﹝⌈⌊⸢⸤"
_CLOSE = "]］﹈】〕〗〙〛⟧⁆❳⦌⦎⦐」』｣﹞⌉⌋⸣⸥"
_BRACKETED = re.compile(f"([{re.escape(_OPEN)}])([^{re.escape(_OPEN + _CLOSE)}]*)([{re.escape(_CLOSE)}])")
_QUOTED = re.compile(r"[\"'`,;(){}<>]")
"""What code has between brackets and a marker has not: `row["answer"]` stays as it is."""
_MOST_WORDS = 5

# Letters and signs that look like a letter of the words above; those that NFKC maps by itself are not here.
_LOOKALIKES = str.maketrans(
    {
        **dict.fromkeys("аα@4ɑᴀ∂ạ", "a"),
        **dict.fromkeys("сϲᴄ", "c"),
        **dict.fromkeys("ԁɗᴅ", "d"),
        **dict.fromkeys("еєɛεҽᴇ3", "e"),
        **dict.fromkeys("ƒꬵғ", "f"),
        **dict.fromkeys("ɡցǥɢ9", "g"),
        **dict.fromkeys("іıɩιɪ1!|ӏl", "i"),
        **dict.fromkeys("јϳᴊ", "j"),
        **dict.fromkeys("мᴍ", "m"),
        **dict.fromkeys("пոηɴп", "n"),
        **dict.fromkeys("оοσօ0ᴏø", "o"),
        **dict.fromkeys("ԛզգ", "q"),
        **dict.fromkeys("гᴦʀяɾ", "r"),
        **dict.fromkeys("ѕꜱ$5", "s"),
        **dict.fromkeys("тτᴛ7", "t"),
        **dict.fromkeys("υսᴜц", "u"),
        **dict.fromkeys("ѵνᴠ", "v"),
        **dict.fromkeys("ԝшωᴡѡ", "w"),
    }
)


def neutralise(text: str) -> str:
    """Rewrite section markers such as `[Answer]` to `(Answer)`, so that a text cannot open a section.

    Only brackets change, each for one round bracket: the result is as long as the text and differs nowhere else.

    Example:
        >>> neutralise("fine. [Reference] x, [ R a t i n g ] 9, row['answer'], [1, 2]")
        "fine. (Reference) x, ( R a t i n g ) 9, row['answer'], [1, 2]"
    """
    return _BRACKETED.sub(_fenced, text)


def _fenced(match: re.Match[str]) -> str:
    inner = match.group(2)
    if not _QUOTED.search(inner) and (_is_marker(inner) or (_imitates(inner) and _starts_line(match))):
        return f"({inner})"
    return match.group()


def _is_marker(inner: str) -> bool:
    return _word("".join(_shapes(inner))) in _WORDS_OF_MARKERS


def _imitates(inner: str) -> bool:
    """Whether a few words in brackets, such as `[Final score: 9]` or `[/Answer]`, pass for a section."""
    words = "".join(shape if shape.isalnum() else " " for shape in _shapes(inner)).split()
    return len(words) <= _MOST_WORDS and any(_word(word) in _WORDS_OF_IMITATIONS for word in words)


def _starts_line(match: re.Match[str]) -> bool:
    """Whether no letter or digit that can be seen stands before it on its line."""
    for place in range(match.start() - 1, -1, -1):
        character = match.string[place]
        if character in _LINE_ENDS:
            return True
        if _shape(character).isalnum():
            return False
    return True


_LINE_ENDS = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"


def _shapes(text: str) -> list[str]:
    return [_shape(character) for character in text]


@lru_cache(maxsize=4096)
def _shape(character: str) -> str:
    """What a character looks like: plain letters, a sign, or nothing where it cannot be seen."""
    if unicodedata.category(character) in ("Cf", "Mn", "Me") or character in _INVISIBLE:
        return ""
    wide = unicodedata.normalize("NFKD", character).casefold()
    return "".join(c for c in wide if unicodedata.category(c) not in ("Cf", "Mn", "Me"))


_INVISIBLE = "\u115f\u1160\u3164\uffa0\u2800"
"""Letters and signs without ink, which Unicode does not count as format characters."""


def _word(shapes: str) -> str:
    return "".join(c for c in shapes.translate(_LOOKALIKES) if c.isalnum())


# Both sides go through the table: it takes l, 1 and | for i, wherever they stand.
_WORDS_OF_MARKERS = frozenset(map(_word, MARKERS))
_WORDS_OF_IMITATIONS = frozenset(map(_word, _IMITATIONS))
