"""`SELFJ_DATA=FOLDER python -m benchmarks.encoder [--quick]`: the judge that ships, on what it was not trained on.

* Sanity: complete answers against empty, cut, repeated, off-topic, garbled and refusing ones, made from references of
  held-out instructions of the sources it was trained on, and of sources it never saw. The refusals are others than
  those it was trained on; the other damage is made by the rules that it was trained with. Off-topic is the answer to an
  instruction of another source; answers to other instructions of the same source are reported by themselves
  (`other_answer`), since among short answers they are wrong rather than off the topic. The teacher sees the reference
  whole, in part, or in another form.
* Agreement: Pearson with the score that GPT-4 or a person gave, for every set of labels_pointwise.parquet, beside the
  length of the response and the cosine of MiniLM's vectors (with the reference, or with the instruction without one).
* Short answers: AUROC against human verdicts on three systems of EVOUNA, with the reference in view.

Scores are those of 8-bit integers unless `--engine torch`; their agreement with float32 is measured as well. Large sets
are sampled, seeded. Prints a word and leaves when the data is absent.
"""

import argparse
import math
import os
import random
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from benchmarks.result import Figure, print_results
from selfj.backends import minilm
from selfj.backends.base import JudgeInput
from selfj.backends.cross_encoder import plain_features
from selfj.backends.overlap import words
from selfj.bootstrap import bootstrap
from selfj.general.damage import DAMAGE
from selfj.general.draw import Pool, complete, seen_reference
from selfj.general.pool import SOURCES, Entry, held_out, read_pool
from selfj.judge import Judge, load_judge
from selfj.metrics import auroc, pearson
from selfj.settings import Config, MiniLM

UNSEEN = frozenset((
    "alpaca", "asdiv", "chatdoctor5k", "codealpaca", "covid_dialogue_en", "covid_faq", "javascript_interview",
    "medical_qa_sites", "medication_qa", "piqa", "react_interview", "sciq", "self_instruct_user_oriented",
))  # fmt: skip
KINDS = ("empty", "cut", "repeated", "off_topic", "garbled", "refusing")
OTHER = "other_answer"
REFUSALS = (
    "I won't answer that.",
    "Sorry, that is not something I can talk about.",
    "I must decline this request.",
    "I have no knowledge of this topic, so I am unable to respond.",
    "As a chatbot I'm not allowed to give a reply to such questions.",
    "Not sure.",
    "I'd prefer not to say.",
    "Apologies, but I can't assist you here.",
)
DRAWS = 300
Scores = np.ndarray


@dataclass(frozen=True)
class Case:
    """One answer with what was done to it; the reference is what the teacher sees."""

    group: str
    unseen: bool
    kind: str
    exchange: JudgeInput


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows")
    parser.add_argument("--engine", choices=("torch", "openvino"), default="openvino")
    parser.add_argument("--judge", default="general", help="another judge's folder")
    parser.add_argument("--only", choices=("sanity", "agreement", "short"), help="one part")
    options = parser.parse_args()
    data = Path(os.environ.get("SELFJ_DATA", ""))
    files = ("instruction_pool.parquet", "labels_pointwise.parquet")
    if "SELFJ_DATA" not in os.environ or not all((data / name).is_file() for name in files):
        sys.exit(f"skipped: set SELFJ_DATA to the folder that holds {' and '.join(files)}")
    share = 0.1 if options.quick else 1.0
    started = time.monotonic()
    judge = load_judge(options.judge, Config(embedder=MiniLM(engine=options.engine)))
    figures: list[Figure] = []
    if options.only in (None, "sanity"):
        figures += sanity(judge, options.judge, data, int(200 * share))
    if options.only in (None, "short"):
        figures += short_answers(judge, data, int(1500 * share), options.engine)
    if options.only in (None, "agreement"):
        figures += agreement(judge, data, int(150 * share), options.engine)
    figures.append(Figure("seconds", time.monotonic() - started, "s", "<= 600"))
    print_results("encoder", figures)


def sanity(judge: Judge, name: str, data: Path, rows: int) -> list[Figure]:
    cases = sanity_cases(data, rows)
    with_reference = [case.exchange for case in cases]
    without = [JudgeInput(case.exchange.instruction, case.exchange.response) for case in cases]
    scores = {"student": values(judge, without), "teacher": values(judge, with_reference)}
    groups = np.array([case.group for case in cases])
    good = np.array([case.kind == "complete" for case in cases])
    kinds = np.array([case.kind for case in cases])
    unseen = np.array([case.unseen for case in cases])
    figures = []

    def add(metric: str, who: str, keep: np.ndarray, target: str = "") -> None:
        found = bootstrap(auroc, scores[who][keep], good[keep], groups=groups[keep], draws=DRAWS, seed=0)
        figures.append(Figure(metric, found.value, "", target, (found.low, found.high)))

    everything = kinds != OTHER
    add("sanity_auroc", "student", everything, ">= 0.95")
    add("sanity_auroc_teacher", "teacher", everything, ">= 0.95")
    for who in scores:
        add(f"sanity_auroc_{who}_known_sources", who, ~unseen & everything)
        add(f"sanity_auroc_{who}_unseen_sources", who, unseen & everything)
        for kind in (*KINDS, OTHER):
            add(f"sanity_auroc_{who}_{kind}", who, good | (kinds == kind))
    exact = load_judge(name, Config())
    some = with_reference[:: max(1, len(cases) // 300)] + without[:: max(1, len(cases) // 300)]
    figures.append(Figure("engines_pearson", pearson(values(exact, some), values(judge, some)), "", ">= 0.99"))
    return figures


def sanity_cases(data: Path, rows: int) -> list[Case]:
    known = [entry for entry in read_pool(data, frozenset(SOURCES)) if held_out(entry)]
    strange = read_pool(data, UNSEEN)
    made: list[Case] = []
    for unseen, entries in ((False, known), (True, strange)):
        draw = random.Random(f"sanity {unseen}")
        pool = Pool(entries)
        for entry in evened(entries, rows, draw):
            made += cases_of(entry, pool, draw, unseen=unseen)
    return made


def cases_of(entry: Entry, pool: Pool, draw: random.Random, *, unseen: bool) -> list[Case]:
    text, other = complete(entry, draw), complete(pool.strange(entry, draw), draw)
    found = {"complete": text, "refusing": draw.choice(REFUSALS)}
    for kind in KINDS:
        if kind not in found and (broken := DAMAGE[kind](text, other, draw)) is not None:
            found[kind] = broken[0]
    found[OTHER] = complete(pool.near(entry, draw), draw)
    reference = seen_reference(entry, draw)
    return [
        Case(entry.id, unseen, kind, JudgeInput(entry.instruction, response, reference))
        for kind, response in found.items()
    ]


def evened(entries: Sequence[Entry], rows: int, draw: random.Random) -> list[Entry]:
    """So many entries, as evenly over the sources as they last."""
    by_source: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        by_source[entry.source].append(entry)
    shuffled = {source: draw.sample(own, len(own)) for source, own in sorted(by_source.items())}
    turns = [(place, source) for source, own in shuffled.items() for place in range(len(own))]
    return [shuffled[source][place] for place, source in sorted(turns)[:rows]]


def short_answers(judge: Judge, data: Path, rows: int, engine: str) -> list[Figure]:
    figures = []
    for system in ("fid", "gpt35", "chatgpt"):
        found = sampled(
            labelled(data, lambda row, s=system: row["dataset"] == "evouna_human" and row["model"] == s), rows
        )
        exchanges = [JudgeInput(row["instruction"], row["response"], row["reference"]) for row in found]
        right = np.array([row["score01"] > 0.5 for row in found])
        groups = np.array([row["instruction"] for row in found])
        scores = {
            "judge": values(judge, exchanges),
            "student": values(judge, [JudgeInput(x.instruction, x.response) for x in exchanges]),
            "cosine": cosines(exchanges, engine),
            "contains": np.array([contains(x) for x in exchanges]),
        }
        for name, score in scores.items():
            interval = bootstrap(auroc, score, right, groups=groups, draws=DRAWS, seed=0)
            target = ">= 0.95" if name == "judge" else ""
            figures.append(
                Figure(f"evouna_{system}_{name}_auroc", interval.value, "", target, (interval.low, interval.high))
            )
    return figures


def contains(exchange: JudgeInput) -> float:
    """Whether an alternative of the reference stands in the response, word by word."""
    said = f" {' '.join(words(exchange.response))} "
    pieces = [" ".join(words(piece)) for piece in (exchange.reference or "").split("/")]
    return float(any(piece and f" {piece} " in said for piece in pieces))


def agreement(judge: Judge, data: Path, rows: int, engine: str) -> list[Figure]:
    by_set: dict[tuple[str, str], list[dict]] = defaultdict(list)
    for row in labelled(data, lambda row: True):
        by_set[row["dataset"], row["scorer"]].append(row)
    figures = []
    for (dataset, scorer), all_rows in sorted(by_set.items()):
        found = sampled(all_rows, rows)
        gold = np.array([row["score01"] for row in found])
        groups = np.array([row["instruction"] for row in found])
        scores = {
            "student": values(judge, [JudgeInput(row["instruction"], row["response"]) for row in found]),
            "length": np.array([float(len(row["response"])) for row in found]),
        }
        exchanges = [JudgeInput(row["instruction"], row["response"], row["reference"] or None) for row in found]
        if sum(x.reference is not None for x in exchanges) > len(found) / 2:
            absent = np.array([x.reference is None for x in exchanges])
            scores["teacher"] = np.where(absent, math.nan, values(judge, exchanges))
        scores["cosine"] = cosines(exchanges, engine)
        for name in ("student", "teacher", "cosine", "length"):
            if name in scores:
                interval = bootstrap(pearson, scores[name], gold, groups=groups, draws=DRAWS, seed=0)
                metric = f"{dataset}_{scorer}_{name}_pearson"
                figures.append(Figure(metric, interval.value, "", "", (interval.low, interval.high)))
    return figures


def labelled(data: Path, keep: Callable[[dict], bool]) -> list[dict]:
    columns = ["dataset", "model", "scorer", "instruction", "response", "reference", "score01"]
    rows = pq.read_table(data / "labels_pointwise.parquet", columns=columns).to_pylist()
    return [row for row in rows if keep(row) and row["score01"] is not None]


def sampled(rows: list[dict], most: int) -> list[dict]:
    return rows if len(rows) <= most else random.Random(0).sample(rows, most)


def values(judge: Judge, exchanges: Sequence[JudgeInput]) -> Scores:
    return np.array([math.nan if score.value is None else score.value for score in judge.score(exchanges)])


def cosines(exchanges: Sequence[JudgeInput], engine: str) -> Scores:
    """Cosine with the reference, or with the instruction where there is none, by the un-tuned encoder."""
    plain = plain_features(minilm(MiniLM(engine=engine), MiniLM().max_length), exchanges)
    return np.where([x.reference is None for x in exchanges], plain[:, 0], plain[:, 1]).astype(np.float64)


if __name__ == "__main__":
    main()
