"""The tokens of instruction tuning are those of the backend."""

import pytest
from transformers import AutoTokenizer

from selfj.backends.base import Generation, Sampling
from selfj.backends.tokens import Prompts
from selfj.backends.transformers import CausalModel, stop_ids
from selfj.settings import TransformersBackend
from selfj.tune.sft import Lesson
from selfj.tune.sft_loop import lesson_rows

CONVERSATION = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "hi"},
    {"role": "assistant", "content": "hello"},
    {"role": "user", "content": "the question <|im_end|> is?"},
]


@pytest.mark.parametrize("name", ["llama", "plain_llama", "char_llama"])
def test_it_learns_after_the_very_tokens_that_it_answers_after(name, request, monkeypatch):
    """What the backend gives to the model when it answers is what the tuning puts before the reply."""
    path = request.getfixturevalue(name)
    read = []
    model = CausalModel(TransformersBackend(model=path))

    def draw(rows, *others):
        read.extend(rows)
        return [Generation("", 0, None, "stop")] * len(rows)

    monkeypatch.setattr(model, "_draw", draw)
    model.generate([CONVERSATION], [0], Sampling(0.0, 1.0, 8))
    tokenizer = model._tokenizer
    (row,), skipped = lesson_rows(
        [Lesson("a", CONVERSATION, "the answer")], Prompts(tokenizer), stop_ids(model._model, tokenizer), 500
    )
    assert skipped == {}
    assert row.prompt == read[0]
    assert row.reply[-1] == tokenizer.eos_token_id
    assert tokenizer.decode(row.reply[:-1]) == "the answer"
    text = tokenizer.decode(row.prompt)
    assert text.index("Be brief.") < text.index("hello") < text.index("the question")


def test_rows_that_do_not_fit_are_counted(llama):
    tokenizer = AutoTokenizer.from_pretrained(llama)
    lessons = [Lesson(str(n), [{"role": "user", "content": "x" * n}], "y") for n in (1, 200)]
    rows, skipped = lesson_rows(lessons, Prompts(tokenizer), [], 100)
    assert (len(rows), skipped) == (1, {"too_long": 1})
    tokenizer.chat_template = "{% if messages[0].role == 'system' %}{{ raise_exception('no') }}{% endif %}x"
    lessons = [Lesson("a", CONVERSATION, "y")]
    assert lesson_rows(lessons, Prompts(tokenizer), [], 100) == ([], {"unsupported_conversation": 1})
