"""`python -m benchmarks.readout.transformers [--quick]`: reading through transformers, against what it could cost.

* naive: the loop that one writes first, batches of 8, padded, `generate` of ten tokens.
* limit: bare prefill of the tokens that must be read at least once, by the same library and of the same weights:
  every instruction's common start once, every candidate's own part once; nothing before them, nothing padded.
* sorted: one forward pass for every whole prompt, sorted by length; no start is shared.

With one thread, processor seconds are counted, with more the clock's.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from benchmarks.readout import workload
from benchmarks.readout.timing import alternate, speedup, table
from benchmarks.result import Figure, print_results
from selfj.backends.base import JudgeInput
from selfj.backends.tokens import Prompts
from selfj.backends.transformers import CausalModel
from selfj.settings import TransformersBackend


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a model of 3 million parameters")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--instructions", type=int, default=8, help="of 8 candidates each")
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"], help="of every way")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = workload.write_model(Path(folder), workload.QUICK if options.quick else workload.FULL)
        print_results(
            "readout.transformers", measure(path, options.instructions, options.rounds, options.threads, options.dtype)
        )


def measure(path: str, instructions: int, rounds: int, threads: Sequence[int], dtype: str) -> list[Figure]:
    rows = workload.exchanges(instructions)
    mixed = workload.shuffled(rows)
    plain = AutoModelForCausalLM.from_pretrained(path, dtype=getattr(torch, dtype)).eval()
    tokenizer = AutoTokenizer.from_pretrained(path, padding_side="left")
    prompts = Prompts(tokenizer, workload.TEMPLATE)
    ids = [prompts.judge_ids(row) for row in rows]
    print(workload.sizes(ids))
    stable, loose = (
        CausalModel(TransformersBackend(model=path, dtype=dtype, stable_batches=stable), template=workload.TEMPLATE)
        for stable in (True, False)
    )
    check(plain, stable, rows, ids, prompts.level_ids())
    ways = {
        "naive": partial(naive, plain, tokenizer, [prompts.judge_text(row) for row in mixed]),
        "sorted": partial(prefill, plain, [prompts.judge_ids(row) for row in mixed]),
        "limit": partial(prefill, plain, workload.must_read(ids)),
        "stable batches": partial(stable.read, mixed),
        "any batches": partial(loose.read, mixed),
    }
    figures = []
    for number in threads:
        torch.set_num_threads(number)
        suffix = "" if number == 1 else f"_{number}_threads"
        seconds = alternate(ways, rounds, time.process_time if number == 1 else time.perf_counter)
        print(f"threads: {number}\n{table(seconds, len(rows))}", flush=True)
        figures += [
            Figure(f"transformers_vs_naive{suffix}", speedup(seconds, "stable batches", "naive"), "x", ">= 2.5"),
            Figure(f"transformers_vs_limit{suffix}", speedup(seconds, "stable batches", "limit"), "x", ">= 0.85"),
            Figure(f"transformers_any_vs_naive{suffix}", speedup(seconds, "any batches", "naive"), "x"),
            Figure(f"transformers_any_vs_limit{suffix}", speedup(seconds, "any batches", "limit"), "x"),
        ]
    return figures


def check(
    plain: torch.nn.Module,
    model: CausalModel,
    rows: Sequence[JudgeInput],
    prompts: Sequence[list[int]],
    levels: list[int],
) -> None:
    """What is timed must be right: readings equal those of plain forward passes."""
    found = model.read(rows[:8]).probabilities
    with torch.inference_mode():
        logits = [plain(torch.tensor([ids])).logits[0, -1, levels] for ids in prompts[:8]]
    expected = torch.softmax(torch.stack(logits).double(), dim=-1).numpy()
    print(f"greatest difference from plain forward passes: {abs(found - expected).max():.1e}")
    np.testing.assert_allclose(found, expected, atol=1e-4 if plain.dtype == torch.float32 else 0.05)


def naive(model: torch.nn.Module, tokenizer, texts: Sequence[str]) -> None:
    for start in range(0, len(texts), 8):
        batch = tokenizer(texts[start : start + 8], padding=True, return_tensors="pt")
        with torch.inference_mode():
            model.generate(
                **batch,
                min_new_tokens=10,
                max_new_tokens=10,
                do_sample=False,
                output_scores=True,
                return_dict_in_generate=True,
            )


def prefill(model: torch.nn.Module, pieces: Sequence[list[int]]) -> None:
    """One piece a forward pass: as fast as any batch where a piece has some hundred tokens, and nothing is padded."""
    for ids in sorted(pieces, key=len):
        with torch.inference_mode():
            model(torch.tensor([ids]), use_cache=False, logits_to_keep=1)


if __name__ == "__main__":
    main()
