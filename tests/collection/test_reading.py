"""Parts cover every row once, whatever their size, and a bad row costs itself."""

import csv
import io
import json
import pickle
import tracemalloc

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from selfj.collection import lines as lines_module
from selfj.collection.faults import SourceFault
from selfj.collection.reading import RAW, SourceFile, parts_of, read
from selfj.collection.sources import parse

QA = {"instruction": "question", "reference": "answer", "reference_kind": "gold"}
CALM = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def source(**fields):
    return parse([{"name": "mine", "path": "x", **(QA if "instruction" not in fields else {}), **fields}])[0]


def parts(path, size=1000, entry=None, *more):
    files = [SourceFile(p, p.name, "", p.stat().st_size) for p in (path, *more)]
    return parts_of(entry or source(), files, size)


def rows(path, size=1000, entry=None, *more):
    tables = [read(part) for part in parts(path, size, entry, *more)]
    assert all(table.schema == RAW for table in tables)
    for table in tables:
        table.validate(full=True)
    return pa.concat_tables([RAW.empty_table(), *tables]).to_pylist()


def said(path, entry=None, size=1000):
    return [(row["instruction"], row["reference"], row["error"]) for row in rows(path, size, entry)]


def jsonl(path, *values):
    path.write_bytes(b"".join(v if isinstance(v, bytes) else json.dumps(v).encode() + b"\n" for v in values))
    return path


def many(path, number):
    return jsonl(path, *({"question": f"q{n}", "answer": f"a{n}"} for n in range(number)))


@pytest.mark.parametrize("form", ["parquet", "jsonl", "csv", "tsv"])
@pytest.mark.parametrize("size", [1, 3, 7, 50, 1000])
def test_parts_cover_every_row_once(tmp_path, form, size):
    wanted = [{"question": f"q{n}", "answer": f"a\n{n}" if n % 3 else None} for n in range(50)]
    path = tmp_path / f"rows.{form}"
    if form == "parquet":
        pq.write_table(pa.Table.from_pylist(wanted), path, row_group_size=6)
    elif form == "jsonl":
        jsonl(path, *wanted)
    else:
        with path.open("w", newline="") as handle:
            writer = csv.writer(handle, delimiter="\t" if form == "tsv" else ",")
            writer.writerow(["question", "answer"])
            writer.writerows([[row["question"], row["answer"]] for row in wanted])
    made = parts(path, size, None, path)
    assert pickle.loads(pickle.dumps(made)) == made
    got = rows(path, size, None, path)
    assert [(row["instruction"], row["reference"]) for row in got] == [(w["question"], w["answer"]) for w in wanted] * 2
    positions = [row["position"] for row in got]
    assert positions == sorted(set(positions))
    if form in {"parquet", "jsonl"}:
        assert positions == list(range(100))
    assert [part.first for part in made] == [sum(p.rows for p in made[:k]) for k in range(len(made))]
    assert rows(path, 13, None, path) == got
    if form != "parquet":
        assert all(part.rows <= 2 * size + 1 for part in made)


def test_row_groups_stay_whole_or_are_cut(tmp_path):
    path = tmp_path / "rows.parquet"
    table = pa.table({"question": [str(n) for n in range(1000)], "answer": ["a"] * 1000})
    pq.write_table(table, path, row_group_size=10)
    assert [part.rows for part in parts(path, 25)] == [20] * 50
    pq.write_table(table, path, row_group_size=1000)
    made = parts(path, 50)
    assert [part.rows for part in made] == [200] * 5
    assert [row["instruction"] for row in rows(path, 50)] == table["question"].to_pylist()


def test_a_limit(tmp_path):
    first, second = many(tmp_path / "a.jsonl", 10), tmp_path / "b.parquet"
    pq.write_table(pa.table({"question": list("xyz"), "answer": list("abc")}), second)
    for size in (1, 4, 100):
        got = rows(first, size, source(limit=12), second)
        assert [row["instruction"] for row in got] == [f"q{n}" for n in range(10)] + ["x", "y"]
        assert len(rows(first, size, source(limit=7), second)) == 7


def test_bad_lines_of_jsonl(tmp_path):
    path = jsonl(
        tmp_path / "rows.jsonl",
        b"\xef\xbb\xbf",
        {"question": "good", "answer": "a"},
        b"\n",
        b"{bad\n",
        b"[1]\n",
        b'{"question": "\xff"}\n',
        b'{"question": "\\ud800"}\n',
        b'{"question": "nul\\u0000", "answer": "kept"}\n',
        b'{"question": "raw\x00nul"}\n',
        {"question": 7, "answer": 2.5},
        {"question": ["a"], "answer": "a"},
        {"question": None, "answer": "a"},
        {"question": "  ", "answer": "a"},
        {"answer": "a"},
        {"question": "two"},
        b'{"question": "one"}{"question": "on one line"}\n',
        b'{"question": "over\n two lines"}\n',
        b'{"question": "twice", "question": "last", "answer": true}\n',
        b'{"question": "2020-01-01", "answer": "2020-01-01T00:00:00"}\r\n',
        {"question": "x" * 5000, "answer": "long"},
        b'{"question": "end", "answer": ""}',
    )
    wanted = [
        ("good", "a", None),
        ("", None, "bad_json"),
        ("", None, "not_an_object"),
        ("", None, "bad_utf8"),
        ("", None, "bad_utf8"),
        ("nul\0", "kept", None),
        ("", None, "bad_json"),
        ("7", "2.5", None),
        ("", "a", "wrong_type"),
        ("", "a", "empty_instruction"),
        ("", "a", "empty_instruction"),
        ("", "a", "empty_instruction"),
        ("two", None, None),
        ("", None, "bad_json"),
        ("", None, "bad_json"),
        ("", None, "bad_json"),
        ("last", "true", None),
        ("2020-01-01", "2020-01-01T00:00:00", None),
        ("", None, "line_too_long"),
        ("end", None, None),
    ]
    entry = source(max_line_bytes=2048)
    for size in (1, 2, 5, 1000):
        assert said(path, entry, size) == wanted
    assert [row["position"] for row in rows(path, 3, entry)] == [0, *range(2, 21)]


def test_a_bad_line_costs_its_row_alone(tmp_path, monkeypatch):
    values = [{"question": f"q{n}", "answer": "a"} for n in range(5000)]
    values[1234] = b"{bad\n"
    values[4999] = b'{"question": 3}\n'
    path = jsonl(tmp_path / "rows.jsonl", *values)
    slow = []
    real = lines_module.json_row
    monkeypatch.setattr(lines_module, "json_row", lambda place, line: slow.append(line) or real(place, line))
    got = said(path)
    assert [row[2] for row in got].count("bad_json") == 1
    assert got[1234] == ("", None, "bad_json")
    assert got[4999] == ("3", None, None)
    # The first lines of the file and of each of five parts tell columns and kinds; the rest are pieces with a bad line.
    assert len(slow) < 1000 + 5 * 200 + 150


def test_a_deep_value_ends_nothing(tmp_path):
    deep = b'{"question": "q", "answer": ' + b"[" * 200_000 + b"]" * 200_000 + b"}\n"
    unread = b'{"question": "q", "other": ' + b"[" * 200_000 + b"]" * 200_000 + b"}\n"
    path = jsonl(tmp_path / "rows.jsonl", {"question": "a", "answer": "b"}, deep, {"question": "c"}, unread)
    got = said(path)
    assert got[0] == ("a", "b", None)
    assert got[1][2] in {"bad_json", "wrong_type"}
    assert got[2] == ("c", None, None)
    assert len(got) == 4


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_a_huge_line_is_not_held_in_memory(tmp_path, form):
    path = tmp_path / f"rows.{form}"
    row = (b'{"question": "q"}\n' if form == "jsonl" else b"q,a\n") * 3
    with path.open("wb") as handle:
        handle.write(b"question,answer\n" if form == "csv" else b"")
        handle.write(row)
        for _ in range(100):
            handle.write(b"x" * 1_000_000)
        handle.write(b"\n" + row)
    entry = source(instruction="question")
    tracemalloc.start()
    try:
        got = said(path, entry)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert [error for *_, error in got] == [None] * 3 + ["line_too_long"] + [None] * 3
    assert peak < 60_000_000


def test_bad_rows_of_csv(tmp_path):
    path = tmp_path / "rows.csv"
    text = b'question,answer\nq1,a1\nq2\n"q3, with ""quotes""\nand lines","a3"\n\xff,a4\n\nq5,a\x005\nq6,\n'
    path.write_bytes(text + b'"never closed,a7\n' + b"q8,a8\n" * 3)
    entry = source(max_line_bytes=1024)
    wanted = [
        ("q1", "a1", None),
        ("", None, "wrong_field_count"),
        ('q3, with "quotes"\nand lines', "a3", None),
        ("", None, "bad_utf8"),
        ("", None, "bad_csv"),
        ("q6", None, None),
    ]
    for size in (1, 2, 100):
        assert said(path, entry, size)[:6] == wanted
    # A quote that is never closed takes no more than the limit of a row.
    path.write_bytes(text + b'"never closed,a7\n' + b"q8,a8\n" * 1000)
    [part] = parts(path, 5, entry)
    assert part.rows > 1000
    errors = [row["error"] for row in rows(path, 5, entry)]
    assert errors.count("line_too_long") == 1
    assert errors.count(None) > 700


def test_parquet_with_bad_bytes(tmp_path):
    path = tmp_path / "rows.parquet"
    data = pa.array([b"fine", b"\xff\xfe", None, "é".encode()], pa.binary())
    pq.write_table(pa.table({"question": data, "answer": data}), path)
    assert said(path) == [
        ("fine", "fine", None),
        ("", None, "bad_utf8"),
        ("", None, "empty_instruction"),
        ("é", "é", None),
    ]
    # The same where the file calls them text, which nothing checks when it is written.
    text = pa.StringArray.from_buffers(4, data.buffers()[1], data.buffers()[2], data.buffers()[0], data.null_count)
    pq.write_table(pa.table({"question": text, "answer": ["a"] * 4}), path)
    assert said(path)[1] == ("", "a", "bad_utf8")


@pytest.mark.parametrize(
    "kind", [pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string()), pa.large_binary()]
)
def test_kinds_of_text(tmp_path, kind):
    path = tmp_path / "rows.parquet"
    column = pa.array(["a", None, "b"]).cast(kind)
    pq.write_table(pa.table({"question": ["q"] * 3, "answer": column}), path)
    assert [row[1] for row in said(path)] == ["a", None, "b"]


def test_numbers_are_text(tmp_path):
    path = tmp_path / "rows.parquet"
    table = pa.table({"question": [1, 2], "answer": [2.0, 0.1], "b": [True, None]})
    pq.write_table(table, path)
    assert said(path) == [("1", "2", None), ("2", "0.1", None)]
    assert said(path, source(instruction="{question} {b}")) == [("1 true", None, None), ("2", None, None)]


def test_damaged_parquet(tmp_path):
    path = tmp_path / "rows.parquet"
    table = pa.table({"question": [f"q{n}" for n in range(300)], "answer": ["a"] * 300})
    pq.write_table(table, path, row_group_size=100, compression="gzip", use_dictionary=False)
    group = pq.ParquetFile(path).metadata.row_group(1).column(0)
    whole = path.read_bytes()
    at = group.data_page_offset
    path.write_bytes(whole[:at] + bytes(group.total_compressed_size) + whole[at + group.total_compressed_size :])
    for size in (100, 10, 1000):
        got = said(path, size=size)
        assert [error for *_, error in got] == [None] * 100 + ["unreadable"] * 100 + [None] * 100
        assert got[299] == ("q299", "a", None)
    path.write_bytes(whole[:-50])
    with pytest.raises(
        SourceFault, match=r"mine: the file rows.parquet cannot be read as Parquet, JSONL, CSV or TSV\."
    ):
        parts(path)


def test_the_file_must_fit_the_entry(tmp_path):
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"question": ["q"], "answers": [{"text": ["a"]}]}), path)
    with pytest.raises(
        SourceFault, match="no longer fits the entry: there is no column 'answer'; found question, answers"
    ):
        parts(path)
    with pytest.raises(SourceFault, match="there is no field 'texts' among text"):
        parts(path, 10, source(reference="answers.texts[0]", **{"instruction": "question", "reference_kind": "gold"}))
    with pytest.raises(SourceFault, match=r"answers\.text holds list<.*> where text is expected; name an element"):
        parts(path, 10, source(reference="answers.text", **{"instruction": "question", "reference_kind": "gold"}))
    lines = jsonl(tmp_path / "rows.jsonl", {"q": 1}, {"q": 2})
    with pytest.raises(SourceFault, match="none of its first 1000 rows has a column 'question'; found q"):
        parts(lines)
    table = tmp_path / "rows.csv"
    table.write_text("q,a\n1,2\n")
    with pytest.raises(SourceFault, match="there is no column 'question'; found q, a"):
        parts(table)
    table.write_text("1,2\n3,4\n")
    with pytest.raises(SourceFault, match="is no header"):
        parts(table)
    other = tmp_path / "rows.bin"
    other.write_bytes(b"\0\1\2" * 100)
    with pytest.raises(SourceFault, match=r"format of .* is unknown"):
        parts(other)
    other.write_text("no json\n" * 5)
    with pytest.raises(SourceFault, match="None of its first 1000 lines is a JSON object"):
        parts(other, 10, source(format="jsonl"))


def test_nothing_to_read(tmp_path):
    empty = tmp_path / "empty.jsonl"
    empty.write_bytes(b"")
    assert parts(empty) == []
    table = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"question": pa.array([], pa.string()), "answer": pa.array([], pa.null())}), table)
    assert parts(table) == []
    header = tmp_path / "rows.csv"
    header.write_text("question,answer\n")
    assert parts(header) == []
    assert parts_of(source(), [], 10) == []
    full = many(tmp_path / "full.jsonl", 3)
    assert [row["position"] for row in rows(empty, 2, None, table, full)] == [0, 1, 2]


def test_a_file_that_changed_after_the_cut(tmp_path):
    path = many(tmp_path / "rows.jsonl", 3)
    [part] = parts(path)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(SourceFault, match=r"has \d+ bytes, and had \d+ when it was cut"):
        read(part)
    path.unlink()
    with pytest.raises(SourceFault, match="cannot be read"):
        read(part)
    assert str(pickle.loads(pickle.dumps(SourceFault("mine", "gone")))) == "mine: gone"


def test_conditions_and_categories(tmp_path):
    path = jsonl(
        tmp_path / "rows.jsonl",
        {"question": "a", "score": 3, "tags": ["x"], "ok": True},
        {"question": "b", "score": 1, "tags": ["y"], "ok": True},
        {"question": "c", "score": None, "tags": [], "ok": False},
        {"question": "d", "score": 7.5, "tags": None, "ok": None},
        {"question": "e", "score": 3, "tags": ["z"], "ok": True},
    )

    def kept(*where):
        entry = source(instruction="question", where=list(where))
        return "".join(row["instruction"] for row in rows(path, 2, entry) if row["error"] is None)

    assert kept({"column": "score", "least": 3}) == "ade"
    assert kept({"column": "score", "most": 3}) == "abe"
    assert kept({"column": "score", "equals": 3}) == "ae"
    assert kept({"column": "score", "among": [1, 7.5]}) == "bd"
    assert kept({"column": "tags[0]", "unlike": ["x", "y"]}) == "cde"
    assert kept({"column": "tags[0]", "present": True}) == "abe"
    assert kept({"column": "tags[0]", "present": False}) == "cd"
    assert kept({"column": "ok", "equals": True}, {"column": "score", "most": 2}) == "b"
    errors = [
        row["error"] for row in rows(path, 9, source(instruction="question", where=[{"column": "ok", "equals": False}]))
    ]
    assert errors == ["not_selected", "not_selected", None, "not_selected", "not_selected"]
    by = {"column": "tags[0]", "values": {"x": "coding", "y": "academic"}, "otherwise": "common"}
    got = [row["category"] for row in rows(path, 2, source(instruction="question", category=by))]
    assert got == ["coding", "academic", "common", "common", "common"]


def test_choices(tmp_path):
    path = jsonl(
        tmp_path / "rows.jsonl",
        {"question": "a", "c": {"text": ["one", "two"], "label": ["A", "B"]}, "k": "B", "n": 1},
        {"question": "b", "c": {"text": ["three", "four", "five"], "label": ["A", "B", "B"]}, "k": "B", "n": 3},
        {"question": "c", "c": {"text": ["six"], "label": ["A"]}, "k": "C", "n": 2},
        {"question": "d", "c": None, "k": "A", "n": 1},
        {"question": "e", "c": {"text": ["seven", None], "label": [None, "B"]}, "k": None, "n": 0},
        {"question": "f", "c": {"text": ["eight"], "label": ["A", "B"]}, "k": "B", "n": -1},
    )

    def chosen(**choices):
        entry = source(instruction="question", reference={"answer": "k", **choices}, reference_kind="gold")
        return [reference for _, reference, _ in said(path, entry, 4)]

    assert chosen(choices="c.text", labels="c.label") == ["two", "four", None, None, None, None]
    assert chosen(choices="c.text", labels=["A", "B"]) == ["two", "four", None, None, None, None]
    assert chosen(choices="c.text", answer="n", first=1) == ["one", "five", None, None, None, None]
    assert chosen(choices="c.text", answer="n") == ["two", None, None, None, "seven", None]
    assert chosen(choices=["question", "k"], answer="n") == ["B", None, None, "A", "e", None]


@pytest.mark.parametrize("size", [3, 100])
def test_nested_columns_of_a_cut_row_group(tmp_path, size):
    path = tmp_path / "rows.parquet"
    values = [
        {"q": f"q{n}", "r": [{"text": f"r{n}-{k}"} for k in range(n % 4)], "c": {"text": [f"c{n}"], "label": ["A"]}}
        for n in range(100)
    ]
    pq.write_table(pa.Table.from_pylist(values), path, row_group_size=100)
    last = source(instruction="{q} {r.text[-1]}", reference="c.text[0]", reference_kind="gold")
    wanted = [(f"q{n} r{n}-{n % 4 - 1}" if n % 4 else f"q{n}", f"c{n}", None) for n in range(100)]
    assert said(path, last, size) == wanted
    choice = {"choices": "r.text", "answer": "q", "labels": ["q0", "q6", "q5"]}
    got = said(path, source(instruction="q", reference=choice, reference_kind="gold"), size)
    assert [(n, reference) for n, (_, reference, _) in enumerate(got) if reference] == [(6, "r6-1")]
    bad = pa.array([[b"ok"], None, [b"a", b"\xff"], []], pa.list_(pa.binary()))
    for kind in (pa.list_(pa.binary()), pa.large_list(pa.binary())):
        pq.write_table(pa.table({"q": list("abcd") * 25, "r": pa.concat_arrays([bad.cast(kind)] * 25)}), path)
        choice = {"choices": "r", "answer": "q", "labels": ["a", "c"]}
        got = said(path, source(instruction="q", reference=choice, reference_kind="gold"), size)
        wanted = [("a", "ok", None), ("b", None, None), ("c", None, "bad_utf8"), ("d", None, None)]
        assert got == wanted * 25


def test_what_is_wrong_with_a_line_does_not_depend_on_its_neighbours(tmp_path):
    good = [{"question": f"q{n}", "n": n} for n in range(300)]
    bad = [b'{"question": "unread byte", "other": "\xff"}\n', b'{"question": "large", "n": 9223372036854775808}\n']
    path = jsonl(tmp_path / "rows.jsonl", *good, *bad, *good)
    entry = source(instruction="question", reference="n", reference_kind="gold")
    got = said(path, entry)
    assert got[300:302] == [("", None, "bad_utf8"), ("large", None, "wrong_type")]
    assert got[:300] == got[302:] == [(row["question"], str(row["n"]), None) for row in good]
    assert said(path, entry, 7) == got


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["text", "label", "a"]), inner, max_size=3)
    ),
    max_leaves=5,
)
TEXT = st.none() | st.text(max_size=5)
# Of one kind in each column, as real files are, and of any kind.
REGULAR = st.fixed_dictionaries(
    {
        "q": TEXT,
        "n": st.none() | st.integers(-5, 5),
        "f": st.none() | st.floats(-9, 9),
        "l": st.none() | st.lists(TEXT, max_size=3),
        "s": st.none()
        | st.fixed_dictionaries({"text": st.lists(TEXT, max_size=2), "label": st.lists(TEXT, max_size=2)}),
        "r": st.none() | st.lists(st.fixed_dictionaries({"text": TEXT}), max_size=2),
    }
)
ANY = st.dictionaries(st.sampled_from(["q", "n", "f", "l", "s", "r"]), VALUES, max_size=6)
SPECS = [
    {"instruction": "q", "reference": "l[0]"},
    {"instruction": "{q}: {n} {f}", "reference": "l[-1]"},
    {"instruction": "n", "reference": "s.text[0]"},
    {"instruction": "f", "reference": "r[0].text"},
    {"instruction": "q", "reference": "r.text[1]"},
    {"instruction": {"text": "q", "remove": "[a-z]"}, "reference": {"text": "q", "none": ["0"]}},
    {"instruction": "q", "reference": {"choices": ["q", "l[0]", "n"], "answer": "n"}},
    {"instruction": "q", "reference": {"choices": "l", "answer": "n", "first": 1}},
    {"instruction": "q", "reference": {"choices": "s.text", "answer": "q", "labels": "s.label"}},
    {"instruction": "q", "reference": {"choices": "r.text", "answer": "q", "labels": ["", "0"]}},
]


@pytest.mark.parametrize("spec", SPECS)
@given(data=st.data(), regular=st.booleans())
@CALM
def test_arrow_and_python_read_alike(spec, data, regular, tmp_path):
    values = data.draw(st.lists(REGULAR if regular else ANY, min_size=1, max_size=8))
    names = ["q", "n", "f", "l", "s", "r"]
    anchor = {"q": "q", "n": 1, "f": 0.5, "l": ["a"], "s": {"text": ["t"], "label": ["l"]}, "r": [{"text": "t"}]}
    path = jsonl(tmp_path / "rows.jsonl", anchor, *values)
    where = [{"column": data.draw(st.sampled_from(names[:3])), "unlike": ["", 1]}]
    entry = source(**spec, reference_kind="gold", where=where)
    fast = rows(path, 100, entry)
    original = lines_module._schema
    lines_module._schema = lambda *_: None
    try:
        slow = rows(path, 100, entry)
    finally:
        lines_module._schema = original
    assert fast == slow
    assert fast == rows(path, data.draw(st.integers(1, 4)), entry)


@given(data=st.data())
@CALM
def test_parquet_and_jsonl_read_alike(data, tmp_path):
    values = data.draw(st.lists(REGULAR, min_size=1, max_size=8))
    texts = pa.list_(pa.string())
    schema = pa.schema(
        {
            "q": pa.string(),
            "n": pa.int64(),
            "f": pa.float64(),
            "l": texts,
            "s": pa.struct({"text": texts, "label": texts}),
            "r": pa.list_(pa.struct({"text": pa.string()})),
        }
    )
    pq.write_table(pa.Table.from_pylist(values, schema), tmp_path / "rows.parquet", row_group_size=3)
    jsonl(tmp_path / "rows.jsonl", *values)
    entry = source(**data.draw(st.sampled_from(SPECS)), reference_kind="gold")
    assert rows(tmp_path / "rows.parquet", 2, entry) == rows(tmp_path / "rows.jsonl", 2, entry)


@given(
    content=st.binary(max_size=400) | st.text('{}[]",:\n\\ aé0', max_size=200).map(str.encode), size=st.integers(1, 9)
)
@CALM
def test_any_bytes_are_rows_or_reasons(content, size, tmp_path):
    good = b'{"question": "q", "answer": "a"}\n'
    path = tmp_path / "rows.jsonl"
    path.write_bytes(good + content)
    got = rows(path, size)
    lines = [line for line in content.split(b"\n") if line.strip()]
    assert len(got) == 1 + len(lines)
    assert got == rows(path, 1000)
    assert (got[0]["instruction"], got[0]["error"]) == ("q", None)


@given(
    cells=st.lists(st.lists(st.text('ab",\n\r ', max_size=5), min_size=2, max_size=2), max_size=9),
    size=st.integers(1, 5),
)
@CALM
def test_csv_as_it_is_written_is_read(cells, size, tmp_path):
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerows([["question", "answer"], *cells])
    path = tmp_path / "rows.csv"
    path.write_bytes(out.getvalue().encode())
    got = [(row["instruction"], row["reference"] or "") for row in rows(path, size)]
    assert got == [(a if a.strip() else "", b if b.strip() else "") for a, b in cells]
