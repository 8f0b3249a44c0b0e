"""The judge that ships: what it was trained from, and that it is what its card says."""

import json
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import selfj
from selfj.errors import ConfigError
from selfj.general.damage import DAMAGE, REFUSALS, wrong_number
from selfj.general.draw import Pool, answer_kind, complete, draw_examples, seen_reference
from selfj.general.dressing import answer_sentence, dressed_long, same_answer
from selfj.general.pool import SOURCES, Entry, held_out, licence_allows, read_pool

MODEL = Path(selfj.__file__).parent / "general" / "model"
LONG = "Water boils at 100 degrees. It then turns into steam, which rises. On a mountain it boils earlier than at sea."


def pool_file(folder, **changes):
    base = {
        "source": "dolly",
        "instruction": "Why?",
        "reference": "Because.",
        "ref_kind": "human",
        "category": None,
        "licence": "CC BY-SA 3.0 (dolly-15k)",
        "in_eval": "",
    }
    rows = [{**base, **change} for change in changes.get("rows", [{}])]
    pq.write_table(pa.Table.from_pylist(rows), folder / "instruction_pool.parquet")
    return folder


def entries():
    asked = [
        ("who wrote Hamlet", "William Shakespeare"),
        ("who wrote Faust", "Johann Goethe"),
        ("who wrote Emma", "Jane Austen"),
    ]
    asked += [(f"how many legs have {n} spiders", str(8 * n)) for n in range(2, 9)]
    short = [Entry(f"s{n}", "nq_open", q, a, True, False) for n, (q, a) in enumerate(asked)]
    long = [
        Entry(f"l{n}", "dolly", f"Explain fact {n} of the weather", f"{LONG} Fact {n}.", False, False) for n in range(8)
    ]
    return short + long + [Entry("c", "tldr", "List files", "ls -la", False, True)]


def test_only_rows_whose_licence_allows_it_are_read(tmp_path):
    rows = [
        {"instruction": "a"},
        {"instruction": "b", "source": "alpaca", "licence": "CC BY-NC 4.0"},
        {"instruction": "c", "in_eval": "mtbench_gpt4_single"},
        {"instruction": "d", "source": "conala", "licence": "none stated in repo (CoNaLa: CC BY-SA 4.0)"},
        {"instruction": "a", "reference": "Again."},
        {"instruction": "e", "reference": " "},
    ]
    found = read_pool(pool_file(tmp_path, rows=rows))
    assert [(entry.source, entry.instruction) for entry in found] == [("dolly", "a")]
    with pytest.raises(ConfigError, match="SELFJ_DATA"):
        read_pool(tmp_path / "nothing")


@pytest.mark.parametrize(
    "licence", ["CC BY-NC 4.0", "none stated", "GPL-3.0 (repo); WikiDoc CC BY-SA 3.0", "MIT (repo); text of the sites"]
)
def test_licences_that_do_not_allow_it(licence):
    assert not licence_allows(licence)
    assert all(map(licence_allows, SOURCES.values()))


def test_one_of_ten_is_held_out_whatever_its_source():
    made = [Entry("", source, f"instruction {n}", "", False, False) for n in range(1000) for source in ("a", "b")]
    kept = [held_out(entry) for entry in made]
    assert kept[::2] == kept[1::2]
    assert 70 < sum(kept[::2]) < 130


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_graded_below_what_is_complete(kind):
    other = "A dog is an animal. It barks at strangers. Some dogs are kept on farms."
    for seed in range(20):
        made = DAMAGE[kind](LONG, other, random.Random(seed))
        assert made is not None
        assert made[0] != LONG
        assert 0 <= made[1] <= 6
        assert DAMAGE[kind](LONG, other, random.Random(seed)) == made


def test_what_cannot_be_broken_is_said():
    assert DAMAGE["cut"]("Paris", "", random.Random(0)) is None
    assert DAMAGE["garbled"]("Paris", "", random.Random(0)) is None
    assert DAMAGE["wrong_numbers"]("Paris", "", random.Random(0)) is None


def test_a_wrong_number_is_another_number():
    for number in ("0", "1", "7", "99", "100", "1984", "3.14"):
        for seed in range(30):
            found = wrong_number(number, random.Random(seed))
            assert float(found) != float(number)
            assert float(found) >= 0


def test_what_was_cut_is_worth_more_the_more_is_kept():
    made = sorted(DAMAGE["cut"](LONG, "", random.Random(seed))[::-1] for seed in range(30))
    assert len(made[0][1]) < len(made[-1][1])
    assert all(LONG.startswith(text) for _, text in made)


def test_dressing_keeps_what_is_said():
    for seed in range(60):
        draw = random.Random(seed)
        assert "Shakespeare" in answer_sentence("who wrote Hamlet?", "Shakespeare", draw)
        assert "boils at 100 degrees" in dressed_long(LONG, draw)
        assert same_answer("William Shakespeare", draw).endswith("Shakespeare")


def test_examples_are_seeded_graded_and_never_break_a_right_answer():
    made = draw_examples(entries(), 600, 1, 100)
    assert made == draw_examples(entries(), 600, 1, 100)
    assert made != draw_examples(entries(), 600, 2, 100)
    assert len({example.id for example in made}) == 600
    right = {entry.instruction: entry.reference for entry in entries() if entry.short}
    for example in made:
        assert 0 <= example.quality <= 9
        assert example.student.reference is None
        assert example.teacher.reference is not None
        answer = right.get(example.teacher.instruction)
        if answer and "who" in example.teacher.instruction and example.quality < 1:
            assert answer.lower() not in example.teacher.response.lower() or example.teacher.response == answer
    same = [e.teacher.reference == e.teacher.response for e in made if e.quality == 9]
    assert 0 < sum(same) / len(same) < 0.5


def test_others_are_others():
    pool, draw = Pool(entries()), random.Random(0)
    for entry in entries():
        for find in (pool.other, pool.near, pool.strange):
            assert find(entry, draw).reference != entry.reference
        assert pool.strange(entry, draw).source != entry.source
        if entry.short:
            assert answer_kind(pool.same_kind(entry, draw)) == answer_kind(entry)
        assert complete(entry, draw)
        assert seen_reference(entry, draw)


def test_what_ships_is_small_whole_and_honest():
    files = {path.name: path.stat().st_size for path in MODEL.iterdir()}
    assert set(files) == {
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
        "head.safetensors",
        "judge.json",
    }
    assert sum(files.values()) <= 3 * 2**20
    about = json.loads((MODEL / "judge.json").read_text())
    card = (MODEL / "README.md").read_text()
    assert about["digest"] in card
    assert "does not know what is true" in card
    assert about["digest"] == selfj.load_judge("general").digest
    listed = {line.split(" | ")[0].removeprefix("| ") for line in card.splitlines() if line.startswith("| ")}
    assert listed - {"source"} <= set(SOURCES)


def test_the_digest_is_that_of_the_weights():
    loop = pytest.importorskip("selfj.tune.loop")
    from safetensors.torch import load_file

    weights = load_file(MODEL / "adapter_model.safetensors") | load_file(MODEL / "head.safetensors")
    assert loop.weights_digest(weights.items()) == json.loads((MODEL / "judge.json").read_text())["digest"]


def test_refusals_are_many():
    assert len(set(REFUSALS)) == len(REFUSALS) >= 15
