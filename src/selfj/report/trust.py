"""The trust page: how good, how sure, where weak, what it costs. For whoever decides, in two minutes."""

from collections.abc import Mapping
from typing import Any

from selfj.report import Group, Report, text
from selfj.report.grid import Grid, GridCell
from selfj.report.sheet import Block, Fact, Sample, Samples, Words, render_sheet
from selfj.report.text import UNDEFINED, known, number, percent

LEAST_ROWS = 10
"""Rows from which a group is said to be weak."""
_WORST = 6
_SAMPLES = 2


def trust_page(report: Report, audit: Mapping[str, Any] | None = None) -> str:
    """Write the page; the same input gives the same bytes.

    Args:
        report: Of a run.
        audit: The content of an `audit.json` of `selfj audit`; None where its judge was not audited.
    """
    from_gold = report["selective"]["risk_gold"]
    risk = from_gold or report["selective"]["risk"]
    risk_all = report["selective"]["risk_all_gold"] if from_gold else report["selective"]["risk_all"]
    facts = (
        Fact(
            "Answered", percent(report["selective"]["coverage"]["value"]), f"of {report['selective']['n']:,} questions"
        ),
        Fact("Bad among the answered", percent(risk["value"]), f"by {text.gold_name(report)}{_ends(risk)}"),
        Fact("Bad if all were answered", percent(risk_all), "what the assistant would do without a judge"),
    )
    blocks: list[Block] = [
        Words("In one sentence", (conclusion(report),)),
        Words("How good it is", tuple(_good(report))),
        Words("How sure that is", tuple(_sure(report))),
        *_weak(report),
        *_costs(report),
        _audited(audit),
    ]
    lead = f"How far {report['target_model']} can be trusted to answer or decline by this judge: {report['judge']}."
    command = report.get("command") or f"selfj run runs/{report['name']}"
    return render_sheet(
        f"Trust in {report['name']}", lead, blocks, facts=facts, kicker="selfj trust page", command=command
    )


def conclusion(report: Report) -> str:
    """What the figures say to someone who has to decide."""
    selective = report["selective"]
    if selective["infeasible"] is not None:
        return "Not as it stands: no threshold keeps the promise, so every question is declined."
    share = percent(selective["coverage"]["value"])
    if text.promise_kept(report) is False:
        return (
            f"With care: the threshold answers {share}, but on the test questions more of the answers failed than "
            f"promised ({percent(selective['risk']['value'])} against {percent(selective['max_risk'])})."
        )
    if not selective["answered"]:
        return "Not yet: the threshold answers none of the test questions."
    rest = f"answers {share} of the questions and keeps failures among them below {percent(selective['max_risk'])}"
    if from_gold := selective["risk_gold"]:
        value = known(from_gold["value"])
        if value is not None and value > selective["max_risk"]:
            return (
                f"By its own label it {rest}; by {text.gold_name(report)} {percent(value)} of the answers fail, so the "
                "label is kinder than that."
            )
    return f"For questions like those tested: it {rest}, on the test questions as well."


def _good(report: Report) -> list[str]:
    judge = report["methods"].get(text.JUDGE)
    sentences = [text.summary(report)[-1]]
    if judge is not None:
        auroc = text.with_interval(judge["auroc"])
        sentences.append(f"A good answer scores above a failure with a chance of {auroc}; 0.5 would be guessing.")
    for difference in report["differences"]:
        if difference["b"] == "length" and difference["metric"] == "pearson":
            told = {"better": "It sees more than length", "worse": "Plain length does better"}
            start = told.get(text.verdict(difference), "It cannot be told from plain length")
            sentences.append(f"{start} (difference of the correlations {text.with_interval(_interval(difference))}).")
    return sentences


def _sure(report: Report) -> list[str]:
    selective, counts = report["selective"], report["counts"]
    confidence = percent(report.get("interval_confidence") or 0.95, 0)
    sentences = [
        f"Measured on {selective['n']:,} questions that neither trained the judge nor chose the threshold; "
        f"{counts['calibration']:,} others chose it. Intervals hold {confidence} of resamples of the questions.",
        f"Quality is {text.gold_name(report)}; an answer below {number(report['min_quality'], 1)} of 9 is a failure.",
    ]
    missing = sum(counts["failed"].values())
    reasons = ", ".join(f"{n:,} {reason}" for reason, n in sorted(counts["failed"].items()))
    sentences.append(f"{missing:,} rows failed on the way ({reasons})." if missing else "No row failed on the way.")
    unscored = selective["unscored"]
    if unscored:
        sentences.append(f"{unscored:,} test answers have no score; they are declined, not counted as bad.")
    sentences.append(
        "The promise is about many questions like those calibrated on. It says nothing about one answer, and ends when "
        "the questions change: calibrate again then."
    )
    return sentences


def _weak(report: Report) -> list[Block]:
    groups = [entry for entry in report["groups"] if entry["n"] >= LEAST_ROWS and entry["risk"] is not None]
    worst = sorted(groups, key=lambda entry: (-(entry["risk"] or 0.0), entry["group"]))[:_WORST]
    blocks: list[Block] = []
    if worst:
        headers = ("group", "bad among its answered", "bad of all its answers", "answered", "questions")
        note = (
            f"Groups of at least {LEAST_ROWS} questions with an answer, the worst first; small groups vary by chance."
        )
        blocks.append(Grid("Where it is weak", headers, tuple(map(_group, worst)), (note,)))
    else:
        blocks.append(Words("Where it is weak", ("The questions have no groups large enough to tell.",)))
    wrong = [entry for entry in report["examples"]["answered"] if entry["mistake"]]
    wrong.sort(key=lambda entry: -(entry["score"] or 0.0))
    if wrong:
        samples = tuple(
            Sample(
                f"Answered at a score of {number(entry['score'])}",
                (
                    ("Asked", entry["instruction"]),
                    ("Answered", entry["response"]),
                    ("Reference", entry["reference"] or UNDEFINED),
                ),
            )
            for entry in wrong[:_SAMPLES]
        )
        blocks.append(Samples("Answers that should have been declined", samples))
    return blocks


def _group(entry: Group) -> tuple[str, tuple[GridCell, ...]]:
    accuracy = entry["accuracy"]
    shares = (entry["risk"], None if accuracy is None else 1 - accuracy, entry["coverage"])
    return entry["group"], (*(GridCell(words=percent(share)) for share in shares), GridCell(words=f"{entry['n']:,}"))


def _costs(report: Report) -> list[Block]:
    selective = report["selective"]
    failures = known(selective["risk_all_gold"] if selective["risk_gold"] else selective["risk_all"])
    risk = known((selective["risk_gold"] or selective["risk"])["value"])
    coverage = known(selective["coverage"]["value"])
    sentences = []
    if failures is not None and coverage is not None:
        bad_answered = (risk or 0.0) * coverage
        declined, caught = round(100 * (1 - coverage)), round(100 * (failures - bad_answered))
        sentences.append(
            f"Of 100 questions {declined} are declined: {caught} would have been answered badly, "
            f"{max(0, declined - caught)} well. The latter are the price of the promise."
        )
    rows = []
    for timing in report["timings"]:
        seconds, n = known(timing["seconds"]), timing["rows"]
        each = None if seconds is None or not n else 1000 * seconds / n
        rows.append(
            (timing["stage"], (GridCell(seconds, digits=1), GridCell(words=f"{n or 0:,}"), GridCell(each, digits=1)))
        )
    headers = ("stage", "seconds", "rows", "seconds per 1,000")
    table = Grid("Time on the machine that made it", headers, tuple(rows))
    return [Words("What it costs", tuple(sentences or ["Nothing was measured."])), table]


def _audited(audit: Mapping[str, Any] | None) -> Block:
    if audit is None:
        return Words(
            "What sways it besides quality",
            ("Not measured yet: run `selfj audit --run RUN --out RUN/audit`, then evaluate again.",),
        )
    judges = [judge for judge in audit.get("judges", []) if judge.get("quality")]
    rows = []
    for finding in judges[0]["findings"] if judges else []:
        measure = (finding.get("measures") or [None])[0]
        if measure is None:
            rows.append((str(finding["title"]), (GridCell(words=str(finding.get("absent") or UNDEFINED)), GridCell())))
        else:
            value = GridCell(measure["value"], measure["low"], measure["high"])
            rows.append((str(finding["title"]), (value, GridCell(words=str(measure["unit"])))))
    notes = ("Found by `selfj audit`; its page says how each number is read, with an example.",)
    return Grid("What sways it besides quality", ("probe", "value", "unit"), tuple(rows), notes)


def _ends(interval: Mapping[str, Any]) -> str:
    low, high = known(interval["low"]), known(interval["high"])
    return "" if low is None or high is None else f", {percent(low)} to {percent(high)}"


def _interval(difference: Mapping[str, Any]) -> Any:
    return {key: difference[key] for key in ("value", "low", "high")}
