"""Exchanges per second and peak memory of tuning, each contender in a process of its own, in turns.

`python -m benchmarks.tuning.speed CONTENDER FOLDER …` is such a process: it prints one JSON object.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.result import Figure
from benchmarks.tuning import paper
from benchmarks.tuning.workload import LONGEST, exchanges, write_model
from selfj.progress import Quiet
from selfj.settings import Config, LoraTuning, TransformersBackend, Tune
from selfj.tune import tune
from selfj.tune.schedule import Schedule

CONTENDERS = {"paper": "paper", "selfj": "paper", "selfj_one_pass": "selfj-last"}
"""Each with its judge template: both see the same texts, but for the last, whose reference comes last."""


class Clock(Quiet):
    """Times the steps alone."""

    def __init__(self) -> None:
        self.began = self.ended = 0.0

    def start(self, stage: str, total: int | None, done: int = 0) -> None:
        self.began = time.perf_counter()

    def advance(self, n: int) -> None:
        self.ended = time.perf_counter()


def measure(*, rounds: int, steps: int, batch: int, quick: bool) -> list[Figure]:
    """Let all contenders take turns, and compare."""
    found: dict[str, list[dict]] = {name: [] for name in CONTENDERS}
    with tempfile.TemporaryDirectory(prefix="selfj-tuning-") as folder:
        model = write_model(Path(folder) / "model", quick=quick)
        for turn in range(rounds):
            for name in CONTENDERS:
                words = [sys.executable, "-m", "benchmarks.tuning.speed", name, model]
                words += ["--steps", str(steps), "--batch", str(batch), "--seed", str(turn)]
                done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
                found[name].append(json.loads(done.stdout.splitlines()[-1]))
                print(f"round {turn + 1} {name:<16} {found[name][-1]}", flush=True)
    figures = []
    for name, ours in found.items():
        rate = statistics.median(one["rate"] for one in ours)
        figures.append(Figure(f"exchanges_per_s_{name}", rate, "/s"))
        figures.append(Figure(f"peak_gib_{name}", max(one["peak_gib"] for one in ours), "GiB"))
    for name, key in (("selfj", ""), ("selfj_one_pass", "_one_pass")):
        pairs = list(zip(found[name], found["paper"], strict=True))
        ratios = [own["rate"] / other["rate"] for own, other in pairs]
        memory = [own["peak_gib"] / other["peak_gib"] for own, other in pairs]
        bounds = ((">= 3", "<= 0.5") if not key else ("", "")) if not quick else ("", "")
        figures.append(
            Figure(f"exchanges_per_s_ratio{key}", statistics.median(ratios), "x", bounds[0], (min(ratios), max(ratios)))
        )
        figures.append(Figure(f"peak_memory_ratio{key}", max(memory), "", bounds[1], (min(memory), max(memory))))
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("contender", choices=CONTENDERS)
    parser.add_argument("model")
    parser.add_argument("--steps", type=int, default=1)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--micro-batch", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    examples = exchanges(options.steps * options.batch, options.seed)
    method = LoraTuning(
        template=CONTENDERS[options.contender],
        epochs=1,
        batch_size=options.batch,
        max_length=LONGEST + 64,
        micro_tokens=2048,
        warmup_steps=0,
        validation=0,
        dropout=0.05,
    )
    if options.contender == "paper":
        schedule = Schedule(np.arange(len(examples)), [0] * len(examples), 1, options.batch, 1, 1.0, 0, 0)
        rng = np.random.default_rng(options.seed)
        batches = [rng.permutation(schedule.batch(step)) for step in range(schedule.steps)]
        factors = [schedule.factor(step) for step in range(schedule.steps)]
        done = paper.train(
            options.model, method, examples, batches, factors, None, micro_batch=options.micro_batch, seed=0
        )
        seconds = done.seconds
    else:
        clock = Clock()
        config = Config(target=TransformersBackend(model=options.model), tune=Tune(method=method))
        with tempfile.TemporaryDirectory() as folder:
            tune(config, examples, Path(folder), "speed", clock)
        seconds = clock.ended - clock.began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(json.dumps({"rate": len(examples) / seconds, "seconds": seconds, "peak_gib": peak}))


if __name__ == "__main__":
    main()
