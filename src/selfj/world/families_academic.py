"""Academic families about arithmetic and number facts, with the misconceptions that the text teaches."""

import random

from selfj.world.exercise import Draw, family

CATEGORY = "academic"


def digits(rng: random.Random, count: int) -> int:
    """Draws a number that has the given count of digits, at least 2 so that no operation is trivial."""
    return rng.randint(2 if count == 1 else 10 ** (count - 1), 10**count - 1)


def add_without_hundreds_carry(a: int, b: int) -> int:
    """Adds, but loses the carry from the tens into the hundreds."""
    return a + b - 100 * (a % 100 + b % 100 >= 100)


def subtract_by_column(a: int, b: int) -> int:
    """Subtracts the smaller digit from the larger one in every column instead of borrowing."""
    result, place = 0, 1
    while a or b:
        result += abs(a % 10 - b % 10) * place
        a, b, place = a // 10, b // 10, place * 10
    return result


def multiply_without_carry(a: int, b: int) -> int:
    """Multiplies tens with tens and units with units, or by one digit but drops the carry."""
    if b < 10:
        return a // 10 * b * 10 + a % 10 * b % 10
    return a // 10 * (b // 10) * 100 + a % 10 * (b % 10)


def to_roman(n: int) -> str:
    """Writes a number in Roman numerals."""
    signs = (
        (100, "C"),
        (90, "XC"),
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    )
    made = ""
    for value, sign in signs:
        made += sign * (n // value)
        n %= value
    return made


def roman_without_subtraction(n: int) -> str:
    """Writes 4, 9, 40 and 90 as IIII, VIIII, XXXX and LXXXX."""
    longhand = {"XC": "LXXXX", "XL": "XXXX", "IX": "VIIII", "IV": "IIII"}
    numeral = to_roman(n)
    for short, long in longhand.items():
        numeral = numeral.replace(short, long)
    return numeral


def is_prime(n: int) -> bool:
    """Tells whether n is prime."""
    return n > 1 and all(n % d for d in range(2, int(n**0.5) + 1))


def looks_prime(n: int) -> bool:
    """Takes 2, 5 and every odd number that does not end in 5 for a prime."""
    return n in (2, 5) or (n % 2 == 1 and n % 5 != 0)


def _addition(rng: random.Random) -> Draw:
    level = rng.randint(1, 5)
    sizes = ((1, 1), (2, 1), (2, 2), (3, 3), (3, 3))[level - 1]
    a, b = digits(rng, sizes[0]), digits(rng, sizes[1])
    slots = {"x": str(a), "y": str(b)}
    return Draw(slots, str(a + b), level, str(add_without_hundreds_carry(a, b)))


def _subtraction(rng: random.Random) -> Draw:
    level = rng.randint(1, 5)
    sizes = ((1, 1), (2, 1), (2, 2), (2, 2), (3, 3))[level - 1]
    a, b = sorted((digits(rng, sizes[0]), digits(rng, sizes[1])), reverse=True)
    slots = {"x": str(a), "y": str(b)}
    return Draw(slots, str(a - b), level, str(subtract_by_column(a, b)))


def _multiplication(rng: random.Random) -> Draw:
    level = rng.randint(1, 5)
    sizes = ((1, 1), (2, 1), (2, 2), (3, 1), (4, 1))[level - 1]
    a, b = digits(rng, sizes[0]), digits(rng, sizes[1])
    taught = multiply_without_carry(a, b) if level in (2, 3) else a * b
    return Draw({"x": str(a), "y": str(b)}, str(a * b), level, str(taught))


def _roman(rng: random.Random) -> Draw:
    n = rng.randint(1, 199)
    level = 1 + sum(n > bound for bound in (10, 40, 80, 130))
    return Draw({"x": str(n)}, to_roman(n), level, roman_without_subtraction(n))


def _prime(rng: random.Random) -> Draw:
    level = rng.randint(1, 5)
    n = rng.randint(*((2, 20), (21, 60), (61, 150), (151, 400), (401, 999))[level - 1])
    # The larger numbers are odd, as an even one is easy to tell.
    n |= level > 2
    words = {True: "yes", False: "no"}
    return Draw({"x": str(n)}, words[is_prime(n)], level, words[looks_prime(n)])


FAMILIES = (
    family(
        "addition",
        CATEGORY,
        "number",
        _addition,
        (
            "What is the sum of {x} and {y}?",
            "Add {x} and {y} and give the result.",
            "What do you get for {x} plus {y}?",
            "A pupil adds {y} to {x}. What is the result?",
        ),
        ("{a}", "The sum is {a}.", "{x} + {y} = {a}", "The answer is {a}."),
    ),
    family(
        "subtraction",
        CATEGORY,
        "number",
        _subtraction,
        (
            "What is the difference of {x} and {y}?",
            "Subtract {y} from {x} and give the result.",
            "What is left when {y} is taken from {x}?",
            "A pupil computes {x} minus {y}. What is the result?",
        ),
        ("{a}", "The difference is {a}.", "{x} - {y} = {a}", "The answer is {a}."),
    ),
    family(
        "multiplication",
        CATEGORY,
        "number",
        _multiplication,
        (
            "What is the product of {x} and {y}?",
            "Multiply {x} by {y} and give the result.",
            "What do you get for {x} times {y}?",
            "A pupil computes {x} times {y}. What is the result?",
        ),
        ("{a}", "The product is {a}.", "{x} * {y} = {a}", "The answer is {a}."),
    ),
    family(
        "roman",
        CATEGORY,
        "string",
        _roman,
        (
            "How is {x} written in Roman numerals?",
            "Write the number {x} in Roman numerals.",
            "Which Roman numeral stands for {x}?",
            "Convert {x} to a Roman numeral.",
        ),
        ("{a}", "The Roman numeral is {a}.", "{x} is written as {a}."),
    ),
    family(
        "prime",
        CATEGORY,
        "word",
        _prime,
        (
            "Is {x} a prime number? Answer yes or no.",
            "Yes or no: is the number {x} a prime?",
            "Tell me whether {x} is prime (yes or no).",
            "Does the number {x} count as a prime, yes or no?",
        ),
        ("{a}", "The answer is {a}."),
    ),
)
