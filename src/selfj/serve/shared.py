"""What the workers of one gateway share: a folder with their counters, and how many of them are up."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""Where prometheus_client looks for the folder, when it is imported."""


@dataclass(frozen=True, slots=True)
class State:
    """How the workers stand."""

    workers: int
    """As many as there should be."""
    up: int
    """Those that serve now."""
    restarts: int
    """How often one was started again."""


@dataclass(frozen=True, slots=True)
class Shared:
    """One worker's place among the others."""

    folder: Path
    number: int
    """From 0."""

    def state(self) -> State | None:
        """How the workers stand; None while the parent has not said so."""
        try:
            return State(**json.loads((self.folder / "state.json").read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def metrics(self) -> str:
        """The same for `/metrics`, in the text format of Prometheus."""
        state = self.state()
        if state is None:
            return ""
        found = (
            ("selfj_workers", "gauge", "Processes that should serve.", state.workers),
            ("selfj_workers_up", "gauge", "Processes that serve now.", state.up),
            ("selfj_worker_restarts_total", "counter", "Processes that were started again.", state.restarts),
        )
        return "".join(
            f"# HELP {name} {text}\n# TYPE {name} {kind}\n{name} {value}\n" for name, kind, text, value in found
        )


def write_state(folder: Path, state: State) -> None:
    """Say how the workers stand; a reader sees the old state or the new one."""
    path = folder / "state.json"
    told = path.with_suffix(".new")
    told.write_text(json.dumps(asdict(state)), encoding="utf-8")
    os.replace(told, path)
