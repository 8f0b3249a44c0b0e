"""Patterns of instructions and references without use; `table` tells in which order they are tried."""

import functools
import re
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from selfj.collection.quality.arrow import matches, where
from selfj.errors import ConfigError

_TEXTS = (
    "passage|article|paragraph|excerpt|essay|document|context|text|story|poem|summary|table|question|abstract|code|snippet"
    "|conversation|dialogue|sentence|data|list|function|query|words|numbers|program|review|statement|equation|script|output"
)
_PICTURES = "picture|image|photo|photograph|screenshot|x-?ray|ecg|ekg|figure|diagram|graph|chart"
_WORKS = "gif|drawing|painting|logo|video|map|sketch"
_ENOUGH = r"""[^.?!\n:;"'“”‘’\d(,`$<>=/\[{–—\-]*[.?!]?\s*\z"""
"""Rest of the text, one sentence in which nothing is given."""
_TIMES = "day|week|month|morning|night|season|century|decade|summer|winter|spring|autumn|year|evening|afternoon"

_ABSENT_LINE = (
    rf"\b(?:the|these|of the) following\b{_ENOUGH}"
    rf"|\b(?:below|attached|following) (?:{_TEXTS}|{_PICTURES}|{_WORKS})s?\b{_ENOUGH}"
    rf"|\b(?:{_TEXTS}|{_PICTURES})s? (?:shown |given |provided |attached )?(?:below|above)\b{_ENOUGH}"
)
_PROSE = (
    "passage|article|paragraph|excerpt|essay|text|story|poem|sentence|statement|quote|quotation|dialogue|conversation|review"
    "|recipe|email|tweet|headline|scenario|situation|phrase|paper|speech|description|news"
)
_GIVEN_LATER = (
    rf"""\A[^.?!:;"'“”‘’\d\n`(=]*\b(?:this|these|(?:the|these|this) (?:given|provided)) (?:two |three )?"""
    rf"(?:short |news |product |blog )?(?:{_PROSE})s?\b{_ENOUGH}"
    rf"""|\A[^.?!:;"'“”‘’\d\n`(=]*\bthe (?:given|provided) (?:set of |list of |pair of |two |three )?"""
    rf"(?:{_PICTURES}|{_WORKS}|words?|adjectives?|nouns?|verbs?|product|concept|topic|line|information"
    rf"|characters?|prompt|"
    rf"ingredients?|cities|countries|animals?|keywords?|facts?|details?|people|person|company|title|idea){_ENOUGH}"
)
_ABOUT_CODE = (
    r"\b(?:functions?|programs?|algorithms?|scripts?|code|regex|regular expression|quer(?:y|ies)|commands?"
    r"|python|java|javascript|c\+\+"
    r"|c#|php|sql|mysql|class|method|array|string|variable|file|directory|app|website|application|api)\b"
)
_NOT_ABSENT = rf"\bfollowing (?:{_TIMES})s?\b"
_ABSENT_PICTURE = (
    rf"\bthe (?:above|following|attached|accompanying) (?:{_PICTURES})s?\b"
    rf"|\A[^\n]{{0,60}}\bthis (?:photo|photograph|screenshot|ecg|ekg|x-?ray)\b"
    rf"|\b(?:image|photo|picture|figure|graph|chart|diagram)s? (?:shown |given |provided |attached )?(?:below|above)\b"
    r"|\bshown in the (?:picture|image|photo|photograph|figure|diagram|graph|chart|exhibit)\b"
    r"|\(see (?:the )?(?:image|picture|photo|figure|exhibit|attach)"
    rf"|[\[(<](?:please )?(?:(?:insert|link to|see|attached?) )+(?:{_PICTURES}|video|file)[^\])>\n]{{0,24}}[\])>]"
    r"|[\[(<](?:photo|image|picture) (?:attached|here)[\])>]|(?:\A|\n)\s*[\[<](?:photo|image|picture)[\]>]\s*(?:\n|\z)"
)
_GIVEN_PICTURE = r"\[asy\]|!\[|https?://|<svg|<img|\||\\begin\{"
_ABSENT_ABOVE = (
    rf"\A[^\n]{{0,60}}\b(?:{_TEXTS})s? (?:given |provided |shown )?above\b|\A[^\n]{{0,60}}\babove (?:{_TEXTS})s?\b"
)
_ENDS_WITH_COLON = r"(?:\A|[^y]\s|[^b]y\s)(?:following|below|as follows|like this|this way)\b[^.?!\n:\"']{0,60}:\s*\z"
_ONLY_PRONOUN = (
    r"\A\W*(?:(?:please|can you|could you|what|who|where|when|why|how|explain|describe|summari[sz]e"
    r"|rewrite|edit|fix|solve"
    r"|translate|tell me(?: more)?|help(?: me)?|continue|go on|is|are|was|were|do|does|did|about|with|to"
    r"|mean|say|work|happen)\W+)*"
    r"(?:it|this|that|these|those|them|he|she|they|him|her|continue|go on|help me|help|thanks|thank you"
    r"|hello|hi|yes|no|ok)"
    r"(?: (?:mean|say|do|work|happen|about|for me|please|there))*\W*\z"
)
_CUT = r"\A[^\n\[(<{=]{300,}\b[a-z]+,\s*\z"
_MARKED_CUT = r"\[truncated\]|\(truncated\)|\[\+\d+ chars\]|(?:\.\.\.|…) ?\(?(?:read|show|view) more\)?\W*\z"

_BOILERPLATE = (
    r"\A\W*(?:\[|\()?(?:deleted|removed)(?: by (?:user|moderator|author|the author|reddit))?(?:\]|\))\W*\z"
    r"|\A\W*(?:comment|post|message|question) (?:deleted|removed)(?: by \w+)?\W*\z"
    r"|\A\W*(?:we use cookies|this (?:web)?site uses cookies|by (?:continuing"
    r"|using) (?:to use )?this (?:web)?site|accept (?:all )?cookies"
    r"|please enable (?:javascript|cookies)|javascript is (?:disabled|required)"
    r"|you need to enable javascript|click here\b"
    r"|(?:sign|log) ?in to (?:continue|view|see|read)|subscribe (?:now|to our|today)|sign up (?:now|today"
    r"|for our)|advertisement\W*\z"
    r"|page not found|404 (?:error|not found)|access denied|lorem ipsum|share (?:this )?on (?:facebook"
    r"|twitter)|skip to (?:main )?content"
    r"|all rights reserved|copyright (?:©|\(c\)|\d{4})|terms (?:of (?:use|service)|and conditions)\W*\z"
    r"|privacy policy\W*\z"
    r"|powered by \w+\W*\z|loading\W*\z|read more\W*\z)"
    r"|\b(?:uses cookies to (?:ensure|improve|give|provide)|please enable javascript to"
    r"|you agree to our use of cookies)\b"
)
_NO_REFERENCE = (
    r"\A\W*(?:n/a|na|n\.a\.|no answer|no response|no output|no input|no reply|not available|not applicable"
    r"|tbd|tba|todo|to do|to be"
    r" (?:completed|done|added|determined)|coming soon|deleted|removed|answer missing|placeholder"
    r"|no answer (?:given|provided|yet))\W*\z"
    r"|\A\s*(?:-+|–|—|\?+|\.+|…|_+|\x{fffd}+)\s*\z"
)


def boilerplate(texts: pa.Array) -> pa.Array:
    """Whether each text is what a web page says around its text."""
    return matches(texts, _BOILERPLATE, ignore_case=True)


def not_standalone(texts: pa.Array) -> pa.Array:
    """Whether each instruction points to something that is not there."""
    hints = matches(
        texts,
        r"follow|above|below|attach|this|these|given|provided|shown|see|[\[(<](?:photo|image|picture|insert|link)",
        True,
    )
    short = pc.less(pc.fill_null(pc.binary_length(texts), 0), 60)
    pronoun = _within(texts, short, lambda part: matches(part, _ONLY_PRONOUN, True))
    return pc.or_(pronoun, _within(texts, hints, _points_away))


def truncated(texts: pa.Array) -> pa.Array:
    """Whether each instruction stops in the middle: after a comma, within a block of code, or where a sign says so."""
    ends = matches(texts, _CUT)
    fences = pc.fill_null(pc.count_substring(texts, "```"), 0)
    open_fence = pc.equal(pc.bit_wise_and(fences, 1), 1)
    return pc.or_(pc.or_(ends, open_fence), matches(texts, _MARKED_CUT, True))


def no_reference(texts: pa.Array) -> pa.Array:
    """Whether each reference says nothing."""
    short = pc.less(pc.fill_null(pc.binary_length(texts), 0), 40)
    return _within(texts, short, lambda part: pc.or_(pc.equal(part, ""), matches(part, _NO_REFERENCE, True)))


def toxic(texts: pa.Array, path: str) -> pa.Array:
    """Whether each text has a word or phrase of the file.

    Raises:
        ConfigError: If the file cannot be read or holds no word.
    """
    return matches(texts, toxic_pattern(path), ignore_case=True)


@functools.cache
def toxic_pattern(path: str) -> str:
    """The RE2 pattern of a file with a word or phrase per line; lines that begin with `#` are comments.

    Raises:
        ConfigError: If the file cannot be read or holds no word.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"quality.toxic: expected a text file at {path}, found none that can be read: {error}"
        ) from error
    words = sorted({line.strip() for line in lines if line.strip() and not line.startswith("#")})
    if not words:
        raise ConfigError(f"quality.toxic: {path} holds no word; write one per line, or leave the setting out")
    return rf"(?:\A|[^\pL\pN])(?:{'|'.join(re.escape(word) for word in words)})(?:\z|[^\pL\pN])"


def _within(texts: pa.Array, hints: pa.Array, test: Callable[[pa.Array], pa.Array]) -> pa.Array:
    return where(hints, hints, lambda _: test(texts.filter(hints)))


def _points_away(texts: pa.Array) -> pa.Array:
    line = pc.invert(matches(texts, r"\n"))
    absent = pc.and_(line, pc.and_not(matches(texts, _ABSENT_LINE, True), matches(texts, _NOT_ABSENT, True)))
    absent = pc.or_(absent, pc.and_not(matches(texts, _GIVEN_LATER, True), matches(texts, _ABOUT_CODE, True)))
    picture = pc.and_not(matches(texts, _ABSENT_PICTURE, True), matches(texts, _GIVEN_PICTURE, True))
    found = pc.or_(absent, picture)
    for pattern in (_ABSENT_ABOVE, _ENDS_WITH_COLON):
        found = pc.or_(found, matches(texts, pattern, True))
    return found
