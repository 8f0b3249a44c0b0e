"""`python -m benchmarks.collection_reading [--quick]`: rows of a source read per second, on one thread.

The peer is the reader of one user file, which is Python row by row. Times are processor times.
"""

import argparse
import csv
import json
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.result import Figure, print_results
from selfj.collect.files import read_rows
from selfj.collection.reading import SourceFile, parts_of, read
from selfj.collection.sources import parse
from selfj.settings import FileSource

PLAIN = {"instruction": "question", "reference": "answer", "reference_kind": "gold"}
NESTED = {"instruction": "turns.text[0]", "reference": {"choices": ["question", "answer"], "answer": "pick"}}
CASES = {
    "parquet": ("rows.parquet", PLAIN, ">= 500000"),
    "parquet_template_filter": (
        "rows.parquet",
        {"instruction": "{question}\n\n{answer}", "where": [{"column": "score", "least": 3}]},
        "",
    ),
    "parquet_nested_choices": ("rows.parquet", NESTED | {"reference_kind": "gold"}, ""),
    "jsonl": ("rows.jsonl", PLAIN, ">= 150000"),
    "jsonl_one_bad_in_1000": ("bad.jsonl", PLAIN, ""),
    "csv": ("rows.csv", PLAIN, ""),
}


def write(folder: Path, size: int) -> None:
    words = ["what", "is", "the", "best", "way", "to", "read", "many", "rows", "é"]
    texts = [" ".join(words[(n * k) % 10] for k in range(1, 12)) for n in range(1000)]
    rows = [
        {
            "question": f"{texts[n % 1000]} {n}",
            "answer": texts[(7 * n) % 1000] * 3,
            "score": n % 10,
            "pick": n % 2,
            "turns": {"text": [f"turn {n}"]},
        }
        for n in range(size)
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "rows.parquet", row_group_size=10_000)
    plain = [{name: row[name] for name in ("question", "answer", "score")} for row in rows]
    lines = [json.dumps(row) + "\n" for row in plain]
    (folder / "rows.jsonl").write_text("".join(lines))
    lines[::1000] = ["{bad\n"] * len(lines[::1000])
    (folder / "bad.jsonl").write_text("".join(lines))
    with (folder / "rows.csv").open("w", newline="") as handle:
        writer = csv.DictWriter(handle, list(plain[0]))
        writer.writeheader()
        writer.writerows(plain)


def ours(path: Path, entry: dict) -> tuple[float, int]:
    [source] = parse([{"name": "rows", "path": str(path), **entry}])
    file = SourceFile(path, path.name, "", path.stat().st_size)
    began = time.process_time()
    rows = sum(read(part).num_rows for part in parts_of(source, [file], 50_000))
    return time.process_time() - began, rows


def peer(path: Path) -> tuple[float, int]:
    began = time.process_time()
    rows = sum(1 for _ in read_rows(FileSource(path=str(path))))
    return time.process_time() - began, rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    size = 100_000 if parser.parse_args().quick else 1_000_000
    pa.set_cpu_count(1)
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), size)
        for name, (file, entry, target) in CASES.items():
            path = Path(folder) / file
            ours(path, entry)
            seconds, rows = ours(path, entry)
            assert rows == size
            slow, count = peer(path)
            assert count == size
            figures.append(Figure(f"{name}_rows_per_s", rows / seconds, "rows/s", target))
            figures.append(Figure(f"{name}_times_peer", slow / seconds, "x"))
    print_results("collection_reading", figures)


if __name__ == "__main__":
    main()
