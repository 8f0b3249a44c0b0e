"""A collection as files for others: Parquet, compressed JSONL, card and checksums; and their way to a model hub."""

import io
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from selfj.collection.datacard import write_datacard
from selfj.collection.describe import describe
from selfj.collection.finished import PART, PART_COLUMNS, Finished, count_rows
from selfj.errors import ArtefactError, ConfigError
from selfj.files import explained, file_digest, read_json, replace_folder, write_json, write_text, writing
from selfj.progress import Progress, Quiet
from selfj.publish import Sending, send_data

Format = Literal["parquet", "jsonl", "both"]
Compression = Literal["zstd", "gzip"]
FORMATS: tuple[Format, ...] = ("parquet", "jsonl", "both")
COMPRESSIONS: tuple[Compression, ...] = ("zstd", "gzip")
ROWS_PER_FILE = 500_000
_ENDINGS = {"zstd": "jsonl.zst", "gzip": "jsonl.gz"}
_ABOUT, _SUMS, _CARD = "release.json", "SHA256SUMS", "README.md"


@dataclass(frozen=True, slots=True)
class Release:
    """Files that are ready for others."""

    folder: Path
    rows: int
    files: tuple[tuple[str, int], ...]
    """Path in the folder and size in bytes, in the order of names."""
    made: bool
    """False where the same release lay there already."""

    def sending(self, repository: str, *, public: bool = False, update: bool = False) -> Sending:
        """What an upload would send."""
        return Sending(self.folder, repository, public, update, self.files, (), None)


def release(
    collection: Finished,
    out: str | Path,
    *,
    form: Format = "parquet",
    compression: Compression = "zstd",
    rows_per_file: int = ROWS_PER_FILE,
    progress: Progress | None = None,
) -> Release:
    """Write a release; the same collection and arguments give the same bytes, in constant memory.

    Args:
        collection: A finished collection.
        out: Folder, which must not exist, or hold the same release.
        form: Parquet, JSONL or both.
        compression: Of the JSONL.
        rows_per_file: Most rows of a file.
        progress: Told of rows.

    Raises:
        ConfigError: There is something else at `out`, or an argument is wrong.
        ArtefactError: A part cannot be read, or a file cannot be written.
    """
    out = Path(out)
    if form not in FORMATS:
        raise ConfigError(f"--format is {form!r}, expected one of {', '.join(FORMATS)}.")
    if compression not in COMPRESSIONS:
        raise ConfigError(f"--compression is {compression!r}, expected one of {', '.join(COMPRESSIONS)}.")
    if rows_per_file < 1:
        raise ConfigError(f"rows_per_file must be at least 1, got {rows_per_file}.")
    about = {
        "collection": collection.manifest.digest,
        "format": form,
        "compression": compression if form != "parquet" else None,
        "rows_per_file": rows_per_file,
    }
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        return _found(out, about)
    progress = progress or Quiet()
    numbers = numbers_of(collection, progress)
    draft = out.with_name(f".{out.name}.partial")
    with explained(draft):
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
    rows = count_rows(collection.parts)
    kinds = ("parquet", "jsonl") if form == "both" else (form,)
    progress.start("release", rows * len(kinds))
    configs = []
    for kind in kinds:
        ending = "parquet" if kind == "parquet" else _ENDINGS[compression]
        room = "data" if kind == "parquet" else "jsonl"
        _write(collection, draft / room, ending, rows, rows_per_file, progress)
        configs.append(("default" if kind == kinds[0] else kind, f"{room}/*.{ending}"))
    write_text(draft / _CARD, write_datacard(numbers, configs))
    write_json(draft / "report.json", numbers)
    write_json(draft / _ABOUT, {**about, "rows": rows})
    sums = [f"{file_digest(draft / name)}  {name}" for name, _ in _listing(draft)]
    write_text(draft / _SUMS, "\n".join(sums) + "\n")
    replace_folder(draft, out)
    made = Release(out, rows, _listing(out), True)
    progress.finish(f"{rows:,} rows in {len(made.files):,} files")
    return made


def numbers_of(collection: Finished, progress: Progress) -> dict[str, Any]:
    """The numbers of a collection: those of its report where that is of this collection, else counted anew."""
    path = collection.folder / "report" / "report.json"
    if path.is_file():
        found = read_json(path, "Run selfj describe again.")
        if found.get("collection") == collection.manifest.digest:
            return found
    return describe(collection, sample=0, progress=progress).numbers


def push(
    made: Release,
    repository: str,
    *,
    public: bool = False,
    update: bool = False,
    token_env: str | None = None,
    endpoint: str | None = None,
) -> str:
    """Upload a release to a repository of data on the model hub; see `selfj.publish.send_data`.

    Returns:
        The repository's address.
    """
    sending = made.sending(repository, public=public, update=update)
    message = "Upload a collection made by selfj"
    return send_data(sending, message=message, token_env=token_env, endpoint=endpoint)


def _found(out: Path, about: dict[str, Any]) -> Release:
    """The release that lies there, once it is known to be the same and whole."""
    kept = read_json(out / _ABOUT, "") if (out / _ABOUT).is_file() else {}
    if {name: kept.get(name) for name in about} != about:
        raise ConfigError(f"{out} is there already and is no release of this kind: name another folder with --out.")
    names = [name for name, _ in _listing(out) if name != _SUMS]
    pairs = (line.partition("  ") for line in (out / _SUMS).read_text("utf-8").splitlines())
    sums = {name: digest for digest, _, name in pairs}
    damaged = sorted(
        {name for name in names if name in sums and file_digest(out / name) != sums[name]} | (set(sums) - set(names))
    )
    if damaged:
        raise ArtefactError(f"{out / damaged[0]} is not what was written: remove {out} and run selfj release again.")
    files = tuple(file for file in _listing(out) if file[0] in {*sums, _SUMS})
    return Release(out, int(kept["rows"]), files, False)


def _listing(folder: Path) -> tuple[tuple[str, int], ...]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return tuple(sorted((path.relative_to(folder).as_posix(), path.stat().st_size) for path in found))


def _write(collection: Finished, folder: Path, ending: str, rows: int, rows_per_file: int, progress: Progress) -> None:
    """Write all rows as files of a size; their names say how many there are, as the hub's own do."""
    files = max(1, -(-rows // rows_per_file))
    tables = _cut(collection, rows_per_file)
    for number in range(files):
        path = folder / f"train-{number:05d}-of-{files:05d}.{ending}"
        with writing(path) as handle, ExitStack() as stack:
            put = _writer(handle, ending, stack)
            for table in next(tables, ()):
                put(table)
                progress.advance(table.num_rows)


def _cut(collection: Finished, rows_per_file: int) -> Iterator[Iterator[pa.Table]]:
    """The rows as one stream of tables for each file."""
    source = collection.batches(PART_COLUMNS)
    rest: list[pa.Table] = []

    def one() -> Iterator[pa.Table]:
        room = rows_per_file
        while room and (table := rest.pop() if rest else next(source, None)) is not None:
            if table.num_rows > room:
                rest.append(table.slice(room))
                table = table.slice(0, room)
            room -= table.num_rows
            yield table

    while True:
        yield one()


def _writer(handle: IO[bytes], ending: str, stack: ExitStack) -> Callable[[pa.Table], None]:
    if ending == "parquet":
        writer = stack.enter_context(pq.ParquetWriter(handle, PART, compression="zstd"))
        return lambda table: writer.write_table(table.replace_schema_metadata(None).cast(PART))
    codec = "zstd" if ending.endswith("zst") else "gzip"
    stream = stack.enter_context(pa.CompressedOutputStream(pa.PythonFile(_Open(handle), mode="w"), codec))

    def put_lines(table: pa.Table) -> None:
        lines = (json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in table.to_pylist())
        stream.write(("\n".join(lines) + "\n").encode("utf-8", "replace"))

    return put_lines


class _Open(io.RawIOBase):
    """A file that whoever writes to it cannot close."""

    def __init__(self, handle: IO[bytes]) -> None:
        self._handle = handle

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: Any) -> int:
        """Pass bytes on."""
        return self._handle.write(data)


def lines(made: Release, sending: Sending | None, address: str | None) -> Sequence[str]:
    """Say in a few lines what was made."""
    state = "Written" if made.made else "There already, and whole"
    told = [f"{state}: {made.folder}, {made.rows:,} rows, {len(made.files):,} files"]
    return told + (sending.lines(address) if sending is not None else [])
