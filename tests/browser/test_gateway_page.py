"""The gateway's page as people meet it: before a real `selfj serve`, with its figures checked by hand."""

import hashlib
import re
from decimal import ROUND_HALF_UP, Decimal

import numpy as np
import pytest

from selfj.risk import selective, upper_bound
from selfj.serve.feedback import label
from selfj.serve.run import load_served_run
from selfj.serve.store import Store

from .checks import check_alone, check_look, quoted
from .conftest import HOSTILE

pytestmark = pytest.mark.browser
LIVE = "document.getElementById('state').textContent === 'live' && document.querySelectorAll('#curve .mark').length > 0"
FIRST = "document.querySelector('#rows tr')"
MOST_BYTES = 60_000
"""The page with its style and script."""


def opened(tab, gateway):
    """Open the page and wait until its figures are there."""
    tab.go(f"{gateway.url}/")
    tab.until(LIVE)
    tab.until(f"{FIRST} !== null")
    return tab


def shown(share):
    """A share as the page writes it; JavaScript rounds halves up."""
    if np.isnan(share):
        return "–"
    return f"{Decimal(100 * share).quantize(Decimal('0.1' if 0 < share < 0.0995 else '1'), ROUND_HALF_UP)} %"


def test_it_asks_its_gateway_and_nobody_else(tab, gateway):
    opened(tab, gateway)
    check_alone(tab, f"{gateway.url}/")
    assert len(gateway.http.get("/").content) < MOST_BYTES
    # All of it is one file: what follows are figures.
    kinds = tab.js("performance.getEntriesByType('resource').map(entry => entry.initiatorType)")
    assert set(kinds) <= {"fetch", "other"}
    assert tab.text("h1") == "small"


def test_a_decision_appears_as_it_is_made(tab, gateway, questions):
    opened(tab, gateway)
    before, total = tab.js(f"{FIRST}.dataset.id"), int(tab.text("#n-all"))
    told = gateway.ask(next(iter(questions)))
    tab.until(f"{FIRST}.dataset.id !== {quoted(before)}")
    row = tab.text("#rows tr")
    assert {"answer": "answered", "decline": "declined"}[told["decision"]] in row
    assert f"{told['score']:.2f}" in row
    tab.until(f"Number(document.getElementById('n-all').textContent) === {total + 1}")
    check_alone(tab, f"{gateway.url}/")


def test_figures_at_a_threshold_are_those_of_the_rule(tab, gateway, whole_run):
    opened(tab, gateway)
    run = load_served_run(whole_run)
    with Store(str(gateway.store)) as store:
        rows = {stored.row.id: stored.row for stored in store.after(bodies=False)}
        said = store.feedback_of(list(rows))
    live = np.array([row.score for row in rows.values()])
    judged = [(rows[key].score, label(verdicts)) for key, verdicts in said.items()]
    feedback, quality = np.array(judged).T
    failure, bad = run.labels < run.min_quality, quality < run.min_quality
    middle = float(np.quantile(live, 0.6))
    seen = []
    for value in (None, round(middle, 2), round(middle, 2) + 0.01, 0.0, 9.0):
        if value is not None:
            steps = f"e => {{ e.value = {value}; e.dispatchEvent(new Event('input')); }}"
            tab.js(f"({steps})(document.getElementById('slider'))")
        used = run.threshold.value if value is None else value
        today = selective(live, np.zeros(len(live), dtype=bool), used)
        calibrated, by_people = selective(run.scores, failure, used), selective(feedback, bad, used)
        big = tab.js("[...document.querySelectorAll('#would b')].map(e => e.textContent)")
        assert big == [
            f"{shown(today.coverage)} answered",
            f"{shown(calibrated.risk)} bad",
            f"{shown(by_people.risk)} bad",
        ]
        assert tab.text("#slider-value") == f"{used:.2f}"
        if calibrated.answered:
            failures = int(failure[run.scores >= used].sum())
            bound = upper_bound(failures, calibrated.answered, run.threshold.confidence)
            assert f"at most {shown(bound)} for this threshold" in tab.text("#would")
            assert f"{shown(calibrated.coverage)} of the calibration exchanges" in tab.text("#curve-note")
            # The mark in the figure stands where the coverage is.
            left, right = (
                float(tab.js(f"document.querySelector('#curve .axis').getAttribute('{x}')")) for x in ("x1", "x2")
            )
            mark = float(tab.js("document.querySelector('#curve .mark').getAttribute('x1')"))
            assert (mark - left) / (right - left) == pytest.approx(calibrated.coverage, abs=1e-3)
        seen.append(big[0])
    assert len(set(seen)) >= 3
    tab.click("#slider-back")
    assert tab.text("#slider-value") == f"{run.threshold.value:.2f}"


def test_scores_and_drift_are_drawn(tab, gateway):
    opened(tab, gateway)
    found = tab.js("fetch('/selfj/histogram').then(reply => reply.json())")
    assert tab.js("document.querySelectorAll('#histogram .bar-live').length") == sum(
        share > 0 for share in found["live"]
    )
    assert tab.js("document.querySelectorAll('#histogram .outline').length") == 1
    assert f"{found['calibration_n']} of calibration" in tab.text("#histogram-note")
    drift = tab.js("fetch('/selfj/drift').then(reply => reply.json())")
    assert tab.text("#drift-words").split("\n") == drift["sentences"]
    assert drift["risk"]["n"] > 20
    for name in ("risk", "scores"):
        drawn = tab.js(f"document.querySelector('#drift-{name} .line').getAttribute('d')")
        assert drawn.count("L") >= len(drift[name]["points"])
        assert "NaN" not in drawn


def test_trying_it_gives_a_decision_that_can_be_opened(tab, gateway, questions):
    opened(tab, gateway)
    question = next(iter(questions))
    tab.press("t")
    tab.type(question)
    tab.press("Enter", 2)
    tab.until("!document.getElementById('reply').hidden")
    newest = gateway.http.get("/selfj/decisions?limit=1").json()["decisions"][0]
    told = tab.text("#reply")
    assert f"{newest['score']:.2f} of 9, threshold {newest['threshold']:.2f}" in told
    assert ("answered" in told) == (newest["action"] == "answer")
    assert re.search(r"\d+ ms", tab.text("#asked"))
    tab.click("#reply button")
    tab.until("document.getElementById('one').open")
    whole = tab.text("#one")
    assert question in whole
    assert questions[question] in whole
    assert newest["id"] in whole
    assert f"{newest['position']}th, as it was written" in whole
    check_alone(tab, f"{gateway.url}/")


def focused(tab):
    """The element that has the focus, in a few words, and whether its frame can be seen."""
    return tab.js(
        "(() => { const e = document.activeElement, s = getComputedStyle(e), r = e.getBoundingClientRect();"
        " return [e.id || e.className || e.tagName, s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2,"
        " r.top >= 0 && r.bottom <= innerHeight && r.left >= 0]; })()"
    )


def test_all_of_it_by_keyboard(tab, gateway):
    opened(tab, gateway)
    order = []
    for _ in range(12):
        tab.press("Tab")
        name, framed, visible = focused(tab)
        if name == "BODY":
            break
        assert framed, f"the focus on {name} cannot be seen"
        assert visible, f"{name} has the focus out of sight"
        order.append("row" if name in {"TR", "fresh"} else name)
    assert order == ["skip", "slider", "filter", "pause", "wanted", "row", "question", "model", "ask"]

    tab.js("document.getElementById('slider').focus()")
    start = float(tab.js("document.getElementById('slider').value"))
    tab.press("ArrowRight", times=3)
    assert float(tab.text("#slider-value")) == pytest.approx(start + 0.03)
    tab.press("Home")
    assert tab.text("#slider-value") == "0.00"
    assert tab.text("#would b") == "100 % answered"
    assert "0.00" in tab.js("document.getElementById('slider').getAttribute('aria-valuetext')")
    tab.press("Tab")
    assert focused(tab)[0] == "quiet" or tab.js("document.activeElement.id") == "slider-back"
    tab.press("Enter")
    assert float(tab.text("#slider-value")) == pytest.approx(start, abs=0.01)
    assert focused(tab)[0] == "slider"

    tab.press("j", times=4)
    chosen = tab.js("document.activeElement.dataset.id")
    tab.press("k")
    tab.press("ArrowDown")
    assert tab.js("document.activeElement.dataset.id") == chosen
    tab.press("Enter")
    tab.until("document.getElementById('one').open")
    assert tab.js("location.hash") == f"#{chosen}"
    tab.press("g")
    tab.until("document.getElementById('said') && document.getElementById('said').textContent !== ''")
    assert "good" in tab.text("#one-body")
    tab.press("Escape")
    tab.until("location.hash === ''")
    assert tab.js("document.activeElement.dataset.id") == chosen
    assert not tab.js("document.getElementById('one').open")
    assert tab.text(f'tr[data-id="{chosen}"] .verdict') == "good"
    # Far down in the list and up again: the head of the table hides no row that has the focus.
    tab.press("j", times=25)
    tab.press("k", times=20)
    assert tab.js(
        "document.activeElement.getBoundingClientRect().top >= "
        "document.querySelector('#live thead th').getBoundingClientRect().bottom - 1"
    )
    tab.press("p")
    assert tab.text("#state") == "paused"
    tab.press("p")
    check_alone(tab, f"{gateway.url}/")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1280])
def test_it_looks_right(tab, axe, gateway, width, scheme):
    tab.size(width)
    tab.scheme(scheme)
    opened(tab, gateway)
    check_look(tab, scheme, axe)
    head, cells = (
        tab.js(f"[...document.querySelectorAll('{row}')].filter(e => e.getClientRects().length).length")
        for row in ("#live thead th", "#rows tr:first-child td")
    )
    assert head == cells
    tab.press("j")
    tab.press("Enter")
    tab.until("document.getElementById('one').open")
    check_look(tab, scheme, axe)
    check_alone(tab, f"{gateway.url}/")


def test_what_looks_like_markup_stays_text(tab, gateway):
    body = {"model": HOSTILE, "messages": [{"role": "user", "content": HOSTILE}]}
    asked = gateway.http.post("/v1/chat/completions", json=body)
    assert asked.status_code == 200, asked.text
    newest = gateway.http.get("/selfj/decisions?limit=1").json()["decisions"][0]
    verdict = {"decision_id": newest["id"], "good": True, "who": HOSTILE, "comment": HOSTILE}
    gateway.http.post("/v1/feedback", json=verdict)
    opened(tab, gateway)
    assert tab.text("#rows tr .model") == HOSTILE
    tab.click("#rows tr")
    tab.until("document.getElementById('one').open")
    # Asked, answered, the model's name, and who said what.
    assert tab.text("#one").count(HOSTILE) == 5
    tab.press("Escape")
    tab.until("location.hash === ''")
    tab.press("t")
    tab.type(HOSTILE)
    tab.press("Enter", 2)
    tab.until("!document.getElementById('reply').hidden")
    assert tab.js("window.hit") is None
    assert tab.js("document.querySelectorAll('main img, main b b, main script, dialog img, dialog script').length") == 0
    check_alone(tab, f"{gateway.url}/")


def test_it_asks_for_a_key_where_one_is_needed(tab, serve, tmp_path):
    (tmp_path / "keys").write_text(hashlib.sha256(b"right-key-42").hexdigest() + " Ann\n")
    with serve(tmp_path / "audit.sqlite", f"keys={quoted(str(tmp_path / 'keys'))}") as command:
        tab.go(f"{command.url}/")
        tab.until("!document.getElementById('keys').hidden")
        assert "needs a key" in tab.text("#state")
        for word in ("wrong", "right-key-42"):
            tab.until("!document.getElementById('keys').hidden")
            tab.js("document.getElementById('key').focus()")
            tab.type(word)
            tab.press("Enter")
            if word == "wrong":
                tab.until("document.getElementById('key-note').textContent === 'That key was not taken.'")
        tab.until(LIVE)
        assert tab.js("document.getElementById('keys').hidden")
        tab.press("t")
        tab.type("What is 2 + 2?")
        tab.press("Enter", 2)
        tab.until("!document.getElementById('reply').hidden")
        assert "of 9, threshold" in tab.text("#reply")
        assert "key-42" not in tab.js("document.documentElement.outerHTML + JSON.stringify({...localStorage})")
        assert all("key-42" not in address for address in tab.addresses())


def test_without_decisions_it_says_what_to_do_and_what_is_known(tab, axe, serve, tmp_path):
    with serve(tmp_path / "audit.sqlite") as command:
        tab.go(f"{command.url}/")
        tab.until(LIVE)
        assert tab.text("#empty").startswith("No decision yet. Send a request to /v1/chat/completions, or try it below")
        assert tab.text("#n-all") == "0"
        assert "no score in 24 hours" in tab.text("#would")
        assert "There is no score yet" in tab.text("#drift-words")
        assert not tab.js("/NaN|undefined|Infinity|null/.test(document.body.innerText)")
        check_look(tab, "light", axe)
        # The upstream's own model is offered.
        tab.press("t")
        tab.until("document.getElementById('model').value === 'm'")
        check_alone(tab, f"{command.url}/")
        command.end()
        tab.until("document.getElementById('state').textContent === 'not reached, trying again'")
