"""`SELFJ_DATA=FOLDER python -m benchmarks.evouna.ablation`: which targets and which loss, on real answers.

The judge of `benchmarks.evouna`, tuned from the same labels with hard and with soft targets, with and without the
divergence between teacher and student; read against the human verdicts. Prints a word and leaves when the
data is absent.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path
from statistics import mean, stdev

from benchmarks.evouna.__main__ import run_seed, write_exchanges
from benchmarks.result import Figure, print_results

WAYS = {
    "hard": ("tune.method.targets=hard",),
    "soft": ("tune.method.targets=soft",),
    "hard_alone": ("tune.method.targets=hard", "tune.method.distillation_weight=0"),
    "soft_alone": ("tune.method.targets=soft", "tune.method.distillation_weight=0"),
}
"""`alone` leaves the divergence out."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--kind", choices=("encoder", "cross-encoder"), default="encoder")
    options = parser.parse_args()
    source = Path(os.environ.get("SELFJ_DATA", "")) / "labels_pointwise.parquet"
    if "SELFJ_DATA" not in os.environ or not source.is_file():
        sys.exit("skipped: set SELFJ_DATA to the folder that holds labels_pointwise.parquet")
    with tempfile.TemporaryDirectory(prefix="selfj-evouna-") as folder:
        exchanges = Path(folder) / "exchanges.parquet"
        write_exchanges(source, exchanges)
        figures = []
        for way, settings in WAYS.items():
            kind = f"tune.method.kind={options.kind}"
            more = (kind, "embedder.engine=openvino", *settings)
            where = Path(folder) / way
            reports = [run_seed(exchanges, where, seed, more) for seed in range(1, options.seeds + 1)]
            figures += spread(way, reports)
    print_results("evouna_ablation", figures)


def spread(way: str, reports: list[dict]) -> list[Figure]:
    """Mean over the seeds, with one standard deviation to each side."""
    figures = []
    for method, seen in (("self_j", "student"), ("self_j_teacher", "teacher")):
        for metric in ("auroc", "pearson"):
            values = [report["methods"][method][metric]["value"] for report in reports]
            side = stdev(values) if len(values) > 1 else 0.0
            middle = mean(values)
            figures.append(Figure(f"{way}_{seen}_{metric}", middle, interval=(middle - side, middle + side)))
    return figures


if __name__ == "__main__":
    main()
