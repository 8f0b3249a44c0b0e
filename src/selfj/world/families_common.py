"""Common-knowledge families about countries, everyday quantities and things to name."""

import random

from selfj.world.exercise import Draw, family, rank_difficulty
from selfj.world.facts_countries import COUNTRIES, Country
from selfj.world.facts_words import MEMBERS, OTHER_YOUNG, YOUNG

CATEGORY = "common"
WITH_CONTINENT = tuple(country for country in COUNTRIES if country.continent)
WITH_CURRENCY = tuple(country for country in COUNTRIES if country.currency)
KINDS = tuple(MEMBERS)
LETTERED = tuple(sorted({(kind, word[0].lower()) for kind in KINDS for word in MEMBERS[kind]}))

# Small unit, large unit, how many of the one make the other, and the factor that the misconception uses.
UNITS = (
    ("minutes", "hours", 60, 60),
    ("days", "weeks", 7, 7),
    ("months", "years", 12, 10),
    ("seconds", "minutes", 60, 60),
    ("hours", "days", 24, 24),
    ("eggs", "dozen", 12, 10),
    ("inches", "feet", 12, 10),
    ("feet", "yards", 3, 3),
    ("legs", "dogs", 4, 4),
    ("legs", "spiders", 8, 6),
    ("wheels", "tricycles", 3, 3),
)


def article(word: str) -> str:
    """Gives the indefinite article that goes with a word."""
    return "an" if word[0].lower() in "aeiou" else "a"


def believed_capital(country: Country) -> str:
    """Names another known city for the countries of Africa and South America."""
    return country.other_city or country.capital


def believed_currency(country: Country) -> str:
    """Gives every European country the euro, the Americas the dollar and Africa the franc."""
    believed = {"Europe": "euro", "North America": "dollar", "South America": "dollar", "Africa": "franc"}
    return believed.get(country.continent, country.currency)


def believed_young(young: str, animal: str) -> str:
    """Calls every calf but the cow's, and every joey, a cub."""
    return "cub" if young in ("calf", "joey") and animal != "cow" else young


def _capitals(rng: random.Random) -> Draw:
    index = rng.randrange(len(COUNTRIES))
    country = COUNTRIES[index]
    level = rank_difficulty(index, len(COUNTRIES))
    return Draw({"x": country.name}, country.capital, level, believed_capital(country))


def _continents(rng: random.Random) -> Draw:
    index = rng.randrange(len(WITH_CONTINENT))
    country = WITH_CONTINENT[index]
    return Draw({"x": country.name}, country.continent, rank_difficulty(index, len(WITH_CONTINENT)))


def _currencies(rng: random.Random) -> Draw:
    index = rng.randrange(len(WITH_CURRENCY))
    country = WITH_CURRENCY[index]
    level = rank_difficulty(index, len(WITH_CURRENCY))
    return Draw({"x": country.name}, country.currency, level, believed_currency(country))


def _units(rng: random.Random) -> Draw:
    level = rng.randint(1, 5)
    small, large, factor, believed = UNITS[rng.randrange(len(UNITS))]
    n = rng.randint(*((2, 5), (6, 10), (11, 15), (16, 25), (26, 40))[level - 1])
    preposition = {"legs": "on", "wheels": "on"}.get(small, "in")
    slots = {"small": small, "large": large, "n": str(n), "in": preposition}
    return Draw(slots, str(n * factor), level, str(n * believed))


def _young(rng: random.Random) -> Draw:
    index = rng.randrange(len(YOUNG))
    animal, young = YOUNG[index]
    slots = {"x": animal, "an": article(animal)}
    accepts = OTHER_YOUNG.get(animal, ())
    return Draw(slots, young, rank_difficulty(index, len(YOUNG)), believed_young(young, animal), accepts)


def _open(rng: random.Random, kind: str, members: tuple[str, ...], extra: dict[str, str]) -> Draw:
    answer = rng.choice(members)
    level = 1 + sum(len(members) < bound for bound in (15, 8, 4, 2))
    slots = {"x": kind, "an": article(kind), **extra}
    return Draw(slots, answer, level, accepts=tuple(word for word in members if word != answer))


def _name_one(rng: random.Random) -> Draw:
    kind = rng.choice(KINDS)
    return _open(rng, kind, MEMBERS[kind], {})


def _name_another(rng: random.Random) -> Draw:
    kind = rng.choice(KINDS)
    known = rng.choice(MEMBERS[kind])
    return _open(rng, kind, tuple(word for word in MEMBERS[kind] if word != known), {"known": known})


def _name_by_letter(rng: random.Random) -> Draw:
    kind, letter = rng.choice(LETTERED)
    members = tuple(word for word in MEMBERS[kind] if word[0].lower() == letter)
    return _open(rng, kind, members, {"letter": letter})


FAMILIES = (
    family(
        "capitals",
        CATEGORY,
        "word",
        _capitals,
        (
            "What is the capital of {x}?",
            "Name the capital city of {x}.",
            "Which city is the capital of {x}?",
            "Tell me the capital of {x}.",
        ),
        ("{a}", "The capital of {x} is {a}.", "It is {a}."),
    ),
    family(
        "continents",
        CATEGORY,
        "word",
        _continents,
        (
            "On which continent is {x}?",
            "Name the continent where {x} lies.",
            "Which continent is {x} part of?",
            "To which continent does {x} belong?",
        ),
        ("{a}", "It lies in {a}.", "The continent is {a}."),
    ),
    family(
        "currencies",
        CATEGORY,
        "word",
        _currencies,
        (
            "What is the currency of {x} called?",
            "Which currency is used in {x}?",
            "Name the money people pay with in {x}.",
            "In {x}, what is the local currency?",
        ),
        ("{a}", "The currency is the {a}.", "People pay with the {a}."),
    ),
    family(
        "units",
        CATEGORY,
        "number",
        _units,
        (
            "How many {small} are there {in} {n} {large}?",
            "Count the {small} {in} {n} {large}.",
            "What is the number of {small} {in} {n} {large}?",
            "Tell me how many {small} there are {in} {n} {large}.",
        ),
        ("{a}", "There are {a} {small}.", "The number is {a}."),
    ),
    family(
        "young_animals",
        CATEGORY,
        "word",
        _young,
        (
            "What do you call the young of {an} {x}?",
            "What is a baby {x} called?",
            "Give the word for a young {x}.",
            "Which word means a baby {x}?",
        ),
        ("{a}", "It is called a {a}.", "The word is {a}."),
    ),
    family(
        "name_one",
        CATEGORY,
        "open",
        _name_one,
        (
            "Name {an} {x} of your choice.",
            "Can you name {an} {x}?",
            "Give me an example of {an} {x}.",
            "Please tell me the name of any {x}.",
            "I need {an} {x}. Which one comes to mind?",
        ),
        ("{a}", "One example is {a}.", "How about {a}?"),
    ),
    family(
        "name_another",
        CATEGORY,
        "open",
        _name_another,
        (
            "Name {an} {x} other than {known}.",
            "Apart from {known}, which {x} can you name?",
            "Not {known}, please: name another {x}.",
            "Give me {an} {x} that is not {known}.",
        ),
        ("{a}", "Another one is {a}.", "How about {a}?"),
    ),
    family(
        "name_by_letter",
        CATEGORY,
        "open",
        _name_by_letter,
        (
            "Name {an} {x} that starts with the letter {letter}.",
            "Which {x} begins with the letter {letter}?",
            "Give me {an} {x} whose first letter is {letter}.",
            "Find {an} {x} starting with {letter}.",
        ),
        ("{a}", "One example is {a}.", "How about {a}?"),
    ),
)
