"""What leaves a tuning: the judge's card, its merged weights, a GGUF file, and an upload to a model hub.

Imports lie inside the functions, so that torch and the hub's library load only where they are wanted.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfj.card import write_card
from selfj.errors import ArtefactError, ConfigError, MissingDependency
from selfj.files import write_text
from selfj.judge import ENCODERS, read_judge
from selfj.publish.files import Sending, select
from selfj.publish.vocabulary import Vocabulary, read_vocabulary

__all__ = [
    "DTYPES",
    "KINDS",
    "Published",
    "Sending",
    "Vocabulary",
    "check_sending",
    "find_judge",
    "publish",
    "read_vocabulary",
    "select",
    "send_data",
]

DTYPES = ("float32", "bfloat16", "float16")
KINDS = ("f32", "f16", "q8_0")


@dataclass(frozen=True, slots=True)
class Published:
    """What was made; None where it was not asked for."""

    folder: Path
    """The judge's folder."""
    card: Path | None = None
    merged: Path | None = None
    gguf: Path | None = None
    sending: Sending | None = None
    """What was sent, or with `dry_run` what would be."""
    address: str | None = None
    """Where the upload lies."""

    def lines(self) -> list[str]:
        """Say in a few lines what was made."""
        made = [("Card", self.card), ("Merged weights", self.merged), ("GGUF", self.gguf)]
        lines = [f"{name}: {path}" for name, path in made if path is not None]
        lines += self.sending.lines(self.address) if self.sending is not None else []
        return lines


def find_judge(source: str | Path) -> tuple[Path, Path | None]:
    """Find a judge's folder, and the folder of the run that made it where that is beside it.

    Args:
        source: Folder of a run, or of a tuned judge.

    Raises:
        ArtefactError: There is no judge.
    """
    folder = Path(source)
    if (folder / "judge" / "judge.json").is_file():
        return folder / "judge", folder
    if not (folder / "judge.json").is_file():
        raise ArtefactError(
            f"{folder} holds no judge: expected the folder of a run, or one with a judge.json. Run selfj tune first."
        )
    beside = folder.resolve().parent
    made_here = folder.resolve().name.startswith("judge") and (beside / "run.toml").is_file()
    return folder, beside if made_here else None


def publish(
    source: str | Path,
    *,
    merge: str | Path | None = None,
    dtype: str = "float32",
    gguf: str | Path | None = None,
    gguf_type: str = "f16",
    push: str | None = None,
    public: bool = False,
    update: bool = False,
    token_env: str | None = None,
    dry_run: bool = False,
    endpoint: str | None = None,
) -> Published:
    """Renew a judge's card, and on request write its merged weights or a GGUF file, or upload its folder.

    Args:
        source: Folder of a run, or of a tuned judge.
        merge: Folder to write the merged model and its tokenizer to; it must not exist.
        dtype: Of the merged weights, one of `DTYPES`; merging itself is done in float32.
        gguf: File to write the merged model to, for llama.cpp and its kin; it must not exist.
        gguf_type: Of its matrices, one of `KINDS`; vectors stay in float32.
        push: `OWNER/NAME` of a repository on the model hub, made private.
        public: Make it public.
        update: Commit on top of a repository that is there already; its visibility stays.
        token_env: Environment variable that holds the token; None takes what the hub's library knows, `HF_TOKEN` first.
        dry_run: Only say what `push` would send; nothing is written.
        endpoint: Address of the hub; None takes the library's.

    Raises:
        ArtefactError: There is no judge, or a file cannot be written.
        ConfigError: The judge cannot be merged or written as GGUF, a target is there already, or the hub refuses.
        StaleArtefact: The judge's base is no longer the model that it was tuned on.
        MissingDependency: A package is absent.
        BackendUnavailable: The hub cannot be reached.
    """
    for option, value, known in (("--dtype", dtype, DTYPES), ("--gguf-type", gguf_type, KINDS)):
        if value not in known:
            raise ConfigError(f"{option} is {value!r}, expected one of {', '.join(known)}.")
    folder, run = find_judge(source)
    manifest = read_judge(folder)
    out, file = (None if path is None else Path(path) for path in (merge, gguf))
    _check(manifest, folder, out, file, push, dry_run=dry_run)
    if push is not None and dry_run:
        return Published(folder, sending=select(folder, push, public=public, update=update))
    token = None
    if push is not None:
        with _packages("'selfj[local]'"):
            from selfj.publish.hub import check_repository, find_token, upload
        check_repository(push)
        token = find_token(token_env)
    card = folder / "README.md"
    write_text(card, write_card(folder, run))
    if out is not None or file is not None:
        _write_weights(folder, manifest, run, out, dtype, file, gguf_type)
    if push is None or token is None:
        return Published(folder, card, out, file)
    sending = select(folder, push, public=public, update=update)
    address = upload(sending, token, token_env=token_env, endpoint=endpoint)
    return Published(folder, card, out, file, sending, address)


def send_data(sending: Sending, *, message: str, token_env: str | None = None, endpoint: str | None = None) -> str:
    """Upload files of a data set to a repository of data on the model hub.

    Args:
        sending: Which files go where.
        message: Of the commit.
        token_env: Environment variable that holds the token; None takes what the hub's library knows, `HF_TOKEN` first.
        endpoint: Address of the hub; None takes the library's.

    Returns:
        The repository's address.

    Raises:
        ConfigError: There is no token, the name is wrong, or the hub refuses.
        MissingDependency: The hub's library is absent.
        BackendUnavailable: The hub cannot be reached.
    """
    token = check_sending(sending.repository, token_env)
    with _packages("'selfj[collect]'"):
        from selfj.publish.hub import upload
    return upload(sending, token, token_env=token_env, endpoint=endpoint, kind="dataset", message=message)


def check_sending(repository: str, token_env: str | None = None) -> str:
    """The token for an upload, once the repository's name has been looked at; see `send_data` for errors."""
    with _packages("'selfj[collect]'"):
        from selfj.publish.hub import check_repository, find_token
    check_repository(repository)
    return find_token(token_env)


def _check(
    manifest: Mapping[str, Any], folder: Path, out: Path | None, file: Path | None, push: str | None, *, dry_run: bool
) -> None:
    wanted = [option for option, path in (("--merge", out), ("--gguf", file)) if path is not None]
    if dry_run and (push is None or wanted):
        raise ConfigError("--dry-run says what --push would send: it needs --push, and neither --merge nor --gguf.")
    if wanted and manifest["kind"] in ENCODERS:
        raise ConfigError(
            f"The judge in {folder} is over a text encoder, and {' and '.join(wanted)} needs a causal language "
            "model. Its folder is all there is of it: copy it, or send it with --push."
        )
    if out is not None and (out.is_file() or (out.is_dir() and any(out.iterdir()))):
        raise ConfigError(f"{out} is there already; name a folder for --merge that does not exist yet.")
    if file is not None and file.exists():
        raise ConfigError(f"{file} is there already; name a file for --gguf that does not exist yet.")


def _write_weights(
    folder: Path,
    manifest: Mapping[str, Any],
    run: Path | None,
    out: Path | None,
    dtype: str,
    file: Path | None,
    kind: str,
) -> None:
    with _packages("'selfj[local]'"):
        from selfj.publish.weights import merge, save
    write: Callable[..., None] | None = None
    if file is not None:
        with _packages("'selfj[local,gguf]'"):
            from selfj.publish.gguf import write_gguf
        write = write_gguf
    model, tokenizer = merge(folder, manifest)
    if write is not None:
        write(model, tokenizer, file, kind, template=str(manifest["template"]), digest=str(manifest["digest"]))
    if out is not None:
        save(model, tokenizer, out, dtype, manifest, run)


@contextmanager
def _packages(remedy: str) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise MissingDependency(f"This needs the package {error.name}: pip install {remedy}.") from error
