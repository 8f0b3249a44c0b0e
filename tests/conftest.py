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
