"""Files behind plain addresses: fetched with resume, and never taken for whole when they are not.

Beside an unfinished file lies a note with the server's ETag and the length, so that only the rest of the very same file
is asked for later.
"""

import json
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2

from selfj.collection.faults import SourceFault
from selfj.files import explained, sync_folder

TRIES = 5
_BACKOFF_S = 1.0
_LONGEST_WAIT_S = 60.0
_TIMEOUT_S = 60.0


class _Again(Exception):
    """Another try can help; the text says what went wrong."""

    def __init__(self, text: str, wait_s: float | None = None) -> None:
        super().__init__(text)
        self.wait_s = wait_s


def shown(url: str) -> str:
    """An address for people: without its query, which may hold a key."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"


def download(
    source: str, url: str, target: Path, advance: Callable[[int], None], *, backoff_s: float = _BACKOFF_S
) -> None:
    """Fetch one file; `target` is there only when it is whole.

    Args:
        source: Name of the source, for faults.
        url: Address.
        target: Where the file goes; an unfinished one lies beside it and is gone on with.
        advance: Told of bytes as they come; below 0 where some had to be thrown away.
        backoff_s: Wait before the second try in seconds; it doubles.

    Raises:
        SourceFault: The server has no such file, or it failed `TRIES` times without getting any further.
        ArtefactError: The folder cannot be written.
    """
    with explained(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.partial")
    headers = {"Accept-Encoding": "identity", "User-Agent": "selfj"}
    with httpx2.Client(headers=headers, timeout=_TIMEOUT_S, follow_redirects=True) as client:
        failed, most = 0, _size(part)
        while True:
            try:
                _try(client, url, part, source, advance)
                break
            except _Again as again:
                # A try that got further than all before it was worth it.
                failed = 1 if _size(part) > most else failed + 1
                most = max(most, _size(part))
                if failed >= TRIES:
                    raise SourceFault(
                        source, f"{shown(url)} failed {failed} times: {again}. Try again later."
                    ) from None
                wait = backoff_s * 2 ** (failed - 1) if again.wait_s is None else again.wait_s
                time.sleep(min(wait, _LONGEST_WAIT_S))
    with explained(target):
        part.replace(target)
        _note(part).unlink(missing_ok=True)
        sync_folder(target.parent)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _note(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _known(part: Path) -> dict[str, Any]:
    """What is known of the file that was begun; empty where it has to be begun anew."""
    try:
        known = json.loads(_note(part).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) and known.get("validator") else {}


def _try(client: httpx2.Client, url: str, part: Path, source: str, advance: Callable[[int], None]) -> None:
    have, known = _size(part), _known(part)
    headers = {"Range": f"bytes={have}-", "If-Range": known["validator"]} if have and known else {}
    try:
        with client.stream("GET", url, headers=headers) as reply:
            _check_status(reply, url, source, part)
            start = have if reply.status_code == 206 else 0
            if start and not _goes_on(reply, start):
                _forget(part)
                raise _Again("the server sent another range than was asked for")
            if have and not start:
                advance(-have if known else 0)
            total = _total(reply, start)
            _remember(part, reply, total)
            _write(reply, part, start, advance)
    except httpx2.InvalidURL:
        raise SourceFault(source, f"{shown(url)} is no address.") from None
    except (httpx2.HTTPError, httpx2.StreamError) as error:
        raise _Again(f"the connection was lost ({type(error).__name__}) after {_size(part)} bytes") from None
    if total is not None and _size(part) != total:
        got = _size(part)
        if got > total:
            _forget(part)
        raise _Again(f"it ended after {got} of {total} bytes")


def _check_status(reply: httpx2.Response, url: str, source: str, part: Path) -> None:
    status = reply.status_code
    if status in {200, 206}:
        return
    if status == 416:
        _forget(part)
        raise _Again("the server holds fewer bytes than came before")
    if status == 429 or status == 408 or status >= 500:
        asked = reply.headers.get("Retry-After", "")
        raise _Again(f"the server answered {status}", float(asked) if re.fullmatch(r"\d{1,6}", asked) else None)
    if status in {404, 410}:
        text = f"{shown(url)} is not there ({status}): it moved or was deleted; change `url` in its entry."
    elif status in {401, 403}:
        text = f"{shown(url)} is closed ({status}); selfj sends no password, so fetch it by hand and name it as `path`."
    else:
        text = f"{shown(url)} cannot be fetched: the server answered {status}."
    raise SourceFault(source, text)


def _goes_on(reply: httpx2.Response, start: int) -> bool:
    return bool(re.match(rf"bytes {start}-", reply.headers.get("Content-Range", "")))


def _total(reply: httpx2.Response, start: int) -> int | None:
    """Bytes of the whole file, where the server says so."""
    if start:
        said = re.fullmatch(r"bytes \d+-\d+/(\d+)", reply.headers.get("Content-Range", ""))
        return int(said[1]) if said else None
    length = reply.headers.get("Content-Length", "")
    return int(length) if length.isdigit() else None


def _remember(part: Path, reply: httpx2.Response, total: int | None) -> None:
    etag = reply.headers.get("ETag", "")
    # A weak tag does not promise the same bytes.
    validator = etag if etag and not etag.startswith("W/") else reply.headers.get("Last-Modified", "")
    with explained(part):
        _note(part).write_text(json.dumps({"validator": validator, "bytes": total}), encoding="utf-8")


def _forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    _note(part).unlink(missing_ok=True)


def _write(reply: httpx2.Response, part: Path, start: int, advance: Callable[[int], None]) -> None:
    with explained(part), part.open("r+b" if start else "wb") as handle:
        handle.seek(start)
        handle.truncate()
        # Pieces as they come: a larger one that a cut leaves unfilled would be lost.
        for piece in reply.iter_raw():
            handle.write(piece)
            advance(len(piece))
        handle.flush()
        os.fsync(handle.fileno())
