"""Selective following for each target model, from the sources of a comparison."""

import re
from collections.abc import Sequence

from selfj.comparison.records import Asked, Method, Source
from selfj.following import following
from selfj.report.following import following_grid
from selfj.report.grid import Grid


def selective(sources: Sequence[Source], methods: Sequence[Method], asked: Asked) -> dict[str, Grid]:
    """Tables of selective following for every source whose scale of gold is known, over all and by category.

    Args:
        sources: With gold in every row.
        methods: In the order of the tables; those without reference are taken.
        asked: Says what a failure is.
    """
    titles = {method.key: method.title for method in methods if not method.reference}
    made: dict[str, Grid] = {}
    for number, source in enumerate(sources, start=1):
        failure = source.failure(asked.min_quality)
        if failure is None:
            continue
        scores = {key: source.scores[key] for key in titles if key in source.scores}
        rows = following(scores, failure, source.categories)
        several = sum(other.model == source.model for other in sources) > 1
        name = f"{source.model}, seed {source.seed}" if several else source.model
        stem = f"{number}_{re.sub(r'[^A-Za-z0-9.-]+', '_', name).strip('_.')[-60:]}"
        made[f"selective_{stem}"] = following_grid(rows, titles, title=f"Selective following: {name}")
        if any(row["category"] is not None for row in rows):
            title = f"Selective following by category: {name}"
            made[f"categories_{stem}"] = following_grid(rows, titles, title=title, by_category=True)
    return made
