"""A ranking as tables, sentences, figures and files."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from selfj.files import write_json, write_text
from selfj.ranking import figures
from selfj.ranking.pages import (
    cell,
    check_free,
    digits_for,
    exact,
    listed,
    plain_faults,
    plain_interval,
    told_faults,
    write_grids,
    write_png,
)
from selfj.ranking.ranked import Agreement, Ranking, ScorerRanking
from selfj.ranking.scoring import LENGTH
from selfj.report.grid import Grid, GridCell, strongest
from selfj.report.sheet import Block, Fact, Picture, Words, render_sheet
from selfj.report.text import number

TITLE = "Models ranked by their outputs"
_FILES = ("ranking.json", "ranking.csv", "agreement.csv", "ranking.md", "ranking.tex", "ranking.html")
_CONTROLLED = ", length held equal"


def model_grid(ranking: Ranking, scorer: ScorerRanking) -> Grid:
    """The models under one scorer, the best first."""
    digits = digits_for(model.mean.value for model in scorer.models)
    headers = [
        "model",
        "rank",
        "mean score",
        "above the next",
        "length held equal",
        "n",
        "missing",
        "no score",
        "length",
    ]
    drop = {"length held equal"} if scorer.scorer == LENGTH else set()
    drop |= set() if any(model.unscored for model in scorer.models) else {"no score"}
    headers += [_value_title(ranking)] if ranking.board else []
    rows = []
    for place, model in enumerate(scorer.models, start=1):
        cells = {
            "rank": GridCell(place, digits=0),
            "mean score": cell(model.mean, digits),
            "above the next": _share(model.above_next),
            "length held equal": cell(model.controlled, digits),
            "n": GridCell(model.n, digits=0),
            "missing": GridCell(model.missing, digits=0),
            "no score": GridCell(model.unscored, digits=0),
            "length": GridCell(exact(model.characters), digits=0),
            _value_title(ranking): GridCell(exact(model.value)),
        }
        rows.append((model.name, tuple(cells[name] for name in headers[1:] if name not in drop)))
    notes = (
        f"Intervals and the share above the next: {ranking.draws:,} resamples of the {ranking.instructions:,} "
        "instructions. Length: mean characters of an output.",
    )
    return Grid(f"Models by {scorer.title}", tuple(name for name in headers if name not in drop), tuple(rows), notes)


def wide_grid(ranking: Ranking) -> Grid:
    """All scorers side by side, in the order of the first; for CSV."""
    by_name = [{model.name: model for model in scorer.models} for scorer in ranking.scorers]
    headers = ["model"]
    for scorer in ranking.scorers:
        headers += [scorer.scorer, f"{scorer.scorer}{_CONTROLLED}", f"{scorer.scorer}, rank", f"{scorer.scorer}, n"]
    headers += ["missing", "characters", *([ranking.board.column] if ranking.board else [])]
    rows = []
    for first in ranking.scorers[0].models:
        cells: list[GridCell] = []
        for scorer, known in zip(ranking.scorers, by_name, strict=True):
            model = known[first.name]
            place = scorer.models.index(model) + 1
            cells += [cell(model.mean), cell(model.controlled), GridCell(place), GridCell(model.n)]
        cells += [GridCell(first.missing), GridCell(exact(first.characters))]
        cells += [GridCell(exact(first.value))] if ranking.board else []
        rows.append((first.name, tuple(cells)))
    return Grid("Models", tuple(headers), tuple(rows))


def agreement_grid(ranking: Ranking) -> Grid:
    """How well each order agrees with the leaderboard."""
    best = strongest([[exact(a.spearman.value) for a in ranking.agreement]])
    rows = []
    for row, strong in zip(ranking.agreement, best[0], strict=True):
        over = GridCell(words="–") if row.scorer == LENGTH and not row.controlled else cell(row.over_length)
        cells = (cell(row.spearman, strong=strong), cell(row.kendall), cell(row.pearson), over)
        rows.append((f"{row.title}{_CONTROLLED if row.controlled else ''}", (*cells, GridCell(row.models, digits=0))))
    notes = (
        f"Mean scores against {ranking.board.column if ranking.board else 'nothing'}. Intervals resample instructions, "
        "the same for every row; they do not say how other models would rank.",
    )
    headers = ("scorer", "Spearman", "Kendall", "Pearson", "Spearman above length", "models")
    return Grid("Agreement with the leaderboard", headers, tuple(rows), notes)


def sentences(ranking: Ranking) -> tuple[str, ...]:
    """What a person should know beside the tables: rows left out, models without a partner, scores that are absent."""
    told = [*told_faults(ranking.faults, ranking.where)]
    gaps = [f"{model.name} ({model.missing:,})" for model in ranking.scorers[0].models if model.missing]
    if gaps:
        told.append(f"Some models lack outputs for some instructions, and their means are over fewer: {listed(gaps)}.")
    for scorer in ranking.scorers:
        if scorer.reasons:
            counts = ", ".join(f"{n:,} {reason}" for reason, n in scorer.reasons.items())
            told.append(f"Outputs without a score by {scorer.title}: {counts}.")
    if ranking.board is not None and ranking.match is not None:
        if ranking.match.only_outputs:
            names = ranking.match.only_outputs
            told.append(f"Not on the leaderboard ({len(names):,}): {listed(names)}.")
        if ranking.match.only_leaderboard:
            names = ranking.match.only_leaderboard
            told.append(f"On the leaderboard and without outputs here ({len(names):,}): {listed(names)}.")
        if ranking.board.without:
            names = ranking.board.without
            told.append(f"On the leaderboard without a {ranking.board.column} ({len(names):,}): {listed(names)}.")
        if len(ranking.match.values) < 2:
            told.append("Fewer than two models are on the leaderboard, so there is no correlation.")
    return tuple(told)


def write_ranking(ranking: Ranking, out: str | Path, *, inputs: Sequence[str | Path] = (), command: str = "") -> Path:
    """Write all files of a ranking; the same ranking gives the same bytes.

    Args:
        ranking: From `rank`.
        out: Folder.
        inputs: Files that must not be written over.
        command: What makes the page again, for its foot.

    Returns:
        The page, `ranking.html`.

    Raises:
        ConfigError: An input would be written over.
        ArtefactError: A file cannot be written.
    """
    folder = Path(out)
    check_free(folder, _FILES, inputs)
    told = sentences(ranking)
    grids = [*([agreement_grid(ranking)] if ranking.board else []), *(model_grid(ranking, s) for s in ranking.scorers)]
    write_json(folder / "ranking.json", plain(ranking))
    write_text(folder / "ranking.csv", wide_grid(ranking).csv())
    if ranking.board:
        write_text(folder / "agreement.csv", grids[0].csv())
    write_grids(folder / "ranking", TITLE, grids, told)
    pictures = _pictures(ranking)
    for name, picture in pictures:
        write_png(folder / f"{name}.png", picture.figure)
    blocks: list[Block] = [*grids[: len(grids) - len(ranking.scorers)], *(picture for _, picture in pictures)]
    blocks += grids[len(grids) - len(ranking.scorers) :]
    blocks += [Words("Rows and names", told)] if told else []
    lead = (
        f"{len(ranking.scorers[0].models):,} models by the mean score of their outputs for "
        f"{ranking.instructions:,} instructions."
    )
    page = folder / "ranking.html"
    write_text(page, render_sheet(TITLE, lead, blocks, facts=_facts(ranking), command=command))
    return page


def plain(ranking: Ranking) -> dict[str, Any]:
    """A ranking as plain data."""
    return {
        "instructions": ranking.instructions,
        "outputs": ranking.outputs,
        "resamples": ranking.draws,
        "seed": ranking.seed,
        "leaderboard": None if ranking.board is None else {"value": ranking.board.column},
        "agreement": [_plain_agreement(row) for row in ranking.agreement],
        "scorers": [_plain_scorer(scorer) for scorer in ranking.scorers],
        "left_out": plain_faults(ranking.faults, ranking.where),
        "not_on_leaderboard": [] if ranking.match is None else list(ranking.match.only_outputs),
        "only_on_leaderboard": [] if ranking.match is None else list(ranking.match.only_leaderboard),
        "leaderboard_without_value": [] if ranking.board is None else list(ranking.board.without),
    }


def _plain_agreement(row: Agreement) -> dict[str, Any]:
    figures_of = {
        name: plain_interval(getattr(row, name)) for name in ("spearman", "kendall", "pearson", "over_length")
    }
    return {"scorer": row.scorer, "length_held_equal": row.controlled, "models": row.models, **figures_of}


def _plain_scorer(scorer: ScorerRanking) -> dict[str, Any]:
    models = [
        {
            "model": model.name,
            "n": model.n,
            "missing": model.missing,
            "no_score": model.unscored,
            "mean": plain_interval(model.mean),
            "length_held_equal": plain_interval(model.controlled),
            "above_next": exact(model.above_next),
            "characters": exact(model.characters),
            "leaderboard": exact(model.value),
        }
        for model in scorer.models
    ]
    return {
        "scorer": scorer.scorer,
        "title": scorer.title,
        "length_slope": plain_interval(scorer.slope),
        "no_score": dict(scorer.reasons),
        "models": models,
    }


def _pictures(ranking: Ranking) -> list[tuple[str, Picture]]:
    first, floor = ranking.scorers[0], next(s for s in ranking.scorers if s.scorer == LENGTH)
    found = [
        (
            "ranking_models",
            Picture(
                f"Mean scores by {first.title}",
                figures.models(first),
                "Dots are mean scores, bars their 95 % intervals over instructions. Open circles are the means with "
                "the length of outputs held equal: what a model owes to long outputs lies between the two.",
            ),
        )
    ]
    if ranking.board is not None:
        for name, scorer in [("ranking_leaderboard", first)] + ([("ranking_length", floor)] if first != floor else []):
            row = next(a for a in ranking.agreement if a.scorer == scorer.scorer and not a.controlled)
            note = f"Spearman {number(row.spearman.value)}, {row.models:,} models"
            found.append(
                (
                    name,
                    Picture(
                        f"{scorer.title} against the leaderboard",
                        figures.scatter(scorer, ranking.board.column, note),
                        "Each dot is a model, its bar the 95 % interval of its mean score. Named are the models whose "
                        "places differ most.",
                    ),
                )
            )
    return found


def _facts(ranking: Ranking) -> list[Fact]:
    first = ranking.scorers[0]
    facts = [Fact("Models", f"{len(first.models):,}", f"{ranking.outputs:,} outputs")]
    if ranking.agreement:
        top, floor = ranking.agreement[0], next(row for row in ranking.agreement if row.scorer == LENGTH)
        facts.append(Fact("Spearman", number(top.spearman.value), f"{top.title} against {_column(ranking)}"))
        if top.scorer != LENGTH:
            facts.append(Fact("Length alone", number(floor.spearman.value), "the same, by the length of outputs"))
    return facts


def _column(ranking: Ranking) -> str:
    return ranking.board.column if ranking.board else ""


def _value_title(ranking: Ranking) -> str:
    return f"leaderboard {_column(ranking)}".strip()


def _share(share: float) -> GridCell:
    return GridCell() if math.isnan(share) else GridCell(exact(share), digits=2)
