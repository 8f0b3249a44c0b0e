"""`python -m benchmarks.documents [--check]`: the tables of the documents, written from the measured results.

`docs/results/NAME.json` is the last line that `python -m benchmarks.NAME` printed. A document shows it between marks
`<!-- NAME TABLE -->` and `<!-- end -->`. `--check` writes nothing and ends with 1 where a document says anything else.
"""

import argparse
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

from selfj.evaluation import TITLES

ROOT = Path(__file__).parents[1]
DOCUMENTS = ("README.md", "docs/results/README.md")
MARKS = re.compile(r"<!-- (?P<name>\w+) (?P<table>\w+) -->\n.*?<!-- end -->", re.DOTALL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say where a document disagrees")
    options = parser.parse_args()
    stale = [path for path in map(ROOT.joinpath, DOCUMENTS) if renewed(path) != path.read_text("utf-8")]
    for path in stale:
        print(f"{path.relative_to(ROOT)} {'disagrees with docs/results' if options.check else 'written'}")
        if not options.check:
            path.write_text(renewed(path), "utf-8")
    sys.exit(1 if stale and options.check else 0)


def renewed(path: Path) -> str:
    """The text of a document with every table made anew."""
    return MARKS.sub(_block, path.read_text("utf-8"))


def _block(found: re.Match[str]) -> str:
    name, table = found["name"], found["table"]
    measured = json.loads((ROOT / "docs" / "results" / f"{name}.json").read_text("utf-8"))
    return f"<!-- {name} {table} -->\n{TABLES[table](measured)}\n<!-- end -->"


def methods(measured: dict) -> str:
    """Every method's correlation with the truth, those that see no reference first."""
    by_metric = {item["metric"]: item for item in measured["results"]}
    rows = [(title, group, by_metric.get(f"{key}_pearson")) for key, (title, group) in TITLES.items()]
    rows = [row for row in rows if row[2] is not None]
    rows.sort(key=lambda row: (row[1] != "without reference", -row[2]["value"]))
    lines = ["| method | sees the reference | Pearson with the truth |", "|---|---|--:|"]
    for title, group, item in rows:
        low, high = item["interval"]
        bold = "**" if title == "Self-J" else ""
        seen = "yes" if group == "with reference" else "no"
        lines.append(f"| {bold}{title}{bold} | {seen} | {bold}{item['value']:.2f}{bold} [{low:.2f}, {high:.2f}] |")
    return "\n".join(lines)


def figures(measured: dict) -> str:
    """Every figure with its target."""
    lines = [
        f"Commit `{measured['commit']}`, {measured['machine']}.",
        "",
        "| figure | value | interval | target | met |",
        "|---|--:|---|---|---|",
    ]
    for item in measured["results"]:
        value = "–" if item["value"] is None else f"{item['value']:.3f} {item.get('unit', '')}".strip()
        span = "{:.3f} to {:.3f}".format(*item["interval"]) if "interval" in item else ""
        met = {True: "yes", False: "**no**", None: ""}[item.get("ok")]
        lines.append(f"| `{item['metric']}` | {value} | {span} | {item.get('target', '')} | {met} |")
    return "\n".join(lines)


TABLES: dict[str, Callable[[dict], str]] = {"methods": methods, "figures": figures}


if __name__ == "__main__":
    main()
