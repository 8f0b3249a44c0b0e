"""A description agrees with counts in plain Python, whatever the parts; the page says nothing that is not escaped."""

import json
import random
import re
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from selfj.collection.chance import Lowest, tickets
from selfj.collection.describe import describe, length_edges
from selfj.collection.figures import short_count
from selfj.collection.finished import open_collection
from selfj.collection.renew import renew
from selfj.collection.tally import quantiles
from selfj.collection.verbs import root_verbs, top
from selfj.errors import ArtefactError, ConfigError

from .finished_folder import lost, make_finished, row

SCRIPT = "<script>alert(1)</script> & \u202eevil"


def rows(n=400, seed=0):
    chance = random.Random(seed)
    made = []
    for k in range(n):
        source = chance.choice(["a", "b", "c"])
        made.append(
            row(
                source,
                k,
                f"Write a poem about {'sea ' * chance.randint(1, 40)}and {k}" + (" [EMAIL]" if not k % 50 else ""),
                chance.choice(["common", "coding", "academic"]),
                "x" * chance.randint(1, 900) if chance.random() < 0.6 else None,
                language=chance.choice(["en", "en", "de", None]),
                category_by=chance.choice(["source", "classifier"]),
                copies=chance.randint(0, 2),
            )
        )
    return made


def gone(n=200, seed=1):
    chance = random.Random(seed)
    made = []
    for k in range(n):
        reason = chance.choice(["duplicate", "near_duplicate", "too_short", "contaminated", "personal_data"])
        of = (
            (chance.choice(["a", "b"]), k)
            if reason in ("duplicate", "near_duplicate", "contaminated")
            else (None, None)
        )
        made.append(lost(chance.choice(["a", "d"]), 1000 + k, reason, f"{reason} secret{k} {SCRIPT}", of, 0.9))
    return made


@pytest.fixture
def folder(tmp_path):
    return make_finished(
        tmp_path / "own", rows(), gone(), sources={"a": {"paper_rows": {"common": 9}, "licence": "mit"}}
    )


def test_counts_agree_with_plain_python(folder):
    kept, dropped = rows(), gone()
    found = describe(open_collection(folder), sample=0).numbers
    assert (found["read"], found["kept"], found["dropped"]) == (600, 400, 200)
    assert found["with_reference"] == sum(entry["reference"] is not None for entry in kept)
    for entry in found["categories"]:
        mine = [r for r in kept if r["category"] == entry["category"]]
        assert entry["rows"] == len(mine)
        assert entry["with_reference"] == sum(r["reference"] is not None for r in mine)
        assert entry["by_classifier"] == sum(r["category_by"] == "classifier" for r in mine)
    assert {entry["reason"]: entry["rows"] for entry in found["reasons"]} == Counter(r["reason"] for r in dropped)
    for source in found["sources"]:
        name = source["source"]
        assert source["kept"] == sum(r["source"] == name for r in kept)
        assert source["dropped"] == Counter(r["reason"] for r in dropped if r["source"] == name)
        assert source["read"] == source["kept"] + sum(source["dropped"].values())
    assert [s["source"] for s in found["sources"]] == list(dict.fromkeys(r["source"] for r in [*kept, *dropped]))
    pairs = Counter((r["source"], r["of_source"]) for r in dropped if "duplicate" in r["reason"])
    assert {(e["source"], e["of_source"]): e["rows"] for e in found["duplicates"]} == pairs
    assert {e["language"]: e["rows"] for e in found["languages"]} == Counter(r["language"] or "none" for r in kept)
    assert found["personal_data"]["rows"] == 8
    assert found["personal_data"]["marks"]["EMAIL"] == 8
    for kind in ("instruction", "reference"):
        for category, entry in found["lengths"][kind].items():
            texts = [r[kind] for r in kept if r["category"] == category and r[kind] is not None]
            lengths = sorted(map(len, texts))
            edges = found["lengths"]["edges"]
            clipped = np.clip(lengths, edges[0], edges[-1])
            assert entry["rows"] == np.histogram(clipped, edges)[0].tolist()
            assert entry["quantiles"]["0.5"] == lengths[(len(lengths) + 1) // 2 - 1]


def test_the_parts_change_nothing(tmp_path):
    found = []
    for name, sizes in (("x", (400,)), ("y", (1, 37, 90))):
        folder = make_finished(tmp_path / name / "own", rows(), gone(), sizes=sizes)
        described = describe(open_collection(folder), sample=50)
        found.append(({k: v for k, v in described.numbers.items() if k != "collection"}, described.samples))
    assert found[0] == found[1]
    assert found[0][0]["verbs"]["read"] == 50


def test_the_page_is_whole_escaped_and_needs_nothing_from_outside(folder):
    page = renew(folder, sample=100, command="selfj describe own")
    text = page.read_text()
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert "\u202e" not in text
    assert not re.search(r'(?:src|href)="(?!#)', text)
    assert "://" not in re.sub(r'xmlns="[^"]*"', "", text)
    # What was dropped as personal data is counted and not shown.
    assert "personal data" in text
    assert "personal_data secret" not in text
    assert "prefers-color-scheme: dark" in text
    assert text.count('<div class="narrow">') == text.count('<div class="wide">') == 6
    numbers = json.loads((page.parent / "report.json").read_text())
    assert numbers["kept"] == 400
    names = {path.name for path in page.parent.glob("*.png")}
    assert names == {f"{n}.png" for n in ("categories", "sources", "lengths", "verbs", "duplicates", "reasons")}
    before = {path.name: path.read_bytes() for path in page.parent.iterdir()}
    card = (folder / "README.md").read_bytes()
    renew(folder, sample=100, command="selfj describe own")
    assert {path.name: path.read_bytes() for path in page.parent.iterdir()} == before
    assert (folder / "README.md").read_bytes() == card


def test_nothing_dropped_and_no_reference(tmp_path):
    folder = make_finished(tmp_path / "own", [row("a", 0, "Hi?", None, language=None)])
    text = renew(folder, sample=10).read_text()
    assert "Why rows were dropped" not in text
    assert "paper" not in re.sub(r"<style>.*?</style>|var\(--paper[^)]*\)", "", text, flags=re.S)
    assert "not told" in text


def test_an_empty_collection_has_a_page(tmp_path):
    folder = make_finished(tmp_path / "own", [], [lost("a", 0, "too_short")])
    assert "0 instructions" in renew(folder).read_text()


def test_a_source_that_failed_is_told(tmp_path):
    folder = make_finished(tmp_path / "own", [row("a", 0, "Hi?")], faults={"a": "It is gone."})
    assert "The source a is not whole: It is gone." in renew(folder, sample=0).read_text()


def test_what_is_no_collection_is_refused(tmp_path, folder):
    with pytest.raises(ArtefactError, match="is no folder"):
        open_collection(tmp_path / "absent")
    with pytest.raises(ArtefactError, match="holds no collection"):
        open_collection(tmp_path)
    with pytest.raises(ConfigError, match="--sample must be at least 0"):
        renew(folder, sample=-1)
    part = folder / "parts" / "part-00000.parquet"
    content = part.read_bytes()
    part.write_bytes(content[:-20])
    with pytest.raises(ArtefactError, match="is no Parquet file"):
        open_collection(folder)
    part.unlink()
    with pytest.raises(ArtefactError, match="is absent"):
        open_collection(folder)
    (folder / "manifest.json").unlink()
    with pytest.raises(ArtefactError, match="is not finished"):
        open_collection(folder)


def test_rows_that_the_manifest_does_not_know_are_refused(tmp_path):
    folder = make_finished(tmp_path / "own", [row("a", 0, "Hi?"), row("a", 1, "Ho?")])
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace('"kept": 2', '"kept": 3', 1))
    with pytest.raises(ArtefactError, match="holds 2 rows and its manifest says 3"):
        renew(folder, sample=0)


def test_lowest_is_what_sorting_finds():
    chance = np.random.default_rng(0)
    numbers = chance.integers(0, 2**63, 5000).astype(np.uint64)
    held = Lowest(37)
    for piece in np.array_split(np.arange(5000), 60):
        held.add(numbers[piece], pa.table({"n": piece}))
    found, table = held.rows()
    assert found.tolist() == np.sort(numbers)[:37].tolist()
    assert table["n"].to_pylist() == np.argsort(numbers)[:37].tolist()
    assert Lowest(0).rows()[1] is None


def test_tickets_are_uniform_and_belong_to_the_row():
    sources, places = ["a"] * 20_000 + ["b"] * 20_000, [*range(20_000)] * 2
    found = tickets(pa.array(sources), pa.array(places), 0)
    assert len(set(found.tolist())) == 40_000
    bits = np.unpackbits(found.view(np.uint8)).reshape(40_000, 64).mean(axis=0)
    assert abs(bits - 0.5).max() < 0.015
    back = tickets(pa.chunked_array([sources[::-1]]), pa.chunked_array([places[::-1]]), 0)
    assert back.tolist() == found[::-1].tolist()
    assert not (tickets(pa.array(sources), pa.array(places), 1) == found).any()


def test_quantiles_are_those_of_the_rows():
    lengths = [3, 3, 5, 9, 9, 9, 12]
    assert quantiles(np.bincount(lengths, minlength=20), [0.05, 0.5, 0.95]) == [3, 9, 12]
    assert quantiles(np.zeros(5, np.int64), [0.5]) == [0]


def test_bins_are_distinct_and_rising():
    assert (np.diff(length_edges()) > 0).all()


@pytest.mark.parametrize(
    ("text", "verb", "noun"),
    [
        ("Write a short poem about the sea.", "write", "poem"),
        ("How do I sort a linked list of strings in Python?", "sort", "list"),
        ("Please explain the difference between TCP and UDP", "explain", "difference"),
        ("Can you give me some tips on losing weight?", "give", "tip"),
        ("Is it possible to use two monitors with a laptop?", "use", "monitor"),
        ("Who wrote the first novels?", "write", "novel"),
        ("What is the capital of France?", None, None),
        ("Where do lions live?", "live", None),
        ("", None, None),
        ("12 + 4", None, None),
    ],
)
def test_root_verbs(text, verb, noun):
    found = root_verbs([text])
    assert list(found.verbs) == ([verb] if verb else [])
    assert list(found.pairs) == ([(verb, noun)] if noun else [])


def test_the_most_frequent_verbs_and_nouns_come_first():
    texts = ["Write a poem."] * 3 + ["Write a story."] * 3 + ["Write a song."] + ["Find the book."] * 2
    found = top(root_verbs(texts), most=2, nouns=2)
    assert found == [("write", 7, [("poem", 3), ("story", 3)]), ("find", 2, [("book", 2)])]


def test_counts_in_few_signs():
    assert [short_count(n) for n in (0, 999, 1000, 834_728, 5_754_412)] == ["0", "999", "1.00k", "835k", "5.75M"]
    assert [short_count(n) for n in (9_999, 99_960, 999_600)] == ["10.0k", "100k", "1.00M"]
