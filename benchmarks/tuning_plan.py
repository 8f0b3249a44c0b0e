"""`python -m benchmarks.tuning_plan [--cases NAME ...]`: what `--dry-run` foretells against what a tuning takes.

The small Llama is tuned on one thread, each case in a process of its own. Memory is the growth of the process's
resident memory from when every package is loaded to its peak. Time is the processor time from the first step to the
last, which is what one thread takes where nothing else runs.
"""

import argparse
import importlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.result import Figure, print_results

COMMON = ["collect.source.n=700", "target={kind='transformers', device='cpu'}"]
SFT = ["sft.batch_size=64", "sft.epochs=2", "sft.micro_rows=32", "sft.splits=['train', 'test', 'calibration']"]
LORA = "sft.method.kind=lora"
TUNE = ["tune.method.batch_size=64", "tune.method.epochs=1", "tune.method.validation=0"]
CASES = {
    "sft_full": ("sft", SFT),
    "sft_lora": ("sft", [*SFT, LORA]),
    "sft_lora_checkpointing": ("sft", [*SFT, LORA, "sft.gradient_checkpointing=true"]),
    "tune_lora": ("tune", TUNE),
    "tune_lora_half_pass": ("tune", [*TUNE, "tune.method.micro_tokens=4096"]),
    "tune_lora_last": ("tune", [*TUNE, "tune.method.template=selfj-last", "tune.method.dropout=0.05"]),
    "tune_lora_checkpointing": ("tune", [*TUNE, "tune.method.gradient_checkpointing=true"]),
}
BOUND = 2.0
"""A plan may be wrong by this factor, either way."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", nargs="*", choices=CASES, default=list(CASES))
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        verb, name, settings = json.loads(options.child)
        print(json.dumps(measured(verb, name, settings)))
        return
    figures = []
    with tempfile.TemporaryDirectory(prefix="selfj-plan-") as folder:
        os.chdir(folder)
        road = ["collect"] if all(CASES[case][0] == "sft" for case in options.cases) else ["collect", "sample", "label"]
        child([road, "demo", COMMON])
        for case in options.cases:
            verb, settings = CASES[case]
            foretold = child([f"plan {verb}", "demo", [*COMMON, *settings]])
            found = child([verb, "demo", [*COMMON, *settings]])
            for what, unit in (("memory_mib", "MiB"), ("seconds", "s")):
                figures.append(Figure(f"{case}_{what}", found[what], unit))
                figures.append(Figure(f"{case}_{what}_foretold", foretold[what], unit))
                off = foretold[what] / found[what]
                figures.append(Figure(f"{case}_{what}_factor", max(off, 1 / off), "", f"<= {BOUND}"))
    print_results("tuning_plan", figures)


def child(work: list) -> dict[str, float]:
    source = str(Path(__file__).parents[1])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{os.environ.get('PYTHONPATH', '')}:{source}"}
    command = [sys.executable, "-m", "benchmarks.tuning_plan", "--child", json.dumps(work)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def measured(verb: str | list[str], name: str, settings: list[str]) -> dict[str, float]:
    from selfj import config, pipeline
    from selfj.progress import Quiet

    run = config.load(name, settings)
    if isinstance(verb, list):
        for each in verb:
            pipeline.perform(each, run)
        return {}
    if verb.startswith("plan "):
        from selfj.foresight import foresee

        plan = foresee(run, [verb.removeprefix("plan ")]).plan
        print(plan, file=sys.stderr)
        return {"memory_mib": plan.memory.total / 2**20, "seconds": plan.seconds}

    # So that they are there before the first look.
    for package in ("accelerate", "peft", "selfj.backends.transformers"):
        importlib.import_module(package)

    class Clock(Quiet):
        began = ended = 0.0

        def start(self, stage, total, done=0):
            self.began = time.process_time()

        def advance(self, n):
            self.ended = time.process_time()

    clock = Clock()
    before = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20
    pipeline.perform(verb, run, force=True, progress=clock)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    return {"memory_mib": peak - before, "seconds": clock.ended - clock.began}


if __name__ == "__main__":
    main()
