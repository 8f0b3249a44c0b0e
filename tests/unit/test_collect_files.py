"""Reading the user's files: every format, and the exact reason for every bad file and row."""

import gzip
import json
import os
import tracemalloc

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from selfj.collect.files import read_rows
from selfj.errors import InputError
from selfj.settings import FileSource

ROWS = [{"question": "What is 6 times 7?", "answer": "42"}, {"question": "Où?", "answer": "Là, «ici»"}]


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(path, **settings):
    return list(read_rows(FileSource(path=str(path), **settings)))


def fields(path, **settings):
    return [row.fields for row in read(path, **settings)]


def errors(path, **settings):
    return [(row.number, row.error) for row in read(path, **settings) if row.error]


def jsonl(rows):
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def csv_text(separator=","):
    cells = [f'{row["question"]}{separator}"{row["answer"]}"\n' for row in ROWS]
    return f"question{separator}answer\n" + "".join(cells)


CONTENTS = {
    "a.jsonl": jsonl(ROWS),
    "a.ndjson": jsonl(ROWS),
    "lines.json": jsonl(ROWS),
    "array.json": json.dumps(ROWS, indent=2),
    "wrapped.json": json.dumps({"version": 1, "data": ROWS}) + "\n",
    "wrapped_pretty.json": json.dumps({"data": ROWS}, indent=2),
    "a.csv": csv_text(),
    "semicolon.csv": csv_text(";"),
    "crlf.csv": csv_text().replace("\n", "\r\n"),
    "a.tsv": csv_text("\t"),
    "lines": jsonl(ROWS),
    "array.txt": json.dumps(ROWS),
    "commas.txt": csv_text(),
    "tabs.txt": csv_text("\t"),
}


@pytest.mark.parametrize("name", CONTENTS)
@pytest.mark.parametrize("wrap", ["plain", "bom", "gz", "gz+bom"])
def test_formats(tmp_path, name, wrap):
    content = CONTENTS[name].encode()
    if "bom" in wrap:
        content = b"\xef\xbb\xbf" + content
    if "gz" in wrap:
        content, name = gzip.compress(content), f"{name}.gz"
    assert fields(write(tmp_path / name, content)) == ROWS


@pytest.mark.parametrize("name", ["a.parquet", "a.pq", "without_extension"])
def test_parquet(tmp_path, name):
    rows = ROWS * 300
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / name)
    found = read(tmp_path / name)
    assert [row.fields for row in found] == rows
    assert [row.number for row in found] == list(range(1, 601))


def test_rows_can_be_read_again_and_limited(tmp_path):
    path = write(tmp_path / "a.jsonl", jsonl(ROWS))
    rows = read_rows(FileSource(path=str(path), limit=1))
    assert [row.fields for row in rows] == [row.fields for row in rows] == ROWS[:1]


def test_format_setting_wins(tmp_path):
    path = write(tmp_path / "a.txt", "question\nWhy?\n")
    assert fields(path, format="csv") == [{"question": "Why?"}]


def test_one_pretty_object_is_one_row(tmp_path):
    assert fields(write(tmp_path / "a.json", json.dumps(ROWS[0], indent=1))) == ROWS[:1]


def test_bad_lines_keep_their_numbers(tmp_path):
    lines = [b'{"q": "good"}', b"", b"   ", b'{"q": "\xff"}', b"{oops", b"[1]", b'"text"', b"[" * 100_000]
    lines += [b'{"q": ' + b"1" * 5000 + b"}", b'{"q": "' + b"x" * 70_000 + b'"}', b'{"q": "last"}']
    path = write(tmp_path / "a.jsonl", b"\r\n".join(lines))
    found = read(path, max_chars=8000)
    assert [row.number for row in found] == [1, *range(4, 12)]
    assert errors(path, max_chars=8000) == [
        (4, "bad_utf8"),
        (5, "bad_json"),
        (6, "not_an_object"),
        (7, "not_an_object"),
        (8, "line_too_long"),
        (9, "bad_json"),
        (10, "line_too_long"),
    ]
    assert errors(path, max_chars=100_000)[4:] == [(8, "bad_json"), (9, "bad_json")]
    assert found[-1].fields == {"q": "last"}


def test_long_last_line_without_newline(tmp_path):
    path = write(tmp_path / "a.jsonl", b'{"q": 1}\n' + b"x" * 200_000)
    assert errors(path, max_chars=1) == [(2, "line_too_long")]


def test_bad_csv_rows(tmp_path):
    lines = [
        b"q,a",
        b"1,one",
        b"2",
        b"3,\xff",
        b"4,f\0ur",
        b"5,five,six",
        b"6," + b"x" * 70_000,
        b"",
        b"7,seven",
    ]
    path = write(tmp_path / "a.csv", b"\n".join(lines))
    assert errors(path, max_chars=10) == [
        (3, "wrong_field_count"),
        (4, "bad_utf8"),
        (5, "bad_csv"),
        (6, "wrong_field_count"),
        (7, "line_too_long"),
    ]
    assert [row.number for row in read(path, max_chars=10) if row.fields] == [2, 9]


def test_csv_quoted_newlines_and_long_fields(tmp_path):
    text = "x" * 300_000
    path = write(tmp_path / "a.csv", f'q,a\n"two\nlines",1\n{text},2\n')
    found = read(path)
    assert [row.number for row in found] == [2, 4]
    assert [row.fields["q"] for row in found] == ["two\nlines", text]


def test_csv_open_quote_does_not_end_the_file(tmp_path):
    lines = ["q,a", '"open,1', *[f"{i},{'x' * 1000}" for i in range(400)]]
    found = read(write(tmp_path / "a.csv", "\n".join(lines)), max_chars=10)
    assert [row.error for row in found if row.error] == ["line_too_long"]
    assert len(found) > 330
    assert found[-1].fields["q"] == "399"


def test_csv_index_column_of_pandas(tmp_path):
    assert fields(write(tmp_path / "a.csv", ",q\n0,why\n")) == [{"column_1": "0", "q": "why"}]


@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
@pytest.mark.parametrize("header", ["1\t2", "1,2", "q,q", "q\tq", "\xff\0,q", "\0\tq", "x" * 300])
def test_no_header(tmp_path, name, header):
    separator = "," if name.endswith("csv") else "\t"
    header = header.replace(",", separator).replace("\t", separator)
    with pytest.raises(InputError, match="header"):
        read(write(tmp_path / name, f"{header}\na{separator}b\n"))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.jsonl", b"", "is empty"),
        ("bom.jsonl", b"\xef\xbb\xbf", "is empty"),
        ("blank.jsonl", b"\n \n", "has no rows"),
        ("header.csv", b"q,a\n", "has no rows"),
        ("empty.json", b"[]", "has no rows"),
        ("empty.csv", b"", "is empty"),
        ("scalar.json", b"42", "must hold an array"),
        ("broken.json", b'[{"q": 1}, {', "is not JSON"),
        ("utf16.csv", "q,a\n1,2\n".encode("utf-16"), "UTF-16"),
        ("a.zip", b"PK\x03\x04\0\0,", "format of .* is unknown"),
        ("a.txt", b"hello\n", "format of .* is unknown"),
        ("a.parquet", b"PAR1 not really", "Cannot read"),
        ("b.parquet", b"q,a\n1,2\n", "Cannot read"),
        ("cut.jsonl.gz", gzip.compress(b'{"q": "why"}\n' * 9)[:-12], "Cannot read"),
        ("wrong.jsonl.gz", b"\x1f\x8b\x08broken, really broken", "Cannot read"),
    ],
)
def test_bad_files(tmp_path, name, content, words):
    with pytest.raises(InputError, match=words):
        read(write(tmp_path / name, content))


def test_parquet_without_rows_or_with_a_broken_middle(tmp_path):
    pq.write_table(pa.table({"q": pa.array([], pa.string())}), tmp_path / "none.parquet")
    with pytest.raises(InputError, match="has no rows"):
        read(tmp_path / "none.parquet")
    pq.write_table(pa.table({"q": [f"question {i}" * 9 for i in range(5000)]}), tmp_path / "a.parquet")
    content = bytearray((tmp_path / "a.parquet").read_bytes())
    content[4:2000] = b"\xff" * 1996
    with pytest.raises(InputError, match="Cannot read"):
        read(write(tmp_path / "a.parquet", bytes(content)))


def test_parquet_bad_cells_fail_their_row_only(tmp_path):
    binary = pa.array([b"good", b"\xff\xfe", b"fine"], pa.binary())
    text = pa.StringArray.from_buffers(3, binary.buffers()[1], binary.buffers()[2])
    times = pa.array([1, 2, 3], pa.timestamp("ns"))
    pq.write_table(pa.table({"q": text, "time": times}), tmp_path / "a.parquet")
    found = read(tmp_path / "a.parquet")
    assert [row.error for row in found] == [None, "bad_utf8", None]
    assert [row.fields["q"] for row in found if row.fields] == ["good", "fine"]


def test_missing_folder_and_irregular(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read(tmp_path / "none.jsonl")
    with pytest.raises(InputError, match="is a folder"):
        read(tmp_path)
    with pytest.raises(InputError, match="not a regular file"):
        read("/dev/null")


def test_unreadable(tmp_path):
    path = write(tmp_path / "a.jsonl", "{}")
    path.chmod(0)
    user = os.geteuid()
    if user == 0:
        # The permissions of a file mean nothing to root.
        os.seteuid(65534)
    try:
        with pytest.raises(InputError, match=r"Cannot read .*Permission denied"):
            read(path)
    finally:
        os.seteuid(user)
    with pytest.raises(InputError, match=r"Cannot read .*name too long"):
        read(tmp_path / ("x" * 300))


def test_a_line_of_ten_megabytes_is_never_held(tmp_path):
    path = tmp_path / "a.jsonl"
    with path.open("wb") as file:
        file.write(b'{"q": "first"}\n{"q": "')
        for _ in range(100):
            file.write(b"x" * 100_000)
        file.write(b'"}\n{"q": "last"}\n')
    tracemalloc.start()
    try:
        found = read(path, max_chars=10_000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert [(row.number, row.error) for row in found] == [(1, None), (2, "line_too_long"), (3, None)]
    assert peak < 6e6
