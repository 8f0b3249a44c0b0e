"""Making a collection: fetch, prepare, match, keep, manifest. Every step finds what an earlier try left."""

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from selfj.collection import engine
from selfj.collection.evaluation import index, write_index
from selfj.collection.faults import SourceFault
from selfj.collection.fetch import Fetched, describe_files, fetch
from selfj.collection.keep import Keep, Kept, keep, write_decisions
from selfj.collection.manifest import (
    EvaluationSet,
    Manifest,
    SourceCount,
    collection_versions,
    digest_of,
    is_whole,
    read_manifest,
    total,
    write_manifest,
)
from selfj.collection.match import CONTAMINATED, Decisions, Prepareds, match
from selfj.collection.prepare import Prepare, prepare
from selfj.collection.reading import PartSpec, parts_of
from selfj.collection.settings import Collection, dump_collection
from selfj.collection.sources import Source
from selfj.collection.tokens import tokenise
from selfj.collection.work import Folder, clear_partial, read_columns
from selfj.errors import ArtefactError
from selfj.files import explained, locked, write_text
from selfj.progress import Progress, Quiet
from selfj.records import content_id
from selfj.store import Part

PROCESSES_FROM = 20_000
"""Rows from which parts are prepared by processes; for fewer, starting them takes longer than the work."""
_CODE = 1
"""Raised whenever other rows or other bytes come from the same input, so that nothing of an older selfj is kept."""


@dataclass(slots=True)
class _Making:
    """What is known while a collection is made."""

    settings: Collection
    folder: Folder
    progress: Progress
    runner: engine.Runner
    seconds: dict[str, float] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)

    def run(self, work: Callable[[Any], Any], tasks: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        return engine.run(work, tasks, self.runner, apart=False)

    def timed(self, step: str, began: float) -> None:
        self.seconds[step] = round(self.seconds.get(step, 0.0) + time.monotonic() - began, 3)


def collect(
    settings: Collection,
    out: Path,
    progress: Progress | None = None,
    *,
    offline: bool = False,
    describe: Callable[[Path, Progress], None] | None = None,
) -> Manifest:
    """Make a collection, or go on where an earlier try ended.

    A source that cannot be fetched or read is told in `Manifest.faults`, and the rest goes on.

    Args:
        settings: Sources and what is done with them.
        out: Folder of the collection.
        progress: Told of rows and steps.
        offline: Take what is in the cache, and ask no server.
        describe: Called with the finished folder, to write its page and card.

    Raises:
        ArtefactError: No source can be had, an evaluation set cannot, or the folder cannot be written.
    """
    progress = progress or Quiet()
    with locked(out):
        folder = Folder(out)
        clear_partial(out)
        runner = engine.start(engine.Runner(settings.runner, settings.ray_address, settings.workers))
        making = _Making(settings, folder, progress, runner)
        manifest = _collect(making, offline)
        if describe is not None:
            describe(out, progress)
        return manifest


def _collect(making: _Making, offline: bool) -> Manifest:
    settings, folder = making.settings, making.folder
    write_text(folder.settings, dump_collection(settings))
    cache = Path(settings.cache) if settings.cache else folder.path / "cache"
    began = time.monotonic()
    fetched = fetch([*settings.sources, *settings.evaluation], cache, offline=offline, progress=making.progress)
    making.timed("fetch", began)
    key = content_id(_CODE, settings.deciding(), [[r.source.name, [f.sha256 for f in r.files]] for r in fetched])
    done = _complete(making, key, fetched)
    if done is not None:
        return done
    with explained(folder.path):
        folder.manifest.unlink(missing_ok=True)
    sources, evaluation = fetched[: len(settings.sources)], fetched[len(settings.sources) :]
    began = time.monotonic()
    checked = _prepare_evaluation(making, evaluation)
    tasks = _tasks(making, sources, checked)
    prepared = _prepare(making, tasks, "prepare")
    making.timed("prepare", began)
    if not prepared:
        told = _listed(making.faults) or "None of them has a row."
        raise ArtefactError(f"There is nothing to collect from {len(sources)} sources. {told}")
    began = time.monotonic()
    everything = [*checked, *prepared]
    prepareds = Prepareds(
        tuple(task.path for task, _ in everything), tuple(rows for _, rows in everything), len(checked)
    )
    work = folder.work / f"match-{content_id(key, [task.key for task, _ in everything])[:16]}"
    decisions = match(prepareds, settings.matching, work, making.run, making.progress)
    making.timed("match", began)
    began = time.monotonic()
    kept = _keep(making, everything, prepareds, decisions, work)
    making.timed("keep", began)
    manifest = _manifest(making, key, fetched, everything, decisions, kept)
    write_manifest(folder, manifest)
    if not settings.keep_work:
        shutil.rmtree(folder.work, ignore_errors=True)
    return manifest


def _complete(making: _Making, key: str, fetched: Sequence[Fetched]) -> Manifest | None:
    """The manifest, if the collection is complete, made by the same work, undamaged and without new faults."""
    try:
        manifest = read_manifest(making.folder.path)
    except ArtefactError:
        return None
    faults = {result.source.name: result.fault for result in fetched if result.fault}
    if manifest.key != key or manifest.faults != faults or not is_whole(making.folder, manifest):
        return None
    making.progress.note(f"{making.folder.path} is up to date, {manifest.kept:,} rows")
    return manifest


Done = tuple[Prepare, int]
"""A prepared part, with its number of rows."""


def _prepare_evaluation(making: _Making, fetched: Sequence[Fetched]) -> list[Done]:
    if not fetched:
        return []
    tasks = _tasks(making, fetched, None)
    done = _prepare(making, tasks, "evaluation")
    if making.faults:
        raise ArtefactError(f"An evaluation set cannot be used. {_listed(making.faults)}")
    texts = [read_columns(task.path, ["instruction"])["instruction"] for task, _ in done]
    chunks = [chunk for text in texts for chunk in text.chunks]
    joined = pa.concat_arrays(chunks) if chunks else pa.array([], pa.string())
    write_index(making.folder.work / "passages", index(tokenise(joined), making.settings.matching))
    return done


def _tasks(making: _Making, fetched: Sequence[Fetched], checked: Sequence[Done] | None) -> list[Prepare]:
    """One task for each part; `checked` are the parts of evaluation sets, None where these are what is prepared."""
    settings = making.settings
    tasks: list[Prepare] = []
    index_key = content_id([task.key for task, _ in checked]) if checked else ""
    for number, result in enumerate(fetched):
        if result.fault:
            making.faults[result.source.name] = result.fault
            continue
        try:
            specs = parts_of(result.source, result.files, settings.rows_per_part, number)
        except SourceFault as fault:
            making.faults[result.source.name] = fault.text
            continue
        digests = {str(file.path): file.sha256 for file in result.files}
        for spec in specs:
            tasks.append(
                Prepare(
                    spec,
                    making.folder.prepared(len(tasks), checked is None),
                    _part_key(settings, spec, digests[spec.path], index_key, checked is None),
                    settings.quality,
                    settings.matching,
                    settings.categories,
                    making.folder.work / "passages" if checked else None,
                    index_key,
                    checked is None,
                )
            )
    return tasks


def _part_key(settings: Collection, spec: PartSpec, sha256: str, index_key: str, evaluation: bool) -> str:
    rows = [spec.label, spec.format, spec.first, spec.rows, spec.start, spec.stop, spec.header, spec.delimiter]
    parts = (settings.quality, settings.matching, settings.categories, spec.source)
    dumped = [part.model_dump(mode="json") for part in parts]
    return content_id(_CODE, dumped, rows, sha256, index_key, evaluation)


def _prepare(making: _Making, tasks: Sequence[Prepare], step: str) -> list[Done]:
    """Prepare parts; those of sources that cannot be read are left out."""
    rows = sum(task.spec.rows for task in tasks)
    making.progress.start(step, rows)
    found: dict[int, int] = {}
    # Much of cleaning is Python, which runs on one core in each process.
    for number, result in engine.run(prepare, tasks, making.runner, apart=rows >= PROCESSES_FROM):
        if result.fault is None:
            found[number] = result.rows
        else:
            making.faults.setdefault(tasks[number].spec.source.name, result.fault)
        making.progress.advance(tasks[number].spec.rows)
    making.progress.finish(f"{sum(found.values()):,} rows in {len(found):,} parts")
    return [(task, found[number]) for number, task in enumerate(tasks) if number in found]


def _keep(
    making: _Making, everything: Sequence[Done], prepareds: Prepareds, decisions: Decisions, work: Path
) -> list[Kept]:
    settings, folder = making.settings, making.folder
    names = tuple(source.name for source in (*settings.evaluation, *settings.sources))
    numbers = {name: number for number, name in enumerate(names)}
    position = np.concatenate([read_columns(task.path, ["position"])["position"].to_numpy() for task, _ in everything])
    source = np.repeat([numbers[task.spec.source.name] for task, _ in everything], prepareds.rows)
    write_decisions(work / "decisions", decisions, position, source)
    parts = everything[prepareds.evaluation :]
    first = prepareds.offsets[prepareds.evaluation :]
    tasks = [
        Keep(
            task.path,
            int(first[number]),
            folder.part(number),
            folder.dropped(number),
            content_id(_CODE, work.name, task.key),
            work / "decisions",
            names,
        )
        for number, (task, _) in enumerate(parts)
    ]
    making.progress.start("keep", sum(rows for _, rows in parts))
    found: dict[int, Kept] = {}
    for number, kept in making.run(keep, tasks):
        found[number] = kept
        making.progress.advance(kept.read)
    _drop_others(folder, len(parts))
    making.progress.finish(f"{sum(kept.kept for kept in found.values()):,} rows kept")
    return [found[number] for number in range(len(parts))]


def _drop_others(folder: Folder, count: int) -> None:
    """Remove parts that other settings left."""
    wanted = {path for number in range(count) for path in (folder.part(number), folder.dropped(number))}
    with explained(folder.path):
        for name in ("parts", "dropped"):
            for path in (folder.path / name).glob("part-*.parquet"):
                if path not in wanted:
                    path.unlink()


def _manifest(
    making: _Making,
    key: str,
    fetched: Sequence[Fetched],
    everything: Sequence[Done],
    decisions: Decisions,
    kept: Sequence[Kept],
) -> Manifest:
    settings = making.settings
    checked = everything[: len(everything) - len(kept)]
    parts = everything[len(checked) :]
    by_source: dict[str, list[Kept]] = {source.name: [] for source in settings.sources}
    for (task, _), count in zip(parts, kept, strict=True):
        by_source[task.spec.source.name].append(count)
    described = {entry["source"]: entry for entry in describe_files(fetched)}
    sources = tuple(
        _source_count(source, by_source[source.name], described[source.name], making) for source in settings.sources
    )
    listed = [Part(f"parts/part-{n:05d}.parquet", count.kept, count.sha256[0]) for n, count in enumerate(kept)]
    gone = [
        Part(f"dropped/part-{n:05d}.parquet", count.read - count.kept, count.sha256[1]) for n, count in enumerate(kept)
    ]
    return Manifest(
        key=key,
        digest=digest_of([*listed, *gone]),
        read=sum(source.read for source in sources),
        kept=sum(source.kept for source in sources),
        dropped=total(source.dropped for source in sources),
        categories=total(source.categories for source in sources),
        sources=sources,
        evaluation=_evaluation_sets(settings.evaluation, checked, decisions),
        settings=settings.deciding(),
        versions=collection_versions(),
        seconds=making.seconds,
        parts=tuple(listed),
        dropped_parts=tuple(gone),
    )


def _source_count(source: Source, kept: Sequence[Kept], described: dict[str, Any], making: _Making) -> SourceCount:
    return SourceCount(
        name=source.name,
        read=sum(count.read for count in kept),
        kept=sum(count.kept for count in kept),
        dropped=total(count.dropped for count in kept),
        categories=total(count.categories for count in kept),
        fault=making.faults.get(source.name),
        revision=described["revision"],
        files=tuple(described["files"]),
    )


def _evaluation_sets(
    sources: Sequence[Source], checked: Sequence[Done], decisions: Decisions
) -> tuple[EvaluationSet, ...]:
    owners = np.repeat([task.spec.index for task, _ in checked], [rows for _, rows in checked]).astype(np.int64)
    lost = decisions.of[decisions.reason == CONTAMINATED]
    dropped = np.bincount(owners[lost], minlength=len(sources)) if len(lost) else np.zeros(len(sources), int)
    rows = np.bincount(owners, minlength=len(sources))
    return tuple(EvaluationSet(s.name, int(rows[n]), int(dropped[n])) for n, s in enumerate(sources))


def _listed(faults: dict[str, str]) -> str:
    return " ".join(f"{name}: {text}" for name, text in faults.items())
