"""Settings of tuning: what the judge learns, and how; one class per method, the documentation under each field."""

from typing import Annotated, Literal

from pydantic import Field

from selfj.model_settings import Settings

__all__ = [
    "CausalTuning",
    "CrossEncoderTuning",
    "EncoderTuning",
    "FullTuning",
    "Learning",
    "LoraTuning",
    "Template",
    "Tune",
    "Tuning",
]

Template = Literal["selfj", "selfj-last", "paper"]


class Learning(Settings):
    """What every method shares: the loss and the steps."""

    targets: Literal["hard", "soft"] = "hard"
    """`hard` is the level nearest to the label (the paper's); `soft` spreads it over the two neighbouring levels whose
    mean it is."""
    teacher_weight: float = Field(1.0, ge=0)
    student_weight: float = Field(0.3, ge=0)
    distillation_weight: float = Field(2.0, ge=0)
    distillation: Literal["forward", "reverse", "symmetric"] = "forward"
    """Which way the divergence looks: `forward` is KL(teacher || student), the paper's."""
    temperature: float = Field(1.0, gt=0)
    """Both distributions are softened by it inside the divergence, which is then multiplied by its square."""
    learning_rate: float = Field(gt=0)
    weight_decay: float = Field(0.01, ge=0)
    warmup_steps: int = Field(0, ge=0)
    epochs: int = Field(ge=1)
    batch_size: int = Field(128, ge=1)
    """Exchanges of one step, over all devices."""
    checkpoint_steps: int = Field(200, ge=1)
    validation: float = Field(0.05, ge=0, lt=0.5)
    """Share of the exchanges, chosen by hash, on which the judge is only tried while it learns."""
    validation_steps: int = Field(50, ge=1)
    trackers: tuple[Literal["tensorboard", "mlflow", "trackio", "wandb"], ...] = ()
    """Where the curves go as well, by name; each needs its package."""


class CausalTuning(Learning):
    """What LoRA and full tuning of a causal LM share."""

    base: str | None = None
    """Model to tune; None tunes the target model."""
    template: Template = "selfj"
    """Judge template; with `selfj-last` one pass reads both the student's and the teacher's rating."""
    weight_decay: float = Field(0.0, ge=0)
    warmup_steps: int = Field(100, ge=0)
    epochs: int = Field(2, ge=1)
    max_length: int = Field(1024, ge=16)
    """Exchanges whose prompt has more tokens are left out of the tuning, and counted."""
    micro_tokens: int = Field(8192, ge=16)
    """Most tokens in one pass on one device. It decides the memory, and changes a result by rounding alone."""
    gradient_checkpointing: bool = False
    """Compute what lies inside the layers again instead of keeping it: less memory, a third more work."""
    checkpoint_steps: int = Field(20, ge=1)


class LoraTuning(CausalTuning):
    """Tune the target model itself into a judge, with LoRA and self-distillation (the paper's procedure)."""

    kind: Literal["lora"] = "lora"
    r: int = Field(16, ge=1)
    alpha: int = Field(16, ge=1)
    dropout: float = Field(0.05, ge=0, lt=1)
    target_modules: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj")
    learning_rate: float = Field(3e-4, gt=0)
    quantised: Literal["none", "int8", "int4"] = "none"
    """Keep the base in 8 or 4 bits while tuning, through bitsandbytes."""


class FullTuning(CausalTuning):
    """Tune all weights of a causal LM into a judge."""

    kind: Literal["full"] = "full"
    learning_rate: float = Field(1e-5, gt=0)


class EncoderTuning(Learning):
    """Train a head over a frozen text encoder, with the same loss; no language model is needed."""

    kind: Literal["encoder"] = "encoder"
    hidden: int = Field(256, ge=1)
    dropout: float = Field(0.1, ge=0, lt=1)
    learning_rate: float = Field(1e-3, gt=0)
    epochs: int = Field(20, ge=1)


class CrossEncoderTuning(Learning):
    """Tune the encoder MiniLM to read instruction, reference and response together; no language model is needed."""

    kind: Literal["cross-encoder"] = "cross-encoder"
    update: Literal["lora", "full"] = "lora"
    """`lora` keeps MiniLM and learns an adapter of 1 to 3 MB; `full` learns all its weights, 90 MB, and wants a
    learning rate near 5e-5."""
    r: int = Field(16, ge=1)
    alpha: int = Field(32, ge=1)
    hidden: int = Field(128, ge=16, multiple_of=16)
    """Width of the head; with others than multiples of 16, a row's place in a batch could change its last bits."""
    dropout: float = Field(0.1, ge=0, lt=1)
    """In the head."""
    max_length: int = Field(384, ge=16, le=512)
    """Tokens of an exchange; of more, the longest text loses its middle."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """`bfloat16` halves the time where the processor computes in it; weights are float32 all the same."""
    learning_rate: float = Field(1e-3, gt=0)
    warmup_steps: int = Field(20, ge=0)
    epochs: int = Field(2, ge=1)
    batch_size: int = Field(32, ge=1)
    checkpoint_steps: int = Field(50, ge=1)


Tuning = Annotated[LoraTuning | FullTuning | EncoderTuning | CrossEncoderTuning, Field(discriminator="kind")]


class Tune(Settings):
    """What the judge learns and how."""

    method: Tuning = LoraTuning()
    ablations: tuple[Literal["cosine", "self_eval"], ...] = ()
    """Also tune judges on one part of the label alone: Judge (Cosine) and Judge (Self-eval) of the paper."""
    max_rows: int | None = Field(None, ge=1)
    """Tune on at most this many exchanges, chosen by hash."""
