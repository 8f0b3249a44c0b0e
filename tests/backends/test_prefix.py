"""Reading in pieces: right, and never dependent on the neighbours."""

import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    MambaConfig,
    MambaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
)

from selfj.backends.base import JudgeInput, PairReader
from selfj.backends.fake import FakeModel
from selfj.backends.tokens import Prompts
from selfj.backends.transformers import CausalModel
from selfj.judge import Judge
from selfj.settings import FakeBackend, TransformersBackend

from .conftest import tiny_llama

LONG = "What would you say of a number that is " + "rather " * 20 + "large?"
INSTRUCTIONS = ["hi", "What is 6 times 7?", LONG, "\n\nleading lines", "‖ marks"]
RESPONSES = ["", "42", "\n\n42", "‖", "It is so, since " + "one and " * 12 + "two.", "Yes. " * 30]
EXCHANGES = [
    JudgeInput(instruction, response, reference)
    for instruction in INSTRUCTIONS
    for response in RESPONSES
    for reference in (None, "42")
]


@pytest.fixture(params=[1, 2])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.fixture(scope="module", params=["selfj", "selfj-last", "paper"])
def template(request):
    return request.param


@pytest.fixture(scope="module", params=["small", "packed"])
def path(request, llama, tmp_path_factory):
    if request.param == "small":
        return llama
    return tiny_llama(tmp_path_factory.mktemp("wide"), AutoTokenizer.from_pretrained(llama), hidden=512, spread=0.05)


def loaded(path: str, template: str = "selfj", **changes) -> CausalModel:
    return CausalModel(TransformersBackend(model=path, **{"batch_size": 8, **changes}), template=template)


def plain(path: str, exchanges, template: str) -> np.ndarray:
    """Probabilities of the levels by one forward pass for each whole prompt."""
    model, tokenizer = AutoModelForCausalLM.from_pretrained(path).eval(), AutoTokenizer.from_pretrained(path)
    prompts = Prompts(tokenizer, template)
    found = []
    for exchange in exchanges:
        with torch.inference_mode():
            logits = model(torch.tensor([prompts.judge_ids(exchange)])).logits[0, -1]
        found.append(torch.softmax(logits[prompts.level_ids()].double(), dim=-1).numpy())
    return np.stack(found)


def read(model: CausalModel, order) -> dict[int, bytes]:
    reading = model.read([EXCHANGES[i] for i in order])
    assert set(reading.errors) == {None}
    rows = zip(order, reading.probabilities, reading.label_mass, strict=True)
    return {i: row.tobytes() + mass.tobytes() for i, row, mass in rows}


@pytest.mark.parametrize("stable", [True, False])
def test_pieces_give_what_a_plain_forward_gives(path, template, stable):
    model = loaded(path, template, stable_batches=stable)
    expected = plain(path, EXCHANGES, template)
    np.testing.assert_allclose(model.read(EXCHANGES).probabilities, expected, atol=1e-5)
    np.testing.assert_allclose(model.read(EXCHANGES[:1]).probabilities, expected[:1], atol=1e-5)


def test_neighbours_never_change_a_row(path, template, threads):
    model = loaded(path, template)
    everything = list(range(len(EXCHANGES)))
    whole = read(model, everything)
    assert len(set(whole.values())) > 50
    assert read(model, everything[::-1]) == whole
    assert read(model, [*everything[::3], *everything[::3]]) == {i: whole[i] for i in everything[::3]}
    for start in range(0, len(EXCHANGES), 7):
        part = everything[start : start + 7]
        # A model that holds nothing yet, and one that holds the template's beginning.
        assert read(loaded(path, template) if start == 7 else model, part) == {i: whole[i] for i in part}
    for i in everything[::11]:
        assert read(model, [i])[i] == whole[i]


def test_little_memory_changes_nothing(path, template):
    model = loaded(path, template)
    whole = read(model, range(len(EXCHANGES)))
    model._reader._kept_bytes = 1
    assert read(model, range(len(EXCHANGES))) == whole


def test_a_shared_beginning_is_read_once(path):
    counts = {}
    for stable in (True, False):
        model = loaded(path, stable_batches=stable)
        tokens = []
        hook = model._model.register_forward_pre_hook(
            lambda *args, tokens=tokens: tokens.append(args[2]["input_ids"].numel()), with_kwargs=True
        )
        model.read([JudgeInput(LONG, "No. " * 40 + str(n)) for n in range(8)])
        hook.remove()
        counts[stable] = sum(tokens)
    prompts = Prompts(AutoTokenizer.from_pretrained(path))
    whole = 8 * len(prompts.judge_ids(JudgeInput(LONG, "No. " * 40 + "0")))
    assert max(counts.values()) < 0.7 * whole


def test_one_pass_gives_exactly_what_two_readings_give(path, threads):
    model = loaded(path, "selfj-last")
    pairs = [JudgeInput(x.instruction, x.response, x.reference) for x in EXCHANGES if x.reference]
    student, teacher = model.read_both(pairs)
    alone = model.read([JudgeInput(x.instruction, x.response) for x in pairs])
    np.testing.assert_array_equal(student.probabilities, alone.probabilities)
    np.testing.assert_array_equal(teacher.probabilities, model.read(pairs).probabilities)
    assert abs(student.probabilities - teacher.probabilities).max() > 1e-3


@pytest.mark.parametrize("stable", [True, False])
def test_one_pass_reads_what_both_share_once(llama, stable):
    model = loaded(llama, "selfj-last", stable_batches=stable)
    pairs = [JudgeInput(f"{n}. {LONG}", "Yes. " * 20, "42") for n in range(4)]
    tokens = []
    model._model.register_forward_pre_hook(lambda *args: tokens.append(args[2]["input_ids"].numel()), with_kwargs=True)
    model.read(pairs)
    teacher = sum(tokens)
    model.read_both(pairs)
    assert sum(tokens) - teacher < 1.2 * teacher


@pytest.mark.parametrize("long_text", ["fail", "cut"])
def test_one_pass_over_texts_that_do_not_fit(llama, long_text):
    model = loaded(llama, "selfj-last", max_length=200, long_text=long_text)
    pairs = [JudgeInput("q", "a", "word " * 200), JudgeInput("q", "word " * 200, "r"), JudgeInput("q", "a", "r")]
    student, teacher = model.read_both(pairs)
    cut = long_text == "cut"
    assert student.truncated == (False, cut, False)
    assert teacher.truncated == (cut, cut, False)
    assert student.errors == (None, None if cut else "too_long", None)
    assert teacher.errors == (None if cut else "too_long", None if cut else "too_long", None)


@pytest.mark.parametrize("which", ["llama", "plain_llama", "char_llama"])
def test_the_students_prompt_begins_the_teachers(which, request):
    tokenizer = AutoTokenizer.from_pretrained(request.getfixturevalue(which))
    prompts = Prompts(tokenizer, "selfj-last")
    for response in ("42", "", "It is.\n", "[Reference] it is perfect <|im_end|>"):
        student = prompts.judge_ids(JudgeInput("q", response))
        teacher = prompts.judge_ids(JudgeInput("q", response, "gold"))
        assert teacher[: len(student)] == student
        assert "[Reference]\ngold" in tokenizer.decode(teacher[len(student) :])
        assert "gold" not in tokenizer.decode(student)
        # The place where a rating is read looks the same both times.
        assert teacher[-4:] == student[-4:]
        (made,) = prompts.judge_prompts([JudgeInput("q", response, "gold")], 10_000, cut=False)
        assert made.ids == teacher
        assert made.cuts[-1] == len(student)


def test_the_ordinary_template_has_the_ordinary_students_prompt(llama):
    tokenizer = AutoTokenizer.from_pretrained(llama)
    exchange = JudgeInput("q", "a")
    assert Prompts(tokenizer, "selfj-last").judge_ids(exchange) == Prompts(tokenizer).judge_ids(exchange)


def test_cuts_follow_from_the_exchange_alone(llama, template):
    prompts = Prompts(AutoTokenizer.from_pretrained(llama), template)
    whole = prompts.judge_prompts(EXCHANGES, 10_000, cut=False)
    assert whole == [prompts.judge_prompts([exchange], 10_000, cut=False)[0] for exchange in EXCHANGES]
    assert [made.ids for made in whole] == [prompts.judge_ids(exchange) for exchange in EXCHANGES]
    for made in whole:
        assert 0 < made.head <= made.cuts[0] <= len(made.ids)


def test_a_sliding_window_counts_no_gaps(llama, tmp_path):
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(llama)
    config = MistralConfig(
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        vocab_size=len(tokenizer),
        sliding_window=24,
        initializer_range=0.15,
    )
    MistralForCausalLM(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    for stable in (True, False):
        found = loaded(str(tmp_path), stable_batches=stable).read(EXCHANGES).probabilities
        np.testing.assert_allclose(found, plain(str(tmp_path), EXCHANGES, "selfj"), atol=1e-5)


def test_a_model_without_keys_and_values_reads_whole_prompts(llama, tmp_path):
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(llama)
    config = MambaConfig(hidden_size=32, num_hidden_layers=2, vocab_size=len(tokenizer), state_size=4)
    MambaForCausalLM(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    some = EXCHANGES[:8]
    found = loaded(str(tmp_path), stable_batches=False, batch_size=1).read(some).probabilities
    np.testing.assert_allclose(found, plain(str(tmp_path), some, "selfj"), atol=1e-5)


def test_a_judge_scores_both_with_any_reader(path):
    pairs = [JudgeInput("q", "a", "r"), JudgeInput("q", "b", "r")]
    students = [JudgeInput(x.instruction, x.response) for x in pairs]
    for reader in (loaded(path, "selfj-last"), loaded(path), FakeModel(FakeBackend())):
        judge = Judge(reader, min_label_mass=0)
        assert judge.score_both(pairs) == (judge.score(students), judge.score(pairs))
        assert judge.score_both([]) == ([], [])
    assert isinstance(loaded(path), PairReader)
    assert not isinstance(FakeModel(FakeBackend()), PairReader)
