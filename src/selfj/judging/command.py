"""What the command line needs around a stream: one exchange as a row, columns as words, files and standard streams."""

import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from io import BufferedReader
from pathlib import Path
from typing import cast

from selfj.errors import ConfigError
from selfj.judging.lines import count_lines, judge_lines, open_sink, opened
from selfj.judging.rows import Judging, Tally
from selfj.progress import Progress, Quiet


def single_row(texts: Mapping[str, str | None], path: str | None) -> dict[str, str] | None:
    """The row of one exchange; None where its texts are not given.

    Raises:
        ConfigError: Instruction or response is absent, or there is a file as well.
    """
    given = {word: text for word, text in texts.items() if text is not None}
    if not given:
        return None
    if "instruction" not in given or "response" not in given or path is not None:
        raise ConfigError("One exchange needs --instruction and --response, and no FILE beside them.")
    return given


def parse_columns(words: Sequence[str]) -> dict[str, str]:
    """Read `WORD=COLUMN` pairs.

    Raises:
        ConfigError: One is malformed.

    Example:
        >>> parse_columns(["response=output"])
        {'response': 'output'}
    """
    pairs = [word.partition("=") for word in words]
    for word, (name, _, column) in zip(words, pairs, strict=True):
        if not name or not column:
            raise ConfigError(f"--column must look like response=output, got {word!r}.")
    return {name: column for name, _, column in pairs}


def judge_file(path: str | None, out: str | None, judging: Judging, *, progress: Progress | None = None) -> Tally:
    """Judge a file of lines, or standard input, into a file that is gone on with, or to standard output.

    Raises:
        ConfigError: There is no input, or it would be written over.
        SelfjError: See `judge_lines`.
    """
    if path is None and sys.stdin.isatty():
        raise ConfigError("No input: name a FILE, pipe JSONL in, or give --instruction and --response.")
    progress = progress or Quiet()
    source = None if path is None else Path(path)
    target = None if out is None else Path(out)
    with (
        nullcontext(cast(BufferedReader, sys.stdin.buffer)) if source is None else opened(source) as stream,
        open_sink(target, sys.stdout.buffer, source, judging.key) as sink,
    ):
        total = None if source is None else count_lines(source)
        tally = judge_lines(stream, sink, judging, name=path or "standard input", total=total, progress=progress)
    if judging.decides and tally.with_reference:
        progress.note(
            f"{tally.with_reference:,} rows were judged with their reference in view and have no decision: the "
            "threshold is for scores without it. Use --ignore-reference for decisions."
        )
    return tally
