"""`SELFJ_DATA=FOLDER python -m selfj.general.train --out FOLDER`: train the judge that ships.

Needs no label and no person: complete answers and broken ones are made from a pool of instructions with references,
which is read from a folder outside the project. Some 20 minutes on a CPU; a killed training goes on where it stopped.
"""

import argparse
import os
import time
from collections import Counter
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import load_file, save_file

from selfj import tune
from selfj.backends.cross_encoder import ADAPTER_FILE, head_metadata
from selfj.backends.encoder import HEAD_FILE
from selfj.errors import ConfigError
from selfj.files import write_json, write_text
from selfj.general.draw import draw_examples
from selfj.general.language import counted
from selfj.general.pool import MOST_PER_SOURCE, SOURCES, Entry, held_out, read_pool
from selfj.judge import JUDGE_VERSION
from selfj.progress import Progress, Quiet
from selfj.records import content_id
from selfj.settings import Config, CrossEncoderTuning, MiniLM
from selfj.tune.loop import weights_digest

Engine = Literal["torch", "openvino"]
METHOD = CrossEncoderTuning(
    targets="soft",
    student_weight=1.0,
    distillation_weight=1.0,
    precision="bfloat16",
    max_length=512,
    r=16,
    epochs=1,
    warmup_steps=30,
    learning_rate=1.5e-3,
    checkpoint_steps=25,
)
TRAINING_LENGTH = 128
"""Exchanges are shorter while training, for time; the judge then reads up to `METHOD.max_length` tokens."""
EXCHANGES = 12_000


def train(
    data: Path, out: Path, progress: Progress, *, exchanges: int = EXCHANGES, seed: int = 0, engine: Engine = "torch"
) -> None:
    """Train the judge into a folder, going on from the checkpoint there.

    Args:
        data: Holds the pool, see `selfj.general.pool.read_pool`.
        out: Where the judge goes.
        progress: Told of every step.
        exchanges: Number of graded exchanges to learn from.
        seed: Of all choices.
        engine: Computes the cosines; `openvino` is the faster.

    Raises:
        ConfigError: There is no pool.
    """
    entries = [entry for entry in read_pool(data) if not (held_out(entry) or counted(entry))]
    examples = draw_examples(entries, exchanges, seed, MOST_PER_SOURCE)
    method = METHOD.model_copy(update={"max_length": TRAINING_LENGTH})
    config = Config(seed=seed, tune={"method": method}, embedder=MiniLM(engine=engine))
    key = content_id("general", method.model_dump(), [(e.teacher, e.quality) for e in examples], seed)
    out.mkdir(parents=True, exist_ok=True)
    tuned = tune.tune(config, examples, out, key, progress)
    digest = _halve(out)
    settings = {"method": method.model_dump(mode="json"), "exchanges": exchanges, "seed": seed}
    manifest = {
        "version": JUDGE_VERSION,
        "key": key,
        "kind": method.kind,
        "label": "constructed",
        "digest": digest,
        "base": tuned.base,
        "base_digest": "",
        "template": None,
        "embedder": tuned.base,
        "rows": exchanges,
        "skipped_too_long": 0,
        "settings": settings,
        "seed": seed,
        "losses": tuned.losses[-1:],
    }
    write_text(out / "README.md", card(entries, exchanges, digest))
    write_json(out / "judge.json", manifest)


def card(entries: list[Entry], exchanges: int, digest: str) -> str:
    """The model card."""
    rows = Counter(entry.source for entry in entries)
    table = "\n".join(f"| {source} | {SOURCES[source]} | {rows[source]:,} |" for source in sorted(rows))
    return _CARD.format(exchanges=exchanges, digest=digest, table=table, most=MOST_PER_SOURCE)


def _halve(out: Path) -> str:
    """Write adapter and head again in 16 bits; returns the digest of their weights."""
    head = head_metadata(METHOD.max_length)
    weights: dict[str, Any] = {}
    for name, metadata in ((ADAPTER_FILE, {"format": "pt"}), (HEAD_FILE, head)):
        state = {key: weight.to(torch.float16) for key, weight in load_file(out / name).items()}
        save_file(state, out / name, metadata=metadata)
        weights |= state
    return weights_digest(weights.items())


_CARD = """# The general judge

Reads an instruction, a response and, where there is one, a reference, and gives a score from 0 to 9. It is MiniLM
(all-MiniLM-L6-v2, 22 M weights, Apache-2.0) with a LoRA adapter and a small head, which are these files.

## What it can tell

* With a reference: whether a response is there, on the subject, whole, in order and no refusal (AUROC 0.99 on damage
  made by the rules of its training, on texts it had not seen), and whether a short answer agrees with the reference
  (0.96 to 0.98 against human verdicts on three systems' answers).
* Without a reference: the same damage at 0.95 on the whole. Empty, repeated and refusing responses are told nearly
  always (0.98 and more), off-topic and garbled ones mostly (0.93), those **cut short less often** (0.85).

## What it cannot do

* **Without a reference it does not know what is true.** A fluent wrong answer scores like a right one.
* It cannot follow reasoning, run code, or check a proof. It has 22 M weights.
* It prefers no style, and was never told what people prefer. Its score is no human verdict.
* It was trained on English. Of more than 512 tokens the longest text loses its middle.
* Words written to please a judge were not part of its training: they gain about a level. Without a reference **an
  instruction said back outranks two real responses of five**, and plain text put in bold loses nearly two levels
  (`selfj audit` on 150 chat responses).
* Its scores are not calibrated for any use: choose a threshold on exchanges like yours before acting on them.

## How it was trained

No person and no model labelled anything. From instructions with references, {exchanges:,} exchanges were made by rule:
references in other forms as complete answers; empty, cut, repeated, off-topic, garbled, refusing, vague and mixed
ones, and such with a wrong number or name, as broken ones, graded by how they were broken. What the teacher saw of
the reference was often a part, another spelling or a longer text. `selfj.general` holds the rules, and
`python -m selfj.general.train` trains it again.

Texts came from these sources, whose stated licence allows it (rows available; at most {most:,} of each counted):

| source | licence | rows |
|---|---|--:|
{table}

Rows that an evaluation set also asks were left out, and one of ten for measuring. `gpteacher_roleplay` was written by
GPT-4 and published under MIT. The licences of the texts are those of their makers; the weights are Apache-2.0.

All figures, with intervals, are in `docs/results/README.md` of the project, from `python -m benchmarks.encoder`.

Digest: `{digest}`
"""


class Printed(Quiet):
    """Prints where the training stands, every 10 steps."""

    def start(self, stage: str, total: int | None, done: int = 0) -> None:
        """Begin at a step."""
        self._done, self._total, self._began, self._first = done, total, time.monotonic(), done

    def advance(self, n: int) -> None:
        """Count steps."""
        self._done += n
        if self._done % 10 == 0:
            each = (time.monotonic() - self._began) / (self._done - self._first)
            print(f"step {self._done} of {self._total}, {each:.2f} s each", flush=True)


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the judge")
    parser.add_argument("--exchanges", type=int, default=EXCHANGES)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--engine", choices=("torch", "openvino"), default="openvino", help="for the cosines")
    options = parser.parse_args()
    if "SELFJ_DATA" not in os.environ:
        raise ConfigError("Set SELFJ_DATA to the folder that holds instruction_pool.parquet.")
    torch.set_num_threads(options.threads)
    data, printed = Path(os.environ["SELFJ_DATA"]), Printed()
    train(data, options.out, printed, exchanges=options.exchanges, seed=options.seed, engine=options.engine)


if __name__ == "__main__":
    main()
