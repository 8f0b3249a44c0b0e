"""What each failure of a request means: the one place where faults of HTTP become faults of selfj.

A failure is either one row's (its input was refused, its reply is malformed) and becomes that row's reason, or
everybody's (a wrong key, no such model, a server that is away) and is raised.
"""

from dataclasses import dataclass
from typing import Any

import httpx2

from selfj.errors import BackendError, BackendRefused, BackendTimeout, BackendUnavailable


@dataclass(frozen=True, slots=True)
class Fault:
    """The meaning of one kind of failure."""

    error: type[BackendError]
    """What is raised where the fault is everybody's."""
    reason: str | None = None
    """Reason of the row whose fault it is; None where it is everybody's."""
    retry: bool = False
    """Whether another try can help."""


class RequestFault(Exception):
    """One request failed for good; the reader or generator turns it into a reason or an error."""

    def __init__(self, fault: Fault, detail: str, *, status: int | None = None, retry_after_s: float | None = None):
        """Keep what is known; `detail` is for people and holds no secret."""
        super().__init__(detail)
        self.fault = fault
        self.detail = detail
        self.status = status
        self.retry_after_s = retry_after_s


_AWAY = Fault(BackendUnavailable, retry=True)
_LOST = Fault(BackendUnavailable, "connection_lost", retry=True)
_SLOW = Fault(BackendTimeout, "timeout", retry=True)
_REFUSED = Fault(BackendRefused)
_REJECTED = Fault(BackendRefused, "rejected")
_TOO_LONG = Fault(BackendRefused, "too_long")
_BROKEN = Fault(BackendUnavailable, "server_error", retry=True)

DECLINED = Fault(BackendRefused, "refused")
"""The model or a filter refused the content."""
MALFORMED = Fault(BackendRefused, "malformed_reply")
"""JSON that is not what the protocol says."""
CUT = Fault(BackendUnavailable, "malformed_reply", retry=True)
"""No JSON at all, as when a reply was cut."""
NO_LOGPROBS = Fault(BackendRefused, "no_logprobs")
"""A reply without the log probabilities that were asked for."""
NO_LEVEL = Fault(BackendRefused, "no_level")
"""A reply in which none of the ten levels stands."""

STOPPED = Fault(BackendUnavailable)
"""Not sent any more, because another row's fault was everybody's."""

TRANSPORT: dict[type[Exception], Fault] = {
    httpx2.ConnectError: _AWAY,
    httpx2.ConnectTimeout: _AWAY,
    httpx2.ProxyError: _AWAY,
    httpx2.TimeoutException: _SLOW,
    httpx2.NetworkError: _LOST,
    httpx2.RemoteProtocolError: _LOST,
    httpx2.DecodingError: CUT,
    httpx2.LocalProtocolError: _REFUSED,
    httpx2.UnsupportedProtocol: _REFUSED,
    httpx2.TooManyRedirects: _REFUSED,
    httpx2.HTTPStatusError: _REFUSED,
    httpx2.InvalidURL: _REFUSED,
    httpx2.CookieConflict: _REFUSED,
    httpx2.StreamError: _LOST,
    httpx2.SSEError: CUT,
}

STATUS: dict[int, Fault] = {
    400: _REJECTED,
    401: _REFUSED,
    402: _REFUSED,
    403: _REFUSED,
    404: _REFUSED,
    405: _REFUSED,
    407: _REFUSED,
    408: _SLOW,
    409: _BROKEN,
    413: _TOO_LONG,
    422: _REJECTED,
    425: _AWAY,
    429: _AWAY,
    500: _BROKEN,
    501: _REFUSED,
    502: _AWAY,
    503: _AWAY,
    504: _AWAY,
    529: _AWAY,
}

CODES: dict[str, Fault] = {
    "context_length_exceeded": _TOO_LONG,
    "content_filter": DECLINED,
    "content_policy_violation": DECLINED,
    "insufficient_quota": _REFUSED,
    "model_not_found": _REFUSED,
}
"""Codes in an error's body that say more than its status."""

HARMLESS = {"refused", "too_long", "no_level"}
"""Reasons that say nothing about the server, however many rows in a row have them."""

NOT_OFFERED = {"rejected", "server_error", "malformed_reply", "no_logprobs"}
"""Reasons for which a probed protocol counts as one that the server does not offer."""


def transport_fault(error: Exception) -> Fault:
    """Look up the meaning of an exception of the HTTP library, by its class or the nearest one above it."""
    return next(TRANSPORT[kind] for kind in type(error).__mro__ if kind in TRANSPORT)


def status_fault(status: int, code: str | None) -> Fault:
    """Look up the meaning of an HTTP status outside 2xx, and of the code in its body."""
    if code in CODES:
        return CODES[code]
    if status in STATUS:
        return STATUS[status]
    if status >= 500:
        return _BROKEN
    return _REJECTED if status >= 400 else _REFUSED


def error_body(reply: Any) -> tuple[str | None, str]:
    """Code and message of an error's body, in the forms that servers use."""
    body = reply.get("error", reply) if isinstance(reply, dict) else reply
    if not isinstance(body, dict):
        return None, body if isinstance(body, str) else ""
    message = body.get("message", body.get("detail", ""))
    code = body.get("code")
    return code if isinstance(code, str) else None, message if isinstance(message, str) else ""
