"""`SELFJ_DATA=FOLDER python -m benchmarks.real`: every judge that runs here, on real exchanges.

* pointwise: Pearson with the score that a person, GPT-4 or a correct answer gave, set by set.
* pairwise: share of pairs that a judge orders as the label does, ties half.
* short: right and wrong short answers of three systems (EVOUNA), AUROC against people's verdicts.
* ranking: the AlpacaEval models by mean score, Spearman with their win rates. What sees a reference sees GPT-4's own
  response. `no_null` leaves one entry out: NullModel answers everything with one text that was written to please the
  grader, and leads its leaderboard; a judge that is not taken in ranks it last. `lc` holds length equal.
* best: best of 16 models' outputs for one instruction, mean preference of GPT-4 for the pick less that for a
  random one.

No judge was trained on a label of these sets. Plain measures stand beside the judge that ships. Large sets are sampled,
seeded. Prints a word and leaves when the data is absent.
"""

import argparse
import csv
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.real import data as real
from benchmarks.real.headlines import HEADLINES, SYSTEMS
from benchmarks.result import Figure, print_results
from selfj.backends.base import JudgeInput
from selfj.bootstrap import bootstrap
from selfj.judging.score_cache import ScoreCache
from selfj.judging.scorers import REFERENCE, NamedScorer, load_scorer, score_all
from selfj.metrics import auroc, pearson
from selfj.ranking import rank, rerank
from selfj.terminal import Bars

PLAIN = ("overlap+reference", "coverage+reference", "contains+reference", "length")
ENCODED = ("general", "general+reference", "cosine", "cosine+reference")
FREE = ("coverage+reference", "overlap+reference", "length")
"""What reads no text with MiniLM, so that it can look at all outputs."""
DRAWS = 300
PARTS = ("pointwise", "pairwise", "short", "ranking", "best")
CANDIDATES = 16
NULL = "NullModel"


class Desk:
    """What all parts share: the scorers, what is kept of their scores, and the person who watches."""

    def __init__(self, folder: Path, overrides: Sequence[str], bars: Bars) -> None:
        self.folder, self.overrides, self.bars = folder, overrides, bars
        self.scorers = {name: load_scorer(name, overrides) for name in (*ENCODED, *PLAIN)}

    def score(self, scorer: NamedScorer, inputs: Sequence[JudgeInput]) -> np.ndarray:
        with closing(ScoreCache(self.folder / "scores.sqlite")) as cache:
            return score_all(scorer, inputs, cache, self.bars).values


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="some parts")
    parser.add_argument("--rows", type=int, default=150, help="most rows of a set")
    parser.add_argument("--instructions", type=int, default=40, help="of AlpacaEval, for judges that read with MiniLM")
    parser.add_argument("--out", type=Path, help="keep scores in this folder, and go on with those there")
    parser.add_argument("--engine", choices=("torch", "openvino"), default="openvino")
    options = parser.parse_args()
    data = real.find_data()
    share = 10 if options.quick else 1
    started = time.monotonic()
    bars = Bars()
    with tempfile.TemporaryDirectory(prefix="selfj-real-") as folder:
        desk = Desk(options.out or Path(folder), [f"embedder.engine={options.engine}"], bars)
        figures: list[Figure] = []
        if "pointwise" in options.only:
            figures += pointwise(desk, real.pointwise(data, options.rows // share))
        if "pairwise" in options.only:
            figures += pairwise(desk, real.pairwise(data, options.rows // share))
        if "short" in options.only:
            figures += short(desk, real.short_answers(data, 4 * options.rows // share))
        if "ranking" in options.only:
            figures += ranking(desk, real.outputs(data, 805 // share), FREE)
            figures += ranking(desk, real.outputs(data, options.instructions // share), ENCODED)
        if "best" in options.only:
            figures += best(desk, real.outputs(data, 805 // share), FREE)
            figures += best(desk, real.outputs(data, options.instructions // share), ENCODED)
    bars.close()
    figures.append(Figure("seconds", time.monotonic() - started, "s"))
    print_results("real", headlines(figures))


def pointwise(desk: Desk, sets: Sequence[real.Labelled]) -> list[Figure]:
    figures = []
    for found in sets:
        for name, scorer in desk.scorers.items():
            scores = desk.score(scorer, found.exchanges)
            if np.isnan(scores).mean() < 0.5:
                interval = bootstrap(pearson, scores, found.gold, groups=found.groups, draws=DRAWS, seed=0)
                figures.append(_figure(f"{found.name}_{_word(name)}_pearson", interval))
    return figures


def pairwise(desk: Desk, sets: Sequence[real.Pairs]) -> list[Figure]:
    figures = []
    for found in sets:
        for name, scorer in desk.scorers.items():
            first, second = desk.score(scorer, found.first), desk.score(scorer, found.second)
            if np.isnan(first).mean() < 0.5:
                interval = bootstrap(
                    agreement, first, second, found.preferred, groups=found.groups, draws=DRAWS, seed=0
                )
                figures.append(_figure(f"{found.name}_{_word(name)}_accuracy", interval))
    return figures


def agreement(first: np.ndarray, second: np.ndarray, preferred: np.ndarray) -> float:
    """Share of decided pairs that the scores order alike, equal scores half; pairs without a score are left out."""
    kept = (preferred != 0.5) & ~np.isnan(first) & ~np.isnan(second)
    if not kept.any():
        return float("nan")
    said = (np.sign(first - second) + 1) / 2
    return float(1 - np.abs(said - preferred)[kept].mean())


def short(desk: Desk, sets: Sequence[real.Labelled]) -> list[Figure]:
    figures, seen = [], []
    for found in sets:
        right = found.gold > 0.5
        for name, scorer in desk.scorers.items():
            scores = desk.score(scorer, found.exchanges)
            interval = bootstrap(auroc, scores, right, groups=found.groups, draws=DRAWS, seed=0)
            target = ">= 0.95" if name == "general+reference" else ""
            figures.append(_figure(f"evouna_{found.name}_{_word(name)}_auroc", interval, target))
            if name == "general":
                seen.append((scores, found.gold, np.char.add(f"{found.name} ", found.groups.astype(str))))
    scores, gold, groups = (np.concatenate(parts) for parts in zip(*seen, strict=True))
    interval = bootstrap(pearson, scores, gold, groups=groups, draws=DRAWS, seed=0)
    return [*figures, _figure("evouna_pearson_without_reference", interval)]


def ranking(desk: Desk, found: real.Outputs, names: Sequence[str]) -> list[Figure]:
    figures = []
    for version, rates in found.win_rates.items():
        for suffix, left in (("", ()), ("_no_null", (NULL,))):
            if suffix and NULL not in rates:
                continue
            wanted = {model: rate for model, rate in rates.items() if model not in left}
            rows = desk.folder / f"{version}{suffix}_{len(set(found.instructions))}.parquet"
            board = desk.folder / f"{version}{suffix}.csv"
            write_outputs(found, rows, set(wanted))
            with board.open("w", newline="") as file:
                csv.writer(file).writerows([("model", "win_rate"), *wanted.items()])
            made = rank(
                [rows],
                names,
                leaderboard=board,
                out=desk.folder,
                overrides=desk.overrides,
                draws=DRAWS,
                progress=desk.bars,
            )
            for entry in made.agreement:
                if entry.scorer not in names:
                    continue
                kind = "_lc" if entry.controlled else ""
                metric = f"alpacaeval_{version}{suffix}_{_word(entry.scorer)}{kind}_spearman"
                figures.append(_figure(metric, entry.spearman))
    return figures


def write_outputs(found: real.Outputs, path: Path, models: set[str]) -> None:
    kept = [place for place, model in enumerate(found.models) if model in models]
    texts = [found.exchanges[place] for place in kept]
    table = {
        "model": found.models[kept].tolist(),
        "instruction": [item.instruction for item in texts],
        "response": [item.response for item in texts],
        "reference": [item.reference for item in texts],
    }
    pq.write_table(pa.table(table), path)


def best(desk: Desk, found: real.Outputs, names: Sequence[str]) -> list[Figure]:
    """Gain in GPT-4's preference from picking one of 16 outputs, and from the longest and the best of them."""
    figures = []
    for version, preferences in found.preferences.items():
        rows = candidates(found, preferences)
        path = desk.folder / f"best_{version}_{len(set(found.instructions))}.parquet"
        pq.write_table(pa.Table.from_pylist(rows), path)
        made = rerank(
            [path],
            names,
            gold="preference",
            out=desk.folder,
            overrides=desk.overrides,
            draws=DRAWS,
            progress=desk.bars,
        )
        for curve in made.curves:
            if curve.scorer in names or (names == FREE and curve.scorer == "oracle"):
                figures.append(_figure(f"best_of_16_{version}_{_word(curve.scorer)}_gain", curve.points[-1].gain))
    return figures


def candidates(found: real.Outputs, preferences: dict[tuple[str, int], float]) -> list[dict]:
    """For each instruction 16 annotated outputs, drawn by a seed."""
    by_instruction: dict[int, list[int]] = {}
    for place, (model, number) in enumerate(zip(found.models, found.instructions, strict=True)):
        if (model, number) in preferences and model != NULL:
            by_instruction.setdefault(int(number), []).append(place)
    made = []
    for number, places in sorted(by_instruction.items()):
        if len(places) < CANDIDATES:
            continue
        for place in np.random.default_rng(number).permutation(places)[:CANDIDATES]:
            item = found.exchanges[place]
            made.append(
                {
                    "model": str(found.models[place]),
                    "instruction": item.instruction,
                    "response": item.response,
                    "reference": item.reference,
                    "preference": preferences[found.models[place], number],
                }
            )
    return made


def headlines(figures: Sequence[Figure]) -> list[Figure]:
    known = {figure.metric: figure for figure in figures}
    made = []
    for metric, (name, target) in HEADLINES.items():
        found = [known[full] for system in SYSTEMS if (full := name.format(system)) in known]
        if found:
            lowest = min(found, key=lambda figure: figure.value)
            made.append(Figure(metric, lowest.value, lowest.unit, target, lowest.interval))
    return [*made, *figures]


def _figure(metric: str, interval, target: str = "") -> Figure:
    return Figure(metric, interval.value, "", target, (interval.low, interval.high))


def _word(name: str) -> str:
    return name.replace(REFERENCE, "_reference")


if __name__ == "__main__":
    main()
