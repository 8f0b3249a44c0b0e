"""The root verb of an instruction and its first noun, by a part-of-speech tagger that needs no download.

The tagger is quick and often wrong, so words are also judged by their place: what follows `to` or `do you` is a verb
if it can be one, and so is the first word before a noun.
"""

import functools
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from selfj.errors import MissingDependency

Tagged = list[tuple[str, str]]

_LONGEST = 400
"""Characters of an instruction that are read: the first sentence has the root."""
_AUXILIARIES = {"be", "do", "have", "will", "would", "can", "could", "shall", "should", "may", "might", "must"}
_CONTRACTED = {"'s", "'re", "'ve", "'m", "'d", "'ll", "n't"}
_MODALS = {"can", "could", "will", "would", "should", "shall", "may", "might", "must", "do", "does", "did", "ca", "wo"}
_SUBJECTS = {"i", "you", "we", "they", "one", "it", "he", "she", "people", "someone"}
_OPENERS = {"DT", "PRP", "PRP$", "JJ", "NN", "NNS", "NNP", "CD", "VBN"}
_DETERMINERS = {"DT", "PRP$", "JJ", "CD"}
_NOUNS = {"NN", "NNS"}
_ENDS = {".", ":", ",", "WRB", "WP", "WDT", "MD", "CC"}
_WORD = re.compile(r"[A-Za-z][a-z]{1,24}")
_POLITE = re.compile(r"\s*(?:(?:please|hi|hello|hey|kindly)\b[,!. ]*)+", re.IGNORECASE)


class Root(NamedTuple):
    """What an instruction asks for."""

    verb: str
    noun: str | None


class Verbs(NamedTuple):
    """Root verbs of many instructions."""

    read: int
    """Instructions looked at."""
    found: int
    """Those with a root verb besides be, have and do."""
    pairs: Counter[tuple[str, str]]
    """Instructions by verb and noun."""
    verbs: Counter[str]
    """Instructions by verb, with or without a noun."""


def root_verbs(instructions: Iterable[str], advance: Callable[[int], None] = lambda n: None) -> Verbs:
    """Find the root verb and its first noun in English instructions.

    Args:
        instructions: Texts.
        advance: Told of instructions as they are read.

    Raises:
        MissingDependency: The tagger is not installed.
    """
    find = _reader()
    read, pairs, verbs = 0, Counter[tuple[str, str]](), Counter[str]()
    for text in instructions:
        read += 1
        root = find(text)
        if root is not None:
            verbs[root.verb] += 1
            if root.noun is not None:
                pairs[root.verb, root.noun] += 1
        if not read % 1000:
            advance(1000)
    return Verbs(read, verbs.total(), pairs, verbs)


def top(verbs: Verbs, most: int = 20, nouns: int = 4) -> list[tuple[str, int, list[tuple[str, int]]]]:
    """The most frequent verbs that have a noun, with how many, and their most frequent nouns.

    Equal counts stand in the order of the alphabet.
    """
    totals = Counter[str]()
    for (verb, _), n in verbs.pairs.items():
        totals[verb] += n
    found = []
    for verb, n in sorted(totals.items(), key=lambda entry: (-entry[1], entry[0]))[:most]:
        own = sorted(((k[1], c) for k, c in verbs.pairs.items() if k[0] == verb), key=lambda e: (-e[1], e[0]))
        found.append((verb, n, own[:nouns]))
    return found


@functools.cache
def _reader() -> Callable[[str], Root | None]:
    try:
        from lemminflect import getAllLemmas, getLemma
        from textblob.en.taggers import PatternTagger
    except ImportError as error:
        raise MissingDependency(
            f"Root verbs need the package {error.name}: pip install 'selfj[collect]', or leave them out: --no-verbs."
        ) from error
    tagger = PatternTagger()
    with warnings.catch_warnings():
        # The tagger leaves its word list open while reading it.
        warnings.simplefilter("ignore", ResourceWarning)
        tagger.tag("Warm up.")
    known: dict[tuple[str, str], tuple[str, ...]] = {}

    def lemma(word: str, kind: str) -> str:
        key = (word, kind)
        if key not in known:
            known[key] = getLemma(word, upos=kind)
        return known[key][0] if known[key] else word

    @functools.cache
    def is_base(word: str) -> bool:
        return word in getAllLemmas(word, upos="VERB").get("VERB", ())

    def find(text: str) -> Root | None:
        return root(tagger.tag(_POLITE.sub("", text[:_LONGEST], count=1)), lemma, is_base)

    return find


def root(tagged: Tagged, lemma: Callable[[str, str], str], is_base: Callable[[str], bool]) -> Root | None:
    """The root of one tagged instruction; None where there is no verb besides be, have and do.

    Args:
        tagged: Words with tags of the Penn Treebank.
        lemma: Dictionary form of a word as a `VERB` or `NOUN`.
        is_base: Whether a word is the dictionary form of a verb.
    """
    for place, (word, tag) in enumerate(tagged):
        low = word.lower()
        if not _WORD.fullmatch(word) or low in _CONTRACTED or tag == "MD":
            continue
        if not _is_verb(tagged, place, low, tag, is_base):
            continue
        verb = lemma(low, "VERB")
        if verb in _AUXILIARIES or not _WORD.fullmatch(verb):
            continue
        return Root(verb, _first_noun(tagged, place + 1, lemma))
    return None


def _is_verb(tagged: Tagged, place: int, low: str, tag: str, is_base: Callable[[str], bool]) -> bool:
    before = [(w.lower(), t) for w, t in tagged[max(0, place - 3) : place]]
    after = tagged[place + 1][1] if place + 1 < len(tagged) else ""
    last = before[-1] if before else ("", "")
    if last[0] == "to" or (last[0] in _SUBJECTS and any(w in _MODALS for w, _ in before[:-1])):
        return is_base(low)
    if not before:
        return is_base(low) and (tag.startswith("VB") or after in _OPENERS)
    if not tag.startswith("VB"):
        return False
    # A participle before its noun describes it: `the recommended dose`.
    return not (last[1] in _DETERMINERS and (after in _NOUNS or tag in ("VB", "VBG")))


def _first_noun(tagged: Tagged, start: int, lemma: Callable[[str, str], str]) -> str | None:
    """The head of the first noun phrase: its last noun, so `list` in `a linked list of strings`."""
    head: Any = None
    for word, tag in tagged[start:]:
        if tag in _NOUNS and _WORD.fullmatch(word):
            head = word.lower()
        elif head is not None or tag in _ENDS:
            break
    return None if head is None else lemma(head, "NOUN")
