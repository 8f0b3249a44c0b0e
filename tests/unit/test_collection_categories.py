"""The category of an instruction, alone and in any company."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfj.collection.categories import BUCKETS, CATEGORIES, Classifier, classify, featurise, shipped, sums
from selfj.collection.learn_categories import Known, learn
from selfj.collection.terms import by_keywords, made_up, terms

ASKED = {
    "Write a Python function that reverses a linked list.": "coding",
    "git: undo the last commit but keep the changes": "coding",
    "SELECT name FROM users WHERE id = 3; why is this query slow?": "coding",
    "What are the symptoms of anemia in adults?": "academic",
    "Find the derivative of x^2 * sin(x).": "academic",
    "A train travels 60 miles in 1.5 hours. What is its average speed?": "academic",
    "Who sang the theme song of that movie?": "common",
    "How do I write a cover letter for a job in marketing?": "common",
    "Suggest a recipe for dinner with chicken and pasta": "common",
}


@pytest.mark.parametrize(("text", "category"), ASKED.items())
def test_a_plain_case_has_its_category(text, category):
    assert classify(pa.array([text])).to_pylist() == [category]


def test_a_made_up_instruction_has_the_category_of_its_terms():
    pairs = made_up(200, seed=5)
    found = classify(pa.array([text for text, _ in pairs])).to_pylist()
    assert np.mean([a == b for a, (_, b) in zip(found, pairs, strict=True)]) > 0.9


@given(st.lists(st.text(max_size=40), max_size=8), st.text(max_size=60))
def test_a_text_has_the_same_probabilities_in_any_company(others, text):
    alone = shipped().probabilities(pa.array([text]))
    among = shipped().probabilities(pa.chunked_array([pa.array(others, pa.string()), pa.array([text])]))
    together = shipped().probabilities(pa.array([*others, text, *others], pa.string()))
    assert among[-1].tobytes() == alone[0].tobytes() == together[len(others)].tobytes()


def test_texts_without_words_and_nulls_have_the_same_category():
    found = shipped().probabilities(pa.array(["", None, "  \n"]))
    assert np.allclose(found, found[0])
    assert np.allclose(found.sum(axis=1), 1)


def test_no_text_gives_no_category():
    assert classify(pa.array([], pa.string())).to_pylist() == []
    assert classify(pa.chunked_array([], pa.string())).to_pylist() == []


def test_shares_settle_an_unclear_text():
    unclear = pa.array([""])
    assert classify(unclear, (1.0, 0.0, 0.0)).to_pylist() == ["academic"]
    assert classify(unclear, (0.0, 0.0, 1.0)).to_pylist() == ["common"]


def test_features_are_words_numbers_signs_and_pairs():
    features = featurise(pa.array(["Add 12+7", "add 345 + 6", "one"]))
    first, second, third = np.split(features.places, features.starts[1:-1])
    assert sorted(first) == sorted(second)
    assert len(first) == 4 + 3
    assert len(third) == 1
    assert features.places.max() < BUCKETS


def test_a_sum_is_that_of_a_loop():
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(BUCKETS, 3)).astype(np.float32)
    features = featurise(pa.array(["a b c", "", "b", None, "c d"]))
    wanted = np.zeros((5, 3))
    for i, (start, end) in enumerate(zip(features.starts[:-1], features.starts[1:], strict=True)):
        for place in features.places[start:end]:
            wanted[i] += weights[place] / np.sqrt(end - start)
    assert np.allclose(sums(features, weights), wanted, atol=1e-5)


def test_what_is_learnt_tells_its_rows_apart_and_is_the_same_again():
    words = {"academic": "enzyme", "coding": "compiler", "common": "picnic"}
    rows = [
        Known(f"tell me of {word} {i}", category, f"of {category}", free=True, held_out=False)
        for category, word in words.items()
        for i in range(30)
    ]
    weights, scale, bias = learn(rows)
    again = learn(rows)
    assert all(a.tobytes() == b.tobytes() for a, b in zip((weights, scale, bias), again, strict=True))
    found = Classifier(weights.astype(np.float32) * scale, bias).probabilities(pa.array(list(words.values())))
    assert [CATEGORIES[i] for i in found.argmax(axis=1)] == list(words)


def test_keywords_count_whole_terms_and_fall_back_to_common():
    assert by_keywords("the integral of a polynomial in python") == "academic"
    assert by_keywords("javascripting") == "common"
    assert not set(terms()["coding"]) & set(terms()["academic"])
