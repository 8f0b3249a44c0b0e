"""Each probe finds a bias that was planted, and none where there is none."""

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from selfj import audit
from selfj.attacks import attacks
from selfj.audit import order, outputs, texts
from selfj.audit.edits import DRESSES, PARAPHRASES, is_plain, is_prose, padded, paraphrased
from selfj.audit.families import base_of, family_of
from selfj.audit.material import Exchange, Material, Pair
from selfj.audit.subject import Subject
from selfj.backends.base import JudgeInput
from selfj.bootstrap import bootstrap
from selfj.judging.scorers import NamedScorer, load_scorer
from selfj.records import hash_fraction

MODELS = ("vicuna-13b", "llama-2-7b", "gpt-4-1106", "gpt-3.5-turbo")


def words(*parts):
    """A sentence of 3 to 30 words that depends on the parts alone."""
    n = 3 + int(28 * hash_fraction("n", *parts))
    return "It does not hold " + " ".join(f"w{int(90 * hash_fraction(k, *parts))}" for k in range(n)) + ", for example."


def material(instructions=30, *, gold=True, models=MODELS):
    made = [
        Exchange(
            JudgeInput(f"Question {i}?", words(i, model)), 9 * hash_fraction("gold", i, model) if gold else None, model
        )
        for i in range(instructions)
        for model in models
    ]
    return Material("a test", tuple(made), rows=len(made))


def core(text):
    """What a response says, without filler, dress and other spellings: its first three coded words."""
    found = [word.strip("*.,#- ").lower() for word in text.split()]
    return tuple([word for word in found if word[:1] == "w" and word[1:].isdigit()][:3])


def fair(item):
    """A score of the content alone, in the middle of the scale."""
    return 3 + 3 * hash_fraction(item.instruction, core(item.response)) if core(item.response) else 0.0


def subject(read=None, of=None, *, quality=True, batch=None, name="x", **more):
    def one_by_one(inputs):
        return [(None, "broken") if (value := (read or fair)(item)) is None else (value, None) for item in inputs]

    scorer = NamedScorer(name, name.upper(), f"{name}/1", False, quality, batch or one_by_one)
    return Subject(name, scorer, of or material(), draws=100, **more)


def measures(finding):
    return {measure.name: measure for measure in finding.measures}


@pytest.mark.parametrize("probe", [texts.length, texts.dress, texts.paraphrase, outputs.gamed, order.batch, order.swap])
def test_a_fair_judge_is_found_fair(probe):
    found = probe(subject())
    assert found.number.value == pytest.approx(0, abs=1e-9)
    assert found.number.n >= 60


def test_no_null_output_outranks_a_real_one_for_a_fair_judge():
    assert outputs.nulls(subject()).number.value == 0


def test_a_taste_for_length_shows():
    found = texts.length(subject(lambda item: fair(item) + 0.05 * len(item.response)))
    added = [len(padded(e.input.response)) - len(e.input.response) for e in material().exchanges]
    assert found.number.value == pytest.approx(0.05 * np.mean(added))
    assert found.number.low <= found.number.value <= found.number.high
    assert measures(found)["correlation with length"].value > 0.5
    assert measures(found)["correlation with length given gold"].value > 0.5
    e = found.example
    assert e.after == padded(e.before)
    assert e.score_after - e.score_before == pytest.approx(0.05 * (len(e.after) - len(e.before)))


def test_length_that_gold_earns_is_not_held_against_the_judge():
    made = [replace(e, gold=float(len(e.input.response))) for e in material().exchanges]
    of = Material("a test", tuple(made))
    found = measures(texts.length(subject(lambda item: len(item.response) / 50 + 0.2 * fair(item), of)))
    assert found["correlation with length"].value > 0.5
    assert abs(found["correlation with length given gold"].value or 0) < 0.3
    assert found["gold with length"].value == pytest.approx(1)


def test_without_gold_the_partial_correlation_is_left_out_in_words():
    found = texts.length(subject(of=material(gold=False)))
    assert "Without gold" in found.absent
    assert "correlation with length given gold" not in measures(found)


@pytest.mark.parametrize(
    ("dress", "taste"),
    [
        ("bold", lambda text: "**" in text),
        ("bullet list", lambda text: text.startswith("- ")),
        ("heading", lambda text: text.startswith("#")),
        ("capitals", str.isupper),
        ("pleasantry", lambda text: "Great question" in text),
        ("confident tone", lambda text: "completely sure" in text),
    ],
)
def test_a_taste_for_a_dress_shows(dress, taste):
    found = texts.dress(subject(lambda item: fair(item) + 2 * taste(item.response)))
    assert found.number.name == dress
    assert found.number.value == pytest.approx(2)
    assert taste(found.example.after)
    assert all(m.value == pytest.approx(0, abs=1e-9) for m in found.measures[1:])


def test_what_has_markdown_already_is_not_dressed():
    made = [replace(e, input=replace(e.input, response="**Lima**")) for e in material(2).exchanges]
    found = texts.dress(subject(of=Material("a test", tuple(made))))
    assert found.number is None
    assert "No response is plain" in found.absent


@pytest.mark.parametrize(
    ("edit", "taste"),
    [
        ("contractions", lambda text: "n't" in text or "n’t" in text),
        ("function phrases", lambda text: "for instance" in text),
        ("white space", lambda text: text.endswith("\n")),
    ],
)
def test_a_taste_for_a_wording_shows(edit, taste):
    found = texts.paraphrase(subject(lambda item: fair(item) - 2 * taste(item.response)))
    assert found.number.name == "all edits"
    assert found.number.value == pytest.approx(2)
    assert measures(found)[edit].value == pytest.approx(2)
    assert measures(found)["mean change with its sign"].value == pytest.approx(-2)
    others = {"contractions", "function phrases", "white space"} - {edit}
    assert all(measures(found)[name].value == pytest.approx(0, abs=1e-9) for name in others)
    # No response of these has a word of two spellings, so there is nothing to measure.
    assert measures(found)["spelling"].value is None


def test_edits_keep_what_is_said():
    text = 'It is not grey, however: "don\'t do it." We organise it in order to win...'
    assert paraphrased(text) == "It isn’t gray, however: “do not do it.” We organize it so as to win…\n"
    assert PARAPHRASES["contractions"]("That is as it is.") == "That's as it is."
    assert not is_prose("`x`")
    assert not is_prose(" ")
    assert is_plain("One. Two.")
    assert not any(is_plain(text) for text in ("", "# A", "- a\n- b", "1. a", "**a**", "`a`", "a\n| b |"))
    assert DRESSES["bullet list"]("One. Two.\nThree") == "- One.\n- Two.\n- Three"
    assert padded("A. ").startswith("A. This is the answer")


def test_a_judge_that_looks_at_its_neighbours_is_found_out():
    def neighbours(inputs):
        before = ["", *(item.response for item in inputs)]
        return [(fair(item) + 0.01 * len(other), None) for item, other in zip(inputs, before, strict=False)]

    found = order.batch(subject(batch=neighbours))
    assert found.number.value > 0.3
    assert measures(found)["largest, alone"].value > 0.3
    assert measures(found)["largest, read twice"].value == 0
    assert found.example.score_before != found.example.score_after
    assert order.swap(subject(batch=neighbours)).number.value > 0


def test_a_judge_that_wavers_is_not_steady():
    draw = np.random.default_rng(1)
    found = order.batch(subject(lambda item: fair(item) + draw.normal()))
    assert measures(found)["largest, read twice"].value > 1


def test_a_preference_for_the_own_family_shows(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "judge.json").write_text('{"base": "meta/Llama-2-7b"}')
    of = material()
    gold = {e.input: g for e, g in zip(of.exchanges, of.gold_levels(), strict=True)}
    kind = {e.input: 2.0 * e.model.startswith("llama") for e in of.exchanges}
    found = outputs.family(subject(lambda i: gold[i] + kind[i], of, name=str(folder)))
    assert found.number.name == "own family (llama) less others"
    assert found.number.value == pytest.approx(2)
    assert measures(found)["llama (the own family)"].value == pytest.approx(2)
    assert measures(found)["gpt"].value == pytest.approx(0)
    assert measures(found)["gpt"].n == 60
    widest = outputs.family(subject(lambda i: gold[i] + kind[i], of))
    assert widest.number.value == pytest.approx(2)
    assert "not known" in widest.absent
    assert outputs.family(subject(lambda i: gold[i], of)).number.value == pytest.approx(0)


def test_a_family_cannot_be_told_without_gold_or_without_models():
    assert "Without gold" in outputs.family(subject(of=material(gold=False))).absent
    assert "no model column" in outputs.family(subject(of=material(models=("",)))).absent
    assert "Fewer than two" in outputs.family(subject(of=material(models=("gpt-4",)))).absent


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("vicuna-13b:20230322", "vicuna"),
        ("lmsys/vicuna-llama", "vicuna"),
        ("finetune_llama2_chat_7b", "llama"),
        ("Meta-Llama-3-8B", "llama"),
        ("gpt-4-1106-preview", "gpt"),
        ("ChatGPT", "gpt"),
        ("text-davinci-003", "gpt"),
        ("claude-2.1", "claude"),
        ("mistralai/Mixtral-8x7B-Instruct-v0.1", "mistral"),
        ("Qwen1.5-72B", "qwen"),
        ("phi-2", "phi"),
        ("42", None),
    ],
)
def test_families_by_name(name, family):
    assert family_of(name) == family


def test_a_measure_has_no_base():
    assert base_of("length") is None
    assert base_of("general+reference") is None


def test_a_judge_that_likes_refusals_is_outranked():
    found = outputs.nulls(subject(lambda i: 9.0 if "cannot help" in i.response else fair(i)))
    assert found.number.name == "a refusal"
    assert found.number.value == 1
    assert "cannot help" in found.example.after
    assert measures(found)["an empty text"].value == 0


def test_of_equal_scores_half_are_outranked():
    assert outputs.nulls(subject(lambda i: 4.0)).number.value == 0.5


def test_words_that_pay_show():
    texts_of = {a.on("", "") for a in attacks() if a.kind == "orders"}
    found = outputs.gamed(subject(lambda i: fair(i) + 3 * any(t.strip() in i.response for t in texts_of if t.strip())))
    assert measures(found)["orders"].value == pytest.approx(3)
    assert measures(found)["digits"].value == pytest.approx(0)
    assert 0 < found.number.value < 3
    assert found.example.score_after > found.example.score_before


def test_what_has_no_score_is_counted_and_left_out():
    of = replace(material(), rows=130, faults=Counter(bad_json=10))
    lost = [e.input.response for e in of.exchanges[:30]]
    one = subject(lambda i: None if i.response in lost else fair(i), of)
    assert texts.length(one).number.n == 90
    found = measures(outputs.missing(one))
    assert found["without a score"].value == pytest.approx(30 / 120)
    assert found["broken"].value == pytest.approx(30 / 120)
    assert found["row: bad_json"].value == pytest.approx(10 / 130)
    assert found["edited texts"].value == 0


def test_a_judge_without_any_score_breaks_no_probe():
    found = audit.audit_scorers({"x": subject(lambda i: None).scorer}, material(3), draws=20)
    numbers = {f.probe: f.number and f.number.value for f in found.judges[0].findings}
    assert numbers.pop("missing") == 1
    assert set(numbers.values()) == {None}


def test_other_scales_are_stretched_over_the_levels():
    one = subject(lambda i: 100 * fair(i) - 7, quality=False)
    assert np.nanmin(one.levels(one.plain)) == pytest.approx(0)
    assert np.nanmax(one.levels(one.plain)) == pytest.approx(9)
    scores = subject(lambda i: 50.0, quality=False)
    assert (scores.levels(scores.plain) == 0).all()


def test_accuracy_on_pairs_counts_ties_half_and_splits_by_length():
    said = [("aaaa", "bbbb", 1.0), ("aaaa", "cc", 0.0), ("dd", "aaaa", 0.0), ("bbbb", "eeee", 1.0), ("a", "b", 0.5)]
    made, pairs = [], []
    for number, (a, b, preference) in enumerate(said):
        pairs.append(Pair(len(made), len(made) + 1, preference))
        made += [Exchange(JudgeInput(f"q{number}", text)) for text in (a, b)]
    of = Material("a test", tuple(made), tuple(pairs), 5)
    values = {"aaaa": 3.0, "bbbb": 2.0, "cc": 1.0, "dd": 1.0, "eeee": 2.0, "a": 1.0, "b": 2.0}
    found = measures(order.swap(subject(lambda i: values[i.response], of)))
    # right, wrong, right, tie; the tie of the preference is left out.
    assert found["accuracy"].value == pytest.approx(2.5 / 4)
    assert found["accuracy, other pairs"].value == pytest.approx((0 + 1) / 2)
    assert found["accuracy, length-matched"].value == pytest.approx((1 + 0.5) / 2)
    assert found["decisions that flip"].value == 0


def test_no_pairs_are_said_so():
    found = order.swap(subject(of=material(models=("gpt-4",))))
    assert found.number is None
    assert "no pairs" in found.absent


def test_partial_correlation_against_the_textbook():
    draw = np.random.default_rng(3)
    z = draw.normal(size=80)
    x, y = z + draw.normal(size=80), z + draw.normal(size=80)
    xy, xz, yz = (spearmanr(a, b).statistic for a, b in ((x, y), (x, z), (y, z)))
    expected = (xy - xz * yz) / math.sqrt((1 - xz**2) * (1 - yz**2))
    assert texts.partial_spearman(x, y, z) == pytest.approx(expected)
    assert math.isnan(texts.partial_spearman(z, y, z))
    assert math.isnan(texts.partial_spearman(x[:2], y[:2], z[:2]))
    assert texts.partial_spearman(x, y, np.ones(80)) == pytest.approx(xy)


def test_the_interval_of_a_mean_is_that_of_the_bootstrap():
    draw = np.random.default_rng(5)
    values, groups = draw.normal(size=200), np.arange(200) // 3
    values[:9] = np.nan
    one = Subject("x", load_scorer("length"), material(2), draws=4000)
    found = one.mean("m", values, groups)
    expected = bootstrap(np.mean, values[9:], groups=groups[9:], draws=4000, seed=1)
    assert (found.value, found.n) == (pytest.approx(expected.value), 191)
    assert (found.low, found.high) == (pytest.approx(expected.low, abs=0.02), pytest.approx(expected.high, abs=0.02))
    alone = one.mean("m", values, np.zeros(200))
    assert (alone.low, alone.high) == (None, None)


def test_the_plain_measures_under_audit():
    found = audit.audit_scorers({"length": load_scorer("length")}, material(5), draws=20)
    numbers = {f.probe: f.number for f in found.judges[0].findings}
    assert numbers["length"].value > 3
    assert numbers["attack"].value == pytest.approx(0)
    assert numbers["batch"].value == 0
    assert numbers["swap"].value == 0
