"""The collect stage: instructions, and responses where the input has them, from the world, a file or a plugin."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from selfj import backends, world
from selfj.collect.rows import Collector, from_file, world_records
from selfj.errors import ConfigError
from selfj.files import file_digest
from selfj.progress import Progress, Quiet
from selfj.records import INSTRUCTIONS, RESPONSES, Instruction, Response, content_id
from selfj.settings import Config, FileSource, WorldSource
from selfj.stages import GIVEN
from selfj.store import Artefact, Build


def collect(config: Config, *, force: bool = False, progress: Progress | None = None) -> Artefact:
    """Collect the instructions of a run; a file of exchanges gives its responses as well.

    Raises:
        InputError: The file cannot be used.
        ConfigError: Its columns cannot be recognised, or the source is unknown.
    """
    progress = progress or Quiet()
    collector, source_digest = read_source(config)
    made = list(collector)
    settings = {"collect": config.collect.model_dump(exclude={"source": {"path"}})}
    counts = {name: n for name, n in asdict(collector.counts).items() if isinstance(n, int) and n}

    def build(kind: Any, inputs: dict[str, str], settings: dict[str, Any]) -> Build[Any]:
        return Build(
            run=config.path,
            kind=kind,
            make=lambda chunk: chunk,
            row_id=lambda row: row.id,
            source_id=lambda row: row.id,
            settings=settings,
            inputs=inputs,
            seed=0,
            part_size=config.part_size,
            max_failed=config.max_failed,
            progress=progress,
        )

    instructions: list[Instruction] = [item.instruction for item in made if item.new]
    artefact = build(INSTRUCTIONS, {"source": source_digest}, settings)(
        instructions, len(instructions), force=force, counts=lambda: counts
    )
    responses: list[Response] = [item.response for item in made if item.response is not None]
    if responses:
        inputs = {"source": source_digest, "instructions": artefact.digest}
        build(RESPONSES, inputs, GIVEN)(responses, len(responses), force=force)
    return artefact


def read_source(config: Config) -> tuple[Collector, str]:
    """The rows of the configured source, and a digest that changes when they do.

    Raises:
        InputError: The file cannot be used.
        ConfigError: Its columns cannot be recognised, or the source is unknown.
    """
    source = config.collect.source
    if isinstance(source, FileSource):
        collector = from_file(source, config.collect)
        return collector, file_digest(Path(source.path))
    if isinstance(source, WorldSource):
        unknown = sorted(set(source.families) - set(world.FAMILIES))
        if unknown:
            known = ", ".join(world.FAMILIES)
            raise ConfigError(f"The world has no family {unknown[0]!r}; it has: {known}.")
        rows = list(_world_rows(source))
        return world_records(rows, collect=config.collect, name="world"), content_id(rows)
    rows = list(_plugin_rows(backends.plugin(source.target), source.options, source.target))
    return world_records(rows, collect=config.collect, name=source.target), content_id(rows)


def _world_rows(source: WorldSource) -> Iterator[dict[str, Any]]:
    families = source.families or world.ASKED
    for item in world.exercises(source.n, seed=source.seed, held_out=True, families=families):
        yield {
            "instruction": item.instruction,
            "reference": world.reference(item),
            "category": item.category,
            "group": item.family,
            **world.meta(item),
        }


def _plugin_rows(function: Any, options: dict[str, Any], target: str) -> Iterable[dict[str, Any]]:
    if not callable(function):
        raise ConfigError(f"collect.source.target {target} must be a function, found {type(function).__name__}.")
    rows: Iterable[dict[str, Any]] = function(**options)
    return rows
