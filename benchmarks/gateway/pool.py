"""Instructions of the embedded world, what its small Llama and a stronger model say, the scores and the truth."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from selfj import config as configs
from selfj import pipeline
from selfj.backends.base import JudgeInput
from selfj.exchanges import load_exchanges
from selfj.judge import load_judge
from selfj.records import hash_fraction
from selfj.world import quality

STRONGER = 0.6
"""Share of instructions that the stronger model answers with the reference; else it answers like the small Llama."""


@dataclass(frozen=True)
class Pool:
    """What every model says to m instructions, judged and graded."""

    digest: str
    """Of the judge."""
    instructions: list[str]
    texts: list[list[str]]
    """Drafts of each instruction, the stronger model's at the end."""
    scores: np.ndarray
    """Shape (m, drafts + 1), in [0, 9]; NaN where there is none."""
    truths: np.ndarray
    """Shape (m, drafts + 1), in [0, 9]."""

    def save(self, path: Path) -> None:
        value = {"digest": self.digest, "instructions": self.instructions, "texts": self.texts}
        scores = [[None if np.isnan(score) else score for score in row] for row in self.scores.tolist()]
        path.write_text(json.dumps(value | {"scores": scores, "truths": self.truths.tolist()}))

    @classmethod
    def load(cls, path: Path) -> "Pool":
        value = json.loads(path.read_text())
        arrays = {name: np.array(value.pop(name), dtype=float) for name in ("scores", "truths")}
        return cls(**value, **arrays)


def judge_run(folder: Path, instructions: int) -> Path:
    """A judge of the world as the demo tunes it, on fewer exchanges."""
    settings = [f"dir={folder}", "name=judge", f"collect.source.n={instructions}", "sample.variations=0"]
    config = configs.load("demo", settings)
    for verb in ("collect", "sample", "label", "tune"):
        pipeline.perform(verb, config)
    return config.path


def make_pool(run: Path, folder: Path, instructions: int, drafts: int) -> Pool:
    """Draw instructions that the judge never saw; answer, judge and grade them."""
    settings = [f"dir={folder}", "name=pool", "seed=78", "collect.source.seed=78", "collect.calibration=1"]
    settings += [f"collect.source.n={instructions}", "collect.train=0", "sample.variations=0"]
    settings += [f"sample.responses={drafts + 1}"]
    config = configs.load("demo", settings)
    shutil.rmtree(config.path, ignore_errors=True)
    for verb in ("collect", "sample"):
        pipeline.perform(verb, config)
    said: dict[str, list[str]] = {}
    known = {}
    for exchange in load_exchanges(config.path).answers:
        known[exchange.instruction.id] = exchange.instruction
        said.setdefault(exchange.instruction.id, []).append(exchange.response.text)
    rows = [key for key, texts in said.items() if len(texts) == drafts + 1]
    for key in rows:
        if hash_fraction("stronger", key) < STRONGER:
            said[key][-1] = known[key].reference
    judge = load_judge(run / "judge", configs.load(run))
    inputs = [JudgeInput(known[key].question(), text) for key in rows for text in said[key]]
    scores = [np.nan if score.value is None else score.value for score in judge.score(inputs)]
    truths = [float(quality(json.loads(known[key].meta), text)) for key in rows for text in said[key]]
    shape = (len(rows), drafts + 1)
    return Pool(
        judge.digest,
        [known[key].question() for key in rows],
        [said[key] for key in rows],
        np.array(scores).reshape(shape),
        np.array(truths).reshape(shape),
    )
