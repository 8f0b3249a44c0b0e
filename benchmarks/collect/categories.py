"""Categories beside a keyword baseline: `SELFJ_DATA=FOLDER python -m benchmarks.collect.categories`.

Two sets: rows of the pool that were held out, whose source implies the category; and instructions that people or GPT-4
labelled with topics and tasks, as far as those belong to one category.
"""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.stats import binomtest

from benchmarks.collect.data import data_folder
from benchmarks.result import Figure, print_results
from selfj.collection.categories import CATEGORIES, classify
from selfj.collection.learn_categories import read_known
from selfj.collection.terms import by_keywords

ACADEMIC = """
domain:Math; domain:Natural Science; domain:Health; task:math; topic:medical; scenario:math_reasoning; category:math;
scenario:solving_exam_question_with_math; category:stem; scenario:writing_scientific_paper
"""
CODING = """
domain:Coding; task:coding; scenario:code_generation; scenario:code_correction_rewriting; scenario:explaining_code;
scenario:code_to_code_translation; scenario:code_simplification; category:coding
"""
COMMON = """
topic:lifestyle; topic:ethics; topic:humanities; topic:finance; task:role-play; domain:Culture; domain:Social Science;
domain:History; domain:Humanities; domain:Language; category:roleplay; category:humanities; category:creative_writing;
scenario:chitchat; scenario:writing_cooking_recipe; scenario:seeking_advice; scenario:recommendation; scenario:roleplay;
scenario:writing_song_lyrics; scenario:creative_writing; scenario:writing_email; scenario:planning;
scenario:writing_blog_post; scenario:writing_advertisement; scenario:writing_social_media_post;
scenario:writing_job_application
"""
UNCLEAR = {"domain:Technology", "domain:-1", "topic:stem", "topic:nature"}
"""Labels that could be of two categories: a row with one is left out."""
LABELS = {
    label.strip(): category
    for category, listed in (("academic", ACADEMIC), ("coding", CODING), ("common", COMMON))
    for label in listed.split(";")
}


def labelled(folder: Path) -> list[tuple[str, str]]:
    """Instructions whose labels all belong to one category, with it."""
    found = []
    for row in pq.read_table(folder / "instruction_categories.parquet").to_pylist():
        categories = {LABELS[label] for label in row["labels"] if label in LABELS}
        if len(categories) == 1 and not UNCLEAR & set(row["labels"]):
            found.append((row["instruction"], categories.pop()))
    return found


def figures(folder: Path) -> list[Figure]:
    """Accuracy on both sets, plain and averaged over categories, and rows a second."""
    held = [(row.text, row.category) for row in read_known(folder) if row.held_out]
    texts = pq.read_table(folder / "instruction_pool.parquet", columns=["instruction"]).column(0)
    start = time.perf_counter()
    classify(texts)
    rate = len(texts) / (time.perf_counter() - start)
    return [
        *_compared("category_accuracy", held),
        *_compared("category_labelled", labelled(folder)),
        Figure("category_rows_per_s", rate, "/s", ">= 20000"),
    ]


def _compared(name: str, pairs: Sequence[tuple[str, str]]) -> list[Figure]:
    texts = [text for text, _ in pairs]
    truth = np.array([category for _, category in pairs])
    ours = np.array(classify(pa.array(texts)).to_pylist()) == truth
    base = np.array([by_keywords(text) for text in texts]) == truth
    alike = [f"{name}_balanced", f"{name}_keywords_balanced"]
    return [
        Figure(name, float(ours.mean()), interval=_interval(ours)),
        Figure(f"{name}_keywords", float(base.mean()), interval=_interval(base)),
        *(Figure(metric, _balanced(hits, truth)) for metric, hits in zip(alike, (ours, base), strict=True)),
    ]


def _interval(hits: np.ndarray) -> tuple[float, float]:
    found = binomtest(int(hits.sum()), len(hits)).proportion_ci(method="wilson")
    return float(found.low), float(found.high)


def _balanced(hits: np.ndarray, truth: np.ndarray) -> float:
    return float(np.mean([hits[truth == category].mean() for category in CATEGORIES]))


if __name__ == "__main__":
    print_results("collect_categories", figures(data_folder()))
