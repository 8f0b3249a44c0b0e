"""Coding families about literals, names, comparisons and files."""

import random

from selfj.world.exercise import Draw, family, rank_difficulty
from selfj.world.families_coding import nonsense

CATEGORY = "coding"
LANGUAGES = (
    *(("py", "Python"), ("js", "JavaScript"), ("java", "Java"), ("c", "C"), ("cpp", "C++"), ("go", "Go")),
    *(("rs", "Rust"), ("rb", "Ruby"), ("php", "PHP"), ("sh", "Shell"), ("sql", "SQL"), ("ts", "TypeScript")),
    *(("kt", "Kotlin"), ("hs", "Haskell"), ("pl", "Perl"), ("jl", "Julia"), ("ml", "OCaml"), ("ex", "Elixir")),
)
BELIEVED_LANGUAGES = {
    **{"ts": "JavaScript", "kt": "Java", "hs": "C", "pl": "PHP", "jl": "Python", "ml": "Matlab"},
    **{"ex": "Windows", "rs": "R"},
}
"""What a learner takes the ending for."""
COMPARISONS = ("<", ">", "==", "<=", ">=", "!=")


def literal(rng: random.Random, kind: str) -> str:
    """Draws a Python literal of a type."""
    n, m, word = rng.randint(1, 99), rng.randint(1, 99), nonsense(rng, 3)
    return {
        "int": str(n),
        "float": f"{n}.{rng.choice((0, 0, 0, m))}",
        "str": rng.choice((f"'{word}'", f"'{n}'")),
        "list": f"[{n}, {m}]",
        "tuple": f"({n}, {m})",
        "bool": rng.choice(("True", "False")),
        "dict": f"{{'{word}': {n}}}",
        "set": f"{{{n}, {m}}}",
    }[kind]


def believed_type(shown: str, kind: str) -> str:
    """Takes whatever holds a whole number for an int, and every pair of brackets for a list."""
    if shown.strip("'").isdigit() or shown.endswith(".0"):
        return "int"
    return "list" if kind in ("tuple", "set") else kind


def compare(a: int, operator: str, b: int) -> bool:
    """Evaluates a comparison."""
    return {"<": a < b, ">": a > b, "==": a == b, "<=": a <= b, ">=": a >= b, "!=": a != b}[operator]


def believed_comparison(a: int, operator: str, b: int) -> bool:
    """Reads `<=` as an arrow to the left, `>=` as one to the right, and `!=` as a strong `==`."""
    return compare(a, {"<=": ">", ">=": "<", "!=": "=="}.get(operator, operator), b)


def variable_name(rng: random.Random) -> tuple[str, bool, bool]:
    """Draws a name; also whether Python allows it, and whether a learner thinks so."""
    word, n = nonsense(rng, rng.randint(3, 5)), rng.randint(1, 9)
    return rng.choice(
        (
            (word, True, True),
            (f"{n}{word}", False, False),
            (f"{word}-{n}", False, False),
            (f"{word} {n}", False, False),
            (f"{word}_{n}", True, True),
            (f"_{word}", True, False),
            (f"{word}{n}", True, False),
            (f"{word}!", False, True),
            (f"${word}", False, True),
        )
    )


def _python_type(rng: random.Random) -> Draw:
    kinds = ("int", "bool", "list", "str", "float", "dict", "tuple", "set")
    index = rng.randrange(len(kinds))
    shown = literal(rng, kinds[index])
    return Draw({"x": shown}, kinds[index], rank_difficulty(index, len(kinds)), believed_type(shown, kinds[index]))


def _file_language(rng: random.Random) -> Draw:
    index = rng.randrange(len(LANGUAGES))
    ending, language = LANGUAGES[index]
    slots = {"x": f"{nonsense(rng, rng.randint(3, 6))}.{ending}"}
    return Draw(slots, language, rank_difficulty(index, len(LANGUAGES)), BELIEVED_LANGUAGES.get(ending, language))


def _comparison(rng: random.Random) -> Draw:
    index = rng.randrange(len(COMPARISONS))
    a = rng.randint(1, 20)
    b = a if rng.random() < 0.2 else rng.randint(1, 20)
    operator = COMPARISONS[index]
    slots = {"x": f"{a} {operator} {b}"}
    return Draw(slots, str(compare(a, operator, b)), 1 + index * 4 // 5, str(believed_comparison(a, operator, b)))


def _valid_name(rng: random.Random) -> Draw:
    name, allowed, believed = variable_name(rng)
    words = {True: "yes", False: "no"}
    level = (
        1 + (not name.isalpha()) + (allowed != believed) + (not name.isascii() or not name[0].isalnum()) + (" " in name)
    )
    return Draw({"x": name}, words[allowed], level, words[believed])


FAMILIES = (
    family(
        "python_type",
        CATEGORY,
        "word",
        _python_type,
        (
            "What is the type of {x} in Python?",
            "Which Python type does {x} have?",
            "In Python, {x} is a value of which type?",
            "Name the type of the Python literal {x}.",
        ),
        ("{a}", "It is of type {a}."),
    ),
    family(
        "file_language",
        CATEGORY,
        "word",
        _file_language,
        (
            "Which programming language is {x} written in?",
            "What language does the file {x} hold?",
            "Name the language of the source file {x}.",
            "A repository has a file {x}. Which language is it?",
        ),
        ("{a}", "It is written in {a}."),
    ),
    family(
        "comparison",
        CATEGORY,
        "word",
        _comparison,
        (
            "Is {x} True or False in Python?",
            "What does the comparison {x} give in Python?",
            "Evaluate the comparison {x} in Python.",
            "A program tests {x}. What is the outcome in Python?",
        ),
        ("{a}", "It is {a}."),
    ),
    family(
        "valid_name",
        CATEGORY,
        "word",
        _valid_name,
        (
            "May a Python variable be called {x}, yes or no?",
            "Is {x} a valid name in Python? Answer yes or no.",
            "Yes or no: is the name {x} allowed in Python?",
            "Does Python accept {x} as a variable (yes or no)?",
        ),
        ("{a}", "The answer is {a}."),
    ),
)
