"""Words, keys, n-grams and bands of texts, against plain Python."""

import re

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfj.collection.evaluation import index, open_index, write_index
from selfj.collection.keys import bands, distinct, exact_keys, shingles, windows
from selfj.collection.settings import Matching
from selfj.collection.tokens import tokenise


def words(text: str) -> list[str]:
    """What `tokenise` is to see, for ASCII."""
    text = re.sub(r"[\x00-\x20\x7f]", " ", text.lower())
    text = re.sub(r"[.,;:?!'\"`]+(?= |$)", " ", text)
    text = re.sub(r"(?:(?<= )|^)['\"`]+(?![.,;:?!'\"`])", " ", text)
    return re.findall(r"[a-z0-9_]+|[^a-z0-9_ ]", text)


def runs(text: str, hashes: np.ndarray) -> list[str]:
    return list(zip(words(text), hashes.tolist(), strict=True))


TEXTS = [
    "What is 3.5 + 4?", "what is  3.5+4", "Is \"a != b\" true?", "don't", "", "???", "x", "Say 'hi', then go!",
    "a_b c-d", "tab\there\nnew", "e.g. this...", "`code` and \"more\"", ".NET", "('x')", "a" * 500,
]  # fmt: skip


@given(st.lists(st.text(st.characters(min_codepoint=1, max_codepoint=126), max_size=40), max_size=8))
@settings(max_examples=200, deadline=None)
def test_words_are_those_of_plain_python(texts):
    tokens = tokenise(pa.array([*texts, *TEXTS], pa.string()))
    seen: dict[str, int] = {}
    for text, low, high in zip([*texts, *TEXTS], tokens.starts, tokens.starts[1:], strict=False):
        for word, value in runs(text, tokens.hashes[low:high]):
            assert seen.setdefault(word, value) == value
    assert len(set(seen.values())) == len(seen)


def test_more_texts_than_are_looked_at_together():
    texts = [f"number {i} of many" for i in range(10_000)]
    tokens = tokenise(pa.array(texts))
    assert tokens.counts.tolist() == [4] * 10_000
    alone = tokenise(pa.array(texts[7_777:7_778]))
    assert tokens.hashes[4 * 7_777 : 4 * 7_778].tolist() == alone.hashes.tolist()
    assert len(np.unique(exact_keys(tokens))) == 10_000


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Who wrote “Emma”?", 'who wrote "emma"', True),
        ("CAFÉ au lait", "café au lait", True),
        ("ＡＢＣ", "abc", True),
        ("a + b", "a - b", False),
        ("what is 3.4", "what is 34", False),
        ("a b", "b a", False),
        ("a a b", "a b b", False),
        ("ab c", "a bc", False),
    ],
)
def test_exact_key(one, other, same):
    keys = exact_keys(tokenise(pa.array([one, other])))
    assert (keys[0] == keys[1]) == same


@pytest.mark.parametrize("ngram", [1, 2, 3, 5])
def test_ngrams_give_the_similarity_of_sets_of_words(ngram):
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(list("abcdefg"), rng.integers(0, 12))) for _ in range(300)]

    def plain(text):
        split = text.split()
        return {tuple(split[i : i + ngram]) for i in range(max(1, len(split) - ngram + 1))} if split else set()

    sets = distinct(shingles(tokenise(pa.array(texts)), ngram))
    assert np.diff(sets.starts).tolist() == [len(plain(text)) for text in texts]
    held = [set(sets.values[a:b].tolist()) for a, b in zip(sets.starts, sets.starts[1:], strict=False)]
    for one, other in rng.integers(0, 300, (500, 2)):
        assert len(held[one] & held[other]) == len(plain(texts[one]) & plain(texts[other]))


def test_bands_are_shared_as_often_as_similarity_says():
    rng = np.random.default_rng(1)
    texts = []
    for _ in range(3_000):
        split = [f"w{n}" for n in rng.integers(0, 10**6, 40)]
        other = [*split]
        for place in rng.choice(40, 10, replace=False):
            other[place] = f"v{rng.integers(0, 10**6)}"
        texts += [" ".join(split), " ".join(other)]
    found = bands(shingles(tokenise(pa.array(texts)), 1), 8, 2, seed=3)
    share = (found[:, ::2] == found[:, 1::2]).mean()
    similarity = 30 / 50
    assert share == pytest.approx(similarity**2, abs=0.02)
    assert (bands(shingles(tokenise(pa.array(texts)), 1), 8, 2, seed=3) == found).all()
    assert (bands(shingles(tokenise(pa.array(texts)), 1), 8, 2, seed=4) != found).mean() > 0.9


def test_a_text_without_words_has_no_band():
    assert bands(shingles(tokenise(pa.array(["?", "a b", None])), 2), 4, 2, seed=0)[:, [0, 2]].tolist() == [[0, 0]] * 4


def test_equal_passages_have_equal_hashes_wherever_they_stand():
    texts = ["p q r a b c d", "a b c", "x a b c", "a b", "c b a"]
    hashes, owners = windows(tokenise(pa.array(texts)), 3)
    assert owners.tolist() == [0] * 5 + [1] + [2] * 2 + [4]
    assert hashes[3] == hashes[5] == hashes[7]
    assert len(set(hashes.tolist())) == len(hashes) - 2


def test_rows_that_hold_a_passage_of_an_evaluation_row(tmp_path):
    long = " ".join(f"w{n}" for n in range(30))
    short = "name the capital of the old empire please"
    tiny = "name the capital"
    made = index(tokenise(pa.array([tiny, long, short])), Matching())
    write_index(tmp_path / "index", made)
    texts = [
        "intro " + " ".join(f"w{n}" for n in range(10, 23)) + " outro",
        "intro " + " ".join(f"w{n}" for n in range(10, 22)) + " outro",
        f"Please: {short.title()}!",
        " ".join(short.split()[:7]),
        f"now {tiny} of France",
        f"{short} {long}",
    ]
    for found in (made, open_index(tmp_path / "index", "k")):
        assert found.contained(tokenise(pa.array(texts))).tolist() == [1, -1, 2, -1, -1, 1]


def test_without_evaluation_rows_nothing_is_contained(tmp_path):
    made = index(tokenise(pa.array([], pa.string())), Matching())
    write_index(tmp_path / "index", made)
    assert open_index(tmp_path / "index", "e").contained(tokenise(pa.array(["a b c"]))).tolist() == [-1]
