"""What holds for every text: cleaning twice is cleaning once, neighbours do not matter, nothing raises."""

import itertools
import re
import unicodedata
import zlib

import numpy as np
import pyarrow as pa
from hypothesis import example, given, settings
from hypothesis import strategies as st

from selfj.collection.quality import REASONS, Quality, clean
from selfj.collection.quality.repetition import compressed, repeated_letters, repeated_words
from selfj.collection.quality.words import bytes_of, kinds, words

PIECES = [
    "What is", "the", "following", "passage", ":", "\n", "\r\n", "  ", "\t", "\n\n\n\n\n", "```", "<p>", "</p>",
    "<b>", "<br>", "<pre>", "<code>", "</code>", "</pre>", "<li>", "&amp;", "&lt;", "&gt;", "&#39;", "&amp;lt;",
    "&#xD800;", "&#0;", "Ã©", "â€™", "Ã", "Â\xa0", "ÃƒÂ©", "é", "e\u0301", "\u0301", "\u200b", "\u200d",
    "\ufeff", "\x00", "\x07", "\x85", "\u2028", "\ud7ff", "\U0001f469", "\u3000", "N/A", "[deleted]",
    "me@gmail.org", "jo@gmail.com", "+49 30 90182431", "4539 1488 0343 6467", "173.194.33.71",
    "DE89 3704 0044 0532 0130 00", "der die das", "el la los", "Привет", "日本語の", "한국어", "مرحبا", "x = 3;",
    "def f():", "ab ab ab ab", "aaaaaaaa", "this", "image below", "Å", "\u212b", "ﬁ", "½", "\ufffe", "\u202e",
    "html", "buttons", "1", "-", "@", ".", "?", " ",
]  # fmt: skip
TEXTS = st.one_of(
    st.none(),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=60),
    st.lists(st.sampled_from(PIECES), max_size=12).map("".join),
    st.lists(st.sampled_from(PIECES), max_size=12).map(" ".join),
)
ROWS = st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=8)
LENIENT = Quality(
    languages=("any",),
    min_chars=0,
    min_words=0,
    min_wordlike=0,
    boilerplate=False,
    not_standalone=False,
    truncated=False,
)


def table(rows: list[tuple[str | None, str | None]]) -> pa.Table:
    return pa.table(
        {
            "instruction": pa.array([row[0] for row in rows], pa.string()),
            "reference": pa.array([row[1] for row in rows], pa.string()),
        }
    )


@settings(max_examples=300, deadline=None)
@given(ROWS)
@example([("</P>HTML\u0301", None)])
@example([("3509 1088 0303 0007 32.0.1.1", None)])
@example([("Ask me@css.html.org <b>now</b>", "<p>x</p>")])
def test_cleaning_twice_is_cleaning_once(rows):
    for quality in (Quality(), LENIENT, LENIENT.model_copy(update={"html": "strip", "personal_data": "keep"})):
        once = clean(table(rows), quality)
        assert clean(once, quality).equals(once)


@settings(max_examples=150, deadline=None)
@given(ROWS)
def test_a_row_does_not_depend_on_its_neighbours(rows):
    together = clean(table(rows), Quality()).to_pylist()
    assert together == [clean(table([row]), Quality()).to_pylist()[0] for row in rows]
    assert together == clean(table(rows[::-1]), Quality()).to_pylist()[::-1]
    assert together == clean(table([("x", None), *rows]).slice(1), Quality()).to_pylist()


@settings(max_examples=300, deadline=None)
@given(ROWS)
def test_texts_come_out_repaired(rows):
    for row in clean(table(rows), LENIENT).to_pylist():
        assert row["error"] is None or row["error"] in REASONS
        for text in (row["instruction"], row["reference"]):
            if text is None:
                continue
            assert unicodedata.is_normalized("NFC", text)
            assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u2028\ufeff\xad]", text)
            assert text == text.rstrip()
            assert not text.startswith("\n")
            text.encode("utf-8")


def test_the_size_of_a_batch_does_not_matter():
    rows = [
        (f"What is the answer to question {i} of {j}?", "N/A" if i % 3 else f"It is {j}")
        for i in range(90)
        for j in range(90)
    ]
    whole = clean(table(rows), Quality())
    parts = [clean(table(rows).slice(at, 1_111), Quality()) for at in range(0, len(rows), 1_111)]
    assert pa.concat_tables(parts).combine_chunks().equals(whole.combine_chunks())
    assert whole["reference"].null_count == 5_400


def test_other_types_of_strings_and_broken_utf8():
    plain = table([("What is a café?", "A place.")])
    wanted = clean(plain, Quality())
    for kind in (pa.large_string(), pa.binary(), pa.dictionary(pa.int32(), pa.string())):
        column = plain["instruction"].cast(pa.string()).combine_chunks()
        other = column.dictionary_encode() if pa.types.is_dictionary(kind) else column.cast(kind)
        assert clean(plain.set_column(0, "instruction", other), Quality()).equals(wanted)
    broken = pa.array([b"What is a \xff moth, and why \xed\xa0\x80?"], pa.binary())
    unsafe = pa.Array.from_buffers(pa.string(), 1, broken.buffers())
    (row,) = clean(pa.table({"instruction": unsafe}), Quality()).to_pylist()
    assert row["instruction"].startswith("What is a \ufffd moth")


def found_words(text: str) -> list[str]:
    """Words as the vectorised code has them, for texts in ASCII."""
    return re.findall(r"[a-z0-9]+", text.lower())


ASCII = st.lists(
    st.text("aAbB1 .,-\n", max_size=40)
    | st.sampled_from(["one two one two " * 6, "a " * 20, "aaaa" * 9, "x y z " * 8]),
    min_size=1,
    max_size=6,
)


@settings(max_examples=300, deadline=None)
@given(ASCII)
def test_words_agree_with_a_loop(texts):
    held = words(bytes_of(pa.array(texts)))
    spoken = [found_words(text) for text in texts]
    assert held.counts.tolist() == [len(found) for found in spoken]
    names: dict[int, str] = {}
    for code, word in zip(held.hashes.tolist(), [word for found in spoken for word in found], strict=True):
        assert names.setdefault(code, word) == word
    assert len(set(names.values())) == len(names)


@settings(max_examples=300, deadline=None)
@given(ASCII)
def test_repetition_agrees_with_a_loop(texts):
    wanted = []
    for found in map(found_words, texts):
        shares = [sum(found[i] == found[i - p] for i in range(p, len(found))) / max(len(found), 1) for p in range(1, 9)]
        wanted.append(max(shares) if len(found) >= 16 else 0.0)
    held = bytes_of(pa.array(texts))
    np.testing.assert_allclose(repeated_words(words(held)), wanted)
    letters = [
        sum(a == b and a.isalpha() for a, b in itertools.pairwise(text)) / len(text) if len(text) >= 16 else 0.0
        for text in texts
    ]
    np.testing.assert_allclose(repeated_letters(held), letters)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=40), min_size=1, max_size=6))
def test_kinds_agree_with_a_loop(texts):
    letters, digits, others = kinds(bytes_of(pa.array(texts)))
    for i, text in enumerate(texts):
        assert digits[i] == sum(sign in "0123456789" for sign in text)
        assert letters[i] == sum(not sign.isascii() or sign.isalpha() for sign in text)
        assert others[i] == sum(sign.isascii() and not sign.isalnum() and sign not in " \t\n\r" for sign in text)


def test_compression_agrees_with_zlib():
    texts = ["short", "abc " * 400, "".join(chr(97 + (i * i * 7919) % 26) for i in range(20_000))]
    held = [text.encode()[:8192] for text in texts]
    wanted = [1.0, *(len(zlib.compress(text, 1)) / len(text) for text in held[1:])]
    np.testing.assert_allclose(compressed(bytes_of(pa.array(texts))), wanted)
