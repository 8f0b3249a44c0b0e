"""`python -m benchmarks.world [--quick]`: three seeds of the road, the bound over redraws, kills, the demo's cost."""

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.result import Figure, print_results
from benchmarks.world import kills
from selfj import config as configs
from selfj import pipeline
from selfj.errors import Infeasible
from selfj.exchanges import load_exchanges
from selfj.records import LABELS, SCORES
from selfj.risk import choose_threshold, selective
from selfj.store import open_artefact

TARGETS = {
    "self_j": ">= 0.7",
    "ppl": "<= 0.6",
    "vro": "<= 0.6",
    "self_eval": "<= 0.4",
    "self_eval_reference": ">= 0.6",
}
METHODS = (
    "self_j",
    "self_j_teacher",
    "ppl",
    "vro",
    "self_eval",
    "self_eval_reference",
    "cosine",
    "z",
    "judge_cosine",
    "judge_self_eval",
    "length",
    "random",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one seed without ablations, fewer redraws and kills")
    parser.add_argument("--keep", type=Path, help="keep the runs in this folder, and go on from what is there")
    options = parser.parse_args()
    folder = options.keep or Path(tempfile.mkdtemp(prefix="selfj-world-"))
    try:
        print_results("world", measure(folder, quick=options.quick))
    finally:
        if options.keep is None:
            shutil.rmtree(folder, ignore_errors=True)


def measure(folder: Path, *, quick: bool) -> list[Figure]:
    seeds = [1] if quick else [1, 2, 3]
    # First and alone, so that nothing else is in its time; without ablations it is the run of the first seed.
    cost = demo(folder, "seed1" if quick else "demo")
    reports = [run_seed(folder, seed, quick=quick) for seed in seeds]
    figures = [figure(reports, method) for method in METHODS if method in reports[0]["methods"]]
    figures += differences(reports)
    figures.append(accuracy(reports))
    figures.append(bound(folder, draws=100 if quick else 500, n=3000 if quick else 8000))
    figures += sturdiness(folder, times=3 if quick else 20)
    return [*figures, *cost]


def run_seed(folder: Path, seed: int, *, quick: bool) -> dict:
    settings = [f"seed={seed}", f"collect.source.seed={seed - 1}", f"name=seed{seed}", f"dir={folder}"]
    if not quick:
        settings.append("tune.ablations=['cosine', 'self_eval']")
    started = time.monotonic()
    outcome = pipeline.run("demo", settings)
    print(f"seed {seed}: {time.monotonic() - started:.0f} s\n{outcome.table()}\n", flush=True)
    return outcome.report


def figure(reports: list[dict], method: str) -> Figure:
    """Mean over seeds; the interval spans the bootstrap intervals of all seeds."""
    found = [report["methods"][method]["pearson"] for report in reports]
    value = float(np.mean([item["value"] for item in found]))
    interval = (min(item["low"] for item in found), max(item["high"] for item in found))
    return Figure(f"{method}_pearson", value, "", TARGETS.get(method, ""), interval)


def differences(reports: list[dict]) -> list[Figure]:
    """Self-J minus each baseline: the least of the seeds' lower ends must be above 0."""
    made = []
    for key in ("ppl", "vro", "self_eval", "length", "judge_cosine", "judge_self_eval"):
        found = [d for report in reports for d in report["differences"] if d["b"] == key]
        if not found:
            continue
        value = float(np.mean([item["value"] for item in found]))
        low, high = min(item["low"] for item in found), max(item["high"] for item in found)
        ablation = key.startswith("judge")
        made.append(Figure(f"self_j_minus_{key}", value, "", ">= 0" if ablation else "", (low, high)))
        if not ablation:
            made.append(Figure(f"self_j_minus_{key}_low", low, "", ">= 0"))
    z = np.mean([report["methods"]["z"]["pearson"]["value"] for report in reports])
    for key in ("self_eval_reference", "cosine"):
        other = np.mean([report["methods"][key]["pearson"]["value"] for report in reports])
        made.append(Figure(f"z_minus_{key}", float(z - other), "", ">= 0"))
    return made


def accuracy(reports: list[dict]) -> Figure:
    """Share of test responses that are right or nearly so, by the truth."""
    shares = [1 - report["selective"]["risk_all_gold"] for report in reports]
    return Figure("share_good", float(np.mean(shares)))


def bound(folder: Path, *, draws: int, n: int) -> Figure:
    """Share of redrawn calibration and test sets whose test risk exceeds the target.

    The judge of the first seed scores n new exchanges; each draw calibrates on 1,000 of them and tests on the rest,
    which is large so that the test's own noise stays small.
    """
    judge = folder / "seed1" / "judge"
    config = configs.load(
        "demo",
        [
            "name=pool",
            f"dir={folder}",
            "seed=77",
            "collect.source.seed=77",
            f"collect.source.n={n}",
            "collect.train=0",
            "collect.calibration=1",
            "score.methods=[]",
        ],
    )
    for verb in ("collect", "sample", "label"):
        pipeline.perform(verb, config)
    shutil.copytree(judge, config.path / "judge", dirs_exist_ok=True)
    pipeline.perform("score", config)
    exchanges = load_exchanges(config.path)
    z = {row.id: row.z for row in open_artefact(config.path, LABELS).records()}
    score = {row.id: row.score for row in open_artefact(config.path, SCORES).records()}
    ids = [exchange.id for exchange in exchanges.answers]
    scores = np.array([np.nan if score[i] is None else score[i] for i in ids])
    labels = np.array([z[i] for i in ids])
    promise = config.calibrate
    rng = np.random.default_rng(0)
    size = min(1000, len(ids) // 3)
    violations = infeasible = 0
    coverages = []
    for _ in range(draws):
        order = rng.permutation(len(ids))
        learn, test = order[:size], order[size:]
        try:
            threshold = choose_threshold(
                scores[learn],
                labels[learn],
                max_risk=promise.max_risk,
                confidence=promise.confidence,
                min_quality=promise.min_quality,
            )
        except Infeasible:
            infeasible += 1
            continue
        found = selective(scores[test], labels[test] < promise.min_quality, threshold.value)
        violations += found.risk > promise.max_risk
        coverages.append(found.coverage)
    share = violations / draws
    alpha = 1 - promise.confidence
    allowed = alpha + 2 * (alpha * (1 - alpha) / draws) ** 0.5
    print(f"bound: {draws} draws, {infeasible} without a threshold, mean coverage {np.mean(coverages):.3f}")
    return Figure("bound_violation_share", share, "", f"<= {allowed:.4f}")


def sturdiness(folder: Path, *, times: int) -> list[Figure]:
    """Runs killed at random moments and run again, and runs with other part sizes: how many end differently."""
    repeated = kills.other_part_sizes(folder, (17, 1000))
    hit, wrong = kills.differing(folder, times)
    return [
        Figure("kills_that_hit", hit),
        Figure("kills_different", wrong, "", "<= 0"),
        Figure("part_sizes_different", repeated, "", "<= 0"),
    ]


def demo(folder: Path, name: str) -> list[Figure]:
    """Wall time and peak memory of `selfj run demo` in a process of its own."""
    started = time.monotonic()
    settings = ["--set", f"dir={folder}", "--set", f"name={name}"]
    command = [sys.executable, "-c", "from selfj.cli import main; main()", "run", "demo", *settings]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    seconds = time.monotonic() - started
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    return [Figure("demo_seconds", seconds, "s", "<= 360"), Figure("demo_peak_gib", peak, "GiB", "<= 3")]


if __name__ == "__main__":
    main()
