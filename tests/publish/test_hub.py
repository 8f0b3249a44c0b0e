"""A push sends the files of the judge and nothing else, and its faults say what to do, without the token."""

import json
import shutil
import socket
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub import constants

from selfj.errors import ArtefactError, BackendUnavailable, ConfigError, SelfjError
from selfj.publish import publish, select

from .hub_fake import FakeHub

# The hub's library uploads large files with a word that its own HTTP client has given up.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

TOKEN = "hf_averysecrettoken0123456789"
FILES = {"README.md", "adapter_config.json", "adapter_model.safetensors", "judge.json"}


@pytest.fixture
def hub(monkeypatch):
    # The tests are offline; this hub is on this machine.
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr(huggingface_hub.utils._http.time, "sleep", lambda _: None)
    made = FakeHub(TOKEN)
    yield made
    made.close()


@pytest.fixture
def folder(judges_of, tmp_path):
    return Path(shutil.copytree(judges_of("llama"), tmp_path / "own"))


def push(folder, hub, **options):
    return publish(folder, push="acme/judge", endpoint=hub.address, **options)


@pytest.mark.parametrize("large", [True, False])
def test_the_files_of_a_judge_are_sent_whole(folder, hub, large):
    hub.large = large
    made = push(folder, hub)
    sent = hub.repositories["acme/judge"]
    assert set(sent) == FILES
    assert all(sent[name] == (folder / name).read_bytes() for name in FILES)
    assert sent["README.md"].startswith(b"---\n")
    assert any("/large/" in path for _, path in hub.calls) is large
    assert made.address == f"{hub.address}/acme/judge"
    assert made.lines()[1] == f"Sent to {hub.address}/acme/judge:"


def test_the_way_of_the_librarys_pipeline_gives_the_same(folder, hub, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", False)
    hub.large = False
    push(folder, hub)
    assert set(hub.repositories["acme/judge"]) == FILES


@pytest.mark.parametrize(("public", "seen"), [(False, "private"), (True, "public")])
def test_it_is_private_unless_asked(folder, hub, public, seen):
    push(folder, hub, public=public)
    assert [made["visibility"] for made in hub.created] == [seen]


def test_what_does_not_belong_to_the_judge_stays(folder, hub):
    (folder / "checkpoint.pt").write_bytes(b"state")
    (folder / ".env").write_text("KEY=1")
    (folder / "notes.txt").write_text("mine")
    (folder / "deep").mkdir()
    (folder / "deep" / "judge.json").write_text("{}")
    made = push(folder, hub)
    assert set(hub.repositories["acme/judge"]) == FILES
    assert made.sending.staying == (".env", "checkpoint.pt", "deep", "notes.txt")


def test_a_link_is_not_followed(folder, hub, tmp_path):
    (tmp_path / "outside.json").write_text('{"secret": 1}')
    (folder / "tokenizer.json").symlink_to(tmp_path / "outside.json")
    with pytest.raises(ArtefactError, match="is a link"):
        push(folder, hub)
    assert "acme/judge" not in hub.repositories


def test_a_dry_run_says_what_would_go_and_calls_nobody(folder, hub, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    made = push(folder, hub, dry_run=True)
    text = "\n".join(made.lines())
    assert "Would be sent to acme/judge, private" in text
    assert "adapter_model.safetensors" in text
    assert hub.calls == []
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_a_dry_run_alone_is_no_wish(folder):
    with pytest.raises(ConfigError, match="needs --push"):
        publish(folder, dry_run=True)


def test_a_base_in_a_folder_here_is_pointed_out(folder, models_of):
    note = select(folder, "acme/judge").lines()[-1]
    assert models_of("llama") in note
    assert "--merge" in note
    about = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps({**about, "base_model_name_or_path": "acme/base"}))
    assert select(folder, "acme/judge").local is None


def test_a_repository_that_is_there_is_only_updated_when_asked(folder, hub):
    push(folder, hub)
    with pytest.raises(ConfigError, match=r"there already \(409\).*--update"):
        push(folder, hub)
    (folder / "judge.json").write_text((folder / "judge.json").read_text() + "\n")
    push(folder, hub, update=True)
    assert hub.repositories["acme/judge"]["judge.json"] == (folder / "judge.json").read_bytes()


def test_a_token_can_have_another_variable(folder, hub, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setenv("OTHER", TOKEN)
    push(folder, hub, token_env="OTHER")
    assert "acme/judge" in hub.repositories


@pytest.mark.parametrize("variable", [None, "OTHER"])
def test_no_token_ends_before_anything_is_written(folder, hub, monkeypatch, variable):
    monkeypatch.delenv("HF_TOKEN")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(ConfigError, match=f"{variable or 'HF_TOKEN'} is empty"):
        push(folder, hub, token_env=variable)
    assert hub.calls == []
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("name", ["judge", "a/b/c", "acme/", "../x", "acme/ju dge", "acme/x.git"])
def test_a_name_that_no_hub_takes_is_refused(folder, hub, name):
    with pytest.raises(ConfigError, match="OWNER/NAME"):
        publish(folder, push=name, endpoint=hub.address)
    assert hub.calls == []


def nowhere():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


def everything(error):
    """An error's text with those that it came from."""
    found = []
    while error is not None:
        found.append(f"{error!r} {error}")
        error = error.__cause__ or error.__context__
    return "\n".join(found)


ECHO = {"error": f"Bearer {TOKEN} and {TOKEN} are not welcome"}


@pytest.mark.parametrize("place", ["repos/create", "preupload", "objects/batch", "large", "commit"])
@pytest.mark.parametrize(
    ("status", "kind", "text"),
    [
        (401, ConfigError, "does not know the token in HF_TOKEN"),
        (403, ConfigError, "may not write to acme/judge"),
        (404, ConfigError, "no owner acme or no repository"),
        (413, ConfigError, "refused the upload"),
        (503, BackendUnavailable, "overloaded or broken"),
    ],
)
def test_faults_say_what_to_do_and_never_the_token(folder, hub, capsys, caplog, place, status, kind, text):
    hub.faults[place] = (status, ECHO)
    with pytest.raises(kind, match=text) as caught:
        push(folder, hub)
    said = everything(caught.value)
    assert TOKEN not in said
    assert TOKEN not in "".join(capsys.readouterr()) + caplog.text
    assert caught.value.__cause__ is None
    assert isinstance(caught.value, SelfjError)
    # What was made stays made, so the next try needs a word more.
    assert ("again with --update" in said) is (place != "repos/create")


def test_a_card_that_the_hub_refuses_is_told(folder, hub):
    hub.faults["validate-yaml"] = (400, {"errors": [{"message": f"bad head, {TOKEN}"}], "warnings": []})
    with pytest.raises(ConfigError, match=r"refused the upload.*bad head, \[token\]"):
        push(folder, hub)


def test_a_wrong_token_is_told(folder, hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_another")
    with pytest.raises(ConfigError, match="does not know the token"):
        push(folder, hub)


def test_a_hub_that_is_down_is_told(folder, hub):
    with pytest.raises(BackendUnavailable, match="cannot be reached") as caught:
        publish(folder, push="acme/judge", endpoint=nowhere())
    assert TOKEN not in everything(caught.value)


def test_offline_is_told(folder, hub, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ConfigError, match="HF_HUB_OFFLINE"):
        push(folder, hub)
