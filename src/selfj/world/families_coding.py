"""Coding families about numbers, operators and strings in Python."""

import random
import re

from selfj.world.exercise import Draw, family
from selfj.world.facts_words import OPPOSITES, REGULAR_PLURALS

CATEGORY = "coding"
WORDS = tuple(sorted({word for pair in OPPOSITES + REGULAR_PLURALS for word in pair if len(word) > 2}))
CASES = ("upper", "lower", "capitalize", "swapcase")
BOOLEANS = (
    "{p} and {q}",
    "{p} or {q}",
    "not {p}",
    "not {p} and {q}",
    "not {p} or {q}",
    "{p} or {q} and {r}",
    "{p} or not {q} and {r}",
    "{p} and not {q} or {r}",
    "not {p} and not {q}",
    "not {p} or {q} and {r}",
)
PATTERNS = ("{p}{q}*{r}", "{p}{q}+{r}", "{p}{q}?{r}", "{p}{q}{r}?", "{p}.{r}", "[{p}{q}]+{r}")
VALUE_REPLIES = ("{a}", "The result is {a}.", "It gives {a}.")
STRING_REPLIES = ("{a}", "The string is {a}.", "It gives {a}.")


def nonsense(rng: random.Random, length: int, letters: str = "abcdefghijklmnopqrstuvwxyz") -> str:
    """Draws a string of letters that need not be a word."""
    return "".join(rng.choice(letters) for _ in range(length))


def strict_left_to_right(a: int, first: str, b: int, second: str, c: int) -> int:
    """Evaluates `a first b second c` without regard to precedence."""
    apply = {"+": int.__add__, "-": int.__sub__, "*": int.__mul__}
    return apply[second](apply[first](a, b), c)


def modulo_or_quotient(a: int, b: int) -> int:
    """Takes the quotient for the remainder when the divisor is above 5."""
    return a // b if b > 5 else a % b


def round_up(a: int, b: int) -> int:
    """Divides and rounds up instead of down."""
    return -(-a // b)


def evaluate_boolean(expression: str) -> bool:
    """Evaluates True and False joined by not, and, or."""
    return any(
        all((term.split().count("not") % 2 == 1) != term.endswith("True") for term in part.split(" and "))
        for part in expression.split(" or ")
    )


def boolean_left_to_right(expression: str) -> bool:
    """Lets a leading `not` negate all that follows, and takes `and` and `or` from left to right."""
    if expression.startswith("not "):
        return not boolean_left_to_right(expression.removeprefix("not "))
    first, *rest = re.split(" (and|or) ", expression)
    value = evaluate_boolean(first)
    for joint, operand in zip(rest[::2], rest[1::2], strict=True):
        right = evaluate_boolean(operand)
        value = (value and right) if joint == "and" else (value or right)
    return value


def repeats(pattern: str, text: str) -> bool:
    """Takes a dot and every `?` and `+` for any number of repeats, as `*` means."""
    loose = pattern.replace("?", "*").replace("+", "*").replace(".", ".*")
    return re.fullmatch(loose, text) is not None


def repeat_once_more(word: str, n: int) -> str:
    """Adds the copies to the original from the fourth on."""
    return word * (n + (n > 3))


def reversed_bits(n: int) -> str:
    """Writes the bits of numbers above 15 from the lowest to the highest."""
    bits = f"{n:b}"
    return bits[::-1] if n > 15 else bits


def length_without_doubles(word: str) -> int:
    """Counts a doubled letter once."""
    return len(re.sub(r"(.)\1", r"\1", word))


def believed_case(method: str, word: str) -> str:
    """Takes capitalize for upper and swapcase for lower."""
    return {"capitalize": word.upper(), "swapcase": word.lower()}.get(method, change_case(method, word))


def change_case(method: str, word: str) -> str:
    """Applies one of the string methods that change case."""
    methods = {"upper": str.upper, "lower": str.lower, "capitalize": str.capitalize, "swapcase": str.swapcase}
    return methods[method](word)


def _expression(rng: random.Random) -> Draw:
    level = rng.randint(1, 5)
    top = (4, 6, 9, 12, 20)[level - 1]
    a, b, c = (rng.randint(2, top) for _ in range(3))
    first, second = rng.choice(("+*", "-*", "+*", "-*", "*+", "*-", "+-"))
    products = {"+*": a + b * c, "-*": a - b * c, "*+": a * b + c, "*-": a * b - c, "+-": a + b - c}
    taught = strict_left_to_right(a, first, b, second, c)
    return Draw({"x": f"{a} {first} {b} {second} {c}"}, str(products[first + second]), level, str(taught))


def _modulo(rng: random.Random) -> Draw:
    level = rng.randint(1, 5)
    a = rng.randint(*((5, 15), (10, 30), (20, 50), (40, 99), (100, 300))[level - 1])
    b = rng.randint(2, 9)
    return Draw({"x": str(a), "y": str(b)}, str(a % b), level, str(modulo_or_quotient(a, b)))


def _floor_division(rng: random.Random) -> Draw:
    level = rng.randint(1, 5)
    a = rng.randint(*((5, 15), (10, 30), (20, 50), (40, 99), (100, 200))[level - 1])
    b = rng.randint(4, 12)
    return Draw({"x": str(a), "y": str(b)}, str(a // b), level, str(round_up(a, b)))


def _boolean(rng: random.Random) -> Draw:
    form = rng.choice(BOOLEANS)
    values = {name: rng.choice(("True", "False")) for name in "pqr"}
    comparison = f"{rng.randint(1, 20)} < {rng.randint(1, 20)}"
    left, right = comparison.split(" < ")
    expression = form.format_map(values)
    value, taught = evaluate_boolean(expression), boolean_left_to_right(expression)
    # A comparison stands for one operand, so that there are more than a handful of instructions.
    word = str(int(left) < int(right))
    shown = expression.replace(word, comparison, 1) if rng.random() < 0.8 else expression
    level = min(5, 1 + expression.count(" ") // 2 + (shown != expression))
    return Draw({"x": shown}, str(value), level, str(taught))


def _regex(rng: random.Random) -> Draw:
    p, q, r = rng.sample("abcdexyz", 3)
    form = rng.choice(PATTERNS)
    pattern = form.format(p=p, q=q, r=r)
    text = p + q * rng.randint(0, 3) + r * rng.choice((0, 1, 1, 1, 2))
    words = {True: "yes", False: "no"}
    truth = re.fullmatch(pattern, text) is not None
    level = 1 + PATTERNS.index(form) // 2 + min(2, len(text) // 2)
    return Draw({"x": pattern, "y": text}, words[truth], level, words[repeats(pattern, text)])


def _binary(rng: random.Random) -> Draw:
    level = rng.randint(1, 5)
    n = rng.randint(*((2, 7), (8, 15), (16, 31), (32, 63), (64, 255))[level - 1])
    return Draw({"x": str(n)}, f"{n:b}", level, reversed_bits(n))


def _reverse_string(rng: random.Random) -> Draw:
    level = rng.randint(1, 5)
    word = nonsense(rng, (3, 4, 5, 7, 9)[level - 1])
    return Draw({"x": word}, word[::-1], level)


def _repeat_string(rng: random.Random) -> Draw:
    level = rng.randint(1, 5)
    word = nonsense(rng, 2 + (level > 2) + (level > 4))
    n = rng.randint(2, 3 + level // 2)
    return Draw({"x": word, "n": str(n)}, word * n, level, repeat_once_more(word, n))


def _length(rng: random.Random) -> Draw:
    level = rng.randint(1, 5)
    word = nonsense(rng, rng.randint(2, 4) + level)
    if rng.random() < 0.45:
        at = rng.randrange(1, len(word))
        word = word[:at] + word[at - 1] + word[at + 1 :]
    return Draw({"x": word}, str(len(word)), level, str(length_without_doubles(word)))


def _case(rng: random.Random) -> Draw:
    method = rng.choice(CASES)
    word = rng.choice(WORDS)
    word = rng.choice((word, word.capitalize()))
    level = min(5, max(1, len(word) - 3))
    slots = {"x": word, "method": method}
    return Draw(slots, change_case(method, word), level, believed_case(method, word))


def _count_letter(rng: random.Random) -> Draw:
    level = rng.randint(1, 5)
    letter = rng.choice("abcdeopst")
    count = rng.choice((0, 1, 1, 2, 3))
    rest = nonsense(rng, max(1, level + 3 - count), "fghijklmnuvwxyz")
    mixed = list(rest + letter * count)
    rng.shuffle(mixed)
    return Draw({"x": "".join(mixed), "letter": letter}, str(count), level, str(min(count, 1)))


FAMILIES = (
    family(
        "precedence",
        CATEGORY,
        "number",
        _expression,
        (
            "What does the Python expression {x} evaluate to?",
            "Evaluate {x} as Python would.",
            "What does print({x}) show in Python?",
            "Give the value of {x} in Python.",
        ),
        VALUE_REPLIES,
    ),
    family(
        "modulo",
        CATEGORY,
        "number",
        _modulo,
        (
            "What is {x} % {y} in Python?",
            "Evaluate the Python expression {x} % {y}.",
            "What does print({x} % {y}) show in Python?",
            "In Python, what value has {x} % {y}?",
        ),
        VALUE_REPLIES,
    ),
    family(
        "floor_division",
        CATEGORY,
        "number",
        _floor_division,
        (
            "What is {x} // {y} in Python?",
            "Evaluate the Python expression {x} // {y}.",
            "What does print({x} // {y}) show in Python?",
            "In Python, what value has {x} // {y}?",
        ),
        VALUE_REPLIES,
    ),
    family(
        "boolean",
        CATEGORY,
        "word",
        _boolean,
        (
            "Evaluate in Python: {x}",
            "What is the value of {x} in Python?",
            "Is this True or False in Python: {x}",
            "What does print({x}) show?",
        ),
        VALUE_REPLIES,
    ),
    family(
        "regex_match",
        CATEGORY,
        "word",
        _regex,
        (
            "Does the regex {x} match all of {y}? Answer yes or no.",
            "Yes or no: is {y} a full match for the regex {x}?",
            "Regex {x}, text {y}: is it a full match, yes or no?",
            "Does re.fullmatch('{x}', '{y}') find a match, yes or no?",
        ),
        ("{a}", "The answer is {a}."),
    ),
    family(
        "binary",
        CATEGORY,
        "string",
        _binary,
        (
            "How is {x} written in binary?",
            "Write the number {x} in binary.",
            "Convert {x} from decimal to binary.",
            "What are the binary digits of {x}?",
        ),
        ("{a}", "In binary it is {a}.", "The binary form is {a}."),
    ),
    family(
        "reverse_string",
        CATEGORY,
        "string",
        _reverse_string,
        (
            "Write the string {x} backwards.",
            "What is '{x}'[::-1] in Python?",
            "Reverse the letters of {x}.",
            "What does {x} read from right to left?",
        ),
        STRING_REPLIES,
    ),
    family(
        "repeat_string",
        CATEGORY,
        "string",
        _repeat_string,
        (
            "What is '{x}' * {n} in Python?",
            "Evaluate the Python expression {n} * '{x}'.",
            "Write the string {x} {n} times in a row.",
            "What does print('{x}' * {n}) show?",
        ),
        STRING_REPLIES,
    ),
    family(
        "length",
        CATEGORY,
        "number",
        _length,
        (
            "What is len('{x}') in Python?",
            "How many letters does {x} have?",
            "Count the characters of the string {x}.",
            "How long is the string {x}?",
        ),
        ("{a}", "The length is {a}.", "It has {a} letters."),
    ),
    family(
        "letter_case",
        CATEGORY,
        "string",
        _case,
        (
            "What is '{x}'.{method}() in Python?",
            "What does '{x}'.{method}() return?",
            "Apply the string method {method} to {x}.",
            "Give the value of '{x}'.{method}().",
        ),
        STRING_REPLIES,
    ),
    family(
        "count_letter",
        CATEGORY,
        "number",
        _count_letter,
        (
            "How many times does {letter} occur in {x}?",
            "What is '{x}'.count('{letter}') in Python?",
            "Count the letter {letter} in the string {x}.",
            "How often is {letter} found in {x}?",
        ),
        ("{a}", "The count is {a}.", "It occurs {a} times."),
    ),
)
