"""Scorers by name: what they see, what they keep, and what they do with rows they cannot score."""

import numpy as np
import pytest

from selfj.backends.base import JudgeInput
from selfj.errors import ArtefactError, ConfigError
from selfj.judging import scorers
from selfj.judging.score_cache import ScoreCache
from selfj.judging.scorers import NamedScorer, load_scorer, score_all

ROWS = [
    JudgeInput("What is the capital of Peru?", "It is Lima.", "Lima"),
    JudgeInput("What is the capital of Peru?", "It is Quito, I think.", "Lima"),
    JudgeInput("Name a colour.", "Red"),
]
FAKE = ["embedder.kind=fake"]


def test_plain_measures():
    assert score_all(load_scorer("length"), ROWS).values.tolist() == [11, 21, 3]
    held = score_all(load_scorer("contains+reference"), ROWS)
    np.testing.assert_array_equal(held.values, [1, 0, np.nan])
    assert held.reasons == {"no_reference": 1}
    either = [JudgeInput("Who?", "It was Bob.", "Ann/Bob"), JudgeInput("Who?", "It was Cy.", "Ann/Bob")]
    assert score_all(load_scorer("contains+reference"), either).values.tolist() == [1, 0]
    shared = score_all(load_scorer("overlap+reference"), ROWS).values
    assert shared[0] > shared[1] == 0
    assert np.isnan(shared[2])
    assert score_all(load_scorer("coverage+reference"), ROWS).values[0] == 1
    first, again = (score_all(load_scorer("random"), ROWS).values for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert len(set(first)) == 3


def test_a_cosine_is_that_of_the_texts():
    same = [JudgeInput("a b c", "a b c", "x"), JudgeInput("x", "a b c", "a b c")]
    assert score_all(load_scorer("cosine", FAKE), same).values[0] == pytest.approx(1)
    with_reference = score_all(load_scorer("cosine+reference", FAKE), [*same, ROWS[2]])
    assert with_reference.values[1] == pytest.approx(1)
    assert with_reference.values[0] < 0.9
    assert np.isnan(with_reference.values[2])


@pytest.mark.slow
def test_the_general_judge_as_student_and_as_teacher():
    student, teacher = load_scorer("general"), load_scorer("general+reference")
    assert student.quality
    assert student.key != teacher.key
    right, wrong, none = score_all(teacher, ROWS).values
    assert right > wrong + 2
    assert np.isnan(none)
    assert not np.isnan(score_all(student, ROWS).values).any()


def test_what_is_kept_is_not_computed_again_and_what_failed_is(tmp_path, monkeypatch):
    monkeypatch.setattr(scorers, "CHUNK", 2)
    asked = []

    def read(inputs):
        asked.append([item.response for item in inputs])
        if len(asked) == 2:
            raise KeyboardInterrupt
        return [(None, "broken") if item.response == "b" else (float(ord(item.response)), None) for item in inputs]

    scorer = NamedScorer("x", "X", "x/1", False, False, read)
    rows = [JudgeInput("q", text) for text in "abcda"]
    with pytest.raises(KeyboardInterrupt):
        score_all(scorer, rows, ScoreCache(tmp_path / "scores.sqlite"))
    found = score_all(scorer, rows, ScoreCache(tmp_path / "scores.sqlite"))
    assert asked == [["a", "b"], ["c", "d"], ["b", "c"], ["d"]]
    np.testing.assert_array_equal(found.values, [97, np.nan, 99, 100, 97])
    assert found.reasons == {"broken": 1}


def test_a_reference_changes_nothing_for_a_scorer_that_does_not_see_it():
    seen = []
    scorer = NamedScorer("x", "X", "x/1", False, False, lambda inputs: [seen.append(i) or (1.0, None) for i in inputs])
    score_all(scorer, ROWS)
    assert all(item.reference is None for item in seen)


@pytest.mark.parametrize("name", ["nothing", "length+reference", "contains", "random+reference"])
def test_an_unknown_scorer_is_named_with_what_there_is(name):
    with pytest.raises(ConfigError, match=name.replace("+", r"\+")):
        load_scorer(name)


def test_a_file_that_is_no_cache_is_named(tmp_path):
    path = tmp_path / "scores.sqlite"
    path.write_text("words " * 200)
    with pytest.raises(ArtefactError, match=r"scores\.sqlite"):
        ScoreCache(path)
