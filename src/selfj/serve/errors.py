"""What goes wrong with a request, in the form that OpenAI's clients know."""

import json
from typing import Any

_DEEPEST = 100
_TYPES = {401: "authentication_error", 429: "rate_limit_error"}


class ApiError(Exception):
    """An error that a caller is told."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        param: str | None = None,
        retry_after: str | None = None,
    ):
        """Make one.

        Args:
            status: HTTP status.
            code: A word for programs.
            message: What was expected, what was found, what to do.
            param: The field of the request that is wrong.
            retry_after: Value of the `Retry-After` header.
        """
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.param = param
        self.retry_after = retry_after

    def body(self, request_id: str) -> dict[str, Any]:
        """OpenAI's error object, with the request's identifier."""
        kind = _TYPES.get(self.status, "invalid_request_error" if self.status < 500 else "server_error")
        told = {"message": self.message, "type": kind, "param": self.param, "code": self.code}
        return {"error": told | {"request_id": request_id}}


def invalid(message: str, *, param: str | None = None, code: str = "invalid_request") -> ApiError:
    """A request that is wrong: status 400."""
    return ApiError(400, code, message, param=param)


def parse_json(data: bytes) -> Any:
    """Read JSON strictly: UTF-8, no NaN and no infinity.

    Raises:
        ValueError: It is not such JSON, or nested too deeply.
    """
    try:
        value = json.loads(data.decode("utf-8"), parse_constant=_refuse)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    # Whatever is done with it later must not run out of stack.
    if data.count(b"[") + data.count(b"{") > _DEEPEST and _depth(value) > _DEEPEST:
        raise ValueError("nested too deeply")
    return value


def dump_json(value: Any) -> bytes:
    """Write JSON as ASCII bytes, so that half a surrogate pair stays what it was.

    Raises:
        ValueError: A number is infinite, or it is nested too deeply.
    """
    try:
        return json.dumps(value, allow_nan=False, separators=(",", ":")).encode("ascii")
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level := [item for item in level if isinstance(item, dict | list)]:
        depth += 1
        level = [inner for item in level for inner in (item.values() if isinstance(item, dict) else item)]
    return depth


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")
