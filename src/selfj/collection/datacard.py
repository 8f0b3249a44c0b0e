"""The card of a collection: a README whose head the model hub reads, made from the collection's numbers alone."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from selfj.report.text import inline, percent, plain

_SIZES = ((1e3, "n<1K"), (1e4, "1K<n<10K"), (1e5, "10K<n<100K"), (1e6, "100K<n<1M"), (1e7, "1M<n<10M"))
_SPDX = {
    "apache-2.0", "mit", "cc", "cc0-1.0", "cc-by-2.0", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0",
    "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0", "bsd-3-clause", "gpl-3.0", "odc-by", "odbl",
    "pddl", "openrail", "afl-3.0", "unknown",
}  # fmt: skip
"""Licences that the hub has a word for."""
_TAGS = ("selfj", "instructions", "deduplicated")
_COLUMNS = (
    ("id", "content hash of the row"),
    ("instruction", "what is asked; repaired, never rewritten"),
    ("reference", "an answer from the source, or null"),
    ("category", "common, coding or academic"),
    ("category_by", "whether the source or the classifier gave the category"),
    ("source", "name in the table below"),
    ("position", "row in the source, from 0"),
    ("language", "code of two letters; null where it cannot be told"),
    ("copies", "rows that were dropped as duplicates of this one"),
    ("copy_sources", "the sources of those"),
)
_REASONS = {
    "duplicate": "the same words as a row that is kept",
    "near_duplicate": "nearly the same words as a row that is kept",
    "contaminated": "equals, nearly equals or holds an instruction of an evaluation set",
    "empty_instruction": "nothing is asked",
    "too_short": "the instruction is too short",
    "too_long": "the instruction is too long",
    "wrong_language": "in a language that is not wanted",
    "mostly_symbols": "hardly any letters",
    "boilerplate": "text around a web page, or a deleted post",
    "repetition": "the same words again and again",
    "truncated": "stops in the middle",
    "not_standalone": "points to something that is absent",
    "toxic": "holds a word of the given list",
    "personal_data": "holds personal data",
    "reference_too_long": "the reference is too long",
    "bad_reference": "the reference says nothing",
}
_KINDS = {
    "gold": "written as the answer",
    "accepted": "accepted on a forum",
    "voted": "voted for on a forum",
    "mined": "mined from text",
    "generated": "written by a model",
}


def write_datacard(numbers: Mapping[str, Any], configs: Sequence[tuple[str, str]], *, title: str | None = None) -> str:
    """Write the card.

    Args:
        numbers: The content of a collection's `report.json`.
        configs: Name and pattern of the data files of each form, the default first.
        title: Heads the card; None takes the collection's name.

    Returns:
        Markdown with a head in YAML.
    """
    used = [source for source in numbers["sources"] if source["kept"]]
    parts = [_head(numbers, used, configs), f"# {inline(title or numbers['name'])}\n", _opening(numbers, used)]
    parts += [
        *_columns(),
        *_categories(numbers),
        *_sources(used),
        *_dropped(numbers),
        *_limits(numbers),
        *_origin(numbers),
    ]
    return plain("\n".join(parts)).rstrip() + "\n"


def _head(numbers: Mapping[str, Any], used: Sequence[Mapping[str, Any]], configs: Sequence[tuple[str, str]]) -> str:
    licences = sorted({_hub_licence(source["licence"]) for source in used}) or ["unknown"]
    languages = [e["language"] for e in numbers["languages"] if len(e["language"]) == 2]
    fields: dict[str, Any] = {
        "license": licences[0] if len(licences) == 1 else licences,
        "language": languages or ["en"],
        "size_categories": [size_category(numbers["kept"])],
        "task_categories": ["text-generation", "question-answering"],
        "tags": list(_TAGS),
        "configs": [
            {
                "config_name": name,
                "data_files": [{"split": "train", "path": pattern}],
                **({"default": True} if not place else {}),
            }
            for place, (name, pattern) in enumerate(configs)
        ],
    }
    # Every value is written as JSON, which YAML reads.
    lines = [f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in fields.items()]
    return "\n".join(["---", *lines, "---", ""])


def size_category(rows: int) -> str:
    """The hub's word for so many rows.

    Example:
        >>> size_category(999), size_category(1000), size_category(5_754_412)
        ('n<1K', '1K<n<10K', '1M<n<10M')
    """
    return next((word for limit, word in _SIZES if rows < limit), "10M<n<100M" if rows < 1e8 else "100M<n<1B")


def _hub_licence(licence: str) -> str:
    word = licence.strip().lower()
    return word if word in _SPDX else "other"


def _opening(numbers: Mapping[str, Any], used: Sequence[Mapping[str, Any]]) -> str:
    references = numbers["with_reference"]
    share = percent(references / numbers["kept"] if numbers["kept"] else None)
    return (
        f"{numbers['kept']:,} instructions from {counted(len(used), 'source')}, {references:,} of them ({share}) "
        f"with a reference answer. Made by `selfj collect` from {numbers['read']:,} rows, by the recipe of Self-J "
        "(Ye and Ng 2024): good instructions are kept as they were written, in three categories. Texts are repaired "
        "(encoding, markup), rows without use and duplicates are dropped, and every dropped row is counted with its "
        "reason.\n"
    )


def _columns() -> list[str]:
    return ["## Columns\n", *table(("column", "what it holds"), [(f"`{name}`", told) for name, told in _COLUMNS])]


def _categories(numbers: Mapping[str, Any]) -> list[str]:
    rows = [
        (
            inline(entry["category"]),
            f"{entry['rows']:,}",
            percent(entry["rows"] / numbers["kept"] if numbers["kept"] else None),
            f"{entry['with_reference']:,}",
            f"{entry['by_classifier']:,}",
        )
        for entry in numbers["categories"]
    ]
    return ["## Categories\n", *table(("category", "rows", "share", "with reference", "by the classifier"), rows)]


def _sources(used: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = []
    for source in used:
        kind = _KINDS.get(source["reference_kind"] or "", "not stated") if source["with_reference"] else "none"
        place = f"`{source['repository']}`" if source["repository"] else "a file of the maker's own"
        cells = (inline(source["source"]), place, f"{source['kept']:,}", kind, inline(source["licence"]))
        rows.append((*cells, inline(source["note"])))
    unknown = [source["source"] for source in used if source["licence"] == "unknown"]
    lines = [
        "## Sources and licences\n",
        "Each row stays under the licence of its source, and whoever passes rows on owes the source the attribution "
        "that the licence asks for: name the repository given here. Licences are as the sources' own cards state them, "
        "and nobody vouches for them here.\n",
        *table(("source", "repository", "rows", "references", "licence", "note"), rows),
    ]
    if unknown:
        lines.append(
            f"No licence is stated for {counted(len(unknown), 'source')} ({', '.join(map(inline, unknown))}): ask the "
            "makers before passing these rows on.\n"
        )
    closed = [source["source"] for source in used if "-nc" in source["licence"].lower()]
    if closed:
        lines.append(f"Not for commercial use: {', '.join(map(inline, closed))}.\n")
    return lines


def _dropped(numbers: Mapping[str, Any]) -> list[str]:
    rows = []
    for entry in numbers["reasons"]:
        told = _REASONS.get(entry["reason"], "")
        share = percent(entry["rows"] / numbers["read"])
        rows.append((f"`{entry['reason']}`", f"{entry['rows']:,}", share, told))
    if not rows:
        return ["## What was dropped\n", "Nothing.\n"]
    head = f"{numbers['dropped']:,} of {numbers['read']:,} rows, each for the first reason that applied.\n"
    return ["## What was dropped\n", head, *table(("reason", "rows", "of all read", "meaning"), rows)]


def _limits(numbers: Mapping[str, Any]) -> list[str]:
    personal = numbers["personal_data"]["rows"]
    judged = sum(entry["by_classifier"] for entry in numbers["categories"])
    lines = [
        "## Limits\n",
        "* Nobody read the rows one by one. Instructions can be wrong, biased or harmful, and references can be false.",
        f"* Personal data that a pattern knows is masked ({personal:,} rows hold such a mark); names and whatever has "
        "no fixed form are still there.",
    ]
    if judged:
        lines.append(f"* The category of {judged:,} rows is a classifier's, which errs.")
    lines.append("* Duplicates were found by their words, so the same question in other words is still there.")
    return [*lines, ""]


def _origin(numbers: Mapping[str, Any]) -> list[str]:
    versions = numbers.get("versions") or {}
    facts = [(inline(str(name)), inline(str(value))) for name, value in versions.items()]
    return ["## Origin\n", *table(("made with", "version"), facts)] if facts else []


def counted(n: int, noun: str) -> str:
    """A number of things in words.

    Example:
        >>> counted(1, "source"), counted(1234, "source")
        ('1 source', '1,234 sources')
    """
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table of Markdown whose cells are safe already."""
    lines = [f"| {' | '.join(headers)} |", f"|{'---|' * len(headers)}"]
    return [*lines, *(f"| {' | '.join(row)} |" for row in rows), ""]
