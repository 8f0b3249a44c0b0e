"""The verbs by name, and `run`, which performs them all in order."""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfj import config as configs
from selfj.errors import Infeasible
from selfj.files import first_process, locked, write_text
from selfj.progress import Progress, Quiet
from selfj.report import Report, text
from selfj.report.following import of_report
from selfj.report.text import inline
from selfj.settings import Config
from selfj.stages.calibrate import calibrate
from selfj.stages.collect import collect
from selfj.stages.evaluate import evaluate
from selfj.stages.label import label
from selfj.stages.sample import sample
from selfj.stages.score import score
from selfj.stages.sft import sft
from selfj.stages.tune import tune

__all__ = [
    "VERBS",
    "Outcome",
    "calibrate",
    "collect",
    "evaluate",
    "label",
    "perform",
    "run",
    "sample",
    "score",
    "sft",
    "tune",
]

VERBS: dict[str, Callable[..., Any]] = {
    "collect": collect,
    "sample": sample,
    "label": label,
    "tune": tune,
    "score": score,
    "calibrate": calibrate,
    "evaluate": evaluate,
}
ASIDE: dict[str, Callable[..., Any]] = {"sft": sft}
"""Verbs that `run` leaves out."""
RETRYING = ("sample", "label", "score")
"""Verbs whose failed rows can be made again."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run ended with."""

    path: Path
    """Folder of the run."""
    report: Report

    def table(self) -> str:
        """All methods with their metrics, then how they choose what to answer, as Markdown."""
        more = [f"## {inline(grid.title)}\n\n{grid.markdown()}" for grid in of_report(self.report)]
        return "\n".join([text.markdown(self.report), *more])

    def summary(self) -> str:
        """What was answered, what was declined and at which risk, in a few sentences."""
        return "\n".join(text.summary(self.report))


def perform(
    verb: str,
    config: Config,
    *,
    force: bool = False,
    retry_failed: bool = False,
    progress: Progress | None = None,
) -> Any:
    """Perform one stage on its run, with the run's folder held for this process and its settings written down."""
    with locked(config.path):
        _write_settings(config)
        options: dict[str, Any] = {"force": force, "progress": progress or Quiet()}
        if verb in RETRYING:
            options["retry_failed"] = retry_failed
        return {**VERBS, **ASIDE}[verb](config, **options)


def run(
    source: str | Path | Config,
    overrides: Sequence[str] = (),
    *,
    force: bool = False,
    retry_failed: bool = False,
    progress: Progress | None = None,
) -> Outcome:
    """Perform every stage in order; what is already done is left as it is.

    Args:
        source: A config, or what `selfj.config.load` takes: a TOML file, a run's folder, or a name such as `demo`.
        overrides: Settings such as `seed=3`.
        force: Make everything again.
        retry_failed: Make rows that failed again.
        progress: Told how far the work is.

    Returns:
        The run's folder and its report. Where no threshold meets the target, `report["selective"]["infeasible"]`
        says why, and every exchange is declined.

    Raises:
        SelfjError: See `selfj.errors`.
    """
    config = source if isinstance(source, Config) else configs.load(source, overrides)
    result: Any = None
    for verb in VERBS:
        # That no threshold meets the target is a result; the report tells it.
        with contextlib.suppress(Infeasible):
            result = perform(verb, config, force=force, retry_failed=retry_failed, progress=progress)
    return Outcome(config.path, result)


def _write_settings(config: Config) -> None:
    path, text = config.path / "run.toml", configs.dump(config)
    if first_process() and (not path.is_file() or path.read_text(encoding="utf-8") != text):
        write_text(path, text)
