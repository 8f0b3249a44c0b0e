"""Rows of the real sets as plain columns; they stay outside the project, in the folder that `SELFJ_DATA` names."""

import os
import random
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from selfj.backends.base import JudgeInput

FILES = (
    "labels_pointwise.parquet",
    "labels_pairwise.parquet",
    "alpacaeval_outputs.parquet",
    "alpacaeval_gpt4.parquet",
    "alpacaeval_references.parquet",
    "alpacaeval_leaderboard.parquet",
)
ANNOTATORS = {"v1": ("alpaca_eval_gpt4",), "v2": ("weighted_alpaca_eval_gpt4_turbo",)}
"""Whose preferences make each leaderboard."""


def find_data() -> Path:
    folder = Path(os.environ.get("SELFJ_DATA", ""))
    absent = [name for name in FILES if not (folder / name).is_file()]
    if "SELFJ_DATA" not in os.environ or absent:
        sys.exit(f"skipped: set SELFJ_DATA to the folder that holds {', '.join(absent or FILES)}")
    return folder


@dataclass(frozen=True)
class Labelled:
    """One set with absolute labels."""

    name: str
    exchanges: list[JudgeInput]
    gold: np.ndarray
    groups: np.ndarray


@dataclass(frozen=True)
class Pairs:
    """One set of pairs."""

    name: str
    first: list[JudgeInput]
    second: list[JudgeInput]
    preferred: np.ndarray
    """1 where the first is better, 0 where the second is, 0.5 for a tie."""
    groups: np.ndarray


@dataclass(frozen=True)
class Outputs:
    """Outputs of many models for the same instructions."""

    models: np.ndarray
    instructions: np.ndarray
    """Number of the instruction."""
    exchanges: list[JudgeInput]
    """The reference is what GPT-4 wrote."""
    win_rates: dict[str, dict[str, float]]
    """By version and model, in percent."""
    preferences: dict[str, dict[tuple[str, int], float]]
    """By version, model and instruction: in [0, 1], over the version's baseline."""


def pointwise(data: Path, most: int) -> list[Labelled]:
    columns = ["dataset", "scorer", "model", "instruction", "response", "reference", "score01"]
    sets: dict[str, list[dict]] = defaultdict(list)
    for row in pq.read_table(data / "labels_pointwise.parquet", columns=columns).to_pylist():
        if row["score01"] is not None:
            sets[f"{row['dataset']}_{row['scorer']}"].append(row)
    return [_labelled(name, sampled(rows, most)) for name, rows in sorted(sets.items())]


def short_answers(data: Path, most: int) -> list[Labelled]:
    """EVOUNA: right and wrong short answers of three systems, by people's verdicts."""
    columns = ["dataset", "model", "instruction", "response", "reference", "score01"]
    rows = pq.read_table(data / "labels_pointwise.parquet", columns=columns).to_pylist()
    sets: dict[str, list[dict]] = defaultdict(list)
    for row in rows:
        if row["dataset"] == "evouna_human":
            sets[row["model"]].append(row)
    return [_labelled(name, sampled(found, most)) for name, found in sorted(sets.items())]


def pairwise(data: Path, most: int) -> list[Pairs]:
    sets: dict[str, list[dict]] = defaultdict(list)
    for row in pq.read_table(data / "labels_pairwise.parquet").to_pylist():
        sets[row["dataset"]].append(row)
    made = []
    for name, rows in sorted(sets.items()):
        some = sampled(rows, most)
        first, second = (
            [JudgeInput(row["instruction"], row[side], row["reference"] or None) for row in some]
            for side in ("response_a", "response_b")
        )
        preferred = np.array([row["pref_a"] for row in some], dtype=float)
        made.append(Pairs(name, first, second, preferred, np.array([row["instruction"] for row in some])))
    return made


def outputs(data: Path, most: int) -> Outputs:
    """Outputs of the models that GPT-4 annotated, for at most so many instructions."""
    references = pq.read_table(data / "alpacaeval_references.parquet").to_pylist()
    kept = set(random.Random(0).sample(range(len(references)), min(most, len(references))))
    by_number = {row["instruction_id"]: row["gpt4_1106_preview"] for row in references}
    boards = pq.read_table(data / "alpacaeval_leaderboard.parquet").to_pylist()
    rates = {
        version: {row["model"]: row["win_rate"] for row in boards if _stands(row, version)} for version in ANNOTATORS
    }
    named = set().union(*rates.values())
    columns = ["model", "instruction_id", "instruction", "output"]
    rows = [
        row
        for row in pq.read_table(data / "alpacaeval_outputs.parquet", columns=columns).to_pylist()
        if row["model"] in named and row["instruction_id"] in kept
    ]
    annotated = pq.read_table(data / "alpacaeval_gpt4.parquet").to_pylist()
    preferences = {
        version: {
            (row["model"], row["instruction_id"]): row["preference"]
            for row in annotated
            if row["annotator"] in names and row["output_if_differs"] is None and row["preference"] is not None
        }
        for version, names in ANNOTATORS.items()
    }
    exchanges = [JudgeInput(r["instruction"], r["output"] or "", by_number[r["instruction_id"]]) for r in rows]
    models = np.array([row["model"] for row in rows])
    return Outputs(models, np.array([row["instruction_id"] for row in rows]), exchanges, rates, preferences)


def sampled(rows: Sequence[dict], most: int) -> list[dict]:
    """At most so many rows, the same every time."""
    return list(rows) if len(rows) <= most else random.Random(0).sample(rows, most)


def _labelled(name: str, rows: Sequence[dict]) -> Labelled:
    exchanges = [JudgeInput(row["instruction"], row["response"], row["reference"] or None) for row in rows]
    gold = np.array([row["score01"] for row in rows], dtype=float)
    return Labelled(name, exchanges, gold, np.array([row["instruction"] for row in rows]))


def _stands(row: dict, version: str) -> bool:
    return bool(row["version"] == version and row["has_annotations"] and row["has_outputs"])
