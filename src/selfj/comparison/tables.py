"""From estimates to tables: two blocks of methods, differences, and the spread over seeds."""

import math
from collections.abc import Sequence

import numpy as np

from selfj.comparison import published
from selfj.comparison.correlate import SLOW_DRAWS, Estimate, Table
from selfj.comparison.records import Asked, Method, Metric, Source
from selfj.comparison.roster import LAST, ROSTER
from selfj.report.grid import Grid, GridCell, strongest
from selfj.report.text import percent

NAMES: dict[Metric, str] = {
    "pearson": "Pearson", "spearman": "Spearman", "kendall": "Kendall's tau-b", "auroc": "AUROC",
}  # fmt: skip
JUDGE = "self_j"
SCALE = 100
"""Correlations are shown times this, as in the paper."""
_DIGITS = 2


def blocks(sources: Sequence[Source], table: Table, asked: Asked) -> list[Grid]:
    """The two blocks of the paper's table: with reference, and without."""
    made = []
    for reference in (True, False):
        rows = [i for i, method in enumerate(table.methods) if method.reference == reference]
        if rows:
            made.append(_block(sources, table, rows, asked, reference=reference))
    return made


def _block(sources: Sequence[Source], table: Table, rows: Sequence[int], asked: Asked, *, reference: bool) -> Grid:
    k = len(table.models)
    cells = [[*(_cell(table.cell(m, i)) for m in range(k)), _cell(table.average(i))] for i in rows]
    best = strongest([[row[c].value for row in cells] for c in range(k + 1)])
    made = []
    for place, i in enumerate(rows):
        method = table.methods[i]
        why = [_why(sources, model, method, asked) for model in table.models]
        full = [
            _with_words(cell, words, strong=best[c][place])
            for c, (cell, words) in enumerate(zip(cells[place], why, strict=False))
        ]
        average = cells[place][k]._replace(strong=best[k][place])
        if average.value is None and any(cell.value is not None for cell in full):
            average = GridCell(words=f"{sum(c.value is not None for c in full)} of {k} models")
        full.append(average)
        if asked.published:
            full += _published(method)
        made.append((method.title, tuple(full)))
    title = f"{'With' if reference else 'Without'} reference"
    columns = [f"{name}, published" for name in published.MODELS] if asked.published else []
    notes = _notes(sources, table, asked) if not reference else ()
    return Grid(
        f"{NAMES[asked.metric]} x {SCALE}: {title.lower()}",
        (title, *table.models, "average", *columns),
        tuple(made),
        notes,
    )


def _published(method: Method) -> list[GridCell]:
    found = published.PEARSON.get(method.key)
    if found is None:
        return [GridCell() for _ in published.MODELS]
    return [GridCell(value, digits=_DIGITS) for value in found]


def _cell(found: Estimate, scale: float = SCALE) -> GridCell:
    value, low, high = (None if math.isnan(x) else round(scale * x, 6) for x in (found.value, found.low, found.high))
    return GridCell(value, low, high, digits=_DIGITS)


def _with_words(cell: GridCell, words: str, *, strong: bool) -> GridCell:
    return cell._replace(words=words) if cell.value is None else cell._replace(strong=strong)


def _why(sources: Sequence[Source], model: str, method: Method, asked: Asked) -> str:
    """Why a method has no number for a target model."""
    members = [source for source in sources if source.model == model]
    if not any(method.key in source.scores for source in members):
        return members[0].absent.get(method.key, "was not run")
    if asked.metric == "auroc" and any(source.scale is None for source in members):
        return "needs --gold-scale"
    return "undefined: scores or gold are all alike"


def _notes(sources: Sequence[Source], table: Table, asked: Asked) -> tuple[str, ...]:
    meaning = f"{NAMES[asked.metric]} x {SCALE} of scores and gold"
    if asked.metric == "auroc":
        meaning = f"AUROC x {SCALE}: how often a good response scores above a failure; 50 is guessing"
    confidence, draws = percent(table.confidence), len(table.drawn)
    fewer = f" (Kendall's tau at most {SLOW_DRAWS})" if asked.metric == "kendall" else ""
    notes = [
        f"{meaning}. Beside each value its {confidence} interval over {draws:,} resamples of the instructions{fewer}, "
        f"seed {asked.seed}; an instruction that several target models answered is drawn for all of them together. The "
        "best of each column is marked.",
        _gold(sources),
        failures(sources, asked),
        _keys(sources),
        _filled(asked),
        *(note for source in sources for note in source.notes),
        *_missing(sources, table.methods),
    ]
    if len(table.models) < len(sources):
        notes.append(
            "Of several runs of one target model the mean is shown; the table of the spread over seeds has the rest."
        )
    if asked.published:
        notes.append(
            f"Columns marked as published are the figures of {published.CITATION}: Pearson x 100 with GPT-4's ratings "
            "over 850 other exchanges. They were not measured here and are no part of average or best; a dash stands "
            "for what the paper does not have."
        )
    return tuple(note for note in notes if note)


def _keys(sources: Sequence[Source]) -> str:
    """How rows are filled, where a file leaves some empty."""
    empty = [words for source in sources for key, words in source.absent.items() if key not in source.scores]
    if not any("--score" in words for words in empty):
        return ""
    return "A row is filled from a column by its key, such as --score self_eval_reference=COLUMN."


def _filled(asked: Asked) -> str:
    """Which rows are columns of files, and which were scored here."""
    rows = {row.key: row.title + (" with reference" if row.reference else "") for row in ROSTER}
    said = [
        f"{rows.get(name, name)} is the column {column} where a source has it" for name, column in asked.scores.items()
    ]
    for name in asked.judges:
        row, _, scorer = name.partition("=")
        said.append(f"{rows[row]} is scored by {scorer}" if scorer else f"{name} is scored here")
        said[-1] += ", where a source does not have it"
    return f"{'; '.join(said)}." if said else ""


def _gold(sources: Sequence[Source]) -> str:
    """What gold is in each place, and of how many exchanges."""
    places: dict[tuple[str, str], list[str]] = {}
    for source in sources:
        places.setdefault((source.gold_name, source.name), []).append(f"{source.model} {len(source.gold):,}")
    listed = "; ".join(f"{gold} of {name} ({', '.join(n)})" for (gold, name), n in places.items())
    return f"Gold, and in brackets the exchanges: {listed}."


def failures(sources: Sequence[Source], asked: Asked) -> str:
    """What counts as a failure, or that nobody said."""
    unknown = list(dict.fromkeys(source.name for source in sources if source.scale is None))
    scales = {source.scale for source in sources if source.scale is not None}
    said = ""
    if scales:
        listed = ", ".join(f"{low:g} to {high:g}" for low, high in sorted(scales))
        said = f"A failure is gold below {asked.min_quality:g} after mapping its scale ({listed}) to 0 to 9."
    if unknown:
        said += (
            f" The scale of gold is not known for {', '.join(unknown)}, so nothing that counts failures is computed "
            "there: say --gold-scale LOW,HIGH."
        )
    return said.strip()


def _missing(sources: Sequence[Source], methods: Sequence[Method]) -> list[str]:
    titles = {method.key: method.title + (" with reference" if method.reference else "") for method in methods}
    found = []
    for source in sources:
        for key, column in source.scores.items():
            n = int(np.isnan(column).sum())
            if n and key in titles:
                found.append(f"{titles[key]} {n:,} of {len(column):,} ({source.model})")
    return [f"Exchanges without a score, left out of that method's figure: {'; '.join(found)}."] if found else []


def base_of(sources: Sequence[Source], table: Table) -> int | None:
    """The method that others are compared with: Self-J, else the first without reference that has scores."""
    scored = {key for source in sources for key in source.scores}
    keys = [i for i, m in enumerate(table.methods) if not m.reference and m.key in scored and m.key not in LAST]
    own = [i for i in keys if table.methods[i].key == JUDGE]
    return next(iter(own or keys), None)


def differences(sources: Sequence[Source], table: Table, name: str, *, scale: float = SCALE) -> Grid | None:
    """Paired differences of one method and every other without reference; None where there is no such pair.

    Args:
        sources: Those of the table.
        table: With resamples.
        name: Of what is compared.
        scale: Values are shown times this.
    """
    base = base_of(sources, table)
    if base is None:
        return None
    rows = []
    for i, method in enumerate(table.methods):
        if method.reference or i == base:
            continue
        found = [table.difference(base, i, m) for m in range(len(table.models))]
        cells = [_cell(item, scale) for item in (*found, table.difference(base, i))]
        if any(cell.value is not None for cell in cells):
            rows.append((method.title, tuple(cells)))
    if not rows:
        return None
    title = f"{table.methods[base].title} minus each other method, {name}"
    note = (
        f"Paired: both methods on the same {len(table.drawn):,} resamples. Where the interval holds 0, the two cannot "
        "be told apart. The average is over target models, within each resample."
    )
    return Grid(title, ("minus", *table.models, "average"), tuple(rows), (note,))


def seeds(sources: Sequence[Source], table: Table, asked: Asked) -> Grid | None:
    """Mean and standard deviation over runs of one target model; None where no model has several."""
    several = [m for m in table.models if sum(s.model == m for s in sources) > 1]
    if not several:
        return None
    rows = []
    for i, method in enumerate(table.methods):
        cells: list[GridCell] = []
        for model in several:
            values = table.by_source[[n for n, s in enumerate(sources) if s.model == model], i]
            known = SCALE * values[~np.isnan(values)]
            cells.append(GridCell(round(float(known.mean()), 6) if len(known) else None, digits=_DIGITS))
            cells.append(GridCell(round(float(known.std(ddof=1)), 6) if len(known) > 1 else None, digits=_DIGITS))
            cells.append(GridCell(words=str(len(known))))
        if any(cell.value is not None for cell in cells):
            name = method.title + (" with reference" if method.reference else "")
            rows.append((name, tuple(cells)))
    heads = [f"{model}: {part}" for model in several for part in ("mean", "standard deviation", "runs")]
    listed = "; ".join(f"{m}: seeds {', '.join(str(s.seed) for s in sources if s.model == m)}" for m in several)
    note = f"Sample standard deviation (n - 1) over runs that differ in their seed ({listed})."
    return Grid(f"Spread over seeds, {NAMES[asked.metric]} x {SCALE}", ("method", *heads), tuple(rows), (note,))
