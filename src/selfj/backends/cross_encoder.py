"""Judges that read instruction, reference and response together with MiniLM; see `docs/design/encoder.md`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from peft import PeftModel
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from selfj.backends.base import Embedder, JudgeInput, LevelReading
from selfj.backends.batching import Batch, aligned, plan
from selfj.backends.encoder import HEAD_FILE, Head, clean, load_minilm, read_head, read_levels, text_vectors
from selfj.backends.language import LANGUAGE_FEATURES, language_features
from selfj.backends.loading import quiet_peft
from selfj.backends.overlap import OVERLAP_FEATURES, nearest_alternative, overlap_features
from selfj.errors import ArtefactError
from selfj.files import file_digest
from selfj.prompts import LEVELS

ADAPTER_FILE = "adapter_model.safetensors"
BODY_FILE = "body.safetensors"
FORMAT = "selfj-cross-encoder/1"
COSINES = 3


@dataclass(frozen=True, slots=True)
class Row:
    """The tokens of one exchange."""

    ids: list[int]
    response: int
    """Place of the response's first token; all from here on, its separator included, is the response."""
    truncated: bool


class Reading(torch.nn.Module):
    """The encoder with what is kept of a row: the mean over all its tokens, and that over the response's."""

    def __init__(self, model: Any):
        super().__init__()
        self.model = model

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, token_type_ids: torch.Tensor
    ) -> torch.Tensor:
        """Vectors, shape (rows, 2 x width)."""
        read = self.model(input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids)
        hidden = read.last_hidden_state
        everything = attention_mask.unsqueeze(-1).to(hidden.dtype)
        # A pad is of type 0, so the type alone marks the response.
        response = token_type_ids.unsqueeze(-1).to(hidden.dtype)
        parts = [(hidden * weights).sum(dim=1) / weights.sum(dim=1) for weights in (everything, response)]
        return torch.cat(parts, dim=1)


class Body(Protocol):
    """Computes the vectors of a batch of token rows."""

    fixed_rows: bool
    """Whether every batch must have the same number of rows, so that a row does not depend on its neighbours."""

    def __call__(self, batch: dict[str, npt.NDArray[np.int64]]) -> npt.NDArray[np.float32]:
        """Read rows; returns shape (rows, 2 x width)."""
        ...


class TorchReading:
    """The body in float32."""

    fixed_rows = True

    def __init__(self, reading: Reading):
        self._reading = reading

    def __call__(self, batch: dict[str, npt.NDArray[np.int64]]) -> npt.NDArray[np.float32]:
        """Read rows; returns shape (rows, 2 x width)."""
        with torch.inference_mode():
            found: npt.NDArray[np.float32] = self._reading(*map(torch.from_numpy, batch.values())).numpy()
        return found


class Rows:
    """Turns exchanges into token rows: [CLS] instruction [SEP] reference [SEP] response [SEP]."""

    def __init__(self, tokenizer: Any, max_length: int):
        self._tokenizer = tokenizer
        self._max_length = max_length

    def of(self, exchange: JudgeInput) -> Row:
        """Tokens of an exchange; where they are too many, the longest texts lose their middle."""
        texts = [exchange.instruction, exchange.response]
        if exchange.reference is not None:
            texts.insert(1, exchange.reference)
        parts = self._tokenizer([clean(text) for text in texts], add_special_tokens=False)["input_ids"]
        limit = _limit([len(part) for part in parts], self._max_length - len(parts) - 1)
        ids = [self._tokenizer.cls_token_id]
        response = 0
        for part in parts:
            response = len(ids)
            ids += [*_without_middle(part, limit), self._tokenizer.sep_token_id]
        return Row(ids, response, any(len(part) > limit for part in parts))

    def padded(self, rows: Sequence[Row], length: int) -> dict[str, npt.NDArray[np.int64]]:
        """What the body reads of rows: `input_ids`, `attention_mask`, `token_type_ids`, each (rows, length)."""
        ids = np.full((len(rows), length), self._tokenizer.pad_token_id, dtype=np.int64)
        mask, types = np.zeros_like(ids), np.zeros_like(ids)
        for place, row in enumerate(rows):
            ids[place, : len(row.ids)] = row.ids
            mask[place, : len(row.ids)] = 1
            types[place, row.response : len(row.ids)] = 1
        return {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}


def head_inputs(width: int) -> int:
    """Number of inputs of the head over an encoder of some width."""
    return 2 * width + COSINES + OVERLAP_FEATURES + LANGUAGE_FEATURES


def nearest(inputs: Sequence[JudgeInput]) -> list[JudgeInput]:
    """The exchanges as they are read: of a reference that lists alternatives, the one nearest to the response."""
    return [
        exchange
        if exchange.reference is None or "/" not in exchange.reference
        else JudgeInput(
            exchange.instruction, exchange.response, nearest_alternative(exchange.response, exchange.reference)
        )
        for exchange in inputs
    ]


def plain_features(embedder: Embedder, inputs: Sequence[JudgeInput]) -> npt.NDArray[np.float32]:
    """What the head sees beside the vectors, shape (n, 44): cosines of the texts' own vectors, and two sets of numbers.

    These are `overlap_features` of the exchange and `language_features` of the response. The cosines are those of
    instruction and response, reference and response, and instruction and reference; the last two are 0 without a
    reference.
    """
    q, a, r = text_vectors(embedder, inputs)
    cosines = [(q * a).sum(axis=1), (r * a).sum(axis=1), (q * r).sum(axis=1)]
    language = language_features([exchange.response for exchange in inputs])
    return np.concatenate([np.stack(cosines, axis=1), overlap_features(inputs), language], axis=1).astype(np.float32)


class CrossEncoderReader:
    """A tuned cross-encoder judge; it reads all that is in a row, so its label mass is 1."""

    name = "cross-encoder"

    def __init__(
        self,
        folder: str | Path,
        embedder: Callable[[int], Embedder],
        *,
        batch_size: int = 16,
        body: Callable[[Reading, Rows, str], Body] | None = None,
    ):
        """Load a judge.

        Args:
            folder: Holds `head.safetensors`, and a LoRA adapter or the whole body as safetensors.
            embedder: Makes the un-tuned encoder for texts of so many tokens; its cosines go into the head.
            batch_size: Rows read together.
            body: Makes another engine from the float32 body, the rows, and the digest of its weights' files; None
                computes with torch.

        Raises:
            ArtefactError: The folder holds no readable judge of this family.
        """
        folder = Path(folder)
        max_length = read_max_length(folder / HEAD_FILE)
        tokenizer, model = load_minilm()
        self._embedder = embedder(max_length)
        self._rows = Rows(tokenizer, max_length)
        self._positions = int(model.config.max_position_embeddings)
        self._head = read_head(folder / HEAD_FILE)
        self._batch_size = aligned(batch_size)
        self._width = int(model.config.hidden_size)
        expected = head_inputs(self._width)
        if self._head.layers[0].in_features != expected:
            raise ArtefactError(
                f"{folder / HEAD_FILE} is a head of {self._head.layers[0].in_features} inputs, and a cross-encoder "
                f"judge has {expected}."
            )
        weights, tuned = tuned_body(model, folder)
        reading = Reading(tuned).eval()
        self._body: Body = (
            TorchReading(reading) if body is None else body(reading, self._rows, file_digest(folder / weights))
        )

    def read(self, inputs: Sequence[JudgeInput]) -> LevelReading:
        """Read the level probabilities; no input fails."""
        if not inputs:
            return LevelReading(np.zeros((0, len(LEVELS))), np.ones(0), (), ())
        seen = nearest(inputs)
        rows = [self._rows.of(exchange) for exchange in seen]
        plain = plain_features(self._embedder, seen)
        probabilities = read_levels(self._head, np.concatenate([self._vectors(rows), plain], axis=1))
        cut = tuple(row.truncated for row in rows)
        return LevelReading(probabilities, np.ones(len(inputs)), (None,) * len(inputs), cut)

    def _vectors(self, rows: Sequence[Row]) -> npt.NDArray[np.float32]:
        vectors = np.zeros((len(rows), 2 * self._width), dtype=np.float32)
        for batch in plan([len(row.ids) for row in rows], self._batch_size, stable=True):
            taken = batch.take(rows) if self._body.fixed_rows else [rows[index] for index in batch.indices]
            found = self._body(self._rows.padded(taken, self._length(batch)))
            vectors[list(batch.indices)] = found[: len(batch.indices)]
        return vectors

    def _length(self, batch: Batch) -> int:
        # There are no more positions. A row that fills them needs no pad: `eager` attention keeps its mask.
        return min(batch.length, self._positions)


def tuned_body(model: Any, folder: Path) -> tuple[str, Any]:
    """Put a judge's tuned weights into MiniLM; returns the name of the file that holds them, and the model.

    Raises:
        ArtefactError: The folder holds neither an adapter nor a body, or one that does not fit.
    """
    try:
        if (folder / BODY_FILE).is_file():
            model.load_state_dict(load_file(folder / BODY_FILE))
            return BODY_FILE, model
        if not (folder / ADAPTER_FILE).is_file():
            raise ArtefactError(f"Expected {ADAPTER_FILE} or {BODY_FILE} of a cross-encoder judge in {folder}.")
        with quiet_peft():
            merged: Any = PeftModel.from_pretrained(model, folder).merge_and_unload()
    except (OSError, KeyError, ValueError, TypeError, RuntimeError, SafetensorError) as error:
        raise ArtefactError(f"{folder} does not hold the weights of a cross-encoder judge: {error}.") from error
    return ADAPTER_FILE, merged.float().eval()


def read_max_length(path: Path) -> int:
    """Most tokens that a judge reads of an exchange, from the header of its head.

    Raises:
        ArtefactError: The file is no head of a cross-encoder judge.
    """
    try:
        with safe_open(path, "pt") as file:
            about = file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise ArtefactError(f"{path} does not hold the head of a cross-encoder judge: {error}.") from error
    if FORMAT not in about:
        raise ArtefactError(f"{path} is of the format {', '.join(about) or 'unknown'}, this selfj reads {FORMAT}.")
    return int(about[FORMAT])


def head_metadata(max_length: int) -> dict[str, str]:
    """The header of a head's file; one key alone, since safetensors writes several in any order."""
    return {FORMAT: str(max_length)}


def save_head(head: Head, path: Path, max_length: int, dtype: torch.dtype = torch.float32) -> None:
    """Write a head, and beside its weights what reading needs to know."""
    state = {name: weight.detach().to(dtype).contiguous() for name, weight in head.state_dict().items()}
    save_file(state, path, metadata=head_metadata(max_length))


def _limit(lengths: Sequence[int], room: int) -> int:
    """Most tokens of one text, so that all fit together and only the longest are cut.

    Example:
        >>> _limit([3, 10, 50], 40), _limit([3, 4, 5], 40)
        (27, 40)
    """
    left, texts = room, len(lengths)
    for length in sorted(lengths):
        if length * texts > left:
            return left // texts
        left -= length
        texts -= 1
    return room


def _without_middle(part: list[int], limit: int) -> list[int]:
    if len(part) <= limit:
        return part
    first = (limit + 1) // 2
    return part[:first] + part[len(part) - (limit - first) :]
