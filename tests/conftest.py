import os

import pytest

# No test reaches a model hub.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch, tmp_path):
    """Every test works in a folder of its own and sees no key."""
    for name in ("OPENAI_API_KEY", "HF_TOKEN", "SELFJ_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def _never_skipped(report):
    """With SELFJ_NO_SKIP a skip is a failure: what was set up for these tests must be used."""
    if os.environ.get("SELFJ_NO_SKIP") and report.skipped and not hasattr(report, "wasxfail"):
        why = report.longrepr[-1] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome, report.longrepr = "failed", f"With SELFJ_NO_SKIP nothing may be skipped. {why}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    return _never_skipped((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    return _never_skipped((yield))
