"""What an audit is made on: exchanges with what is known of them, and pairs of responses to one instruction."""

import itertools
import math
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from selfj import world
from selfj.backends.base import JudgeInput
from selfj.collect.columns import Mapping as Columns
from selfj.collect.columns import RowError, printable, recognise
from selfj.collect.files import RawRow, read_rows
from selfj.collect.parts import read_parts
from selfj.errors import ConfigError, InputError
from selfj.metrics import Array
from selfj.records import Instruction, hash_fraction
from selfj.settings import FileSource

GOLD = "gold"
PAIR = ("response_a", "response_b")
TOP = 9.0
"""The highest level; the lowest is 0."""
_PREFERENCES = ("preference", "pref_a")
_MAX_CHARS = 100_000
_LOOKED_AT = 100
_MOST_PAIRS = 20
"""Pairs of responses that one instruction gives, so that a long one does not decide all."""
_WORLD_ROWS = 400


@dataclass(frozen=True, slots=True)
class Exchange:
    """One exchange and what is known of it."""

    input: JudgeInput
    gold: float | None = None
    """Quality as somebody else gave it, on the scale of the file."""
    model: str = ""
    """Who answered."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two responses to one instruction, as places among the exchanges."""

    a: int
    b: int
    preference: float | None = None
    """1 where a is better, 0 where b is, 0.5 for a tie; None where nobody says."""


@dataclass(frozen=True, slots=True)
class Material:
    """Exchanges and pairs of an audit."""

    name: str
    """Where they are from."""
    exchanges: tuple[Exchange, ...]
    pairs: tuple[Pair, ...] = ()
    """Those of a file of pairs."""
    rows: int = 0
    """Rows that were read, those with a fault among them."""
    faults: Counter[str] = field(default_factory=Counter)
    """Rows that are no exchange, by reason."""
    left_out: int = 0
    """Rows beyond the limit."""

    @property
    def inputs(self) -> list[JudgeInput]:
        """The exchanges as a judge reads them."""
        return [exchange.input for exchange in self.exchanges]

    def gold(self) -> Array:
        """Shape (n,), on the scale of the file; NaN where there is none."""
        return np.array([np.nan if e.gold is None else e.gold for e in self.exchanges], dtype=np.float64)

    def gold_levels(self) -> Array:
        """Gold put on the levels 0 to 9 linearly, so that its lowest and highest value are the ends."""
        gold = self.gold()
        known = gold[~np.isnan(gold)]
        if not len(known) or known.max() == known.min():
            return np.full(len(gold), np.nan)
        return np.asarray(TOP * (gold - known.min()) / (known.max() - known.min()), dtype=np.float64)

    def groups(self) -> npt.NDArray[np.int64]:
        """Shape (n,): exchanges of one instruction have one number."""
        return numbered(exchange.input.instruction for exchange in self.exchanges)

    def lengths(self) -> Array:
        """Shape (n,): characters of the responses."""
        return np.array([len(exchange.input.response) for exchange in self.exchanges], dtype=np.float64)

    def natural_pairs(self) -> tuple[Pair, ...]:
        """The pairs of a file of pairs; else pairs of different responses to one instruction, at most 20 for each.

        Their preference is that of gold, None where it is not known for both.
        """
        if self.pairs:
            return self.pairs
        by_instruction: dict[str, list[int]] = {}
        for place, exchange in enumerate(self.exchanges):
            by_instruction.setdefault(exchange.input.instruction, []).append(place)
        return tuple(pair for places in by_instruction.values() for pair in self._pairs_of(places))

    def _pairs_of(self, places: Sequence[int]) -> list[Pair]:
        texts = [self.exchanges[place].input.response for place in places]
        every = [
            (a, b)
            for (a, x), (b, y) in itertools.combinations(zip(places, texts, strict=True), 2)
            if x != y
        ]  # fmt: skip
        every.sort(key=lambda ab: hash_fraction("pair", *(self.exchanges[i].input.response for i in ab)))
        return [Pair(a, b, _by_gold(self.exchanges[a].gold, self.exchanges[b].gold)) for a, b in every[:_MOST_PAIRS]]


def numbered(names: Iterable[str]) -> npt.NDArray[np.int64]:
    """Give equal names one number, in order of appearance."""
    known: dict[str, int] = {}
    return np.array([known.setdefault(name, len(known)) for name in names], dtype=np.int64)


def read_material(
    path: str | None = None,
    *,
    columns: Mapping[str, str] | None = None,
    gold: str | None = None,
    limit: int | None = None,
    seed: int = 0,
) -> Material:
    """Read exchanges or pairs from a file; without one, draw exchanges from the embedded world.

    A file with the columns `response_a` and `response_b` holds pairs; `preference` or `pref_a` says which is better:
    `a`, `b` or `tie`, or a number, of which 1 is a, 0 or 2 is b, and 0.5 or 1.5 is a tie. Every other file is read as
    `selfj judge` reads it. Gold is the numeric column `gold`, or the one that is named.

    Args:
        path: JSONL, JSON, CSV, TSV or Parquet.
        columns: From a word of `selfj.collect.columns.WORDS` to a column.
        gold: The column with gold, any scale, higher is better.
        limit: At most so many rows; instructions are drawn, and their rows stay together.
        seed: Of the draw.

    Raises:
        InputError: The file cannot be read, or no row of it is an exchange.
        ConfigError: A column is absent.
    """
    if path is None:
        if gold is not None or columns:
            raise ConfigError("--gold and --column name columns of a FILE; name the file too.")
        return _from_world(limit or _WORLD_ROWS, seed)
    rows = read_rows(FileSource(path=path))
    found = material_of(rows, name=path, columns=columns or {}, gold=gold)
    if not found.exchanges:
        reasons = ", ".join(f"{reason} {n}" for reason, n in found.faults.most_common())
        raise InputError(
            f"No row of {path} is an exchange ({reasons}): expected an instruction and a response in each."
        )
    return limited(found, limit, seed)


def material_of(
    rows: Iterable[RawRow], *, name: str, columns: Mapping[str, str] | None = None, gold: str | None = None
) -> Material:
    """Exchanges or pairs of rows; see `read_material`."""
    every = list(rows)
    fields = [row.fields for row in every if row.fields]
    names = list(dict.fromkeys(column for row in fields for column in row))
    gold = _gold_column(gold, names, fields)
    paired = set(PAIR) <= set(names)
    hidden = {gold, *_PREFERENCES} if paired else {gold}
    first = [{k: v for k, v in row.items() if k not in hidden} for row in fields[:_LOOKED_AT]]
    if paired:
        first = [_side(row, "a") for row in first]
    mapping = recognise(first, dict(columns or {}))
    if not mapping.has_responses:
        raise ConfigError(
            f"{name} has no column with a response. Columns found: {', '.join(map(printable, names[:30]))}; taken as "
            f"{mapping.describe()}. Name it, such as --column response=COLUMN, or give {PAIR[0]} and {PAIR[1]}."
        )
    exchanges: list[Exchange] = []
    pairs: list[Pair] = []
    faults: Counter[str] = Counter()
    for row in every:
        try:
            if row.fields is None:
                raise RowError(row.error or "not_an_object")
            sides = ("a", "b") if paired else ("",)
            made = [_exchange(_side(row.fields, side), mapping, gold) for side in sides]
            preference = _preference(row.fields) if paired else None
        except RowError as fault:
            faults[fault.reason] += 1
            continue
        if paired:
            pairs.append(Pair(len(exchanges), len(exchanges) + 1, preference))
        exchanges += made
    return Material(name, tuple(exchanges), tuple(pairs), len(every), faults)


def limited(material: Material, limit: int | None, seed: int) -> Material:
    """Draw instructions until there are `limit` rows, and keep their rows in order."""
    units: list[tuple[int, ...]] = [(pair.a, pair.b) for pair in material.pairs]
    units = units or [(place,) for place in range(len(material.exchanges))]
    if limit is None or len(units) <= limit:
        return material
    texts = [material.exchanges[unit[0]].input.instruction for unit in units]
    order = sorted(range(len(units)), key=lambda place: (hash_fraction("audit", seed, texts[place]), place))
    kept = sorted(order[:limit])
    chosen = [place for unit in kept for place in units[unit]]
    exchanges = tuple(material.exchanges[place] for place in chosen)
    pairs = tuple(
        replace(material.pairs[unit], a=2 * number, b=2 * number + 1) for number, unit in enumerate(kept)
    ) if material.pairs else ()  # fmt: skip
    return replace(material, exchanges=exchanges, pairs=pairs, left_out=len(units) - limit)


def _from_world(n: int, seed: int) -> Material:
    """Right and wrong answers to instructions of the embedded world, two for each, with computed gold."""
    rng = random.Random(seed)
    made: list[Exchange] = []
    for item in world.exercises((n + 1) // 2, seed=seed, held_out=True):
        wrong = item.taught if item.taught != item.answer else world.exercise(rng, item.family).taught
        reference = world.reference(item)
        for answer in (item.answer, wrong):
            text = world.reply(item, answer, rng.randrange(8))
            quality = float(world.quality(world.meta(item), text))
            made.append(Exchange(JudgeInput(item.instruction, text, reference), quality))
    return Material("the embedded world", tuple(made[:n]), rows=min(n, len(made)))


def _gold_column(asked: str | None, names: Sequence[str], rows: Sequence[Mapping[str, object]]) -> str | None:
    if asked is not None:
        if asked not in names:
            shown = ", ".join(map(printable, names[:30]))
            raise ConfigError(f"--gold {asked}: there is no such column. Columns found: {shown}.")
        if not any(_number(row.get(asked)) is not None for row in rows):
            raise ConfigError(f"--gold {asked}: the column holds no number. Name one with numbers, higher is better.")
        return asked
    values = [row[GOLD] for row in rows if row.get(GOLD) is not None]
    # A column of this name with texts is a reference.
    return GOLD if values and all(_number(value) is not None for value in values) else None


def _side(row: Mapping[str, object], side: str) -> dict[str, object]:
    """A row of pairs as the exchange of one side; any other row as it is."""
    if not side:
        return dict(row)
    kept = {k: v for k, v in row.items() if k not in (*PAIR, "model_a", "model_b", *_PREFERENCES)}
    kept["response"] = row.get(f"response_{side}")
    if f"model_{side}" in row:
        kept["model"] = row[f"model_{side}"]
    return kept


def _exchange(row: dict[str, object], mapping: Columns, gold: str | None) -> Exchange:
    value = None if gold is None else _number(row.pop(gold, None))
    parts = read_parts(row, mapping, _MAX_CHARS)
    if parts.response_error is not None:
        raise RowError(parts.response_error)
    question = Instruction("", parts.text, system=parts.system, turns=parts.turns).question()
    return Exchange(JudgeInput(question, parts.response, parts.reference), value, parts.model)


def _preference(row: Mapping[str, object]) -> float | None:
    value = next((row[name] for name in _PREFERENCES if row.get(name) is not None), None)
    if value is None:
        return None
    word = str(value).strip().lower().removeprefix("response_").removeprefix("model_")
    if word in ("a", "b", "tie"):
        return {"a": 1.0, "b": 0.0, "tie": 0.5}[word]
    number = _number(value)
    if number is None or not 0 <= number <= 2:
        raise RowError("bad_preference")
    distance = abs(number - 1)
    return 0.5 if distance == 0.5 else float(distance < 0.5)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def _by_gold(a: float | None, b: float | None) -> float | None:
    if a is None or b is None:
        return None
    return 0.5 if a == b else float(a > b)
