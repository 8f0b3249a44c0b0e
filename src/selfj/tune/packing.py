"""Prompts of many exchanges in one row of tokens, without padding; each reads its own tokens alone.

What a micro-batch of exchanges is read as:

    [teachers' beginning][teacher 1][teacher 2] ... [students' beginning][student 1][student 2] ...

A prompt attends to itself and to the beginning that all prompts of its part share, which is there once. Where the
student's prompt begins the teacher's, one piece serves both: the student's rating is read in its middle, where the
reference is still to come.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from transformers import AttentionInterface, AttentionMaskInterface

from selfj.backends.prefix import can_divide

NAME = "selfj_packed"
_LEAST_BEGINNING = 8
"""A shorter shared beginning is not worth a piece of its own."""
_PROBE = (list(range(3, 29)), [*range(3, 15), *range(40, 61)])


@dataclass(frozen=True, slots=True)
class Piece:
    """Tokens that follow each other."""

    length: int
    parent: int | None = None
    """Number of the piece that comes before them; None where they begin a prompt."""


@dataclass(frozen=True, slots=True)
class Pack:
    """One row of tokens and where ratings are read."""

    ids: list[int]
    positions: list[int]
    """Of each token within its prompt."""
    pieces: tuple[Piece, ...]
    teacher: list[int]
    """Places of the tokens behind which the teacher's rating stands, one an exchange."""
    student: list[int]


def packed(teacher: Sequence[Sequence[int]], student: Sequence[Sequence[int]], *, share: bool = True) -> Pack:
    """Pack the prompts of n exchanges.

    Args:
        teacher: Token ids of prompts with the reference.
        student: Of prompts without it, of the same exchanges.
        share: Keep what prompts begin with once, and read a student inside its teacher.
    """
    rows = range(len(teacher))
    inside = [share and list(teacher[row][: len(student[row])]) == list(student[row]) for row in rows]
    pack = Pack([], [], (), [0] * len(teacher), [0] * len(teacher))
    pieces: list[Piece] = []
    inner = [student[row] for row in rows if inside[row]]
    start = _append(pack, pieces, teacher, shared_beginning([*teacher, *inner]) if share else 0)
    for row in rows:
        pack.teacher[row] = start[row] + len(teacher[row]) - 1
        pack.student[row] = start[row] + len(student[row]) - 1
    apart = [row for row in rows if not inside[row]]
    others = [student[row] for row in apart]
    start = _append(pack, pieces, others, shared_beginning(others) if share else 0)
    for place, row in enumerate(apart):
        pack.student[row] = start[place] + len(student[row]) - 1
    return Pack(pack.ids, pack.positions, tuple(pieces), pack.teacher, pack.student)


def _append(pack: Pack, pieces: list[Piece], prompts: Sequence[Sequence[int]], head: int) -> list[int]:
    """Add prompts that begin with as many shared tokens; returns where each would begin if those stood before it."""
    parent = None
    if head:
        parent = len(pieces)
        pieces.append(Piece(head))
        pack.ids.extend(prompts[0][:head])
        pack.positions.extend(range(head))
    starts = []
    for prompt in prompts:
        starts.append(len(pack.ids) - head)
        pieces.append(Piece(len(prompt) - head, parent))
        pack.ids.extend(prompt[head:])
        pack.positions.extend(range(head, len(prompt)))
    return starts


def shared_beginning(prompts: Sequence[Sequence[int]]) -> int:
    """Number of leading tokens that all prompts share, a token of each left over; 0 if not worth a piece."""
    if len(prompts) < 2:
        return 0
    first, last = min(map(list, prompts)), max(map(list, prompts))
    limit = min(map(len, prompts)) - 1
    shared = next((n for n in range(limit) if first[n] != last[n]), limit)
    return shared if shared >= _LEAST_BEGINNING else 0


def read_pack(model: Any, pack: Pack, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits behind the ratings' places in float32: the teacher's and the student's, each (n, vocabulary).

    Args:
        model: A causal language model whose attention is `NAME`, wrapped or not.
        pack: What it reads.
        device: Where its input goes.
    """
    places = torch.tensor([*pack.teacher, *pack.student], device=device)
    output = model(
        input_ids=torch.tensor([pack.ids], device=device),
        position_ids=torch.tensor([pack.positions], device=device),
        use_cache=False,
        logits_to_keep=places,
        pieces=pack.pieces,
    )
    logits = output.logits[0].float()
    return logits[: len(pack.teacher)], logits[len(pack.teacher) :]


def packed_attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    *,
    pieces: tuple[Piece, ...],
    sliding_window: int | None = None,
    softcap: float | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Attention of each piece to itself and its parent, one after the other, in the form that transformers calls.

    Args:
        module: The layer; says how many heads share keys and values.
        query: Shape (1, heads, tokens, width); `key` and `value` may have fewer heads.
        key: See `query`.
        value: See `query`.
        attention_mask: Not used; pieces say what is seen.
        scaling: Of the scores.
        dropout: Share of attention weights that are dropped.
        pieces: In the order of the tokens.
        sliding_window: How many tokens back are seen, where that is limited.
        softcap: Not supported.
        kwargs: Whatever else transformers hands over.

    Raises:
        NotImplementedError: The model wants attention of another kind.
    """
    if softcap is not None or kwargs.get("s_aux") is not None or kwargs.get("position_bias") is not None:
        raise NotImplementedError("attention with capped scores, sinks or biases is not packed")
    groups = query.shape[1] // key.shape[1]
    if groups > 1:
        key, value = (x.repeat_interleave(groups, dim=1) for x in (key, value))
    lengths = [piece.length for piece in pieces]
    # Split once: a slice would cost its backward pass a tensor of the whole length.
    queries, keys, values = (torch.split(x, lengths, dim=2) for x in (query, key, value))
    masks: dict[tuple[int, int], torch.Tensor] = {}
    found = []
    for number, piece in enumerate(pieces):
        k, v, before = keys[number], values[number], 0
        if piece.parent is not None:
            before = lengths[piece.parent]
            k, v = torch.cat([keys[piece.parent], k], dim=2), torch.cat([values[piece.parent], v], dim=2)
        windowed = sliding_window is not None and before + piece.length > sliding_window
        mask = None
        if before or windowed:
            shape = (piece.length, before)
            if shape not in masks:
                masks[shape] = _mask(*shape, sliding_window if windowed else None, query.device)
            mask = masks[shape]
        found.append(
            F.scaled_dot_product_attention(
                queries[number], k, v, attn_mask=mask, is_causal=mask is None, scale=scaling, dropout_p=dropout
            )
        )
    return torch.cat(found, dim=2).transpose(1, 2).contiguous(), None


def _mask(length: int, before: int, window: int | None, device: torch.device) -> torch.Tensor:
    seen = torch.ones(length, before + length, dtype=torch.bool, device=device).tril(before)
    return seen if window is None else seen.triu(before - window + 1)


def _no_mask(*_: Any, **__: Any) -> None:
    return None


AttentionInterface.register(NAME, packed_attention)
AttentionMaskInterface.register(NAME, _no_mask)


def use_packing(model: Any) -> bool:
    """Switch a model to packed attention, where a trial gives the logits that it gives otherwise; else leave it as is.

    Args:
        model: A causal language model in evaluation mode, on its device, not wrapped.
    """
    if not can_divide(model.config):
        return False
    usual = model.config._attn_implementation
    tolerance = 0.001 if model.dtype == torch.float32 else 0.02
    vocabulary = model.config.get_text_config(decoder=True).vocab_size
    prompts = [[token % vocabulary for token in prompt] for prompt in _PROBE]
    with torch.inference_mode():
        expected = torch.stack([_alone(model, prompt) for prompt in prompts])
        try:
            model.set_attn_implementation(NAME)
            found, _ = read_pack(model, packed(prompts, [prompt[:-4] for prompt in prompts]), model.device)
            spread = float(expected.max() - expected.min())
            same = found.shape == expected.shape and bool((found - expected).abs().max() <= tolerance * spread)
        except (AttributeError, IndexError, KeyError, NotImplementedError, RuntimeError, TypeError, ValueError):
            same = False
    if not same:
        model.set_attn_implementation(usual)
    return same


def _alone(model: Any, prompt: list[int]) -> torch.Tensor:
    logits: torch.Tensor = model(input_ids=torch.tensor([prompt], device=model.device), use_cache=False).logits
    return logits[0, -1].float()
