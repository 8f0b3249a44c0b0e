"""`SELFJ_DATA=FOLDER python -m benchmarks.evouna`: an encoder judge on real answers of a real LLM.

Question answering of ChatGPT with gold references and human verdicts (EVOUNA). The labels come from the references;
the verdicts are read for the final table only. Prints a word and leaves when the data is absent.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.result import Figure, print_results
from selfj import pipeline

METHODS = ("self_j", "self_j_teacher", "cosine", "length", "random")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="keep the runs in this folder")
    options = parser.parse_args()
    source = Path(os.environ.get("SELFJ_DATA", "")) / "labels_pointwise.parquet"
    if "SELFJ_DATA" not in os.environ or not source.is_file():
        sys.exit("skipped: set SELFJ_DATA to the folder that holds labels_pointwise.parquet")
    with tempfile.TemporaryDirectory(prefix="selfj-evouna-") as folder:
        print_results("evouna", measure(source, options.keep or Path(folder), options.seeds))


def measure(source: Path, folder: Path, seeds: int) -> list[Figure]:
    folder.mkdir(parents=True, exist_ok=True)
    exchanges = folder / "exchanges.parquet"
    rows = write_exchanges(source, exchanges)
    started = time.monotonic()
    reports = [run_seed(exchanges, folder, seed) for seed in range(1, seeds + 1)]
    seconds = (time.monotonic() - started) / seeds
    figures = [Figure("exchanges", rows), Figure("seconds_per_run", seconds, "s")]
    figures.append(Figure("share_right", sum(1 - r["selective"]["risk_all_gold"] for r in reports) / seeds))
    for method in METHODS:
        for metric in ("auroc", "pearson"):
            found = [report["methods"][method][metric] for report in reports]
            interval = (min(item["low"] for item in found), max(item["high"] for item in found))
            figures.append(Figure(f"{method}_{metric}", sum(i["value"] for i in found) / seeds, "", "", interval))
    return figures


def write_exchanges(source: Path, out: Path) -> int:
    """Write ChatGPT's rows with the columns of an exchange; the verdict is a further column."""
    table = pq.read_table(source)
    keep = pc.and_(pc.equal(table["dataset"], "evouna_human"), pc.equal(table["model"], "chatgpt"))
    table = table.filter(keep).select(["instruction", "response", "reference", "category", "score01"])
    pq.write_table(table.rename_columns(["instruction", "response", "reference", "category", "verdict"]), out)
    return table.num_rows


def run_seed(exchanges: Path, folder: Path, seed: int, more: Sequence[str] = ()) -> dict:
    outcome = pipeline.run(
        "own",
        [
            f"name=seed{seed}",
            f"dir={folder}",
            f"seed={seed}",
            f"collect.name=split{seed}",
            f"collect.source.path={exchanges}",
            "evaluate.gold=verdict",
            "evaluate.gold_range=[0, 1]",
            *more,
        ],
    )
    print(f"seed {seed}\n{outcome.table()}\n", flush=True)
    return outcome.report


if __name__ == "__main__":
    main()
