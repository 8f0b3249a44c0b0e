"""`python -m benchmarks.readout.one_pass [--quick]`: the student's and the teacher's rating from one pass.

The template `selfj-last` brings the reference after the place where the student's rating is read, so that one pass
over the teacher's prompt gives both. Measured in processor seconds of one thread, always against the fast reader,
which reads what prompts share once:

* two reads: the same ratings, the student's and the teacher's prompts read one after the other.
* reference first: two reads with the template `selfj`, whose teacher shares the reference among all candidates of an
  instruction. So the more candidates there are and the longer references are, the less one pass saves.
"""

import argparse
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmarks.readout import workload
from benchmarks.readout.timing import alternate, speedup, table
from benchmarks.result import Figure, print_results
from selfj.backends.base import JudgeInput
from selfj.backends.transformers import CausalModel
from selfj.settings import TransformersBackend


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a model of 3 million parameters")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--exchanges", type=int, default=48)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        path = workload.write_model(Path(folder), workload.QUICK if options.quick else workload.FULL)
        last, first = (CausalModel(TransformersBackend(model=path), template=name) for name in ("selfj-last", "selfj"))
    figures = []
    for candidates, suffix in ((workload.CANDIDATES, ""), (1, "_one_candidate")):
        rows = workload.exchanges(options.exchanges // candidates, candidates=candidates, reference=True)
        figures += measure(last, first, rows, options.rounds, suffix)
    print_results("readout.one_pass", figures)


def measure(last: CausalModel, first: CausalModel, rows: list[JudgeInput], rounds: int, suffix: str) -> list[Figure]:
    students = [JudgeInput(row.instruction, row.response) for row in rows]
    student, teacher = last.read_both(rows)
    np.testing.assert_array_equal(student.probabilities, last.read(students).probabilities)
    np.testing.assert_array_equal(teacher.probabilities, last.read(rows).probabilities)
    ways = {
        "one pass": partial(last.read_both, rows),
        "two reads": lambda: (last.read(students), last.read(rows)),
        "two reads, reference first": lambda: (first.read(students), first.read(rows)),
    }
    seconds = alternate(ways, rounds, time.process_time)
    print(f"{len(rows)} exchanges{suffix.replace('_', ' ')}\n{table(seconds, len(rows))}", flush=True)
    return [
        Figure(f"one_pass_vs_two{suffix}", speedup(seconds, "one pass", "two reads"), "x", ">= 1.6"),
        Figure(f"one_pass_vs_reference_first{suffix}", speedup(seconds, "one pass", "two reads, reference first"), "x"),
    ]


if __name__ == "__main__":
    main()
