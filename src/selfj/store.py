"""Artefacts: folders of Parquet parts with a manifest, that survive a kill at any moment.

A part is written whole or not at all and names the work that it belongs to, so a rerun redoes only what is missing.
The digest of an artefact depends on its rows alone: not on their order, nor on how they are cut into parts.
"""

import hashlib
import itertools
import json
import platform
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Generic, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from selfj.errors import ArtefactError, StaleArtefact, TooManyFailures
from selfj.files import explained, file_digest, read_json, write_json, writing
from selfj.progress import Progress
from selfj.records import Kind, Record, content_id

Row = TypeVar("Row")

_MANIFEST = "manifest.json"
_VERSION = "manifest/1"
_PACKAGES = ("selfj", "torch", "transformers", "peft", "numpy", "pyarrow")


@dataclass(frozen=True, slots=True)
class Part:
    """One part of an artefact, as the manifest lists it."""

    name: str
    rows: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an artefact holds, what it was made from, and how long that took."""

    kind: str
    key: str
    """Hash of everything that decides the rows and their parts."""
    digest: str
    rows: int
    failed: dict[str, int]
    """Rows with an error, by reason."""
    counts: dict[str, int]
    """Further counts of the stage that made it, such as duplicates left out."""
    inputs: dict[str, str]
    """Digest of each input."""
    settings: dict[str, Any]
    seed: int
    versions: dict[str, str]
    seconds: float
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Artefact:
    """A complete artefact on disk."""

    path: Path
    kind: Kind
    manifest: Manifest

    @property
    def digest(self) -> str:
        """Digest of the rows."""
        return self.manifest.digest

    def is_whole(self, part: Part) -> bool:
        """Whether a part is there, with the bytes that the manifest lists."""
        path = self.path / part.name
        return path.is_file() and file_digest(path) == part.sha256

    def records(self) -> Iterator[Any]:
        """Yield the records, part by part.

        Raises:
            ArtefactError: A part is absent or not the one that the manifest lists.
        """
        for part in self.manifest.parts:
            path = self.path / part.name
            if not self.is_whole(part):
                state = "is not the file that the manifest lists" if path.is_file() else "is absent"
                raise ArtefactError(f"{path} {state}. Run the stage that made {self.kind.name} again to mend it.")
            for row in _read_part(path, self.kind).to_pylist():
                yield self.kind.record.from_row(row)

    def check_input(self, name: str, digest: str, *, force: bool) -> None:
        """Refuse to go on when this artefact was made from another version of an input.

        Raises:
            StaleArtefact: The digests differ and `force` is not set.
        """
        check_lineage(self.kind.name, self.manifest.inputs, name, digest, force=force)


def check_lineage(own: str, inputs: dict[str, str], name: str, digest: str, *, force: bool) -> None:
    """Refuse an artefact that was made from another version of an input; see `Artefact.check_input`."""
    made_from = inputs.get(name)
    if made_from != digest and not force:
        raise StaleArtefact(
            f"{own} was made from {name} {str(made_from)[:12]}, but {name} is now {digest[:12]}. "
            f"Make {own} again, or use --force to go on regardless."
        )


def open_artefact(run: Path, kind: Kind) -> Artefact:
    """Open a complete artefact of a run.

    Raises:
        ArtefactError: It is absent, incomplete, malformed, or of another version.
    """
    folder = run / kind.name
    if not (folder / _MANIFEST).is_file():
        state = "is incomplete" if folder.is_dir() else "does not exist"
        raise ArtefactError(f"{folder} {state}. Run the stage that makes {kind.name} first (see selfj --help).")
    return Artefact(folder, kind, _read_manifest(folder, kind))


@dataclass(frozen=True, slots=True)
class Build(Generic[Row]):
    """The making of one artefact: which rows go in, what is made of them, and what decides the result."""

    run: Path
    kind: Kind
    make: Callable[[Sequence[Row]], Sequence[Record]]
    """Turns a slice of input rows into records, the same whatever the slice."""
    row_id: Callable[[Row], str]
    source_id: Callable[[Any], str]
    """From a made record back to the identifier of its input row."""
    settings: dict[str, Any]
    inputs: dict[str, str]
    seed: int
    part_size: int
    max_failed: float
    progress: Progress

    @property
    def key(self) -> str:
        """Hash of everything that decides the rows and their parts."""
        return content_id(self.kind.tag, self.settings, self.inputs, self.seed, self.part_size)

    @property
    def folder(self) -> Path:
        """Where the artefact lies."""
        return self.run / self.kind.name

    def __call__(
        self,
        rows: Iterable[Row],
        total: int | None,
        *,
        force: bool = False,
        retry_failed: bool = False,
        counts: Callable[[], dict[str, int]] = dict,
    ) -> Artefact:
        """Make what is missing and return the complete artefact.

        Args:
            rows: All input rows, in a fixed order.
            total: Their number, for progress, where it is known.
            force: Make every part again.
            retry_failed: Make the rows with an error again, and only those.
            counts: Asked at the end for further counts to write into the manifest.

        Raises:
            TooManyFailures: More than `max_failed` of the rows have an error; they are kept.
        """
        done = None if force or retry_failed else self._complete()
        if done is not None:
            self.progress.note(f"{self.kind.name}: up to date, {done.manifest.rows:,} rows")
            return self._checked(done)
        started = time.monotonic()
        with explained(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / _MANIFEST).unlink(missing_ok=True)
        self.progress.start(self.kind.name, total)
        names = []
        for number, chunk in enumerate(_chunks(rows, self.part_size)):
            path = self.folder / f"part-{number:05d}.parquet"
            existing = None if force else self._existing(path)
            if existing is None:
                self._write(path, self.make(chunk))
            elif retry_failed:
                self._mend(path, existing, chunk)
            names.append(path.name)
            self.progress.advance(len(chunk))
        self._drop_others(names)
        made = self._finish(names, time.monotonic() - started, counts())
        self.progress.finish(_line(made.manifest))
        return self._checked(made)

    def _complete(self) -> Artefact | None:
        """The artefact, if it is complete, made by the same work, and undamaged."""
        try:
            manifest = _read_manifest(self.folder, self.kind)
        except ArtefactError:
            return None
        if manifest.key != self.key:
            self.progress.note(f"{self.kind.name}: settings or input changed, making it again")
            return None
        artefact = Artefact(self.folder, self.kind, manifest)
        damaged = [part.name for part in manifest.parts if not artefact.is_whole(part)]
        for name in damaged:
            self.progress.note(f"{self.kind.name}: {name} is damaged, making it again")
            (self.folder / name).unlink(missing_ok=True)
        return None if damaged else artefact

    def _existing(self, path: Path) -> list[Record] | None:
        """Records of a part that an earlier try of the same work left, else None."""
        if not path.is_file():
            return None
        try:
            table = _read_part(path, self.kind)
        except ArtefactError:
            return None
        if (table.schema.metadata or {}).get(b"selfj.key") != self.key.encode():
            return None
        return [self.kind.record.from_row(row) for row in table.to_pylist()]

    def _mend(self, path: Path, existing: Sequence[Record], chunk: Sequence[Row]) -> None:
        again = {self.source_id(record) for record in existing if record.error}
        if not again:
            return
        made = self.make([row for row in chunk if self.row_id(row) in again])
        kept = [record for record in existing if self.source_id(record) not in again]
        place = {self.row_id(row): number for number, row in enumerate(chunk)}
        self._write(path, sorted([*kept, *made], key=lambda record: place[self.source_id(record)]))

    def _write(self, path: Path, records: Sequence[Record]) -> None:
        table = self.kind.table(records).replace_schema_metadata({"selfj.kind": self.kind.tag, "selfj.key": self.key})
        with writing(path) as handle:
            pq.write_table(table, handle, compression="zstd", write_page_checksum=True)

    def _drop_others(self, names: Sequence[str]) -> None:
        with explained(self.folder):
            for path in self.folder.glob("part-*.parquet"):
                if path.name not in names:
                    path.unlink()

    def _finish(self, names: Sequence[str], seconds: float, counts: dict[str, int]) -> Artefact:
        failed: Counter[str] = Counter()
        parts, total = [], 0
        for name in names:
            path = self.folder / name
            rows = _read_part(path, self.kind).to_pylist()
            failed.update(row["error"] for row in rows if row["error"])
            total += sum(map(_row_hash, rows))
            parts.append(Part(name, len(rows), file_digest(path)))
        count = sum(part.rows for part in parts)
        manifest = Manifest(
            kind=self.kind.tag,
            key=self.key,
            digest=content_id(self.kind.tag, count, f"{total % 2**128:032x}"),
            rows=count,
            failed=dict(sorted(failed.items())),
            counts=counts,
            inputs=self.inputs,
            settings=self.settings,
            seed=self.seed,
            versions=versions(),
            seconds=round(seconds, 3),
            parts=tuple(parts),
        )
        write_json(self.folder / _MANIFEST, {"version": _VERSION, **asdict(manifest)})
        return Artefact(self.folder, self.kind, manifest)

    def _checked(self, artefact: Artefact) -> Artefact:
        manifest = artefact.manifest
        failed = sum(manifest.failed.values())
        if failed > self.max_failed * manifest.rows:
            reasons = ", ".join(f"{reason} {n}" for reason, n in manifest.failed.items())
            raise TooManyFailures(
                f"{failed} of {manifest.rows} rows of {self.kind.name} failed ({reasons}); max_failed allows "
                f"{self.max_failed:.1%}. They are kept in {self.folder}: mend the cause and use --retry-failed, "
                f"or allow more with --set max_failed={min(1.0, failed / manifest.rows + 0.01):.2f}."
            )
        return artefact


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide a result."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _read_part(path: Path, kind: Kind) -> pa.Table:
    try:
        table = pq.read_table(path, partitioning=None, page_checksum_verification=True)
    except (pa.ArrowException, OSError) as error:
        raise ArtefactError(f"{path} is not a readable Parquet file. Delete it and run its stage again.") from error
    if not table.schema.equals(kind.schema()):
        raise ArtefactError(f"{path} does not have the columns of {kind.tag}. Delete it and run its stage again.")
    return table


def _read_manifest(folder: Path, kind: Kind) -> Manifest:
    path = folder / _MANIFEST
    value = read_json(path, f"Run the stage that makes {kind.name} again.")
    found = value.pop("version", None)
    if found != _VERSION or value.get("kind") != kind.tag:
        raise ArtefactError(
            f"{path} is of version {found} and kind {value.get('kind')}; this selfj reads {_VERSION} and {kind.tag}. "
            f"Make {kind.name} again with this version."
        )
    try:
        return Manifest(**{**value, "parts": tuple(Part(**part) for part in value["parts"])})
    except (TypeError, KeyError) as error:
        raise ArtefactError(f"{path} is malformed: {error}. Run the stage that makes {kind.name} again.") from error


def _chunks(rows: Iterable[Row], size: int) -> Iterator[list[Row]]:
    iterator = iter(rows)
    while chunk := list(itertools.islice(iterator, size)):
        yield chunk


def _row_hash(row: dict[str, Any]) -> int:
    text = json.dumps(row, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest())


def _line(manifest: Manifest) -> str:
    failed = sum(manifest.failed.values())
    text = f"{manifest.rows:,} rows in {manifest.seconds:,.1f} s"
    if failed:
        text += f", {failed:,} failed ({', '.join(f'{reason} {n}' for reason, n in manifest.failed.items())})"
    return text
