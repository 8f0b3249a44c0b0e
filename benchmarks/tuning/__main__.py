"""`python -m benchmarks.tuning [--quick]`: tuning a judge, against the paper's procedure, and in different ways.

Three parts: exchanges per second and peak memory on a random Llama of 106 million parameters, each contender in a
process of its own, in turns; judges tuned on the embedded world by both procedures and by every variant, over seeds,
against the truth; a training interrupted at random steps. Run it alone on the machine.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch

from benchmarks.result import Figure, print_results
from benchmarks.tuning import resume, speed
from benchmarks.tuning.world import VARIANTS, World

PARTS = ("speed", "world", "resume")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small model, one seed, few exchanges")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--instructions", type=int, default=1500)
    options = parser.parse_args()
    figures: list[Figure] = []
    if "speed" in options.only:
        rounds, batch = (1, 16) if options.quick else (options.rounds, 16)
        figures += speed.measure(rounds=rounds, steps=1, batch=batch, quick=options.quick)
    with tempfile.TemporaryDirectory(prefix="selfj-tuning-") as folder:
        # One thread: how fast is measured elsewhere, and the last bits must not depend on it.
        torch.set_num_threads(1)
        seeds = range(1, 2 if options.quick else options.seeds + 1)
        instructions = 600 if options.quick else options.instructions
        if "world" in options.only:
            figures += _world([World(Path(folder), seed, instructions) for seed in seeds])
        if "resume" in options.only:
            figures += _resume(Path(folder), quick=options.quick)
    print_results("tuning", figures)


def _world(worlds: list[World]) -> list[Figure]:
    papers, variants = [], {}
    for number, world in enumerate(worlds, start=1):
        papers.append(world.paper(8))
        print(f"seed {number} {'paper':<22} {papers[-1]}", flush=True)
        for name in VARIANTS:
            variants.setdefault(name, []).append(world.variant(name))
            print(f"seed {number} {name:<22} {variants[name][-1]}", flush=True)
    pairs = list(zip(variants["hard"], papers, strict=True))
    differences = [abs(own.student - other.student) for own, other in pairs]
    figures = [Figure("pearson_difference", float(np.mean(differences)), "", "<= 0.01", _span(differences))]
    seconds = [other.seconds / own.seconds for own, other in pairs]
    figures.append(Figure("small_model_seconds_ratio", float(np.mean(seconds)), "x", "", _span(seconds)))
    for name, outcomes in {"paper": papers, **variants}.items():
        for part in ("student", "teacher"):
            found = [getattr(outcome, part) for outcome in outcomes]
            figures.append(Figure(f"{name}_{part}_pearson", float(np.mean(found)), "", "", _span(found)))
        figures.append(Figure(f"{name}_seconds", float(np.mean([outcome.seconds for outcome in outcomes])), "s"))
    return figures


def _resume(folder: Path, *, quick: bool) -> list[Figure]:
    world = World(folder, 1, 300 if quick else 600)
    method = world.method.model_copy(update={"epochs": 1, "batch_size": 16, "checkpoint_steps": 3, "dropout": 0.05})
    config = world.config.model_copy(update={"tune": world.config.tune.model_copy(update={"method": method})})
    hit, unlike = resume.measure(config, world.examples, folder / "resume", times=3 if quick else 10, seed=0)
    return [Figure("resume_interrupted", hit), Figure("resume_identical", float(unlike == 0), "", ">= 1")]


def _span(values: list[float]) -> tuple[float, float]:
    return float(min(values)), float(max(values))


if __name__ == "__main__":
    main()
