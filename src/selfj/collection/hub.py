"""Data sets on the model hub, through the hub's own library: what a revision holds, and its files.

The library resumes a broken download, keeps the files by their digests, and looks at `HF_ENDPOINT` for a mirror and at
`HF_TOKEN` for a token. None of its texts reaches an error as it is, and none of its errors is chained: they hold
requests with their headers.
"""

import fnmatch
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import huggingface_hub
from huggingface_hub import HfApi, hf_hub_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import RepoFile

from selfj.collection.faults import SourceFault
from selfj.collection.sources import Source

_MOST_SAID = 200
_NETWORK = {"httpx", "httpx2", "httpcore", "httpcore2", "requests", "urllib3"}


class HubFile(NamedTuple):
    """One file of a repository at a commit."""

    name: str
    bytes: int
    sha256: str | None
    """As the hub states it; None for a small file that it keeps otherwise."""


class Listing(NamedTuple):
    """What a revision of a repository holds."""

    commit: str
    files: tuple[HubFile, ...]


def list_files(source: Source) -> Listing:
    """Every file of the source's repository at its revision.

    Raises:
        SourceFault: The repository or the revision is gone, closed or out of reach.
    """
    api = HfApi(endpoint=_endpoint(), library_name="selfj")
    repository = source.hub or ""

    def ask() -> Listing:
        info = api.repo_info(repository, repo_type="dataset", revision=source.revision)
        tree = api.list_repo_tree(repository, recursive=True, revision=info.sha, repo_type="dataset")
        found = [
            HubFile(item.path, item.size, item.lfs.sha256 if item.lfs else None)
            for item in tree
            if isinstance(item, RepoFile)
        ]
        return Listing(str(info.sha), tuple(sorted(found)))

    listing: Listing = _attempt(source, ask)
    return listing


def choose_files(source: Source, listing: Listing) -> list[HubFile]:
    """The files of a listing that the source's entry means, in their order.

    With `files` given, those that fit its patterns; else the Parquet files of each configuration and split.

    Raises:
        SourceFault: A pattern, configuration or split has none.
    """
    if source.files:
        chosen: list[HubFile] = []
        for pattern in source.files:
            fitting = [file for file in listing.files if fnmatch.fnmatchcase(file.name, pattern)]
            if not fitting:
                raise SourceFault(source.name, f"{source.hub} holds no file {pattern} at {source.revision}.")
            chosen += [file for file in fitting if file not in chosen]
        return chosen
    folders = sorted({file.name.partition("/")[0] for file in listing.files if file.name.endswith(".parquet")})
    configs = folders if "*" in source.configs else source.configs
    return [file for config in configs for file in _of_config(source, listing, config)]


def _of_config(source: Source, listing: Listing, config: str) -> list[HubFile]:
    folders: dict[str, list[HubFile]] = {}
    for file in listing.files:
        folder, _, name = file.name.rpartition("/")
        if name.endswith(".parquet") and folder.startswith(f"{config}/"):
            folders.setdefault(folder.removeprefix(f"{config}/").removeprefix("partial-"), []).append(file)
    if not folders:
        known = sorted({file.name.partition("/")[0] for file in listing.files if file.name.endswith(".parquet")})
        text = (
            f"{source.hub} has no configuration {config!r} at {source.revision}; it has: {', '.join(known) or 'none'}."
        )
        raise SourceFault(source.name, text)
    chosen = []
    for split in list(folders) if "*" in source.splits else source.splits:
        if split not in folders:
            known = sorted(folders)
            text = f"the configuration {config!r} of {source.hub} has no split {split!r}; it has: {', '.join(known)}."
            raise SourceFault(source.name, text)
        chosen += folders[split]
    return chosen


def download(source: Source, commit: str, file: HubFile, cache: Path, advance: Callable[[int], None]) -> Path:
    """Bring one file into the hub's own cache below `cache`; nothing is sent where it lies there already.

    Args:
        source: Whose file it is.
        commit: As `list_files` gave it.
        file: One of its files.
        cache: Folder of the hub's cache.
        advance: Told of bytes as they come.

    Raises:
        SourceFault: It cannot be fetched.
    """
    options: dict[str, Any] = {"repo_id": source.hub, "filename": file.name, "repo_type": "dataset"}
    options |= {"revision": commit, "cache_dir": cache, "endpoint": _endpoint(), "library_name": "selfj"}
    return Path(_attempt(source, lambda: hf_hub_download(**options, tqdm_class=_told(advance))))


def held(source: Source, commit: str, name: str, cache: Path) -> Path | None:
    """The file in the cache, or None; the network is not asked."""
    found = huggingface_hub.try_to_load_from_cache(
        source.hub or "", name, cache_dir=cache, revision=commit, repo_type="dataset"
    )
    return Path(found) if isinstance(found, str) else None


def _endpoint() -> str | None:
    return os.environ.get("HF_ENDPOINT") or None


def _told(advance: Callable[[int], None]) -> Any:
    """What the library takes for a bar, and which only tells how many bytes came."""

    class Bar:
        def __init__(self, *_: Any, **options: Any) -> None:
            self.n, self.total, self.disable = options.get("initial") or 0, options.get("total"), True
            self.desc = self.format_dict = None

        def update(self, n: float | None = 1) -> None:
            advance(int(n or 0))

        def __enter__(self) -> Any:
            return self

        def __exit__(self, *_: object) -> None:
            return None

        def __getattr__(self, _: str) -> Any:
            return lambda *args, **options: None

    return Bar


def _attempt(source: Source, step: Callable[[], Any]) -> Any:
    try:
        return step()
    except Exception as error:
        text = _explained(source, error)
    raise SourceFault(source.name, text)


def _explained(source: Source, error: BaseException) -> str:
    """One sentence on what went wrong, without the token."""
    name = source.hub
    if isinstance(error, OfflineModeIsEnabled):
        return f"{name} is not in the cache, and the hub's library is offline, as HF_HUB_OFFLINE says."
    if isinstance(error, GatedRepoError):
        return f"{name} is gated: agree to its terms on its page, and put a token of yours into HF_TOKEN."
    if isinstance(error, RevisionNotFoundError):
        return f"{name} has no revision {source.revision} (404); name another in `revision`."
    if isinstance(error, RepositoryNotFoundError):
        return f"the hub has no data set {name} (404): it moved, was deleted or is private; change `hub` in its entry."
    if isinstance(error, HfHubHTTPError) and error.response is not None:
        return _refused(source, error, error.response.status_code)
    networked = type(error).__module__.split(".")[0] in _NETWORK
    if networked or isinstance(error, ConnectionError | TimeoutError):
        return f"the hub cannot be reached ({type(error).__name__}); check the network and HF_ENDPOINT, and try again."
    if error.__cause__ is not None:
        return _explained(source, error.__cause__)
    if isinstance(error, LocalEntryNotFoundError):
        return f"{name} is not in the cache and the hub cannot be reached; check the network, and try again."
    return f"{name} could not be fetched ({type(error).__name__}).{_clean(str(error))}"


def _refused(source: Source, error: HfHubHTTPError, status: int) -> str:
    said = _clean(str(error.server_message or ""))
    if status in {401, 403}:
        return f"the hub refused {source.hub} ({status}); put a token that may read it into HF_TOKEN.{said}"
    if status == 404:
        return f"{source.hub} has no longer what the entry names (404): it moved or was deleted; change its entry."
    if status == 429 or status >= 500:
        return f"the hub is overloaded or broken ({status}); run the same command again later.{said}"
    return f"the hub refused {source.hub} ({status}).{said}"


def _clean(text: str, tokens: Sequence[str | None] = ()) -> str:
    flat = " ".join(text.split())
    for token in [*tokens, huggingface_hub.get_token()]:
        flat = flat.replace(token, "[token]") if token else flat
    flat = re.sub(r"(?i)\b(bearer)\s+\S+|\bhf_\w+|[?&]\S+", "[left out]", flat)[:_MOST_SAID]
    return f" It said: {flat}" if flat else ""
