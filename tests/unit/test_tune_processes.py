"""Several processes learn together what one learns alone, and go on where they were stopped."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("accelerate")

SCRIPT = str(Path(__file__).with_name("tune_in_process.py"))


def launch(folder, kind, how, *, stop=0, processes=2):
    words = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    words = [*words, SCRIPT] if processes > 1 else [SCRIPT]
    environment = {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *words, str(folder), kind, how, str(stop)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    found = folder / "found.json"
    return json.loads(found.read_text()) if found.is_file() else None


@pytest.mark.parametrize(("kind", "how"), [("lora", "alike"), ("full", "sharded")])
def test_two_processes_learn_what_one_learns(tmp_path, kind, how):
    one = launch(tmp_path / "one", kind, how, processes=1)
    two = launch(tmp_path / "two", kind, how)
    parts = [[list(loss.values()) for loss in found["losses"]] for found in (one, two)]
    np.testing.assert_allclose(*parts, atol=2e-3)
    pairs = zip(one["validation"], two["validation"], strict=True)
    assert all(abs(a["loss"] - b["loss"]) < 2e-3 for a, b in pairs)
    if how == "alike":
        return
    assert launch(tmp_path / "stopped", kind, how, stop=3) is None
    assert (tmp_path / "stopped" / "checkpoint.pt").is_file()
    assert launch(tmp_path / "stopped", kind, how) == two
    assert not (tmp_path / "stopped" / "checkpoint.pt").exists()
