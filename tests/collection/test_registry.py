"""Each entry of the registry reads rows of its data set's own schema; the rows are of this test's making."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from selfj.collection.reading import SourceFile, parts_of, read
from selfj.collection.sources import load

SOURCES = {source.name: source for source in load("self-j")}
STRING, INT = pa.string(), pa.int64()
TEXTS = pa.list_(STRING)
QA = {"INSTRUCTION": "Why?", "RESPONSE": "So.", "SOURCE": "here", "METADATA": "{}"}
# Rows of each data set, what types their columns have where Arrow cannot tell, and what is to come of each row:
# instruction, reference, category.
CASES = {
    "paq": ([{"set": ["who made it", "Ada"]}], {}, [("who made it", "Ada", "common")]),
    "wikianswers": (
        [{"set": ["how tall is it ?", "what is its height ?"]}],
        {},
        [("how tall is it ?", None, "common")],
    ),
    "cqadupstack": (
        [{"_id": "1", "title": "How to root?", "text": "My phone.", "query": "root phone"}],
        {},
        [("How to root?", None, None)],
    ),
    "ms-marco": (
        [
            {"answers": ["Four."], "passages": {"passage_text": ["x"]}, "query": "legs of a cat", "query_id": 1},
            {"answers": ["No Answer Present."], "passages": {"passage_text": []}, "query": "why", "query_id": 2},
            {"answers": [], "passages": {"passage_text": []}, "query": "when", "query_id": 3},
        ],
        {"answers": TEXTS},
        [("legs of a cat", "Four.", "common"), ("why", None, "common"), ("when", None, "common")],
    ),
    "yahoo-answers-topics": (
        [
            {"id": 1, "topic": 4, "question_title": "Which cable?", "question_content": "", "best_answer": "That one."},
            {"id": 2, "topic": 5, "question_title": "Who won?", "question_content": "In May.", "best_answer": ""},
        ],
        {},
        [("Which cable?", "That one.", None), ("Who won?\n\nIn May.", None, "common")],
    ),
    "youtube-subs": ([QA], {}, [("Why?", "So.", "common")]),
    "quora": (
        [{"questions": {"id": [1, 2], "text": ["How do I code?", "How to code?"]}, "is_duplicate": True}],
        {},
        [("How do I code?", None, None)],
    ),
    "stackexchange": (
        [{"title_body": "T B", "upvoted_answer": "good", "downvoted_answer": "bad"}],
        {},
        [("T B", "good", "academic")],
    ),
    "lfqa": ([{"question": "Why?", "answer": "So.", "context": "c"}], {}, [("Why?", "So.", "common")]),
    "yahoo-answers-qa": (
        [{"id": "1", "question": "q", "answer": "a", "nbestanswers": ["a", "b"], "main_category": "Pets"}],
        {},
        [("q", "a", "common")],
    ),
    "mintaka": ([{"id": "a", "lang": "en", "question": "q", "answerText": "a"}], {}, [("q", "a", "common")]),
    "piqa": (
        [{"goal": "g", "sol1": "one", "sol2": "two", "label": 1}, {"goal": "h", "sol1": "x", "sol2": "y", "label": -1}],
        {},
        [("g", "two", "common"), ("h", None, "common")],
    ),
    "wikihow-lists": (
        [{"pageId": 1, "title": "How to Sew", "result": "Thread"}],
        {},
        [("How to Sew", "Thread", "common")],
    ),
    "open-question-type": ([{"id": "1", "question": "Why?", "resolve_type": "cause"}], {}, [("Why?", None, "common")]),
    "stackoverflow": ([{"title": "T", "body": "<p>b</p>", "label": 2}], {}, [("T\n\n<p>b</p>", None, "coding")]),
    "stackoverflow-python": (
        [{"title": "T", "question_id": 1, "question_body": "b", "answer_body": "a", "tags": ["x"]}],
        {},
        [("T\n\nb", "a", "coding")],
    ),
    "staqc": ([{"id": 1, "question_id": 2, "question": "q", "snippet": "x = 1"}], {}, [("q", "x = 1", "coding")]),
    "staqc-several": ([{"question": "q", "snippet": ["x = 1", "y"]}], {}, [("q", "x = 1", "coding")]),
    "staqc-annotated": (
        [{"question": "q", "snippet": {"text": ["x", "y"], "is_sda": [True, False]}}],
        {},
        [("q", "x", "coding")],
    ),
    "conala": (
        [{"question_id": 1, "intent": "sort a list", "rewritten_intent": None, "snippet": "a.sort()"}],
        {"rewritten_intent": STRING},
        [("sort a list", "a.sort()", "coding")],
    ),
    "ubuntu-dialogue-qa": ([QA], {}, [("Why?", "So.", "coding")]),
    "tldr": (
        [{"question_id": "1", "nl": "list files", "cmd": "ls", "oracle_man": ["ls_1"]}],
        {},
        [("list files", "ls", "coding")],
    ),
    "mbpp": (
        [{"task_id": 1, "text": "Add two.", "code": "def f(a, b): ...", "test_list": ["assert f"]}],
        {},
        [("Add two.", "def f(a, b): ...", "coding")],
    ),
    "pubmed-qa": (
        [{"pubid": 1, "question": "Does it?", "context": {"contexts": ["c"]}, "long_answer": "It does."}],
        {},
        [("Does it?", "It does.", "academic")],
    ),
    "medical-dialog": (
        [
            {"description": "sore throat", "utterances": ["patient: sore throat", "doctor: rest"]},
            {"description": "alone", "utterances": ["patient: alone"]},
        ],
        {},
        [("sore throat", "rest", "academic"), ("alone", None, "academic")],
    ),
    "medmcqa": (
        [{"id": "1", "question": "q", "opa": "A", "opb": "B", "opc": "C", "opd": "D", "cop": 2, "exp": "e"}],
        {},
        [("q", "C", "academic")],
    ),
    "stackexchange-math": ([{"title_body": "1+1?", "upvoted_answer": "2"}], {}, [("1+1?", "2", "academic")]),
    "medical-flashcards": ([{"instruction": "Answer", "input": "q", "output": "a"}], {}, [("q", "a", "academic")]),
    "mquad": ([{"question": "q", "answer": "a"}], {}, [("q", "a", "academic")]),
    "qasc": (
        [
            {"id": "1", "question": "q", "choices": {"text": ["x", "y"], "label": ["A", "B"]}, "answerKey": "B"},
            {"id": "2", "question": "r", "choices": {"text": ["x", "y"], "label": ["A", "B"]}, "answerKey": ""},
        ],
        {},
        [("q", "y", "academic"), ("r", None, "academic")],
    ),
    "sciq": ([{"question": "q", "correct_answer": "a", "distractor1": "b"}], {}, [("q", "a", "academic")]),
    "biostars-qa": ([QA], {}, [("Why?", "So.", "academic")]),
    "covid-qa": (
        [{"question": "q", "context": "c", "answers": {"text": ["a"], "answer_start": [3]}}],
        {},
        [("q", "a", "academic")],
    ),
    "medical-questions-pairs": (
        [{"dr_id": 1, "question_1": "q", "question_2": "r", "label": 1}],
        {},
        [("q", None, "academic")],
    ),
}


def test_every_entry_has_rows_of_its_own():
    assert set(CASES) == set(SOURCES)


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
@pytest.mark.parametrize("name", list(CASES))
def test_rows_of_the_data_set(name, form, tmp_path):
    rows, kinds, wanted = CASES[name]
    table = pa.Table.from_pylist(rows)
    for column, kind in kinds.items():
        place = table.schema.get_field_index(column)
        table = table.set_column(place, column, pa.array([row[column] for row in rows], kind))
    path = tmp_path / f"rows.{form}"
    if form == "parquet":
        pq.write_table(table, path)
    else:
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    label = "physics/train/0000.parquet" if name == "stackexchange" else f"default/train/{path.name}"
    [part] = parts_of(SOURCES[name], [SourceFile(path, label, "", 0)], 1000)
    got = read(part).to_pylist()
    assert [(row["instruction"], row["reference"], row["category"]) for row in got] == wanted
    assert [row["position"] for row in got] == list(range(len(rows)))
    assert {row["source"] for row in got} == {name}
    assert {row["error"] for row in got} == {None}


@pytest.mark.parametrize(
    ("label", "category"),
    [
        ("codereview/train/0000.parquet", "coding"),
        ("cooking/train/0000.parquet", "common"),
        ("vi/train/x.parquet", None),
    ],
)
def test_the_site_decides_the_category(label, category, tmp_path):
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.Table.from_pylist(CASES["stackexchange"][0]), path)
    [part] = parts_of(SOURCES["stackexchange"], [SourceFile(path, label, "", 0)], 10)
    assert read(part)["category"].to_pylist() == [category]
