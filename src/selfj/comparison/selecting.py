"""Selective following for each target model, from the sources of a comparison."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from selfj.comparison import tables
from selfj.comparison.correlate import correlate
from selfj.comparison.records import Asked, Method, Source
from selfj.following import following
from selfj.progress import Progress
from selfj.report.following import TITLE, following_grid
from selfj.report.grid import Grid


def selective(
    sources: Sequence[Source], methods: Sequence[Method], asked: Asked, progress: Progress | None = None
) -> dict[str, Grid | None]:
    """Tables of selective following over all exchanges and by category, of sources whose scale of gold is known.

    Differences in PRR, to declining at random, by length and by every other method, are paired.

    Args:
        sources: With gold in every row.
        methods: In the order of the tables; those without reference are taken.
        asked: Says what a failure is.
        progress: Told of every resample.
    """
    titles = {method.key: method.title for method in methods if not method.reference}
    parts = {}
    for source in sources:
        failure = source.failure(asked.min_quality)
        if failure is None:
            continue
        several = sum(other.model == source.model for other in sources) > 1
        name = f"{source.model}, seed {source.seed}" if several else source.model
        scores = {key: source.scores[key] for key in titles if key in source.scores}
        parts["" if len(sources) == 1 else name] = following(scores, failure, source.categories)
    return {
        "selective": following_grid(parts, titles),
        "selective_differences": _differences(sources, titles, asked, progress) if parts else None,
        "selective_by_category": following_grid(parts, titles, title=f"{TITLE} by category", by_category=True),
    }


def _differences(
    sources: Sequence[Source], keys: Iterable[str], asked: Asked, progress: Progress | None
) -> Grid | None:
    taken = set(keys)
    seen = [replace(s, scores={key: column for key, column in s.scores.items() if key in taken}) for s in sources]
    table = correlate(
        seen,
        "prr",
        min_quality=asked.min_quality,
        draws=asked.draws,
        confidence=asked.confidence,
        seed=asked.seed,
        progress=progress,
    )
    return tables.differences(seen, table, "PRR", scale=1)
