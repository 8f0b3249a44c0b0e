"""Secrets out of the environment, or out of files that the environment names."""

import os
from pathlib import Path

from selfj.errors import ConfigError


def secret(variable: str, setting: str) -> str:
    """The secret of a variable: its value, or what the file holds that the variable with `_FILE` behind it names.

    Args:
        variable: Name of the environment variable.
        setting: The setting that names it, for the error.

    Raises:
        ConfigError: There is neither, or the file cannot be read or is empty.
    """
    found = os.environ.get(variable, "").strip()
    path = os.environ.get(f"{variable}_FILE", "")
    if found or not path:
        if not found:
            raise ConfigError(
                f"The environment variable {variable}, named by {setting}, is not set. Set it to the secret, or "
                f"{variable}_FILE to a file that holds it."
            )
        return found
    try:
        found = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        told = getattr(error, "strerror", None) or "it is no text"
        raise ConfigError(f"Cannot read the file {path}, named by {variable}_FILE: {told}.") from None
    if not found:
        raise ConfigError(f"The file {path}, named by {variable}_FILE, is empty.")
    return found
