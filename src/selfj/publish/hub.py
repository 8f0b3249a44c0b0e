"""Uploading a folder of a judge or of a data set to a model hub, through the hub's own library.

No text of the library reaches an error, a log or a file as it is: what a server says is shown with the token taken out.
"""

import os
import re
from collections.abc import Callable
from typing import Any, Literal

import huggingface_hub
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

from selfj.errors import BackendUnavailable, ConfigError, SelfjError
from selfj.publish.files import Sending

_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
_MOST_SAID = 300
_NETWORK = {"httpx", "httpx2", "httpcore", "httpcore2", "requests", "urllib3"}
"""Packages whose errors mean that there was no reply."""


def check_repository(name: str) -> None:
    """Refuse a name that no hub would take.

    Raises:
        ConfigError: It does not look like `OWNER/NAME`.
    """
    if not _REPOSITORY.fullmatch(name) or ".." in name or "--" in name or name.endswith((".git", ".", "-")):
        raise ConfigError(f"--push takes OWNER/NAME, such as acme/judge, got {name!r}.")


def find_token(variable: str | None = None) -> str:
    """The token for the hub.

    Args:
        variable: Environment variable that holds it; None asks the hub's library, which looks at `HF_TOKEN` first.

    Raises:
        ConfigError: There is none.
    """
    token = os.environ.get(variable) if variable is not None else huggingface_hub.get_token()
    if not token or not token.strip():
        where = variable or "HF_TOKEN"
        raise ConfigError(
            f"No token for the model hub: the environment variable {where} is empty. Put a token with the right to "
            "write there, or name another variable with --token-env."
        )
    return token.strip()


def upload(
    sending: Sending,
    token: str,
    *,
    token_env: str | None = None,
    endpoint: str | None = None,
    kind: Literal["model", "dataset"] = "model",
    message: str = "Upload a judge made by selfj",
) -> str:
    """Create the repository and commit the files to it; returns its address.

    Args:
        sending: Which files go where.
        token: See `find_token`.
        token_env: Where the token came from, for errors.
        endpoint: Address of the hub; None takes the library's.
        kind: What the repository holds.
        message: Of the commit.

    Raises:
        ConfigError: The hub refuses the token, the repository or the files.
        BackendUnavailable: It cannot be reached, or is overloaded.
    """
    api = HfApi(endpoint=endpoint, token=token, library_name="selfj")

    def create() -> Any:
        private = None if sending.update else not sending.public
        return api.create_repo(sending.repository, private=private, exist_ok=sending.update, repo_type=kind)

    def commit() -> Any:
        return api.upload_folder(
            repo_id=sending.repository,
            folder_path=sending.folder,
            allow_patterns=[name for name, _ in sending.files],
            commit_message=message,
            repo_type=kind,
        )

    said = _Said(sending, token, token_env or "HF_TOKEN")
    address = said.attempt(create)
    if not sending.update:
        said.afterwards = " The repository was made, so push again with --update."
    said.attempt(commit)
    return str(address)


class _Said:
    """Turns what goes wrong into an error that says what to do."""

    def __init__(self, sending: Sending, token: str, variable: str) -> None:
        self._sending, self._token, self._variable = sending, token, variable
        self.afterwards = ""
        """What a further try has to know."""

    def attempt(self, step: Callable[[], Any]) -> Any:
        # The library's errors hold requests with their headers, so none is chained.
        try:
            return step()
        except Exception as error:
            fault = self._explained(error)
        raise type(fault)(f"{fault}{self.afterwards}")

    def _explained(self, error: BaseException) -> SelfjError:
        if isinstance(error, OfflineModeIsEnabled):
            return ConfigError("The hub's library is offline, as HF_HUB_OFFLINE says: unset it to push.")
        if isinstance(error, HfHubHTTPError) and error.response is not None:
            return self._refused(error, error.response.status_code)
        if isinstance(error, ConnectionError | TimeoutError) or type(error).__module__.split(".")[0] in _NETWORK:
            return BackendUnavailable(
                f"The hub cannot be reached ({type(error).__name__}). Check the network and HF_ENDPOINT, and try again."
            )
        if error.__cause__ is not None:
            return self._explained(error.__cause__)
        return ConfigError(f"The upload to {self._sending.repository} failed.{self._clean(str(error))}")

    def _refused(self, error: HfHubHTTPError, status: int) -> SelfjError:
        name, variable = self._sending.repository, self._variable
        owner = name.split("/")[0]
        said = self._clean(str(error.server_message or ""))
        if status == 401:
            text = f"The hub does not know the token in {variable} (401). Make a new one with the right to write."
        elif status == 403:
            text = (
                f"The token in {variable} may not write to {name} (403). Give it the right to write for {owner}, or "
                "push to an owner of your own."
            )
        elif status == 404:
            text = f"The hub has no owner {owner} or no repository {name} (404). Check the name given to --push."
        elif status == 409:
            text = f"{name} is there already (409). Push to another name, or on top of it with --update."
        elif status == 429 or status >= 500:
            return BackendUnavailable(f"The hub is overloaded or broken ({status}). Try again later.{said}")
        else:
            text = f"The hub refused the upload to {name} ({status})."
        return ConfigError(text + said)

    def _clean(self, text: str) -> str:
        """What was said, on one line, short, and without the token or anything that looks like one."""
        flat = " ".join(text.replace(self._token, "[token]").split())
        flat = re.sub(r"(?i)\b(bearer)\s+\S+|\bhf_\w+", "[token]", flat)[:_MOST_SAID]
        return f" It said: {flat}" if flat else ""
