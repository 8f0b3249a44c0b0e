"""How good judges become that learn in different ways from the same exchanges of the embedded world."""

import functools
import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np

from benchmarks.tuning import paper
from selfj import config as configs
from selfj import pipeline
from selfj.backends.transformers import CausalModel
from selfj.exchanges import load_exchanges
from selfj.judge import Judge
from selfj.metrics import pearson
from selfj.progress import Quiet
from selfj.records import LABELS
from selfj.settings import Config, LoraTuning
from selfj.store import open_artefact
from selfj.tune import Example, causal, tune
from selfj.tune.packing import packed
from selfj.tune.schedule import Schedule
from selfj.world import quality

VARIANTS: dict[str, dict[str, object]] = {
    "hard": {},
    "soft": {"targets": "soft"},
    "without_sharing": {},
    "one_pass": {"template": "selfj-last"},
    "without_distillation": {"distillation_weight": 0.0},
    "student_alone": {"distillation_weight": 0.0, "teacher_weight": 0.0, "student_weight": 1.0},
    "reverse": {"distillation": "reverse"},
    "symmetric": {"distillation": "symmetric"},
    "warm": {"temperature": 2.0},
}
"""Changes to the demo's way of tuning; `hard` is that way, the paper's loss."""


@dataclass(frozen=True)
class Outcome:
    """Of one judge."""

    student: float
    """Pearson with the truth on test exchanges."""
    teacher: float
    seconds: float
    """Of the processor, for the tuning."""


class World:
    """Exchanges of one seed, labelled."""

    def __init__(self, folder: Path, seed: int, instructions: int):
        overrides = [f"dir={folder}", f"name=seed{seed}", f"seed={seed}", f"collect.name=split{seed}"]
        overrides += [f"collect.source.n={instructions}", f"collect.source.seed={seed}", "sample.variations=0"]
        self.config: Config = configs.load("demo", overrides)
        for verb in ("collect", "sample", "label"):
            pipeline.perform(verb, self.config)
        exchanges = load_exchanges(self.config.path)
        labels = {row.id: row.z for row in open_artefact(self.config.path, LABELS).records() if row.z is not None}
        self.examples = sorted(
            (
                Example(x.id, x.judge_input(with_reference=True), x.judge_input(with_reference=False), labels[x.id])
                for x in exchanges.of("train")
                if x.id in labels
            ),
            key=lambda example: example.id,
        )
        self.test = [x for x in exchanges.of("test") if x.instruction.reference is not None]
        self.truth = np.array(
            [quality(json.loads(x.instruction.meta), x.response.text) for x in self.test], dtype=float
        )
        self.method: LoraTuning = self.config.tune.method.model_copy(update={"validation": 0.0})

    def variant(self, name: str) -> Outcome:
        """Tune in one of the ways of `VARIANTS`."""
        method = self.method.model_copy(update=VARIANTS[name])
        config = self.config.model_copy(update={"tune": self.config.tune.model_copy(update={"method": method})})
        whole = functools.partial(packed, share=False)

        def train(folder: Path) -> None:
            with mock.patch.object(causal, "packed", whole if name == "without_sharing" else packed):
                tune(config, self.examples, folder, name, Quiet())

        return self._measured(train, method.template)

    def paper(self, micro_batch: int) -> Outcome:
        """Tune by the paper's procedure, on the same batches at the same rates."""
        method = self.method
        n = len(self.examples)
        schedule = Schedule(
            np.arange(n),
            [0] * n,
            method.epochs,
            method.batch_size,
            1,
            method.learning_rate,
            method.warmup_steps,
            self.config.seed,
        )
        batches = [schedule.batch(step) for step in range(schedule.steps)]
        factors = [schedule.factor(step) for step in range(schedule.steps)]
        model, seed = self.config.target.model, self.config.seed

        def train(folder: Path) -> None:
            paper.train(model, method, self.examples, batches, factors, folder, micro_batch=micro_batch, seed=seed)

        return self._measured(train, method.template)

    def _measured(self, train: Callable[[Path], None], template: str) -> Outcome:
        folder = self.config.path / "trial"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        began = time.process_time()
        train(folder)
        seconds = time.process_time() - began
        judge = Judge(CausalModel(self.config.target, template=template, adapter=str(folder)))
        student, teacher = judge.score_both([x.judge_input(with_reference=True) for x in self.test])
        found = [
            pearson(np.array([np.nan if s.value is None else s.value for s in scores]), self.truth)
            for scores in (student, teacher)
        ]
        return Outcome(found[0], found[1], seconds)
