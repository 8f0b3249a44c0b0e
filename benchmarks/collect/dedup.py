"""Removing duplicates alone, as a collection does it: keys, matching, keeping; without cleaning and categories.

`python -m benchmarks.collect.dedup FOLDER OUT WORKERS` reads `FOLDER/*.parquet` (text, id), writes what is kept,
and prints the seconds.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from selfj.collection import engine
from selfj.collection.keep import Keep, keep, write_decisions
from selfj.collection.match import Prepareds, match
from selfj.collection.prepare import TEXTS, Prepare, Prepared, keyed
from selfj.collection.quality import Quality
from selfj.collection.reading import PartSpec, SourceFile, parts_of, read
from selfj.collection.settings import Categories, Matching
from selfj.collection.sources import Source
from selfj.collection.work import read_columns, write_table
from selfj.files import file_digest
from selfj.progress import Quiet

ROWS_PER_PART = 25_000


def keys_alone(task: Prepare) -> Prepared:
    """A prepared part without cleaning and categories."""
    table = read(task.spec)
    table = table.append_column("language", pa.nulls(table.num_rows, pa.string()))
    table = table.append_column("masked", pa.nulls(table.num_rows, pa.int32()))
    table = table.append_column("category_by", pa.nulls(table.num_rows, pa.string()))
    write_table(task.path, keyed(table.select(TEXTS), task.matching), task.key)
    return Prepared(table.num_rows)


def specs_of(folder: Path) -> list[PartSpec]:
    specs = []
    for number, path in enumerate(sorted(folder.glob("*.parquet"))):
        source = Source(name=path.stem, path=str(path), instruction="text", category="common")
        file = SourceFile(path, path.name, file_digest(path), path.stat().st_size)
        specs += parts_of(source, [file], ROWS_PER_PART, number)
    return specs


def dedup(folder: Path, out: Path, workers: int) -> tuple[float, int]:
    """Seconds, and rows kept."""
    began = time.monotonic()
    specs, matching = specs_of(folder), Matching()
    runner = engine.start(engine.Runner(workers=workers))

    def run(work, tasks):
        return engine.run(work, tasks, runner, apart=False)

    paths = [out / "work" / f"part-{number:05d}.parquet" for number in range(len(specs))]
    tasks = [
        Prepare(spec, path, "keys", Quality(), matching, Categories()) for spec, path in zip(specs, paths, strict=True)
    ]
    counts = dict(run(keys_alone, tasks))
    prepareds = Prepareds(tuple(paths), tuple(counts[number].rows for number in range(len(paths))), 0)
    decisions = match(prepareds, matching, out / "match", run, Quiet())
    position = np.concatenate([read_columns(path, ["position"])["position"].to_numpy() for path in paths])
    source = np.repeat([spec.index for spec in specs], prepareds.rows)
    write_decisions(out / "match" / "decisions", decisions, position, source)
    names = tuple(dict.fromkeys(spec.source.name for spec in specs))
    keeps = [
        Keep(
            path,
            int(first),
            out / "parts" / path.name,
            out / "dropped" / path.name,
            "kept",
            out / "match/decisions",
            names,
        )
        for path, first in zip(paths, prepareds.offsets, strict=False)
    ]
    kept = sum(result.kept for _, result in run(keep, keeps))
    return time.monotonic() - began, kept


if __name__ == "__main__":
    seconds, kept_rows = dedup(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
    print(json.dumps({"seconds": seconds, "kept": kept_rows}))
