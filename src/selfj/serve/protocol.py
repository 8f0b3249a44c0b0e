"""HTTP as uvicorn reads it, with a limit on the head of a request while it comes in.

uvicorn's own limit is for its slower parser alone; the faster one would hold a head of any length.
"""

import asyncio
from typing import Any

from selfj.serve.errors import dump_json
from selfj.serve.http import head_too_large


def protocol(limit: int) -> Any:
    """The class that uvicorn is to read with.

    Args:
        limit: Most bytes of a request's first line and headers. What has come in one piece is read first, so a head
            that is complete is refused by the application, with the same error.

    Returns:
        uvicorn's parser over httptools, bounded; or `h11` where httptools is absent, which
        `h11_max_incomplete_event_size` bounds.
    """
    try:
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
    except ImportError:
        return "h11"

    class Bounded(HttpToolsProtocol):
        """Refuses a head that is too long before it is whole."""

        _in_head = True
        _size = 0

        def on_message_begin(self) -> None:
            self._in_head = True
            self._size = 0
            super().on_message_begin()

        def on_headers_complete(self) -> None:
            self._in_head = False
            super().on_headers_complete()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if not self._in_head:
                return
            self._size += len(data)
            if self._size > limit and not self.transport.is_closing():
                self._refuse()

        def _refuse(self) -> None:
            body = dump_json(head_too_large(limit).body("unread"))
            head = "HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: application/json\r\n"
            head += f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
            self.transport.write(head.encode("ascii") + body)
            self.transport.close()

    made: type[asyncio.Protocol] = Bounded
    return made
