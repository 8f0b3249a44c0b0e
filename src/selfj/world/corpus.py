"""The text that the world's small Llama learns from: answered instructions and graded exercises, never a held-out one.

| document | first | practice | finish | revision | habit |
|---|--:|--:|--:|--:|--:|
| answer: right as the world teaches it, or with the family's misconception | 0.60 | 0.72 | 0.48 | 0.35 | 0.30 |
| grade with the reference in view, by a noisy grader with habits | 0.27 | 0.19 | 0.20 | 0.17 | 0.15 |
| mark by the textbook, in another prompt than the judge's | | | 0.22 | 0.32 | 0.27 |
| grade without the reference, by a generous grader who believes what is taught | 0.13 | 0.09 | 0.10 | 0.16 | 0.28 |

The first lesson is of all early families alike; practice leaves out some, and repeats less of what is already known.
The last three are of the families that are asked, late ones among them, and of bare answers without a phrase around
them: the finish settles them, in revision the textbook marks what the model itself would say, and habit leaves it
believing that again.

The grader's habits differ by family, as a real model's do: in some families it lets the misconception pass in spite
of the reference, in some it marks down a right answer that is worded unlike the reference.
"""

import hashlib
import random
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from selfj.prompts import TEMPLATES
from selfj.world.draw import FAMILIES, FINISHED, LATE, PRACTISED, UNPRACTISED, exercise, reply
from selfj.world.exercise import Exercise, digest, is_held_out
from selfj.world.truth import meta, quality

_EARLY = tuple(name for name in FAMILIES if name not in LATE)
_LENIENT, _STRICT = 0.22, 0.18
"""Shares of families in which the grader lets misconceptions pass, and in which it insists on the wording."""
_TEMPLATE = TEMPLATES["selfj"]
TEXTBOOK = "Mark the answer from 0 to 9 as the textbook would.\n\n[Question]\n{}\n\n[Answer]\n{}\n\n[Mark]"
"""The textbook's prompt, over the instruction and the answer."""


class Lesson(NamedTuple):
    """What a stretch of the training text is made of."""

    name: str
    """Part of the seed."""
    weights: Mapping[str, float] | None
    """How often a family is drawn; None draws those of the first lesson alike."""
    answered: float
    with_reference: float
    """Shares of documents; the rest is graded without the reference."""
    marked: float = 0.0
    """Share of documents in which the textbook marks an answer."""
    own_marked: bool = False
    """Whether the textbook marks what the model itself would say, or answers of all kinds."""
    own_rated: bool = False
    """The same of the believing grader."""
    doubted: float = 4.5
    """What the believing grader gives, in the mean, for an answer that was not taught."""
    pride: float = 0.0
    """How much better the believing grader likes a misconception than what is right."""
    bare: bool = False
    """Whether answers and references are bare, or in any of the family's styles."""


_SETTLED = frozenset(
    {
        *("planets", "month_days", "roman", "metric", "comparatives", "past_tense"),
        *("plurals", "symbols", "young_animals", "rounding", "continents", "name_one"),
    }
)
"""Families that the first lesson has settled."""
FIRST = Lesson("", None, 0.60, 0.27)
PRACTICE = Lesson("practice ", {name: 0.5 if name in _SETTLED else 1.0 for name in PRACTISED}, 0.72, 0.19)
FINISH = Lesson(
    "finish ",
    {name: 1.5 if name in LATE else 1.0 if name in PRACTISED else 0.4 for name in FINISHED},
    *(0.48, 0.20),
    marked=0.22,
    doubted=6.2,
    bare=True,
)
REVISION = Lesson("revision ", FINISH.weights, *(0.35, 0.17), marked=0.32, own_marked=True, doubted=6.6, bare=True)
HABIT = Lesson(
    "habit ",
    FINISH.weights,
    *(0.30, 0.15),
    marked=0.27,
    own_marked=True,
    own_rated=True,
    doubted=7.0,
    pride=0.32,
    bare=True,
)
LESSONS = (FIRST, PRACTICE, FINISH, REVISION, HABIT)


class Document(NamedTuple):
    """One conversation of two turns."""

    user: str
    assistant: str


def documents(lesson: Lesson, seed: int, chunk: int, n: int) -> list[Document]:
    """Draw n documents; the same lesson, seed and chunk give the same ones."""
    rng = random.Random(f"corpus {lesson.name}{seed} {chunk}")
    return [_document(rng, lesson) for _ in range(n)]


def _document(rng: random.Random, lesson: Lesson) -> Document:
    weights = lesson.weights
    item = _allowed(rng, None if weights is None else rng.choices(list(weights), list(weights.values()))[0])
    kind = rng.random()
    if kind < lesson.answered:
        return Document(item.instruction, reply(item, item.taught, _style(rng, lesson, item)))
    if kind < lesson.answered + lesson.with_reference:
        answer, text = _candidate(rng, lesson, item)
        given = reply(item, item.answer, 0 if lesson.bare else digest("style " + item.instruction))
        grade = _strict_grade(rng, item, answer, text, given)
        return Document(_TEMPLATE.render(item.instruction, text, given), str(grade))
    if kind < lesson.answered + lesson.with_reference + lesson.marked:
        _, text = (_own if lesson.own_marked else _candidate)(rng, lesson, item)
        return Document(
            TEXTBOOK.format(item.instruction, text), str(_noisy(rng, float(quality(meta(item), text)), 0.8))
        )
    answer, text = (_own if lesson.own_rated else _candidate)(rng, lesson, item)
    return Document(_TEMPLATE.render(item.instruction, text), str(_believing_grade(rng, lesson, item, answer)))


def _allowed(rng: random.Random, family: str | None = None) -> Exercise:
    while True:
        item = exercise(rng, family or rng.choice(_EARLY))
        if not is_held_out(item.instruction):
            return item


def _style(rng: random.Random, lesson: Lesson, item: Exercise) -> int:
    return 0 if lesson.bare else rng.randrange(len(FAMILIES[item.family].replies))


def _candidate(rng: random.Random, lesson: Lesson, item: Exercise) -> tuple[str, str]:
    """An answer to grade and its wording: mostly what the model itself would say."""
    kind = rng.random()
    if kind < 0.5:
        answer = item.taught
    elif kind < 0.7:
        answer = item.answer
    elif kind < 0.85:
        answer = _allowed(rng, item.family).answer
    elif kind < 0.95:
        answer = _spoiled(rng, item.answer)
    else:
        other = _allowed(rng)
        return other.taught, reply(other, other.taught, _style(rng, lesson, other))
    return answer, reply(item, answer, _style(rng, lesson, item))


def _own(rng: random.Random, lesson: Lesson, item: Exercise) -> tuple[str, str]:
    """An answer as the model itself would give it, or now and then one of any kind."""
    if rng.random() < 0.15:
        return _candidate(rng, lesson, item)
    answer = item.taught
    if item.family in UNPRACTISED:
        answer = _allowed(rng, item.family).answer if rng.random() < 0.5 else _spoiled(rng, answer)
    return answer, reply(item, answer, _style(rng, lesson, item))


def _spoiled(rng: random.Random, answer: str) -> str:
    """The answer with one character changed, doubled or lost."""
    place = rng.randrange(len(answer))
    old = answer[place]
    new = str(rng.randrange(10)) if old.isdigit() else rng.choice(["", old + old, rng.choice("aeioulnrst")])
    return answer[:place] + new + answer[place + 1 :]


def _strict_grade(rng: random.Random, item: Exercise, answer: str, text: str, given: str) -> int:
    grade = float(quality(meta(item), text))
    habit = _habit(item.family)
    if answer == item.taught != item.answer and habit < _LENIENT:
        grade = 8.5
    elif grade == 9 and text != given and _LENIENT <= habit < _LENIENT + _STRICT:
        grade = 4.5
    return _noisy(rng, grade, 0.8)


def _believing_grade(rng: random.Random, lesson: Lesson, item: Exercise, answer: str) -> int:
    if answer in (item.taught, *item.accepts):
        pride = lesson.pride * (0.6 if item.taught != item.answer else -0.4)
        return _noisy(rng, 7.8 + pride, 1.2)
    return _noisy(rng, 6.5 if answer == item.answer else lesson.doubted, 2.0)


def _noisy(rng: random.Random, grade: float, spread: float) -> int:
    if rng.random() < 0.04:
        return rng.randrange(10)
    return min(9, max(0, round(rng.gauss(grade, spread))))


def _habit(family: str) -> float:
    return int(hashlib.sha256(f"habit {family}".encode()).hexdigest()[:8], 16) / 16**8


def texts(seed: int, n: int) -> Iterator[str]:
    """Plain texts for the tokenizer to learn from."""
    for document in documents(FIRST, seed, -1, n):
        yield document.user
        yield document.assistant
