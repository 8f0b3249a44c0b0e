"""Reading prompts that begin alike: what they share is read once, and its keys and values serve all of them.

A prompt says where it may be divided (`cuts`). Its pieces are read one after the other, each on top of the keys
and values of the pieces before it, and a piece that several prompts have in common is read once.

With stable batches the result of a prompt depends on the prompt alone: its cuts, the shape of every batch that
its pieces are read in and what is padded follow from its own tokens, never from how many others share a piece.
Instead of padding, a piece takes the last tokens of the piece before it along once more: that costs the same, the
label stays at the last position, and no gap opens that a sliding window would count.
"""

import inspect
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import torch
from peft import PeftModel
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from selfj.backends.batching import padded_length
from selfj.backends.last_layer import LastLayer

_LEAST_PIECE = 16
"""A shorter piece is not worth a pass of its own."""
_NARROW_TOKENS, _CPU_TOKENS, _GPU_TOKENS = 256, 128, 16384
"""Tokens per batch. They keep a CPU busy; more would not make it faster, and rows would then have to be padded."""
_NARROW = 512
"""Below this size of its hidden states a model needs more tokens, since calls cost as much as products."""
_CPU_BYTES, _GPU_SHARE = 2**30, 0.1
"""Memory for keys and values that are held: bytes, and a share of a GPU's memory."""
_PAST_STEP = 32
"""Keys and values before a batch of several rows are padded to a multiple of this."""
_HEADS = 4
"""Beginnings of templates that are held from one call to the next."""

Layers: TypeAlias = list[tuple[torch.Tensor, torch.Tensor]]


class Divided(NamedTuple):
    """Token ids of a prompt, and where it may be divided."""

    ids: tuple[int, ...]
    head: int
    """Number of leading tokens that all prompts of a template share; 0 for none."""
    cuts: tuple[int, ...]
    """Further numbers of leading tokens that other prompts may share, rising."""


@dataclass(slots=True, eq=False)
class _Piece:
    ids: tuple[int, ...]
    """All tokens from the beginning of the prompt to the end of this piece."""
    parent: "_Piece | None"
    head: bool
    continued: bool = False
    """Whether other pieces follow it."""
    layers: Layers = field(default_factory=list)
    """Keys and values of all its tokens, while they are held; of shape (1, heads, tokens, size) in each layer."""
    result: torch.Tensor | None = None

    @property
    def new(self) -> int:
        """Number of tokens that the pieces before it do not have."""
        return len(self.ids) - (len(self.parent.ids) if self.parent else 0)

    def start(self, length: int) -> int:
        """Number of its tokens whose keys and values are taken over when `length` are read."""
        return max(len(self.ids) - length, 0) if self.parent else 0


@dataclass(frozen=True, slots=True)
class _Batch:
    pieces: list[_Piece]
    length: int
    """Tokens read of every piece."""
    past: int
    """Tokens before them, of which keys and values are at hand; padded on the left."""
    rows: int


class PrefixReader:
    """Computes what follows each of many prompts, reading shared beginnings once."""

    def __init__(self, model: Any, *, pad: int, batch_size: int, stable: bool) -> None:
        """Wrap a loaded causal language model.

        Args:
            model: In evaluation mode.
            pad: Token to fill up with.
            batch_size: Most rows per batch.
            stable: Let no prompt's result depend on the others.
        """
        self._model = model
        self._pad = pad
        self._stable = stable
        self._divides = can_divide(model.config)
        self._faster = _faster_attention(model)
        self._last = LastLayer(model)
        self._rows = batch_size
        cpu = model.device.type == "cpu"
        narrow = model.config.get_text_config(decoder=True).hidden_size < _NARROW
        self._tokens = (_NARROW_TOKENS if narrow else _CPU_TOKENS) if cpu else _GPU_TOKENS
        self._kept_bytes = _CPU_BYTES if cpu else _gpu_bytes(model.device)
        self._heads: dict[tuple[int, ...], _Piece] = {}

    def read(self, prompts: Sequence[Divided], reduce: Callable[[torch.Tensor], torch.Tensor]) -> list[torch.Tensor]:
        """Read prompts; one that occurs twice is read once.

        Args:
            prompts: At least one token each.
            reduce: Makes of next-token logits, shape (rows, vocabulary), what is kept of each row.

        Returns:
            What `reduce` made of the logits behind each prompt, in order.
        """
        paths = self._paths([self._worthwhile(prompt) for prompt in prompts])
        with torch.inference_mode(), _attention(self._model, self._faster), self._last.limited():
            for chunk in self._chunks(paths):
                self._read_chunk(chunk, reduce)
        return [path[-1].result for path in paths if path[-1].result is not None]

    def _worthwhile(self, prompt: Divided) -> Divided:
        """The prompt without cuts that leave a piece too short; decided by the prompt alone."""
        if not self._divides:
            return Divided(prompt.ids, 0, ())
        head = prompt.head if _LEAST_PIECE <= prompt.head < len(prompt.ids) else 0
        kept = [head]
        for cut in prompt.cuts:
            if cut - kept[-1] >= _LEAST_PIECE and cut < len(prompt.ids):
                kept.append(cut)
        return Divided(prompt.ids, head, tuple(kept[1:]))

    def _paths(self, prompts: Sequence[Divided]) -> list[list[_Piece]]:
        """The pieces of every prompt, shared ones being the same object."""
        if not self._stable:
            prompts = _shared_cuts(prompts)
        pieces: dict[tuple[tuple[int, ...], int], _Piece] = {}
        paths = []
        for ids, head, cuts in prompts:
            path: list[_Piece] = []
            for cut in [*([head] if head else []), *cuts, len(ids)]:
                first, parent = ids[:cut], path[-1] if path else None
                # The same tokens on top of other pieces are another piece: it may differ in the last bits.
                key = (first, id(parent))
                if key not in pieces:
                    known = self._heads.get(first) if cut == head else None
                    pieces[key] = known or _Piece(first, parent, head=cut == head)
                path.append(pieces[key])
            for piece in path[:-1]:
                piece.continued = True
            paths.append(path)
        return paths

    def _chunks(self, paths: Sequence[list[_Piece]]) -> Iterator[list[list[_Piece]]]:
        """Paths in groups whose keys and values fit the memory set aside, the longest beginnings first."""
        order = sorted(paths, key=lambda path: (-len(path[min(1, len(path) - 1)].ids), path[-1].ids))
        limit = self._kept_bytes // _token_bytes(self._model)
        chunk: list[list[_Piece]] = []
        held: set[int] = set()
        tokens = 0
        for path in order:
            kept = [piece for piece in path if piece.continued and not piece.head]
            added = sum(len(piece.ids) for piece in kept if id(piece) not in held)
            if chunk and tokens + added > limit:
                yield chunk
                chunk, held, tokens = [], set(), 0
                added = sum(len(piece.ids) for piece in kept)
            chunk.append(path)
            held |= {id(piece) for piece in kept}
            tokens += added
        if chunk:
            yield chunk

    def _read_chunk(self, chunk: Sequence[list[_Piece]], reduce: Callable[[torch.Tensor], torch.Tensor]) -> None:
        ends = {id(path[-1]) for path in chunk}
        for depth in range(max(map(len, chunk))):
            level = {id(path[depth]): path[depth] for path in chunk if depth < len(path)}
            unread = [
                piece
                for piece in level.values()
                if (piece.continued and not piece.layers) or (piece.result is None and id(piece) in ends)
            ]
            for batch in self._plan(unread):
                self._forward(batch, reduce, ends)
        for path in chunk:
            for piece in path:
                if piece.head:
                    self._heads[piece.ids] = piece
                else:
                    piece.layers = []
        for ids in list(self._heads)[:-_HEADS]:
            del self._heads[ids]

    def _plan(self, pieces: Sequence[_Piece]) -> Iterator[_Batch]:
        return self._plan_stable(pieces) if self._stable else self._plan_even(pieces)

    def _rows_of(self, length: int) -> int:
        """Rows per batch: a power of two that follows from the length alone, at most the rows asked for."""
        fitting = max(self._tokens // length, 1)
        return min(1 << (fitting.bit_length() - 1), self._rows)

    def _plan_stable(self, pieces: Sequence[_Piece]) -> Iterator[_Batch]:
        groups: dict[tuple[int, int, int], list[_Piece]] = defaultdict(list)
        for piece in pieces:
            length = padded_length(piece.new)
            rows = self._rows_of(length)
            if rows == 1:
                length = piece.new
            start = piece.start(length)
            past = start
            if rows > 1 and len(piece.ids) >= length:
                # Above what is needed, so that every row has a pad; see `batching`.
                past = (start // _PAST_STEP + 1) * _PAST_STEP
            groups[length, past, rows].append(piece)
        for (length, past, rows), group in sorted(groups.items(), reverse=True):
            for first in range(0, len(group), rows):
                yield _Batch(group[first : first + rows], length, past, rows)

    def _plan_even(self, pieces: Sequence[_Piece]) -> Iterator[_Batch]:
        order = sorted(pieces, key=lambda piece: (piece.new, len(piece.ids)), reverse=True)
        while order:
            length = order[0].new
            rows = self._rows_of(length)
            batch, order = order[:rows], order[rows:]
            yield _Batch(batch, length, max(piece.start(length) for piece in batch), len(batch))

    def _forward(self, batch: _Batch, reduce: Callable[[torch.Tensor], torch.Tensor], ends: set[int]) -> None:
        pieces = batch.pieces + batch.pieces[-1:] * (batch.rows - len(batch.pieces))
        device, width = self._model.device, batch.past + batch.length
        tokens = [piece.ids[-batch.length :] for piece in pieces]
        ids = torch.tensor([(self._pad,) * (batch.length - len(row)) + row for row in tokens], device=device)
        lengths = torch.tensor([len(piece.ids) for piece in pieces], device=device)[:, None]
        places = torch.arange(width, device=device)[None] - (width - lengths)
        # Never left to the model, whose own cache may forget what lies outside a window. Always there, since
        # without it attention would see the same numbers in another layout, and could round them otherwise.
        cache = DynamicCache(_past(pieces, batch)) if self._divides else None
        output = self._model(
            input_ids=ids,
            attention_mask=(places >= 0).long(),
            position_ids=places[:, batch.past :].clamp(min=0),
            use_cache=self._divides,
            **cache_argument(self._model, cache),
            logits_to_keep=1,
        )
        if any(id(piece) in ends for piece in batch.pieces):
            reduced = reduce(output.logits[:, -1].float())
            for piece, row in zip(batch.pieces, reduced, strict=False):
                piece.result = row
        for row, piece in enumerate(batch.pieces):
            if piece.continued and cache is not None:
                part = slice(row, row + 1), slice(None), slice(width - len(piece.ids), None)
                layers = [(x.keys[part], x.values[part]) for x in cache.layers]
                # What is held for long must not hold its whole batch.
                piece.layers = [(k.clone(), v.clone()) for k, v in layers] if piece.head else layers


def _shared_cuts(prompts: Sequence[Divided]) -> list[Divided]:
    """The prompts with those cuts alone at which two of them part, or one of them ends."""
    users: dict[tuple[int, ...], set[tuple[int, ...]]] = defaultdict(set)
    for ids, _, cuts in prompts:
        for cut in (*cuts, len(ids)):
            users[ids[:cut]].add(ids)
    return [Divided(ids, head, tuple(cut for cut in cuts if len(users[ids[:cut]]) > 1)) for ids, head, cuts in prompts]


def _past(pieces: Sequence[_Piece], batch: _Batch) -> Layers | None:
    """Keys and values before a batch, per layer, every row padded on the left; None where there are none."""
    if not batch.past:
        return None
    known = [(piece.parent.layers, piece.start(batch.length)) for piece in pieces if piece.parent]
    if len(pieces) == 1:
        (layers, tokens), *_ = known
        return [(keys[:, :, :tokens], values[:, :, :tokens]) for keys, values in layers]
    joined = []
    for number, (keys, values) in enumerate(known[0][0]):
        pair = [x.new_zeros((len(pieces), x.shape[1], batch.past, x.shape[3])) for x in (keys, values)]
        for row, piece in enumerate(pieces):
            tokens = piece.start(batch.length)
            if tokens and piece.parent:
                for whole, part in zip(pair, piece.parent.layers[number], strict=True):
                    whole[row, :, batch.past - tokens :] = part[0, :, :tokens]
        joined.append((pair[0], pair[1]))
    return joined


def cache_argument(model: Any, cache: DynamicCache | None) -> dict[str, DynamicCache | None]:
    """The argument that hands keys and values to a model; transformers 5.24 has renamed it."""
    plain = model.get_base_model() if isinstance(model, PeftModel) else model
    names = inspect.signature(plain.forward).parameters
    return {"cache" if "cache" in names else "past_key_values": cache}


def can_divide(config: Any) -> bool:
    """Whether all that a model remembers of a text is keys and values, the same whatever follows."""
    text = config.get_text_config(decoder=True)
    plain = all(type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) for layer in DynamicCache(config=text).layers)
    # Rotary embeddings scaled in these ways change with the length of the whole prompt.
    rope = str(getattr(text, "rope_parameters", None) or getattr(text, "rope_scaling", None))
    return plain and not getattr(text, "num_kv_shared_layers", 0) and "dynamic" not in rope and "longrope" not in rope


def _token_bytes(model: Any) -> int:
    """Memory that the keys and values of one token take, at most."""
    config = model.config.get_text_config(decoder=True)
    heads = getattr(config, "num_attention_heads", 1)
    size = getattr(config, "head_dim", None) or config.hidden_size // heads
    shared = getattr(config, "num_key_value_heads", None) or heads
    return int(2 * config.num_hidden_layers * shared * size * model.dtype.itemsize)


def _faster_attention(model: Any) -> str | None:
    """The attention to read with where the one that a model was loaded with is slower.

    On a CPU models are loaded with `eager`, since with `sdpa` a query of one token depends on its place in the batch.
    What is read here is longer, or alone in its batch.
    """
    # Scores that are capped are computed by `eager` alone.
    capped = getattr(model.config.get_text_config(decoder=True), "attn_logit_softcapping", None)
    able = getattr(model, "_supports_sdpa", False) and not capped
    return "sdpa" if model.device.type == "cpu" and able else None


@contextmanager
def _attention(model: Any, kind: str | None) -> Iterator[None]:
    if kind is None:
        yield
        return
    model.set_attn_implementation(kind)
    try:
        yield
    finally:
        model.set_attn_implementation("eager")


def _gpu_bytes(device: torch.device) -> int:
    return int(_GPU_SHARE * torch.cuda.get_device_properties(device).total_memory)
