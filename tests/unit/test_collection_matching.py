"""Who is the same as whom, and who is kept, against brute force."""

import itertools

import numpy as np
import pyarrow as pa
import pytest

from selfj.collection import matching
from selfj.collection.keys import bands, distinct, shingles
from selfj.collection.matching import FULL, bucket_pairs, first_equal, jaccard, keep_first, split
from selfj.collection.tokens import tokenise


def test_first_of_equal_rows_and_a_collision_of_keys():
    keys = np.array([5, 7, 5, 5, 7, 9], np.uint64)
    checks = np.array([1, 1, 1, 2, 1, 1], np.uint64)
    assert first_equal(keys, checks).tolist() == [0, 1, 0, 3, 1, 5]
    many = np.random.default_rng(0).integers(0, 50, 1_000).astype(np.uint64)
    assert first_equal(many, many).tolist() == [many.tolist().index(key) for key in many.tolist()]
    assert first_equal(many[:0], many[:0]).tolist() == []


def test_pairs_of_small_buckets_are_complete():
    rng = np.random.default_rng(1)
    values = rng.integers(0, 400, 1_500).astype(np.uint64)
    assert np.bincount(values.astype(int)).max() <= FULL
    found = set(zip(*(side.tolist() for side in split(bucket_pairs(values, values))), strict=True))
    pairs = itertools.combinations(range(1_500), 2)
    assert found == {(a, b) for a, b in pairs if values[a] == values[b] != 0}


def test_pairs_of_a_giant_bucket_grow_with_its_rows():
    values = np.full(100_000, 7, np.uint64)
    second = np.random.default_rng(2).integers(1, 30_000, 100_000).astype(np.uint64)
    pairs = bucket_pairs(values, second)
    assert len(pairs) <= FULL * 100_000
    one, other = split(pairs)
    assert (one < other).all()
    assert set(range(1, 100_000)) == set(other[one == 0].tolist())
    # Rows that share a second band, too, are compared.
    same = second[:3_000, None] == second[None, :3_000]
    held = set(pairs.tolist())
    wanted = [(a << 32) | b for a, b in np.argwhere(np.triu(same, 1)).tolist()]
    assert all(pair in held for pair in wanted)


def test_jaccard_is_exact(monkeypatch):
    monkeypatch.setattr(matching, "_CHUNK", 50)
    rng = np.random.default_rng(3)
    texts = [" ".join(rng.choice(list("abcdef"), rng.integers(0, 9))) for _ in range(200)]
    sets = distinct(shingles(tokenise(pa.array(texts)), 1))
    one, other = rng.integers(0, 200, (2, 2_000))

    def plain(a, b):
        left, right = set(texts[a].split()), set(texts[b].split())
        return len(left & right) / len(left | right) if left and right else 0.0

    wanted = [plain(a, b) for a, b in zip(one, other, strict=True)]
    assert jaccard(sets, one, other).tolist() == wanted
    bounded = jaccard(sets, one, other, least=0.6)
    for value, exact in zip(bounded.tolist(), wanted, strict=True):
        assert value == exact or (value == 0 and exact < 0.6)
    assert jaccard(sets, one[:0], other[:0]).tolist() == []


@pytest.mark.parametrize("seed", range(20))
def test_keep_first_is_the_greedy_walk(seed):
    rng = np.random.default_rng(seed)
    n, fixed = 60, int(rng.integers(0, 5))
    edges = sorted({tuple(sorted(pair)) for pair in rng.integers(0, n, (150, 2)).tolist() if pair[0] != pair[1]})
    one, other = np.array(edges).T
    shuffled = rng.permutation(len(edges))
    one, other = one[shuffled], other[shuffled]
    decided = keep_first(one, other, n, fixed)
    kept: list[int] = []
    for row in range(n):
        near = [earlier for earlier in kept if (earlier, row) in set(edges)]
        if near and row >= fixed:
            assert other[decided[row]] == row
            assert one[decided[row]] == near[0]
        else:
            kept.append(row)
            assert decided[row] == -1


def test_similar_rows_are_found_as_often_as_promised():
    """Recall over every pair at or above the threshold, for the default bands."""
    rng = np.random.default_rng(4)
    texts = []
    for _ in range(400):
        split_text = [f"w{n}" for n in rng.integers(0, 10**6, 40)]
        other = [*split_text]
        for place in rng.choice(40, int(rng.integers(1, 5)), replace=False):
            other[place] = f"v{rng.integers(0, 10**6)}"
        texts += [" ".join(split_text), " ".join(other)]
    grams = shingles(tokenise(pa.array(texts)), 1)
    found = np.unique(np.concatenate([bucket_pairs(b, b) for b in bands(grams, 16, 5, 0)]))
    one = np.arange(0, 800, 2)
    near = jaccard(distinct(grams), one, one + 1) >= 0.8
    wanted = one[near].astype(np.uint64) << np.uint64(32) | (one[near] + 1).astype(np.uint64)
    assert near.sum() > 300
    assert np.isin(wanted, found).mean() > 0.99
