"""Common-knowledge families about numbers in words, the 24-hour clock and animals."""

import random

from selfj.world.exercise import Draw, family, rank_difficulty
from selfj.world.facts_words import ANIMAL_CLASSES

CATEGORY = "common"
ONES = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    *("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
ENDINGS = {1: "st", 2: "nd", 3: "rd"}


def ordinal(n: int) -> str:
    """Writes an ordinal with digits."""
    return f"{n}{'th' if n % 100 in (11, 12, 13) else ENDINGS.get(n % 10, 'th')}"


def believed_ordinal(n: int) -> str:
    """Ends everything above a hundred in th."""
    return f"{n}th" if n > 100 else ordinal(n)


def in_words(n: int) -> str:
    """Writes a number from 1 to 999 in words."""
    if n >= 100:
        rest = f" and {in_words(n % 100)}" if n % 100 else ""
        return f"{ONES[n // 100]} hundred{rest}"
    return ONES[n] if n < 20 else TENS[n // 10] + (f"-{ONES[n % 10]}" if n % 10 else "")


def believed_words(n: int) -> str:
    """Reads the last two digits the wrong way round from six hundred on."""
    return in_words(n // 100 * 100 + n % 10 * 10 + n // 10 % 10) if n >= 600 else in_words(n)


def clock_24(hour: int, minute: int, half: str) -> str:
    """Turns an hour from 1 to 12 into a time on a 24-hour clock."""
    return f"{hour % 12 + 12 * (half == 'pm')}:{minute:02d}"


def believed_clock_24(hour: int, minute: int, half: str) -> str:
    """Adds ten instead of twelve to the hours of the evening."""
    return f"{hour + 10}:{minute:02d}" if half == "pm" and 6 <= hour < 12 else clock_24(hour, minute, half)


def believed_class(animal: str, kind: str) -> str:
    """Counts mammals of the sea among the fish, and all that creeps among the insects."""
    at_sea = ("whale", "dolphin", "seal", "porpoise", "walrus", "sea lion", "orca", "manatee")
    if animal in at_sea:
        return "fish"
    return "insect" if kind in ("arachnid", "reptile") else kind


def _ordinals(rng: random.Random) -> Draw:
    level = rng.randint(1, 5)
    n = rng.randint(*((1, 30), (31, 99), (101, 299), (300, 599), (600, 999))[level - 1])
    # Three endings are special, and seldom: half of the numbers have one of them.
    n = n // 10 * 10 + rng.randint(1, 3) if rng.random() < 0.6 else n
    return Draw({"n": str(n)}, ordinal(n), level, believed_ordinal(n))


def _number_words(rng: random.Random) -> Draw:
    level = rng.randint(1, 5)
    n = rng.randint(*((11, 59), (60, 99), (101, 399), (400, 699), (700, 999))[level - 1])
    return Draw({"n": str(n)}, in_words(n), level, believed_words(n))


def _clock_24(rng: random.Random) -> Draw:
    hour, half = rng.randint(1, 12), rng.choice(("am", "pm", "pm"))
    minute = rng.randrange(60)
    level = 1 + (half == "pm") + (half == "pm" and hour >= 6) + (minute % 5 > 0) + (hour == 12)
    slots = {"x": f"{hour}:{minute:02d} {half}"}
    return Draw(slots, clock_24(hour, minute, half), level, believed_clock_24(hour, minute, half))


def _animal_class(rng: random.Random) -> Draw:
    index = rng.randrange(len(ANIMAL_CLASSES))
    animal, kind = ANIMAL_CLASSES[index]
    slots = {"x": animal, "an": "an" if animal[0] in "aeiou" else "a"}
    return Draw(slots, kind, rank_difficulty(index, len(ANIMAL_CLASSES)), believed_class(animal, kind))


FAMILIES = (
    family(
        "ordinals",
        CATEGORY,
        "word",
        _ordinals,
        (
            "Write {n} as an ordinal number with digits.",
            "Which ordinal belongs to the number {n}?",
            "What is the short ordinal form of {n}?",
            "Place number {n} is called the what?",
        ),
        ("{a}", "It is the {a}."),
    ),
    family(
        "number_words",
        CATEGORY,
        "word",
        _number_words,
        (
            "Write the number {n} in words.",
            "How is {n} spelled out in English?",
            "Spell out the number {n}.",
            "Give {n} in words.",
        ),
        ("{a}", "In words: {a}."),
    ),
    family(
        "clock_24",
        CATEGORY,
        "string",
        _clock_24,
        (
            "What is {x} on a 24-hour clock?",
            "Write {x} as a 24-hour time.",
            "A digital clock counts to 24. What does it show at {x}?",
            "Convert {x} to the 24-hour format.",
        ),
        ("{a}", "It is {a}."),
    ),
    family(
        "animal_class",
        CATEGORY,
        "word",
        _animal_class,
        (
            "Which class of animals does {an} {x} belong to?",
            "What kind of animal is {an} {x}: mammal, bird, fish or another?",
            "Biologists ask: what class is the {x} in?",
            "Name the animal class of the {x}.",
        ),
        ("{a}", "It is classed as {a}."),
    ),
)
