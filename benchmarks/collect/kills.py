"""The pool collected, killed at ten random moments: `SELFJ_DATA=FOLDER python -m benchmarks.collect.kills`.

Each time the process and all that it started are killed with SIGKILL at a moment between its start and its usual end,
the same command runs again, and every byte of parts and dropped rows is compared with a collection left alone.
"""

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.collect.data import data_folder
from benchmarks.collect.pool import write_entries
from benchmarks.result import Figure, print_results

TIMES = 10


def main() -> None:
    data = data_folder()
    folder = Path(tempfile.mkdtemp(prefix="selfj-kills-"))
    try:
        settings = write_entries(data, folder)
        began = time.monotonic()
        start(settings, folder / "alone").wait()
        usual = time.monotonic() - began
        wanted, rng = digest(folder / "alone"), random.Random(0)
        killed = same = 0
        for number in range(TIMES):
            out, moment = folder / f"killed-{number}", rng.random() * usual
            process = start(settings, out)
            time.sleep(moment)
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                killed += process.wait() == -signal.SIGKILL
            found = len([path for path in out.rglob("*.parquet") if path.is_file()])
            again = start(settings, out).wait()
            alike = again == 0 and digest(out) == wanted
            same += alike
            print(f"killed after {moment:.1f} of {usual:.1f} s with {found} files: {'the same' if alike else 'OTHER'}")
            shutil.rmtree(out)
        figures = [Figure("kills", killed, "", f">= {TIMES - 1}"), Figure("same_bytes", same, "", f">= {TIMES}")]
        print_results("collect_kills", figures)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def start(settings: Path, out: Path) -> subprocess.Popen:
    command = [sys.executable, "-m", "benchmarks.collect.run", str(settings), str(out)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)


def digest(out: Path) -> str:
    """Of the names and bytes of all parts and dropped rows."""
    whole = hashlib.sha256()
    for path in sorted([*out.glob("parts/*"), *out.glob("dropped/*")]):
        whole.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()


if __name__ == "__main__":
    main()
