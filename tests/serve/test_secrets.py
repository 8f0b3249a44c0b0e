"""Secrets from a variable, or from the file that another one names."""

from pathlib import Path

import pytest

from selfj.errors import ConfigError
from selfj.serve.secrets import secret
from selfj.serve.server import store_address
from selfj.serve.settings import ServeSettings


def test_a_secret_is_in_a_variable_or_in_a_file(monkeypatch):
    monkeypatch.delenv("A_KEY", raising=False)
    monkeypatch.setenv("A_KEY_FILE", "key.txt")
    Path("key.txt").write_text("from the file\n")
    assert secret("A_KEY", "api_key_env") == "from the file"
    monkeypatch.setenv("A_KEY", " from the variable ")
    assert secret("A_KEY", "api_key_env") == "from the variable"
    settings = ServeSettings(run="r", upstream={"base_url": "http://x/v1"}, store_env="A_KEY")
    assert store_address(settings) == "from the variable"


def test_what_is_missing_is_said_without_the_secret(monkeypatch):
    monkeypatch.delenv("A_KEY", raising=False)
    monkeypatch.delenv("A_KEY_FILE", raising=False)
    with pytest.raises(ConfigError, match=r"A_KEY, named by store_env, is not set.*A_KEY_FILE"):
        secret("A_KEY", "store_env")
    monkeypatch.setenv("A_KEY_FILE", "absent.txt")
    with pytest.raises(ConfigError, match=r"Cannot read the file absent.txt, named by A_KEY_FILE: No such file"):
        secret("A_KEY", "store_env")
    Path("absent.txt").write_text(" \n")
    with pytest.raises(ConfigError, match="is empty"):
        secret("A_KEY", "store_env")
    Path("absent.txt").write_bytes(b"sk-\xff\xfe")
    with pytest.raises(ConfigError, match="it is no text") as caught:
        secret("A_KEY", "store_env")
    assert "sk-" not in str(caught.value)
