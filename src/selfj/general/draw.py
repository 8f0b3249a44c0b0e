"""Graded exchanges without people: complete answers and broken ones, with what the teacher sees of the reference.

The reference that the teacher sees is seldom the response itself: it is a part of it, a longer text that holds it, a
list of alternatives or another spelling, and wrong answers come in the same forms as right ones. So a teacher cannot
learn that equal texts are right.
"""

import random
import re
from collections import defaultdict
from collections.abc import Sequence

from selfj.backends.base import JudgeInput
from selfj.general.damage import DAMAGE, wrong_number
from selfj.general.dressing import (
    answer_sentence,
    dressed_code,
    dressed_long,
    dressed_short,
    restated,
    same_answer,
    sentences,
)
from selfj.general.pool import Entry
from selfj.tune import Example

_SHORT_WAYS = {
    "right": 10,
    "wrong": 9,
    "off_topic": 1,
    "refusing": 1,
    "empty": 0.4,
    "noise": 0.4,
    "vague": 0.5,
    "echo": 0.5,
}
_LONG_WAYS = {
    "whole": 10, "part": 3, "cut": 3, "repeated": 1.6, "off_topic": 3, "garbled": 1.6, "refusing": 1.2, "empty": 0.4,
    "noise": 0.5, "vague": 0.8, "echo": 0.8, "mixed": 1, "wrong_numbers": 1.2,
}  # fmt: skip
_DETAILS = ("{} (disambiguation)", "History of {}", "{}.", "the {}", "{} (name)", "List of {}")
_NEAR = 12


class Pool:
    """Entries, and for each of them others whose answers could be mistaken for its own."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = list(entries)
        self._by_source: dict[str, list[Entry]] = defaultdict(list)
        self._by_word: dict[tuple[str, str], list[Entry]] = defaultdict(list)
        self._by_kind: dict[str, list[Entry]] = defaultdict(list)
        for entry in self.entries:
            self._by_source[entry.source].append(entry)
            for word in _content(entry.instruction):
                self._by_word[entry.source, word].append(entry)
            if entry.short:
                self._by_kind[answer_kind(entry)].append(entry)

    def other(self, entry: Entry, draw: random.Random) -> Entry:
        """Another entry: of any source, of the same, or one of the same that shares a rare word."""
        way = draw.random()
        if way < 0.25:
            return self.strange(entry, draw)
        if way < 0.6:
            return self._not(entry, self._by_source[entry.source], draw)
        return self.near(entry, draw)

    def strange(self, entry: Entry, draw: random.Random) -> Entry:
        """Another entry, of another source."""
        for _ in range(32):
            found = draw.choice(self.entries)
            if found.source != entry.source:
                return found
        return self._not(entry, self.entries, draw)

    def near(self, entry: Entry, draw: random.Random) -> Entry:
        """Another entry of the same source whose instruction shares its rarest shared word."""
        words = sorted(_content(entry.instruction), key=lambda word: (len(self._by_word[entry.source, word]), word))
        for word in words:
            if len(self._by_word[entry.source, word]) > 1:
                return self._not(entry, self._by_word[entry.source, word][:_NEAR], draw)
        return self._not(entry, self._by_source[entry.source], draw)

    def same_kind(self, entry: Entry, draw: random.Random) -> Entry:
        """Another entry with a short answer of the same kind, half the time to a question that is near."""
        if draw.random() < 0.5:
            found = self.near(entry, draw)
            if found.short and answer_kind(found) == answer_kind(entry):
                return found
        return self._not(entry, self._by_kind[answer_kind(entry)], draw)

    def _not(self, entry: Entry, among: Sequence[Entry], draw: random.Random) -> Entry:
        for _ in range(8):
            found = draw.choice(among)
            if found.reference.casefold() != entry.reference.casefold():
                return found
        return draw.choice(self.entries)


def answer_kind(entry: Entry) -> str:
    """What kind of thing a short answer is: a letter, yes or no, a number, a date, a name, or words."""
    text = entry.reference
    if re.match(r"\(?[A-F][).]", text):
        return "option"
    if re.match(r"(?i)(yes|no|true|false)\b", text):
        return "verdict"
    if re.fullmatch(r"[\d.,$%-]+", text):
        return "number"
    if re.search(r"\b\d{4}\b", text):
        return "date"
    question = entry.instruction.split()[0].lower() if entry.instruction.split() else ""
    return f"{question if question in ('who', 'where') else 'any'} {'name' if text[:1].isupper() else 'words'}"


def draw_examples(entries: Sequence[Entry], n: int, seed: int, most_per_source: int) -> list[Example]:
    """Draw n graded exchanges, one or more for an entry, sources evened out by a most per source.

    Args:
        entries: What is drawn from.
        n: Number of exchanges.
        seed: Of all choices.
        most_per_source: A larger source counts as if it had so many entries.
    """
    pool = Pool(entries)
    draw = random.Random(f"general {seed}")
    kept: list[Entry] = []
    by_source: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        by_source[entry.source].append(entry)
    for source in sorted(by_source):
        own = by_source[source]
        kept += draw.sample(own, min(len(own), most_per_source))
    made: list[Example] = []
    while len(made) < n:
        for entry in draw.sample(kept, min(len(kept), n - len(made))):
            made.append(_example(entry, pool, draw, len(made)))
    return made


def _example(entry: Entry, pool: Pool, draw: random.Random, number: int) -> Example:
    while True:
        ways = _SHORT_WAYS if entry.short else _LONG_WAYS
        (way,) = draw.choices(list(ways), list(ways.values()))
        made = _short(entry, way, pool, draw) if entry.short else _long(entry, way, pool, draw)
        if made is not None:
            break
    response, reference, quality = made
    asked = entry.instruction
    return Example(
        id=f"{number:06d}",
        teacher=JudgeInput(asked, response, reference),
        student=JudgeInput(asked, response),
        quality=max(0.0, min(9.0, quality)),
    )


def _short(entry: Entry, way: str, pool: Pool, draw: random.Random) -> tuple[str, str, float] | None:
    answer = entry.reference
    beside = pool.near(entry, draw)
    more = (restated(beside.instruction.strip().rstrip("?. "), beside.reference, draw) or "") if beside.short else ""
    reference = seen_reference(entry, draw)
    if way == "right":
        said = same_answer(answer, draw) if draw.random() < 0.35 else answer
        return dressed_short(entry.instruction, said, draw, more), reference, 9.0
    if way == "wrong":
        said = _wrong(entry, pool, draw)
        if said.casefold().strip() == answer.casefold().strip():
            return None
        text = dressed_short(entry.instruction, said, draw, more)
        return None if f" {answer.casefold()} " in f" {text.casefold()} " else (text, reference, 0.5)
    return _broken(entry, way, dressed_short(entry.instruction, answer, draw, more), reference, pool, draw)


def complete(entry: Entry, draw: random.Random) -> str:
    """A complete answer: the reference in another form, or as it stands."""
    if draw.random() < 0.3:
        return entry.reference
    if entry.short:
        return dressed_short(entry.instruction, entry.reference, draw)
    return dressed_code(entry.reference, draw) if entry.code else dressed_long(entry.reference, draw)


def seen_reference(entry: Entry, draw: random.Random) -> str:
    """What the teacher sees of the reference: often a part of it, or another form."""
    return _seen_short(entry, draw) if entry.short else _seen_long(entry.reference, draw)


def _seen_short(entry: Entry, draw: random.Random) -> str:
    answer, way = entry.reference, draw.random()
    if way < 0.45:
        return answer
    if way < 0.6:
        return answer_sentence(entry.instruction, answer, draw)
    if way < 0.7:
        return same_answer(answer, draw)
    if "/" in answer:
        return answer
    listed = [answer, same_answer(answer, draw), *(d.format(answer) for d in draw.sample(_DETAILS, draw.randint(0, 4)))]
    return "/".join(draw.sample(listed, len(listed)))


def _wrong(entry: Entry, pool: Pool, draw: random.Random) -> str:
    answer, way = entry.reference, draw.random()
    if way < 0.35 and re.search(r"\d", answer):
        return re.sub(r"\d+(?:\.\d+)?", lambda m: wrong_number(m[0], draw), answer)
    other = pool.same_kind(entry, draw).reference
    names, others = answer.split(), other.split()
    if way < 0.5 and 2 <= len(names) <= 4 and len(others) > 1:
        # Half right is wrong: the first name of the one with the last of the other.
        return " ".join([names[0], *others[1:]]) if draw.random() < 0.7 else " ".join([*others[:-1], names[-1]])
    if way > 0.93:
        asked = [word for word in re.findall(r"[A-Z][\w'-]+", entry.instruction[1:]) if word not in answer]
        return draw.choice(asked) if asked else other
    return other


def _long(entry: Entry, way: str, pool: Pool, draw: random.Random) -> tuple[str, str, float] | None:
    text = entry.reference
    reference = seen_reference(entry, draw)
    dress = dressed_code if entry.code else dressed_long
    if way == "whole":
        return dress(text, draw), reference, 9.0
    if way == "part":
        parts = sentences(text)
        if entry.code or len(parts) < 3:
            return None
        kept = draw.randint(1, len(parts) - 1)
        share = len(" ".join(parts[:kept])) / max(1, len(text))
        return dress(" ".join(parts[:kept]), draw), text, 5.0 + 4.0 * share
    if way == "wrong_numbers" and (found := re.match(r"(Yes|No)\b", text)):
        return {"Yes": "No", "No": "Yes"}[found[1]] + text[found.end() :], reference, 1.0
    return _broken(entry, way, dress(text, draw), reference, pool, draw)


def _seen_long(text: str, draw: random.Random) -> str:
    # All of it, some of its sentences, its result alone, or all but some of its words.
    way, parts = draw.random(), sentences(text)
    if way < 0.5 and (found := re.search(r"The answer is (.+)\.$", text)):
        return found[1] if way < 0.3 else found[0]
    if way < 0.45 or len(text.split()) < 12:
        return text
    if way < 0.75 and len(parts) > 2:
        kept = sorted(draw.sample(range(len(parts)), draw.randint((len(parts) + 1) // 2, len(parts) - 1)))
        return " ".join(parts[place] for place in kept)
    return " ".join(word for word in text.split() if draw.random() > 0.2)


def _broken(
    entry: Entry, way: str, text: str, reference: str, pool: Pool, draw: random.Random
) -> tuple[str, str, float] | None:
    if way == "echo":
        asked = entry.instruction
        return draw.choice((asked, f"You asked: {asked}", f"{asked} {asked}")), reference, 0.5
    other = pool.other(entry, draw)
    said = dressed_short(other.instruction, other.reference, draw) if other.short else other.reference
    made = DAMAGE[way](text, said, draw)
    return None if made is None else (made[0], reference, made[1])


def _content(text: str) -> set[str]:
    return {word for word in re.findall(r"[a-z]{4,}", text.lower()[:300]) if word not in _COMMON}


_COMMON = frozenset(
    ("what", "when", "where", "which", "with", "that", "this", "from", "have", "does", "many", "following")
)
