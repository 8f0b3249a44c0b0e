"""The label stage: a quality for every answer with a reference, made without people."""

from collections.abc import Sequence

from selfj import backends
from selfj.errors import ConfigError
from selfj.exchanges import Exchange, load_exchanges
from selfj.judge import Judge
from selfj.label import make_labels
from selfj.progress import Progress, Quiet
from selfj.records import LABELS, Label
from selfj.settings import Config
from selfj.store import Artefact, Build


def label(
    config: Config, *, force: bool = False, retry_failed: bool = False, progress: Progress | None = None
) -> Artefact:
    """Label every answer whose instruction has a reference.

    Raises:
        ConfigError: No instruction has a reference.
    """
    progress = progress or Quiet()
    exchanges = load_exchanges(config.path, force=force)
    rows = [exchange for exchange in exchanges.answers if exchange.instruction.reference]
    if not rows:
        raise ConfigError(
            f"None of the {len(exchanges.answers)} exchanges has a reference, and labels are made from references. "
            "Add a column of gold answers to the input, or name it with collect.source.columns.reference."
        )
    settings = config.label
    judge, embedder = None, None

    def make(chunk: Sequence[Exchange]) -> list[Label]:
        nonlocal judge, embedder
        if settings.self_eval and judge is None:
            reader = backends.level_reader(config.target, template=settings.template)
            judge = Judge(reader, min_label_mass=settings.min_label_mass)
        if settings.cosine and embedder is None:
            embedder = backends.embedder(config.embedder)
        return make_labels(chunk, judge, embedder, weight=settings.weight)

    build = Build(
        run=config.path,
        kind=LABELS,
        make=make,
        row_id=lambda exchange: exchange.id,
        source_id=lambda row: row.id,
        settings={
            "label": settings.model_dump(),
            "target": backends.identity(config.target),
            "embedder": config.embedder.model_dump(),
        },
        inputs={**exchanges.inputs, "target": backends.digest(config.target)},
        seed=config.seed,
        part_size=config.part_size,
        max_failed=config.max_failed,
        progress=progress,
    )
    without = len(exchanges.answers) - len(rows)
    counts = {"without_reference": without} if without else {}
    return build(rows, len(rows), force=force, retry_failed=retry_failed, counts=lambda: counts)
