"""What sways a judge besides quality, and a table of evaluators.

`material` reads exchanges or pairs, `subject` scores them with one judge and keeps the scores, `texts`, `order` and
`outputs` hold the probes, `evaluators` the table, `page` the files. `docs/design/audit.md` has the reasons.

Example:
    >>> from selfj import audit
    >>> found = audit.audit(["length"], audit.read_material(limit=20))
    >>> number = found.judges[0].findings[0].number
    >>> number.name, number.value > 0
    ('padded with filler', True)
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from selfj.audit import order, outputs, texts
from selfj.audit.evaluators import BASELINES, Evaluator, check, evaluator, has_gold
from selfj.audit.evaluators import table as evaluator_table
from selfj.audit.families import family_of
from selfj.audit.material import Exchange, Material, Pair, read_material
from selfj.audit.page import Audit, JudgeAudit, write_audit
from selfj.audit.subject import DRAWS, Example, Finding, Measure, Subject
from selfj.judging.score_cache import ScoreCache
from selfj.judging.scorers import NamedScorer, load_scorer
from selfj.progress import Progress, Quiet

__all__ = [
    "PROBES",
    "Audit",
    "Evaluator",
    "Example",
    "Exchange",
    "Finding",
    "JudgeAudit",
    "Material",
    "Measure",
    "Pair",
    "Subject",
    "audit",
    "audit_scorers",
    "evaluator_table",
    "evaluators",
    "family_of",
    "read_material",
    "write_audit",
]

PROBES: tuple[Callable[[Subject], Finding], ...] = (
    texts.length,
    texts.dress,
    order.batch,
    outputs.family,
    order.swap,
    texts.paraphrase,
    outputs.nulls,
    outputs.gamed,
    outputs.missing,
)
"""In the order of the page; the last one counts what the others could not score."""


@dataclass(frozen=True, slots=True)
class _Means:
    """What all judges of an audit share."""

    material: Material
    cache: ScoreCache | None
    progress: Progress
    seed: int
    draws: int

    def subject(self, name: str, scorer: NamedScorer) -> Subject:
        return Subject(name, scorer, self.material, self.cache, self.progress, self.seed, self.draws)


def audit(
    judges: Sequence[str],
    material: Material,
    *,
    overrides: Sequence[str] = (),
    out: str | Path | None = None,
    prices: Mapping[str, float] | None = None,
    seed: int = 0,
    draws: int = DRAWS,
    progress: Progress | None = None,
) -> Audit:
    """Audit judges; where there is gold or a preference, the evaluator table is made too.

    Args:
        judges: Names as `selfj.judging.scorers.load_scorer` takes them.
        material: From `read_material`.
        overrides: Settings such as `embedder.engine=openvino`.
        out: Folder to keep scores in, so that a killed audit goes on.
        prices: By name of the judge, per 1,000 exchanges; 0 by default.
        seed: Of draws and intervals.
        draws: Resamples of an interval.
        progress: Told of every chunk of scores.

    Raises:
        ConfigError: There is no such judge, or a setting is wrong.
        ArtefactError: A judge is malformed, or the folder cannot be written.
    """
    named = {name: load_scorer(name, overrides) for name in dict.fromkeys(judges)}
    known = dict(named)
    if has_gold(material):
        known |= {name: load_scorer(name, overrides) for name in BASELINES if name not in named}
    return audit_scorers(
        named, material, beside=known, out=out, prices=prices, seed=seed, draws=draws, progress=progress
    )


def audit_scorers(
    scorers: Mapping[str, NamedScorer],
    material: Material,
    *,
    beside: Mapping[str, NamedScorer] | None = None,
    out: str | Path | None = None,
    prices: Mapping[str, float] | None = None,
    seed: int = 0,
    draws: int = DRAWS,
    progress: Progress | None = None,
) -> Audit:
    """Audit scorers of one's own; see `audit`.

    Args:
        scorers: By name.
        material: From `read_material`.
        beside: The scorers of the evaluator table, `scorers` among them; those by default.
        out: Folder to keep scores in.
        prices: By name, per 1,000 exchanges.
        seed: Of draws and intervals.
        draws: Resamples of an interval.
        progress: Told of every chunk of scores.
    """
    cache = ScoreCache(Path(out) / "scores.sqlite") if out is not None else None
    means = _Means(material, cache, progress or Quiet(), seed, draws)
    try:
        subjects = {name: means.subject(name, scorer) for name, scorer in scorers.items()}
        judges = tuple(
            JudgeAudit(s.name, s.scorer.title, s.scorer.quality, tuple(probe(s) for probe in PROBES))
            for s in subjects.values()
        )
        rows: tuple[Evaluator, ...] = ()
        if has_gold(material):
            for name, scorer in (beside or scorers).items():
                if name not in subjects:
                    subjects[name] = means.subject(name, scorer)
            rows = tuple(evaluator(subject, prices) for subject in subjects.values())
    finally:
        if cache is not None:
            cache.close()
    return Audit(material, judges, rows, seed)


def evaluators(
    judges: Sequence[str],
    material: Material,
    *,
    overrides: Sequence[str] = (),
    out: str | Path | None = None,
    prices: Mapping[str, float] | None = None,
    seed: int = 0,
    draws: int = DRAWS,
    progress: Progress | None = None,
) -> Audit:
    """The evaluator table alone, with length, random and cosine always in it; arguments as of `audit`.

    Raises:
        ConfigError: There is neither gold nor a preference, or no such judge.
    """
    check(material)
    named = {name: load_scorer(name, overrides) for name in dict.fromkeys([*judges, *BASELINES])}
    cache = ScoreCache(Path(out) / "scores.sqlite") if out is not None else None
    means = _Means(material, cache, progress or Quiet(), seed, draws)
    try:
        rows = tuple(evaluator(means.subject(name, scorer), prices) for name, scorer in named.items())
    finally:
        if cache is not None:
            cache.close()
    return Audit(material, (), rows, seed)
