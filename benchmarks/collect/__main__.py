"""A collection of millions of rows: `SELFJ_DATA=FOLDER python -m benchmarks.collect`.

Rows are generated from the pool (see `generator`), and collected with every step but download: read, clean, categories,
keys, matching against each other and an evaluation set, parts, page. Removing duplicates alone is compared with
datatrove's MinHash pipeline on the same rows, and both with brute force. `--rows N` for other sizes, `--peer-rows N`
for the comparison, `--no-datatrove` without it.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tomli_w

from benchmarks.collect import categories, peer
from benchmarks.collect.data import data_folder
from benchmarks.collect.generator import generate
from benchmarks.collect.truth import Truth
from benchmarks.result import Figure, print_results

ROWS, SMALL = 5_754_412, 500_000
PEER_ROWS, TRUTH_ROWS = 500_000, 30_000
_CORES = 2


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.collect", description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--small", type=int, default=SMALL, help="rows that the growth of cost is measured from")
    parser.add_argument("--peer-rows", type=int, default=PEER_ROWS)
    parser.add_argument("--no-datatrove", action="store_true")
    parser.add_argument("--keep", type=Path, help="folder for everything that is made, instead of one that is removed")
    arguments = parser.parse_args()
    data = data_folder()
    folder = arguments.keep or Path(tempfile.mkdtemp(prefix="selfj-collect-"))
    try:
        figures = [*size_and_time(data, folder, arguments.rows, arguments.small)]
        figures += against(data, folder, arguments.peer_rows, datatrove=not arguments.no_datatrove)
        figures += categories.figures(data)
        print_results("collect", figures)
    finally:
        if arguments.keep is None:
            shutil.rmtree(folder, ignore_errors=True)


def size_and_time(data: Path, folder: Path, rows: int, small: int) -> list[Figure]:
    """Minutes and memory at full size, and how the cost of a row grows."""
    few = _collected(data, folder / "small", small)
    many = _collected(data, folder / "large", rows)
    full = rows == ROWS
    steps = ", ".join(f"{name} {seconds:,.0f} s" for name, seconds in many["seconds"].items())
    print(f"{many['read']:,} rows, {many['kept']:,} kept; {steps}; dropped {many['dropped']}")
    # The page looks at so many rows and no more, which would make the many look cheap.
    cost = _cost(many) / _cost(few)
    return [
        Figure("minutes_5_7m" if full else "minutes", many["wall"] / 60, "min", "<= 6" if full else ""),
        Figure("peak_gib", many["peak"] / 2**30, "GiB", "<= 6"),
        Figure("cost_growth", cost, "", "<= 1.2" if full else ""),
        Figure("rows_per_s", many["read"] / many["wall"], "/s"),
    ]


def _cost(found: dict) -> float:
    return (found["wall"] - found["described"]) / found["read"]


def _collected(data: Path, folder: Path, rows: int) -> dict:
    began = time.monotonic()
    paths = generate(data, folder / "rows", rows)
    print(f"{rows:,} rows generated in {time.monotonic() - began:,.0f} s")
    entry = {"instruction": "instruction", "reference": "answer", "reference_kind": "generated"}
    kinds = {"column": "kind", "values": {kind: kind for kind in ("common", "coding", "academic")}}
    sources = [{"name": path.stem, "path": str(path), **entry, "category": kinds} for path in paths]
    exam = data / "alpacaeval_references.parquet"
    evaluation = [{"name": "alpacaeval", "path": str(exam), "instruction": "instruction"}] if exam.is_file() else []
    settings = folder / "collection.toml"
    settings.write_text(tomli_w.dumps({"workers": _CORES, "sources": sources, "evaluation": evaluation}))
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.collect.run", settings, folder / "out"], stdout=subprocess.PIPE, text=True
    )
    peak = _Peak(process.pid)
    out, _ = process.communicate()
    if process.returncode:
        sys.exit("The collection failed.")
    found = json.loads(out.splitlines()[-1])
    assert found["read"] == rows == found["kept"] + sum(found["dropped"].values())
    shutil.rmtree(folder / "out")
    shutil.rmtree(folder / "rows")
    return {**found, "peak": peak.bytes}


class _Peak(threading.Thread):
    """Most resident memory of a process and all its descendants, looked at five times a second."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid, self.bytes = pid, 0
        self.start()

    def run(self) -> None:
        while Path(f"/proc/{self.pid}").exists():
            self.bytes = max(self.bytes, sum(map(_resident, _tree(self.pid))))
            time.sleep(0.2)


def _tree(pid: int) -> list[int]:
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [pid]
    for one in found:
        found += parents.get(one, [])
    return found


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def against(data: Path, folder: Path, rows: int, *, datatrove: bool) -> list[Figure]:
    """Removing duplicates alone: speed beside datatrove, and both against brute force."""
    large = _texts(data, folder / "peer-rows", rows)
    seconds, _ = _ours(folder, "peer-rows")
    figures = [Figure("dedup_rows_per_s", rows / seconds, "/s")]
    wanted: list[tuple[str, list[str]]] = [("", large[:TRUTH_ROWS])]
    pairs = data / "question_pairs.parquet"
    if pairs.is_file():
        table = pq.read_table(pairs)
        wanted.append(("question_pairs_", [*table["question_a"].to_pylist(), *table["question_b"].to_pylist()]))
    peers = {"datatrove": "eng", "datatrove_split": "split"} if datatrove else {}
    try:
        for name, tokenizer in peers.items():
            theirs = peer.dedup(folder / "peer-rows", folder / name, _CORES, tokenizer)
            target = ">= 15" if name == "datatrove" else ""
            figures += [Figure(f"{name}_rows_per_s", rows / theirs, "/s")]
            figures += [Figure(f"rows_per_s_vs_{name}", theirs / seconds, "x", target)]
        for prefix, texts in wanted:
            figures += _scores(folder, prefix, texts, peers)
    except peer.Absent as absent:
        print(f"{absent}; only this side is measured", file=sys.stderr)
        for prefix, texts in wanted:
            figures += _scores(folder, f"{prefix}", texts, {})
    return figures


def _scores(folder: Path, prefix: str, texts: list[str], peers: dict[str, str]) -> list[Figure]:
    name = f"{prefix or 'generated_'}rows"
    _write(folder / name, texts)
    truth, figures = Truth(texts), []
    _, kept = _ours(folder, name)
    score = truth.score(kept)
    aimed = "" if prefix else ">= 0.99"
    figures += [Figure(f"{prefix}dedup_recall", score.recall, "", aimed)]
    figures += [
        Figure(f"{prefix}dedup_precision", score.precision, "", aimed),
        Figure(f"{prefix}dropped", score.dropped),
    ]
    for other, tokenizer in peers.items():
        out = folder / f"{other}-{name}"
        peer.dedup(folder / name, out, _CORES, tokenizer)
        score = truth.score(_ids(out / "kept"))
        figures += [Figure(f"{prefix}dedup_recall_{other}", score.recall)]
        figures += [Figure(f"{prefix}dedup_precision_{other}", score.precision)]
    return figures


def _texts(data: Path, folder: Path, rows: int) -> list[str]:
    paths = generate(data, folder / "generated", rows)
    texts = pa.concat_tables([pq.read_table(path, columns=["instruction"]) for path in paths])["instruction"]
    order = np.random.default_rng(0).permutation(len(texts))
    found = texts.take(pa.array(order)).to_pylist()
    shutil.rmtree(folder / "generated")
    _write(folder, found)
    return found


def _write(folder: Path, texts: list[str]) -> None:
    """As many files as there are cores, so that both sides can use all of them."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, rows in enumerate(np.array_split(np.arange(len(texts)), _CORES)):
        table = pa.table({"text": [texts[row] for row in rows], "id": [str(row) for row in rows]})
        pq.write_table(table, folder / f"rows-{number:02d}.parquet", row_group_size=25_000)


def _ours(folder: Path, name: str) -> tuple[float, set[int]]:
    out = folder / f"selfj-{name}"
    command = [sys.executable, "-m", "benchmarks.collect.dedup", folder / name, out, str(_CORES)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    kept = set()
    firsts = np.cumsum([0, *(pq.read_metadata(path).num_rows for path in sorted((folder / name).glob("*.parquet")))])
    for path in sorted((out / "parts").glob("*.parquet")):
        table = pq.read_table(path, columns=["source", "position"])
        numbers = np.array([int(source.rpartition("-")[2]) for source in table["source"].to_pylist()], dtype=int)
        kept |= set((firsts[numbers] + table["position"].to_numpy()).tolist())
    return json.loads(done.stdout.splitlines()[-1])["seconds"], kept


def _ids(folder: Path) -> set[int]:
    found: set[int] = set()
    for path in folder.glob("*.parquet"):
        found |= {int(row) for row in pq.read_table(path, columns=["id"])["id"].to_pylist()}
    return found


if __name__ == "__main__":
    main()
