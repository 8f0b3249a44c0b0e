"""A collection whose process is killed, again and again, comes to the same bytes."""

import random

from benchmarks.collect.small import killed, snapshot, tree_of, whole, write_sources
from selfj.collection.settings import Collection, dump_collection


def files(out):
    return sum(path.is_file() for path in out.rglob("*"))


def test_a_killed_collection_goes_on_to_the_same_bytes(tmp_path):
    write_sources(tmp_path, rows=300)
    settings = tmp_path / "collection.toml"
    made = Collection.model_validate(tree_of(tmp_path, workers=2, rows_per_part=50, keep_work=True))
    settings.write_text(dump_collection(made))
    wanted = whole(settings, tmp_path / "undisturbed")
    total = files(tmp_path / "undisturbed")
    rng, out, hits = random.Random(0), tmp_path / "out", 0
    for number in range(4):
        share, wait = (number + rng.random()) / 4, rng.random() * 0.2
        reached: list[float] = []

        def now(seconds, share=share, wait=wait, reached=reached):
            if not reached and files(out) >= share * total:
                reached.append(seconds + wait)
            return bool(reached) and seconds >= reached[0]

        hits += killed(settings, out, now, group=number % 2 == 0)
    assert hits >= 3
    assert whole(settings, out) == wanted
    assert snapshot(out) == snapshot(tmp_path / "undisturbed")
    assert not list(out.rglob("*.partial"))
