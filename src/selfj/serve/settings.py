"""Settings of the gateway: one frozen model, the documentation under each field. A secret is never a value here."""

import re
from ipaddress import ip_address
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from selfj.model_settings import Settings

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Upstream(Settings):
    """A server that speaks OpenAI's HTTP interface."""

    base_url: str
    """Address of the interface, mostly ending in `/v1`. A key is never part of it."""
    api_key_env: str | None = None
    """Name of the environment variable that holds the key, or with `_FILE` behind it names the file that does; None
    sends no key."""
    connect_timeout_s: float = Field(5.0, gt=0)
    timeout_s: float = Field(120.0, gt=0)
    """Longest time for one reply with all its tries, from the first byte sent to the last received."""
    tries: int = Field(2, ge=1, le=10)
    """Tries of a request that failed in a way that can pass."""
    backoff_s: float = Field(0.2, ge=0)
    """Scale of the random wait before a further try; it doubles with each."""
    connections: int = Field(256, ge=1)
    max_reply_bytes: int = Field(8 * 2**20, ge=1024)
    breaker_failures: int = Field(5, ge=1)
    """So many failures in a row close the way to it."""
    breaker_pause_s: float = Field(10.0, gt=0)
    """After so long one request tries it again."""

    @field_validator("base_url")
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
        if value is not None and not _VARIABLE.fullmatch(value):
            raise ValueError("must be the name of an environment variable, not the key itself")
        return value


class Resample(Settings):
    """Draw further answers where the first is too poor, and take the best."""

    n: int = Field(3, ge=2, le=16)
    """Answers to choose from, the first among them."""
    threshold: float | str | None = None
    """Lowest score of the best of `n` that is answered: a `threshold.json` calibrated on such answers, or the
    operator's own number in [0, 9], which carries no promise. None needs thresholds of all steps, see `policy`."""
    temperature: float | None = Field(None, ge=0)
    """Of the further answers; None keeps the request's. At 0 they would all be the first again."""


class Escalate(Settings):
    """Ask another model where the first one's answer is too poor; its answer is judged too."""

    upstream: Upstream
    model: str
    threshold: float | str | None = None
    """As in `resample`; None takes that of `policy`, else the run's, whose promise is not about this model."""


class Decline(Settings):
    """What a caller reads instead of an answer."""

    messages: dict[str, str] = Field(
        default_factory=lambda: {
            "en": "I cannot give you a reliable answer to this.",
            "de": "Darauf kann ich keine verlässliche Antwort geben.",
            "fr": "Je ne peux pas donner de réponse fiable à cette question.",
            "es": "No puedo dar una respuesta fiable a esto.",
        }
    )
    """By language, such as `de` or `pt-BR`; chosen from Accept-Language."""
    default: str = "en"

    @model_validator(mode="after")
    def _known(self) -> "Decline":
        if self.default not in self.messages:
            raise ValueError(f"messages has no {self.default!r}, which default names")
        return self


class Gate(Settings):
    """Judge the instruction alone, with an empty response, before anything is generated."""

    threshold: float = Field(ge=0, le=9)
    """The operator's own number: no promise covers it."""


class Bounds(Settings):
    """What a request may choose for itself."""

    threshold: tuple[float, float] | None = None
    """Least and greatest `selfj.threshold`; None allows none."""
    risks: tuple[str, ...] = ()
    """Files `threshold.json` of further promises, for `selfj.max_risk`; the one in force is always among them."""
    max_risk: tuple[float, float] | None = None
    """Least and greatest `selfj.max_risk`; None allows none."""

    @model_validator(mode="after")
    def _ordered(self) -> "Bounds":
        for name, bounds, most in (("threshold", self.threshold, 9.0), ("max_risk", self.max_risk, 1.0)):
            if bounds is not None and not 0 <= bounds[0] <= bounds[1] <= most:
                raise ValueError(f"{name} must be two numbers in order within [0, {most:g}]")
        return self


class Limits(Settings):
    """How much the gateway takes in."""

    body_bytes: int = Field(2**20, ge=1024)
    header_bytes: int = Field(16 * 1024, ge=1024)
    inflight: int = Field(512, ge=1)
    """Requests under way at once; a further one is a 503."""
    questions: int = Field(64, ge=1)
    """Questions in one request to the decision routes."""


class JudgeQueueSettings(Settings):
    """How the judge works through what waits for it."""

    queue: int = Field(512, ge=1)
    """Exchanges that may wait; a further one has no score."""
    batch: int = Field(32, ge=1)
    wait_ms: float = Field(0.0, ge=0)
    """How long a batch that is not full waits for more; 0 takes what came while the judge was busy."""
    timeout_s: float = Field(15.0, gt=0)
    """Longest time from asking to a score."""
    workers: int = Field(1, ge=1, le=64)
    """Threads that judge at once; a judge in this process is one model, so mostly 1."""


class ServeSettings(Settings):
    """All settings of the gateway."""

    run: str
    """Folder of a finished run: its judge and its threshold."""
    upstream: Upstream
    host: str = "127.0.0.1"
    port: int = Field(8400, ge=0, le=65535)
    workers: int = Field(1, ge=1, le=256)
    """Processes that serve one address, each with a judge and a queue of its own; they share the store."""
    allow_open: bool = False
    """Listen beyond this machine without keys."""
    keys: str | None = None
    """File of the callers' keys, one SHA-256 in hexadecimal a line, perhaps followed by a name."""
    mode: Literal["enforce", "observe"] = "enforce"
    """`observe` judges and records, and gives the upstream's reply whatever the decision."""
    streaming: Literal["buffer", "early"] = "buffer"
    """`buffer` holds a stream back until its verdict; `early` lets it through and ends with the verdict."""
    unjudgeable: Literal["pass", "decline"] = "decline"
    """Tool calls, images, several choices, whatever is no text."""
    on_failure: Literal["decline", "escalate", "pass"] = "decline"
    """Where the judge gives no score."""
    threshold: float | str | None = None
    """Instead of the run's own: another `threshold.json` of the same judge, or the operator's own number."""
    policy: str | None = None
    """Thresholds of all steps with one promise, as `selfj calibrate RUN --policy` writes them. Unless a step has a
    threshold of its own, `threshold.policy.json` in the run's folder is taken where it is there."""
    resample: Resample | None = None
    escalate: Escalate | None = None
    gate: Gate | None = None
    decline: Decline = Decline()
    bounds: Bounds = Bounds()
    limits: Limits = Limits()
    judge: JudgeQueueSettings = JudgeQueueSettings()
    yes_no: bool = False
    """Answer yes/no questions at the decision routes with the probability that the exchange is no failure."""
    store: str = ""
    """Where decisions are kept: a SQLite file, or `postgresql://HOST/DATABASE`; by default `audit.sqlite` in the run's
    folder. `none` keeps none, and there is no page then."""
    store_env: str | None = None
    """Environment variable that holds the store's address instead, for one with a password; or with `_FILE` behind it
    the file that does."""
    keep_bodies: bool = False
    """Record instruction and response, not only the digest of the instruction."""
    otel_endpoint: str | None = None
    """Where traces go: a collector of OpenTelemetry over HTTP, such as `http://127.0.0.1:4318`. None takes what the
    environment variable `OTEL_EXPORTER_OTLP_ENDPOINT` says, and makes no traces where it is not set."""
    drain_s: float = Field(30.0, gt=0)
    """On SIGTERM, how long requests under way may go on."""

    @model_validator(mode="after")
    def _whole(self) -> "ServeSettings":
        if self.on_failure == "escalate" and self.escalate is None:
            raise ValueError("on_failure is escalate, and escalate is not set; name its upstream and model")
        own = [self.threshold, *(step.threshold for step in (self.resample, self.escalate) if step is not None)]
        if self.policy is not None and any(value is not None for value in own):
            raise ValueError("policy has the thresholds of all steps; leave out those of single steps, or policy")
        if not (self.keys or self.allow_open or _is_loopback(self.host)):
            raise ValueError(f"host {self.host!r} is open to others; set keys, or allow_open=true to let anyone in")
        return self


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
