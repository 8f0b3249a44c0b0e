import numpy as np
import pytest

from selfj.backends.base import JudgeInput, LevelReading
from selfj.baselines import consistency, length, log_likelihood
from selfj.exchanges import Exchange
from selfj.judge import Judge
from selfj.label import combine, make_labels, similarity, to_level
from selfj.records import Instruction, Response


class Fixed:
    """A reader with given level probabilities and label masses."""

    name = "fixed"

    def __init__(self, probabilities, mass, errors=None):
        reasons = tuple(errors or [None] * len(mass))
        self.reading = LevelReading(np.array(probabilities), np.array(mass), reasons, (False,) * len(mass))

    def read(self, inputs):
        return self.reading


class Letters:
    """Embeds a text as the shares of the letters a, b and c."""

    name = "letters"

    def embed(self, texts):
        counts = np.array([[text.count(letter) + 1e-9 for letter in "abc"] for text in texts])
        return (counts / np.linalg.norm(counts, axis=1, keepdims=True)).astype(np.float32)

    def exceeds(self, texts):
        return [False] * len(texts)


def one_hot(level):
    return np.eye(10)[level]


def exchange(text="a", reference="a", logprob=None):
    return Exchange(
        Instruction(id=f"i{text}", text="q", reference=reference),
        Response(id=f"r{text}", instruction_id=f"i{text}", index=0, text=text, logprob=logprob),
    )


def test_the_score_is_the_expected_level():
    mixed = 0.5 * one_hot(9) + 0.5 * one_hot(4)
    scores = Judge(Fixed([one_hot(7), mixed], [1.0, 0.9])).score([JudgeInput("q", "a")] * 2)
    assert [score.value for score in scores] == [7.0, 6.5]


def test_little_label_mass_is_unscored_and_never_zero():
    low, failed = Judge(
        Fixed([one_hot(9), np.full(10, np.nan)], [0.2, np.nan], [None, "too_long"]), min_label_mass=0.5
    ).score([JudgeInput("q", "a")] * 2)
    assert (low.value, low.reason, low.label_mass) == (None, "low_label_mass", 0.2)
    assert (failed.value, failed.reason, failed.levels) == (None, "too_long", None)


def test_z_is_the_weighted_mean_of_its_parts():
    assert combine(8.0, 0.5, 0.5) == 6.25
    assert combine(8.0, -0.5, 0.5) == 4.0
    assert combine(8.0, 0.5, 1.0) == 8.0
    assert combine(None, 0.5, 0.5) == 4.5
    assert combine(3.0, None, 0.5) == 3.0
    assert combine(None, None, 0.5) is None


@pytest.mark.parametrize(("quality", "level"), [(0.49, 0), (0.5, 1), (8.5, 9), (9.0, 9), (9.7, 9), (-1.0, 0)])
def test_levels_are_the_nearest_digit(quality, level):
    assert to_level(quality) == level


def test_labels_hold_both_parts():
    judge = Judge(Fixed([one_hot(8), one_hot(2)], [1, 1]))
    made = make_labels([exchange("a", "a"), exchange("b", "a")], judge, Letters(), weight=0.5)
    assert [label.self_eval for label in made] == [8.0, 2.0]
    assert [label.cosine for label in made] == [1.0, 0.0]
    assert [label.z for label in made] == [8.5, 1.0]


def test_a_failed_self_evaluation_leaves_no_label():
    judge = Judge(Fixed([np.full(10, np.nan)], [np.nan], ["too_long"]))
    (made,) = make_labels([exchange()], judge, Letters(), weight=0.5)
    assert (made.z, made.error, made.cosine) == (None, "too_long", 1.0)


def test_similarity_keeps_pairs_in_order():
    assert similarity(Letters(), ["a", "b", "a"], ["a", "a", "aab"]) == pytest.approx([1, 0, 2 / 5**0.5], abs=1e-6)


def test_consistency_is_the_mean_similarity_of_further_samples():
    found = consistency([exchange("a"), exchange("b")], [["a", "b"], []], Letters())
    assert found == [0.5, None]


def test_log_likelihood_asks_only_for_what_is_missing():
    class Model:
        def mean_logprob(self, conversations, responses):
            assert responses == ["b"]
            return [-2.0]

    assert log_likelihood([exchange("a", logprob=-1.0), exchange("b")], Model()) == [-1.0, -2.0]
    assert log_likelihood([exchange("b")], None) == [None]


def test_length_counts_characters():
    assert length([exchange("abc")]) == [3.0]
