"""Counts of words and letters: what they tell of a text, and that they are what the rules make."""

import random

import numpy as np
import pytest

from selfj.backends.language import (
    LANGUAGE_FEATURES,
    LONG_END,
    START,
    Counts,
    bucket,
    coverage,
    language_features,
    shipped,
    tokens,
)
from selfj.general.language import count, counted
from selfj.general.pool import Entry, held_out

TEXT = (
    "The heart pumps blood through the body. It has four chambers, and valves between them keep the blood from "
    "flowing back. When a valve does not close as it should, some of the blood leaks, and the heart has to work harder."
)
SPELLING, PAIRS, END = 6, 3, 7


def entry(text, reference, n=0):
    return Entry(str(n), "s", text, reference, False, False)


def test_tokens_are_words_numbers_and_signs():
    assert tokens("Don't say 3.5 naïve_things!") == ["don", "'", "t", "say", "0", ".", "0", "naïve", "_", "things", "!"]


def test_scrambled_words_are_misspelled_and_shuffled_ones_do_not_follow_each_other():
    draw = random.Random(0)
    scrambled = " ".join("".join(draw.sample(word, len(word))) for word in TEXT.split())
    words = TEXT.split()
    shuffled = " ".join(draw.sample(words, len(words)))
    whole, broken, mixed = language_features([TEXT, scrambled, shuffled])
    assert broken[SPELLING] > whole[SPELLING] + 0.2
    assert mixed[PAIRS] > whole[PAIRS] + 0.1
    assert mixed[SPELLING] == whole[SPELLING]


def test_a_text_that_was_cut_ends_where_texts_do_not():
    whole, cut = language_features([TEXT, TEXT[: TEXT.index("through the") + len("through the")]])
    assert whole[END] > cut[END] + 0.2


def test_every_text_has_numbers_in_bounds():
    texts = ["", " ", "...", "42", "日本語のテキスト", "a", "x" * 5000, "the " * 3000, "\x00\ud800", TEXT]
    found = language_features(texts)
    assert found.shape == (len(texts), LANGUAGE_FEATURES)
    assert np.isfinite(found).all()
    assert np.abs(found).max() <= 1.5
    assert not found[:2].any()
    assert language_features([]).shape == (0, LANGUAGE_FEATURES)


def test_counting_by_hand():
    made = count([entry("Why why?", f"Because {word} is." * 4, n) for n, word in enumerate(["this", "this", "that"])])
    assert made.word("why") == pytest.approx(np.log2(1 + 6), abs=0.07)
    assert made.word("that") == pytest.approx(np.log2(1 + 4), abs=0.07)
    assert made.word("absent") == 0
    assert made.pair(START, "because") == pytest.approx(np.log2(1 + 3), abs=0.07)
    assert made.pair(".", LONG_END) == pytest.approx(np.log2(1 + 3), abs=0.07)
    assert made.pair("this", "is") == pytest.approx(np.log2(1 + 8), abs=0.07)
    assert made.pair("is", "this") == 0
    assert made.spelling("is")[0] == pytest.approx(np.log2(1 + 12), abs=0.07)
    assert made.total == pytest.approx(np.log2(3 * (3 + 16)))


def test_coverage_weighs_rare_words_alone():
    words = np.zeros(1 << 17, dtype=np.uint8)
    words[bucket("common", 1 << 17)], words[bucket("rare", 1 << 17)] = 10 * 8, 5 * 8
    counts = Counts(words, np.zeros(1 << 21, dtype=np.uint8), np.zeros((27,) * 3, dtype=np.uint8), total=20.0)
    # A word never seen weighs 20 - 0 - 10, the rare one 20 - 5 - 10, the common one nothing.
    assert coverage("rare", "common rare unseen", counts=counts) == pytest.approx(5 / 15)
    assert coverage("Unseen, common!", "common rare unseen", counts=counts) == pytest.approx(10 / 15)
    assert coverage("rare", "common rare unseen", "Unseen?", counts=counts) == 1
    assert coverage("common", "common", counts=counts) == 0
    assert coverage("a", "?!", counts=counts) == 0
    reference = "The mitochondrion of the cell"
    assert coverage("mitochondrion", reference) > coverage("the of", reference) + 0.2
    assert coverage(reference, reference) == 1


def test_what_is_counted_is_not_what_is_measured():
    entries = [entry(f"Question {n}", "answer", n) for n in range(400)]
    kept = [e for e in entries if counted(e)]
    assert 130 < len(kept) < 230
    assert not any(held_out(e) for e in kept)


def test_what_ships_is_read_as_it_was_written():
    counts = shipped()
    assert counts.letters.shape == (27, 27, 27)
    assert counts.total > 20
    assert counts.word("the") > 15
    assert counts.pair("of", "the") > counts.pair("the", "of")
