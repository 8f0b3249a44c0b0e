"""The description of a collection as a page, figures and a file of numbers."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from selfj.collection import figures
from selfj.collection.datacard import counted
from selfj.collection.describe import PAPER, Description
from selfj.collection.tally import NONE
from selfj.files import write_json, write_text, writing
from selfj.report.canvas import NARROW, WIDE, to_png
from selfj.report.grid import Grid, GridCell
from selfj.report.sheet import Block, Fact, Picture, Sample, Samples, Words, render_sheet
from selfj.report.text import percent

_HIDDEN = {"personal_data", "toxic"}
"""Reasons whose rows are counted and not shown."""
_MOST_SIGNS = 300
_LEAST_OF_PAPER = 0.2
_MOST_LANGUAGES = 12


def write_report(described: Description, folder: Path, *, command: str = "") -> Path:
    """Write `report.html`, `report.json` and every figure as PNG; the same description gives the same bytes.

    Args:
        described: From `describe`.
        folder: Where the files go, made if absent.
        command: What makes the page again, for its foot.

    Returns:
        The page.

    Raises:
        ArtefactError: A file cannot be written.
    """
    numbers = described.numbers
    pictures = _pictures(numbers)
    for name, picture in pictures.items():
        write_png(folder / f"{name}.png", picture.figure)
    write_json(folder / "report.json", numbers)
    page = folder / "report.html"
    text = render_sheet(
        f"The collection {numbers['name']}",
        _lead(numbers),
        _blocks(described, pictures),
        facts=_facts(numbers),
        kicker="selfj collection",
        command=command,
    )
    write_text(page, text)
    return page


def _lead(numbers: Mapping[str, Any]) -> str:
    used = sum(1 for source in numbers["sources"] if source["kept"])
    return (
        f"{counted(numbers['kept'], 'instruction')} from {counted(used, 'source')}, cleaned and without duplicates, "
        f"out of {numbers['read']:,} rows that were read."
    )


def _facts(numbers: Mapping[str, Any]) -> list[Fact]:
    kept, read, references = numbers["kept"], numbers["read"], numbers["with_reference"]
    doubled = sum(entry["rows"] for entry in numbers["duplicates"])
    return [
        Fact("Kept", figures.short_count(kept), f"{percent(_share(kept, read))} of {read:,} rows read"),
        Fact("With a reference", percent(_share(references, kept)), f"{references:,} rows"),
        Fact("Duplicates", figures.short_count(doubled), f"{percent(_share(doubled, read))} of the rows read"),
    ]


def _blocks(described: Description, pictures: Mapping[str, Picture]) -> list[Block]:
    numbers = described.numbers
    blocks: list[Block] = [Words("In words", tuple(sentences(numbers)))]
    blocks += [pictures["categories"], category_grid(numbers), pictures["sources"], source_grid(numbers)]
    blocks += [pictures["lengths"], _length_grid(numbers)]
    if "verbs" in pictures:
        blocks.append(pictures["verbs"])
    if "duplicates" in pictures:
        blocks.append(pictures["duplicates"])
    if "reasons" in pictures:
        blocks += [pictures["reasons"], reason_grid(numbers)]
        blocks += _samples(described)
    blocks.append(_language_grid(numbers))
    if numbers["seconds"]:
        blocks.append(_time_grid(numbers["seconds"]))
    return blocks


def sentences(numbers: Mapping[str, Any]) -> list[str]:
    """What a person should know before the tables."""
    said = []
    for name, fault in numbers["faults"].items():
        said.append(f"The source {name} is not whole: {fault}")
    for entry in numbers["evaluation"]:
        said.append(
            f"Compared with the evaluation set {entry['name']} ({entry['rows']:,} rows): {entry['contaminated']:,} "
            "rows were dropped for it."
        )
    names = [source["source"] for source in numbers["sources"] if not source["kept"]]
    if names:
        said.append(f"Sources of which nothing was kept ({len(names):,}): {', '.join(names)}.")
    judged = sum(entry["by_classifier"] for entry in numbers["categories"])
    if judged:
        said.append(
            f"Of the rows kept, {judged:,} ({percent(_share(judged, numbers['kept']))}) owe their category to the "
            "classifier; the rest to their source."
        )
    none = next((entry["rows"] for entry in numbers["categories"] if entry["category"] == NONE), 0)
    if none:
        said.append(f"{none:,} rows have no category.")
    personal = numbers["personal_data"]
    if personal["rows"]:
        marks = ", ".join(f"{n:,} {kind}" for kind, n in personal["marks"].items() if n)
        said.append(
            f"Personal data is masked in {personal['rows']:,} rows: {marks}. What fits no pattern is still there."
        )
    else:
        said.append("No row holds a mark of masked personal data.")
    verbs = numbers["verbs"]
    if verbs is not None and verbs["read"]:
        share = percent(_share(verbs["with_verb"], verbs["read"]))
        said.append(
            f"{share} of {verbs['read']:,} English instructions drawn by hash have a root verb beside be, have and do."
        )
    return said


def category_grid(numbers: Mapping[str, Any]) -> Grid:
    """Rows by category; beside the paper's, where a source is one of the paper's."""
    kept, paper = numbers["kept"], sum(PAPER.values())
    entries = [*numbers["categories"]]
    entries.append(
        {"category": "all", "rows": kept, "with_reference": numbers["with_reference"], "paper_rows": paper},
    )
    beside = _has_paper(numbers)
    rows = []
    for entry in entries:
        theirs = entry["paper_rows"]
        cells = [_count(entry["rows"]), _words(percent(_share(entry["rows"], kept)))]
        cells += [_words(percent(_share(entry["with_reference"], entry["rows"])))]
        if beside:
            cells += [_count(theirs), _words(percent(_share(theirs, paper))) if theirs else GridCell()]
        rows.append((entry["category"], tuple(cells)))
    headers = ("category", "rows", "share", "with reference", *(("paper: rows", "share") if beside else ()))
    notes = ("The paper: Self-J, 5,754,412 instructions of 37 sources.",) if beside else ()
    return Grid("Rows by category", headers, tuple(rows), notes)


def _has_paper(numbers: Mapping[str, Any]) -> bool:
    return any(source["paper_rows"] for source in numbers["sources"])


def source_grid(numbers: Mapping[str, Any]) -> Grid:
    """Rows by source: read, kept, dropped, and what the paper kept."""
    rows, beside = [], _has_paper(numbers)
    for source in numbers["sources"]:
        reasons = [f"{name.replace('_', ' ')} {n:,}" for name, n in list(source["dropped"].items())[:1]]
        theirs = source["paper_rows"]
        cells = (
            _count(source["read"]),
            _count(source["kept"]),
            _words(percent(_share(source["kept"], source["read"]))),
            *([_count(sum(theirs.values()) if theirs else None)] if beside else []),
            _words(percent(_share(source["with_reference"], source["kept"]))),
            _words(", ".join(reasons) or "none"),
            _words(source["licence"]),
        )
        rows.append((source["source"], cells))
    paper = ("paper",) if beside else ()
    headers = ("source", "read", "kept", "share", *paper, "with reference", "dropped most as", "licence")
    note = "Every row read was kept or dropped with one reason. Licences are as the sources' own cards state them."
    return Grid("Sources", headers, tuple(rows), (note,))


def reason_grid(numbers: Mapping[str, Any]) -> Grid:
    """Rows dropped, by reason, and the sources that they were from."""
    rows = []
    for entry in numbers["reasons"]:
        reason = entry["reason"]
        by_source = {source["source"]: source["dropped"].get(reason, 0) for source in numbers["sources"]}
        worst = sorted(by_source.items(), key=lambda pair: (-pair[1], pair[0]))[:2]
        told = ", ".join(f"{name} {n:,}" for name, n in worst if n)
        share = percent(_share(entry["rows"], numbers["read"]))
        rows.append((reason.replace("_", " "), (_count(entry["rows"]), _words(share), _words(told))))
    return Grid("Dropped rows by reason", ("reason", "rows", "of all read", "most from"), tuple(rows))


def _length_grid(numbers: Mapping[str, Any]) -> Grid:
    rows = []
    for kind in ("instruction", "reference"):
        for category, found in numbers["lengths"][kind].items():
            cells = tuple(_count(n) for n in found["quantiles"].values())
            rows.append((f"{kind}, {category}", cells))
    headers = ("characters", "5 %", "25 %", "median", "75 %", "95 %")
    return Grid("Lengths", headers, tuple(rows), ("So many rows in a hundred are at most that long.",))


def _language_grid(numbers: Mapping[str, Any]) -> Grid:
    told = {NONE: "not told (too short, or code)", "und": "not English"}
    shown = numbers["languages"][:_MOST_LANGUAGES]
    rows = [
        (
            told.get(e["language"], e["language"]),
            (_count(e["rows"]), _words(percent(_share(e["rows"], numbers["kept"])))),
        )
        for e in shown
    ]
    rest = sum(entry["rows"] for entry in numbers["languages"][_MOST_LANGUAGES:])
    if rest:
        rows.append(("others", (_count(rest), _words(percent(_share(rest, numbers["kept"]))))))
    return Grid("Languages of the rows kept", ("language", "rows", "share"), tuple(rows))


def _time_grid(seconds: Mapping[str, Any]) -> Grid:
    rows = tuple(
        (name.replace("_", " "), (GridCell(float(n), digits=1),)) for name, n in seconds.items() if _is_number(n)
    )
    return Grid("Time on the machine that made it", ("step", "seconds"), rows)


def _samples(described: Description) -> list[Block]:
    cards = []
    for entry in described.numbers["reasons"]:
        reason = entry["reason"]
        said = reason.replace("_", " ")
        if reason in _HIDDEN:
            continue
        for row in described.samples.get(reason, []):
            parts = [("from", f"{row['source']}, row {row['position']:,}"), ("instruction", _cut(row["instruction"]))]
            if row["of_source"] is not None:
                alike = "" if row["similarity"] is None else f", similarity {row['similarity']:.2f}"
                parts.append(("of", f"{row['of_source']}, row {row['of_position'] or 0:,}{alike}"))
            cards.append(Sample(said, tuple(parts)))
    if not cards:
        return []
    hidden = sorted(_HIDDEN & {entry["reason"] for entry in described.numbers["reasons"]})
    intro = "Up to three rows of each reason, drawn by hash, to judge whether the reason is right."
    if hidden:
        intro += f" Rows dropped as {' or '.join(name.replace('_', ' ') for name in hidden)} are not shown."
    return [Samples("Dropped rows to look at", tuple(cards), intro)]


def _pictures(numbers: Mapping[str, Any]) -> dict[str, Picture]:
    categories = [entry["category"] for entry in numbers["categories"]]
    found = {
        "categories": _category_picture(numbers, categories),
        "sources": _source_picture(numbers, categories),
        "lengths": _length_picture(numbers, categories),
    }
    verbs = numbers["verbs"]
    if verbs is not None and verbs["top"]:
        rows = [(e["verb"], e["rows"], [(n["noun"], n["rows"]) for n in e["nouns"]]) for e in verbs["top"]]
        found["verbs"] = Picture(
            "Root verbs and their nouns",
            figures.sunburst(rows),
            f"The most frequent root verbs (inner ring) and up to four first nouns of each (outer ring), in "
            f"{verbs['read']:,} English instructions drawn by hash. Areas show the rows with the nouns that are drawn.",
            figures.sunburst(rows[:12], width=NARROW),
        )
    pairs = {(entry["source"], entry["of_source"]): entry["rows"] for entry in numbers["duplicates"]}
    if pairs:
        found["duplicates"] = Picture(
            "Duplicates within and between sources",
            figures.duplicates(pairs),
            "Rows of the source at the left that were dropped for one of the source at the top. The diagonal is what "
            "a source repeats of itself.",
            figures.duplicates(pairs, width=NARROW),
        )
    reasons = [(entry["reason"], entry["rows"]) for entry in numbers["reasons"]]
    if reasons:
        found["reasons"] = Picture(
            "Why rows were dropped",
            figures.reasons(reasons),
            "Each dropped row has the first reason that applied.",
            figures.reasons(reasons, width=NARROW),
        )
    return found


def _category_picture(numbers: Mapping[str, Any], categories: list[str]) -> Picture:
    rows = {entry["category"]: entry["rows"] for entry in numbers["categories"]}
    paper = PAPER if _has_paper(numbers) else None
    beside = " Beside it the paper's collection of 5,754,412." if paper else ""
    every = [*categories, *(name for name in PAPER if paper and name not in categories)]
    return Picture(
        "Categories",
        figures.pie(rows, paper, every),
        f"Share of each category among the rows kept.{beside}",
        figures.pie(rows, paper, every, width=NARROW),
    )


def _source_picture(numbers: Mapping[str, Any], categories: list[str]) -> Picture:
    theirs = {source["source"]: sum((source["paper_rows"] or {}).values()) for source in numbers["sources"]}
    # Beside a small collection the paper's rows would press every bar against the axis.
    marked = numbers["kept"] >= _LEAST_OF_PAPER * sum(theirs.values())
    rows = [
        (source["source"], source["by_category"], theirs[source["source"]] or None if marked else None)
        for source in sorted(numbers["sources"], key=lambda source: (-source["kept"], source["source"]))
    ]
    cut = f" The {figures.MOST_SOURCES} largest of {len(rows):,}." if len(rows) > figures.MOST_SOURCES else ""
    mark = " The dark mark is what the paper kept of it." if any(paper for *_, paper in rows) else ""
    return Picture(
        "Rows kept of each source",
        figures.sources(rows, categories),
        f"In the colours of the categories.{mark}{cut}",
        figures.sources(rows, categories, width=NARROW),
    )


def _length_picture(numbers: Mapping[str, Any], categories: list[str]) -> Picture:
    found = numbers["lengths"]
    asked, answered = (
        {name: entry["rows"] for name, entry in found[kind].items()} for kind in ("instruction", "reference")
    )
    return Picture(
        "How long they are",
        figures.lengths(found["edges"], asked, answered, categories, width=WIDE),
        "Share of each category's rows by length; the axis of lengths is logarithmic.",
        figures.lengths(found["edges"], asked, answered, categories, width=NARROW),
    )


def write_png(path: Path, figure: Any) -> None:
    """Write a figure whole or not at all."""
    made = io.BytesIO()
    to_png(figure, made)  # type: ignore[arg-type]
    with writing(path) as handle:
        handle.write(made.getvalue())


def _share(part: float | None, whole: float | None) -> float | None:
    return None if not whole or part is None else part / whole


def _count(n: int | None) -> GridCell:
    return GridCell() if n is None else GridCell(words=f"{n:,}")


def _words(text: str) -> GridCell:
    return GridCell(words=text)


def _cut(text: str | None) -> str:
    text = text or "(empty)"
    return text if len(text) <= _MOST_SIGNS else text[: _MOST_SIGNS - 1] + "…"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
