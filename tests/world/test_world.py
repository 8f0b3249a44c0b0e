"""Tests of the embedded world: its answers against independent computation, its grading and its drawing."""

import ast
import calendar
import functools
import json
import random
import re
import statistics
from collections import Counter, defaultdict
from datetime import datetime
from fractions import Fraction

import pytest

from selfj import world
from selfj.world.exercise import Exercise
from selfj.world.facts_words import MEMBERS
from selfj.world.families_coding import evaluate_boolean


@functools.cache
def drawn(name: str) -> tuple[Exercise, ...]:
    rng = random.Random(f"test {name}")
    return tuple(world.FAMILIES[name].make(rng) for _ in range(300))


def every() -> list[Exercise]:
    return [exercise for name in world.FAMILIES for exercise in drawn(name)]


def numbers(text: str) -> list[int]:
    return [int(found) for found in re.findall(r"-?\d+", text)]


def one_list(text: str) -> list[int]:
    return numbers(re.search(r"\[([\d, ]+)\]", text)[1])


def quoted_method(text: str) -> str | None:
    found = re.search(r"('\w+'(?:\.\w+\([^)]*\)| \* \d+|\[::-1\])|\d+ \* '\w+')", text)
    return eval(found[1]) if found else None


def after(text: str, pattern: str) -> str:
    return re.search(pattern, text)[1]


def roman_value(text: str) -> int:
    values = [{"I": 1, "V": 5, "X": 10, "L": 50, "C": 100}[sign] for sign in text]
    return sum(-a if a < b else a for a, b in zip(values, [*values[1:], 0], strict=True))


def indexed(text: str) -> int:
    *_, index = numbers(text)
    return one_list(text)[index]


def sliced(text: str) -> list[int]:
    start, stop = numbers(after(text, r"\[(\d+:\d+)\]").replace(":", " "))
    return one_list(text)[start:stop]


def later(text: str) -> str:
    hour, minute = map(int, after(text, r"(\d+:\d+)").split(":"))
    added = int(after(text, r"(\d+) minutes"))
    total = hour * 60 + minute + added
    return f"{(total // 60 - 1) % 12 + 1}:{total % 60:02d}"


def weekday(text: str) -> str:
    names = list(calendar.day_name)
    day = next(name for name in names if name in text)
    return names[(names.index(day) + numbers(text)[0]) % 7]


def solved(text: str) -> int:
    left, right = re.search(r"([\dx+\- ]+) = (-?\d+)", text).groups()
    return next(x for x in range(-500, 500) if eval(left.strip(), {"x": x}) == int(right))


def extreme(text: str) -> int:
    return (max if re.search(r"largest|max", text) else min)(one_list(text))


def days_in(text: str) -> int:
    names = list(calendar.month_name)
    month = next(name for name in names[1:] if name in text)
    return calendar.monthrange(int(after(text, r"(\d{4})")), names.index(month))[1]


def divisor(text: str) -> int:
    a, b = numbers(text)
    return max(d for d in range(1, 200) if a % d == b % d == 0)


def percent(text: str) -> Fraction:
    first, second = numbers(text)
    share, whole = (second, first) if text.startswith("A price") else (first, second)
    return Fraction(share * whole, 100)


def nearest(text: str) -> int:
    unit = 100 if "hundred" in text else 10
    return min(range(0, 10_200, unit), key=lambda multiple: abs(multiple - numbers(text)[0]))


def yes(truth: object) -> str:
    return "yes" if truth else "no"


def expression(text: str) -> int:
    return eval(after(text, r"(\d+(?: [-+*] \d+){2})"))


def binary_operation(text: str) -> int:
    return eval(after(text, r"(\d+ (?:%|//) \d+)"))


def boolean(text: str) -> bool:
    text = text.removeprefix("Is this True or False in Python: ")
    return eval(after(text, r"((?:(?:not|and|or|True|False|\d+ < \d+)(?: |\)|\?|$))+)").rstrip("?) "))


def matched(text: str) -> str:
    found = [
        re.search(pattern, text)
        for pattern in (
            r"regex (?P<p>\S+) match all of (?P<t>\w+)\?",
            r"is (?P<t>\w+) a full match for the regex (?P<p>\S+)\?$",
            r"Regex (?P<p>\S+), text (?P<t>\w+):",
            r"'(?P<p>\S+)', '(?P<t>\w+)'",
        )
    ]
    hit = next(hit for hit in found if hit)
    return yes(re.fullmatch(hit["p"], hit["t"]))


def minuend(text: str) -> int:
    return abs(numbers(text)[0] - numbers(text)[1])


def counted(text: str) -> int:
    found = re.search(r"'(\w+)'\.count\('(\w)'\)", text)
    if found:
        return found[1].count(found[2])
    letter, word = re.search(r"(?:does|letter|is|often is) (\w) .*?(\w+)[.?]$", text).groups()
    return word.count(letter)


def lengthy(text: str) -> int:
    return len(after(text, r"(?:len\('|does |string )(\w+)"))


def turned(text: str) -> str:
    return after(text, r"(?:string |'|letters of |does )(\w+)")[::-1]


def repeated(text: str) -> str:
    found = re.search(r"string (\w+) (\d+) times", text)
    return found[1] * int(found[2]) if found else quoted_method(text)


def cased(text: str) -> str:
    found = re.search(r"method (\w+) to (\w+)", text)
    return getattr(found[2], found[1])() if found else quoted_method(text)


def ordinal(text: str) -> str:
    n = numbers(text)[0]
    tail = "th" if n // 10 % 10 == 1 else ("th", "st", "nd", "rd", *["th"] * 6)[n % 10]
    return f"{n}{tail}"


def clock_24(text: str) -> str:
    time = datetime.strptime(after(text, r"(\d+:\d+ [ap]m)"), "%I:%M %p")
    return f"{time.hour}:{time.minute:02d}"


def literal_type(text: str) -> str:
    return type(ast.literal_eval(after(text, r"('\w+'|\[.*?\]|\(.*?\)|\{.*?\}|[\d.]+\d|\d|True|False)"))).__name__


def valid_name(text: str) -> str:
    name = after(text, r"(?:called |Is |the name |accept )(.+?)(?:, yes| a valid| allowed| as a)")
    return yes(name.isidentifier())


def angle(text: str) -> str:
    degrees = numbers(text)[0]
    return ("acute", "right", "obtuse", "reflex")[(degrees >= 90) + (degrees > 90) + (degrees > 180)]


def product_sign(text: str) -> str:
    first, second = re.findall(r"-?\d+", text)
    return "negative" if int(first) * int(second) < 0 else "positive"


def state(text: str) -> str:
    points = {"water": (0, 100), "iron": (1538, 2862), "mercury": (-39, 357), "oxygen": (-218, -183)}
    melts, boils = next((points[name] for name in points if name in text), (-114, 78))
    celsius = numbers(text)[0]
    return ("solid", "liquid", "gas")[(celsius > melts) + (celsius > boils)]


def spelled_value(text: str) -> int:
    words = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
    known = {word: n for n, word in enumerate([*words.split(), "seventeen", "eighteen", "nineteen"])}
    tens = "twenty thirty forty fifty sixty seventy eighty ninety"
    known |= {word: 10 * n for n, word in enumerate(tens.split(), 2)}
    hundreds, _, rest = text.rpartition(" hundred")
    rest = rest.removeprefix(" and ").split("-") if hundreds else text.split("-")
    return 100 * known.get(hundreds, 0) + sum(known[word] for word in rest if word)


TWINS = {
    "ordinals": ordinal,
    "clock_24": clock_24,
    "python_type": literal_type,
    "comparison": lambda text: eval(after(text, r"(\d+ [<>=!]+ \d+)")),
    "valid_name": valid_name,
    "century": lambda text: ordinal(str((numbers(text)[0] - 1) // 100 + 1)),
    "angle": angle,
    "product_sign": product_sign,
    "matter": state,
    "addition": lambda text: sum(numbers(text)),
    "subtraction": minuend,
    "multiplication": lambda text: numbers(text)[0] * numbers(text)[1],
    "prime": lambda text: yes(all(numbers(text)[0] % d for d in range(2, numbers(text)[0]))),
    "square": lambda text: numbers(text)[0] ** 2,
    "temperature": lambda text: Fraction(numbers(text)[0] * 9, 5) + 32,
    "median": lambda text: statistics.median(numbers(text)),
    "mean": lambda text: statistics.fmean(numbers(text)),
    "percent": percent,
    "gcd": divisor,
    "equation": solved,
    "rounding": nearest,
    "precedence": expression,
    "modulo": binary_operation,
    "floor_division": binary_operation,
    "boolean": boolean,
    "regex_match": matched,
    "binary": lambda text: format(numbers(text)[0], "b"),
    "reverse_string": turned,
    "repeat_string": repeated,
    "letter_case": cased,
    "length": lengthy,
    "count_letter": counted,
    "list_index": indexed,
    "list_slice": sliced,
    "sort_list": lambda text: sorted(one_list(text)),
    "reverse_list": lambda text: one_list(text)[::-1],
    "list_extreme": extreme,
    "list_sum": lambda text: sum(one_list(text)),
    "range_list": lambda text: list(eval(after(text, r"(range\([^)]*\))"))),
    "clock": later,
    "weekday": weekday,
    "month_days": days_in,
    "leap_year": lambda text: yes(calendar.isleap(int(after(text, r"(\d{4})")))),
}


@pytest.mark.parametrize("name", TWINS)
def test_answers_agree_with_a_computation_from_the_instruction(name: str) -> None:
    for exercise in drawn(name):
        truth = TWINS[name](exercise.instruction)
        if exercise.kind == "number":
            assert Fraction(exercise.answer) == Fraction(truth), exercise
        else:
            assert exercise.answer == str(truth), exercise


def test_roman_numerals_have_the_value_asked_for() -> None:
    for exercise in drawn("roman"):
        assert roman_value(exercise.answer) == numbers(exercise.instruction)[0]


def test_numbers_in_words_have_the_value_asked_for() -> None:
    for exercise in drawn("number_words"):
        assert spelled_value(exercise.answer) == numbers(exercise.instruction)[0]


def test_open_answers_keep_to_what_is_asked() -> None:
    for exercise in drawn("name_by_letter"):
        letter = dict(exercise.slots)["letter"]
        assert all(word[0].lower() == letter for word in (exercise.answer, *exercise.accepts))
    for exercise in drawn("name_another"):
        slots = dict(exercise.slots)
        assert {exercise.answer, *exercise.accepts} == set(MEMBERS[slots["x"]]) - {slots["known"]}


def test_booleans_evaluate_as_in_python() -> None:
    for text in ("True and not False or False", "not True or True and False", "not False and not True"):
        assert evaluate_boolean(text) == eval(text)


def test_families_cover_three_categories() -> None:
    counts = Counter(family.category for family in world.FAMILIES.values())
    assert set(counts) == {"common", "coding", "academic"}
    assert sum(counts.values()) >= 24
    assert min(counts.values()) >= 7
    assert all(2 <= len(family.replies) <= 4 for family in world.FAMILIES.values())


def test_share_taught_wrong_is_within_its_range() -> None:
    shares = {name: sum(e.taught != e.answer for e in drawn(name)) / len(drawn(name)) for name in world.FAMILIES}
    assert 0.38 <= statistics.fmean(shares.values()) <= 0.45
    assert sum(share == 0 for share in shares.values()) >= 5
    assert 2 <= sum(share >= 0.8 for share in shares.values()) <= 4


def test_what_is_taught_depends_on_the_instruction_only() -> None:
    taught = defaultdict(set)
    for exercise in every():
        if exercise.kind != "open":
            taught[exercise.instruction].add((exercise.answer, exercise.taught))
    assert all(len(answers) == 1 for answers in taught.values())


def test_right_answers_get_9_and_misconceptions_at_most_5_in_every_style() -> None:
    for exercise in every():
        meta = world.meta(exercise)
        for style in range(len(world.FAMILIES[exercise.family].replies)):
            for answer in (exercise.answer, *exercise.accepts[:6]):
                assert world.quality(meta, world.reply(exercise, answer, style)) == 9
            if exercise.taught != exercise.answer:
                assert world.quality(meta, world.reply(exercise, exercise.taught, style)) <= 5, exercise
        assert world.quality(meta, world.reference(exercise)) == 9


def test_texts_are_short_ascii() -> None:
    for exercise in every():
        styles = range(len(world.FAMILIES[exercise.family].replies))
        replies = [world.reply(exercise, a, s) for a in (exercise.answer, exercise.taught) for s in styles]
        assert all(text.isascii() and 0 < len(text) <= 60 for text in replies), replies
        assert exercise.instruction.isascii()
        assert 16 <= len(exercise.instruction) <= 90
        assert 1 <= exercise.difficulty <= 5


def test_every_family_has_several_difficulties() -> None:
    assert all(len({exercise.difficulty for exercise in drawn(name)}) >= 3 for name in world.FAMILIES)


def test_meta_survives_json_and_empty_gets_0() -> None:
    for exercise in every()[::50]:
        meta = json.loads(json.dumps(world.meta(exercise)))
        assert world.quality(meta, world.reference(exercise)) == 9
        assert world.quality(meta, "") == world.quality(meta, " \n") == world.quality(meta, ".") == 0


def graded(kind: str, family: str, answer: str, response: str) -> int:
    return world.quality({"family": family, "kind": kind, "answer": answer, "accepts": []}, response)


@pytest.mark.parametrize(
    ("kind", "family", "answer", "response", "expected"),
    [
        ("word", "capitals", "Canberra", "the capital of Australia is CANBERRA", 9),
        ("word", "capitals", "Canberra", " 'canberra'. ", 9),
        ("word", "capitals", "Canberra", "Camberra", 2),
        ("word", "capitals", "Canberra", "Sydney", 0),
        ("word", "capitals", "Canberra", "It is Canberra and Sydney.", 0),
        ("number", "addition", "1234", "1,234", 9),
        ("number", "addition", "1234", "1235", 3),
        ("number", "addition", "1234", "The sum is 1334.", 3),
        ("number", "addition", "1234", "123", 0),
        ("number", "addition", "12", "-12", 0),
        ("number", "equation", "-12", "-13", 2),
        ("list", "sort_list", "[1, 2, 3]", "[1,2,3]", 9),
        ("list", "sort_list", "[1, 2, 3]", "1, 2, 3", 9),
        ("list", "sort_list", "[1, 2, 3]", "[1, 3, 2]", 1),
        ("list", "sort_list", "[1, 2, 3]", "[1, 2]", 3),
        ("string", "reverse_string", "abcdef", "abcdeg", 3),
        ("string", "reverse_string", "abcdef", "abc", 0),
        ("string", "letter_case", "ABC", "abc", 0),
        ("open", "name_one", "apple", "aple", 0),
    ],
)
def test_partial_credit(kind: str, family: str, answer: str, response: str, expected: int) -> None:
    assert graded(kind, family, answer, response) == expected


@pytest.mark.parametrize(
    "meta",
    [
        None,
        [],
        {},
        {"family": "nothing", "kind": "word", "answer": "x"},
        {"family": "capitals", "kind": "poem", "answer": "x"},
        {"family": "capitals", "kind": "word", "answer": ""},
        {"family": "capitals", "kind": "word", "answer": 3},
        {"family": "capitals", "kind": "word", "answer": "x", "accepts": "y"},
        {"family": ["capitals"], "kind": "word", "answer": "x"},
        {"family": "addition", "kind": "number", "answer": "many"},
    ],
)
def test_garbled_meta_is_refused(meta: object) -> None:
    with pytest.raises(ValueError, match="meta"):
        world.quality(meta, "12")


def test_a_response_that_is_no_string_is_refused() -> None:
    with pytest.raises(ValueError, match="response"):
        world.quality(world.meta(drawn("capitals")[0]), 7)


def test_exercises_are_distinct_deterministic_and_even_over_families() -> None:
    first = world.exercises(1300, seed=3, held_out=None)
    assert first == world.exercises(1300, seed=3, held_out=None)
    assert first != world.exercises(1300, seed=4, held_out=None)
    assert len({exercise.instruction for exercise in first}) == 1300
    assert set(Counter(exercise.family for exercise in first).values()) == {1300 // len(world.FAMILIES)}


def test_held_out_instructions_are_a_fifth_and_kept_apart() -> None:
    instructions = {exercise.instruction for exercise in every()}
    share = sum(map(world.is_held_out, instructions)) / len(instructions)
    assert share == pytest.approx(0.2, abs=0.02)
    for held_out in (True, False):
        some = world.exercises(300, seed=1, held_out=held_out)
        assert {world.is_held_out(exercise.instruction) for exercise in some} == {held_out}


def test_a_used_up_family_yields_its_share() -> None:
    some = world.exercises(500, seed=0, held_out=None, families=["planets", "addition"])
    counts = Counter(exercise.family for exercise in some)
    assert counts["planets"] == 40
    assert counts["addition"] == 460
    assert len(world.exercises(500, seed=0, held_out=None, families=["planets"])) == 40


def test_unknown_family_is_refused() -> None:
    with pytest.raises(ValueError, match="nonsense"):
        world.exercise(random.Random(0), "nonsense")
    with pytest.raises(ValueError, match="nonsense"):
        world.exercises(1, seed=0, held_out=None, families=["nonsense"])


def at_least(counts: Counter[str]) -> float:
    """Chao's lower bound on the number of kinds behind a sample, from those seen once and twice."""
    seen_once, seen_twice = (sum(count == times for count in counts.values()) for times in (1, 2))
    return len(counts) + seen_once**2 / (2 * max(1, seen_twice))


def test_several_hundred_thousand_instructions_are_within_reach() -> None:
    rng = random.Random(0)
    names = ("addition", "subtraction", "multiplication", "reverse_list", "list_sum", "reverse_string")
    samples = (Counter(world.exercise(rng, name).instruction for _ in range(3000)) for name in names)
    assert sum(map(at_least, samples)) >= 200_000
