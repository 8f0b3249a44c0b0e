"""Selective following for each target model, from the sources of a comparison."""

from collections.abc import Sequence

from selfj.comparison.records import Asked, Method, Source
from selfj.following import following
from selfj.report.following import TITLE, following_grid
from selfj.report.grid import Grid


def selective(sources: Sequence[Source], methods: Sequence[Method], asked: Asked) -> dict[str, Grid | None]:
    """Tables of selective following over all exchanges and by category, of sources whose scale of gold is known.

    Args:
        sources: With gold in every row.
        methods: In the order of the tables; those without reference are taken.
        asked: Says what a failure is.
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
        "selective_by_category": following_grid(parts, titles, title=f"{TITLE} by category", by_category=True),
    }
