"""`python -m benchmarks.judge_stream [--quick] [--out FOLDER]`: memory of `selfj judge` over a long stream.

A process of its own judges a file of exchanges of very different lengths; its resident memory is read as it goes. The
figure is how much more it holds over the last fifth of the rows than between 10 % and 30 % of them, after the warm-up.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import matplotlib
import numpy as np

from benchmarks.result import Figure, print_results

matplotlib.use("Agg")
from matplotlib import pyplot as plt

ROWS, QUICK_ROWS = 100_000, 10_000
_EVERY_S = 0.05


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_ROWS:,} exchanges instead of {ROWS:,}")
    parser.add_argument("--out", type=Path, help="put the plot judge_memory.png here")
    parser.add_argument("--run", help="take the judge of this run instead of the fake one")
    parser.add_argument("--judge", help="take the judge in this folder instead of the fake one")
    options = parser.parse_args()
    rows = QUICK_ROWS if options.quick else ROWS
    judge = ["--set", "target.kind=fake"]
    if options.run or options.judge:
        judge = ["--run", options.run] if options.run else ["--judge", options.judge]
    with tempfile.TemporaryDirectory(prefix="selfj-judge-") as folder:
        print_results("judge_stream", measure(Path(folder), rows, judge, options.out))


def measure(folder: Path, rows: int, judge: list[str], out: Path | None) -> list[Figure]:
    source, judged = folder / "in.jsonl", folder / "out.jsonl"
    write_exchanges(source, rows)
    samples, seconds = watch([*judge, str(source), "--out", str(judged)], judged)
    done = judged.read_bytes().count(b"\n")
    if done != rows:
        sys.exit(f"{rows} lines went in and {done} came out")
    times, mib, written = np.array(samples).T
    if out is not None:
        plot(times, mib, rows, out)
    share = written / judged.stat().st_size
    early = float(np.median(mib[(share > 0.1) & (share <= 0.3)]))
    late = float(np.median(mib[share > 0.8]))
    print(
        f"{rows:,} exchanges, {source.stat().st_size / 2**20:.0f} MiB in, {judged.stat().st_size / 2**20:.0f} MiB out"
    )
    return [
        Figure("rss_growth_mib", late - early, "MiB", "<= 16"),
        Figure("rss_peak_mib", float(mib.max()), "MiB"),
        Figure("rows_per_second", rows / seconds, "1/s"),
        Figure("rows", rows),
    ]


def write_exchanges(path: Path, rows: int) -> None:
    """Exchanges of 100 to 6,000 characters, conversations among them, and one bad line in a thousand."""
    rng = random.Random(0)
    words = ["the", "of", "question", "answer", "number", "city", "seven", "because", "under", "paper", "it", "is"]
    with path.open("w", encoding="utf-8") as file:
        for n in range(rows):
            text = " ".join(rng.choices(words, k=round(20 * 60 ** rng.random())))
            row: dict[str, object] = {"id": n, "question": f"Number {n}: {text[:300]}?", "response": text}
            if n % 7 == 0:
                row["system"] = "Be brief."
            file.write("{cut\n" if n % 1000 == 999 else json.dumps(row) + "\n")


def watch(arguments: list[str], out: Path) -> tuple[list[tuple[float, float, int]], float]:
    """Run `selfj judge`; returns samples of (seconds, resident MiB, bytes written) and the seconds that it took."""
    started = time.monotonic()
    command = [sys.executable, "-c", "from selfj.cli import main; main()", "judge", *arguments]
    samples: list[tuple[float, float, int]] = []
    with subprocess.Popen(command) as process:
        while process.poll() is None:
            if (held := resident(process.pid)) is not None:
                samples.append((time.monotonic() - started, held, out.stat().st_size if out.exists() else 0))
            time.sleep(_EVERY_S)
    if process.returncode:
        sys.exit(f"selfj judge ended with exit code {process.returncode}")
    return samples, time.monotonic() - started


def resident(pid: int) -> float | None:
    """Resident memory of a process in MiB; None once it has ended."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    lines = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(lines[0].split()[1]) / 1024 if lines else None


def plot(times: np.ndarray, mib: np.ndarray, rows: int, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
    axes.plot(times, mib, linewidth=1.5)
    axes.set(xlabel="seconds", ylabel="resident memory (MiB)", ylim=(0, 1.15 * mib.max()))
    axes.set_title(f"selfj judge over {rows:,} exchanges", loc="left")
    axes.grid(alpha=0.3)
    figure.savefig(out / "judge_memory.png", dpi=150)
    print(f"plot: {out / 'judge_memory.png'}")


if __name__ == "__main__":
    main()
