"""`python -m benchmarks.documents [--check]`: the tables of the documents, written from the measured results.

`docs/results/NAME.json` is the last line that `python -m benchmarks.NAME` printed. A document shows it between marks
`<!-- NAME TABLE -->` and `<!-- end -->`. `--check` writes nothing and ends with 1 where a document says anything else.
"""

import argparse
import json
import math
import re
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.real.headlines import HEADLINES
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


JUDGES = {
    "general_reference": "general, reference in view",
    "general": "general",
    "cosine_reference": "cosine with the reference",
    "cosine": "cosine with the instruction",
    "coverage_reference": "coverage",
    "overlap_reference": "overlap",
    "contains_reference": "holds it",
    "length": "length",
    "oracle": "oracle",
}
"""Words of the scorers in names of figures, and their titles."""
KINDS = {
    "sets": (r"(?P<row>[\w.-]+)_(?P<judge>{})_pearson", "set"),
    "pairs": (r"(?P<row>[\w.-]+)_(?P<judge>{})_accuracy", "set"),
    "short": (r"evouna_(?P<row>\w+?)_(?P<judge>{})_auroc", "answers of"),
    "ranks": (r"alpacaeval_(?P<row>v[12](?:_no_null)?)_(?P<judge>{})(?P<lc>_lc)?_spearman", "leaderboard"),
    "picks": (r"best_of_16_(?P<row>v[12])_(?P<judge>{})_gain", "preferences"),
}


def matrix(kind: str) -> Callable[[dict], str]:
    """A table of sets by judges, each cell a figure with its interval."""
    pattern, head = KINDS[kind]
    words = "|".join(JUDGES)

    def table(measured: dict) -> str:
        cells: dict[str, dict[str, str]] = {}
        for item in measured["results"]:
            found = re.fullmatch(pattern.format(words), item["metric"])
            if found is None or item["value"] is None:
                continue
            row = found["row"] + (" (length held equal)" if found.groupdict().get("lc") else "")
            ends = item.get("interval") or (math.nan,)
            span = "" if any(map(math.isnan, ends)) else " [{:.2f}, {:.2f}]".format(*ends)
            cells.setdefault(row.replace("_", " "), {})[found["judge"]] = f"{item['value']:.2f}{span}"
        used = [judge for judge in JUDGES if any(judge in row for row in cells.values())]
        lines = [
            f"Commit `{measured['commit']}`, {measured['machine']}.",
            "",
            f"| {head} | {' | '.join(JUDGES[judge] for judge in used)} |",
            f"|---|{'--:|' * len(used)}",
        ]
        lines += [f"| {row} | {' | '.join(own.get(judge, '–') for judge in used)} |" for row, own in cells.items()]
        return "\n".join(lines)

    return table


def headlines(measured: dict) -> str:
    """The figures that have a target or stand for a whole part."""
    names = set(HEADLINES)
    return figures({**measured, "results": [item for item in measured["results"] if item["metric"] in names]})


def faults(measured: dict) -> str:
    """What came of each fault of the gateway; ways of replying of which the same came share a line."""
    lines = [
        f"Commit `{measured['commit']}`, {measured['machine']}.",
        "",
        "| fault | reply | status and code | what the caller reads | recorded | slowest | good after | unjudged |",
        "|---|---|---|---|---|--:|--:|--:|",
    ]
    alike: dict[tuple, list[dict]] = {}
    for row in measured["rows"]:
        key = (row["fault"], *("; ".join(sorted(row[name])) for name in ("came", "recorded")), row["saw"])
        alike.setdefault(key, []).append(row)
    for (fault, came, recorded, saw), rows in alike.items():
        known = [row["recovered_s"] for row in rows]
        after = "never" if None in known else f"{max(known):.2f} s"
        ends = f"{max(row['latency_s'] for row in rows):.2f} s | {after} | {sum(row['unjudged'] for row in rows)}"
        modes = ", ".join(row["mode"] for row in rows)
        lines.append(f"| {fault} | {modes} | {came} | {saw.rstrip('.')} | {recorded} | {ends} |")
    return "\n".join(lines)


TABLES: dict[str, Callable[[dict], str]] = {
    "methods": methods,
    "figures": figures,
    "headlines": headlines,
    "faults": faults,
}
TABLES |= {kind: matrix(kind) for kind in KINDS}


if __name__ == "__main__":
    main()
