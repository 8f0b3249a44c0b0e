"""Odd requests from a seed: valid ones with something changed, broken HTTP, and tries to smuggle one into another."""

import copy
import json
import random
from dataclasses import dataclass

TEXTS = ["2 + 2?", "", "\ud800", "Grüße 世界", "x" * 3000, "[Answer]\n9", "\x00", "null", '{"a": 1}', "bad", "‮", "%s%n"]
NUMBERS = [0, -1, 1, 9, 10**20, -(10**400), 10**5000, 1e308, 5e-324, 0.1, 2**63, 2**64]
RAW_NUMBERS = [b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-0", b"1e-999", b"01", b"0x10", b"1" * 5000, b"\xff"]
FIELDS = (
    *("role", "content", "type", "text", "messages", "prompt", "model", "n", "tools", "tool_calls", "stream", "selfj"),
    *("stream_options", "threshold", "max_risk", "seed", "logprobs", "modalities", "echo", "questions", "state"),
    *("input", "criteria", "levels", "quality", "good", "decision_id", "who", "comment", "function_call", "audio"),
)
PATHS = (
    *("/v1/chat/completions", "/v1/completions", "/v1/systemone", "/v1/decisions", "/v1/feedback"),
    *("/selfj/decisions?after=", "/selfj/decision/", "/selfj/curve", "/selfj/drift", "/selfj/histogram"),
    *("/v1/models", "/metrics", "/health/ready", "/openapi.json", "/", "/v1/none", "*", "//", "/..%2f..", "/%ff%00"),
)
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "BREW")
HEADERS = (
    *("Accept-Language: de;q=9", "Accept-Language: \xff,*;q=x", "Content-Type: text/plain", "Content-Encoding: gzip"),
    *(
        "X-Request-Id: " + "a" * 300,
        "X-Request-Id: \xe9",
        "Authorization: Bearer \xff",
        "Authorization: Basic",
        "Cookie: a=b",
    ),
    *("Expect: 100-continue", "Upgrade: websocket", "Upgrade: h2c", "X-Big: " + "b" * 9000, "X-Many: " + "c" * 20000),
    *("X-Forwarded-For: 1.2.3.4", "Host: other", "Accept-Encoding: br", "Range: bytes=0-1", "Te: trailers"),
)


@dataclass
class Odd:
    """A request in its parts."""

    method: str
    path: str
    headers: list[str]
    body: bytes

    def raw(self, *, close: bool = True) -> bytes:
        """As it goes over a socket."""
        lines = [f"{self.method} {self.path} HTTP/1.1", "Host: gateway", *self.headers]
        lines += [f"Content-Length: {len(self.body)}", *(["Connection: close"] if close else [])]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + self.body


def good(rng: random.Random, name: str) -> Odd:
    """A valid request for one of the routes that take one."""
    exchange = {"instruction": rng.choice(TEXTS), "response": rng.choice(TEXTS)}
    user = {"role": "user", "content": rng.choice(TEXTS)}
    bodies = {
        "/v1/chat/completions": {"model": "m", "messages": [user], "stream": rng.random() < 0.3},
        "/v1/completions": {"model": "m", "prompt": rng.choice(TEXTS), "stream": rng.random() < 0.3},
        "/v1/systemone": {
            "model": "m",
            "state": exchange,
            "questions": {"a": {"type": "score", "criteria": list("abcdefghij")}},
        },
        "/v1/decisions": {
            "model": "m",
            "input": json.dumps(exchange),
            "questions": [{"type": "score", "instructions": "", "levels": [{"label": "x"}] * 10}],
        },
        "/v1/feedback": {"decision_id": name if rng.random() < 0.5 else "f-1", "good": True, "comment": "x"},
    }
    path = rng.choices(list(bodies), [6, 3, 1, 1, 1])[0]
    data = json.dumps(bodies[path], ensure_ascii=rng.random() < 0.8).encode("utf-8", "surrogatepass")
    return Odd("POST", path, ["Content-Type: application/json", f"X-Request-Id: {name}"], data)


def changed(rng: random.Random, name: str) -> Odd:
    """A valid request with something changed."""
    made = good(rng, name)
    for _ in range(rng.choice([0, 1, 1, 2, 3])):
        rng.choices([_value, _bytes, _number, _deep, _head], [8, 2, 1, 1, 2])[0](rng, made)
    return made


def _value(rng: random.Random, made: Odd) -> None:
    try:
        tree = json.loads(made.body)
    except (ValueError, RecursionError):
        return
    holder, keys = tree, []
    while isinstance(holder, dict | list) and holder and (not keys or rng.random() < 0.6):
        keys.append(rng.choice(list(holder) if isinstance(holder, dict) else range(len(holder))))
        holder = holder[keys[-1]]
    spot = tree
    for key in keys[:-1]:
        spot = spot[key]
    if not isinstance(spot, dict | list):
        tree = anything(rng)
    elif rng.random() < 0.2 and keys:
        del spot[keys[-1]]
    elif isinstance(spot, dict) and rng.random() < 0.4:
        spot[rng.choice(FIELDS)] = anything(rng)
    elif keys:
        spot[keys[-1]] = anything(rng)
    try:
        made.body = json.dumps(tree, ensure_ascii=rng.random() < 0.8).encode("utf-8", "surrogatepass")
    except ValueError:
        # More digits than Python writes.
        made.body = made.body.replace(b"true", b"1" * 5000)


def anything(rng: random.Random, depth: int = 0) -> object:
    """Any JSON value."""
    kind = rng.randrange(8 if depth < 4 else 5)
    if kind < 5:
        return [None, rng.random() < 0.5, rng.choice(NUMBERS), rng.uniform(-10, 10), rng.choice(TEXTS)][kind]
    if kind == 5:
        return [anything(rng, depth + 1) for _ in range(rng.randrange(4))]
    return {rng.choice(FIELDS): anything(rng, depth + 1) for _ in range(rng.randrange(4))}


def _bytes(rng: random.Random, made: Odd) -> None:
    data = made.body
    place = rng.randrange(len(data) + 1)
    new = bytes(rng.randrange(256) for _ in range(rng.randrange(4)))
    cut = rng.choice([0, 1, 1, 10, 10**6])
    made.body = data[:place] + new + data[place + cut :]


def _number(rng: random.Random, made: Odd) -> None:
    for word in (b"true", b"false", b"10", b"9", b'"m"'):
        if word in made.body:
            made.body = made.body.replace(word, rng.choice(RAW_NUMBERS), 1)
            return
    made.body = rng.choice(RAW_NUMBERS)


def _deep(rng: random.Random, made: Odd) -> None:
    depth = rng.choice([50, 99, 101, 1000, 100_000])
    inner = made.body if rng.random() < 0.5 else b"1"
    before, after = rng.choice([(b"[", b"]"), (b'{"messages":', b"}")])
    if len(before) * depth > 2**20:
        depth //= 10
    whole = before * depth + inner + after * depth
    made.body = whole if rng.random() < 0.5 else made.body.replace(b'"m"', whole, 1)


def _head(rng: random.Random, made: Odd) -> None:
    what = rng.randrange(4)
    if what == 0:
        made.headers.append(rng.choice(HEADERS))
    elif what == 1:
        made.method = rng.choice(METHODS)
    elif what == 2:
        made.path = rng.choice(PATHS) + rng.choice(["", "0", "-1", "9" * 30, "%00", "%ff", "?", "x?limit=0", "é"])
    else:
        made.headers.insert(0, "X-Request-Id: " + rng.choice(["", " ", "a\tb", "\x7f"]))


def wire(rng: random.Random, name: str) -> tuple[bytes, bool]:
    """Bytes for a socket, and whether they are a whole request that must get a reply."""
    kind = rng.choices([_plain, _pipelined, _chunked, _partial, _smuggled, _broken], [8, 3, 3, 2, 3, 3])[0]
    return kind(rng, name)


def _plain(rng: random.Random, name: str) -> tuple[bytes, bool]:
    return changed(rng, name).raw(), True


def _pipelined(rng: random.Random, name: str) -> tuple[bytes, bool]:
    count = rng.randint(2, 4)
    parts = [changed(rng, f"{name}.{place}").raw(close=place == count - 1) for place in range(count)]
    return b"".join(parts), True


def _chunks(rng: random.Random, body: bytes) -> bytes:
    parts, place = [], 0
    while place < len(body):
        size = rng.choice([1, 7, 64, 5000])
        part = body[place : place + size]
        parts.append(b"%x\r\n%s\r\n" % (len(part), part))
        place += size
    return b"".join(parts) + b"0\r\n\r\n"


def _chunked(rng: random.Random, name: str) -> tuple[bytes, bool]:
    made = changed(rng, name)
    head = made.raw().replace(b"Content-Length: %d" % len(made.body), b"Transfer-Encoding: chunked")
    data = _chunks(rng, made.body)
    if rng.random() < 0.4:
        wrong = [
            (b"\r\n", b"\n"),
            (b"0\r\n\r\n", b"fffffffffffffffff\r\n"),
            (b"\r\n", b";a=b\r\n"),
            (b"0\r\n\r\n", b"-1\r\n\r\n"),
        ]
        data = data.replace(*rng.choice(wrong), 1)
        return head[: len(head) - len(made.body)] + data, False
    return head[: len(head) - len(made.body)] + data, True


def _partial(rng: random.Random, name: str) -> tuple[bytes, bool]:
    data = changed(rng, name).raw()
    return data[: rng.randrange(len(data))], False


def _smuggled(rng: random.Random, name: str) -> tuple[bytes, bool]:
    """Two readings of where a request ends; the hidden one is named, so that one sees whether it was served."""
    outer, hidden = good(rng, name), good(rng, f"smuggled-{name}").raw()
    size, chunked = len(outer.body), b"Transfer-Encoding: chunked"
    told = b"Content-Length: %d" % size
    both = [
        # Length and chunks at once: by the chunks the hidden one follows, by the length it is body.
        (told, b"Content-Length: %d\r\n%s" % (5 + len(hidden), chunked), b"0\r\n\r\n" + hidden),
        (told, b"%s\r\nContent-Length: %d" % (chunked, 5 + len(hidden)), b"0\r\n\r\n" + hidden),
        # Two lengths.
        (told, b"Content-Length: %d\r\nContent-Length: %d" % (size, size + len(hidden)), outer.body + hidden),
        (told, b"Content-Length: %d, %d" % (size, size + len(hidden)), outer.body + hidden),
        # Lengths and codings that only some read.
        (told, b"Content-Length: +%d" % size, outer.body + hidden),
        (told, b"Content-Length : %d" % size, outer.body + hidden),
        (told, b"Transfer-Encoding: xchunked\r\nContent-Length: %d" % (size + len(hidden)), outer.body + hidden),
        (told, b"Transfer-Encoding : chunked\r\nContent-Length: %d" % (5 + len(hidden)), b"0\r\n\r\n" + hidden),
        (told, b"Transfer-Encoding:\x0bchunked\r\nContent-Length: %d" % (5 + len(hidden)), b"0\r\n\r\n" + hidden),
        (told, b"X: a\nContent-Length: 0\r\n%s" % told, outer.body + hidden),
        (told, b"X: a\rContent-Length: 0\r\n%s" % told, outer.body),
    ]
    before, after, body = rng.choice(both)
    head = outer.raw(close=False)[: -len(outer.body)]
    return head.replace(before, after, 1) + body, False


def _broken(rng: random.Random, name: str) -> tuple[bytes, bool]:
    whole = changed(rng, name).raw()
    kinds = [
        bytes(rng.randrange(256) for _ in range(rng.randrange(1, 400))),
        whole.replace(b"HTTP/1.1", rng.choice([b"HTTP/9.9", b"HTTP/1.0", b"HTTP/0.9", b"http/1.1", b""]), 1),
        whole.replace(b"\r\n", b"\n"),
        whole.replace(b"Host: gateway", b"Host: gateway\r\n folded: x", 1),
        whole.replace(b"Host: gateway\r\n", b"", 1),
        whole.replace(b"Host", b"Ho\x00st", 1),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /" + b"a" * rng.choice([9000, 70_000]) + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(32),
        b"\r\n" * 20 + whole,
        copy.copy(whole)[::-1],
    ]
    return rng.choice(kinds), False
