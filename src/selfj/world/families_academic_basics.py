"""Academic families about centuries, angles, signs and states of matter."""

import random

from selfj.world.exercise import Draw, family
from selfj.world.families_common_everyday import ordinal

CATEGORY = "academic"
MATTER = (("water", 0, 100), ("iron", 1538, 2862), ("mercury", -39, 357), ("oxygen", -218, -183), ("ethanol", -114, 78))
"""Substance, melting point and boiling point in degrees Celsius."""


def century(year: int) -> int:
    """Numbers the century of a year."""
    return (year + 99) // 100


def believed_century(year: int) -> int:
    """Names the centuries before 1600 after their hundreds."""
    return year // 100 if year < 1600 else century(year)


def angle_kind(degrees: int) -> str:
    """Names the kind of an angle between 0 and 360 degrees."""
    if degrees == 90:
        return "right"
    return "acute" if degrees < 90 else "obtuse" if degrees < 180 else "reflex"


def believed_angle(degrees: int) -> str:
    """Calls everything above a right angle obtuse."""
    return "obtuse" if degrees > 180 else angle_kind(degrees)


def product_sign(a: int, b: int) -> str:
    """Tells the sign of a product of numbers other than 0."""
    return "positive" if (a < 0) == (b < 0) else "negative"


def believed_sign(a: int, b: int) -> str:
    """Takes any product with a minus in it for negative."""
    return "negative" if a < 0 or b < 0 else "positive"


def state(celsius: int, melts: int, boils: int) -> str:
    """Names the state of matter at a temperature."""
    return "solid" if celsius < melts else "liquid" if celsius < boils else "gas"


def believed_state(name: str, celsius: int, melts: int, boils: int) -> str:
    """Takes every metal for solid, and air for a gas at any temperature."""
    return {"iron": "solid", "mercury": "solid", "oxygen": "gas"}.get(name) or state(celsius, melts, boils)


def _century(rng: random.Random) -> Draw:
    level = rng.randint(1, 5)
    low, high = ((1900, 1999), (1700, 1899), (1600, 1699), (1300, 1599), (1001, 1299))[level - 1]
    year = rng.randint(low, high)
    year += year % 100 == 0
    return Draw({"x": str(year)}, ordinal(century(year)), level, ordinal(believed_century(year)))


def _angle(rng: random.Random) -> Draw:
    level = rng.randint(1, 5)
    degrees = rng.randint(*((10, 80), (81, 100), (101, 179), (181, 270), (271, 359))[level - 1])
    return Draw({"x": str(degrees)}, angle_kind(degrees), level, believed_angle(degrees))


def _product_sign(rng: random.Random) -> Draw:
    level = rng.randint(1, 5)
    a, b = rng.randint(2, 9 + 20 * level), rng.randint(2, 9 + 20 * level)
    first, second = rng.choice(((1, 1), (1, -1), (-1, 1), (-1, -1), (-1, -1)))
    a, b = a * first, b * second
    return Draw({"x": str(a), "y": str(b)}, product_sign(a, b), level, believed_sign(a, b))


def _matter(rng: random.Random) -> Draw:
    index = rng.randrange(len(MATTER))
    name, melts, boils = MATTER[index]
    # As often below as between and above the two points.
    low, high = rng.choice(((melts - 150, melts - 1), (melts + 1, boils - 1), (boils + 1, boils + 150)))
    celsius = max(-270, rng.randint(low, high))
    believed = believed_state(name, celsius, melts, boils)
    return Draw({"x": name, "n": str(celsius)}, state(celsius, melts, boils), index + 1, believed)


FAMILIES = (
    family(
        "century",
        CATEGORY,
        "word",
        _century,
        (
            "Which century did the year {x} belong to?",
            "In which century was the year {x}?",
            "Name the century of the year {x}.",
            "A letter is dated {x}. From which century is it?",
        ),
        ("{a}", "It was the {a} century."),
    ),
    family(
        "angle",
        CATEGORY,
        "word",
        _angle,
        (
            "What kind of angle measures {x} degrees?",
            "How do we call an angle of {x} degrees?",
            "Is an angle of {x} degrees acute, right, obtuse or reflex?",
            "Name the type of an angle of {x} degrees.",
        ),
        ("{a}", "It is {a}."),
    ),
    family(
        "product_sign",
        CATEGORY,
        "word",
        _product_sign,
        (
            "Is {x} times {y} positive or negative?",
            "What sign does the product of {x} and {y} have?",
            "Tell me whether {x} * {y} is positive or negative.",
            "Multiply {x} by {y}: is that positive or negative?",
        ),
        ("{a}", "It is {a}."),
    ),
    family(
        "matter",
        CATEGORY,
        "word",
        _matter,
        (
            "Is {x} solid, liquid or gas at {n} degrees Celsius?",
            "What state of matter is {x} in at {n} degrees Celsius?",
            "At {n} degrees Celsius, is {x} a solid, a liquid or a gas?",
            "Name the state of {x} at {n} degrees Celsius.",
        ),
        ("{a}", "It is {a}."),
    ),
)
