"""Recognising columns: every layout of the table, the user's word, and clear faults."""

import json

import pytest

from selfj.collect.columns import identity, recognise
from selfj.errors import ConfigError, InputError

CHAT = [{"role": "user", "content": "Why?"}]
CLOSED = [*CHAT, {"role": "assistant", "content": "So."}]


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ("instruction input output", "instruction=instruction, input=input, reference=output"),
        (
            "instruction context response category",
            "instruction=instruction, input=context, response=response, category=category",
        ),
        ("prompt completion", "instruction=prompt, response=completion"),
        ("question answer", "instruction=question, reference=answer"),
        ("question answers", "instruction=question, reference=answers"),
        ("question answer answers", "instruction=question, reference=answer"),
        ("question answer output", "instruction=question, response=output, reference=answer"),
        ("question reference answer", "instruction=question, response=answer, reference=reference"),
        ("question gold output answer", "instruction=question, response=output, reference=gold"),
        ("input output", "instruction=input, reference=output"),
        ("query response output", "instruction=query, response=response, reference=output"),
        (
            "Question Gold-Answer Model_Output",
            "instruction=Question, response=Model_Output, reference=Gold-Answer",
        ),
        ("prompt generation ground_truth", "instruction=prompt, response=generation, reference=ground_truth"),
        (
            "id instruction response reference model dataset category system topic",
            "instruction=instruction, response=response, reference=reference, system=system, "
            "category=category, group=topic, model=model",
        ),
        ("instruction output generator", "instruction=instruction, response=output, model=generator"),
        ("question context answer", "instruction=question, reference=answer"),
    ],
)
def test_plain_columns(columns, expected):
    mapping = recognise([dict.fromkeys(columns.split(), "text")], {})
    assert mapping.describe() == expected
    assert mapping.has_responses == ("response=" in expected)


@pytest.mark.parametrize(
    ("row", "expected", "has_responses"),
    [
        ({"messages": CHAT}, "messages=messages", False),
        ({"messages": CLOSED, "prompt": "Why?"}, "messages=messages", True),
        (
            {"conversations": [{"from": "human", "value": "Why?"}, {"from": "gpt", "value": "So."}]},
            "messages=conversations",
            True,
        ),
        ({"prompt": CHAT, "completion": "So."}, "response=completion, messages=prompt", True),
        ({"messages": json.dumps(CLOSED)}, "messages=messages", True),
        ({"messages": CHAT, "answer": "So."}, "reference=answer, messages=messages", False),
        ({"messages": "just text", "question": "Why?"}, "instruction=question", False),
    ],
)
def test_messages(row, expected, has_responses):
    mapping = recognise([row], {})
    assert mapping.describe() == expected
    assert mapping.has_responses == has_responses


def test_the_users_word_wins():
    row = dict.fromkeys(["instruction", "context", "response", "kind", "x"], "text")
    mapping = recognise([row], {"reference": "response", "group": "kind"})
    assert mapping.describe() == "instruction=instruction, input=context, reference=response, group=kind"
    assert not mapping.has_responses
    mapping = recognise([{"x": "text", "messages": CLOSED}], {"instruction": "x", "messages": "messages"})
    assert mapping.describe() == "instruction=x, messages=messages"
    assert not mapping.has_responses


def test_columns_of_all_first_rows_count():
    mapping = recognise([{"question": "a"}, {"question": "b", "reference": "c"}], {})
    assert mapping.reference == "reference"


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"instrution": "question"}, "instrution is not one of .*; did you mean instruction?"),
        ({"reference": "anwser"}, r"'anwser'; did you mean answer\?\. Columns found: question, answer\."),
        ({"reference": "answer", "response": "answer"}, "names the column 'answer' twice"),
    ],
)
def test_wrong_overrides(overrides, words):
    with pytest.raises(ConfigError, match=words):
        recognise([{"question": "a", "answer": "b"}], overrides)


def test_no_instruction_column():
    with pytest.raises(ConfigError, match=r"Columns found: foo, b\\ud800\. .*collect\.source\.columns"):
        recognise([{"foo": 1, "b\ud800": 2}], {})
    with pytest.raises(ConfigError, match="and 10 more"):
        recognise([{f"c{i}": 1 for i in range(40)}], {})


def test_no_columns():
    with pytest.raises(InputError, match="column"):
        recognise([{}], {})


def test_identity():
    mapping = identity([{"instruction": "a", "answer": "x"}, {"instruction": "b", "reference": "c"}])
    assert mapping.describe() == "instruction=instruction, reference=reference"
    with pytest.raises(ConfigError, match="Keys found: question"):
        identity([{"question": "a"}])
