"""A report in words and as a plain table, for the terminal and for Markdown."""

import math
import re
from collections.abc import Iterable
from typing import NamedTuple, cast

from selfj.report import Difference, Interval, Method, Report

UNDEFINED = "–"
JUDGE = "self_j"
"""Key of the method that decides."""
BOUNDS = ("random", "oracle")
"""The floor and the ceiling of any method."""
GROUPS = ("without reference", "with reference", "bounds")


class Metric(NamedTuple):
    """A column of the table of methods."""

    key: str
    title: str
    lower_is_better: bool
    meaning: str


METRICS = (
    Metric("pearson", "Pearson", False, "linear correlation of the score with the quality, −1 to 1"),
    Metric("spearman", "Spearman", False, "correlation of the ranks, −1 to 1"),
    Metric("kendall", "Kendall", False, "agreement over pairs of answers, −1 to 1"),
    Metric("auroc", "AUROC", False, "chance that a good answer scores above a failure; 0.5 is guessing"),
    Metric("aurc", "AURC", True, "mean failure rate over all shares answered"),
    Metric("prr", "PRR", False, "the same, rescaled so that random is 0 and the oracle is 1"),
    Metric(
        "ece",
        "ECE",
        True,
        "mean gap between score and quality, as a share of the scale; only for scores on that scale",
    ),
)

REMEDIES = (
    "accept a higher max_risk or a lower confidence",
    "collect more calibration rows",
    "lower min_quality if a weaker answer is good enough",
    "improve the judge or the model",
)


class Table(NamedTuple):
    """Headers and rows of equal length, all text."""

    headers: list[str]
    rows: list[list[str]]


def known(value: float | None) -> float | None:
    """Give the value, or None where it is undefined (None, NaN or infinite)."""
    return value if value is not None and math.isfinite(value) else None


def number(value: float | None, digits: int = 2, *, signed: bool = False) -> str:
    """Write a number with fixed decimals and a true minus sign; an en dash when undefined.

    Example:
        >>> number(0.745), number(-1.5, 1), number(float("nan"))
        ('0.74', '−1.5', '–')
    """
    found = known(value)
    if found is None:
        return UNDEFINED
    written = f"{found:+.{digits}f}" if signed else f"{found:.{digits}f}"
    if float(written) == 0:
        written = f"{0:.{digits}f}"
    return written.replace("-", "−")


def percent(share: float | None, digits: int = 1) -> str:
    """Write a share in [0, 1] as a percentage, without trailing zeros; an en dash when undefined.

    Example:
        >>> percent(0.1), percent(0.1234), percent(None)
        ('10 %', '12.3 %', '–')
    """
    found = known(share)
    if found is None:
        return UNDEFINED
    written = f"{100 * found:.{digits}f}"
    return (written.rstrip("0").rstrip(".") if "." in written else written) + " %"


def span(interval: Interval | Difference | None, digits: int = 2) -> str:
    """Write the two ends of an interval, `0.70 to 0.78`; empty when undefined."""
    if interval is None or known(interval["low"]) is None or known(interval["high"]) is None:
        return ""
    return f"{number(interval['low'], digits)} to {number(interval['high'], digits)}"


def with_interval(interval: Interval | None, digits: int = 2) -> str:
    """Write a value and its interval, `0.74 [0.70, 0.78]`; an en dash when undefined."""
    if interval is None or known(interval["value"]) is None:
        return UNDEFINED
    value = number(interval["value"], digits)
    if not span(interval):
        return value
    return f"{value} [{number(interval['low'], digits)}, {number(interval['high'], digits)}]"


def duration(seconds: float | None) -> str:
    """Write a wall time for people.

    Example:
        >>> duration(0.42), duration(83), duration(5000)
        ('0.4 s', '1 min 23 s', '1 h 23 min')
    """
    found = known(seconds)
    if found is None:
        return UNDEFINED
    if found < 9.95:
        return f"{found:.1f} s"
    whole = round(found)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def plain(text: str) -> str:
    """Show what could steer a terminal or turn the direction of the words around it as a replacement sign."""
    return re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", "\ufffd", text)


def metric(method: Method, key: str) -> Interval | None:
    """Give a method's interval for the metric with this key."""
    return cast(dict[str, Interval | None], method)[key]


def value_of(method: Method, key: str) -> float | None:
    """Give a method's value for the metric with this key; None when undefined."""
    found = metric(method, key)
    return None if found is None else known(found["value"])


def grouped(report: Report) -> list[tuple[str, list[str]]]:
    """Sort the keys of the methods into groups, each by falling Pearson, floor and ceiling last."""
    methods = report["methods"]

    def place(key: str) -> str:
        return "bounds" if key in BOUNDS else methods[key]["group"]

    def rank(key: str) -> tuple[bool, float]:
        value = value_of(methods[key], "pearson")
        return value is None, -(value or 0.0)

    found = [(group, sorted((key for key in methods if place(key) == group), key=rank)) for group in GROUPS]
    return [(group, keys) for group, keys in found if keys]


def best(report: Report) -> set[tuple[str, str]]:
    """Find the pairs (method, metric) that are best in their group, floor and ceiling left out."""
    winners: set[tuple[str, str]] = set()
    for group, keys in grouped(report):
        if group == "bounds":
            continue
        for column in METRICS:
            values = {key: value_of(report["methods"][key], column.key) for key in keys}
            defined = [value for value in values.values() if value is not None]
            if len(defined) > 1:
                top = min(defined) if column.lower_is_better else max(defined)
                winners |= {(key, column.key) for key, value in values.items() if value == top}
    return winners


def table(report: Report) -> Table:
    """Lay out the methods as text: one row per method, one column per metric, Pearson with its interval."""
    headers = ["method", *(f"{m.title} ↓" if m.lower_is_better else m.title for m in METRICS), "n", "missing"]
    rows = []
    for group, keys in grouped(report):
        for key in keys:
            method = report["methods"][key]
            title = f"{method['title']} *" if group == "with reference" else method["title"]
            cells = [with_interval(method["pearson"])]
            cells += [number(value_of(method, column.key)) for column in METRICS[1:]]
            rows.append([plain(title), *cells, f"{method['n']:,}", f"{method['missing']:,}"])
    return Table(headers, rows)


def markdown(report: Report) -> str:
    """Write the summary and the table of methods as Markdown."""
    headers, rows = table(report)
    keys = [key for _, keys in grouped(report) for key in keys]
    winners = best(report)
    lines = [f"# {inline(report['name'])}", ""]
    lines += [f"- {inline(sentence)}" for sentence in summary(report)]
    lines += ["", _row(headers), _row([":--", *["--:"] * (len(headers) - 1)])]
    for key, row in zip(keys, rows, strict=True):
        bold = [(key, column.key) in winners for column in METRICS]
        marked = [f"**{cell}**" if strong else cell for cell, strong in zip(row[1:], bold, strict=False)]
        lines.append(_row([inline(row[0]), *marked, *row[1 + len(bold) :]]))
    lines += ["", f"↓ lower is better; * reads the reference. Undefined values are shown as {UNDEFINED}.", ""]
    return "\n".join(lines)


def summary(report: Report) -> list[str]:
    """Say in four to seven plain sentences what was found, what is promised and what is not."""
    selective = report["selective"]
    sentences = [_opening(report), _promise(report)]
    if selective["infeasible"] is None:
        sentences += [_decisions(report), *_failures(report), _guarantee(report)]
    else:
        reason = selective["infeasible"].strip().rstrip(".")
        sentences.append(f"No threshold can make this promise ({reason}), so every question is declined.")
        sentences.append(f"To get one: {_listed(REMEDIES)}.")
    return [plain(sentence) for sentence in [*sentences, _comparison(report)]]


def gold_name(report: Report) -> str:
    """Say in a few words what quality is measured by."""
    return report["gold"]["description"] or report["gold"]["name"]


def promise_kept(report: Report) -> bool | None:
    """Tell whether the test split stayed within the promised risk; None without answers, or by another label."""
    if promised_label(report) != report["selective"]["label"]:
        return None
    risk = known(report["selective"]["risk"]["value"])
    return None if risk is None else risk <= report["selective"]["max_risk"]


def promised_label(report: Report) -> str:
    """Name what the promise is about."""
    return report["selective"].get("chosen_on", report["selective"]["label"])


def rival(report: Report) -> str | None:
    """Find the best baseline: highest Pearson among untrained methods that need no reference."""
    for group, keys in grouped(report):
        if group == "without reference":
            simple = [key for key in keys if key != JUDGE and not key.startswith("judge")]
            measured = [key for key in simple if value_of(report["methods"][key], "pearson") is not None]
            return measured[0] if measured else None
    return None


def verdict(difference: Difference) -> str:
    """Say whether `a` is `better` or `worse` than `b`, or `not told apart` when the interval holds 0."""
    low, high = known(difference["low"]), known(difference["high"])
    if low is None or high is None:
        return UNDEFINED
    if low <= 0 <= high:
        return "not told apart"
    lower_is_better = any(m.lower_is_better for m in METRICS if m.key == difference["metric"])
    return "better" if (low > 0) != lower_is_better else "worse"


def _opening(report: Report) -> str:
    selective, n = report["selective"], report["selective"]["n"]
    by_gold = known(selective["risk_all_gold"])
    rate = known(selective["risk_all"]) if by_gold is None else by_gold
    asked = "1 test question that was" if n == 1 else f"{n:,} test questions that were"
    start = f"The model was asked {asked} used neither to train the judge nor to choose the threshold"
    if rate is None:
        return f"{start}; how many it answered well is not known."
    least = number(report["min_quality"], 1).removesuffix(".0")
    return f"{start}; {percent(1 - rate)} of its answers are good, that is, of quality {least} or more out of 9."


def _promise(report: Report) -> str:
    selective = report["selective"]
    return (
        "The promise asked for: of the answers that are given, "
        f"at most {percent(selective['max_risk'])} fail, with {percent(selective['confidence'])} confidence."
    ) + _about_feedback(report)


def _about_feedback(report: Report) -> str:
    if promised_label(report) == report["selective"]["label"]:
        return ""
    return " It is about what people say of the gateway's answers, which these test questions cannot check."


def _decisions(report: Report) -> str:
    selective = report["selective"]
    reasons = []
    if selective["declined"]:
        below = number(selective["threshold"])
        reasons.append(f"{selective['declined']:,} declined because the judge's score was below {below}")
    if selective["unscored"]:
        reasons.append(f"{selective['unscored']:,} declined because the judge gave no usable score")
    share = percent(selective["coverage"]["value"])
    verb = "was" if selective["answered"] == 1 else "were"
    text = f"{selective['answered']:,} of {selective['n']:,} questions {verb} answered ({share})"
    return f"{text}; {_listed(reasons) if reasons else 'none was declined'}."


def _failures(report: Report) -> list[str]:
    selective = report["selective"]
    if known(selective["risk"]["value"]) is None:
        why = "is not known" if selective["answered"] else "is undefined, since nothing was answered"
        return [f"The failure rate among answers {why}."]
    found = [_failure("", selective["risk"], selective["risk_all"], f"by the label {selective['label']}")]
    if selective["risk_gold"] is not None:
        by = f"by {gold_name(report)}, which the calibration did not see"
        found.append(_failure("Measured ", selective["risk_gold"], selective["risk_all_gold"], by))
    if promise_kept(report) is False:
        found[0] += " That is more than promised on this test set, as chance or a change of questions can cause."
    return found


def _failure(start: str, risk: Interval, risk_all: float | None, by: str) -> str:
    ends = f" ({percent(risk['low'])} to {percent(risk['high'])})" if span(risk) else ""
    rate, rate_all = f"{percent(risk['value'])}{ends}", percent(risk_all)
    if start:
        return f"{start}{by}, {rate} of the answers given fail, against {rate_all} of all."
    return f"Of the answers given, {rate} fail {by}; had everything been answered, {rate_all} would."


def _guarantee(report: Report) -> str:
    return (
        "The promise is about many questions, drawn independently and like those calibrated on, and about "
        f"the label {report['selective']['label']}: it says nothing about one single answer, other kinds of "
        "questions, or another measure of quality."
    )


def _comparison(report: Report) -> str:
    methods, other = report["methods"], rival(report)
    value = value_of(methods[JUDGE], "pearson") if JUDGE in methods else None
    if value is None:
        return "How far the judge's scores follow the quality is undefined here (too few rows, or all alike)."
    scale = "Pearson; 1 is perfect, 0 is useless"
    start = f"The judge's scores correlate with the quality at {number(value)} ({scale})"
    if other is None:
        return f"{start}; there is no baseline to compare with."
    reached = number(value_of(methods[other], "pearson"))
    against = f"the best baseline without training, {methods[other]['title']}, at {reached}"
    for difference in report["differences"]:
        if (difference["a"], difference["b"], difference["metric"]) == (JUDGE, other, "pearson") and span(difference):
            verdicts = {"better": "the judge is better", "worse": "the judge is worse"}
            told = verdicts.get(verdict(difference), "the two cannot be told apart")
            return f"{start}, {against}; {told} (difference {span(difference)})."
    return f"{start}, {against}."


def _listed(parts: Iterable[str]) -> str:
    *first, last = parts
    return f"{', '.join(first)}, or {last}" if len(first) > 1 else " and ".join([*first, last])


def inline(text: str) -> str:
    """Make any text safe inside one line or one cell of Markdown: flat, its signs escaped."""
    flat = " ".join(text.split())
    for sign in "\\`*_[]|":
        flat = flat.replace(sign, f"\\{sign}")
    return flat.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
