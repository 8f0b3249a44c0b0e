"""Requests as raw bytes, and all that comes back, so that nothing of it is mended by a client."""

import json
import re
import socket
import time
from dataclasses import dataclass

_MARK = re.compile(rb"mark(\d+)\.")
_CODE = re.compile(rb'"code":"([a-z_]+)"')
_TEXT = re.compile(rb'"(?:content|text)":"((?:[^"\\]|\\.)*)"')
QUIET_S = 30.0


@dataclass
class Came:
    """What came back on one connection, as bytes."""

    data: bytes
    seconds: float

    @property
    def status(self) -> int:
        """Of the first reply; 0 where none came."""
        found = re.match(rb"HTTP/1\.1 (\d{3})", self.data)
        return int(found[1]) if found else 0

    @property
    def code(self) -> str:
        """The error's word, or what was decided."""
        found = _CODE.findall(self.data)
        return found[-1].decode() if found else ""

    @property
    def head(self) -> bytes:
        return self.data.partition(b"\r\n\r\n")[0]

    @property
    def text(self) -> str:
        """What a caller reads of an answer, whole or from a stream."""
        return b"".join(_TEXT.findall(self.data)).decode("utf-8", "replace")

    @property
    def marks(self) -> set[int]:
        """Answers of the upstream that came through, by number."""
        return {int(mark) for mark in _MARK.findall(self.data) + _MARK.findall(self.text.encode())}


def send(port: int, data: bytes, *, quiet_s: float = QUIET_S, half_close: bool = False) -> Came:
    """Send bytes on a new connection and read until its end, or until nothing comes for a while."""
    began = time.perf_counter()
    parts = []
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=quiet_s) as connection:
            connection.sendall(data)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(65536):
                parts.append(part)
    except OSError:
        pass
    return Came(b"".join(parts), time.perf_counter() - began)


def chat(text: str, request_id: str, *, stream: bool = False) -> bytes:
    """A question, on a connection that ends with its reply."""
    body = {"model": "m", "messages": [{"role": "user", "content": text}]} | ({"stream": True} if stream else {})
    return post("/v1/chat/completions", json.dumps(body).encode(), request_id)


def post(path: str, body: bytes, request_id: str, *, more: str = "") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\nX-Request-Id: {request_id}\r\n"
    return f"{head}{more}Connection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
