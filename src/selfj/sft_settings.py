"""Settings of instruction tuning: what a base model learns to answer, and how; the documentation under each field."""

from typing import Annotated, Literal

from pydantic import Field

from selfj.model_settings import Settings

__all__ = ["Sft", "SftFull", "SftLora", "SftMethod"]


class SftFull(Settings):
    """Tune all weights; the result is a model of its own."""

    kind: Literal["full"] = "full"
    learning_rate: float = Field(2e-5, gt=0)


class SftLora(Settings):
    """Tune a LoRA adapter; the result goes on top of the base model."""

    kind: Literal["lora"] = "lora"
    r: int = Field(16, ge=1)
    alpha: int = Field(16, ge=1)
    dropout: float = Field(0.05, ge=0, lt=1)
    target_modules: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    """Names of the matrices that are adapted."""
    learning_rate: float = Field(2e-4, gt=0)
    quantised: Literal["none", "int8", "int4"] = "none"
    """Keep the base in 8 or 4 bits while tuning, through bitsandbytes; the adapter is never quantised."""


SftMethod = Annotated[SftFull | SftLora, Field(discriminator="kind")]


class Sft(Settings):
    """How a base model is tuned on instructions and replies, before a judge is made for it."""

    base: str | None = None
    """Model to tune: a folder or hub name; None tunes the model of `target`."""
    replies: Literal["reference", "response"] = "reference"
    """What the model learns to say: the references of the instructions, or the responses to them."""
    file: str | None = None
    """A file of one's own, as `collect` reads it; None takes what the run has collected or sampled."""
    columns: dict[str, str] = Field(default_factory=dict)
    """Columns of that file, as in `collect.source.columns`."""
    splits: tuple[Literal["train", "calibration", "test"], ...] = ("train",)
    """Rows of which splits are learned. An instruction of the file has the split that `collect` would give it, so that
    a model is never judged on what it was taught."""
    max_rows: int | None = Field(None, ge=1)
    """Learn from at most this many rows, chosen by hash."""
    method: SftMethod = SftFull()
    epochs: int = Field(3, ge=1)
    batch_size: int = Field(128, ge=1)
    """Rows of one step, over all devices."""
    micro_rows: int = Field(4, ge=1)
    """Most rows in one pass on one device; rows of like length share a pass. It decides the memory."""
    max_length: int = Field(1024, ge=16)
    """Rows whose conversation and reply have more tokens are left out, and counted."""
    warmup_steps: int = Field(100, ge=0)
    """Steps until the learning rate is at its highest; at most half of all steps."""
    schedule: Literal["linear", "cosine", "constant"] = "cosine"
    """How the learning rate falls after that."""
    weight_decay: float = Field(0.0, ge=0)
    max_grad_norm: float = Field(1.0, gt=0)
    """A longer gradient is scaled down to this length."""
    gradient_checkpointing: bool = False
    """Compute what lies inside the layers again instead of keeping it: less memory, a third more work."""
    checkpoint_steps: int = Field(100, ge=1)
    """Steps between two checkpoints: what a kill costs at most."""
