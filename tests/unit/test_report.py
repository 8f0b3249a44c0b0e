"""The report: page, figures, table and words, on reports of every awkward kind."""

import copy
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from selfj.report import Report, figures, page, text

TITLES = {
    "self_j": ("Self-J", "without reference", 0.76),
    "judge_cosine": ("Judge (cosine)", "without reference", 0.72),
    "judge_self_eval": ("Judge (self-eval)", "without reference", 0.68),
    "ppl": ("Perplexity (PPL)", "without reference", 0.55),
    "vro": ("Variation of answers (VRO)", "without reference", 0.51),
    "self_eval": ("Self-evaluation", "without reference", -0.12),
    "length": ("Response length", "without reference", 0.08),
    "random": ("Random", "without reference", 0.0),
    "z": ("Label z", "with reference", 0.88),
    "self_eval_reference": ("Self-evaluation, reference in view", "with reference", 0.73),
    "cosine": ("Cosine", "with reference", 0.85),
    "self_j_teacher": ("Self-J teacher", "with reference", 0.86),
    "oracle": ("Oracle", "bounds", 1.0),
}
FAMILIES = {
    "common": [
        "capitals",
        "currencies",
        "calendar dates",
        "units of length",
        "opposites",
        "plurals",
        "colours mixed",
    ],
    "coding": [
        "python slices",
        "boolean logic",
        "regular expressions",
        "binary numbers",
        "string methods",
        "sorting",
    ],
    "academic": [
        "addition",
        "multiplication",
        "percentages",
        "elements",
        "planets",
        "grammar",
        "roman numerals",
    ],
}


def interval(value: float | None, width: float = 0.04) -> dict[str, float | None]:
    if value is None:
        return {"value": None, "low": None, "high": None}
    return {"value": value, "low": max(-1.0, value - width), "high": min(1.0, value + 0.9 * width)}


def make_report(seed: int = 0, n: int = 600) -> Any:
    """Draw a report like that of a demo run, from simulated qualities and scores."""
    rng = np.random.default_rng(seed)
    gold = np.where(rng.random(n) < 0.57, 9.0, rng.integers(0, 5, n)).astype(float)
    scores: dict[str, Any] = {}
    for key, (_, _, pearson) in TITLES.items():
        noise = rng.standard_normal(n)
        standard = (gold - gold.mean()) / (gold.std() or 1.0)
        scores[key] = 4.9 + 2.6 * (pearson * standard + np.sqrt(max(0, 1 - pearson**2)) * noise)
    judge = np.clip(scores["self_j"], 0, 9)
    threshold, bad = 6.1, gold < 5
    answered = judge >= threshold
    methods, curves = {}, {}
    for key, (title, group, pearson) in TITLES.items():
        quality = key not in ("ppl", "vro", "length", "random")
        methods[key] = {
            "title": title, "group": group, "n": n - 5, "missing": 5,
            "pearson": interval(pearson), "spearman": interval(pearson * 0.95),
            "kendall": interval(pearson * 0.7),
            "auroc": interval(0.5 + pearson / 2), "aurc": interval(0.4 - 0.3 * pearson),
            "prr": interval(pearson * 0.98), "ece": interval(0.2 - pearson / 8, 0.01) if quality else None,
        }  # fmt: skip
        order = np.argsort(-scores[key], kind="stable")
        risk = np.cumsum(bad[order]) / np.arange(1, n + 1)
        keep = np.unique(np.linspace(0, n - 1, 200).astype(int))
        curves[key] = {"coverage": ((keep + 1) / n).tolist(), "risk": risk[keep].tolist()}
    edges = np.linspace(0, 9, 19)
    groups = []
    for category, names in FAMILIES.items():
        for index, name in enumerate(names):
            skill = 0.95 - 0.13 * index
            groups.append({
                "group": name, "category": category, "n": 30, "accuracy": skill,
                "coverage": max(0.0, skill - 0.1), "pearson": 0.6 if index else None,
                "risk": (1 - skill) * 0.2 if skill > 0.2 else None,
            })  # fmt: skip
    share = float(answered.mean())
    risk_gold = float(bad[answered].mean()) if answered.any() else None
    return {
        "schema": "report/1", "name": "demo", "seed": seed,
        "created_with": {"selfj": "0.1.0", "numpy": "2.4.6"}, "label": "z", "min_quality": 5.0,
        "gold": {"name": "selfj.world:quality", "description": "the truth of the embedded world"},
        "target_model": "package:selfj.world.model", "judge": "Self-J, LoRA on the target model",
        "counts": {"instructions": 3000, "responses": 3000, "train": 1800, "calibration": 600, "test": n,
                   "failed": {"too_long": 2, "unparsed": 3}},
        "methods": methods,
        "differences": [
            {"a": "self_j", "b": key, "metric": "pearson", "value": d, "low": d - 0.06, "high": d + 0.05}
            for key, d in [("ppl", 0.21), ("vro", 0.25), ("self_eval", 0.88), ("judge_cosine", 0.04)]
        ],
        "selective": {
            "threshold": threshold, "max_risk": 0.1, "confidence": 0.95, "label": "z", "n": n,
            "coverage": interval(share), "unscored": 5, "infeasible": None,
            "risk": interval(0.071, 0.02), "risk_all": 0.44, "risk_gold": interval(risk_gold, 0.02),
            "risk_all_gold": float(bad.mean()),
            "answered": int(answered.sum()), "declined": int((~answered).sum()) - 5,
        },
        "curves": curves,
        "threshold_point": {"coverage": share, "risk": risk_gold},
        "calibration": {"bins": [
            {"predicted": judge[m].mean() / 9, "observed": gold[m].mean() / 9, "n": int(m.sum())}
            for k in range(9) if (m := (judge >= k) & (judge <= k + 1)).any()
        ]},
        "histogram": {"edges": edges.tolist(), "good": np.histogram(judge[~bad], edges)[0].tolist(),
                      "bad": np.histogram(judge[bad], edges)[0].tolist()},
        "groups": groups,
        "examples": {
            "answered": [
                example("What is the capital of Peru?", "Lima", "Lima", 8.4, 9.0, "common", False),
                example("Write 14 in binary.", "1110", "1110", 7.9, 9.0, "coding", False),
                example("What is 17 times 6?", "112", "102", 6.6, 2.0, "academic", True),
            ],
            "declined": [
                example("Which metal has the symbol Sn?", "silver", "tin", 2.1, 0.0, "academic", False),
                example("What is 'abcdef'[1:4]?\nOne word.", "bcd", "bcd", 5.2, 9.0, "coding", True),
                example("Sort: " + "pear, fig, " * 60, "fig", None, 1.0, 1.0, "coding", False),
            ],
        },
        "timings": [
            {"stage": stage, "seconds": seconds, "rows": rows}
            for stage, seconds, rows in [("sample", 83.0, 3000), ("tune", 121.5, 1800), ("evaluate", 3.4, 0)]
        ],
        "interval_confidence": 0.95, "command": "selfj run demo", "settings": 'name = "demo"\nseed = 0\n',
    }  # fmt: skip


def example(
    instruction: str,
    response: str,
    reference: str | None,
    score: float,
    gold: float,
    category: str,
    mistake: bool,
) -> dict[str, Any]:
    return {
        "instruction": instruction, "response": response, "reference": reference, "score": score,
        "gold": gold, "z": min(9.0, gold + 0.4), "category": category, "mistake": mistake,
    }  # fmt: skip


def infeasible() -> Any:
    report = make_report(1)
    report["selective"].update(
        threshold=None,
        coverage=interval(0.0),
        risk=interval(None),
        risk_gold=interval(None),
        answered=0,
        declined=595,
        infeasible="even the 200 answers with the highest scores fail in 31 % of cases",
    )
    report["threshold_point"] = None
    report["examples"]["answered"] = []
    return report


def calibrated_on_gold() -> Any:
    report = make_report(2)
    report["label"] = report["selective"]["label"] = "grade"
    report["gold"] = {"name": "grade", "description": ""}
    report["selective"].update(risk_gold=None, risk_all_gold=None)
    return report


def no_groups() -> Any:
    report = make_report(3)
    report["groups"] = []
    for shown in report["examples"].values():
        for entry in shown:
            entry["category"] = None
    for key in ("interval_confidence", "command", "settings"):
        del report[key]
    return report


def nothing_known() -> Any:
    """Give a report in which every value that can be undefined is, half of them as NaN."""
    report = make_report(4)

    def blank(tree: Any, flip: bool = False) -> Any:
        if isinstance(tree, dict):
            keep = (
                "n",
                "missing",
                "max_risk",
                "confidence",
                "answered",
                "declined",
                "unscored",
                "mistake",
                "rows",
            )
            return {k: v if k in keep else blank(v, i % 2 == 0) for i, (k, v) in enumerate(tree.items())}
        if isinstance(tree, list):
            return [blank(entry) for entry in tree]
        return (float("nan") if flip else None) if isinstance(tree, float) else tree

    for key in ("methods", "differences", "selective", "calibration", "groups", "examples", "timings"):
        report[key] = blank(report[key])
    report["curves"], report["threshold_point"] = {}, None
    report["histogram"] = {"edges": [], "good": [], "bad": []}
    return report


def empty() -> Any:
    report = nothing_known()
    report.update(methods={}, differences=[], groups=[], timings=[], calibration={"bins": []}, created_with={})
    report["examples"] = {"answered": [], "declined": []}
    report["counts"] = dict.fromkeys(report["counts"], 0) | {"failed": {}}
    report["selective"].update(answered=0, declined=0, unscored=0, n=0)
    return report


def one_row() -> Any:
    report = make_report(5, n=1)
    report["selective"].update(declined=1 - report["selective"]["answered"], unscored=0)
    if not report["selective"]["answered"]:
        report["selective"].update(risk=interval(None), risk_gold=interval(None))
    for method in report["methods"].values():
        method.update({m.key: interval(None) for m in text.METRICS}, n=1, missing=0)
    report["groups"] = report["groups"][:1]
    return report


def hostile() -> Any:
    evil = "<script>alert('x')</script> $\\frac{ & \"quoted\" 漢字 \u202e\x1b[2J {{ 7*7 }}"
    report = make_report(6)
    report.update(name=evil, target_model=evil, judge=evil, command=evil, settings=evil)
    report["gold"] = {"name": evil, "description": evil}
    report["label"] = report["selective"]["label"] = evil
    report["methods"]["ppl"]["title"] = evil
    report["counts"]["failed"] = {evil: 3}
    report["created_with"][evil] = evil
    report["timings"][0]["stage"] = evil
    for entry in report["groups"]:
        entry.update(group=evil + entry["group"], category=evil)
    for shown in report["examples"].values():
        for entry in shown:
            entry.update(instruction=evil, response=evil, reference=evil, category=evil)
    return report


def many_groups() -> Any:
    report = make_report(7)
    base = report["groups"][2]
    report["groups"] = [base | {"group": f"family {i}", "category": None, "n": 100 - i} for i in range(70)]
    return report


KINDS = [
    make_report, infeasible, calibrated_on_gold, no_groups, nothing_known, empty, one_row, hostile,
    many_groups,
]  # fmt: skip
VOID = {"meta", "link", "br", "hr", "img", "input"}


class Reader(HTMLParser):
    """Check that tags are balanced, and collect ids, resources and text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.links += [
            value or "" for name, value in attrs if name in ("src", "href", "xlink:href", "srcset", "action")
        ]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag


def read(report: Report) -> tuple[str, Reader]:
    written = page.render(report)
    reader = Reader()
    reader.feed(written)
    reader.close()
    assert not reader.open
    return written, reader


@pytest.mark.parametrize("make", KINDS, ids=lambda make: make.__name__)
def test_page_is_whole_and_needs_nothing_else(make: Any) -> None:
    written, reader = read(make())
    assert len(reader.ids) == len(set(reader.ids))
    assert {link[1:] for link in reader.links if link.startswith("#")} <= set(reader.ids)
    assert all(link.startswith("#") for link in reader.links)
    assert not reader.tags & {"script", "link", "iframe", "img", "object", "embed", "form"}
    assert not [name for name in reader.attributes if name.startswith("on")]
    assert "@import" not in written
    assert set(re.findall(r"url\((.)", written)) <= {"#"}
    assert "nan" not in re.sub(r"<[^>]*>", " ", written).lower().split()
    assert "None" not in re.sub(r"<style>.*?</style>", "", written, flags=re.S)
    assert len(written.encode()) < 1_500_000


@pytest.mark.parametrize("make", KINDS, ids=lambda make: make.__name__)
def test_words_and_tables_on_every_kind(make: Any) -> None:
    report = make()
    assert 4 <= len(text.summary(report)) <= 7
    headers, rows = text.table(report)
    assert all(len(row) == len(headers) for row in rows)
    assert len(rows) == len(report["methods"])
    assert "nan" not in json.dumps([text.summary(report), rows]).lower().split()
    assert "None" not in text.markdown(report)


def test_page_is_deterministic_and_leaves_the_report_alone() -> None:
    report = make_report()
    before = copy.deepcopy(report)
    assert page.render(report) == page.render(json.loads(json.dumps(report)))
    assert report == before


def test_user_text_is_escaped() -> None:
    written, reader = read(hostile())
    assert "script" not in reader.tags
    assert "<script" not in written
    assert "&lt;script&gt;alert" in written
    assert "{{ 7*7 }}" in written
    assert "<script" not in text.markdown(hostile())
    assert not {"\u202e", "\x1b"} & set(written + "".join(text.summary(hostile())))


def test_page_shows_the_three_numbers() -> None:
    report = make_report()
    report["selective"].update(coverage=interval(0.618), risk_gold=interval(0.078), risk_all_gold=0.427)
    written, _ = read(report)
    big = [re.sub(r"\s|\u00a0", "", found) for found in re.findall(r'class="big">(.*?)<', written)]
    assert big == ["61.8%", "7.8%", "≤10%"]
    assert "Kept on these test questions" in written


def test_page_tells_mistakes_in_words() -> None:
    written, _ = read(make_report())
    for words in (
        "right, the answer is good",
        "this failure got through",
        "right, the answer is a failure",
        "the answer was good",
    ):
        assert words in written


def test_summary_says_what_happened() -> None:
    report = make_report()
    report["selective"].update(answered=371, declined=222, unscored=7, n=600, coverage=interval(0.61833))
    report["selective"].update(risk=interval(0.07), risk_all=0.44, risk_gold=interval(0.078), risk_all_gold=0.427)
    told = " ".join(text.summary(report))
    for words in (
        "600 test questions", "57.3 % of its answers are good", "at most 10 % fail, with 95 % confidence",
        "371 of 600 questions were answered (61.8 %)", "222 declined because the judge's score was below 6.1",
        "7 declined because the judge gave no usable score", "7 % (3 % to 10.6 %) fail by the label z",
        "44 % would", "7.8 %", "42.7 %", "independently", "0.76", "Perplexity (PPL), at 0.55",
        "the judge is better",
    ):  # fmt: skip
        assert words in told


def test_summary_of_an_infeasible_run_gives_remedies() -> None:
    told = " ".join(text.summary(infeasible()))
    assert "every question is declined" in told
    assert "31 % of cases" in told
    assert "more calibration rows" in told
    written, _ = read(infeasible())
    assert "No threshold can promise this" in written
    assert "Everything is declined" in written


def test_summary_admits_an_exceeded_promise() -> None:
    report = make_report()
    report["selective"]["risk"] = interval(0.14)
    assert "more than promised" in " ".join(text.summary(report))
    assert "Exceeded on these test questions" in page.render(report)


def test_table_shows_undefined_as_a_dash_and_never_as_zero() -> None:
    _, rows = text.table(nothing_known())
    assert {cell for row in rows for cell in row[1:8]} == {"–"}
    _, rows = text.table(make_report())
    length = next(row for row in rows if row[0] == "Response length")
    assert length[7] == "–"
    assert length[1] == "0.08 [0.04, 0.12]"


def test_table_order_and_best() -> None:
    report = make_report()
    assert [row[0] for row in text.table(report).rows][:2] == ["Self-J", "Judge (cosine)"]
    assert [row[0] for row in text.table(report).rows][-2:] == ["Oracle", "Random"]
    winners = text.best(report)
    assert ("self_j", "aurc") in winners
    assert ("z", "pearson") in winners
    assert not [key for key, _ in winners if key in text.BOUNDS]
    assert "| **0.76 [0.72, 0.80]** |" in text.markdown(report)


@pytest.mark.parametrize(
    ("value", "low", "high", "metric", "expected"),
    [
        (0.2, 0.1, 0.3, "pearson", "better"), (-0.2, -0.3, -0.1, "pearson", "worse"),
        (0.0, -0.1, 0.1, "auroc", "not told apart"), (-0.2, -0.3, -0.1, "aurc", "better"),
        (0.2, None, None, "pearson", "–"),
    ],
)  # fmt: skip
def test_verdict(value: float, low: float | None, high: float | None, metric: str, expected: str) -> None:
    entry = {"a": "x", "b": "y", "metric": metric, "value": value, "low": low, "high": high}
    assert text.verdict(entry) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (text.number(-0.001), "0.00"), (text.number(-0.31), "−0.31"), (text.number(float("inf")), "–"),
        (text.number(0.2, signed=True), "+0.20"), (text.percent(1.0), "100 %"), (text.percent(0.0), "0 %"),
        (text.percent(float("nan")), "–"), (text.duration(9.97), "10 s"), (text.duration(None), "–"),
        (text.duration(59.6), "1 min 00 s"), (text.duration(7200), "2 h 00 min"),
    ],
)  # fmt: skip
def test_numbers(written: str, expected: str) -> None:
    assert written == expected


def test_fold_pools_the_smallest_groups() -> None:
    kept = figures.fold(many_groups()["groups"])
    assert len(kept) == figures.MAX_GROUPS
    assert kept[-1]["group"] == "31 smaller groups"
    assert sum(entry["n"] for entry in kept) == sum(100 - i for i in range(70))
    assert kept[-1]["accuracy"] == pytest.approx(0.69)


def test_svg_follows_the_colours_of_the_page() -> None:
    for name in figures.PALETTE:
        assert len(re.findall(rf"--{name}: #", page.style())) == 2, f"--{name} needs a light and a dark value"
    svg = figures.to_svg(figures.risk_coverage(make_report()), label="a <b>")
    assert 'aria-label="a &lt;b&gt;"' in svg
    assert "var(--judge" in svg
    bare = re.sub(r"var\(--\w+, #[0-9a-f]{6}\)", "", svg)
    assert not re.findall(r"(?:fill|stroke): ?#[0-9a-f]{6}", bare)


@pytest.mark.parametrize("width", [figures.WIDE, figures.NARROW])
@pytest.mark.parametrize("name", ["risk_coverage", "calibration", "score_histogram", "methods", "groups"])
def test_png_is_written(name: str, width: int, tmp_path: Path) -> None:
    figures.to_png(getattr(figures, name)(make_report(), width=width), tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
