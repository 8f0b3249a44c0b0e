"""What a collection holds, in numbers: the content of its report.json, from which page, figures and card are made."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from selfj.collection import verbs as root
from selfj.collection.finished import Finished, count_rows
from selfj.collection.sources import CATEGORIES
from selfj.collection.tally import LONGEST, NONE, Counts, Tally, quantiles, tally
from selfj.errors import ArtefactError
from selfj.progress import Progress, Quiet

PAPER = {"common": 3_112_428, "coding": 1_815_202, "academic": 826_782}
"""Rows of the paper's collection by category."""
SAMPLE = 20_000
"""Instructions whose root verb is looked for."""
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True, slots=True)
class Description:
    """What was found in a collection."""

    numbers: dict[str, Any]
    """Plain data for JSON; see `docs/design/describing.md`."""
    samples: dict[str, list[dict[str, Any]]]
    """A few dropped rows of each reason."""


def describe(
    collection: Finished, *, sample: int = SAMPLE, seed: int = 0, progress: Progress | None = None
) -> Description:
    """Look at every row of a collection once.

    Args:
        collection: A finished collection.
        sample: Most English instructions whose root verb is looked for; 0 leaves verbs out.
        seed: Of that sample and of the dropped rows to look at.
        progress: Told of rows.

    Returns:
        Numbers and samples; the same collection and arguments give the same.

    Raises:
        ArtefactError: A part cannot be read.
        MissingDependency: The tagger of verbs is not installed.
    """
    progress = progress or Quiet()
    total = count_rows(collection.parts) + count_rows(collection.dropped)
    progress.start("describe", total)
    counted = tally(collection, progress, sample=sample, seed=seed)
    if counted.rows != collection.manifest.kept:
        raise ArtefactError(
            f"{collection.folder} holds {counted.rows:,} rows and its manifest says {collection.manifest.kept:,}. Run "
            "selfj collect again."
        )
    progress.finish(f"{counted.rows:,} rows kept, {counted.dropped.total():,} dropped")
    found = _verbs(counted.english, progress) if sample else None
    return Description(_numbers(collection, counted, found, sample, seed), counted.samples)


def _verbs(english: pa.Table | None, progress: Progress) -> root.Verbs | None:
    if english is None:
        return None
    progress.start("verbs", english.num_rows)
    found = root.root_verbs(english["instruction"].to_pylist(), progress.advance)
    progress.finish(f"{found.found:,} of {found.read:,} instructions have a root verb")
    return found


def _numbers(collection: Finished, counted: Tally, verbs: root.Verbs | None, sample: int, seed: int) -> dict[str, Any]:
    categories = in_order(counted)
    read = counted.rows + counted.dropped.total()
    kept: Counter[str] = Counter()
    references: Counter[str] = Counter()
    for (_, category), n in counted.by_source.items():
        kept[category] += n
    for (_, category), n in counted.with_reference.items():
        references[category] += n
    reasons: Counter[str] = Counter()
    for (_, reason), n in counted.dropped.items():
        reasons[reason] += n
    return {
        "name": collection.name,
        "collection": collection.manifest.digest,
        "read": read,
        "kept": counted.rows,
        "dropped": counted.dropped.total(),
        "with_reference": references.total(),
        "categories": [
            {
                "category": name,
                "rows": kept[name],
                "with_reference": references[name],
                "paper_rows": PAPER.get(name),
                "by_source": counted.category_by["source", name],
                "by_classifier": counted.category_by["classifier", name],
            }
            for name in categories
        ],
        "sources": _sources(collection, counted, categories),
        "reasons": [{"reason": name, "rows": n} for name, n in _ordered(reasons)],
        "duplicates": [
            {"source": own, "of_source": other, "rows": n} for (own, other), n in sorted(counted.duplicates.items())
        ],
        "languages": [{"language": name, "rows": n} for name, n in _ordered(counted.languages)],
        "lengths": _lengths(counted, categories),
        "personal_data": {"rows": counted.masked_rows, "marks": dict(sorted(counted.masked.items()))},
        "verbs": None if verbs is None else _plain_verbs(verbs, counted.english_rows, sample, seed),
        "evaluation": [asdict(entry) for entry in collection.manifest.evaluation],
        "faults": collection.manifest.faults,
        "seconds": collection.manifest.seconds,
        "versions": collection.manifest.versions,
    }


def in_order(counted: Tally) -> list[str]:
    """Categories that occur, the paper's first."""
    found = {category for _, category in counted.by_source}
    return [name for name in CATEGORIES if name in found] + sorted(found - {*CATEGORIES, NONE}) + sorted(found & {NONE})


def _sources(collection: Finished, counted: Tally, categories: Sequence[str]) -> list[dict[str, Any]]:
    known = {source.name: source for source in collection.sources}
    found = {name for name, _ in counted.by_source} | {name for name, _ in counted.dropped}
    made = []
    for name in [*(name for name in known), *sorted(found - set(known))]:
        source = known.get(name)
        kept = {category: n for category in categories if (n := counted.by_source[name, category])}
        reasons: Counter[str] = Counter({reason: n for (own, reason), n in counted.dropped.items() if own == name})
        made.append(
            {
                "source": name,
                "repository": None if source is None else source.hub,
                "licence": "unknown" if source is None else source.licence,
                "reference_kind": None if source is None else source.reference_kind,
                "note": "" if source is None else source.note,
                "read": sum(kept.values()) + reasons.total(),
                "kept": sum(kept.values()),
                "by_category": kept,
                "with_reference": sum(n for (own, _), n in counted.with_reference.items() if own == name),
                "dropped": dict(_ordered(reasons)),
                "paper_rows": dict(source.paper_rows) if source is not None and source.paper_rows else None,
            }
        )
    return made


def _lengths(counted: Tally, categories: Sequence[str]) -> dict[str, Any]:
    edges = length_edges()
    made: dict[str, Any] = {"edges": edges.tolist()}
    for name, held in (
        ("instruction", counted.instruction_lengths),
        ("reference", counted.reference_lengths),
    ):
        made[name] = {
            category: {
                "quantiles": dict(
                    zip(map(str, _QUANTILES), quantiles(held[category], _QUANTILES), strict=True),
                ),
                "rows": _binned(held[category], edges),
            }
            for category in categories
            if category in held
        }
    return made


def length_edges() -> "np.ndarray[Any, np.dtype[np.int64]]":
    """Ends of the bins of lengths in characters, even on a log scale from 4 to `LONGEST`, whole and distinct."""
    return np.unique(np.round(np.geomspace(4, LONGEST, 57)).astype(np.int64))


def _binned(counts: Counts, edges: "np.ndarray[Any, np.dtype[np.int64]]") -> list[int]:
    """Rows of each bin; what is shorter or longer lies in the first or last."""
    running = np.concatenate([[0], np.cumsum(counts)])
    below = running[edges]
    below[0], below[-1] = 0, running[-1]
    return [int(n) for n in np.diff(below)]


def _plain_verbs(verbs: root.Verbs, english: int, sample: int, seed: int) -> dict[str, Any]:
    return {
        "english_rows": english,
        "sample": min(sample, english),
        "seed": seed,
        "read": verbs.read,
        "with_verb": verbs.found,
        "top": [
            {"verb": verb, "rows": n, "nouns": [{"noun": noun, "rows": c} for noun, c in nouns]}
            for verb, n, nouns in root.top(verbs)
        ],
    }


def _ordered(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))
