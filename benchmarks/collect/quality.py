"""Speed of cleaning, and what each filter drops, on the pool of real instructions.

    SELFJ_DATA=FOLDER python -m benchmarks.collect.quality

`--show REASON` prints samples of what a filter drops, `--show masked` and `--show null` what was masked and which
references became null, for eyes to judge.
"""

import argparse
import json
import random
import time
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.collect.data import POOL, data_folder
from benchmarks.result import commit
from selfj.collection.quality import Quality, clean

ROWS = 50
COLUMNS = ["source", "instruction", "reference"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--show", default="", help="a reason, `masked` or `null`")
    parser.add_argument("--repeat", type=int, default=3, help="the quickest of so many is told")
    options = parser.parse_args()
    pool = data_folder() / POOL
    pa.set_cpu_count(1)
    raw = pq.read_table(pool, columns=COLUMNS)
    cleaned = clean(raw.slice(0, 1000), Quality())
    seconds = []
    for _ in range(options.repeat):
        begun = time.process_time()
        cleaned = clean(raw, Quality())
        seconds.append(time.process_time() - begun)
    reasons = cleaned["error"].to_pylist()
    by_source = table_of(raw["source"].to_pylist(), reasons)
    for source, counts in sorted(by_source.items()):
        print(f"{source:<34}{sum(counts.values()):>8}  " + ", ".join(f"{k} {v}" for k, v in counts.most_common() if k))
    if options.show:
        show(raw, cleaned, options.show)
    n = raw.num_rows
    masked = [number for number in cleaned["masked"].to_pylist() if number]
    print(
        json.dumps(
            {
                "name": "collect.quality",
                "commit": commit(),
                "rows": n,
                "rows_per_s": round(n / min(seconds)),
                "microseconds_per_row": round(min(seconds) / n * 1e6, 2),
                "dropped": {k: round(v / n, 6) for k, v in Counter(reasons).most_common() if k},
                "references_made_null": cleaned["reference"].null_count - raw["reference"].null_count,
                "rows_masked": len(masked),
                "pieces_masked": sum(masked),
                "languages": {k or "null": v for k, v in Counter(cleaned["language"].to_pylist()).most_common(8)},
                "same_again": clean(cleaned, Quality()).equals(cleaned),
            }
        )
    )


def table_of(sources: list[str], reasons: list[str | None]) -> dict[str, Counter[str | None]]:
    held: dict[str, Counter[str | None]] = {}
    for source, reason in zip(sources, reasons, strict=True):
        held.setdefault(source, Counter())[reason] += 1
    return held


def show(raw: pa.Table, cleaned: pa.Table, what: str) -> None:
    before, after = raw.to_pylist(), cleaned.to_pylist()
    if what == "masked":
        chosen = [i for i, row in enumerate(after) if row["masked"]]
    elif what == "null":
        chosen = [i for i, row in enumerate(after) if row["reference"] is None and before[i]["reference"] is not None]
    else:
        chosen = [i for i, row in enumerate(after) if row["error"] == what]
    for i in random.Random(0).sample(chosen, min(ROWS, len(chosen))):
        shown = after[i] if what == "masked" else before[i]
        print(f"{shown['source']}: {shown['instruction']!r:.300}\n      {shown['reference']!r:.200}")


if __name__ == "__main__":
    main()
