"""`kill -9` at random moments of a run, then the same command again: the same digests as an undisturbed run."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from selfj.records import INSTRUCTIONS, LABELS, RESPONSES, SCORES
from selfj.store import open_artefact

SMALL = ["collect.source.n=300", "tune.method.epochs=1", "tune.method.checkpoint_steps=1", "part_size=50"]
"""A short run on the real model, with many parts and checkpoints to be killed between."""


def digests(run: Path) -> dict[str, str]:
    """Everything that a run computes, by name."""
    found = {kind.name: open_artefact(run, kind).digest for kind in (INSTRUCTIONS, RESPONSES, LABELS, SCORES)}
    found["judge"] = json.loads((run / "judge" / "judge.json").read_text())["digest"]
    found["threshold"] = (run / "threshold.json").read_text()
    return found


def command(folder: Path, name: str, overrides: list[str]) -> list[str]:
    settings = [f"dir={folder}", f"name={name}", *overrides]
    words = [word for setting in settings for word in ("--set", setting)]
    return [sys.executable, "-c", "from selfj.cli import main; main()", "run", "demo", *words]


def whole(folder: Path, name: str, overrides: list[str]) -> float:
    """Run to the end; gives the seconds. Without a threshold the exit code is 4, and the run is whole."""
    started = time.monotonic()
    done = subprocess.run(command(folder, name, overrides), capture_output=True, text=True, check=False)
    if done.returncode not in (0, 4):
        raise RuntimeError(f"selfj run ended with {done.returncode}: {done.stderr[-2000:]}")
    return time.monotonic() - started


def killed(folder: Path, name: str, overrides: list[str], when: Callable[[], bool]) -> bool:
    """Start a run and kill it when told to; whether it was still at work then."""
    started = subprocess.Popen(
        command(folder, name, overrides),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        while started.poll() is None:
            if when():
                return True
            time.sleep(0.002)
        return False
    finally:
        if started.poll() is None:
            os.killpg(started.pid, signal.SIGKILL)
            started.wait()


def files(run: Path) -> int:
    """Number of files that a run has written so far; a folder that the run renames while one looks counts nothing."""
    return sum(len(names) for _, _, names in os.walk(run))


def other_part_sizes(folder: Path, sizes: Sequence[int], overrides: list[str] = SMALL) -> int:
    """Run once more as it is and once with each part size; how many of them end differently."""
    whole(folder, "parts", overrides)
    wanted = digests(folder / "parts")
    wrong = 0
    for name, more in [("again", []), *((f"parts{size}", [f"part_size={size}"]) for size in sizes)]:
        whole(folder, name, [*overrides, *more])
        wrong += digests(folder / name) != wanted
    return wrong


def differing(folder: Path, times: int, overrides: list[str] = SMALL, seed: int = 0) -> tuple[int, int]:
    """Kill so many runs, each once at a random moment, and rerun; how many were killed, and how many then differ."""
    whole(folder, "undisturbed", overrides)
    wanted = digests(folder / "undisturbed")
    seconds = whole(folder, "warm", overrides)
    rng = random.Random(seed)
    hit = wrong = 0
    for number in range(times):
        name = f"killed{number}"
        moment = rng.uniform(0, seconds)
        end = time.monotonic() + moment
        hit += killed(folder, name, overrides, lambda end=end: time.monotonic() > end)
        whole(folder, name, overrides)
        same = digests(folder / name) == wanted
        wrong += not same
        print(f"kill {number + 1} of {times} after {moment:.1f} s: {'same' if same else 'DIFFERENT'}", flush=True)
    return hit, wrong
