import numpy as np
import pytest

from selfj.backends.base import JudgeInput
from selfj.backends.overlap import OVERLAP_FEATURES, nearest_alternative, overlap_features, words

HAS, HOLDS, HELD, RECALL, PRECISION, NEW, NUMBERS, STRANGE, LONGER, AGREES, LENGTH, SPELLED, LAST = range(17, 30)


def features(instruction, response, reference=None):
    return overlap_features([JudgeInput(instruction, response, reference)])[0]


def test_words_are_read_alike_however_they_are_written():
    assert words("The Café — two DOORS!") == words("cafe 2 doors")
    assert words("") == []


@pytest.mark.parametrize(
    ("response", "reference", "expected"),
    [
        ("3", "3/Three/three", "3"),
        ("It lies in New York City.", "NYC/New York/Big Apple", "New York"),
        ("Melville Dewey did", "Melvil Dewey/Melville Dewey/Melvil Dui", "Melville Dewey"),
        ("whatever", "one reference", "one reference"),
        (
            "whatever",
            "a long text of far more than twelve words in which one slash / stands alone and says nothing",
            None,
        ),
        ("5", "5/6", "5/6"),
        ("x", "/", "/"),
    ],
)
def test_of_alternatives_the_nearest_is_read(response, reference, expected):
    assert nearest_alternative(response, reference) == (expected or reference)


def test_without_a_reference_nothing_is_said_of_it():
    found = features("Who wrote it?", "Nobody knows who wrote it.")
    assert found.shape == (OVERLAP_FEATURES,)
    assert not found[HAS:].any()
    assert overlap_features([]).shape == (0, OVERLAP_FEATURES)


def test_a_held_reference():
    found = features("Who wrote Hamlet?", "Hamlet was written by William Shakespeare.", "William Shakespeare")
    assert found[[HAS, HOLDS, RECALL, NEW, SPELLED, LAST]].tolist() == [1] * 6
    assert found[HELD] == 0
    assert found[LONGER] > 0


def test_another_answer_and_one_spelled_nearly_alike():
    wrong = features("Who wrote Hamlet?", "Christopher Marlowe", "William Shakespeare")
    assert wrong[[HOLDS, RECALL, NEW, LAST]].tolist() == [0] * 4
    close = features("Who wrote Hamlet?", "Wiliam Shakespear", "William Shakespeare")
    assert close[HOLDS] == 0
    assert close[RECALL] == 1


def test_words_of_the_question_are_no_news():
    found = features("Is it red or blue?", "red", "blue")
    assert found[NEW] == 0
    echo = features("Was the red house sold in May?", "the red house", "the red house in June")
    assert echo[RECALL] == 0.5
    assert echo[NEW] == 0


def test_numbers_and_verdicts():
    assert features("How many?", "There are two.", "2")[NUMBERS] == 1
    assert features("How many?", "There are 3.", "2")[[NUMBERS, STRANGE]].tolist() == [0, 1]
    assert features("How many of 3?", "3", "2")[STRANGE] == 0
    assert features("Is it?", "Yes, it is.", "yes")[AGREES] == 1
    assert features("Is it?", "No.", "Yes. It is.")[AGREES] == -1
    assert features("Is it?", "Perhaps", "yes")[AGREES] == 0


def test_damage_shows():
    whole = features("Tell me.", "The house was built by my uncle. It has two floors.")
    looped = features("Tell me.", "the house was the house was the house was the house was the house was")
    assert looped[2] < 0.5 < whole[2]
    assert looped[3] > 0.5 > whole[3]
    assert features("Tell me.", "...")[8] == 1
    signs = slice(11, 17)
    assert features("", "We saw the house. It was red (and old).")[signs].tolist() == [0] * 6
    assert features("", "We saw the house, which was (as far as I know) the")[11] == 1
    assert features("", "the of is red. we house to the saw")[[12, 14]].min() > 0
    assert features("", "wrdkls hsuoeai strngths")[13] == 1
    assert features("", "print(1")[15] == 1
    assert features("", "One. One. One. Two.")[16] == 0.5
    assert np.isfinite(features("", "", "")).all()
