"""Trainings interrupted at random steps and run again: are the weights, to the bit, those of an undisturbed one?"""

import os
import random
import signal
from collections.abc import Callable
from pathlib import Path

from selfj.errors import Stopped
from selfj.progress import Quiet
from selfj.settings import Config
from selfj.tune import Example, tune


class _Stops(Quiet):
    def __init__(self, step: int, stop: Callable[[], None]):
        self.left, self.stop = step, stop

    def advance(self, n: int) -> None:
        self.left -= 1
        if self.left == 0:
            self.stop()


def _break() -> None:
    raise RuntimeError("the process dies here")


def _ask() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def measure(config: Config, examples: list[Example], folder: Path, *, times: int, seed: int) -> tuple[int, int]:
    """Interrupt a training at random steps, half by a signal and half by an error; returns times hit and unlike."""

    def whole(name: str, progress: Quiet | None = None) -> str:
        (folder / name).mkdir(parents=True, exist_ok=True)
        return tune(config, examples, folder / name, "resume", progress or Quiet()).digest

    expected = whole("undisturbed")
    steps = config.tune.method.epochs * -(-len(examples) // config.tune.method.batch_size)
    rng = random.Random(seed)
    hit = unlike = 0
    for number in range(times):
        stops = _Stops(rng.randrange(1, steps), _ask if number % 2 else _break)
        try:
            whole(f"trial{number}", stops)
        except (Stopped, RuntimeError):
            hit += 1
        unlike += whole(f"trial{number}") != expected
    return hit, unlike
