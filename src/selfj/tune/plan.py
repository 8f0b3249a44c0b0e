"""What a tuning will take, reckoned before it starts: steps, tokens, parameters, memory, time. Pure arithmetic.

`docs/design/tuning-plan.md` has the formulas, what they were fitted to, and how far they were off.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from selfj.errors import ConfigError
from selfj.tune.shapes import Model

GIB = 2**30
_SHARE_INPUT = {"k_proj", "v_proj", "o_proj", "up_proj"}
_SPEC = re.compile(r"(?:(\d+)x)?(h100|h200|a100|cpu)(/fsdp)?")


@dataclass(frozen=True, slots=True)
class Device:
    """What a plan assumes of a device."""

    name: str
    memory: float
    """Bytes that a tuning can have."""
    flops: float
    """Multiplications and additions of matrix products in a second, as large models reach them."""
    bandwidth: float
    """Bytes moved in a second by everything else."""
    pass_s: float
    """Seconds that one layer needs for one pass forward and back, however little is in it."""
    gpu: bool = True
    count: int = 1
    sharded: bool = False
    """Whether the devices share weights, gradients and optimiser (FSDP), rather than each having them all."""


def _gpu(name: str, gib: float, tflops: float, terabytes: float) -> Device:
    # Of the peak in 16 bits, 45 % of the products and 70 % of the bandwidth are reached; 1 GiB is the driver's.
    return Device(name, (gib - 1) * GIB, 0.45 * tflops * 1e12, 0.7 * terabytes * 1e12, 1.5e-3)


GPUS = {
    "h100": _gpu("H100, 80 GB", 79.6, 989, 3.35),
    "h200": _gpu("H200, 141 GB", 140.4, 989, 4.8),
    "a100": _gpu("A100, 80 GB", 79.2, 312, 2.04),
}


def device_named(spec: str, here: Device) -> Device:
    """A device by name: `h100`, `h200`, `a100`, or `cpu` for this machine's; `4xh100`, and `4xh100/fsdp` for sharing.

    Raises:
        ConfigError: There is no such device in the table.
    """
    found = _SPEC.fullmatch(spec)
    if found is None or int(found[1] or 1) < 1:
        raise ConfigError(
            f"No device is named {spec!r}; expected h100, h200, a100 or cpu, as in 4xh100 for four that each hold the "
            "model, and 4xh100/fsdp for four that share it."
        )
    device = here if found[2] == "cpu" else GPUS[found[2]]
    return replace(device, count=int(found[1] or 1), sharded=bool(found[3]))


@dataclass(frozen=True, slots=True)
class Learned:
    """What is learned of a model, and in which precision the rest is kept."""

    full: bool
    r: int = 0
    targets: tuple[str, ...] = ()
    dropout: float = 0.0
    quantised: str = "none"
    checkpointing: bool = False
    all_logits: bool = False
    """Whether logits are computed at every token (instruction tuning), not only where a rating is read."""

    def trainable(self, model: Model) -> int:
        """Parameters that learn."""
        return model.parameters if self.full else model.adapter(self.r, self.targets)


@dataclass(frozen=True, slots=True)
class Tokens:
    """What is read; the numbers of an epoch may be extrapolated from a sample of its rows."""

    rows: int
    """Rows of an epoch."""
    skipped: int
    """Rows left out as too long."""
    read: int
    """Tokens of an epoch as they are read: what several prompts begin with once a pass."""
    naive: int
    """Tokens of an epoch if each prompt were read by itself."""
    length: float
    """Mean length of a prompt: how far attention looks."""
    passes: int
    """Passes of an epoch, on one device."""
    widest: int
    """Most tokens in a pass."""
    logits: int
    """Places of an epoch at which logits are computed."""
    sampled: int | None = None
    """Rows that were counted; None where all were."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes on one device at the fullest moment."""

    weights: float
    gradients: float
    optimiser: float
    activations: float
    logits: float
    program: float = 0.0
    """What the program takes before it has done anything; a GPU's is left out of `Device.memory` instead."""

    @property
    def total(self) -> float:
        """All of them, and a tenth for what an allocator wastes."""
        parts = self.weights + self.gradients + self.optimiser + self.activations + self.logits
        return 1.1 * parts + self.program


@dataclass(frozen=True, slots=True)
class Plan:
    """What a tuning will take."""

    model: Model
    device: Device
    learned: Learned
    tokens: Tokens
    epochs: int
    steps: int
    memory: Memory
    seconds: float
    notes: tuple[str, ...] = ()
    """What was assumed because it could not be counted."""

    @property
    def fits(self) -> bool:
        """Whether it fits into the memory of each device."""
        return self.memory.total <= self.device.memory


def make_plan(
    model: Model, device: Device, learned: Learned, tokens: Tokens, epochs: int, steps: int, notes: Sequence[str] = ()
) -> Plan:
    """Reckon memory and time; see the module."""
    memory = memory_of(model, device, learned, tokens)
    seconds = seconds_of(model, device, learned, tokens, epochs, steps)
    return Plan(model, device, learned, tokens, epochs, steps, memory, seconds, tuple(notes))


def memory_of(model: Model, device: Device, learned: Learned, tokens: Tokens) -> Memory:
    """Bytes on each device: see docs/design/tuning-plan.md for each line."""
    share = device.count if device.sharded else 1
    trainable = learned.trainable(model)
    whole = _weight_bytes(model, device, learned)
    weights = whole / share
    if device.sharded:
        # Two layers at a time are gathered, and the tables.
        tables = 2 * model.vocabulary * model.hidden * 2
        weights += min(whole, 2 * whole / model.layers + tables)
    elif learned.full and device.gpu:
        # What is kept in float32 is multiplied in bfloat16, through a copy.
        weights += 2 * model.parameters
    layer = layer_bytes(model, device, learned)
    size = _size(device)
    kept = model.layers * (model.hidden * size if learned.checkpointing else layer)
    # The gradients of one layer come on top, and its own results where they were computed again.
    activations = tokens.widest * (kept + layer * (2 if learned.checkpointing else 1))
    places = tokens.widest if learned.all_logits else math.ceil(tokens.logits / max(1, tokens.passes))
    return Memory(
        weights=weights,
        gradients=4 * trainable / share,
        # Two moments, and one more copy while a step is taken.
        optimiser=12 * trainable / share,
        activations=activations,
        logits=16.0 * places * model.vocabulary,
        program=0.0 if device.gpu else 200 * 2**20,
    )


def layer_bytes(model: Model, device: Device, learned: Learned) -> float:
    """Bytes that one layer keeps of one token for the way back."""
    size = _size(device)
    h, q, k, i = model.hidden, model.queries, model.keys, model.intermediate
    # Norms compute in float32 whatever the rest does.
    kept: float = size * (2 * h + 2 * q + 2 * k + 3 * i) + (4 * h if size == 2 else 0)
    if learned.full:
        # The input of every matrix.
        return kept + size * (4 * h + i)
    mask = 1 if device.gpu else 4
    for name, width_in, _, times in model.adapted(learned.targets):
        kept += times / model.layers * 4 * learned.r
        # An adapter reads its input in float32: a dropped-out copy beside its mask, or a cast one; without either it
        # shares the input with its neighbours, and that of the output projection is kept anyway.
        if learned.dropout:
            kept += times / model.layers * (4 + mask) * width_in
        elif size < 4 or name not in _SHARE_INPUT:
            kept += times / model.layers * 4 * width_in
    return kept


def seconds_of(model: Model, device: Device, learned: Learned, tokens: Tokens, epochs: int, steps: int) -> float:
    """Seconds of the tuning proper, loading apart."""
    # Forward; gradients of what was read; and of the weights where they learn.
    ways = (3 if learned.full else 2) + (1 if learned.checkpointing else 0)
    products = 2.0 * model.matrices * ways
    if not learned.full:
        # Products of so small a rank reach a quarter of the rate.
        products += 4 * 2.0 * (ways + 1) * learned.trainable(model)
    attention = 2.0 * tokens.length * model.queries * model.layers * (ways + 1)
    flops = tokens.read * (products + attention) + tokens.logits * 2.0 * model.vocabulary * model.hidden * ways
    # What is kept is written once and read back, and as much is made in between.
    moved = tokens.read * model.layers * layer_bytes(model, device, learned) * (ways + 1)
    moved += tokens.logits * model.vocabulary * 40.0
    drawn = 0.0
    if learned.dropout and not device.gpu:
        # A CPU draws masks slowly.
        widths = sum(width_in * times for _, width_in, _, times in model.adapted(learned.targets))
        drawn = 4e-9 * tokens.read * widths * (2 if learned.checkpointing else 1)
    step_bytes = 40.0 * learned.trainable(model) / (device.count if device.sharded else 1)
    one = flops / device.flops + moved / device.bandwidth + drawn + tokens.passes * model.layers * device.pass_s
    # In 4 and 8 bits the weights are unpacked for every pass.
    slower = 1.3 if learned.quantised != "none" else 1.0
    spread = 1.1 if device.count > 1 else 1.0
    return epochs * one * slower * spread / device.count + steps * step_bytes / device.bandwidth


def _size(device: Device) -> int:
    return 2 if device.gpu else 4


def _weight_bytes(model: Model, device: Device, learned: Learned) -> float:
    """Bytes of the whole model and its adapter, on one device."""
    if learned.full:
        return 4.0 * model.parameters
    size = _size(device)
    per_weight = {"none": float(size), "int8": 1.01, "int4": 0.52}[learned.quantised]
    rest = model.parameters - model.matrices
    return per_weight * model.matrices + size * rest + 4.0 * learned.trainable(model)


def pack(sizes: Sequence[int], limit: int) -> list[list[int]]:
    """Divide rows, in their order, into passes of at most `limit` tokens; a larger row has one of its own."""
    passes: list[list[int]] = []
    filled = 0
    for row, size in enumerate(sizes):
        if not passes or filled + size > limit:
            passes.append([])
            filled = 0
        passes[-1].append(row)
        filled += size
    return passes


def shared(prompts: Sequence[Sequence[int]]) -> int:
    """Number of leading tokens that all prompts share, one token of each left over; 0 below 8 tokens or two prompts."""
    if len(prompts) < 2:
        return 0
    first, last = min(map(list, prompts)), max(map(list, prompts))
    limit = min(map(len, prompts)) - 1
    found = next((n for n in range(limit) if first[n] != last[n]), limit)
    return found if found >= 8 else 0


def read_tokens(teacher: Sequence[Sequence[int]], student: Sequence[Sequence[int]]) -> int:
    """Tokens of one pass over both prompts of some exchanges: shared beginnings once, a student inside its teacher."""
    pairs = list(zip(teacher, student, strict=True))
    apart = [list(s) for t, s in pairs if list(t[: len(s)]) != list(s)]
    return sum(
        sum(map(len, prompts)) - shared(prompts) * max(0, len(prompts) - 1) for prompts in (list(teacher), apart)
    )
