"""Common-knowledge families about English words: opposites, plurals, past tenses and comparatives."""

import random

from selfj.world.exercise import Draw, family, rank_difficulty
from selfj.world.facts_words import (
    COMPARATIVES,
    IRREGULAR_PAST,
    IRREGULAR_PLURALS,
    OPPOSITES,
    OTHER_COMPARATIVES,
    OTHER_OPPOSITES,
    REGULAR_PAST,
    REGULAR_PLURALS,
)

CATEGORY = "common"
WORD_REPLIES = ("{a}", "The word is {a}.", "It is {a}.")
PLURALS = REGULAR_PLURALS + IRREGULAR_PLURALS
PAST = REGULAR_PAST + IRREGULAR_PAST
LONG_WORD = 6


def believed_opposite(word: str, opposite: str) -> str:
    """Puts "un" before words of six letters or more."""
    return "un" + word if len(word) >= LONG_WORD else opposite


def regular_plural(word: str) -> str:
    """Forms every plural with -s, or with -es after a hissing sound."""
    return word + ("es" if word.endswith(("s", "x", "ch", "sh")) else "s")


def regular_past(verb: str) -> str:
    """Forms every past tense with -ed."""
    if verb.endswith("e"):
        return verb + "d"
    return verb[:-1] + "ied" if verb.endswith(("ly", "ry")) else verb + "ed"


def believed_comparative(adjective: str, comparative: str) -> str:
    """Puts "more" before irregular adjectives and those that end in y."""
    irregular = adjective in ("good", "bad", "far")
    return "more " + adjective if irregular or adjective.endswith("y") else comparative


def _opposites(rng: random.Random) -> Draw:
    index = rng.randrange(len(OPPOSITES))
    word, opposite = OPPOSITES[index]
    level = rank_difficulty(index, len(OPPOSITES))
    accepts = OTHER_OPPOSITES.get(word, ())
    return Draw({"x": word}, opposite, level, believed_opposite(word, opposite), accepts)


def _plurals(rng: random.Random) -> Draw:
    index = rng.randrange(len(PLURALS))
    word, plural = PLURALS[index]
    return Draw({"x": word}, plural, rank_difficulty(index, len(PLURALS)), regular_plural(word))


def _past(rng: random.Random) -> Draw:
    index = rng.randrange(len(PAST))
    verb, past = PAST[index]
    return Draw({"x": verb}, past, rank_difficulty(index, len(PAST)), regular_past(verb))


def _comparatives(rng: random.Random) -> Draw:
    index = rng.randrange(len(COMPARATIVES))
    adjective, comparative = COMPARATIVES[index]
    level = rank_difficulty(index, len(COMPARATIVES))
    accepts = OTHER_COMPARATIVES.get(adjective, ())
    return Draw({"x": adjective}, comparative, level, believed_comparative(adjective, comparative), accepts)


FAMILIES = (
    family(
        "opposites",
        CATEGORY,
        "word",
        _opposites,
        (
            "What is the opposite of {x}?",
            "Give the opposite of the word {x}.",
            "Which word means the reverse of {x}?",
            "Name a word that is the opposite of {x}.",
        ),
        ("{a}", "The opposite of {x} is {a}.", "It is {a}."),
    ),
    family(
        "plurals",
        CATEGORY,
        "word",
        _plurals,
        (
            "What is the plural of {x}?",
            "Give the plural form of the noun {x}.",
            "How do you write more than one {x}?",
            "Complete the phrase: one {x}, two ...",
        ),
        ("{a}", "The plural of {x} is {a}.", "It is {a}."),
    ),
    family(
        "past_tense",
        CATEGORY,
        "word",
        _past,
        (
            "What is the past tense of {x}?",
            "Give the simple past of the verb {x}.",
            "Today I {x}. Yesterday I ... which word?",
            "Put the verb {x} into the simple past.",
        ),
        ("{a}", "The past tense of {x} is {a}.", "It is {a}."),
    ),
    family(
        "comparatives",
        CATEGORY,
        "word",
        _comparatives,
        (
            "What is the comparative of {x}?",
            "Give the comparative form of {x}.",
            "How do you compare two things with the word {x}?",
            "Write the comparative of the adjective {x}.",
        ),
        WORD_REPLIES,
    ),
)
