"""Edits that leave the content of a response as it is: filler, dress, and other ways to write the same."""

import re
from collections.abc import Callable

_FILLER = (
    "This is the answer to the question that was asked.",
    "It is given here as a text and can be read from beginning to end.",
    "Nothing in these last sentences adds to it or takes anything from it.",
    "They only follow what was said before.",
    "The answer itself stands above and is complete as it stands.",
    "With this sentence the text comes to its end.",
)
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9\"'(])|\n+")
_MARKDOWN = re.compile(r"\*\*|__|`|^\s*(?:#{1,6}\s|[-*+•]\s|\d+[.)]\s|>|\|)", re.MULTILINE)
_SHORT = (
    ("do not", "don't"), ("does not", "doesn't"), ("did not", "didn't"), ("is not", "isn't"), ("are not", "aren't"),
    ("was not", "wasn't"), ("were not", "weren't"), ("cannot", "can't"), ("could not", "couldn't"),
    ("should not", "shouldn't"), ("would not", "wouldn't"), ("will not", "won't"), ("has not", "hasn't"),
    ("you are", "you're"), ("they are", "they're"), ("we are", "we're"), ("I am", "I'm"), ("you will", "you'll"),
)  # fmt: skip
_SHORT_ONE_WAY = (("it is", "it's"), ("that is", "that's"), ("there is", "there's"), ("have not", "haven't"))
"""Their short forms may stand for something else."""
_SPELLING = (
    ("colour", "color"), ("colours", "colors"), ("favourite", "favorite"), ("behaviour", "behavior"),
    ("flavour", "flavor"), ("honour", "honor"), ("labour", "labor"), ("neighbour", "neighbor"), ("humour", "humor"),
    ("organise", "organize"), ("organised", "organized"), ("organisation", "organization"),
    ("recognise", "recognize"), ("realise", "realize"), ("analyse", "analyze"), ("summarise", "summarize"),
    ("prioritise", "prioritize"), ("minimise", "minimize"), ("maximise", "maximize"), ("optimise", "optimize"),
    ("specialise", "specialize"), ("centre", "center"), ("metre", "meter"), ("litre", "liter"), ("theatre", "theater"),
    ("defence", "defense"), ("offence", "offense"), ("travelling", "traveling"), ("traveller", "traveler"),
    ("cancelled", "canceled"), ("modelling", "modeling"), ("catalogue", "catalog"), ("grey", "gray"),
    ("fulfil", "fulfill"), ("skilful", "skillful"), ("aluminium", "aluminum"), ("jewellery", "jewelry"),
)  # fmt: skip
_PHRASES = (
    ("in order to", "so as to"), ("for example", "for instance"), ("for instance", "for example"),
    ("because of", "owing to"), ("due to", "because of"), ("therefore", "thus"), ("thus", "therefore"),
    ("in addition", "moreover"), ("in addition to", "besides"), ("a lot of", "lots of"), ("a number of", "several"),
    ("the answer is", "the answer would be"), ("in conclusion", "to conclude"), ("make sure that", "ensure that"),
    ("as a result", "as a consequence"), ("on the other hand", "then again"), ("in general", "generally"),
    ("as soon as possible", "as early as possible"), ("at the same time", "simultaneously"), ("such as", "like"),
    ("is able to", "can"), ("are able to", "can"), ("whether or not", "whether"), ("until", "till"),
)  # fmt: skip


def padded(text: str) -> str:
    """The text with sentences at its end that say nothing, about as long as itself, at least one and at most six."""
    added: list[str] = []
    for sentence in _FILLER:
        if added and sum(map(len, added)) >= len(text):
            break
        added.append(sentence)
    return f"{text.rstrip()} {' '.join(added)}"


def is_plain(text: str) -> bool:
    """Whether a text can be dressed: it is not blank and has no Markdown of its own."""
    return bool(text.strip()) and not _MARKDOWN.search(text)


def _bold(text: str) -> str:
    return "\n".join(f"**{line.strip()}**" if line.strip() else line for line in text.split("\n"))


def _bullets(text: str) -> str:
    return "\n".join(f"- {part.strip()}" for part in _SENTENCE.split(text) if part.strip())


DRESSES: dict[str, Callable[[str], str]] = {
    "bold": _bold,
    "bullet list": _bullets,
    "heading": lambda text: f"## Answer\n\n{text}",
    "capitals": str.upper,
    "pleasantry": lambda text: f"Great question! I am happy to help. {text}",
    "confident tone": lambda text: f"I am completely sure of this. {text.rstrip()} There is no doubt about it.",
}
"""Ways to dress a plain text; the first three are Markdown."""


def _swapped(pairs: tuple[tuple[str, str], ...], text: str, *, both: bool = False, inside: bool = False) -> str:
    """Replace words and phrases, whole and with their first letter's case, in one pass.

    Args:
        pairs: What is replaced, and by what.
        text: Where.
        both: Also replace the second by the first.
        inside: Only before another word, so that "as it is." is not shortened.
    """
    table = {left.lower(): right for left, right in pairs}
    if both:
        table |= {right.lower(): left for left, right in pairs}
    words = sorted(table, key=len, reverse=True)
    end = r"(?= \w)" if inside else r"(?![\w'])"
    pattern = re.compile(rf"(?<![\w'])(?:{'|'.join(map(re.escape, words))}){end}", re.IGNORECASE)

    def other(found: re.Match[str]) -> str:
        new = table[found[0].lower()]
        return new[:1].upper() + new[1:] if found[0][:1].isupper() else new

    return pattern.sub(other, text)


def _contracted(text: str) -> str:
    return _swapped(_SHORT_ONE_WAY, _swapped(_SHORT, text, both=True, inside=True), inside=True)


def _spaced(text: str) -> str:
    return re.sub(r"(?<=[.!?]) (?=\S)", "  ", text).replace("\n", " \n") + "\n"


def _punctuated(text: str) -> str:
    text = re.sub(r"(?<=\w)'(?=\w)", "\u2019", text).replace("...", "\u2026").replace(" - ", " \u2013 ")
    return re.sub(r'"([^"\n]*)"', "\u201c\\1\u201d", text)


PARAPHRASES: dict[str, Callable[[str], str]] = {
    "contractions": _contracted,
    "spelling": lambda text: _swapped(_SPELLING, text, both=True),
    "function phrases": lambda text: _swapped(_PHRASES, text),
    "white space": _spaced,
    "punctuation": _punctuated,
}
"""Edits that keep the meaning and the order of the sentences."""


def paraphrased(text: str) -> str:
    r"""All edits of `PARAPHRASES`, one after the other.

    Example:
        >>> paraphrased("It is a colour, for instance red.")
        'It’s a color, for example red.\n'
    """
    for edit in PARAPHRASES.values():
        text = edit(text)
    return text


def is_prose(text: str) -> bool:
    """Whether a text can be paraphrased: it is not blank and holds no code."""
    return bool(text.strip()) and "`" not in text
