"""Academic families about facts of science: elements, planets and polygons."""

import random

from selfj.world.exercise import Draw, family, rank_difficulty
from selfj.world.facts_science import ELEMENTS, PLANETS, POLYGONS

CATEGORY = "academic"
PLACES = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")


def first_two_letters(element: str, symbol: str) -> str:
    """Takes the first two letters of the name unless the symbol is the first letter."""
    return symbol if symbol == element[0].upper() else element[:2].capitalize()


def outer_from_outside(place: int) -> int:
    """Counts the outer planets from the outside in."""
    return place if place < 4 else 11 - place


def believed_sides(name: str, sides: int) -> int:
    """Takes every polygon with more than eight sides for a ten-sided one, and a heptagon for a hexagon."""
    if name == "heptagon":
        return 6
    return 10 if sides > 8 else sides


def _symbols(rng: random.Random) -> Draw:
    index = rng.randrange(len(ELEMENTS))
    element, symbol = ELEMENTS[index]
    level = rank_difficulty(index, len(ELEMENTS))
    return Draw({"x": element}, symbol, level, first_two_letters(element, symbol))


def _elements(rng: random.Random) -> Draw:
    index = rng.randrange(len(ELEMENTS))
    element, symbol = ELEMENTS[index]
    return Draw({"x": symbol}, element, rank_difficulty(index, len(ELEMENTS)))


def _planets(rng: random.Random) -> Draw:
    place = rng.randrange(8)
    level = 1 + place // 2 + (place > 5)
    return Draw({"n": PLACES[place]}, PLANETS[place], level, PLANETS[outer_from_outside(place)])


def _polygons(rng: random.Random) -> Draw:
    name, sides = rng.choice(POLYGONS)
    count = rng.randint(2, 12)
    plural = name + ("es" if name.endswith("s") else "s")
    level = min(5, 1 + (sides > 5) + (sides > 8) + (count > 4) + (count > 8))
    slots = {"n": str(count), "x": plural}
    return Draw(slots, str(count * sides), level, str(count * believed_sides(name, sides)))


FAMILIES = (
    family(
        "symbols",
        CATEGORY,
        "word",
        _symbols,
        (
            "What is the chemical symbol of {x}?",
            "Give the chemical symbol for {x}.",
            "Which symbol stands for {x} in the periodic table?",
            "How do chemists abbreviate the element {x}?",
        ),
        ("{a}", "The symbol is {a}.", "It is {a}."),
    ),
    family(
        "elements",
        CATEGORY,
        "word",
        _elements,
        (
            "Which element has the chemical symbol {x}?",
            "Name the element with the symbol {x}.",
            "What does {x} stand for in the periodic table?",
            "For which element do chemists write {x}?",
        ),
        ("{a}", "The element is {a}.", "It stands for {a}."),
    ),
    family(
        "planets",
        CATEGORY,
        "word",
        _planets,
        (
            "Which planet is the {n} one from the Sun?",
            "Name the {n} planet counted from the Sun.",
            "What is the {n} planet of the solar system?",
            "Going out from the Sun, which planet is the {n}?",
            "Tell me the name of the {n} planet from the Sun.",
        ),
        ("{a}", "The planet is {a}.", "It is {a}."),
    ),
    family(
        "polygons",
        CATEGORY,
        "number",
        _polygons,
        (
            "How many sides do {n} {x} have in all?",
            "Count all the sides of {n} {x}.",
            "What is the total number of sides of {n} {x}?",
            "If you draw {n} {x}, how many sides do you draw?",
        ),
        ("{a}", "They have {a} sides.", "The total is {a}."),
    ),
)
