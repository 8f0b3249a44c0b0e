"""Matching all rows of a collection: keys of all rows, texts of candidates only, everything else on disk.

Rows are numbered through all prepared parts, evaluation sets first; `Row numbers` below are these. Matching orders them
by preference: evaluation rows, then rows with a reference, then the rest, each in the order of sources and positions.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from selfj.collection.keys import Sets, distinct, exact_keys, shingles
from selfj.collection.matching import bucket_pairs, first_equal, jaccard, keep_first, split
from selfj.collection.prepare import band_name
from selfj.collection.settings import Matching
from selfj.collection.tokens import Hashes, Places, tokenise
from selfj.collection.work import one_array, open_array, read_columns, write_arrays
from selfj.progress import Progress

KEPT, DUPLICATE, NEAR, CONTAMINATED = range(4)
REASONS = {DUPLICATE: "duplicate", NEAR: "near_duplicate", CONTAMINATED: "contaminated"}
_RANGE = 1_000_000
"""Pairs that one task verifies, about."""

Run = Callable[[Callable[[Any], Any], Sequence[Any]], Iterator[tuple[int, Any]]]


@dataclass(frozen=True, slots=True)
class Prepareds:
    """All prepared parts, those of evaluation sets first."""

    paths: tuple[Path, ...]
    rows: tuple[int, ...]
    """Rows of each."""
    evaluation: int
    """How many of the parts belong to evaluation sets."""

    @property
    def offsets(self) -> Places:
        """Row number of the first row of each part, and the number of all rows at the end."""
        return np.concatenate([[0], np.cumsum(self.rows)]).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Decisions:
    """What becomes of each row, by row number."""

    reason: npt.NDArray[np.uint8]
    """`KEPT`, `DUPLICATE`, `NEAR` or `CONTAMINATED`."""
    of: Places
    """The row that it was dropped for, or -1."""
    similarity: npt.NDArray[np.float32]
    """Exact Jaccard similarity with that row; NaN where a passage was found, and where a row is kept."""


@dataclass(frozen=True, slots=True)
class _Scan:
    """What is read of all rows at once."""

    order: Places
    """Row numbers of the rows that are matched, by preference."""
    fixed: int
    """How many of them belong to evaluation sets; they come first."""
    keys: Hashes
    """Exact keys of the rows in `order`."""
    contained: Places
    """By row number: the evaluation row that it holds a passage of, or -1."""
    equal: npt.NDArray[np.float32]
    """For each row that holds one: 1 where it is that evaluation row, else NaN."""


@dataclass(frozen=True, slots=True)
class Band:
    """Task: candidates from one band."""

    prepareds: Prepareds
    band: int
    second: int
    folder: Path


@dataclass(frozen=True, slots=True)
class Candidates:
    """Task: n-grams of the candidates in one part."""

    path: Path
    first: int
    """Row number of the part's first row."""
    number: int
    ngram: int
    folder: Path


@dataclass(frozen=True, slots=True)
class Verify:
    """Task: exact similarities of the candidates whose preferred row lies in a range."""

    number: int
    low: int
    high: int
    bands: int
    threshold: float
    fixed: int
    """The first so many rows belong to evaluation sets."""
    same_numbers: bool
    folder: Path


def match(prepareds: Prepareds, settings: Matching, folder: Path, run: Run, progress: Progress) -> Decisions:
    """Decide which rows are kept.

    Args:
        prepareds: The prepared parts.
        settings: What counts as the same.
        folder: For what is on the way; a folder that only this work uses.
        run: Does tasks; see `engine.run`.
        progress: Told of rows.
    """
    n = int(prepareds.offsets[-1])
    reason, of, similarity = np.zeros(n, np.uint8), np.full(n, -1, np.int64), np.full(n, np.nan, np.float32)
    scan = _scan(prepareds)
    held = np.flatnonzero(scan.contained >= 0)
    reason[held], of[held], similarity[held] = CONTAMINATED, scan.contained[held], scan.equal
    first = np.arange(len(scan.order))
    if settings.exact:
        first = _first_equal(prepareds, scan)
    unique = np.flatnonzero(first == np.arange(len(first)))
    rows, fixed = scan.order[unique], int(np.searchsorted(unique, scan.fixed))
    if settings.near:
        _near(prepareds, settings, folder, run, progress, rows, fixed, reason, of, similarity)
    _spread(scan, first, reason, of, similarity)
    return Decisions(reason, of, similarity)


def _scan(prepareds: Prepareds) -> _Scan:
    offsets = prepareds.offsets
    keys, contained = np.zeros(offsets[-1], np.uint64), np.full(offsets[-1], -1, np.int64)
    able, referenced = np.zeros(offsets[-1], bool), np.zeros(offsets[-1], bool)
    for number, path in enumerate(prepareds.paths):
        table = read_columns(path, ["key", "referenced", "contained"])
        here = slice(offsets[number], offsets[number + 1])
        able[here] = table["key"].is_valid().to_numpy()
        keys[here] = pc.fill_null(table["key"], 0).to_numpy()
        referenced[here] = table["referenced"].to_numpy()
        contained[here] = pc.fill_null(table["contained"], -1).to_numpy()
    border = offsets[prepareds.evaluation]
    able &= contained < 0
    evaluation = np.flatnonzero(able[:border])
    rest = np.flatnonzero(able[border:]) + border
    order = np.concatenate([evaluation, rest[referenced[rest]], rest[~referenced[rest]]])
    held = np.flatnonzero(contained >= 0)
    equal = np.where(keys[held] == keys[contained[held]], np.float32(1), np.float32(np.nan))
    return _Scan(order, len(evaluation), keys[order], contained, equal)


def _first_equal(prepareds: Prepareds, scan: _Scan) -> Places:
    checks = read_band(prepareds, 0)[scan.order]
    first = first_equal(scan.keys, checks)
    # Evaluation rows are all of them kept, equal or not.
    first[: scan.fixed] = np.arange(scan.fixed)
    return first


def read_band(prepareds: Prepareds, band: int) -> Hashes:
    """One band of all rows, by row number."""
    found = [read_columns(path, [band_name(band)])[band_name(band)].to_numpy() for path in prepareds.paths]
    return np.concatenate(found) if found else np.zeros(0, np.uint64)


def _near(
    prepareds: Prepareds,
    settings: Matching,
    folder: Path,
    run: Run,
    progress: Progress,
    rows: Places,
    fixed: int,
    reason: npt.NDArray[np.uint8],
    of: Places,
    similarity: npt.NDArray[np.float32],
) -> None:
    """Drop rows that are similar to one that is kept; `rows` are those to compare, by preference."""
    write_arrays(folder, rows=rows)
    tasks = [Band(prepareds, band, (band + 1) % settings.bands, folder) for band in range(settings.bands)]
    pairs = sum(_told(run(band_pairs, tasks), progress, "bands", len(tasks)))
    candidates = _candidates(folder, settings.bands, len(rows))
    progress.note(f"{int(candidates.sum()):,} rows share a band, in at most {pairs:,} pairs")
    wanted = np.zeros(int(prepareds.offsets[-1]), bool)
    wanted[rows[candidates]] = True
    write_arrays(folder, wanted=wanted)
    parts = [
        Candidates(path, int(prepareds.offsets[number]), number, settings.ngram, folder)
        for number, path in enumerate(prepareds.paths)
        if wanted[prepareds.offsets[number] : prepareds.offsets[number + 1]].any()
    ]
    for _ in _told(run(candidate_sets, parts), progress, "candidates", len(parts)):
        pass
    _join_sets(folder, [part.number for part in parts], np.cumsum(wanted)[rows] - 1)
    verify = [
        Verify(number, low, high, settings.bands, settings.threshold, fixed, settings.same_numbers, folder)
        for number, (low, high) in enumerate(_ranges(folder, settings.bands, len(rows), pairs))
    ]
    for _ in _told(run(verified, verify), progress, "verify", len(verify)):
        pass
    edges = [
        [open_array(folder / f"edges-{task.number:05d}", name) for task in verify] for name in ("one", "other", "at")
    ]
    one, other, at = (np.concatenate(part) if part else np.zeros(0) for part in edges)
    decided = keep_first(one.astype(np.int64), other.astype(np.int64), len(rows), fixed)
    gone = np.flatnonzero(decided >= 0)
    preferred = one[decided[gone]].astype(np.int64)
    reason[rows[gone]] = np.where(preferred < fixed, CONTAMINATED, NEAR)
    of[rows[gone]] = rows[preferred]
    similarity[rows[gone]] = at[decided[gone]]


def _told(results: Iterable[tuple[int, Any]], progress: Progress, step: str, total: int) -> Iterator[Any]:
    progress.start(step, total)
    for _, result in results:
        progress.advance(1)
        yield result
    progress.finish(f"{total} tasks")


def band_pairs(task: Band) -> int:
    """Write the candidate pairs of a band, sorted, and give their number."""
    target = task.folder / f"band-{task.band:03d}"
    if not (target / "pairs.npy").is_file():
        rows = open_array(task.folder, "rows")
        values = read_band(task.prepareds, task.band)[rows]
        second = read_band(task.prepareds, task.second)[rows]
        write_arrays(target, pairs=bucket_pairs(values, second))
    return len(open_array(target, "pairs"))


def _candidates(folder: Path, count: int, n: int) -> npt.NDArray[np.bool_]:
    found = np.zeros(n, bool)
    for band in range(count):
        for side in split(open_array(folder / f"band-{band:03d}", "pairs")):
            found[side] = True
    return found


def candidate_sets(task: Candidates) -> int:
    """Write the n-grams of a part's candidates, in the order of the rows, and give the number of candidates."""
    target = task.folder / f"sets-{task.number:05d}"
    if not (target / "starts.npy").is_file():
        texts = one_array(read_columns(task.path, ["instruction"])["instruction"])
        mask = open_array(task.folder, "wanted")[task.first : task.first + len(texts)]
        texts = texts.filter(pa.array(mask))
        sets = distinct(shingles(tokenise(texts), task.ngram))
        numbers = exact_keys(tokenise(pc.replace_substring_regex(texts, r"[^0-9]+", " ")))
        write_arrays(target, numbers=numbers, values=sets.values, starts=sets.starts)
    return len(open_array(target, "starts")) - 1


def _join_sets(folder: Path, numbers: Sequence[int], places: Places) -> None:
    """Put the n-grams of all candidates into one file, and say where those of each compared row are."""
    starts, values, keys, total = [np.zeros(1, np.int64)], [], [], 0
    for number in numbers:
        held = open_array(folder / f"sets-{number:05d}", "starts")
        starts.append(held[1:] + total)
        total += int(held[-1])
        values.append(open_array(folder / f"sets-{number:05d}", "values"))
        keys.append(open_array(folder / f"sets-{number:05d}", "numbers"))
    joined = np.concatenate(values) if values else np.zeros(0, np.uint32)
    of_numbers = np.concatenate(keys) if keys else np.zeros(0, np.uint64)
    write_arrays(folder / "sets", values=joined, starts=np.concatenate(starts), places=places, numbers=of_numbers)


def _ranges(folder: Path, count: int, n: int, pairs: int) -> list[tuple[int, int]]:
    """Ranges of preferred rows with about equally many candidate pairs."""
    weight = np.zeros(n + 1, np.int64)
    for band in range(count):
        one, _ = split(open_array(folder / f"band-{band:03d}", "pairs"))
        weight += np.bincount(one, minlength=n + 1)
    running = np.cumsum(weight)
    cuts = np.searchsorted(running, np.arange(_RANGE, pairs, _RANGE))
    borders = np.unique([0, *cuts.tolist(), n])
    return [(int(low), int(high)) for low, high in itertools.pairwise(borders)] if pairs else []


def verified(task: Verify) -> int:
    """Write the pairs of a range that are similar enough, and give their number."""
    target = task.folder / f"edges-{task.number:05d}"
    if not (target / "at.npy").is_file():
        found = []
        for band in range(task.bands):
            pairs = open_array(task.folder / f"band-{band:03d}", "pairs")
            low, high = np.searchsorted(pairs, np.array([task.low, task.high], np.uint64) << np.uint64(32))
            found.append(pairs[low:high])
        pairs = np.concatenate(found)
        pairs.sort()
        one, other = split(pairs[np.diff(pairs, prepend=np.uint64(0)) > 0])
        places = open_array(task.folder / "sets", "places")
        sets = Sets(open_array(task.folder / "sets", "values"), open_array(task.folder / "sets", "starts"))
        at = jaccard(sets, places[one], places[other], task.threshold)
        near = at >= task.threshold
        if task.same_numbers:
            numbers = open_array(task.folder / "sets", "numbers")
            near &= (one < task.fixed) | (numbers[places[one]] == numbers[places[other]])
        write_arrays(target, one=one[near], other=other[near], at=at[near])
    return len(open_array(target, "at"))


def _spread(
    scan: _Scan, first: Places, reason: npt.NDArray[np.uint8], of: Places, similarity: npt.NDArray[np.float32]
) -> None:
    """Give equal rows what became of the first of them."""
    again = np.flatnonzero(first != np.arange(len(first)))
    rows, heads = scan.order[again], scan.order[first[again]]
    lost = reason[heads] != KEPT
    reason[rows] = np.where(lost, reason[heads], np.where(first[again] < scan.fixed, CONTAMINATED, DUPLICATE))
    of[rows] = np.where(lost, of[heads], heads)
    similarity[rows] = np.where(lost, similarity[heads], np.float32(1))
