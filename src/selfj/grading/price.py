"""What grading costs: prices, an estimate before anything is sent, and a meter that keeps below a cap."""

import threading
from dataclasses import dataclass
from urllib.parse import urlsplit

from selfj.backends.base import Usage
from selfj.errors import ConfigError

REPLY_TOKENS = 150
"""What the estimate takes for the length of a reply that explains itself briefly."""
REPLY_S = 4.0
"""What the estimate takes for the time of one request."""
AROUND = 16
"""Tokens of a request besides its text, at most."""
_BYTES_PER_TOKEN = 4
_MILLION = 1e6

LISTED_ON = "April 2026"
"""When the prices below were looked up."""
LISTED: dict[str, tuple[float, float]] = {
    "gpt-4.1": (2.0, 8.0),
    "gpt-4.1-mini": (0.4, 1.6),
    "gpt-4.1-nano": (0.1, 0.4),
    "gpt-4o": (2.5, 10.0),
    "gpt-4o-mini": (0.15, 0.6),
    "o3": (2.0, 8.0),
    "gpt-5": (1.25, 10.0),
    "gpt-5-mini": (0.25, 2.0),
    "gpt-5-nano": (0.05, 0.4),
}
"""US dollars per million tokens in and out, as listed by the maker for its own servers, without any discount."""
_LISTED_AT = "api.openai.com"


@dataclass(frozen=True, slots=True)
class Price:
    """What a model costs."""

    tokens_in: float
    """US dollars per million tokens of the prompt."""
    tokens_out: float
    """US dollars per million tokens of the reply."""
    source: str
    """`given`, or when it was listed."""

    def of(self, tokens_in: float, tokens_out: float) -> float:
        """Cost in US dollars."""
        return (tokens_in * self.tokens_in + tokens_out * self.tokens_out) / _MILLION


def price_of(model: str, url: str, price_in: float | None = None, price_out: float | None = None) -> Price | None:
    """The price of a model: as given, or as its maker lists it for its own servers; None where it is unknown.

    Raises:
        ConfigError: Only one of the two is given, or one is negative.

    Example:
        >>> price_of("gpt-4.1", "http://127.0.0.1:8000/v1") is None
        True
        >>> price_of("gpt-4.1", "http://127.0.0.1:8000/v1", 0, 0).of(1000, 1000)
        0.0
    """
    if (price_in is None) != (price_out is None):
        raise ConfigError("Give both --price-in and --price-out, in US dollars per million tokens, or neither.")
    if price_in is not None and price_out is not None:
        if not (0 <= price_in < float("inf") and 0 <= price_out < float("inf")):
            raise ConfigError(f"A price must be 0 or more, found {price_in:g} and {price_out:g}.")
        return Price(price_in, price_out, "given")
    # Another server asks for another price, whatever the model is called there.
    if urlsplit(url).hostname == _LISTED_AT and model in LISTED:
        return Price(*LISTED[model], f"listed in {LISTED_ON}")
    return None


def estimated_tokens(text: str) -> int:
    """About how many tokens a prompt has: four bytes each."""
    return AROUND + -(-len(text.encode("utf-8", "replace")) // _BYTES_PER_TOKEN)


def most_tokens(text: str) -> int:
    """As many tokens as a prompt can have: one for each byte."""
    return AROUND + len(text.encode("utf-8", "replace"))


class Meter:
    """Counts what requests take, and lets none be sent that could pass the cap; for many threads at once.

    Before a request is sent, the most that it can cost is set aside: a token for each byte of the prompt, and the
    longest reply. So what is spent stays below the cap, and at the end less than one such request is left of it.
    """

    def __init__(self, price: Price | None, cap: float | None) -> None:
        """Start at nothing; a cap needs a price."""
        self.requests = self.tokens_in = self.tokens_out = 0
        self.unmetered = 0
        """Requests for which the server did not say what they took; they are counted at the most they can cost."""
        self.stopped = False
        """Whether a request was not sent because of the cap."""
        self._price, self._cap = price, cap
        self._spent = self._aside = 0.0
        self._flying = 0
        self._mine = threading.local()
        self._changed = threading.Condition()

    @property
    def spent(self) -> float | None:
        """US dollars so far; None where the price is unknown."""
        return None if self._price is None else self._spent

    def reserve(self, prompt: str, max_tokens: int) -> bool:
        """Set aside the most that a request can cost, once there is room; False where there will be none."""
        most = 0.0 if self._price is None else self._price.of(most_tokens(prompt), max_tokens)
        with self._changed:
            while not self._fits(most):
                if self.stopped or not self._flying:
                    self.stopped = True
                    self._changed.notify_all()
                    return False
                self._changed.wait()
            self._aside += most
            self._flying += 1
        self._mine.most = most
        return True

    def settle(self, usage: Usage | None, *, sent: bool = True) -> None:
        """Count what a request of this thread took, and give back the rest."""
        most: float = self._mine.most
        with self._changed:
            self._flying -= 1
            self._aside = self._aside - most if self._flying else 0.0
            self.requests += 1
            if usage is not None:
                self.tokens_in += usage.prompt
                self.tokens_out += usage.reply
                self._spent += 0.0 if self._price is None else self._price.of(usage.prompt, usage.reply)
            elif sent:
                self.unmetered += 1
                self._spent += most
            self._changed.notify_all()

    def _fits(self, most: float) -> bool:
        return self._cap is None or (not self.stopped and self._spent + self._aside + most <= self._cap)
