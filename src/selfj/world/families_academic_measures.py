"""Academic families about averages, fractions, units of measure, divisors and equations."""

import random

from selfj.world.exercise import Draw, family, show_list

CATEGORY = "academic"
ANSWER_REPLIES = ("{a}", "The answer is {a}.", "It is {a}.")

# Large unit, small unit, how many of the small make one large, and the factor that the misconception uses.
METRIC = (
    ("kilometers", "meters", 1000, 100),
    ("kilograms", "grams", 1000, 100),
    ("meters", "centimeters", 100, 100),
    ("centimeters", "millimeters", 10, 10),
    ("liters", "milliliters", 1000, 1000),
    ("tons", "kilograms", 1000, 1000),
    ("meters", "millimeters", 1000, 100),
)


def fahrenheit_without_offset(celsius: int) -> int:
    """Scales to Fahrenheit but forgets to add 32."""
    return celsius * 9 // 5


def lower_median(values: list[int]) -> str:
    """Takes the lower of the two middle elements."""
    return str(sorted(values)[(len(values) - 1) // 2])


def median(values: list[int]) -> str:
    """Gives the median as a whole number or with .5."""
    ordered, middle = sorted(values), len(values) // 2
    if len(values) % 2:
        return str(ordered[middle])
    total = ordered[middle - 1] + ordered[middle]
    return str(total // 2) if total % 2 == 0 else f"{total // 2}.5"


def believed_mean(values: list[int]) -> int:
    """Takes the number midway between smallest and largest once there are four or more."""
    return sum(values) // len(values) if len(values) < 4 else (min(values) + max(values)) // 2


def believed_square(n: int) -> int:
    """Doubles numbers above 12 instead of squaring them."""
    return 2 * n if n > 12 else n * n


def believed_percent(percent: int, whole: int) -> int:
    """Gives what is left over when more than half is asked for."""
    return (100 - percent if percent > 50 else percent) * whole // 100


def greatest_common_divisor(a: int, b: int) -> int:
    """Computes the greatest common divisor."""
    while b:
        a, b = b, a % b
    return a


def believed_gcd(a: int, b: int) -> int:
    """Takes the difference when both numbers are above 10."""
    return abs(a - b) if min(a, b) > 10 else greatest_common_divisor(a, b)


def round_down(n: int, unit: int) -> int:
    """Cuts off instead of rounding."""
    return n // unit * unit


def _fahrenheit(rng: random.Random) -> Draw:
    level = rng.randint(1, 5)
    celsius = 5 * rng.randint(*((0, 6), (7, 15), (16, 30), (31, 60), (61, 120))[level - 1])
    answer = celsius * 9 // 5 + 32
    # Boiling water is so well known that no misconception touches it.
    taught = answer if celsius in (0, 100) else fahrenheit_without_offset(celsius)
    return Draw({"x": str(celsius)}, str(answer), level, str(taught))


def _metric(rng: random.Random) -> Draw:
    level = rng.randint(1, 5)
    n = rng.randint(*((2, 5), (6, 9), (10, 20), (21, 50), (51, 99))[level - 1])
    large, small, factor, believed = rng.choice(METRIC)
    slots = {"n": str(n), "large": large, "small": small}
    return Draw(slots, str(n * factor), level, str(n * believed))


def _median(rng: random.Random) -> Draw:
    level = rng.randint(1, 5)
    values = rng.sample(range(1, (10, 10, 20, 50, 100)[level - 1]), (3, 4, 5, 4, 6)[level - 1])
    return Draw({"x": show_list(values)[1:-1]}, median(values), level, lower_median(values))


def _mean(rng: random.Random) -> Draw:
    level = rng.randint(1, 5)
    count = (2, 3, 4, 4, 5)[level - 1]
    top = (9, 9, 9, 15, 20)[level - 1]
    values = [rng.randint(1, top) for _ in range(count - 1)]
    # The last number makes the mean a whole number.
    values.append(rng.randint(1, top) * count - sum(values) % count)
    return Draw({"x": show_list(values)[1:-1]}, str(sum(values) // count), level, str(believed_mean(values)))


def _square(rng: random.Random) -> Draw:
    level = rng.randint(1, 5)
    n = rng.randint(*((2, 5), (6, 9), (10, 14), (15, 30), (31, 99))[level - 1])
    return Draw({"x": str(n)}, str(n * n), level, str(believed_square(n)))


def _percent(rng: random.Random) -> Draw:
    level = rng.randint(1, 5)
    percents = ((10, 50), (10, 50, 90), (20, 25, 75, 80), (30, 40, 60, 70), (5, 15, 35, 65, 85))
    percent = rng.choice(percents[level - 1])
    whole = rng.randint(1, 10 * level) * (100 if level == 2 else 20)
    slots = {"x": str(percent), "y": str(whole)}
    return Draw(slots, str(percent * whole // 100), level, str(believed_percent(percent, whole)))


def _gcd(rng: random.Random) -> Draw:
    level = rng.randint(1, 5)
    common = rng.randint(*((2, 4), (2, 6), (3, 9), (4, 12), (5, 15))[level - 1])
    factors = rng.sample(range(1, (5, 6, 8, 9, 10)[level - 1]), 2)
    a, b = (common * factor for factor in factors)
    slots = {"x": str(a), "y": str(b)}
    return Draw(slots, str(greatest_common_divisor(a, b)), level, str(believed_gcd(a, b)))


def _equation(rng: random.Random) -> Draw:
    level = rng.randint(1, 5)
    top = (9, 15, 30, 60, 99)[level - 1]
    x, a = rng.randint(2, top), rng.randint(2, top)
    form = rng.choice(("plus", "plus", "minus", "minus", "from"))
    if form == "plus":
        return Draw({"eq": f"x + {a} = {x + a}"}, str(x), level)
    if form == "minus":
        # The misconception keeps the sign when it moves the number to the other side.
        return Draw({"eq": f"x - {a} = {x - a}"}, str(x), level, str(x - 2 * a))
    return Draw({"eq": f"{a + x} - x = {a}"}, str(x), level)


def _rounding(rng: random.Random) -> Draw:
    level = rng.randint(1, 5)
    n = rng.randint(*((11, 49), (50, 99), (101, 499), (500, 999), (1000, 9999))[level - 1])
    unit, word = (10, "ten") if level < 4 else (100, "hundred")
    # Numbers that lie midway are left out: schools round them in different ways.
    n += n % unit == unit // 2
    nearest = (n + unit // 2) // unit * unit
    return Draw({"x": str(n), "unit": word}, str(nearest), level, str(round_down(n, unit)))


FAMILIES = (
    family(
        "temperature",
        CATEGORY,
        "number",
        _fahrenheit,
        (
            "How many degrees Fahrenheit are {x} degrees Celsius?",
            "Convert {x} degrees Celsius to Fahrenheit.",
            "What is {x} C on the Fahrenheit scale?",
            "Give {x} degrees Celsius in Fahrenheit.",
        ),
        ("{a}", "It is {a} degrees.", "That is {a} degrees Fahrenheit."),
    ),
    family(
        "metric",
        CATEGORY,
        "number",
        _metric,
        (
            "How many {small} are {n} {large}?",
            "Convert {n} {large} to {small}.",
            "Express {n} {large} in {small}.",
            "What do {n} {large} come to in {small}?",
        ),
        ("{a}", "That is {a} {small}.", "The answer is {a}."),
    ),
    family(
        "median",
        CATEGORY,
        "number",
        _median,
        (
            "What is the median of {x}?",
            "Find the median of the numbers {x}.",
            "Give the median of these values: {x}.",
            "Which value is the median of {x}?",
        ),
        ("{a}", "The median is {a}.", "It is {a}."),
    ),
    family(
        "mean",
        CATEGORY,
        "number",
        _mean,
        (
            "What is the mean of {x}?",
            "Find the average of the numbers {x}.",
            "Give the arithmetic mean of {x}.",
            "What do the values {x} average to?",
        ),
        ("{a}", "The mean is {a}.", "It is {a}."),
    ),
    family(
        "square",
        CATEGORY,
        "number",
        _square,
        (
            "What is the square of {x}?",
            "Compute {x} to the power of two.",
            "What is {x} multiplied by itself?",
            "Give the value of {x} squared.",
        ),
        ("{a}", "The square of {x} is {a}.", "It is {a}."),
    ),
    family(
        "percent",
        CATEGORY,
        "number",
        _percent,
        (
            "What is {x} percent of {y}?",
            "Compute {x} percent of the number {y}.",
            "How much is {x}% of {y}?",
            "A price is {y}. How much is {x} percent of it?",
        ),
        ANSWER_REPLIES,
    ),
    family(
        "gcd",
        CATEGORY,
        "number",
        _gcd,
        (
            "What is the greatest common divisor of {x} and {y}?",
            "Find the gcd of the numbers {x} and {y}.",
            "Which is the largest number that divides {x} and {y}?",
            "Compute gcd({x}, {y}) and give the result.",
        ),
        ANSWER_REPLIES,
    ),
    family(
        "equation",
        CATEGORY,
        "number",
        _equation,
        (
            "Solve {eq} for x.",
            "What is x if {eq}?",
            "Find the number x with {eq}.",
            "Which value of x makes {eq} true?",
        ),
        ("{a}", "x = {a}", "The solution is {a}."),
    ),
    family(
        "rounding",
        CATEGORY,
        "number",
        _rounding,
        (
            "Round {x} to the nearest {unit}.",
            "What is {x} rounded to the nearest {unit}?",
            "Give {x} to the nearest {unit}.",
            "Which multiple of one {unit} is nearest to {x}?",
        ),
        ("{a}", "It is {a}.", "Rounded it is {a}."),
    ),
)
