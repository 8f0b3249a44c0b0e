"""The last line that every benchmark prints: one JSON object with its figures and what was aimed at."""

import json
import math
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Figure:
    """One measured figure."""

    metric: str
    value: float
    unit: str = ""
    target: str = ""
    """Such as `>= 0.7`; empty where the figure is only reported."""
    interval: tuple[float, float] | None = None

    @property
    def ok(self) -> bool | None:
        """Whether the target is met; None without one."""
        if not self.target:
            return None
        sign, bound = self.target.split()
        if math.isnan(self.value):
            return False
        return self.value >= float(bound) if sign == ">=" else self.value <= float(bound)


def commit() -> str:
    done = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=False)
    changed = subprocess.run(["git", "status", "--porcelain"], capture_output=True, text=True, check=False)
    name = done.stdout.strip() or "unknown"
    return f"{name}+changes" if changed.stdout.strip() else name


def print_results(name: str, figures: Sequence[Figure], *, rows: Sequence[Mapping[str, object]] = ()) -> None:
    """Print a table for a person, then the JSON line; `rows` are what the figures were counted from."""
    for figure in figures:
        mark = {True: "met", False: "MISSED", None: ""}[figure.ok]
        spread = f"  [{figure.interval[0]:.3f}, {figure.interval[1]:.3f}]" if figure.interval else ""
        print(f"{figure.metric:<40} {figure.value:>9.3f} {figure.unit:<4}{spread:<18} {figure.target:<8} {mark}")
    results = []
    for figure in figures:
        entry = {key: value for key, value in asdict(figure).items() if value not in (None, "")}
        entry["value"] = None if math.isnan(figure.value) else round(figure.value, 6)
        if figure.ok is not None:
            entry["ok"] = figure.ok
        results.append(entry)
    machine = f"{platform.machine()}, {os.cpu_count()} cores"
    told = {"name": name, "commit": commit(), "machine": machine, "results": results}
    print(json.dumps(told | ({"rows": list(rows)} if rows else {})))
