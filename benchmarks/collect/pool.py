"""The real pool as a collection of 43 sources: `SELFJ_DATA=FOLDER python -m benchmarks.collect.pool [--keep FOLDER]`.

Every source of the pool becomes a file and an entry; instructions of AlpacaEval, FLASK and the labelled sets are the
evaluation sets. Printed are what was kept, and why the rest was not; `--keep` leaves the collection with its page.
"""

import argparse
import json
import shutil
import tempfile
import time
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import tomli_w

from benchmarks.collect.data import POOL, data_folder
from benchmarks.result import Figure, print_results
from selfj.collection.make import collect
from selfj.collection.renew import renew
from selfj.collection.settings import load_collection
from selfj.terminal import Bars

EVALUATION = ("alpacaeval_references", "flask_outputs", "labels_pointwise", "labels_pairwise")
CATEGORIES = ("common", "coding", "academic")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.collect.pool", description=__doc__)
    parser.add_argument("--keep", type=Path, help="folder for everything that is made, instead of one that is removed")
    arguments = parser.parse_args()
    data = data_folder()
    folder = arguments.keep or Path(tempfile.mkdtemp(prefix="selfj-pool-"))
    try:
        print_results("collect_pool", collected(data, folder))
    finally:
        if arguments.keep is None:
            shutil.rmtree(folder, ignore_errors=True)


def collected(data: Path, folder: Path) -> list[Figure]:
    """Collect the pool, and say what became of its rows."""
    settings = write_entries(data, folder)
    bars = Bars()
    began = time.monotonic()
    try:
        made = collect(load_collection(settings), folder / "collection", bars)
    finally:
        bars.close()
    seconds = time.monotonic() - began
    renew(folder / "collection")
    read = sum(source.read for source in made.sources)
    reasons: Counter[str] = Counter()
    for source in made.sources:
        reasons.update(source.dropped)
    assert read == made.kept + sum(reasons.values())
    kept = pq.read_table(folder / "collection" / "parts", columns=["category", "category_by", "reference"])
    counts = Counter(kept.column("category").to_pylist())
    for source in made.sources:
        print(f"{source.name:<32} {source.read:>7,} read  {json.dumps(source.dropped)}")
    return [
        Figure("pool_rows", read),
        Figure("pool_kept", made.kept),
        *(Figure(f"pool_dropped_{reason}", n) for reason, n in sorted(reasons.items())),
        *(Figure(f"pool_{category}", counts[category]) for category in CATEGORIES),
        Figure("pool_by_classifier", pc.sum(pc.equal(kept.column("category_by"), "classifier")).as_py()),
        Figure("pool_with_reference", len(kept) - kept.column("reference").null_count),
        Figure("pool_seconds", seconds, "s"),
    ]


def write_entries(data: Path, folder: Path) -> Path:
    """One file for each source, and the settings that name them; gives the path of the settings."""
    table = pq.read_table(data / POOL)
    columns = {"instruction": "instruction", "reference": "reference"}
    rows = folder / "rows"
    rows.mkdir(parents=True, exist_ok=True)
    sources = []
    for name in pc.unique(table.column("source")).to_pylist():
        part = table.filter(pc.equal(table.column("source"), name))
        path = rows / f"{name}.parquet"
        pq.write_table(part, path)
        stated = part.column("category")[0].as_py()
        licence = Counter(part.column("licence").to_pylist()).most_common(1)[0][0]
        kind = "generated" if part.column("ref_kind")[0].as_py().startswith("model:") else "gold"
        entry = {"name": name.replace("_", "-"), "path": str(path), "licence": licence, "reference_kind": kind}
        sources.append({**entry, **columns, **({"category": stated} if stated else {})})
    evaluation = []
    for name in EVALUATION:
        asked = pc.unique(pq.read_table(data / f"{name}.parquet", columns=["instruction"]).column(0))
        path = rows / f"{name}.asked.parquet"
        pq.write_table(pa.table({"instruction": asked}), path)
        evaluation.append({"name": name.replace("_", "-"), "path": str(path), "instruction": "instruction"})
    settings = folder / "collection.toml"
    settings.write_text(tomli_w.dumps({"sources": sources, "evaluation": evaluation}), encoding="utf-8")
    return settings


if __name__ == "__main__":
    main()
