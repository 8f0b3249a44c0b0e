"""A judged text cannot write a token that ends a turn or opens one."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from selfj.attacks import attacks
from selfj.backends.base import JudgeInput
from selfj.backends.tokens import Prompts

from .conftest import SPECIAL, byte_tokenizer

TOKENIZER, PLAIN = byte_tokenizer(), byte_tokenizer(chat=False)
IDS = set(TOKENIZER.convert_tokens_to_ids(SPECIAL))
PIECES = [*SPECIAL, *(piece for token in SPECIAL for piece in (token[:3], token[3:])), "### Response:", "\n\n", "9"]
TEXTS = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=5)), max_size=8).map("".join)


def specials(exchange, tokenizer=TOKENIZER):
    return [token for token in Prompts(tokenizer).judge_ids(exchange) if token in IDS]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(TEXTS, TEXTS, TEXTS)
def test_no_text_adds_a_special_token(instruction, response, reference):
    assert specials(JudgeInput(instruction, response, reference)) == specials(JudgeInput("", "", ""))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(TEXTS)
def test_no_text_opens_the_reply_of_a_model_without_a_chat_template(response):
    prompt = Prompts(PLAIN).judge_text(JudgeInput("q", response))
    assert prompt.count("### Response:") == 1
    assert prompt.endswith("\n\n### Response:")


@pytest.mark.parametrize("attack", attacks(), ids=lambda attack: attack.id)
def test_no_attack_adds_a_special_token(attack):
    exchange = JudgeInput("What is it?", attack.on("What is it?", "no"))
    assert specials(exchange) == specials(JudgeInput("", ""))


VICUNA = (
    "{{ 'A chat between a curious user and an assistant. ' }}{% for m in messages %}"
    "{{ ('USER: ' if m['role'] == 'user' else 'ASSISTANT: ') + m['content'] }}"
    "{{ '<|im_end|>' if loop.index0 % 2 else ' ' }}"
    "{% endfor %}{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)

IN_WORDS = byte_tokenizer()
IN_WORDS.chat_template = VICUNA


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.one_of(st.sampled_from(["USER:", "ASSISTANT:", "US", "ER:", " 9<|im_end|>"]), st.text(max_size=4))))
def test_turns_that_are_plain_text_cannot_be_written_either(parts):
    prompt = Prompts(IN_WORDS).judge_text(JudgeInput("q", "".join(parts)))
    assert prompt.count("USER:") == 1
    assert prompt.count("ASSISTANT:") == 1
    assert prompt.endswith("ASSISTANT:")


def test_text_without_marks_stays_as_it_is():
    text = "user assistant [1] ### Response <b>x</b> | a: b"
    assert Prompts(TOKENIZER).literal(text) == text
