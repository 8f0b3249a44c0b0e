import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfj.backends.batching import aligned, padded_length, plan

lengths = st.lists(st.integers(1, 700), max_size=60)


@given(lengths, st.integers(1, 20), st.booleans())
def test_every_row_is_in_exactly_one_batch(lengths, batch_size, stable):
    batches = plan(lengths, batch_size, stable)
    assert sorted(index for batch in batches for index in batch.indices) == list(range(len(lengths)))
    assert all(len(batch.indices) <= batch.rows <= batch_size for batch in batches)
    assert all(lengths[index] <= batch.length for batch in batches for index in batch.indices)


@given(lengths, st.integers(1, 20))
def test_a_stable_shape_follows_from_the_row_alone(lengths, batch_size):
    for batch in plan(lengths, batch_size, stable=True):
        assert batch.rows == batch_size
        assert {padded_length(lengths[index]) for index in batch.indices} == {batch.length}


@pytest.mark.parametrize(("length", "padded"), [(1, 8), (7, 8), (8, 16), (63, 64), (64, 80), (255, 256), (256, 320)])
def test_lengths_are_rounded_up_with_at_least_one_pad(length, padded):
    assert padded_length(length) == padded


def test_fillers_repeat_the_last_row():
    (batch,) = plan([3, 3], 4, stable=True)
    assert batch.take(["a", "b"]) == ["a", "b", "b", "b"]


def test_batches_are_aligned():
    assert [aligned(n) for n in (1, 2, 16, 17)] == [1, 16, 16, 32]
