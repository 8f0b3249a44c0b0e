"""What a collection holds: every row accounted for, by source and reason, and the digest of every file."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from selfj.collection.work import Folder
from selfj.errors import ArtefactError
from selfj.files import file_digest, read_json, write_json
from selfj.records import content_id
from selfj.store import Part, versions

_VERSION = "collection/1"
_REMEDY = "Run selfj collect again."


@dataclass(frozen=True, slots=True)
class SourceCount:
    """What became of one source: read = kept + dropped."""

    name: str
    read: int
    kept: int
    dropped: dict[str, int]
    """Rows by reason."""
    categories: dict[str, int]
    """Kept rows by category."""
    fault: str | None
    """Why the source, or a part of it, could not be fetched or read; its other rows are here."""
    revision: str | None
    files: tuple[dict[str, Any], ...]
    """Name, SHA-256 and bytes of each file."""


@dataclass(frozen=True, slots=True)
class EvaluationSet:
    """An evaluation set that rows were compared with."""

    name: str
    rows: int
    contaminated: int
    """Rows dropped for it."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a collection holds and what it was made from."""

    key: str
    """Hash of settings and files: everything that decides the rows and their parts."""
    digest: str
    """Hash of all parts and of what was dropped."""
    read: int
    kept: int
    dropped: dict[str, int]
    categories: dict[str, int]
    sources: tuple[SourceCount, ...]
    evaluation: tuple[EvaluationSet, ...]
    settings: dict[str, Any]
    versions: dict[str, str]
    seconds: dict[str, float]
    """Of each step, in the process that ended the work."""
    parts: tuple[Part, ...]
    dropped_parts: tuple[Part, ...]

    @property
    def faults(self) -> dict[str, str]:
        """Sources that could not be fetched or read whole, and why."""
        return {source.name: source.fault for source in self.sources if source.fault}


def write_manifest(folder: Folder, manifest: Manifest) -> None:
    """Write a manifest whole or not at all."""
    write_json(folder.manifest, {"version": _VERSION, **asdict(manifest)})


def read_manifest(path: Path) -> Manifest:
    """Read the manifest of a complete collection.

    Args:
        path: The collection's folder.

    Raises:
        ArtefactError: It is absent, malformed or of another version.
    """
    value = read_json(Folder(path).manifest, _REMEDY)
    found = value.pop("version", None)
    if found != _VERSION:
        raise ArtefactError(f"{path} is of version {found}; this selfj reads {_VERSION}. {_REMEDY}")
    try:
        value["sources"] = tuple(SourceCount(**{**entry, "files": tuple(entry["files"])}) for entry in value["sources"])
        value["evaluation"] = tuple(EvaluationSet(**entry) for entry in value["evaluation"])
        for name in ("parts", "dropped_parts"):
            value[name] = tuple(Part(**entry) for entry in value[name])
        return Manifest(**value)
    except (TypeError, KeyError) as error:
        raise ArtefactError(f"{Folder(path).manifest} is malformed: {error}. {_REMEDY}") from error


def is_whole(folder: Folder, manifest: Manifest) -> bool:
    """Whether every file is there, with the bytes that the manifest lists."""
    listed = [*manifest.parts, *manifest.dropped_parts]
    paths = [(folder.path / part.name, part.sha256) for part in listed]
    return all(path.is_file() and file_digest(path) == digest for path, digest in paths)


def total(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    """Add counts by name, names in order."""
    found: Counter[str] = Counter()
    for count in counts:
        found.update(count)
    return dict(sorted(found.items()))


def digest_of(parts: Sequence[Part]) -> str:
    """Hash of the names and digests of files."""
    return content_id([[part.name, part.sha256] for part in parts])


def collection_versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide a collection."""
    found = {name: text for name, text in versions().items() if name in {"python", "selfj", "numpy", "pyarrow"}}
    for package in ("daft", "ray"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
