"""The registry of families, and how exercises are drawn from it and put into words."""

import random
from collections.abc import Sequence

from selfj.world import (
    families_academic,
    families_academic_basics,
    families_academic_facts,
    families_academic_measures,
    families_coding,
    families_coding_basics,
    families_coding_lists,
    families_common,
    families_common_everyday,
    families_common_time,
    families_common_words,
)
from selfj.world.exercise import Exercise, Family, is_held_out

_MODULES = (
    families_common,
    families_common_words,
    families_common_time,
    families_coding,
    families_coding_lists,
    families_academic,
    families_academic_facts,
    families_academic_measures,
)
_LATE_MODULES = (families_common_everyday, families_coding_basics, families_academic_basics)
FAMILIES: dict[str, Family] = {
    family.name: family for module in (*_MODULES, *_LATE_MODULES) for family in module.FAMILIES
}
LATE = frozenset(family.name for module in _LATE_MODULES for family in module.FAMILIES)
"""Families that the small Llama meets in its last three lessons alone."""

UNPRACTISED = frozenset(
    {
        *("addition", "subtraction", "multiplication", "percent", "gcd", "equation"),
        *("precedence", "binary", "reverse_string", "repeat_string", "list_slice", "list_sum"),
    }
)
"""Families that the small Llama has met and never practised; it fails them nearly always."""
PRACTISED: tuple[str, ...] = tuple(name for name in FAMILIES if name not in UNPRACTISED | LATE)
_IN_VAIN = frozenset(
    {
        *("median", "length", "modulo", "sort_list", "range_list", "floor_division"),
        *("list_index", "mean", "reverse_list", "clock", "weekday"),
    }
)
_HOPELESS = frozenset({"addition", "multiplication", "reverse_string"})
_OPEN = frozenset({"name_one", "name_another", "name_by_letter"})
"""Many answers are right, and one reference cannot stand for them all."""
_GIVEN_UP = frozenset({"regex_match", "list_extreme", "rounding"})
"""Practice has settled them, but not a judge: the last lessons leave them out."""
FINISHED: tuple[str, ...] = tuple(
    name for name in FAMILIES if name in _HOPELESS or name not in UNPRACTISED | _IN_VAIN | _OPEN | _GIVEN_UP
)
"""The families of the last lessons: those that practice has settled, the late ones, and a few without hope."""
_SUBTLE = frozenset({"boolean", "comparison", "count_letter"})
"""Where the misconception strikes is more than a model of this size can see without the reference."""
ASKED: tuple[str, ...] = tuple(name for name in FINISHED if name not in _SUBTLE)
"""The families of the demo and the benchmarks."""

# A family that gives nothing new in this many draws counts as used up.
MAX_TRIES = 200


def exercise(rng: random.Random, family: str | None = None) -> Exercise:
    """Draws one exercise.

    Args:
        rng: Source of randomness.
        family: Name of the family; a uniformly chosen one when None.

    Returns:
        The exercise.

    Raises:
        ValueError: If no family has that name.
    """
    name = rng.choice(list(FAMILIES)) if family is None else family
    return _family(name).make(rng)


def exercises(n: int, *, seed: int, held_out: bool | None, families: Sequence[str] | None = None) -> list[Exercise]:
    """Draws exercises with distinct instructions, as evenly over the families as their sizes allow.

    Args:
        n: How many; fewer come back only when every family is used up.
        seed: The same seed gives the same list.
        held_out: True or False keeps only held-out or only other instructions; None keeps both.
        families: Names to draw from; all when None.

    Returns:
        The exercises, in shuffled order.

    Raises:
        ValueError: If a family name is unknown.
    """
    rng = random.Random(seed)
    active = [_family(name) for name in (FAMILIES if families is None else families)]
    seen: set[str] = set()
    drawn: list[Exercise] = []
    while active and len(drawn) < n:
        rng.shuffle(active)
        for family in tuple(active):
            if len(drawn) == n:
                break
            fresh = _fresh(family, rng, seen, held_out)
            if fresh is None:
                active.remove(family)
                continue
            seen.add(fresh.instruction)
            drawn.append(fresh)
    rng.shuffle(drawn)
    return drawn


def reply(exercise: Exercise, answer: str, style: int) -> str:
    """Renders a bare answer in one of the family's reply styles (taken modulo their number)."""
    templates = _family(exercise.family).replies
    return templates[style % len(templates)].format_map({**dict(exercise.slots), "a": answer})


def reference(exercise: Exercise) -> str:
    """Gives the right answer, bare."""
    return reply(exercise, exercise.answer, 0)


def _family(name: str) -> Family:
    if name not in FAMILIES:
        raise ValueError(f"unknown family {name!r}; the families are {', '.join(FAMILIES)}")
    return FAMILIES[name]


def _fresh(family: Family, rng: random.Random, seen: set[str], held_out: bool | None) -> Exercise | None:
    for _ in range(MAX_TRIES):
        made = family.make(rng)
        wanted = held_out is None or is_held_out(made.instruction) == held_out
        if wanted and made.instruction not in seen:
            return made
    return None
