"""Millions of rows made from the pool: texts that differ as real ones do, and near-duplicates by small edits.

A new row is a row of the pool in which almost half of the words are exchanged for words from anywhere in the pool of
the same kind (common, coding, academic), so that lengths, signs, repeated words and beginnings stay like real ones. Of
every 20 rows 3 are copies of an earlier row: one with other case and signs at the end, two with a word or two changed,
added or left out.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

SOURCES = 12
_CHUNK = 100_000
"""Most rows that are made together; copies are of rows made before."""
_COPIES = 0.15
_CHANGED = 0.45
_POOL = "instruction_pool.parquet"


@dataclass(frozen=True)
class Pool:
    """Words of the pool as codes, row after row."""

    words: pa.Array
    codes: np.ndarray
    starts: np.ndarray
    references: pa.Array
    kinds: np.ndarray
    """0 common, 1 coding, 2 academic, 3 mixed; by row."""


def read_pool(folder: Path) -> Pool:
    table = pq.read_table(folder / _POOL, columns=["instruction", "reference", "category", "in_eval"])
    table = table.filter(pc.equal(pc.list_value_length(table["in_eval"]), 0)) if _is_list(table) else table
    split = pc.split_pattern(table["instruction"].combine_chunks(), " ")
    split = split.chunk(0) if isinstance(split, pa.ChunkedArray) else split
    coded = split.flatten().dictionary_encode()
    names = {"common": 0, "coding": 1, "academic": 2}
    kinds = np.array([names.get(name, 3) for name in table["category"].to_pylist()])
    starts = np.concatenate([[0], np.cumsum(pc.list_value_length(split).to_numpy())])
    references = table["reference"].combine_chunks()
    return Pool(coded.dictionary, coded.indices.to_numpy(), starts, references, kinds)


def _is_list(table: pa.Table) -> bool:
    return pa.types.is_list(table.schema.field("in_eval").type)


def generate(folder: Path, out: Path, rows: int, seed: int = 0) -> list[Path]:
    """Write `rows` rows as `SOURCES` Parquet files with the columns instruction, answer and kind; gives their paths."""
    pool, earlier = read_pool(folder), _Earlier()
    out.mkdir(parents=True, exist_ok=True)
    paths = [out / f"source-{number:02d}.parquet" for number in range(SOURCES)]
    schema = pa.schema([("instruction", pa.string()), ("answer", pa.string()), ("kind", pa.string())])
    writers = [pq.ParquetWriter(path, schema, compression="zstd") for path in paths]
    chunk = max(1, min(_CHUNK, rows // 10))
    for number, begin in enumerate(range(0, rows, chunk)):
        rng = np.random.default_rng([seed, number])
        table = _chunk(pool, earlier, min(chunk, rows - begin), rng).cast(schema)
        where = rng.choice(SOURCES, len(table), p=_shares())
        for place, writer in enumerate(writers):
            writer.write_table(table.filter(pa.array(where == place)))
    for writer in writers:
        writer.close()
    return paths


def _shares() -> np.ndarray:
    """Sources of very different size, as in the paper."""
    sizes = 1.5 ** np.arange(SOURCES)
    return sizes / sizes.sum()


class _Earlier:
    """Some rows that were made before, to be copied."""

    def __init__(self) -> None:
        self.codes, self.starts, self.bases = np.zeros(0, np.int32), np.zeros(1, np.int64), np.zeros(0, np.int64)

    def add(self, codes: np.ndarray, counts: np.ndarray, bases: np.ndarray) -> None:
        self.codes = np.concatenate([self.codes, codes])
        self.starts = np.concatenate([self.starts, self.starts[-1] + np.cumsum(counts)])
        self.bases = np.concatenate([self.bases, bases])


def _chunk(pool: Pool, earlier: _Earlier, rows: int, rng: np.random.Generator) -> pa.Table:
    copies = int(rows * _COPIES) if len(earlier.bases) else 0
    codes, counts, bases = _fresh(pool, rows - copies, rng)
    keep = slice(0, rows // 5)
    texts = _texts(pool, codes, counts)
    if copies:
        chosen = rng.integers(0, len(earlier.bases), copies)
        again, sizes = _take(earlier.codes, earlier.starts, chosen)
        texts = pa.concat_arrays([texts, _edited(pool, again, sizes, rng)])
        bases = np.concatenate([bases, earlier.bases[chosen]])
    earlier.add(codes[: counts[keep].sum()], counts[keep], bases[keep])
    order = pa.array(rng.permutation(rows))
    # Two in three have a reference.
    answers = pc.if_else(pa.array(rng.random(rows) < 0.67), pool.references.take(pa.array(bases)), None)
    kinds = pa.array(["common", "coding", "academic", "mixed"]).take(pa.array(pool.kinds[bases]))
    # Half of the rows come from sources of one kind.
    kinds = pc.if_else(pa.array(bases % 2 == 0), kinds, "mixed")
    return pa.table({"instruction": texts, "answer": answers, "kind": kinds}).take(order)


def _fresh(pool: Pool, rows: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    bases = rng.integers(0, len(pool.kinds), rows)
    codes, counts = _take(pool.codes, pool.starts, bases)
    kinds = np.repeat(pool.kinds[bases], counts)
    changed = rng.random(len(codes)) < _CHANGED
    owners = np.repeat(pool.kinds, np.diff(pool.starts))
    for kind in range(4):
        here = np.flatnonzero(changed & (kinds == kind))
        among = pool.codes[owners == kind]
        codes[here] = among[rng.integers(0, len(among), len(here))]
    return codes, counts, bases


def _take(codes: np.ndarray, starts: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    counts = np.diff(starts)[rows]
    ends = np.cumsum(counts)
    places = np.arange(ends[-1]) + np.repeat(starts[rows] - (ends - counts), counts)
    return codes[places].copy(), counts


def _edited(pool: Pool, codes: np.ndarray, counts: np.ndarray, rng: np.random.Generator) -> pa.Array:
    kind = rng.choice(4, len(counts), p=[1 / 3, 1 / 3, 1 / 6, 1 / 6])
    starts = np.cumsum(counts) - counts
    for times in (1, 2):
        some = np.flatnonzero((kind == 1) & (rng.random(len(counts)) < 1 / times))
        places = starts[some] + (rng.random(len(some)) * counts[some]).astype(int)
        codes[places] = pool.codes[rng.integers(0, len(pool.codes), len(some))]
    left_out = np.flatnonzero((kind == 2) & (counts > 3))
    mask = np.ones(len(codes), bool)
    mask[starts[left_out] + (rng.random(len(left_out)) * counts[left_out]).astype(int)] = False
    sizes = counts.copy()
    sizes[left_out] -= 1
    texts = _texts(pool, codes[mask], sizes)
    shown = pc.if_else(pa.array(kind == 0), pc.binary_join_element_wise(pc.utf8_capitalize(texts), "!", ""), texts)
    return pc.if_else(pa.array(kind == 3), pc.binary_join_element_wise("Please", shown, " "), shown)


def _texts(pool: Pool, codes: np.ndarray, counts: np.ndarray) -> pa.Array:
    offsets = pa.array(np.concatenate([[0], np.cumsum(counts)]).astype(np.int32))
    return pc.binary_join(pa.ListArray.from_arrays(offsets, pool.words.take(pa.array(codes))), " ")
