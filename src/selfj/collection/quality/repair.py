"""Texts repaired: their signs, line ends, blanks, and HTML around them; never their words."""

import re
import unicodedata
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from selfj.collection.quality import markup, mojibake
from selfj.collection.quality.arrow import each, matches, settled, some, where

Html = Literal["auto", "keep", "strip"]

_SUSPECT = (
    r"[^\x00-\x7f]|[\x00-\x08\x0b-\x1f\x7f]|\A\s|\s\z|&[a-zA-Z#]|<[/!]?[a-zA-Z\-]|[^\s] {2,}[^\s]|\n\n\n\n|[ \t]\n"
)
_LINE_ENDS = r"\r\n?|\x{85}|\x{2028}|\x{2029}|\x0b|\x0c"
_UNSEEN = (
    r"[\x00-\x08\x0e-\x1f\x7f-\x{84}\x{86}-\x{9f}\x{ad}\x{200b}\x{200e}\x{200f}\x{202a}-\x{202e}\x{2060}-\x{2064}"
    r"\x{2066}-\x{206f}\x{feff}\x{fff9}-\x{fffb}\x{fffe}\x{ffff}]"
)
_SPACES = r"[\x{a0}\x{1680}\x{2000}-\x{200a}\x{202f}\x{205f}\x{3000}]"
_JOINERS = "[\u200c\u200d]"
_LOOSE_JOINER = re.compile("(?:(?<![^\x00-\x7f])|(?<=[\u200c\u200d]))[\u200c\u200d]|[\u200c\u200d](?![^\x00-\x7f])")
_FENCE = r"```|~~~"
_LAID_OUT = r"[{}<>=;|\\$`#\[\]\"\t\n*+^~]|\(\)|--"
"""Signs of code, formulas and tables: where one occurs, runs of blanks may mean something."""


def repair(texts: pa.Array, html: Html, about: pa.Array | None = None) -> pa.Array:
    r"""The texts repaired; null stays null. Repairing again changes nothing.

    Sequences of a wrong encoding are read again, HTML becomes text, line ends become `\n`, signs that are not seen go,
    blanks of all kinds become the usual one, and the text is in Unicode's form NFC. Outer white space goes, but not
    the indentation of a first line of several; ends of lines have no blanks; more than two empty lines become two;
    runs of blanks within a line of plain words become one. Blanks are left alone in a text with a block of code.

    Args:
        texts: Strings, shape (n,).
        html: See `Quality.html`.
        about: Whether each row is about HTML, so that `auto` leaves its tags; shape (n,).
    """
    suspects = matches(texts, _SUSPECT)
    if not some(suspects):
        return texts
    if about is not None and html == "auto":
        texts = where(texts, pc.and_(suspects, about), lambda part: settled(part, lambda rest: _once(rest, "keep")))
        suspects = pc.and_not(suspects, about)
    return where(texts, suspects, lambda part: settled(part, lambda rest: _once(rest, html)))


def _once(texts: pa.Array, html: Html) -> pa.Array:
    foreign = matches(texts, r"[^\x00-\x7f]")
    texts = where(texts, foreign, _encoded)
    if html != "keep":
        change = markup.stripped if html == "strip" else markup.plain
        texts = where(texts, matches(texts, markup.SIGNS), each(change))
    texts = pc.replace_substring_regex(texts, _LINE_ENDS, "\n")
    texts = pc.replace_substring_regex(texts, _UNSEEN, "")
    texts = where(texts, matches(texts, r"[^\x00-\x7f]"), _composed)
    texts = where(texts, pc.invert(matches(texts, _FENCE)), _spaced)
    texts = pc.replace_substring_regex(texts, r"\A(?:\s*\n)+|\s+\z", "")
    return where(texts, pc.invert(matches(texts, r"\A(?: {2}|\t)[^\n]*\n")), pc.utf8_ltrim_whitespace)


def _encoded(texts: pa.Array) -> pa.Array:
    return where(texts, matches(texts, mojibake.SIGNS), each(mojibake.remake))


def _composed(texts: pa.Array) -> pa.Array:
    texts = where(texts, matches(texts, _JOINERS), each(lambda text: _LOOSE_JOINER.sub("", text)))
    texts = pc.replace_substring_regex(texts, _SPACES, " ")
    # Arrow's own utf8_normalize decomposes under the name of NFC.
    return each(lambda text: unicodedata.normalize("NFC", text))(texts)


def _spaced(texts: pa.Array) -> pa.Array:
    texts = pc.replace_substring_regex(texts, r"[ \t]+\n", "\n")
    texts = pc.replace_substring_regex(texts, r"\n{4,}", "\n\n\n")
    words = pc.invert(matches(texts, _LAID_OUT))
    return where(texts, words, lambda part: pc.replace_substring_regex(part, " {2,}", " "))
