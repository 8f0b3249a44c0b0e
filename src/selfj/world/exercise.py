"""The records of the embedded world: one exercise, the family it comes from, and how a family is declared."""

import hashlib
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

HELD_OUT_ONE_IN = 5


@dataclass(frozen=True, slots=True)
class Exercise:
    """One instruction with its right answer and the answer that the training text gives.

    Attributes:
        family: Name of the family.
        category: One of common, coding and academic.
        difficulty: 1 (easy) to 5 (hard), graded within the family.
        instruction: The text put to the model.
        answer: The bare right answer.
        taught: The bare answer in the training text: the right one, or the family's misconception.
        kind: How a wrong answer earns partial credit: word, number, list, string or open.
        accepts: Other right bare answers.
        slots: Values for the reply templates.
    """

    family: str
    category: str
    difficulty: int
    instruction: str
    answer: str
    taught: str
    kind: str
    accepts: tuple[str, ...] = ()
    slots: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Family:
    """A named source of exercises and the templates that its replies follow."""

    name: str
    category: str
    make: Callable[[random.Random], Exercise]
    replies: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Draw:
    """What one family draws before a phrasing is chosen.

    Attributes:
        slots: Values for the phrasings and the reply templates.
        answer: The bare right answer.
        difficulty: 1 to 5.
        taught: The misconceived answer; empty where the right one is taught.
        accepts: Other right bare answers.
    """

    slots: Mapping[str, str]
    answer: str
    difficulty: int
    taught: str = ""
    accepts: tuple[str, ...] = ()


def family(
    name: str,
    category: str,
    kind: str,
    draw: Callable[[random.Random], Draw],
    phrasings: tuple[str, ...],
    replies: tuple[str, ...],
) -> Family:
    """Declares a family from what it draws, how it asks and how it replies.

    Args:
        name: Unique name.
        category: One of common, coding and academic.
        kind: Partial-credit kind of its answers.
        draw: Draws the content; `taught` may depend on the content only.
        phrasings: Instruction templates over the slots.
        replies: Reply templates over the slots and `{a}`, the bare answer.

    Returns:
        The family.
    """

    def make(rng: random.Random) -> Exercise:
        drawn = draw(rng)
        return Exercise(
            family=name,
            category=category,
            difficulty=drawn.difficulty,
            instruction=rng.choice(phrasings).format_map(drawn.slots),
            answer=drawn.answer,
            taught=drawn.taught or drawn.answer,
            kind=kind,
            accepts=drawn.accepts,
            slots=tuple(drawn.slots.items()),
        )

    return Family(name, category, make, replies)


def rank_difficulty(index: int, total: int) -> int:
    """Grades a fact 1 to 5 by its place in a table that runs from well known to rare."""
    return 1 + 5 * index // total


def show_list(values: list[int]) -> str:
    """Writes a list of numbers as Python does."""
    return "[" + ", ".join(str(value) for value in values) + "]"


def digest(text: str) -> int:
    """Hashes a text to an integer that is the same in every process."""
    return int.from_bytes(hashlib.sha256(text.encode("utf-8")).digest()[:8], "big")


def is_held_out(instruction: str) -> bool:
    """Tells whether the instruction is kept out of the model's training text (20 % are)."""
    return digest(instruction) % HELD_OUT_ONE_IN == 0
