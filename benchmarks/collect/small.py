"""A small collection with copies, near copies, contaminated and broken rows, made by a process that may be killed.

`python -m benchmarks.collect.small SETTINGS.toml OUT` makes a collection and prints its digest; its parts are
prepared by processes, however few its rows are.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

LETTERS = "bcdfghklmnprstvw"


def word(rng: random.Random) -> str:
    return "".join(rng.choice(LETTERS) + rng.choice("aeiou") for _ in range(rng.randint(2, 4)))


def sentence(rng: random.Random, least: int = 8, most: int = 30) -> str:
    return "Explain the " + " ".join(word(rng) for _ in range(rng.randint(least, most))) + "?"


def edited(rng: random.Random, text: str) -> str:
    split = text.split()
    for _ in range(rng.randint(1, 2)):
        split[rng.randrange(2, len(split))] = word(rng)
    return " ".join(split)


def write_sources(folder: Path, rows: int = 600, seed: int = 0) -> list[list[dict]]:
    """Three sources and an evaluation set, with copies, near copies and contaminated rows among them."""
    rng = random.Random(seed)
    texts = [sentence(rng) for _ in range(rows // 2)]
    sources: list[list[dict]] = [[], [], []]
    evaluation = [sentence(rng, 12, 20) for _ in range(12)]
    for number in range(rows):
        kind, base = rng.random(), rng.choice(texts)
        text = base if kind < 0.2 else edited(rng, base) if kind < 0.5 else sentence(rng)
        if kind > 0.97:
            text = f"Dear friend, {rng.choice(evaluation)} Thank you"
        if number in (7, 8):
            text = evaluation[number - 7].upper()
        row = {"question": text, "answer": f"Because of {word(rng)}." if rng.random() < 0.5 else None}
        sources[rng.randrange(3)].append(row)
    sources[1][3]["question"] = "   "
    sources[1][4]["question"] = "short"
    for number, held in enumerate(sources):
        lines = [json.dumps(row) for row in held]
        if number == 2:
            lines.insert(5, "{ broken")
        (folder / f"s{number}.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "eval.jsonl").write_text("\n".join(json.dumps({"question": text}) for text in evaluation) + "\n")
    return sources


def tree_of(folder: Path, **more: object) -> dict:
    entry = {"instruction": "question", "reference": "answer", "reference_kind": "mined"}
    sources = [{"name": f"s{n}", "path": str(folder / f"s{n}.jsonl"), **entry} for n in range(3)]
    evaluation = [{"name": "exam", "path": str(folder / "eval.jsonl"), "instruction": "question"}]
    quality = {"languages": ["any"]}
    return {"sources": sources, "evaluation": evaluation, "quality": quality, "rows_per_part": 64, "workers": 1} | more


def snapshot(out: Path) -> dict[str, bytes]:
    found = [*out.glob("parts/*"), *out.glob("dropped/*"), out / "collection.toml"]
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in found}


def command(settings: Path, out: Path) -> list[str]:
    return [sys.executable, "-m", "benchmarks.collect.small", str(settings), str(out)]


def whole(settings: Path, out: Path) -> str:
    """Make a collection in a process of its own, to its end; gives its digest."""
    done = subprocess.run(command(settings, out), env=_environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-3000:])
    return done.stdout.split()[-1]


def killed(settings: Path, out: Path, now: Callable[[float], bool], group: bool) -> bool:
    """Make a collection and kill the process, or all of them, when `now` of the seconds since the start says so.

    Returns:
        Whether it was killed before it came to its end.
    """
    process = subprocess.Popen(
        command(settings, out),
        env=_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    began = time.monotonic()
    while process.poll() is None:
        if now(time.monotonic() - began):
            (os.killpg if group else os.kill)(process.pid, signal.SIGKILL)
            return process.wait() == -signal.SIGKILL
        time.sleep(0.005)
    return False


def _environment() -> dict[str, str]:
    root = Path(__file__).parents[2]
    return {**os.environ, "PYTHONPATH": f"{root}:{root / 'src'}"}


def main() -> None:
    from selfj.collection import make
    from selfj.collection.settings import load_collection

    settings, out = sys.argv[1:3]
    make.PROCESSES_FROM = 0
    print(make.collect(load_collection(settings), Path(out)).digest)


if __name__ == "__main__":
    main()
