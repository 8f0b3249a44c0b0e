"""What vLLM reads, against transformers with the same weights."""

import numpy as np
import pytest

from selfj import backends
from selfj.backends.base import JudgeInput, Sampling
from selfj.errors import ConfigError
from selfj.settings import TransformersBackend, VllmBackend

from .conftest import make_adapter

INPUTS = [
    JudgeInput(f"Question {n // 4}" + " and so on" * (n // 4), f"answer {n}" * (1 + n % 3), "gold" if n % 2 else None)
    for n in range(24)
] + [JudgeInput("Grüße, 世界", "\U0001f600 [Rating] 9 <|im_end|>"), JudgeInput("", "")]


def vllm(model: str, **changes) -> VllmBackend:
    return VllmBackend(model=model, cpu_cache_gib=1, **changes)


@pytest.fixture(scope="module")
def shuffled():
    order = np.random.default_rng(0).permutation(len(INPUTS))
    return [INPUTS[i] for i in order]


def assert_equal(found, expected, tolerance: float):
    assert found.errors == expected.errors
    assert found.truncated == expected.truncated
    np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=tolerance)
    np.testing.assert_allclose(found.label_mass, expected.label_mass, atol=tolerance)


@pytest.mark.parametrize("template", ["selfj", "paper"])
def test_levels_are_those_of_transformers(llama, shuffled, template):
    found = backends.level_reader(vllm(llama), template=template).read(shuffled)
    expected = backends.level_reader(TransformersBackend(model=llama), template=template).read(shuffled)
    assert_equal(found, expected, 1e-5)
    assert expected.probabilities.std(axis=0).max() > 1e-2


def test_likelihoods_and_greedy_answers_are_those_of_transformers(llama):
    asked = [[{"role": "user", "content": x.instruction}] for x in INPUTS]
    model, reference = backends.generator(vllm(llama)), backends.generator(TransformersBackend(model=llama))
    greedy = Sampling(temperature=0, max_tokens=12)
    seeds = range(len(asked))
    drawn, expected = model.generate(asked, seeds, greedy), reference.generate(asked, seeds, greedy)
    assert [x.text for x in drawn] == [x.text for x in expected]
    assert [(x.tokens, x.finish) for x in drawn] == [(x.tokens, x.finish) for x in expected]
    np.testing.assert_allclose([x.logprob for x in drawn], [x.logprob for x in expected], atol=1e-4)
    texts = [x.response for x in INPUTS]
    found, likely = model.mean_logprob(asked, texts), reference.mean_logprob(asked, texts)
    assert [value is None for value in found] == [text == "" for text in texts]
    np.testing.assert_allclose(*([value for value in row if value is not None] for row in (found, likely)), atol=1e-4)


def test_an_end_of_turn_ends_an_answer_and_is_no_part_of_it(llama):
    asked = [[{"role": "user", "content": f"q{n}"}] for n in range(40)]
    model = backends.generator(vllm(llama))
    found = model.generate(asked, range(40), Sampling(temperature=2.0, max_tokens=200))
    ended = [made for made in found if made.finish == "stop"]
    assert ended
    assert all(made.tokens < 200 and "<|im_end|>" not in made.text for made in ended)
    assert all(made.tokens == 200 for made in found if made.finish == "length")


# PEFT says that it saves the table of a tuned lm_head as well.
@pytest.mark.filterwarnings("ignore:Setting .save_embedding_layers.:UserWarning")
def test_a_tuned_judge_reads_as_with_transformers_beside_its_base(llama, adapter, shuffled, tmp_path):
    other = make_adapter(llama, tmp_path / "other", seed=2, r=8, target_modules=["q_proj", "o_proj", "lm_head"])
    judge = backends.level_reader(vllm(llama), adapter=adapter)
    second = backends.level_reader(vllm(llama), adapter=other)
    base = backends.level_reader(vllm(llama))
    assert judge.engine is base.engine
    # See `engine_for`: read without an adapter after one on lm_head, a model gives wrong levels.
    assert second.engine is not base.engine
    assert judge.name == f"{llama}+{adapter}"
    third = backends.level_reader(vllm(llama), adapter=make_adapter(llama, tmp_path / "third", seed=3, r=8))
    assert third.engine is base.engine
    readings = [reader.read(shuffled) for reader in (judge, second, base, third, judge)]
    for reading, name in zip(readings, (adapter, other, None, str(tmp_path / "third"), adapter), strict=True):
        expected = backends.level_reader(TransformersBackend(model=llama), adapter=name).read(shuffled)
        assert_equal(reading, expected, 1e-3)
    assert abs(readings[0].probabilities - readings[2].probabilities).max() > 1e-2
    assert abs(readings[0].probabilities - readings[1].probabilities).max() > 1e-2


def test_the_targets_own_adapter(llama, adapter, shuffled):
    own = backends.level_reader(vllm(llama, adapter=adapter))
    assert_equal(own.read(shuffled), backends.level_reader(vllm(llama), adapter=adapter).read(shuffled), 1e-6)
    with pytest.raises(ConfigError, match="one adapter"):
        backends.level_reader(vllm(llama, adapter=adapter), adapter=adapter)


def test_likelihoods_beside_an_adapter(llama, adapter):
    judge = backends.level_reader(vllm(llama), adapter=adapter)
    model = backends.likelihood(vllm(llama))
    assert model.engine is judge.engine
    asked = [[{"role": "user", "content": f"q{n}" * (1 + n)}] for n in range(9)]
    texts = [f"a{n}" * (9 - n) for n in range(9)]
    expected = backends.likelihood(TransformersBackend(model=llama)).mean_logprob(asked, texts)
    np.testing.assert_allclose(model.mean_logprob(asked, texts), expected, atol=1e-4)
    with pytest.raises(ConfigError, match="with an adapter"):
        judge.mean_logprob(asked, texts)


def test_digests_are_those_of_transformers(llama, adapter):
    for name in (None, adapter):
        here, there = vllm(llama, adapter=name), TransformersBackend(model=llama, adapter=name)
        assert backends.digest(here) == backends.digest(there)


def test_shared_starts_are_read_once(llama):
    instruction, long = "Say why. " * 12, "because of this " * 4
    rows = [JudgeInput(f"{n} {instruction}", f"{k} {long}") for k in range(8) for n in range(3)]
    reader = backends.level_reader(vllm(llama))
    reader.engine.forget()
    before = reader.engine.cache_hits()
    reader.read(rows)
    asked, found = (now - then for now, then in zip(reader.engine.cache_hits(), before, strict=True))
    # All but the first of each eight find everything up to the last whole block before the answer.
    shared = len(reader._prompts.judge_ids(JudgeInput(f"0 {instruction}", "")))
    assert found > 3 * 7 * (shared - 64)
    assert asked > found


def test_long_texts(llama):
    long = JudgeInput("What is it?", "start " + "word " * 400 + "end", "The reference.")
    short = JudgeInput("What is it?", "It is.", "The reference.")
    for kind in ("fail", "cut"):
        found = backends.level_reader(vllm(llama, max_length=300, long_text=kind)).read([long, short])
        settings = TransformersBackend(model=llama, max_length=300, long_text=kind)
        assert_equal(found, backends.level_reader(settings).read([long, short]), 1e-5)
        assert found.truncated == (kind == "cut", False)


def test_a_prompt_may_fill_all_but_one_token_of_the_window(llama):
    reader = backends.level_reader(vllm(llama, max_model_len=128))
    assert reader.engine.window == 128
    sizes = {len(reader._prompts.judge_ids(JudgeInput("q", "a" * n))): n for n in range(1, 120)}
    reading = reader.read([JudgeInput("q", "a" * sizes[size]) for size in (127, 128)])
    assert reading.errors == (None, "too_long")


def test_a_chat_template_that_refuses(llama, tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(llama)
    refuse = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    tokenizer.chat_template = refuse + tokenizer.chat_template
    tokenizer.save_pretrained(tmp_path)
    AutoModelForCausalLM.from_pretrained(llama).save_pretrained(tmp_path)
    model = backends.generator(vllm(str(tmp_path)))
    asked = [[{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}]]
    asked.append([{"role": "user", "content": "hi"}])
    first, second = model.generate(asked, [1, 2], Sampling(max_tokens=3))
    assert (first.error, second.error) == ("unsupported_conversation", None)
    assert model.mean_logprob(asked, ["ho", "ho"])[0] is None


def test_drawing_more_than_a_step_holds(llama):
    # On a CPU vLLM 0.32 dies when a step divides a prompt whose reply has a seed.
    asked = [[{"role": "user", "content": f"{n} " * 60}] for n in range(60)]
    drawn = backends.generator(vllm(llama)).generate(asked, range(60), Sampling(max_tokens=2))
    assert [x.error for x in drawn] == [None] * 60
