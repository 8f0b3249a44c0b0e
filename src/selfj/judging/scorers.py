"""Whatever can score an exchange, by one name: judges, and the plain measures that every judge is compared with."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from selfj import backends
from selfj import config as configs
from selfj.backends.base import Embedder, JudgeInput
from selfj.backends.language import coverage
from selfj.backends.overlap import nearest_alternative, words
from selfj.errors import ConfigError
from selfj.judge import GENERAL, Judge, load_judge
from selfj.judging.score_cache import ScoreCache
from selfj.metrics import Array
from selfj.progress import Progress, Quiet
from selfj.records import content_id, hash_fraction

CHUNK = 1024
"""Exchanges that are scored and then kept together: a kill costs at most so many."""
REFERENCE = "+reference"
"""Ends the name of a scorer that sees the reference."""
Reading = tuple[float | None, str | None]
"""A score, higher is better, or the reason why there is none."""


@dataclass(frozen=True, slots=True)
class NamedScorer:
    """One way to score exchanges."""

    name: str
    """As it was asked for, such as `general+reference`."""
    title: str
    """For tables."""
    key: str
    """Identifies what it computes: a judge's weights and settings, not where they lie."""
    reference: bool
    """Whether it sees the reference; an exchange without one then has no score."""
    quality: bool
    """Whether its scores are qualities in [0, 9]."""
    read: Callable[[Sequence[JudgeInput]], list[Reading]]


@dataclass(frozen=True, slots=True)
class ScoreColumn:
    """The scores of n exchanges."""

    values: Array
    """Shape (n,), NaN where there is none."""
    reasons: Counter[str] = field(default_factory=Counter)
    """Why exchanges have none."""


def load_scorer(name: str, overrides: Sequence[str] = ()) -> NamedScorer:
    """Find a scorer by its name.

    Args:
        name: `length` (characters of the response), `random`, `cosine` (of response and instruction), or the judge
            `general` that ships, the folder of a tuned judge, the folder of a run. With `+reference` at its end it
            sees the reference: `cosine+reference`, `general+reference`, `contains+reference` (whether the response
            holds the reference's words in order), `coverage+reference` (the share of its rare words, but for those of
            the instruction, that the response holds) and `overlap+reference` (that share both ways, as a harmonic
            mean). Of a reference that lists alternatives between slashes the nearest one counts.
        overrides: Settings such as `embedder.engine=openvino`, on top of those of a run.

    Raises:
        ConfigError: There is no such scorer.
        ArtefactError: The judge is absent or malformed.
    """
    base, reference = (name.removesuffix(REFERENCE), name.endswith(REFERENCE))
    plain = _PLAIN.get((base, reference))
    if plain is not None:
        title, read = plain
        return NamedScorer(name, title, f"{name}/2", reference, False, _seen(read, reference))
    if base in {known for known, _ in _PLAIN} | {"cosine"}:
        if base != "cosine":
            raise ConfigError(f"There is no scorer {name!r}; there is {base if reference else base + REFERENCE}.")
        return _cosine(name, reference, overrides)
    return _judge(name, base, reference, overrides)


def score_all(
    scorer: NamedScorer, inputs: Sequence[JudgeInput], cache: ScoreCache | None = None, progress: Progress | None = None
) -> ScoreColumn:
    """Score exchanges in order; what a cache holds is not computed again, and what fails is computed again.

    Equal exchanges are scored once.

    Args:
        scorer: From `load_scorer`.
        inputs: Those of a scorer without a reference are stripped of theirs.
        cache: Keeps every chunk as soon as it is scored.
        progress: Told of every chunk.
    """
    progress = progress or Quiet()
    seen = [item if scorer.reference else JudgeInput(item.instruction, item.response) for item in inputs]
    keys = [content_id(scorer.key, item.instruction, item.response, item.reference) for item in seen]
    known: dict[str, float] = cache.get(keys) if cache is not None else {}
    found: dict[str, Reading] = {key: (value, None) for key, value in known.items()}
    waiting = {key: item for key, item in zip(keys, seen, strict=True) if key not in found}
    progress.start(f"score by {scorer.title}", len(set(keys)), len(found))
    todo = list(waiting.items())
    for start in range(0, len(todo), CHUNK):
        chunk = todo[start : start + CHUNK]
        fresh = dict(zip([key for key, _ in chunk], scorer.read([item for _, item in chunk]), strict=True))
        if cache is not None:
            cache.put({key: value for key, (value, _) in fresh.items() if value is not None})
        found |= fresh
        progress.advance(len(chunk))
    values = np.array([np.nan if (value := found[key][0]) is None else value for key in keys], dtype=np.float64)
    column = ScoreColumn(values, Counter(reason for key in keys if (reason := found[key][1]) is not None))
    failed = ", ".join(f"{n:,} {reason}" for reason, n in column.reasons.most_common())
    progress.finish(f"{len(keys):,} exchanges by {scorer.title}{', without a score: ' + failed if failed else ''}")
    return column


def _seen(read: Callable[[JudgeInput], float], reference: bool) -> Callable[[Sequence[JudgeInput]], list[Reading]]:
    def batch(inputs: Sequence[JudgeInput]) -> list[Reading]:
        return [
            (None, "no_reference") if reference and i.reference is None else (read(_nearest(i)), None) for i in inputs
        ]

    return batch


def _nearest(item: JudgeInput) -> JudgeInput:
    """With the alternative of the reference that the response comes closest to, where it lists some."""
    if item.reference is None or "/" not in item.reference:
        return item
    return JudgeInput(item.instruction, item.response, nearest_alternative(item.response, item.reference))


def _random(item: JudgeInput) -> float:
    return hash_fraction("random", item.instruction, item.response)


def _contains(item: JudgeInput) -> float:
    said, known = words(item.response), words(item.reference or "")
    return float(bool(known) and f" {' '.join(known)} " in f" {' '.join(said)} ")


def _coverage(item: JudgeInput) -> float:
    return coverage(item.response, item.reference or "", item.instruction)


def _overlap(item: JudgeInput) -> float:
    held, wanted = _coverage(item), coverage(item.reference or "", item.response, item.instruction)
    return 2 * held * wanted / (held + wanted) if held and wanted else 0.0


_PLAIN: dict[tuple[str, bool], tuple[str, Callable[[JudgeInput], float]]] = {
    ("length", False): ("Length", lambda item: float(len(item.response))),
    ("random", False): ("Random", _random),
    ("contains", True): ("Holds the reference", _contains),
    ("coverage", True): ("Rare words of the reference held", _coverage),
    ("overlap", True): ("Rare words shared with the reference", _overlap),
}


_NAMES = [base + REFERENCE for base, reference in _PLAIN if reference]


def _cosine(name: str, reference: bool, overrides: Sequence[str]) -> NamedScorer:
    config = configs.parse("", overrides)
    embedder = backends.embedder(config.embedder)

    def read(inputs: Sequence[JudgeInput]) -> list[Reading]:
        return _similarities(embedder, inputs, reference)

    title = "Cosine with the reference" if reference else "Cosine with the instruction"
    return NamedScorer(name, title, f"{name}/2 {embedder.name}", reference, False, read)


def _similarities(embedder: Embedder, inputs: Sequence[JudgeInput], reference: bool) -> list[Reading]:
    kept = [_nearest(item) for item in inputs if not reference or item.reference is not None]
    others = [item.reference if reference else item.instruction for item in kept]
    vectors = embedder.embed([*(item.response for item in kept), *(other or "" for other in others)])
    answers, wanted = vectors[: len(kept)], vectors[len(kept) :]
    cosines: list[float] = np.einsum("nd,nd->n", answers, wanted, dtype=np.float64).tolist()
    values = iter(cosines)
    return [(None, "no_reference") if reference and i.reference is None else (next(values), None) for i in inputs]


def _judge(name: str, base: str, reference: bool, overrides: Sequence[str]) -> NamedScorer:
    folder = Path(base)
    is_run = (folder / "judge" / "judge.json").is_file()
    if not (base == GENERAL or is_run or folder.is_dir()):
        raise ConfigError(
            f"There is no scorer {name!r}: expected length, random, cosine, {', '.join(_NAMES)}, general, or the "
            f"folder of a run or of a judge; {REFERENCE} at its end lets it see the reference."
        )
    config = configs.load(str(folder), overrides) if is_run else configs.parse("", overrides)
    judge = load_judge(folder / "judge" if is_run else base, config)

    def read(inputs: Sequence[JudgeInput]) -> list[Reading]:
        return _readings(judge, inputs, reference)

    title = (
        f"{'General judge' if base == GENERAL else f'Judge {folder.name}'}{', reference in view' if reference else ''}"
    )
    key = content_id(judge.name, judge.digest, judge.min_label_mass, reference)
    return NamedScorer(name, title, key, reference, True, read)


def _readings(judge: Judge, inputs: Sequence[JudgeInput], reference: bool) -> list[Reading]:
    kept = [item for item in inputs if not reference or item.reference is not None]
    scores = iter(judge.score(kept))
    made: list[Reading] = []
    for item in inputs:
        if reference and item.reference is None:
            made.append((None, "no_reference"))
        else:
            score = next(scores)
            made.append((score.value, score.reason))
    return made
