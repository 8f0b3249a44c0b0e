"""Files that are either whole or absent: written under another name, flushed to disk, then renamed."""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from selfj.errors import ArtefactError

_REMEDIES = {
    errno.ENOSPC: "The disk is full; free some space and run the same command again, finished parts are kept.",
    errno.EDQUOT: "The disk quota is used up; free some space and run the same command again.",
    errno.EROFS: "The file system is read-only; choose another folder with --set dir=FOLDER.",
    errno.EACCES: "Permission is denied; choose another folder with --set dir=FOLDER.",
    errno.EPERM: "Permission is denied; choose another folder with --set dir=FOLDER.",
}


@contextlib.contextmanager
def explained(path: Path, doing: str = "write") -> Iterator[None]:
    """Turn a fault of the operating system into an ArtefactError that says what to do."""
    try:
        yield
    except OSError as error:
        remedy = _REMEDIES.get(error.errno or 0, f"{error.strerror or error}.")
        raise ArtefactError(f"Cannot {doing} {path}. {remedy}") from error


@contextlib.contextmanager
def writing(path: Path) -> Iterator[IO[bytes]]:
    """Open a file that appears under its name only when it is complete and on disk."""
    temporary = path.with_name(f".{path.name}.partial")
    with explained(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as handle:
                yield handle
                handle.flush()
                os.fsync(handle.fileno())
            temporary.replace(path)
            sync_folder(path.parent)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with writing(path) as handle:
        handle.write(text.encode("utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file whole or not at all; keys keep their order, NaN is refused."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path, remedy: str) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        ArtefactError: It is absent or malformed; the message ends with `remedy`.
    """
    if not path.is_file():
        raise ArtefactError(f"{path} is absent. {remedy}")
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ArtefactError(f"{path} cannot be read as JSON: {error}. {remedy}") from error
    if not isinstance(value, dict):
        raise ArtefactError(f"{path} must hold a JSON object, found {type(value).__name__}. {remedy}")
    return value


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries, so that a rename survives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_folder(new: Path, final: Path) -> None:
    """Put a finished folder in place of the one that is there; a kill in between leaves the new one to be found."""
    with explained(final):
        old = final.with_name(f".{final.name}.old")
        shutil.rmtree(old, ignore_errors=True)
        if final.exists():
            final.rename(old)
        new.rename(final)
        sync_folder(final.parent)
        shutil.rmtree(old, ignore_errors=True)


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with explained(path, "read"), path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def first_process() -> bool:
    """Whether this process is the only one, or the first of those that a launcher started for one work."""
    return os.environ.get("RANK", "0") == "0"


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a run's folder for this process; the lock goes away with the process, however it ends.

    Where a launcher started several processes for one work, the first holds it for all.

    Raises:
        ArtefactError: Another process holds it, or the folder cannot be written.
    """
    if not first_process():
        yield
        return
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        handle = (folder / ".lock").open("w")
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            text = f"Another selfj process works on {folder}; wait for it, or use another --set name=NAME."
            raise ArtefactError(text) from error
        yield
