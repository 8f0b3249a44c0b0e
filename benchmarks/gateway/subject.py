"""A gateway to be tried hard, with store and page as `selfj serve` has: `python -m benchmarks.gateway.subject CONFIG`.

CONFIG is a JSON file with `settings` of the gateway, `store`, and perhaps `mood`: a file whose word says how the judge
behaves at the moment, so that a fault can begin and end while the gateway runs.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.gateway.upstream import WRONG
from selfj.judge import Score
from selfj.risk import Threshold
from selfj.serve.app import Gateway, create_app
from selfj.serve.metrics import Metrics
from selfj.serve.page import Page
from selfj.serve.recorder import StoreRecorder
from selfj.serve.run import ServedRun
from selfj.serve.server import serve
from selfj.serve.settings import ServeSettings
from selfj.serve.store import Store

GOOD, BAD = 8.0, 1.0
_THRESHOLD = Threshold(5.0, 0.1, 0.95, 5.0, 0.5, 0.05, 0.1, 100, 50, "z", "moody", "d")
_LONGEST_HANG_S = 60.0
_SLOW_S = 0.2


class MoodyJudge:
    """Rates by the response's first word, or fails as its file says."""

    name, digest = "moody", "moody"

    def __init__(self, mood: str | None):
        self._mood = Path(mood) if mood else None

    def score(self, inputs):
        mood = self._read()
        end = time.monotonic() + _LONGEST_HANG_S
        while mood == "hangs" and time.monotonic() < end:
            time.sleep(0.02)
            mood = self._read()
        if mood == "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        if mood == "raises":
            raise RuntimeError("out of memory")
        if mood == "slow":
            time.sleep(_SLOW_S)
        return [self._one(item.response, mood) for item in inputs]

    def _read(self) -> str:
        return self._mood.read_text() if self._mood else ""

    def _one(self, response: str, mood: str) -> Score:
        if mood == "mass":
            return Score(None, None, 0.1, self.name, "low_label_mass")
        value = BAD if response.startswith(WRONG) else GOOD
        levels = tuple(float(level == value) for level in range(10))
        return Score(value, levels, 1.0, self.name)


def _parts(settings: ServeSettings, store: Store, folder: Path) -> tuple[StoreRecorder, dict[str, Any]]:
    """A recorder, and what a gateway with a page takes besides."""
    (folder / "threshold.json").write_text(_THRESHOLD.to_json())
    # One in five is bad, as the load generator asks.
    scores, labels = (np.repeat(ends, [40, 160]) for ends in ((BAD, GOOD), (0.0, 9.0)))
    page = Page(store, ServedRun("gateway", _THRESHOLD, None, 0.1, 5.0, scores, labels))
    recorder, metrics = StoreRecorder(store, keep_bodies=settings.keep_bodies), Metrics()
    recorder.counted = metrics.watch_store(lambda: recorder.waiting)
    more = {"extra_routes": page.routes(), "open_paths": ["/"], "more_metrics": [page.metrics], "metrics": metrics}
    return recorder, more


def application(settings: ServeSettings, store: Store, folder: Path) -> Gateway:
    """The same gateway in this process, without a socket."""
    recorder, more = _parts(settings, store, folder)
    return create_app(settings, MoodyJudge(None), recorder, **more)


def main() -> None:
    config = json.loads(Path(sys.argv[1]).read_text())
    folder = Path(sys.argv[1]).parent
    settings = ServeSettings(run=str(folder), **config["settings"])
    with Store(config["store"]) as store:
        recorder, more = _parts(settings, store, folder)
        judge = MoodyJudge(config.get("mood"))
        serve(settings, judge, recorder, **more, ready=lambda url: print(url.rpartition(":")[2], flush=True))


class Process:
    """A gateway in a process of its own."""

    def __init__(self, folder: Path, settings: Mapping[str, Any], store: str, *, mood: bool = False):
        """Write its config into a folder; `start` runs it."""
        self.folder, self.store = folder, store
        self.mood = folder / "mood"
        self._config = folder / "subject.json"
        config = {"settings": {"port": 0, **settings}, "store": store}
        if mood:
            self.behave("")
            config["mood"] = str(self.mood)
        self._config.write_text(json.dumps(config))
        self.port = 0

    def start(self, *before: str) -> "Process":
        """Start it, behind the words of a command such as `prlimit`, on the port it had before."""
        config = json.loads(self._config.read_text())
        config["settings"]["port"] = self.port or config["settings"]["port"]
        self._config.write_text(json.dumps(config))
        command = [*before, sys.executable, "-m", "benchmarks.gateway.subject", str(self._config)]
        with (self.folder / "gateway.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the gateway did not start: {(self.folder / 'gateway.log').read_text()[-500:]}")
        self.port = int(line)
        return self

    def behave(self, mood: str) -> None:
        """Change how the judge behaves from now on."""
        part = self.mood.with_suffix(".part")
        part.write_text(mood)
        part.replace(self.mood)

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.wait(30)

    def stop(self) -> None:
        """End it in order."""
        self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(20)
        self.process.kill()
        self.process.wait(20)


if __name__ == "__main__":
    main()
