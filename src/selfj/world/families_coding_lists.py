"""Coding families about lists and ranges in Python."""

import random

from selfj.world.exercise import Draw, family, show_list

CATEGORY = "coding"
LIST_REPLIES = ("{a}", "The list is {a}.", "It gives {a}.")
ELEMENT_REPLIES = ("{a}", "The element is {a}.", "It gives {a}.")
LONGEST = 6


def numbers(rng: random.Random, count: int, top: int) -> list[int]:
    """Draws distinct numbers below the top."""
    return rng.sample(range(1, top), count)


def index_from_one(values: list[int], index: int) -> int:
    """Counts positions from 1 once the index is 2 or more."""
    return values[index - 1] if index >= 2 else values[index]


def slice_with_end(values: list[int], start: int, stop: int) -> list[int]:
    """Includes the element at the end index when the slice does not begin at 0."""
    return values[start : stop + 1] if start > 0 else values[start:stop]


def sort_as_text(values: list[int]) -> list[int]:
    """Sorts numbers by their digits, as if they were strings."""
    return sorted(values, key=str)


def extreme_as_text(function: str, values: list[int]) -> int:
    """Compares numbers by their digits, as if they were strings."""
    return sort_as_text(values)[-1 if function == "max" else 0]


def swap_ends(values: list[int]) -> list[int]:
    """Swaps only the first and last element of lists longer than 4."""
    if len(values) <= 4:
        return values[::-1]
    return [values[-1], *values[1:-1], values[0]]


def range_with_end(start: int, stop: int, step: int) -> list[int]:
    """Lets a range that does not start at 0 reach its end."""
    return list(range(start, stop + (start > 0), step))


def _sized(rng: random.Random, shortest: int) -> tuple[int, list[int]]:
    level = rng.randint(1, 5)
    count = min(LONGEST, shortest + level - 1)
    return level, numbers(rng, count, (10, 20, 50, 100, 100)[level - 1])


def _index(rng: random.Random) -> Draw:
    level, values = _sized(rng, 3)
    index = rng.randrange(len(values))
    slots = {"x": show_list(values), "i": str(index)}
    return Draw(slots, str(values[index]), level, str(index_from_one(values, index)))


def _slice(rng: random.Random) -> Draw:
    level, values = _sized(rng, 4)
    start = rng.choice((0, 1, 1, 2))
    stop = rng.randint(start + 1, len(values))
    slots = {"x": show_list(values), "i": str(start), "j": str(stop)}
    return Draw(slots, show_list(values[start:stop]), level, show_list(slice_with_end(values, start, stop)))


def _sort(rng: random.Random) -> Draw:
    level = rng.randint(1, 5)
    values = numbers(rng, (3, 3, 4, 5, 6)[level - 1], 10)
    if level > 1 and rng.random() < 0.75:
        kept = len(values) // 2
        values = values[:kept] + rng.sample(range(10, 100), len(values) - kept)
        rng.shuffle(values)
    return Draw({"x": show_list(values)}, show_list(sorted(values)), level, show_list(sort_as_text(values)))


def _reverse(rng: random.Random) -> Draw:
    level, values = _sized(rng, 2)
    return Draw({"x": show_list(values)}, show_list(values[::-1]), level, show_list(swap_ends(values)))


def _extreme(rng: random.Random) -> Draw:
    level, values = _sized(rng, 3)
    function, word = rng.choice((("max", "largest"), ("min", "smallest")))
    slots = {"x": show_list(values), "f": function, "word": word}
    answer = max(values) if function == "max" else min(values)
    return Draw(slots, str(answer), level, str(extreme_as_text(function, values)))


def _sum(rng: random.Random) -> Draw:
    level = rng.randint(1, 5)
    values = numbers(rng, (2, 3, 4, 5, 6)[level - 1], (10, 10, 12, 50, 100)[level - 1])
    return Draw({"x": show_list(values)}, str(sum(values)), level)


def _range(rng: random.Random) -> Draw:
    level = rng.randint(1, 5)
    start = rng.choice((0, rng.randint(1, 4 + 6 * level), rng.randint(1, 4 + 6 * level)))
    step = rng.randint(1, 1 + level // 2)
    # The end lies on the grid of steps, so that including it always adds an element.
    stop = start + step * rng.randint(2, min(5, 2 + level))
    shown = f"{start}, {stop}" if step == 1 else f"{start}, {stop}, {step}"
    taught = range_with_end(start, stop, step)
    return Draw({"x": shown}, show_list(list(range(start, stop, step))), level, show_list(taught))


FAMILIES = (
    family(
        "list_index",
        CATEGORY,
        "number",
        _index,
        (
            "What is {x}[{i}] in Python?",
            "For a = {x}, what is a[{i}] in Python?",
            "Which element of {x} is at index {i} in Python?",
            "What does print({x}[{i}]) show?",
        ),
        ELEMENT_REPLIES,
    ),
    family(
        "list_slice",
        CATEGORY,
        "list",
        _slice,
        (
            "What is {x}[{i}:{j}] in Python?",
            "For a = {x}, what is a[{i}:{j}] in Python?",
            "Evaluate the Python slice {x}[{i}:{j}].",
            "What does print({x}[{i}:{j}]) show?",
        ),
        LIST_REPLIES,
    ),
    family(
        "sort_list",
        CATEGORY,
        "list",
        _sort,
        (
            "What is sorted({x}) in Python?",
            "Sort the list {x} in ascending order.",
            "Put {x} in order from small to large.",
            "What does print(sorted({x})) show?",
        ),
        LIST_REPLIES,
    ),
    family(
        "reverse_list",
        CATEGORY,
        "list",
        _reverse,
        (
            "What is {x}[::-1] in Python?",
            "Reverse the order of the list {x}.",
            "Write the list {x} from back to front.",
            "What does list(reversed({x})) return?",
        ),
        LIST_REPLIES,
    ),
    family(
        "list_extreme",
        CATEGORY,
        "number",
        _extreme,
        (
            "What is {f}({x}) in Python?",
            "Which number in {x} is the {word}?",
            "Find the {word} element of the list {x}.",
            "What does print({f}({x})) show?",
        ),
        ("{a}", "The {word} is {a}.", "It gives {a}."),
    ),
    family(
        "list_sum",
        CATEGORY,
        "number",
        _sum,
        (
            "What is sum({x}) in Python?",
            "Add up all elements of the list {x}.",
            "What is the total of the numbers {x}?",
            "What does print(sum({x})) show?",
        ),
        ("{a}", "The sum is {a}.", "It gives {a}."),
    ),
    family(
        "range_list",
        CATEGORY,
        "list",
        _range,
        (
            "What is list(range({x})) in Python?",
            "Write out list(range({x})) as a list.",
            "Which numbers does range({x}) give, as a list?",
            "What does print(list(range({x}))) show?",
        ),
        LIST_REPLIES,
    ),
)
