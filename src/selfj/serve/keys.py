"""The callers' keys: a file of their digests, compared in constant time."""

import hashlib
import hmac
import re
from pathlib import Path

from selfj.errors import ConfigError
from selfj.serve.errors import ApiError

_LINE = re.compile(r"([0-9a-fA-F]{64})(\s+\S.*)?")


class Keys:
    """Who may ask."""

    def __init__(self, digests: list[bytes]):
        """Take SHA-256 digests of keys."""
        self._digests = digests

    @classmethod
    def load(cls, path: str) -> "Keys":
        """Read a file: a digest in hexadecimal a line, perhaps followed by a name; `#` begins a remark.

        Raises:
            ConfigError: It cannot be read, has no key, or a line is something else.
        """
        try:
            lines = Path(path).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"Cannot read the keys in {path}: {error}.") from error
        digests = []
        for number, line in enumerate(lines, 1):
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            found = _LINE.fullmatch(line.strip())
            if found is None:
                # The line stays out of the message: it may be a key itself.
                raise ConfigError(f"Line {number} of {path} is no SHA-256 in hexadecimal. Write digests, never keys.")
            digests.append(bytes.fromhex(found[1]))
        if not digests:
            raise ConfigError(f"{path} holds no key. Write the SHA-256 of each key in hexadecimal, one a line.")
        return cls(digests)

    def check(self, authorization: str) -> None:
        """Let a caller in.

        Args:
            authorization: Value of the header, `Bearer KEY`.

        Raises:
            ApiError: There is no key, or a wrong one; status 401.
        """
        scheme, _, key = authorization.partition(" ")
        digest = hashlib.sha256(key.strip().encode("latin-1", "replace")).digest()
        # All are compared, so that the time does not tell which one fits.
        fits = [hmac.compare_digest(digest, known) for known in self._digests]
        if scheme.lower() != "bearer" or not any(fits):
            told = "A key is needed: send the header Authorization: Bearer KEY, with a key that this gateway knows."
            raise ApiError(401, "invalid_api_key", told)
