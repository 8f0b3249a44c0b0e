"""Files of exchanges as sources: one for each target model that they name, over all files together."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from selfj.collect.columns import Mapping, recognise
from selfj.collect.files import RawRow, read_rows
from selfj.collect.rows import to_records
from selfj.comparison.columns import check_scale, further_columns, numbers, score_columns
from selfj.comparison.records import Asked, Source
from selfj.comparison.roster import ROSTER, needed_by_file
from selfj.errors import ConfigError, InputError
from selfj.exchanges import Exchange
from selfj.gold import columns_of
from selfj.settings import Collect, FileSource

_LOOKED_AT = 100


def read_files(names: Sequence[str], asked: Asked) -> list[Source]:
    """Read files of exchanges; rows of one target model from several files become one source.

    A row without a model belongs to one that is named like its file.

    Raises:
        InputError: A file cannot be used.
        ConfigError: A column is absent, gold is not named, or a cell of gold or scores is no number.
    """
    found: dict[str, list[Exchange]] = {}
    places: dict[str, list[str]] = {}
    notes: dict[str, list[str]] = {}
    for name in names:
        exchanges, said = _read(name, asked)
        for exchange in exchanges:
            model = exchange.response.model or Path(name).stem
            found.setdefault(model, []).append(exchange)
            if name not in places.setdefault(model, []):
                places[model].append(name)
                notes.setdefault(model, []).extend(said)
    return [_source(model, found[model], places[model], notes[model], asked) for model in found]


def _source(model: str, given: Sequence[Exchange], places: Sequence[str], notes: Sequence[str], asked: Asked) -> Source:
    # The same row in two files is one row.
    exchanges = list({(x.instruction.id, x.response.text): x for x in given}.values())
    twice = len(given) - len(exchanges)
    where = ", ".join(places)
    column = str(asked.gold)
    gold = numbers([columns_of(exchange).get(column) for exchange in exchanges], column, where)
    check_scale(gold, asked.gold_scale, column, where)
    scores, further = score_columns(exchanges, asked.scores, where)
    if twice:
        notes = [*notes, f"{where}: {twice:,} exchanges of {model} stand there twice and count once."]
    return Source(
        name=where,
        model=model,
        exchanges=exchanges,
        gold=gold,
        gold_name=column,
        scale=asked.gold_scale,
        scores=scores,
        absent={row.key: needed_by_file(row) for row in ROSTER},
        further=further,
        notes=tuple(notes),
    )


def _read(name: str, asked: Asked) -> tuple[list[Exchange], list[str]]:
    source = FileSource(path=name)
    rows = read_rows(source)
    mapping = _mapping(list(islice(rows, _LOOKED_AT)), name, asked)
    collector = to_records(rows, mapping, source=source, collect=Collect())
    exchanges: list[Exchange] = []
    failed: Counter[str] = Counter()
    for item in collector:
        if item.instruction.error:
            failed[item.instruction.error] += 1
        elif item.response is not None and item.response.error:
            failed[item.response.error] += 1
        elif item.response is not None:
            exchanges.append(Exchange(item.instruction, item.response))
    reasons = ", ".join(f"{n:,} {reason}" for reason, n in failed.most_common())
    if not exchanges:
        raise InputError(f"No row of {name} can be used: {reasons}.")
    if asked.gold is not None and asked.gold not in further_columns(exchanges):
        listed = ", ".join(further_columns(exchanges)) or "none"
        raise ConfigError(f"There is no gold column {asked.gold!r} in {name}; its further columns are: {listed}.")
    notes = [f"{name}: {failed.total():,} rows cannot be used: {reasons}."] if failed else []
    if collector.counts.duplicates:
        notes.append(f"{name}: {collector.counts.duplicates:,} rows repeat an earlier one and count once.")
    return exchanges, notes


def _mapping(first: Sequence[RawRow], name: str, asked: Asked) -> Mapping:
    """Recognise the columns; those of gold and of scores hold nothing else, whatever their names."""
    taken = {asked.gold, *asked.scores.values(), asked.model}
    every = [row.fields for row in first if row.fields]
    readable = [{key: cell for key, cell in row.items() if key not in taken} for row in every]
    if not any(readable):
        reasons = ", ".join(sorted({row.error or "empty" for row in first}))
        raise InputError(f"None of the first {len(first)} rows of {name} can be read: {reasons}.")
    columns = sorted({key for row in every for key in row})
    if asked.gold is None:
        raise ConfigError(f"{name} needs --gold with the column that holds the quality. Columns: {', '.join(columns)}.")
    if asked.model is not None and asked.model not in columns:
        raise ConfigError(f"--model: {name} has no column {asked.model!r}. Columns: {', '.join(columns)}.")
    mapping = recognise(readable, dict(asked.columns))
    if not mapping.has_responses:
        raise ConfigError(
            f"No column of {name} holds the response. Columns: {', '.join(columns)}; taken as {mapping.describe()}. "
            "Name it, such as --column response=COLUMN."
        )
    return mapping if asked.model is None else replace(mapping, model=asked.model)
