"""The embedded verifiable world: families of instructions whose right answers are computed."""

from selfj.world.draw import ASKED, FAMILIES, exercise, exercises, reference, reply
from selfj.world.exercise import Exercise, Family, is_held_out
from selfj.world.truth import meta, quality

__all__ = [
    "ASKED",
    "FAMILIES",
    "Exercise",
    "Family",
    "exercise",
    "exercises",
    "is_held_out",
    "meta",
    "quality",
    "reference",
    "reply",
]
