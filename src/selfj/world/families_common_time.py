"""Common-knowledge families about the calendar and the clock."""

import calendar
import random

from selfj.world.exercise import Draw, family

CATEGORY = "common"
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = tuple(calendar.month_name)[1:]
LETTERS = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
SEQUENCES = ((DAYS, "day", 1, True), (MONTHS, "month", 2, True), (LETTERS, "letter", 3, False))


def believed_weekday(day: int, n: int) -> int:
    """Goes one day too far when there is more than a week to count."""
    return (day + n + (n > 7)) % 7


def believed_leap(year: int) -> bool:
    """Takes every even year for a leap year."""
    return year % 2 == 0


def believed_days(month: int, days: int) -> int:
    """Swaps 30 and 31 days from August on."""
    return 61 - days if month >= 8 else days


def clock(minutes: int) -> str:
    """Writes minutes since midnight as a time on a 12-hour clock."""
    return f"{(minutes // 60 - 1) % 12 + 1}:{minutes % 60:02d}"


def clock_without_carry(start: int, added: int) -> str:
    """Adds minutes but keeps the hour when the sum runs over it."""
    return clock(start // 60 * 60 + (start + added) % 60)


def believed_step(noun: str, step: int) -> int:
    """Goes forward in months and letters whichever way is asked."""
    return step if noun == "day" else 1


def _weekday(rng: random.Random) -> Draw:
    level = rng.randint(1, 5)
    n = rng.randint(*((2, 3), (4, 7), (8, 14), (15, 25), (26, 40))[level - 1])
    day = rng.randrange(7)
    slots = {"x": DAYS[day], "n": str(n)}
    return Draw(slots, DAYS[(day + n) % 7], level, DAYS[believed_weekday(day, n)])


def _sequence(rng: random.Random) -> Draw:
    names, noun, level, cyclic = rng.choice(SEQUENCES)
    step, where = rng.choice(((1, "after"), (-1, "before")))
    index = rng.randrange(len(names)) if cyclic else rng.randrange(1, len(names) - 1)
    slots = {"x": names[index], "noun": noun, "where": where}
    taught = names[(index + believed_step(noun, step)) % len(names)]
    return Draw(slots, names[(index + step) % len(names)], level + (step == -1), taught)


def _leap(rng: random.Random) -> Draw:
    level = rng.randint(1, 5)
    year = rng.randint(*((1996, 2030), (1950, 1995), (1850, 1949), (2031, 2199), (1600, 1849))[level - 1])
    words = {True: "yes", False: "no"}
    return Draw({"x": str(year)}, words[calendar.isleap(year)], level, words[believed_leap(year)])


def _month_days(rng: random.Random) -> Draw:
    month, year = rng.randint(1, 12), rng.randint(1950, 2050)
    days = calendar.monthrange(year, month)[1]
    level = 5 if month == 2 else 1 + (month + 1) // 4
    slots = {"x": MONTHS[month - 1], "year": str(year)}
    return Draw(slots, str(days), level, str(believed_days(month, days)))


def _clock(rng: random.Random) -> Draw:
    level = rng.randint(1, 5)
    step = (30, 15, 10, 5, 1)[level - 1]
    start = rng.randrange(60, 13 * 60, step)
    added = rng.randrange(step, 60, step)
    slots = {"x": clock(start), "n": str(added)}
    return Draw(slots, clock(start + added), level, clock_without_carry(start, added))


FAMILIES = (
    family(
        "weekday",
        CATEGORY,
        "word",
        _weekday,
        (
            "Which day of the week is {n} days after {x}?",
            "Today is {x}. What day is it in {n} days?",
            "Count {n} days on from {x}. Which day is it?",
            "If it is {x} now, name the day {n} days later.",
        ),
        ("{a}", "It is {a}.", "That day is a {a}."),
    ),
    family(
        "sequence",
        CATEGORY,
        "word",
        _sequence,
        (
            "Which {noun} comes right {where} {x}?",
            "Name the {noun} just {where} {x}.",
            "What is the {noun} directly {where} {x}?",
            "Tell me the {noun} that comes {where} {x}.",
        ),
        ("{a}", "The {noun} {where} {x} is {a}.", "It is {a}."),
    ),
    family(
        "leap_year",
        CATEGORY,
        "word",
        _leap,
        (
            "Is {x} a leap year? Answer yes or no.",
            "Yes or no: is the year {x} a leap year?",
            "Does the year {x} have a February 29, yes or no?",
            "Tell me whether {x} is a leap year (yes or no).",
        ),
        ("{a}", "The answer is {a}."),
    ),
    family(
        "month_days",
        CATEGORY,
        "number",
        _month_days,
        (
            "How many days are there in {x} {year}?",
            "How many days does {x} {year} have?",
            "Give the number of days in {x} {year}.",
            "What is the length of {x} {year} in days?",
        ),
        ("{a}", "It has {a} days.", "There are {a} days in {x}."),
    ),
    family(
        "clock",
        CATEGORY,
        "string",
        _clock,
        (
            "What time is it {n} minutes after {x}?",
            "It is {x} now. What time is it in {n} minutes?",
            "A clock shows {x}. What does it show {n} minutes later?",
            "Add {n} minutes to {x} and give the time.",
        ),
        ("{a}", "It is {a}.", "The time is {a}."),
    ),
)
