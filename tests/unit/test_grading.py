"""Prices, the meter that keeps below a cap, and agreement against brute force."""

import math
import threading
from itertools import combinations, permutations

import numpy as np
import pytest
from scipy import stats

from selfj.backends.base import Usage
from selfj.errors import ConfigError
from selfj.grading import agreement, interval_alpha, price_of
from selfj.grading.people import parse_scale
from selfj.grading.price import LISTED, Meter, Price, estimated_tokens, most_tokens

KRIPPENDORFF = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
    [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
]
"""The example of Krippendorff (2011), whose alpha for interval data is 0.849."""


def matrix(rows):
    return np.array([[math.nan if value is None else value for value in row] for row in rows], dtype=float)


def brute_alpha(values):
    """By the coincidences of every pair of grades."""
    units = [[v for v in column if not math.isnan(v)] for column in values.T]
    units = [unit for unit in units if len(unit) > 1]
    coincidences = {}
    for unit in units:
        for a, b in permutations(range(len(unit)), 2):
            pair = (unit[a], unit[b])
            coincidences[pair] = coincidences.get(pair, 0) + 1 / (len(unit) - 1)
    totals = {}
    for (a, _), n in coincidences.items():
        totals[a] = totals.get(a, 0) + n
    n = sum(totals.values())
    observed = sum(count * (a - b) ** 2 for (a, b), count in coincidences.items()) / n
    expected = sum(totals[a] * totals[b] * (a - b) ** 2 for a in totals for b in totals) / (n * (n - 1))
    return 1 - observed / expected


def drawn(seed, raters=4, items=15):
    random = np.random.default_rng(seed)
    values = random.integers(1, 6, (raters, items)).astype(float) + random.integers(0, 4, items) * 1000
    values[random.random(values.shape) < 0.3] = np.nan
    return values


def test_alpha_of_the_published_example():
    assert interval_alpha(matrix(KRIPPENDORFF)) == pytest.approx(0.849, abs=5e-4)


@pytest.mark.parametrize("seed", range(20))
def test_alpha_is_that_of_brute_force(seed):
    values = drawn(seed)
    assert interval_alpha(values) == pytest.approx(brute_alpha(values), rel=1e-9, abs=1e-12)
    assert interval_alpha(values + 1e6) == pytest.approx(brute_alpha(values), rel=1e-6)


def test_alpha_at_its_ends():
    assert interval_alpha(matrix([[1, 2, 3], [1, 2, 3]])) == 1
    assert math.isnan(interval_alpha(matrix([[2, 2], [2, 2]])))
    assert math.isnan(interval_alpha(matrix([[1, None], [None, 2]])))
    assert interval_alpha(matrix([[1, 5], [5, 1]])) == pytest.approx(-0.5)
    noise = np.random.default_rng(0).integers(1, 11, (3, 4000)).astype(float)
    assert abs(interval_alpha(noise)) < 0.03


@pytest.mark.parametrize("seed", range(5))
def test_agreement_is_that_of_every_pair(seed):
    values = drawn(seed)
    found = agreement(values)
    correlations, equal, pairs = [], 0, 0
    for a, b in combinations(range(len(values)), 2):
        both = ~np.isnan(values[a]) & ~np.isnan(values[b])
        correlations.append(stats.pearsonr(values[a][both], values[b][both]).statistic)
        equal += int((values[a][both] == values[b][both]).sum())
        pairs += int(both.sum())
    assert found.pearson == pytest.approx(np.mean(correlations))
    assert found.pairs == len(correlations)
    assert found.same == pytest.approx(equal / pairs)
    shared = values[:, (~np.isnan(values)).sum(axis=0) > 1]
    assert found.spread == pytest.approx(np.nanstd(shared, axis=0, ddof=1).mean())
    assert (found.raters, found.items) == (4, shared.shape[1])


def test_agreement_of_too_few():
    assert agreement(matrix([[1, 2, None], [None, None, 3]])) is None
    found = agreement(matrix([[1, 2], [1, None]]))
    assert (found.items, found.pairs) == (1, 0)
    assert math.isnan(found.pearson)
    assert "Pearson undefined" in found.describe()


def test_a_listed_price_is_for_the_makers_own_server():
    there = price_of("gpt-4.1", "https://api.openai.com/v1")
    assert (there.tokens_in, there.tokens_out) == LISTED["gpt-4.1"]
    assert "20" in there.source
    assert price_of("gpt-4.1", "https://gateway.example/v1") is None
    assert price_of("gpt-unheard-of", "https://api.openai.com/v1") is None
    assert price_of("gpt-4.1", "https://api.openai.com/v1", 1, 2).source == "given"


@pytest.mark.parametrize("prices", [(1, None), (None, 1), (-1, 1), (1, math.nan), (math.inf, 1)])
def test_half_a_price_is_none(prices):
    with pytest.raises(ConfigError):
        price_of("m", "http://h/v1", *prices)


@pytest.mark.parametrize("text", ["", "1", "5,1", "1,1", "a,b", "1,2,3", "nan,2", "1,inf"])
def test_a_scale_has_two_ends(text):
    with pytest.raises(ConfigError, match="1,5"):
        parse_scale(text)


def test_no_text_has_more_tokens_than_bytes():
    for text in ("", "plain words", "中文字符", "😀" * 9):
        assert estimated_tokens(text) <= most_tokens(text)
        assert most_tokens(text) > len(text.encode())


def test_the_meter_never_passes_its_cap():
    price, cap, most = Price(1e6, 1e6, "given"), 1000.0, 40
    meter, sent, peak = Meter(price, cap), [], []

    def work(seed):
        random = np.random.default_rng(seed)
        while meter.reserve("", most - 16):
            took = int(random.integers(1, most))
            threading.Event().wait(0.0005)
            meter.settle(Usage(took, 1))
            sent.append(took + 1)
            peak.append(meter.spent)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert meter.stopped
    assert meter.spent == sum(sent) == meter.tokens_in + meter.tokens_out
    # All that is left is less than one request could cost.
    assert cap - most < meter.spent <= cap
    assert max(peak) <= cap


def test_what_the_meter_counts():
    meter = Meter(Price(1, 1, "given"), None)
    for usage, sent in ((Usage(10, 5), True), (None, True), (None, False)):
        assert meter.reserve("ab", 100)
        meter.settle(usage, sent=sent)
    assert (meter.requests, meter.tokens_in, meter.tokens_out, meter.unmetered) == (3, 10, 5, 1)
    assert meter.spent == pytest.approx((15 + 16 + 2 + 100) / 1e6)
    assert Meter(None, None).spent is None
