"""Texts whose UTF-8 was once read as Windows-1252 or Latin-1, read again as what they are."""

import re

_HIGH = {
    bytes([code]).decode("cp1252"): code for code in range(0x80, 0xA0) if code not in (0x81, 0x8D, 0x8F, 0x90, 0x9D)
}
_CODES = {chr(code): code for code in range(0x80, 0x100)} | _HIGH
_BEHIND = "".join(sign for sign, code in _CODES.items() if 0x80 <= code < 0xC0)
_MARKS = "‘’“”‹›«»–—…•"

SIGNS = r"[\x{c2}-\x{f4}][\x{80}-\x{bf}\x{152}-\x{2dc}\x{2013}-\x{2122}]"
"""RE2 pattern; a text without it is not looked at."""
_PAIR = f"[\xc2-\xdf][{re.escape(_BEHIND)}]"
_SEQUENCE = re.compile(f"{_PAIR}|[\xe0-\xef][{re.escape(_BEHIND)}]{{2}}|[\xf0-\xf4][{re.escape(_BEHIND)}]{{3}}")
_LETTER = re.compile("[\xc0-\xff]")
_DOUBTFUL = re.compile(f"[\xc3-\xdf][{_MARKS}\xa0]|[\xc5\xd7\xd8\xdf][\xb0-\xb3\xb7\xb9]")
_NEVER = "\xd7\xa0"
"""A sign of multiplication before a blank that does not break."""


def remake(text: str) -> str:
    """The text with such sequences replaced by the sign they stand for.

    Nothing is done where it may be right as it is: where a letter from À to ÿ stands outside all sequences, or where
    the only sequence is the last letter of a word before a quotation mark.

    Example:
        >>> remake("Itâ€™s a cafÃ©"), remake("« CAFÉ»")
        ('It’s a café', '« CAFÉ»')
    """
    found = list(_SEQUENCE.finditer(text))
    if not found or not _likely(text, found):
        return text
    return _SEQUENCE.sub(_decoded, text)


def _likely(text: str, found: list[re.Match[str]]) -> bool:
    inside = sum(len(_LETTER.findall(match.group())) for match in found)
    if inside != len(_LETTER.findall(text)):
        return False
    if len(found) > 1:
        return True
    match = found[0]
    if not _DOUBTFUL.fullmatch(match.group()):
        return True
    before, behind = text[: match.start()][-1:], text[match.end() :][:1]
    return behind.islower() or not (before.isalpha() or match.group()[1] == "\xa0")


def _decoded(match: re.Match[str]) -> str:
    held = bytes(_CODES[sign] for sign in match.group())
    if match.group() == _NEVER:
        return _NEVER
    try:
        return held.decode("utf-8")
    except UnicodeDecodeError:
        return match.group()
