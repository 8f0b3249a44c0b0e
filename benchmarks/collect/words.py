"""Words of a text by regular expressions: what a collection's own vectorised words are to be."""

import itertools
import re
import unicodedata

_EDGE = re.compile(r"[.,;:?!'\"`]+(?=\s|$)")
_OPENING = re.compile(r"(?:(?<=\s)|^)['\"`]+(?![.,;:?!'\"`])")
_WORD = re.compile(r"[\w\u0080-\U0010ffff]+|[^\w\s]")


def bigrams(text: str) -> set[tuple[str, ...]]:
    """Pairs of neighbouring words; of a text of one word, that word."""
    text = unicodedata.normalize("NFKC", text).lower()
    text = "".join(
        '"' if unicodedata.category(c) in ("Pi", "Pf") else "-" if unicodedata.category(c) == "Pd" else c for c in text
    )
    words = _WORD.findall(_OPENING.sub(" ", _EDGE.sub(" ", text)))
    return set(itertools.pairwise(words)) if len(words) > 1 else {tuple(words)}
