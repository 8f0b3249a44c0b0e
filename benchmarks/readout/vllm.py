"""`python -m benchmarks.readout.vllm [--quick]`: how fast vLLM reads a judge in this process.

The contenders take turns on the same exchanges, of `workload`, in the same order, each with an empty prefix cache:

* `selfj`: `LevelReader.read` of the shuffled exchanges, tokenizing, sorting and all.
* `limit`: bare prefill, in selfj's own engine, of the pieces that must be read at least once (`workload.must_read`):
  the start that the prompts of one instruction share once, and each own part once, every piece as a prompt of its
  own, tokenized beforehand, nothing looked up in the cache, one token drawn, no log probabilities. An own part
  attends to less than it would behind its start, so the limit is a little too high to be reached. It counts the
  template once per instruction; a cache that keeps it over instructions reads less.
* `original`: the procedure of the published judge.py: texts in the order of the data set, temperature 0, ten tokens,
  `logprobs=20`, in an engine with vLLM's own defaults (but eager, as selfj's), without its beam search.
* `beams`, on demand: the same with the beam search of width 2 that judge.py asks for, by today's `LLM.beam_search`.
* `systemone`: one `POST /v1/systemone` per exchange at concurrency 16 against vLLM's server with its defaults.

All read one random Qwen3, which the server's route can do, and run in bfloat16 on as many threads as
OMP_NUM_THREADS says, one by default. A figure is the median over rounds of the ratio of items per second within a
round; its interval is the least and the greatest of them.
"""

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")

import httpx
from transformers import AutoTokenizer

from benchmarks.readout.workload import FULL, QUICK, TEMPLATE, exchanges, must_read, shuffled, sizes, write_model
from benchmarks.result import Figure, print_results
from selfj import backends
from selfj.backends.base import JudgeInput
from selfj.backends.tokens import Prompts
from selfj.prompts import LEVELS
from selfj.settings import VllmBackend

TARGETS = {"limit": ">= 0.85", "original": ">= 2", "systemone": ">= 2", "beams": ""}
DEFAULT = ["limit", "original", "systemone"]
CONCURRENCY = 16
QUESTION = "Rate the answer from 0 to 9, where a higher value means a better answer."

Contender = Callable[[], float]
"""Does the work once and returns its seconds."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a model of 3 million parameters, few exchanges")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--instructions", type=int, default=0, help="8 exchanges each")
    parser.add_argument("--only", nargs="+", choices=sorted(TARGETS), default=DEFAULT)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="selfj-readout-") as folder:
        model = write_model(Path(folder), QUICK if options.quick else FULL, qwen=True)
        rows = exchanges(options.instructions or (4 if options.quick else 12))
        print_results("readout.vllm", measure(model, rows, options.rounds, options.only))


def measure(model: str, rows: list[JudgeInput], rounds: int, only: list[str]) -> list[Figure]:
    texts = Prompts(AutoTokenizer.from_pretrained(model), TEMPLATE)
    prompts = [texts.judge_ids(row) for row in rows]
    print(f"{sizes(prompts)}; {os.environ['OMP_NUM_THREADS']} threads", flush=True)
    settings = VllmBackend(model=model, dtype="bfloat16", cpu_cache_gib=1, max_model_len=1024)
    reader = backends.level_reader(settings, template=TEMPLATE)
    contenders = {"selfj": lambda: read(reader, shuffled(rows))}
    if "limit" in only:
        contenders["limit"] = lambda: prefill(reader.engine, must_read(prompts))
    if "original" in only or "beams" in only:
        original = original_engine(model)
        judge_texts = [texts.judge_text(row) for row in shuffled(rows)]
        if "original" in only:
            contenders["original"] = lambda: procedure(original, judge_texts)
        if "beams" in only:
            contenders["beams"] = lambda: beams(original, judge_texts)
    if "systemone" not in only:
        return figures(race(contenders, rounds), len(rows))
    with server(model) as client:
        contenders["systemone"] = lambda: requests(client, shuffled(rows))
        return figures(race(contenders, rounds), len(rows))


def race(contenders: dict[str, Contender], rounds: int) -> dict[str, list[float]]:
    """Seconds of each contender in each round, taking turns; an unmeasured turn each goes first."""
    for work in contenders.values():
        work()
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, work in contenders.items():
            seconds[name].append(work())
    return seconds


def figures(seconds: dict[str, list[float]], items: int) -> list[Figure]:
    found = []
    for name in seconds:
        if name != "selfj":
            ratios = [theirs / ours for theirs, ours in zip(seconds[name], seconds["selfj"], strict=True)]
            spread = (min(ratios), max(ratios))
            found.append(Figure(f"vllm_vs_{name}", statistics.median(ratios), "", TARGETS[name], spread))
    rates = {name: items / statistics.median(values) for name, values in seconds.items()}
    return found + [Figure(f"items_per_second_{name}", rate, "/s") for name, rate in rates.items()]


def read(reader, rows: list[JudgeInput]) -> float:
    reader.engine.forget()
    start = time.perf_counter()
    reading = reader.read(rows)
    seconds = time.perf_counter() - start
    assert not any(reading.errors)
    return seconds


def prefill(engine, pieces: list[list[int]]) -> float:
    engine.forget()
    params = engine.sampling(
        max_tokens=1, temperature=0.0, detokenize=False, ignore_eos=True, skip_reading_prefix_cache=True
    )
    start = time.perf_counter()
    engine.run((piece, params) for piece in pieces)
    return time.perf_counter() - start


def original_engine(model: str):
    import vllm

    return vllm.LLM(model, dtype="bfloat16", enforce_eager=True, kv_cache_memory_bytes=2**30)


def procedure(engine, texts: list[str]) -> float:
    from vllm import SamplingParams

    engine.reset_prefix_cache()
    start = time.perf_counter()
    outputs = engine.generate(
        texts, SamplingParams(temperature=0, max_tokens=10, logprobs=20, stop=["</s>"]), use_tqdm=False
    )
    for output in outputs:
        first = output.outputs[0].logprobs[0]
        {at.decoded_token: at.logprob for at in first.values() if at.decoded_token in LEVELS}
    return time.perf_counter() - start


def beams(engine, texts: list[str]) -> float:
    from vllm.sampling_params import BeamSearchParams

    engine.reset_prefix_cache()
    start = time.perf_counter()
    engine.beam_search([{"prompt": text} for text in texts], BeamSearchParams(beam_width=2, max_tokens=10))
    return time.perf_counter() - start


def requests(client: httpx.Client, rows: list[JudgeInput]) -> float:
    def ask(row: JudgeInput) -> None:
        state = f"[Question]\n{row.instruction}\n\n[Answer]\n{row.response}"
        question = {"type": "score", "instructions": QUESTION, "criteria": list(LEVELS)}
        reply = client.post("/v1/systemone", json={"state": state, "questions": {"quality": question}})
        reply.raise_for_status()
        assert len(reply.json()["answers"]["quality"]["probabilities"]) == len(LEVELS)

    client.post("/reset_prefix_cache").raise_for_status()
    start = time.perf_counter()
    with ThreadPoolExecutor(CONCURRENCY) as pool:
        list(pool.map(ask, rows))
    return time.perf_counter() - start


@contextmanager
def server(model: str, wait_s: float = 300) -> Iterator[httpx.Client]:
    """vLLM's server on this machine, stopped at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", model, "--dtype", "bfloat16"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--enforce-eager"]
    environment = os.environ | {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_SERVER_DEV_MODE": "1"}
    # The server needs its engine in a process of its own.
    environment.pop("VLLM_ENABLE_V1_MULTIPROCESSING", None)
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=wait_s) as client:
                await_health(client, process, log, wait_s)
                yield client
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def await_health(client: httpx.Client, process: subprocess.Popen, log, wait_s: float) -> None:
    end = time.monotonic() + wait_s
    while time.monotonic() < end and process.poll() is None:
        try:
            if client.get("/health", timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(1)
    log.seek(0)
    raise SystemExit(f"vLLM's server did not start:\n{log.read()[-2000:]}")


if __name__ == "__main__":
    main()
