"""Logs: one JSON object a line, never with a body or a key."""

import json
import logging
import sys
import time
from collections.abc import Mapping
from typing import Any

_LOGGER = logging.getLogger("selfj.serve")


class JsonLines(logging.Formatter):
    """Writes a record as a JSON object."""

    def __init__(self, always: Mapping[str, Any] | None = None):
        """Take what stands in every line."""
        super().__init__()
        self._always = always or {}

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        told: dict[str, Any] = {
            "at": f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        told |= {**self._always, **getattr(record, "told", {})}
        if record.exc_info and record.exc_info[0] is not None:
            # The words of a foreign error can hold a text of the request; its kind and place cannot.
            told["error"] = record.exc_info[0].__name__
            trace = record.exc_info[2]
            while trace is not None and trace.tb_next is not None:
                trace = trace.tb_next
            if trace is not None:
                told["where"] = f"{trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}"
        return json.dumps(told)


def configure(level: int = logging.INFO, **always: Any) -> None:
    """Send the logs of the gateway and of its server to standard error.

    Args:
        level: Of the gateway's own.
        always: What stands in every line, such as the number of a worker.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(always))
    for name in ("selfj.serve", "uvicorn", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(level if name == "selfj.serve" else logging.WARNING)
        logger.propagate = False


def log(event: str, **told: Any) -> None:
    """Note an event."""
    if _LOGGER.isEnabledFor(logging.INFO):
        _LOGGER.info(event, extra={"told": told})


def log_fault(event: str, **told: Any) -> None:
    """Note an error that was not foreseen, with its kind and place."""
    _LOGGER.error(event, exc_info=True, extra={"told": told})
