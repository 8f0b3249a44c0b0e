"""The body of MiniLM, and of a judge tuned from it, in 8-bit integers, through OpenVINO.

It is made on first use from the verified weights and from calibration text that ships with selfj, and kept in the
user's cache folder, whole or not at all, under a name that follows from weights, text and versions.
"""

import contextlib
import functools
import io
import json
import logging
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from selfj.backends.base import JudgeInput
from selfj.backends.cross_encoder import Reading, Rows
from selfj.backends.encoder import WEIGHTS_SHA256, Pooled
from selfj.errors import ArtefactError
from selfj.files import explained, file_digest, read_json, write_json
from selfj.records import content_id

# Both packages report their use to their makers, unless the package that does so cannot be imported.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

import nncf  # noqa: E402
import openvino  # noqa: E402

RECIPE = 1
"""Counts changes of how the quantised model is made."""
CALIBRATION = Path(__file__).with_name("calibration.jsonl")
_FILES = ("model.xml", "model.bin")


class QuantisedBody:
    """Token vectors, averaged, of length one; integer arithmetic in the matrix products."""

    fixed_rows = False

    def __init__(self, model: Any, encode: Callable[[str], list[int]]):
        """Load the quantised model, making it first where there is none.

        Args:
            model: The encoder in float32, from the verified weights.
            encode: Turns a text into token ids.

        Raises:
            ArtefactError: The cache folder cannot be written.
        """
        self.width = int(model.config.hidden_size)
        rows = ({"input_ids": row, "attention_mask": np.ones_like(row)} for row in _rows(encode))
        self._compiled = _compiled(f"minilm-int8-{cache_key()}", Pooled(model), rows)

    def __call__(self, ids: npt.NDArray[np.int64], mask: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Embed rows of token ids; returns shape (rows, width)."""
        found: npt.NDArray[np.float32] = self._compiled({"input_ids": ids, "attention_mask": mask})[0]
        return found


class QuantisedReading:
    """The vectors of a cross-encoder judge; integer arithmetic in the matrix products."""

    fixed_rows = False

    def __init__(self, reading: Reading, rows: Rows, weights: str):
        """Load the quantised model, making it first where there is none.

        Args:
            reading: The judge's body in float32.
            rows: Turns exchanges into token rows.
            weights: Digest of the judge's weights.

        Raises:
            ArtefactError: The cache folder cannot be written.
        """
        samples = (rows.padded([row], len(row.ids)) for row in map(rows.of, _exchanges()))
        self._compiled = _compiled(f"judge-int8-{cache_key(weights)}", reading, samples)

    def __call__(self, batch: dict[str, npt.NDArray[np.int64]]) -> npt.NDArray[np.float32]:
        """Read rows; returns shape (rows, 2 x width)."""
        found: npt.NDArray[np.float32] = self._compiled(batch)[0]
        return found


def cache_folder() -> Path:
    """Where selfj keeps what it can make again: `SELFJ_CACHE`, or `selfj` in the user's cache folder."""
    own = os.environ.get("SELFJ_CACHE")
    if own:
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "selfj"


def cache_key(tuned: str = "") -> str:
    """Name of the quantised model: a hash of all that it is made from, with the digest of tuned weights on top."""
    versions = [version(name) for name in ("openvino", "nncf", "torch", "transformers")]
    parts = (RECIPE, WEIGHTS_SHA256, file_digest(CALIBRATION), versions)
    return content_id("minilm-int8", *parts, *([tuned] if tuned else []))[:16]


def _compiled(name: str, module: torch.nn.Module, samples: Iterable[dict[str, npt.NDArray[np.int64]]]) -> Any:
    """Compile the model of a name, made first where the cache has none."""
    folder = cache_folder() / name
    if not _whole(folder):
        _make(folder, module, list(samples))
    settings = {
        # Without this, what is not integers would be bfloat16 where the processor has it.
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
    }
    return _core().compile_model(str(folder / "model.xml"), "CPU", settings)


@functools.cache
def _core() -> Any:
    """The one core of this process, which is never let go.

    A core gives the thread a stack for signal handlers and takes it away when it ends. Two whose lives overlap leave a
    stack that is gone, and the next signal, such as an interrupt from the keyboard, ends the process.
    """
    return openvino.Core()


def _texts() -> list[str]:
    return [json.loads(line) for line in CALIBRATION.read_text(encoding="utf-8").splitlines()]


def _rows(encode: Callable[[str], list[int]]) -> Iterable[npt.NDArray[np.int64]]:
    return (np.array([encode(text)], dtype=np.int64) for text in _texts())


def _exchanges() -> list[JudgeInput]:
    """Calibration texts as exchanges, every other with a reference."""
    texts = _texts()
    triples = zip(texts, texts[1:] + texts[:1], texts[2:] + texts[:2], strict=True)
    return [JudgeInput(q, a, r if place % 2 else None) for place, (q, a, r) in enumerate(triples)]


def _whole(folder: Path) -> bool:
    """Whether the model is there with the digests it was made with; a damaged one is made again."""
    try:
        about = read_json(folder / "about.json", "")
        return all(about.get(name) == file_digest(folder / name) for name in _FILES)
    except ArtefactError:
        return False


def _make(folder: Path, module: torch.nn.Module, samples: Sequence[dict[str, npt.NDArray[np.int64]]]) -> None:
    with explained(folder.parent):
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        converted = _convert(module, list(samples[0]))
        with _quiet():
            quantised = nncf.quantize(
                converted,
                nncf.Dataset(samples),
                model_type=nncf.ModelType.TRANSFORMER,
                subset_size=len(samples),
            )
        with explained(partial):
            openvino.save_model(quantised, str(partial / "model.xml"), compress_to_fp16=False)
        write_json(partial / "about.json", {name: file_digest(partial / name) for name in _FILES})
        _publish(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _publish(partial: Path, folder: Path) -> None:
    with explained(folder):
        if folder.exists() and not _whole(folder):
            shutil.rmtree(folder)
        try:
            partial.rename(folder)
        except OSError:
            # Another process was first.
            if not _whole(folder):
                raise


def _convert(module: torch.nn.Module, names: Sequence[str]) -> Any:
    dynamic = openvino.PartialShape([-1, -1])
    with warnings.catch_warnings():
        # Tracing warns of shapes that become constants; none of them depends on the rows here, and transformers
        # reads a property that it has deprecated itself.
        warnings.simplefilter("ignore")
        return openvino.convert_model(
            module,
            example_input={name: torch.ones((2, 8), dtype=torch.int64) for name in names},
            input=[(name, dynamic, openvino.Type.i64) for name in names],
        )


@contextlib.contextmanager
def _quiet() -> Any:
    logger = logging.getLogger("nncf")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)
