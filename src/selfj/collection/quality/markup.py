"""Text out of HTML, where a text is HTML and not about it."""

import html
import re

SIGNS = r"</?[a-zA-Z][^<>]*>|<!--|&(?:#\d+|#[xX][0-9a-fA-F]+|[A-Za-z]+\d*);"
"""RE2 pattern; a text without it is not looked at."""
ABOUT = (
    r"\b(?:html5?|css|xml|xhtml|jsx?|tsx|react|vue|angular|svelte|javascript|typescript|php|jquery|dom|svg"
    r"|markup|markdown|tags?"
    r"|entit(?:y|ies)|escap(?:e|ed|ing)|unescape|encod(?:e|ed|ing)|decod(?:e|ed|ing)|web ?pages?|web ?sites?|buttons?"
    r"|templates?|elements?|attributes?|components?|div|span|href|forms?|regexp?|scrap(?:e|ing)|parsers?|parse)\b"
)
"""RE2 pattern, small letters or large: an instruction with it may be about HTML, so tags are its matter."""
WHOLE = r"(?is)\A\s*<(?:p|div|h[1-6]|ul|ol|pre|blockquote)(?: [^<>]*)?>.*</(?:p|div|h[1-6]|ul|ol|pre|blockquote)>\s*\z"
"""RE2 pattern of a text that is HTML from its first sign to its last, as posts of forums are."""

_WHOLE = re.compile(WHOLE.replace(r"\z", r"\Z"))
_ABOUT = re.compile(ABOUT, re.IGNORECASE)
_FORMAT = re.compile(r"<br ?/?>|</(?:p|b|i|u|em|strong|li|ul|ol|a|span|sub|sup|h[1-6]|div|blockquote)>", re.IGNORECASE)
_CODE = re.compile(
    r"[{}]|\w\(\)|[=!]=|=>|;[ \t]*(?:\n|\Z)|</?(?:html|body|head|script|style|button|form|input|select|svg"
    r"|table|img|meta)\b"
    r"|\b(?:class|id|style)=|^\s*(?:def|import|from|public|const|let|var|function)\b",
    re.IGNORECASE | re.MULTILINE,
)
_ENTITY = re.compile(r"&(?:#\d+|#[xX][0-9a-fA-F]+|[A-Za-z]+\d*);")
_PRE = re.compile(r"<pre\b[^<>]*>(?:\s*<code\b[^<>]*>)?(.*?)(?:</code>\s*)?</pre>", re.IGNORECASE | re.DOTALL)
_GONE = re.compile(r"<(script|style)\b[^<>]*>.*?</\1>|<!--.*?-->", re.IGNORECASE | re.DOTALL)
_STEPS = (
    (re.compile(r"</?code\b[^<>]*>", re.IGNORECASE), "`"),
    (re.compile(r"<br ?/?>\n?", re.IGNORECASE), "\n"),
    (re.compile(r"<sup>(?=-?\d+</sup>)", re.IGNORECASE), "^"),
    (re.compile(r"\s*<li\b[^<>]*>\s*", re.IGNORECASE), "\n- "),
    (re.compile(r"\s*</?(?:ul|ol|tr|dt|dd)\b[^<>]*>\s*", re.IGNORECASE), "\n"),
    (re.compile(r"\s*</?(?:p|div|h[1-6]|blockquote|table|section|article|hr)\b[^<>]*>\s*", re.IGNORECASE), "\n\n"),
    (re.compile(r"</t[dh]>\s*", re.IGNORECASE), " "),
    (
        re.compile(
            r"</?(?:b|i|u|s|em|strong|small|big|a|span|sub|sup|li|td|th|tbody|thead|font|center|img|kbd|tt|cite|q|abbr"
            r"|strike|del|ins|dl|html|body)\b[^<>]*>",
            re.IGNORECASE,
        ),
        "",
    ),
)


def plain(text: str) -> str:
    """The text without tags and entities, if it is HTML; as it was if it is code or about HTML.

    Blocks of code become Markdown's.

    Example:
        >>> plain("<p>Is 2 &lt; 3?</p>"), plain("What does <p> mean in HTML?")
        ('Is 2 < 3?', 'What does <p> mean in HTML?')
    """
    if "```" in text:
        return text
    if _WHOLE.match(text):
        return _stripped(text)
    if _ABOUT.search(text) or _CODE.search(_ENTITY.sub(" ", text)):
        return text
    return _stripped(text) if _FORMAT.search(text) else _entities(text)


def stripped(text: str) -> str:
    """The text without tags and entities, whatever it is; as it was if it has a block of code in Markdown."""
    return text if "```" in text else _stripped(text)


def _stripped(text: str) -> str:
    parts = _PRE.split(text)
    held = [
        f"\n\n```\n{_entities(part).strip(chr(10))}\n```\n\n" if i % 2 else _words(part) for i, part in enumerate(parts)
    ]
    return re.sub(r"\n{3,}", "\n\n", "".join(held)).strip()


def _words(text: str) -> str:
    text = _GONE.sub("", text)
    for pattern, put in _STEPS:
        text = pattern.sub(put, text)
    return _entities(text)


def _entities(text: str) -> str:
    before = None
    while text != before:
        before = text
        text = _ENTITY.sub(lambda match: html.unescape(match.group()), text)
    return text
