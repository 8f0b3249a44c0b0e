"""From sources to files on this machine: downloaded once, checked, resumed, unpacked.

```
cache/
  checksums.json     digest and size of every file that came, by source and name
  listings.json      what each revision of a repository held when it was first asked
  hub/               the hub library's own cache
  addresses/NAME/    files behind plain addresses
  unpacked/          unpacked copies
```

What came once stays what it was: a listing is not asked for again, and a file's digest is checked whenever it is used.
To take newer data, remove the cache.
"""

import glob
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from selfj.collection import addresses, hub
from selfj.collection.faults import SourceFault
from selfj.collection.reading import SourceFile
from selfj.collection.sources import Source
from selfj.collection.unpack import ready
from selfj.files import file_digest, read_json, write_json
from selfj.progress import Progress, Quiet

_TRUE = {"1", "ON", "YES", "TRUE"}


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came of one source: its files, or the fault."""

    source: Source
    files: tuple[SourceFile, ...] = ()
    fault: str | None = None
    """One plain sentence; the other sources go on."""
    revision: str | None = None
    """Commit that the hub's revision stood for."""


@dataclass(frozen=True, slots=True)
class _Job:
    """One file that is wanted."""

    source: Source
    label: str
    bring: Callable[[Callable[[int], None]], Path]
    """Fetches the file, or finds it; told of bytes as they come."""
    find: Callable[[], Path | None]
    """The file where it lies already, without asking the network."""
    bytes: int | None = None
    sha256: str | None = None
    """Digest that the file must have: pinned, or stated by the hub."""
    local: bool = False


class _Records:
    """Digests and listings of a cache, kept on disk."""

    def __init__(self, cache: Path) -> None:
        self.cache = cache
        self._lock = threading.Lock()
        self._sums = self._read("checksums.json")
        self._listings = self._read("listings.json")

    def _read(self, name: str) -> dict[str, Any]:
        path = self.cache / name
        return read_json(path, f"Remove {path}; files are then checked anew.") if path.exists() else {}

    def digest(self, job: _Job) -> str | None:
        """The digest that was kept of a file."""
        kept = self._sums.get(_key(job))
        return None if kept is None else str(kept["sha256"])

    def keep(self, job: _Job, digest: str, size: int) -> None:
        """Keep a file's digest."""
        with self._lock:
            kept = {"sha256": digest, "bytes": size}
            if self._sums.get(_key(job)) != kept:
                self._sums[_key(job)] = kept
                write_json(self.cache / "checksums.json", dict(sorted(self._sums.items())))

    def listing(self, source: Source, offline: bool) -> hub.Listing:
        """What the source's repository holds, asked once."""
        key = f"{source.hub}@{source.revision}"
        kept = self._listings.get(key)
        if kept is not None:
            return hub.Listing(kept["commit"], tuple(hub.HubFile(*file) for file in kept["files"]))
        if offline:
            raise SourceFault(source.name, f"{source.hub} is not in the cache, and the work is offline.")
        listing = hub.list_files(source)
        self._listings[key] = {"commit": listing.commit, "files": [list(file) for file in listing.files]}
        write_json(self.cache / "listings.json", dict(sorted(self._listings.items())))
        return listing


def _key(job: _Job) -> str:
    where = job.source.hub or ("address" if job.source.url else "local")
    return f"{where}:{job.source.revision if job.source.hub else job.source.name}:{job.label}"


def is_offline() -> bool:
    """Whether HF_HUB_OFFLINE says that the network is not to be asked."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in _TRUE


def fetch(
    sources: Sequence[Source],
    cache: Path,
    *,
    offline: bool = False,
    workers: int = 4,
    progress: Progress | None = None,
) -> list[Fetched]:
    """Bring the files of every source into the cache; gives one result per source, in their order.

    A source that cannot be had is a result with a fault, and the rest goes on.

    Args:
        sources: Which.
        cache: Folder for downloads; it may be shared by collections, one after another.
        offline: Take what is in the cache, and ask no server; also where HF_HUB_OFFLINE is set.
        workers: Files under way at once.
        progress: Told of bytes.

    Raises:
        ArtefactError: The cache cannot be read or written.
    """
    progress = progress or Quiet()
    offline = offline or is_offline()
    # Parts are read by other processes too, perhaps from another folder.
    cache = cache.absolute()
    records = _Records(cache)
    plans = [_plan(source, records, offline) for source in sources]
    jobs = [job for plan in plans if not isinstance(plan, str) for job in plan[0]]
    told = _Told(progress, sum(job.bytes or 0 for job in jobs) if all(job.bytes for job in jobs) else None)
    came = _bring_all(jobs, records, offline, workers, told)
    told.end(f"{len(jobs)} files of {len(sources)} sources")
    results = []
    for source, plan in zip(sources, plans, strict=True):
        result = Fetched(source, fault=plan) if isinstance(plan, str) else _result(source, plan, came)
        if result.fault is not None:
            progress.note(f"{source.name} is left out: {result.fault}")
        results.append(result)
    return results


def _result(source: Source, plan: tuple[list[_Job], str | None], came: dict[int, SourceFile | str]) -> Fetched:
    files = [came[id(job)] for job in plan[0]]
    faults = [file for file in files if isinstance(file, str)]
    if faults:
        return Fetched(source, fault=faults[0], revision=plan[1])
    return Fetched(source, tuple(file for file in files if isinstance(file, SourceFile)), revision=plan[1])


def _plan(source: Source, records: _Records, offline: bool) -> tuple[list[_Job], str | None] | str:
    """The files that a source needs and its commit, or the fault."""
    try:
        commit = None
        if source.hub is not None:
            listing = records.listing(source, offline)
            commit = listing.commit
            jobs = [_hub_job(source, file, commit, records.cache) for file in hub.choose_files(source, listing)]
        elif source.path is not None:
            jobs = list(_local_jobs(source, source.path))
        else:
            jobs = [_url_job(source, url, k, records.cache) for k, url in enumerate(source.urls)]
        return _pinned(source, jobs), commit
    except SourceFault as fault:
        return fault.text


def _pinned(source: Source, jobs: list[_Job]) -> list[_Job]:
    if source.sha256 and len(source.sha256) != len(jobs):
        text = f"the entry pins {len(source.sha256)} digests, and the source has {len(jobs)} files."
        raise SourceFault(source.name, text)
    pins: Sequence[str | None] = source.sha256 or [job.sha256 for job in jobs]
    return [replace(job, sha256=pin and pin.lower()) for job, pin in zip(jobs, pins, strict=True)]


def _hub_job(source: Source, file: hub.HubFile, commit: str, cache: Path) -> _Job:
    folder = cache / "hub"
    return _Job(
        source,
        file.name,
        bring=lambda advance: hub.download(source, commit, file, folder, advance),
        find=lambda: hub.held(source, commit, file.name, folder),
        bytes=file.bytes,
        sha256=file.sha256,
    )


def _local_jobs(source: Source, pattern: str) -> Iterable[_Job]:
    if Path(pattern).is_file():
        found = [Path(pattern)]
    else:
        found = sorted(path for path in map(Path, glob.glob(pattern, recursive=True)) if path.is_file())
    if not found:
        raise SourceFault(source.name, f"no file fits {pattern}: expected a file, or a pattern such as data/*.jsonl.")
    for path in found:
        here = path.absolute()
        size = here.stat().st_size
        stays = partial(_same, here)
        yield _Job(source, path.as_posix(), bring=stays, find=stays, bytes=size, local=True)


def _same(path: Path, *_: object) -> Path:
    return path


def _url_job(source: Source, url: str, place: int, cache: Path) -> _Job:
    name = PurePosixPath(unquote(urlsplit(url).path)).name
    kept = "".join(letter if letter.isalnum() or letter in "._-" else "_" for letter in name).lstrip(".")[-80:]
    target = cache / "addresses" / source.name / f"{place:04d}-{kept or 'file'}"

    def bring(advance: Callable[[int], None]) -> Path:
        addresses.download(source.name, url, target, advance)
        return target

    return _Job(source, addresses.shown(url), bring, lambda: target if target.is_file() else None)


class _Ended(BaseException):
    """The work ends; what is under way is given up, to be gone on with the next time."""


class _Told:
    """Progress from several threads, and the way to end them."""

    def __init__(self, progress: Progress, total: int | None) -> None:
        self._progress, self._lock = progress, threading.Lock()
        self.ended = False
        progress.start("fetch", total)

    def advance(self, n: int) -> None:
        with self._lock:
            if self.ended:
                raise _Ended
            self._progress.advance(n)

    def end(self, summary: str) -> None:
        self._progress.finish(summary)


def _bring_all(
    jobs: list[_Job], records: _Records, offline: bool, workers: int, told: _Told
) -> dict[int, SourceFile | str]:
    def one(job: _Job) -> SourceFile | str:
        try:
            return _bring(job, records, offline, told)
        except SourceFault as fault:
            return fault.text

    pool = ThreadPoolExecutor(max(1, min(workers, len(jobs))))
    try:
        futures = [pool.submit(one, job) for job in jobs]
        done, _ = wait(futures, return_when=FIRST_EXCEPTION)
        failed = [future for future in futures if future in done and future.exception()]
        return {id(job): future.result() for job, future in zip(jobs, failed or futures, strict=False)}
    finally:
        # Python waits for its threads when it ends; without this for the rest of a file of gigabytes.
        told.ended = True
        pool.shutdown(wait=False, cancel_futures=True)


def _bring(job: _Job, records: _Records, offline: bool, told: _Told) -> SourceFile:
    """Find or fetch one file, check it, and unpack it."""
    path, source = job.find(), job.source
    kept = records.digest(job)
    wanted = job.sha256 or (None if job.local else kept)
    if path is not None:
        digest = file_digest(path)
        if wanted in (None, digest):
            told.advance(path.stat().st_size)
            return _finished(job, path, digest, records)
        if job.local:
            raise SourceFault(source.name, f"{job.label} is not the pinned file: {_differ(wanted, digest)}")
        if not offline:
            _discard(path)
    if offline:
        state = "is not in the cache" if path is None else "is damaged in the cache"
        raise SourceFault(source.name, f"{job.label} {state}, and the work is offline.")
    path = job.bring(told.advance)
    digest = file_digest(path)
    if wanted not in (None, digest):
        _discard(path)
        why = "is not the pinned file" if source.sha256 else "is no longer the file that was listed or came before"
        raise SourceFault(source.name, f"{job.label} {why}: {_differ(wanted, digest)}")
    return _finished(job, path, digest, records)


def _discard(path: Path) -> None:
    """Remove a file of the cache, and what it is a link to."""
    real = path.resolve()
    path.unlink(missing_ok=True)
    real.unlink(missing_ok=True)


def _differ(wanted: str | None, found: str) -> str:
    return f"expected SHA-256 {(wanted or '')[:16]}…, found {found[:16]}…. Change its entry, or remove the cache."


def _finished(job: _Job, path: Path, digest: str, records: _Records) -> SourceFile:
    size = path.stat().st_size
    if not job.local:
        records.keep(job, digest, size)
    return SourceFile(ready(job.source, path, digest, records.cache / "unpacked"), job.label, digest, size)


def describe_files(fetched: Sequence[Fetched]) -> list[dict[str, Any]]:
    """What came, for a manifest: source, commit, and of each file its name, digest and size; faults too."""
    return [
        {
            "source": result.source.name,
            "revision": result.revision,
            "fault": result.fault,
            "files": [{"name": f.label, "sha256": f.sha256, "bytes": f.bytes} for f in result.files],
        }
        for result in fetched
    ]
