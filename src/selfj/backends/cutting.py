"""Exchanges that are too long: all texts are cut to the same number of characters, so that the longest loses most."""

from collections.abc import Callable
from typing import TypeVar

from selfj.backends.base import JudgeInput
from selfj.prompts import shorten

T = TypeVar("T")


def cut_to_fit(exchange: JudgeInput, build: Callable[[JudgeInput], T], fits: Callable[[T], bool]) -> T | None:
    """Cut an exchange as little as it takes.

    Args:
        exchange: Too long as it is.
        build: Makes the prompt of an exchange.
        fits: Whether a prompt is short enough.

    Returns:
        The longest prompt that was found to fit; None if none does.
    """
    low, high = 0, max(map(len, (exchange.instruction, exchange.response, exchange.reference or "")))
    best: T | None = None
    while low < high:
        middle = (low + high) // 2
        made = build(_shortened(exchange, middle))
        if fits(made):
            best, low = made, middle + 1
        else:
            high = middle
    return best


def _shortened(exchange: JudgeInput, limit: int) -> JudgeInput:
    reference = None if exchange.reference is None else shorten(exchange.reference, limit)
    return JudgeInput(shorten(exchange.instruction, limit), shorten(exchange.response, limit), reference)
