"""The trust page: what it concludes, and that every part is there or says why not."""

import re

import pytest

from selfj.report.trust import conclusion, trust_page

from .test_report import make_report


def words(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page[page.index("<main>") :]))


def test_every_part_is_there():
    page = words(trust_page(make_report()))
    for heading in ("In one sentence", "How good it is", "How sure that is", "Where it is weak", "What it costs"):
        assert heading in page
    assert "2 too_long, 3 unparsed" in page
    assert "5 test answers have no score" in page
    assert "Not measured yet" in page
    assert trust_page(make_report()) == trust_page(make_report())


def test_the_worst_group_comes_first():
    report = make_report()
    report["groups"] = [
        {"group": name, "category": None, "n": n, "accuracy": 0.5, "coverage": 0.5, "risk": risk, "pearson": None}
        for name, n, risk in [("mild", 50, 0.1), ("worst", 50, 0.4), ("tiny", 3, 0.9), ("silent", 50, None)]
    ]
    page = words(trust_page(report))
    assert page.index("worst 40 %") < page.index("mild 10 %")
    assert "tiny" not in page
    assert "silent" not in page


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"infeasible": "no threshold meets it"}, "Not as it stands"),
        ({"risk": {"value": 0.2, "low": 0.1, "high": 0.3}}, "With care"),
        ({"risk_gold": {"value": 0.3, "low": 0.2, "high": 0.4}}, "the label is kinder than that"),
        ({"risk_gold": None}, "For questions like those tested"),
        ({"answered": 0, "risk": {"value": None, "low": None, "high": None}}, "Not yet"),
    ],
)
def test_the_conclusion_follows_the_figures(change, said):
    report = make_report()
    report["selective"].update({"risk_gold": {"value": 0.05, "low": 0.0, "high": 0.1}, **change})
    assert said in conclusion(report)


def test_of_a_hundred_questions():
    report = make_report()
    share = {"low": None, "high": None}
    report["selective"].update(
        coverage={"value": 0.6, **share}, risk={"value": 0.1, **share}, risk_all=0.4, risk_gold=None, risk_all_gold=None
    )
    assert "Of 100 questions 40 are declined: 34 would have been answered badly, 6 well." in words(trust_page(report))


def test_an_audit_is_shown_with_what_it_could_not_tell():
    finding = {
        "title": "Length",
        "measures": [{"name": "n", "value": 0.5, "low": 0.25, "high": 0.75, "unit": "levels"}],
    }
    absent = {"title": "Families", "measures": [], "absent": "needs a model column"}
    plain = {"name": "length", "quality": False, "findings": []}
    audit = {"judges": [plain, {"name": "general", "quality": True, "findings": [finding, absent]}]}
    page = words(trust_page(make_report(), audit))
    assert "Length 0.50 0.25 to 0.75 levels" in page
    assert "Families needs a model column" in page
    assert "Not measured yet" not in page


def test_texts_are_escaped():
    report = make_report()
    report["name"] = "<script>"
    assert "<script" not in trust_page(report)
