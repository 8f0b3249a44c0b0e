"""A collection from files to parts: every row accounted for, who is kept against brute force, resume, bad input."""

import itertools
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from benchmarks.collect.small import snapshot, tree_of, write_sources
from selfj.collection import make
from selfj.collection.make import collect
from selfj.collection.manifest import read_manifest
from selfj.collection.reading import parts_of
from selfj.collection.settings import Collection, dump_collection, load_collection
from selfj.errors import ArtefactError, ConfigError, InputError
from selfj.files import locked


@pytest.fixture
def made(tmp_path):
    write_sources(tmp_path)
    settings = Collection.model_validate(tree_of(tmp_path, keep_work=True))
    return settings, collect(settings, tmp_path / "out"), tmp_path / "out"


def rows_of(folder: Path) -> list[dict]:
    return [row for path in sorted(folder.glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


def bigrams(text: str) -> set[tuple[str, ...]]:
    split = text.lower().replace("?", "").replace(",", "").split()
    return set(itertools.pairwise(split)) or {tuple(split)}


def similarity(one: str, other: str) -> float:
    left, right = bigrams(one), bigrams(other)
    return len(left & right) / len(left | right)


def test_every_row_is_accounted_for(made):
    _, manifest, out = made
    kept, dropped = rows_of(out / "parts"), rows_of(out / "dropped")
    assert manifest.read == 601 == len(kept) + len(dropped)
    assert (manifest.kept, sum(manifest.dropped.values())) == (len(kept), len(dropped))
    places = {(row["source"], row["position"]) for row in [*kept, *dropped]}
    assert len(places) == 601
    for source in manifest.sources:
        assert source.read == source.kept + sum(source.dropped.values())
        reasons = [row["reason"] for row in dropped if row["source"] == source.name]
        assert source.dropped == {reason: reasons.count(reason) for reason in sorted(set(reasons))}
        assert source.kept == sum(row["source"] == source.name for row in kept) == sum(source.categories.values())
    assert {"contaminated", "duplicate", "near_duplicate", "empty_instruction", "too_short"} <= set(manifest.dropped)
    assert manifest.sources[2].dropped["bad_json"] == 1
    assert [row["position"] for row in kept if row["source"] == "s0"] == sorted(
        row["position"] for row in kept if row["source"] == "s0"
    )
    assert read_manifest(out) == manifest


def test_who_is_kept_agrees_with_brute_force(made):
    """The greedy walk over all pairs of rows, in plain Python."""
    _, _, out = made
    texts = {}
    for number in range(3):
        for position, line in enumerate((out.parent / f"s{number}.jsonl").read_text().splitlines()):
            try:
                row = json.loads(line)
            except json.JSONDecodeError:
                continue
            texts[f"s{number}", position] = row["question"].strip(), row["answer"] is not None
    dropped = {(row["source"], row["position"]): row for row in rows_of(out / "dropped")}
    kept = {(row["source"], row["position"]): row for row in rows_of(out / "parts")}
    exam = [json.loads(line)["question"] for line in (out.parent / "eval.jsonl").read_text().splitlines()]
    matched = [place for place in texts if place in kept or "dup" in dropped[place]["reason"]]
    ordered = sorted(matched, key=lambda place: (not texts[place][1], place))
    winners: list[tuple[str, int]] = []
    for place in ordered:
        text = texts[place][0]
        near = [other for other in winners if similarity(text, texts[other][0]) >= 0.8]
        assert (place in kept) == (not near), (place, text)
        if near:
            row = dropped[place]
            assert (row["of_source"], row["of_position"]) in near
            of = texts[row["of_source"], row["of_position"]][0]
            assert row["similarity"] == pytest.approx(similarity(text, of))
            assert row["reason"] == "duplicate" if row["similarity"] == 1 and bigrams(text) == bigrams(of) else True
        else:
            winners.append(place)
        assert not any(question.lower() in text.lower() for question in exam)
    for place, row in dropped.items():
        if row["reason"] == "contaminated":
            assert row["of_source"] == "exam"
            text, question = texts[place][0].lower(), exam[row["of_position"]].lower()
            assert question in text
            assert row["similarity"] == (1 if text == question else None)
    copies = [row for row in dropped.values() if "dup" in row["reason"]]
    for place, row in kept.items():
        mine = [copy for copy in copies if (copy["of_source"], copy["of_position"]) == place]
        assert row["copies"] == len(mine)
        assert row["copy_sources"] == sorted({copy["source"] for copy in mine})


def test_workers_part_size_and_a_second_run_change_nothing(made, tmp_path, monkeypatch):
    monkeypatch.setattr(make, "PROCESSES_FROM", 0)
    settings, manifest, out = made
    before = snapshot(out)
    stamp = (out / "manifest.json").stat().st_mtime_ns
    assert collect(settings, out) == manifest
    assert (out / "manifest.json").stat().st_mtime_ns == stamp
    other = settings.model_copy(update={"workers": 2, "keep_work": False})
    again = collect(other, tmp_path / "again")
    assert again.digest == manifest.digest
    assert not (tmp_path / "again" / "work").exists()
    after = snapshot(tmp_path / "again")
    assert {k: v for k, v in after.items() if "toml" not in k} == {k: v for k, v in before.items() if "toml" not in k}
    larger = collect(settings.model_copy(update={"rows_per_part": 1_000}), tmp_path / "larger")
    assert (larger.kept, larger.dropped, len(larger.parts)) == (manifest.kept, manifest.dropped, 3)
    strip = [dict(row.items()) for row in rows_of(tmp_path / "larger" / "parts")]
    assert strip == rows_of(out / "parts")


def test_a_damaged_or_absent_file_is_made_again(made):
    settings, manifest, out = made
    before = snapshot(out)
    (out / "parts" / "part-00001.parquet").write_bytes(b"damaged")
    (out / "dropped" / "part-00000.parquet").unlink()
    (out / "work" / "prepared" / "part-00002.parquet").unlink()
    assert collect(settings, out).digest == manifest.digest
    assert snapshot(out) == before


def test_other_settings_make_other_parts(made):
    settings, manifest, out = made
    update = {"matching": settings.matching.model_copy(update={"near": False}), "rows_per_part": 300}
    changed = collect(settings.model_copy(update=update), out)
    assert "near_duplicate" not in changed.dropped
    assert changed.kept > manifest.kept
    assert len(list((out / "parts").iterdir())) == len(changed.parts) < len(manifest.parts)


def test_a_source_that_faults_is_told_and_the_rest_goes_on(tmp_path):
    write_sources(tmp_path)
    settings = Collection.model_validate(tree_of(tmp_path))
    whole = collect(settings, tmp_path / "whole")
    (tmp_path / "s1.jsonl").rename(tmp_path / "away")
    manifest = collect(settings, tmp_path / "out")
    assert list(manifest.faults) == ["s1"]
    assert [source.read for source in manifest.sources] == [whole.sources[0].read, 0, whole.sources[2].read]
    (tmp_path / "away").rename(tmp_path / "s1.jsonl")
    assert collect(settings, tmp_path / "out").digest == whole.digest
    for name in ("s0", "s1", "s2"):
        (tmp_path / f"{name}.jsonl").unlink()
    with pytest.raises(ArtefactError, match=r"There is nothing to collect.*s0: "):
        collect(settings, tmp_path / "none")


def test_sources_without_a_row_are_told(tmp_path):
    (tmp_path / "s.jsonl").write_text("")
    entry = {"name": "s", "path": str(tmp_path / "s.jsonl"), "instruction": "question"}
    with pytest.raises(ArtefactError, match=r"nothing to collect from 1 sources. None of them has a row"):
        collect(Collection.model_validate({"sources": [entry]}), tmp_path / "out")


def test_an_evaluation_set_that_faults_ends_the_work(tmp_path):
    write_sources(tmp_path)
    (tmp_path / "eval.jsonl").unlink()
    with pytest.raises(ArtefactError, match=r"evaluation set cannot be used.*exam"):
        collect(Collection.model_validate(tree_of(tmp_path)), tmp_path / "out")
    assert not (tmp_path / "out" / "parts").exists()


def test_two_at_once(tmp_path):
    write_sources(tmp_path)
    with locked(tmp_path / "out"), pytest.raises(ArtefactError, match="Another selfj process"):
        collect(Collection.model_validate(tree_of(tmp_path)), tmp_path / "out")


def test_one_row_copied_many_times_is_kept_once(tmp_path):
    lines = [json.dumps({"question": "Say the same thing, over and over!", "answer": None})] * 5_000
    (tmp_path / "s0.jsonl").write_text("\n".join(lines))
    tree = tree_of(tmp_path)
    tree |= {"sources": tree["sources"][:1], "evaluation": [], "rows_per_part": 1_000}
    manifest = collect(Collection.model_validate(tree), tmp_path / "out")
    assert (manifest.kept, manifest.dropped) == (1, {"duplicate": 4_999})
    (row,) = rows_of(tmp_path / "out" / "parts")
    assert (row["copies"], row["copy_sources"], row["position"]) == (4_999, ["s0"], 0)


def test_numbers_may_tell_rows_apart(tmp_path):
    start = "A farmer who lives in a small village near the sea has"
    end = "apples and gives half of them to the neighbours, so how many are left for the farmer at the end of the day"
    texts = [f"{start} {n} {end}" for n in ("12", "13", "twelve", "12,")]
    texts += [f"{start} 12 {end} then", "Count to 3.5 now"]
    (tmp_path / "s0.jsonl").write_text("\n".join(json.dumps({"question": text}) for text in texts))
    (tmp_path / "eval.jsonl").write_text(json.dumps({"question": texts[0].replace("12", "14")}))
    tree = tree_of(tmp_path)
    sources = [{**tree["sources"][0], "reference": None, "reference_kind": None}]
    tree |= {"sources": sources, "evaluation": []}
    off = collect(Collection.model_validate(tree), tmp_path / "off")
    assert (off.kept, off.dropped) == (2, {"duplicate": 1, "near_duplicate": 3})
    matching = {"same_numbers": True}
    on = collect(Collection.model_validate({**tree, "matching": matching}), tmp_path / "on")
    assert (on.kept, on.dropped) == (4, {"duplicate": 1, "near_duplicate": 1})
    matching |= {"passage": 40, "short": 40}
    tree |= {"matching": matching, "evaluation": tree_of(tmp_path)["evaluation"]}
    assert collect(Collection.model_validate(tree), tmp_path / "exam").dropped == {"contaminated": 5}


def test_a_file_that_changes_under_ones_hands_is_a_fault(tmp_path, monkeypatch):
    write_sources(tmp_path)

    def cut(source, files, rows, index):
        specs = parts_of(source, files, rows, index)
        if source.name == "s1":
            files[0].path.write_text(files[0].path.read_text() + "\n")
        return specs

    monkeypatch.setattr(make, "parts_of", cut)
    manifest = collect(Collection.model_validate(tree_of(tmp_path)), tmp_path / "out")
    assert "bytes" in manifest.faults["s1"]
    assert [source.read > 0 for source in manifest.sources] == [True, False, True]
    assert manifest.read == manifest.kept + sum(manifest.dropped.values())


def test_settings_are_read_back_as_they_were_written(tmp_path):
    tree = tree_of(tmp_path, cache="shared")
    settings = Collection.model_validate(tree)
    path = tmp_path / "collection.toml"
    path.write_text(dump_collection(settings))
    assert load_collection(path) == load_collection(tmp_path) == settings
    assert load_collection(path, ["matching.threshold=0.9"], exclude=["s1"]).matching.threshold == 0.9
    assert [source.name for source in load_collection(path, only=["s1"]).sources] == ["s1"]
    path.write_text(dump_collection(settings).replace('name = "exam"', 'name = "s0"'))
    with pytest.raises(ConfigError, match="two sources or evaluation sets are named 's0'"):
        load_collection(path)
    with pytest.raises(ConfigError, match=r"matching.treshold is not a setting; did you mean threshold"):
        load_collection("self-j", ["matching.treshold=1"])


def test_input_error_of_a_bad_file_is_a_fault(tmp_path):
    write_sources(tmp_path)
    (tmp_path / "s1.jsonl").write_bytes(b"PAR1 not parquet at all")
    manifest = collect(Collection.model_validate(tree_of(tmp_path)), tmp_path / "out")
    assert "s1" in manifest.faults
    assert not issubclass(InputError, ConfigError)
