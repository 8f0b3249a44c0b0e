"""From rows to records: identifiers, splits, duplicates, and the exact reason for every bad row."""

import json
import random
from collections import Counter
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from selfj.collect.columns import recognise
from selfj.collect.files import RawRow
from selfj.collect.rows import Collector, from_file, split_of, world_records
from selfj.errors import ConfigError, InputError, SelfjError
from selfj.records import INSTRUCTIONS, RESPONSES, Turn, content_id
from selfj.settings import Collect, FileSource

COLLECT = Collect()


def collector(rows, *, collect=COLLECT, max_chars=1000, **columns):
    raw = [RawRow(number, row) for number, row in enumerate(rows, start=1)]
    return Collector(raw, recognise(rows, columns), name="a.jsonl", collect=collect, max_chars=max_chars)


def collected(rows, **options):
    return list(collector(rows, **options))


def one(row, **options):
    (item,) = collected([row], **options)
    return item


def test_alpaca():
    item = one({"instruction": "Add.", "input": "2 and 3", "output": "5", "id": 7})
    assert (item.instruction.text, item.instruction.reference) == ("Add.\n\n2 and 3", "5")
    assert (item.response, item.instruction.meta, item.instruction.source) == (None, '{"id": 7}', "a.jsonl")
    assert item.instruction.id == content_id("instruction", None, [], "Add.\n\n2 and 3")
    assert one({"instruction": "Add.", "input": "", "output": ""}).instruction.text == "Add."
    assert one({"instruction": "Add.", "input": None, "output": ""}).instruction.reference is None


def test_exchange():
    row = {
        "question": "6*7?",
        "response": "41",
        "reference": "42",
        "model": "m",
        "ok": False,
        "tags": ["a"],
        "category": "math",
    }
    instruction, response, new = one(row)
    assert (instruction.category, instruction.meta, new) == ("math", "{}", True)
    assert response.id == content_id("response", instruction.id, 0, "41")
    assert (response.text, response.model, response.instruction_id) == ("41", "m", instruction.id)
    assert json.loads(response.meta) == {"ok": False, "tags": ["a"]}
    assert (instruction.error, response.error) == (None, None)


def test_messages_with_system_and_turns():
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hi"},
        {"role": "user", "content": [{"type": "text", "text": "Sum"}, {"type": "text", "text": "2 3"}]},
        {"role": "assistant", "content": "5"},
    ]
    instruction, response, _ = one({"messages": messages})
    assert (instruction.system, instruction.text, response.text) == ("Be brief.", "Sum\n2 3", "5")
    assert instruction.turns == (Turn("user", "Hello"), Turn("assistant", "Hi"))
    turns = [["user", "Hello"], ["assistant", "Hi"]]
    assert instruction.id == content_id("instruction", "Be brief.", turns, "Sum\n2 3")


def test_sharegpt():
    talk = [{"from": "system", "value": "S"}, {"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}]
    instruction, response, _ = one({"conversations": talk})
    assert (instruction.system, instruction.text, response.text) == ("S", "Q", "A")


def test_final_assistant_message_beside_a_response_is_the_reference():
    messages = [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "gold"}]
    instruction, response, _ = one({"messages": messages, "response": "mine", "system": "S"})
    assert (instruction.reference, response.text, instruction.system) == ("gold", "mine", "S")


def test_response_as_messages():
    row = {
        "prompt": [{"role": "user", "content": "Q"}],
        "completion": [{"role": "assistant", "content": "A"}],
    }
    assert one(row).response.text == "A"


def test_instruction_column_after_earlier_turns():
    row = {"x": "Now?", "messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]}
    item = one(row, instruction="x", messages="messages")
    assert (item.instruction.text, len(item.instruction.turns), item.response) == ("Now?", 2, None)


@pytest.mark.parametrize(
    ("reference", "expected", "meta"),
    [
        ("x", "x", {}),
        (42, "42", {}),
        (True, "true", {}),
        (Decimal("1.50"), "1.50", {}),
        ("  ", None, {}),
        (None, None, {}),
        (float("nan"), None, {}),
        (["a", "b"], "a", {"reference": ["a", "b"]}),
        (["", 3], "3", {"reference": ["", 3]}),
        ([], None, {}),
        ({"text": ["a", "b"], "answer_start": [1, 2]}, "a", {"reference": ["a", "b"]}),
        ({"value": "a", "aliases": ["b"]}, "a", {}),
    ],
)
def test_references(reference, expected, meta):
    rows = collector([{"question": "Q", "reference": reference}])
    (item,) = rows
    assert (item.instruction.reference, json.loads(item.instruction.meta)) == (expected, meta)
    assert rows.counts.without_reference == (expected is None)


USER = {"role": "user", "content": "Q"}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"question": ""}, "empty_instruction"),
        ({"question": " \n"}, "empty_instruction"),
        ({"question": None}, "empty_instruction"),
        ({"question": float("nan")}, "empty_instruction"),
        ({"question": 3}, "wrong_type"),
        ({"question": ["Q"]}, "wrong_type"),
        ({"question": "x" * 1001}, "too_long"),
        ({"question": "\ud800"}, "bad_utf8"),
        ({"question": "Q", "reference": {"a": 1}}, "wrong_type"),
        ({"question": "Q", "reference": "x" * 1001}, "too_long"),
        ({"question": "Q", "reference": "\udcff"}, "bad_utf8"),
        ({"question": "Q", "system": 3}, "wrong_type"),
        ({"question": "Q", "category": "\udcff"}, "bad_utf8"),
        ({"instruction": "x" * 600, "input": "x" * 600}, "too_long"),
    ],
)
def test_bad_instructions(row, reason):
    rows = collector([row])
    (item,) = rows
    assert (item.instruction.error, item.instruction.text, item.response) == (reason, "", None)
    assert item.instruction.id == content_id("row", "a.jsonl", 1)
    assert rows.counts.failed == {reason: 1}


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([], "no_user_message"),
        ([{"role": "assistant", "content": "A"}], "no_user_message"),
        ([{"role": "user", "content": None}], "empty_instruction"),
        ([{"role": "user", "content": 3}], "wrong_type"),
        ([{"role": 3, "content": "Q"}], "wrong_type"),
        ([{"role": "user", "content": [{"type": "image_url", "image_url": "u"}]}], "not_text"),
        ([USER, {"role": "assistant", "content": None}, {"role": "tool", "content": "1"}], "bad_messages"),
        ([USER, {"role": "tool", "content": "1"}], "bad_messages"),
        ([{"role": "user", "content": "x" * 1001}, USER], "too_long"),
        ([{"role": "user", "content": "\ud800"}, USER], "bad_utf8"),
        ("hello", "wrong_type"),
        (["hello"], "wrong_type"),
        (None, "empty_instruction"),
    ],
)
def test_bad_messages(messages, reason):
    good, bad = collected([{"messages": [USER]}, {"messages": messages}])
    assert good.instruction.error is None
    assert bad.instruction.error == reason


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (None, "no_response"),
        ({"a": 1}, "wrong_type"),
        (["a"], "wrong_type"),
        ("x" * 1001, "too_long"),
        ("\ud800", "bad_utf8"),
        ([{"role": "system", "content": "A"}], "no_response"),
    ],
)
def test_bad_responses(response, reason):
    rows = collector([{"question": "Q", "response": response}])
    (item,) = rows
    assert item.instruction.error is None
    assert (item.response.error, item.response.text) == (reason, "")
    assert rows.counts.failed == {reason: 1}


@pytest.mark.parametrize(("response", "text"), [("", ""), (42, "42"), (" a\0b ", " a\0b ")])
def test_unusual_responses_are_kept_as_they_are(response, text):
    item = one({"question": "Q", "response": response})
    assert (item.response.text, item.response.error) == (text, None)


def test_missing_response_in_messages():
    closed = [USER, {"role": "assistant", "content": ""}]
    first, second = collected([{"messages": closed}, {"messages": [USER]}])
    assert (first.response.text, first.response.error) == ("", None)
    assert (second.response.error, second.new) == ("no_response", False)


def test_meta_keeps_scalars_and_lists():
    deep = json.loads("[" * 50 + "]" * 50)
    row = {
        "question": "Q",
        "n": 1,
        "x": float("inf"),
        "d": date(2024, 1, 2),
        "p": Decimal("0.5"),
        "l": [{"a": 1}],
    }
    row |= {
        "dict": {},
        "bytes": b"",
        "nan": [float("nan")],
        "deep": deep,
        "é": "é",
        "category": ["a"],
        "model": "m",
    }
    meta = json.loads(one(row).instruction.meta)
    assert meta == {
        **{"n": 1, "x": None, "d": "2024-01-02", "p": 0.5, "l": [{"a": 1}]},
        **{"é": "é", "category": ["a"], "model": "m"},
    }
    assert list(meta) == sorted(meta)
    assert json.loads(one({"question": "Q", "\ud800": "\udcff"}).instruction.meta) == {"\ud800": "\udcff"}


def test_unread_rows_keep_their_reason():
    raw = [RawRow(1, {"question": "Q"}), RawRow(2, None, "bad_json"), RawRow(3, None, "bad_json")]
    rows = Collector(iter(raw), recognise([{"question": "Q"}], {}), name="f", collect=COLLECT)
    good, *bad = rows
    assert [item.instruction.error for item in bad] == ["bad_json", "bad_json"]
    assert bad[0].instruction.id == content_id("row", "f", 2) != bad[1].instruction.id
    assert (rows.counts.rows, rows.counts.instructions, rows.counts.failed["bad_json"]) == (3, 3, 2)
    assert good.instruction.error is None


def test_repeated_instructions_keep_the_first_with_a_reference():
    rows = collector(
        [
            {"question": "A", "answer": "", "id": 1},
            {"question": "B", "answer": "first", "id": 2},
            {"question": "A", "answer": "late", "id": 1},
            {"question": "B", "answer": "second", "id": 3},
            {"question": "C", "answer": "", "id": 4},
            {"question": "C", "answer": "", "id": 5},
        ]
    )
    found = [
        (item.instruction.text, item.instruction.reference, json.loads(item.instruction.meta)["id"]) for item in rows
    ]
    assert found == [("A", "late", 1), ("B", "first", 2), ("C", None, 4)]
    counts = rows.counts
    assert (counts.rows, counts.instructions, counts.duplicates, counts.duplicate_ids) == (6, 3, 3, 1)
    assert counts.without_reference == 1
    assert [item.instruction for item in rows] == [item.instruction for item in rows]
    assert rows.counts == counts


def test_several_responses_of_one_instruction():
    rows = collector(
        [
            {"question": "A", "response": "1", "reference": None},
            {"question": "A", "response": "2", "reference": "2"},
            {"question": "A", "response": "1", "reference": "2"},
            {"question": "A", "response": None, "reference": "2"},
            {"question": "A", "response": "1", "reference": "2", "model": "other"},
        ]
    )
    found = list(rows)
    assert [(item.response.text, item.response.index, item.new) for item in found] == [
        ("1", 0, True),
        ("2", 1, False),
        ("", 2, False),
        ("1", 3, False),
    ]
    assert {item.instruction.reference for item in found} == {"2"}
    assert len({item.response.id for item in found}) == 4
    assert (rows.counts.instructions, rows.counts.responses, rows.counts.duplicates) == (1, 4, 1)


def test_records_fit_their_tables():
    found = collected([{"messages": [USER, USER, {"role": "assistant", "content": "\0"}]}, {"messages": 3}])
    assert INSTRUCTIONS.table(item.instruction for item in found).num_rows == 2
    assert RESPONSES.table(item.response for item in found if item.response).num_rows == 1


def test_identifiers_and_splits_ignore_order():
    rows = [{"question": f"Question {i}", "response": f"{i}"} for i in range(5000)]
    first = {item.instruction.id: item for item in collected(rows)}
    random.Random(0).shuffle(rows)
    assert {item.instruction.id: item for item in collected(rows)} == first
    shares = Counter(item.instruction.split for item in first.values())
    assert shares["train"] / 5000 == pytest.approx(0.6, abs=0.025)
    assert shares["calibration"] / 5000 == pytest.approx(0.2, abs=0.025)
    assert shares["test"] / 5000 == pytest.approx(0.2, abs=0.025)


def test_split_follows_settings_and_never_separates_the_same_question():
    texts = [f"Question {i}" for i in range(500)]
    for text in texts:
        assert split_of(text, COLLECT) == split_of(f"  {text.upper().replace(' ', '  ')}\n", COLLECT)
    assert {split_of(text, Collect(train=1, calibration=0)) for text in texts} == {"train"}
    assert {split_of(text, Collect(train=0, calibration=0)) for text in texts} == {"test"}
    renamed = Collect(name="other")
    assert [split_of(text, COLLECT) for text in texts] != [split_of(text, renamed) for text in texts]


def test_world_rows():
    rows = [
        {"instruction": "6*7?", "reference": "42", "category": "academic", "group": "times", "meta_a": 1},
        {"instruction": "", "reference": "42"},
        "no row",
    ]
    found = world_records(iter(rows), collect=COLLECT, name="world")
    good, empty, wrong = found
    assert (good.instruction.reference, good.instruction.group) == ("42", "times")
    assert (good.instruction.meta, good.instruction.source, good.response) == ('{"meta_a": 1}', "world", None)
    assert (empty.instruction.error, wrong.instruction.error) == ("empty_instruction", "not_an_object")
    assert not found.mapping.has_responses
    exchanges = world_records([{"instruction": "Q", "response": "A"}], collect=COLLECT, name="plugin")
    assert [item.response.text for item in exchanges] == ["A"]


def test_world_without_rows_or_instructions():
    with pytest.raises(InputError, match="gave no rows"):
        world_records([], collect=COLLECT, name="plugin")
    with pytest.raises(ConfigError, match="Keys found: question"):
        world_records([{"question": "Q"}], collect=COLLECT, name="plugin")


def test_the_same_identifiers_from_file_and_world(tmp_path):
    rows = [{"instruction": "Q", "reference": "A"}]
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    (filed,) = from_file(FileSource(path=str(path)), COLLECT)
    (plain,) = world_records(rows, collect=COLLECT, name="a.jsonl")
    assert filed == plain


def test_file_in_which_no_row_can_be_read(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text("oops\n" * 3 + "[1]\n")
    with pytest.raises(InputError, match=r"as jsonl: bad_json \(3\), not_an_object \(1\) in the first 4"):
        from_file(FileSource(path=str(path)), COLLECT)


WORDS = [
    "instruction",
    "prompt",
    "input",
    "messages",
    "conversations",
    "response",
    "answer",
    "output",
    "id",
    "model",
]
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=5)
MESSAGE = st.dictionaries(st.sampled_from(["role", "from", "content", "value"]), SCALARS | st.just("user"), max_size=3)
VALUES = st.recursive(
    SCALARS | st.lists(MESSAGE, max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["text", "value", "role"]), inner),
    max_leaves=6,
)
LINES = st.dictionaries(st.sampled_from(WORDS) | st.text(st.characters(), max_size=3), VALUES, max_size=6)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(LINES | VALUES, max_size=5))
def test_any_json_gives_records_or_a_clear_fault(tmp_path, rows):
    path = tmp_path / "any.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    try:
        rows = from_file(FileSource(path=str(path)), COLLECT)
    except SelfjError as error:
        str(error).encode()
        return
    found = list(rows)
    INSTRUCTIONS.table(item.instruction for item in found)
    RESPONSES.table(item.response for item in found if item.response)
    assert rows.counts.rows == len(found) + rows.counts.duplicates


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.binary(max_size=60),
    start=st.sampled_from([b"", b"question,answer\n", b"[", b'{"question": "', b"\x1f\x8b"]),
)
@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv", "a.tsv", "a.parquet", "a"])
def test_any_bytes_give_records_or_a_clear_fault(tmp_path, name, content, start):
    path = tmp_path / name
    path.write_bytes(start + content)
    try:
        found = list(from_file(FileSource(path=str(path)), COLLECT))
    except SelfjError as error:
        str(error).encode()
    else:
        INSTRUCTIONS.table(item.instruction for item in found)
