"""JSONL in, judged JSONL out: every line keeps its bytes and gets its verdict, and a file that is cut is gone on with.

A judged line is the input line with one more key, `selfj`, at its end. So the output says by itself which input it
belongs to, and its verdict says which judge and settings made it. Going on needs no further file: each line that is
there is compared with the input before the next one is judged.
"""

import fcntl
import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from io import BufferedRandom, BufferedReader
from pathlib import Path
from typing import IO, Protocol

from selfj.collect.files import RawRow, as_input_error, json_row, line_limit, lines_of, unpacked
from selfj.errors import ArtefactError, ConfigError, InputError, StaleArtefact
from selfj.files import explained
from selfj.judging.rows import KEY, Judging, Line, Tally, Verdict, judged
from selfj.progress import Progress, Quiet

_BLOCK = 1 << 20
_LONGEST_VERDICT = 1 << 16
"""In bytes; a file of something else may have lines of any length."""


class Sink(Protocol):
    """Where judged lines go: `Output` or `JudgedFile`."""

    def write(self, line: bytes, /) -> object:
        """Take one whole line."""
        ...

    def flush(self) -> object:
        """Pass on what was taken."""
        ...


def judge_lines(
    source: BufferedReader,
    sink: Sink,
    judging: Judging,
    *,
    name: str = "standard input",
    total: int | None = None,
    progress: Progress | None = None,
) -> Tally:
    """Judge lines of JSON objects, one line out for every line in that is not blank, in order.

    A line that cannot be judged comes out with its reason. Memory holds one chunk of lines.

    Args:
        source: Bytes, through gzip where they start like it.
        sink: Where the lines go; a `JudgedFile` is gone on with.
        judging: From `load_judging`.
        name: Of the source, for messages.
        total: Number of lines, where it is known.
        progress: Told how far the work is.

    Raises:
        ConfigError: No column holds the instruction, or none the response.
        InputError: The source is damaged.
        StaleArtefact: The `JudgedFile` holds other lines than these would become.
        BackendError: The judge's model or server failed.
        BrokenPipeError: Nobody reads the sink any more.
    """
    tally, bar = Tally(), _Bar(sink, total, progress or Quiet())
    for chunk in judged(read_lines(source, name, judging.max_chars), judging, bar.known):
        for row, verdict, kept in chunk:
            tally.add(verdict, kept=kept)
            if not kept:
                sink.write(write_line(row, verdict))
        sink.flush()
        bar.advance(sum(not kept for *_, kept in chunk))
    if isinstance(sink, JudgedFile):
        sink.check_end()
    bar.finish(tally.describe())
    return tally


@dataclass
class _Bar:
    """Progress that starts with the first row that is not there already, so that its rate is that of the judge."""

    sink: Sink
    total: int | None
    progress: Progress
    kept: int = 0
    started: bool = False

    def known(self, row: RawRow) -> Verdict | None:
        verdict = self.sink.known(row) if isinstance(self.sink, JudgedFile) else None
        if verdict is None:
            self._start()
        else:
            self.kept += 1
        return verdict

    def advance(self, n: int) -> None:
        if n:
            self.progress.advance(n)

    def finish(self, summary: str) -> None:
        self._start()
        self.progress.finish(summary)

    def _start(self) -> None:
        if not self.started:
            self.progress.start("judge", self.total, done=self.kept)
            self.started = True


def read_lines(source: BufferedReader, name: str, max_chars: int) -> Iterator[Line]:
    """Rows of JSONL with their lines; blank lines are no rows."""
    with as_input_error(Path(name)):
        for number, line in enumerate(lines_of(unpacked(source), line_limit(max_chars)), start=1):
            if line is None:
                yield Line(number, None, "line_too_long")
            elif raw := line.strip():
                row = json_row(number, raw)
                yield Line(number, row.fields, row.error, raw if row.error is None else b"")


def count_lines(path: Path) -> int | None:
    """Number of lines of a file, blank ones among them; None where it is compressed or no regular file."""
    if not path.is_file():
        return None
    with explained(path, "read"), path.open("rb") as stream:
        if stream.peek(2)[:2] == b"\x1f\x8b":
            return None
        return sum(block.count(b"\n") for block in iter(lambda: stream.read(_BLOCK), b""))


def write_line(row: RawRow, verdict: Verdict) -> bytes:
    """The line of a judged row."""
    return _prefix(row) + json.dumps(verdict, allow_nan=False).encode() + b"}\n"


def _prefix(row: RawRow) -> bytes:
    """What a judged line begins with: the row's own bytes, up to its verdict."""
    key = f'"{KEY}": '.encode()
    if not row.fields:
        return b"{" + key
    raw = row.raw if isinstance(row, Line) else b""
    if not raw or KEY in row.fields:
        # The verdict of an earlier judging gives way to this one.
        kept = {name: cell for name, cell in row.fields.items() if name != KEY}
        raw = json.dumps(kept).encode()
    body = raw[:-1].rstrip()
    return body + (b"" if body == b"{" else b", ") + key


class Output:
    """Standard output, whose reader may leave at any time."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def write(self, line: bytes, /) -> None:
        """Write one whole line."""
        with _explained_unless_broken():
            self._stream.write(line)

    def flush(self) -> None:
        """Hand what was written to the reader."""
        with _explained_unless_broken():
            self._stream.flush()


@contextmanager
def _explained_unless_broken() -> Iterator[None]:
    with explained(Path("standard output")):
        try:
            yield
        except BrokenPipeError as error:
            broken = error
        else:
            return
    raise broken


class JudgedFile:
    """A file of judged lines that is gone on with: its lines are compared with the input, then others are appended."""

    def __init__(self, path: Path, key: str) -> None:
        """Open or create it, for this process alone.

        Raises:
            ArtefactError: It cannot be written, or another process writes it.
        """
        self._path, self._key = path, key
        self._number = 0
        self._ended = False
        with explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists() and not path.is_file():
                raise ArtefactError(f"{path} is no regular file, so it cannot be gone on with. Choose another --out.")
            self._handle: BufferedRandom = path.open("a+b")
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._handle.close()
            raise ArtefactError(f"Another process writes {path}; wait for it, or choose another --out.") from error
        self._handle.seek(0)

    def known(self, row: RawRow) -> Verdict | None:
        """The verdict that the file has for the next row; None where it has none yet.

        Raises:
            StaleArtefact: The file's next line is not this row's, or another judge's.
        """
        if self._ended:
            return None
        prefix = _prefix(row)
        with explained(self._path, "read"):
            line = self._handle.readline(len(prefix) + _LONGEST_VERDICT)
        self._number += 1
        if not line.endswith(b"\n"):
            self._cut(line, prefix)
            return None
        verdict = _verdict(line, prefix, row)
        if verdict is None:
            raise self._stale("belongs to another input")
        if verdict.get("judge") != self._key:
            raise self._stale("was judged by another judge or with other settings")
        return verdict

    def _cut(self, tail: bytes, prefix: bytes) -> None:
        """Take off a last line that was not written to its end; only if it is one of ours."""
        whole = len(tail) < len(prefix) + _LONGEST_VERDICT
        if not whole or tail[: len(prefix)] != prefix[: len(tail)]:
            raise self._stale("belongs to another input")
        self._ended = True
        if tail:
            with explained(self._path):
                self._handle.seek(-len(tail), 2)
                self._handle.truncate()

    def write(self, line: bytes, /) -> None:
        """Append one whole line."""
        with explained(self._path):
            self._handle.write(line)

    def flush(self) -> None:
        """Hand what was appended to the operating system."""
        with explained(self._path):
            self._handle.flush()

    def check_end(self) -> None:
        """Refuse lines beyond the last row.

        Raises:
            StaleArtefact: It has more lines than the input.
        """
        if not self._ended and self._handle.read(1):
            self._number += 1
            raise self._stale("is beyond the end of this input")

    def close(self) -> None:
        """Let go of it."""
        with explained(self._path):
            self._handle.close()

    def _stale(self, what: str) -> StaleArtefact:
        return StaleArtefact(
            f"Line {self._number} of {self._path} {what}, so it cannot be gone on with. Choose another --out, or "
            "remove that file to judge anew."
        )


def _verdict(line: bytes, prefix: bytes, row: RawRow) -> Verdict | None:
    if not line.startswith(prefix):
        return None
    try:
        verdict: Verdict = json.loads(line[len(prefix) : -2])
    except ValueError:
        return None
    whole = isinstance(verdict, dict) and {"score", "reason", "truncated", "with_reference"} <= set(verdict)
    if not whole or (row.fields is None and verdict.get("line") != row.number):
        return None
    return verdict


@contextmanager
def opened(path: Path) -> Iterator[BufferedReader]:
    """Open a file of lines.

    Raises:
        InputError: It does not exist or is no file.
    """
    if not path.exists():
        raise InputError(f"{path} does not exist: expected a file of JSON objects, one a line.")
    if path.is_dir():
        raise InputError(f"{path} is a folder: expected a file of JSON objects, one a line.")
    with explained(path, "read"):
        stream = path.open("rb")
    with stream:
        yield stream


@contextmanager
def open_sink(out: Path | None, stdout: IO[bytes], source: Path | None, key: str) -> Iterator[Sink]:
    """Standard output, or the file to go on with.

    Raises:
        ConfigError: The input would be written over.
        ArtefactError: The file cannot be written, or another process writes it.
    """
    if out is None:
        yield Output(stdout)
        return
    if source is not None and out.exists() and out.samefile(source):
        raise ConfigError(f"--out {out} is the input itself; choose another file.")
    with closing(JudgedFile(out, key)) as sink:
        yield sink
