"""What a backend can do, as small protocols, and the plain values that go in and come out.

All are batch in, batch out, in the same order. A backend implements only those that it can do.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.float64]
Messages: TypeAlias = Sequence[dict[str, str]]


@dataclass(frozen=True, slots=True)
class Sampling:
    """How responses are drawn."""

    temperature: float = 0.7
    """0 takes the most likely token at each step."""
    top_p: float = 1.0
    max_tokens: int = 256


@dataclass(frozen=True, slots=True)
class Generation:
    """One drawn response, or the reason why there is none."""

    text: str
    tokens: int
    logprob: float | None
    """Mean natural log probability of its tokens at temperature 1, at most 0; None where it is not known."""
    finish: str
    """`stop` when the model ended, `length` when it was cut at `max_tokens`."""
    error: str | None = None


@dataclass(frozen=True, slots=True)
class JudgeInput:
    """The exchange that a judge reads; with a reference it is read as the teacher."""

    instruction: str
    response: str
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class LevelReading:
    """The probabilities of the ten levels, for n inputs."""

    probabilities: Array
    """Shape (n, 10), each row renormalised over the ten levels; a row of NaN where `errors` has a reason."""
    label_mass: Array
    """Shape (n,), in [0, 1]: probability of the ten level tokens before renormalising; NaN where it is not known."""
    errors: tuple[str | None, ...]
    """Why an input was not read, such as `too_long`."""
    truncated: tuple[bool, ...]
    """Whether a text of an input was cut to fit; see `prompts.shorten`."""


@dataclass(frozen=True, slots=True)
class RewardReading:
    """What a reward model says of n inputs."""

    rewards: Array
    """Shape (n,), without bounds, higher is better; NaN where `errors` has a reason."""
    errors: tuple[str | None, ...]
    """Why an input was not read, such as `too_long`."""
    truncated: tuple[bool, ...]
    """Whether a text of an input was cut to fit."""


class Generator(Protocol):
    """Draws responses of a target model."""

    name: str

    def generate(self, conversations: Sequence[Messages], seeds: Sequence[int], sampling: Sampling) -> list[Generation]:
        """Draw one response per conversation; the same seed and conversation give the same response."""
        ...


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one request, as the server counts them."""

    prompt: int
    reply: int
    """Tokens that were thought and not shown are among them."""


class Purse(Protocol):
    """Decides whether a request may be sent, and learns what it took; many threads use it at once."""

    def reserve(self, prompt: str, max_tokens: int) -> bool:
        """Set aside the most that a request can cost; False where that is not there, and the request is not sent."""
        ...

    def settle(self, usage: Usage | None, *, sent: bool = True) -> None:
        """Give back what was set aside, and count what was used: None where the server did not say.

        `sent` is False where the server refused the request, so that it cost nothing.
        """
        ...


@runtime_checkable
class MeteredGenerator(Protocol):
    """A generator whose replies cost something each, and are kept."""

    name: str

    def kept(self, prompts: Sequence[str], draws: Sequence[int], sampling: Sampling) -> list[bool]:
        """Tell which replies are there already, so that nothing is asked for them."""
        ...

    def write(
        self,
        prompts: Sequence[str],
        draws: Sequence[int],
        sampling: Sampling,
        *,
        purse: Purse,
        accept: Callable[[Generation], bool],
        done: Callable[[], None],
    ) -> list[Generation]:
        """Draw one reply per prompt, or take it from those that are kept.

        Args:
            prompts: Each is one message of a user.
            draws: Tell apart the draws for one prompt, also where a server keeps to no seed.
            sampling: How to draw.
            purse: Asked before each request; where it says no, the reason is `over_budget`.
            accept: Only replies that it takes are kept.
            done: Called after each row, by one thread at a time.
        """
        ...


@runtime_checkable
class Likelihood(Protocol):
    """Says how likely given responses are under a target model."""

    def mean_logprob(self, conversations: Sequence[Messages], responses: Sequence[str]) -> list[float | None]:
        """Mean natural log probability of each response's tokens; None where it is empty or too long."""
        ...


class LevelReader(Protocol):
    """Reads the ten level probabilities of exchanges."""

    name: str

    def read(self, inputs: Sequence[JudgeInput]) -> LevelReading:
        """Read one token per input and generate none."""
        ...


class RewardReader(Protocol):
    """Reads the reward of exchanges."""

    name: str

    def rewards(self, inputs: Sequence[JudgeInput]) -> RewardReading:
        """Read one number per input; a reference is not looked at."""
        ...


@runtime_checkable
class PairReader(Protocol):
    """Reads exchanges as the student and as the teacher at once, for less than two readings cost."""

    def read_both(self, inputs: Sequence[JudgeInput]) -> tuple[LevelReading, LevelReading]:
        """Read inputs that all have a reference: without it and with it, each as `read` would."""
        ...


class Embedder(Protocol):
    """Turns texts into vectors of length one."""

    name: str

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Embed n texts; returns shape (n, d), rows of Euclidean norm 1."""
        ...

    def exceeds(self, texts: Sequence[str]) -> list[bool]:
        """Tell which texts are longer than what is embedded of them."""
        ...
