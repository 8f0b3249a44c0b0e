"""Quotas are exact, draws belong to the seed and not to the parts, and rows far apart cover more than random ones."""

import itertools
import json
import random
from collections import Counter

import numpy as np
import pyarrow.parquet as pq
import pytest

from selfj.collection import diverse
from selfj.collection.finished import open_collection
from selfj.collection.quotas import level, proportional, share_out
from selfj.collection.select import Selection, select
from selfj.errors import ArtefactError, ConfigError
from selfj.files import file_digest
from selfj.progress import Quiet

from .finished_folder import make_finished, row

CELLS = {("common", "a"): 300, ("common", "b"): 100, ("coding", "b"): 40, ("academic", "c"): 7}


class Words:
    """An encoder: each word has a direction of its own."""

    name = "words"

    def __init__(self):
        self.seen = 0

    def embed(self, texts):
        self.seen += len(texts)
        made = np.zeros((len(texts), 64), np.float32)
        for place, text in enumerate(texts):
            for word in text.split():
                made[place] += np.random.default_rng(abs(hash_of(word))).standard_normal(64)
        return made / np.linalg.norm(made, axis=1, keepdims=True)


def hash_of(word):
    return int.from_bytes(word.encode()[:7], "big")


def kept(cells=None):
    chance = random.Random(3)
    made = []
    for (category, source), n in (cells or CELLS).items():
        for k in range(n):
            # Most rows are alike; a few are far from all others.
            words = " ".join(chance.choice(["red", "blue"]) for _ in range(3)) if k % 20 else f"odd{k} strange{k}"
            place = k + 10_000 * ["common", "coding", "academic"].index(category)
            made.append(row(source, place, f"{words} {category}", category, "yes" if k % 2 else None))
    chance.shuffle(made)
    return made


@pytest.fixture
def collection(tmp_path):
    return open_collection(make_finished(tmp_path / "own", kept(), sizes=(100, 47)))


def chosen(made):
    table = pq.read_table(made.path)
    return Counter(zip(table["category"].to_pylist(), table["group"].to_pylist(), strict=True))


@pytest.mark.parametrize("by", ["proportional", "category", "source"])
@pytest.mark.parametrize("n", [1, 20, 120, 447])
def test_quotas_are_met_to_the_row(collection, tmp_path, by, n):
    made = select(collection, Selection(n, by), tmp_path / "x.parquet")
    assert made.rows == n
    assert chosen(made) == +Counter(made.taken)
    assert +Counter(made.taken) == +Counter(share_out(CELLS, n, by).cells)
    table = pq.read_table(made.path)
    assert len(set(zip(table["group"].to_pylist(), table["position"].to_pylist(), strict=True))) == n


def test_even_shares_and_what_cannot_be_had():
    found = share_out(CELLS, 120, "category")
    groups = Counter()
    for (category, _), n in found.cells.items():
        groups[category] += n
    assert groups == {"common": 73, "coding": 40, "academic": 7}
    assert found.cells["common", "a"] == round(73 * 0.75)
    assert found.told == ("academic: an even share is 40 rows and 7 are there; the others take the rest.",)
    stated = share_out(CELLS, 120, "category", {"coding": 50})
    assert sum(stated.cells.values()) == 120
    assert stated.cells["coding", "b"] == 40
    assert stated.told[0] == "coding: 50 rows were stated and 40 are there; the others take the rest."
    all_of_it = share_out(CELLS, 1000, "source")
    assert all_of_it.cells == CELLS
    assert all_of_it.told[-1] == "1,000 rows were asked for and 447 are there that fit: all are taken."


def test_shares_agree_with_brute_force():
    chance = random.Random(0)
    for _ in range(200):
        rows = {name: chance.randint(0, 30) for name in "abcde"[: chance.randint(1, 5)]}
        n = chance.randint(0, sum(rows.values()))
        even = level(rows, n)
        assert sum(even.values()) == n
        # Water: who has less than another by more than one gave all that it had.
        for one, other in itertools.permutations(rows, 2):
            assert even[one] <= rows[one]
            assert even[one] >= even[other] - 1 or even[one] == rows[one]
        cells = {("x", name): size for name, size in rows.items()}
        part = proportional(cells, n)
        assert sum(part.values()) == n
        total = sum(rows.values())
        for cell, size in cells.items():
            assert part[cell] <= size
            assert not total or abs(part[cell] - size * n / total) < 1


@pytest.mark.parametrize("spread", [False, True])
def test_the_same_seed_gives_the_same_bytes_whatever_the_parts(tmp_path, spread):
    found = []
    for name, sizes in (("x", (1000,)), ("y", (3, 200, 11))):
        folder = make_finished(tmp_path / name / "own", kept(), sizes=sizes)
        made = select(
            open_collection(folder), Selection(60, diverse=spread), tmp_path / name / "s.parquet", embedder=Words
        )
        about = json.loads(made.about.read_text())
        assert about["collection"].pop("digest")
        found.append((made.path.read_bytes(), about))
    assert found[0] == found[1]
    again = select(
        open_collection(folder), Selection(60, diverse=spread, seed=1), tmp_path / "z.parquet", embedder=Words
    )
    assert again.path.read_bytes() != found[0][0]


def test_the_file_beside_it_says_what_was_taken(collection, tmp_path):
    made = select(collection, Selection(50, "category", {"coding": 10}, with_reference=True), tmp_path / "x.parquet")
    about = json.loads(made.about.read_text())
    assert about["sha256"] == file_digest(made.path)
    assert {(e["category"], e["source"]): e["rows"] for e in about["taken"]} == made.taken
    assert about["selection"]["quotas"] == {"coding": 10}
    table = pq.read_table(made.path)
    assert table.column_names == ["instruction", "reference", "category", "group", "id", "position"]
    assert set(table["reference"].to_pylist()) == {"yes"}
    assert chosen(made)["coding", "b"] == 10


def test_rows_far_apart_cover_more_than_random_ones(collection, tmp_path):
    encoder = Words()
    everything = encoder.embed([r["instruction"] for r in kept() if r["category"] == "common"])
    reach = {}
    for name, spread in (("random", False), ("diverse", True)):
        wanted = Selection(40, diverse=spread, candidates=100)
        made = select(collection, wanted, tmp_path / f"{name}.parquet", embedder=lambda: encoder)
        table = pq.read_table(made.path).to_pylist()
        vectors = encoder.embed([r["instruction"] for r in table if r["category"] == "common"])
        assert len(vectors) == made.taken["common", "a"] + made.taken["common", "b"]
        reach[name] = 1 - diverse.closest(everything, vectors).min()
    assert reach["diverse"] < 0.8 * reach["random"]


def test_k_centre_follows_the_greedy_rule_and_its_bound():
    chance = np.random.default_rng(0)
    vectors = chance.standard_normal((60, 5)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    found = diverse.k_centre(vectors, 4)
    assert found[0] == 0
    for number in range(1, 4):
        nearest = (vectors @ vectors[found[:number]].T).max(axis=1)
        assert nearest[found[number]] == nearest.min()
    distance = np.sqrt(np.maximum(0, 2 - 2 * vectors @ vectors.T))
    best = min(distance[:, list(c)].min(axis=1).max() for c in itertools.combinations(range(20), 4))
    reached = distance[:20][:, diverse.k_centre(vectors[:20], 4)].min(axis=1).max()
    assert reached <= 2 * best + 1e-6
    assert len(set(diverse.k_centre(np.ones((5, 3), np.float32), 5).tolist())) == 5
    assert diverse.radius(vectors, found) == pytest.approx(float(1 - (vectors @ vectors[found].T).max(axis=1).min()))
    beside = diverse.k_centre(vectors, 1, chosen=vectors[:1])
    assert beside[0] == np.argmin(vectors @ vectors[0])
    with pytest.raises(ArtefactError, match="cannot be chosen"):
        diverse.k_centre(vectors, 61)


def test_embeddings_are_kept_and_taken_up_again(tmp_path, monkeypatch):
    monkeypatch.setattr(diverse, "CHUNK", 10)
    texts = [f"word{k}" for k in range(35)]
    first = Words()
    whole = diverse.embed(texts, first, tmp_path / "kept", Quiet())
    assert first.seen == 35
    next(iter((tmp_path / "kept").iterdir())).write_bytes(b"damaged")
    second = Words()
    assert (diverse.embed(texts, second, tmp_path / "kept", Quiet()) == whole).all()
    assert second.seen in (5, 10)


def test_embeddings_go_when_the_selection_is_there(collection, tmp_path):
    select(collection, Selection(10, diverse=True), tmp_path / "x.parquet", embedder=Words)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["own", "x.json", "x.parquet"]


@pytest.mark.parametrize(
    ("wanted", "out", "said"),
    [
        (Selection(0), "x.parquet", "--n must be at least 1"),
        (Selection(5, "colour"), "x.parquet", "--by is 'colour'"),
        (Selection(5), "x.jsonl", "--out takes a Parquet file"),
        (Selection(5, "category", {"poems": 2}), "x.parquet", "Known: academic, coding, common"),
        (Selection(5, "category", {"coding": 9}), "x.parquet", "more than the 5 of --n"),
        (Selection(5, quotas={"coding": 2}), "x.parquet", "--quota needs --by"),
        (Selection(5, diverse=True), "x.parquet", "needs an embedder"),
        (Selection(5, candidates=0), "x.parquet", "--candidates must be at least 1"),
    ],
)
def test_what_cannot_be_is_refused(collection, tmp_path, wanted, out, said):
    with pytest.raises(ConfigError, match=said):
        select(collection, wanted, tmp_path / out)
    assert not (tmp_path / out).exists()


def test_nothing_that_fits_is_refused(tmp_path):
    collection = open_collection(make_finished(tmp_path / "own", [row("a", 0, "Hi?")]))
    with pytest.raises(ConfigError, match="no row that fits"):
        select(collection, Selection(5, with_reference=True), tmp_path / "x.parquet")


def test_rows_without_a_category_stay_without(tmp_path):
    collection = open_collection(make_finished(tmp_path / "own", [row("a", 0, "Hi?", None)]))
    made = select(collection, Selection(1), tmp_path / "x.parquet")
    assert pq.read_table(made.path)["category"].to_pylist() == [None]
