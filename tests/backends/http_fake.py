"""A server of the fake model on 127.0.0.1, which behaves as vLLM does, or misbehaves as it is told."""

import json
import re
import socket
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from selfj.backends.base import JudgeInput, Sampling
from selfj.backends.fake import FakeModel
from selfj.records import hash_fraction
from selfj.settings import FakeBackend

MODEL = "fake-model"
ALL = frozenset({"tokenize", "detokenize", "token_ids", "systemone", "decisions", "chat", "completions", "logprobs"})
_PROMPT = re.compile(
    r"\[Question\]\n(?P<q>.*?)(?:\n\n\[Reference\]\n(?P<r>.*?))?\n\n\[Answer\]\n(?P<a>.*?)"
    r"(?:\n\n\[Rating\])?(?:\n\n### Response:)?$",
    re.DOTALL,
)


@dataclass
class Reply:
    """What the server answers."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    """Sent as it is instead of the body."""
    announced: int | None = None
    """Content-Length, where it is not the true one."""
    delay_s: float = 0.0
    drip_s: float = 0.0
    """Wait before each byte."""
    drop: bool = False
    """Close the connection instead of answering."""


def error(status: int, code: str | None = None, message: str = "no", **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply({"error": {"message": message, "code": code}}, status, named)


class FakeServer(ThreadingHTTPServer):
    """Offers some of the routes; `script` may answer in their place, given request number, path and body."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, offers=ALL, script: Callable[[int, str, dict], Reply | None] | None = None, key=None):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.offers, self.script, self.key = set(offers), script, key
        self.model = FakeModel(FakeBackend())
        self.seen: list[tuple[str, dict]] = []
        self.most_at_once = self._now = 0
        self.lock = threading.Lock()

    def handle_error(self, request, client_address):
        """A client that gave up is no fault of the server."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def paths(self) -> list[str]:
        return [path for path, _ in self.seen]

    def answer(self, path: str, body: dict, authorization: str | None) -> Reply:
        with self.lock:
            number = len(self.seen)
            self.seen.append((path, body))
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
        try:
            if self.key and authorization != f"Bearer {self.key}":
                return error(401, "invalid_api_key", f"Incorrect key: {authorization}")
            made = self.script(number, path, body) if self.script else None
            return made or self.route(path, body)
        finally:
            with self.lock:
                self._now -= 1

    def route(self, path: str, body: dict) -> Reply:
        if path == "/v1/models":
            return Reply({"data": [{"id": MODEL}]})
        name = path.rsplit("/", 1)[-1]
        if path == "/v1/chat/completions":
            name = "chat"
        if name not in self.offers:
            return Reply({"detail": "Not Found"}, 404)
        if body.get("model") != MODEL:
            return error(404, "model_not_found", f"no model {body.get('model')}")
        return Reply(getattr(self, f"_{name}")(body))

    def _levels(self, text: str) -> tuple[list[float], float]:
        found = _PROMPT.search(text)
        exchange = JudgeInput(found["q"], found["a"], found["r"]) if found else JudgeInput(text, "")
        reading = self.model.read([exchange])
        return [float(p) for p in reading.probabilities[0]], float(reading.label_mass[0])

    def _tokenize(self, body: dict) -> dict:
        text = _chat(body["messages"]) if "messages" in body else body["prompt"]
        return {"tokens": list(text.encode())}

    def _detokenize(self, body: dict) -> dict:
        return {"prompt": bytes(body["tokens"]).decode()}

    def _systemone(self, body: dict) -> dict:
        ((name, question),) = body["questions"].items()
        assert set(question) == {"type", "instructions", "criteria"}
        levels, mass = self._levels(body["state"])
        answer = {
            "type": "score",
            "score": sum(place * p for place, p in enumerate(levels)),
            "legend": dict(enumerate(question["criteria"])),
            "probabilities": {str(place): p for place, p in enumerate(levels)},
            "confidence": max(levels) * mass,
        }
        return {"answers": {name: answer}, "diagnostics": {name: {"label_mass": mass, "argmax_is_label": True}}}

    def _decisions(self, body: dict) -> dict:
        (question,) = body["questions"]
        levels, _ = self._levels(body["input"])
        entries = [
            {"value": place, "label": level["label"], "probability": p}
            for place, (level, p) in enumerate(zip(question["levels"], levels, strict=True))
        ]
        answer = {
            "type": "score",
            "name": question["name"],
            "score": sum(place * p for place, p in enumerate(levels)),
            "confidence": max(levels),
            "probabilities": entries,
        }
        usage = {
            "input_tokens": 9,
            "input_tokens_details": {"cache_write_tokens": 0, "cached_tokens": 0},
            "output_tokens": 0,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 9,
        }
        return {"answers": [answer], "model": MODEL, "usage": usage}

    def _completions(self, body: dict) -> dict:
        levels, mass = self._levels(body["prompt"])
        top = dict(_entries(levels, mass)[: body["logprobs"]])
        return {"choices": [{"text": "0", "logprobs": {"top_logprobs": [top]}, "finish_reason": "length"}]}

    def _chat(self, body: dict) -> dict:
        messages = body["messages"]
        if "prompt_logprobs" in body:
            return self._prompt_logprobs(messages) if "logprobs" in self.offers else _choice("x", None, "length", 1)
        text = messages[-1]["content"]
        if "[The Start of Assistant's Answer]" in text:
            return self._verdict(text)
        if "[Answer]" in text and "[Question]" in text:
            return self._judgement(text, body)
        sampling = Sampling(body.get("temperature", 1.0), body.get("top_p", 1.0), body["max_tokens"])
        (made,) = self.model.generate([messages], [body.get("seed", 0)], sampling)
        entries = [{"token": "t", "logprob": made.logprob, "top_logprobs": []}] * made.tokens
        told = {"content": entries} if body.get("logprobs") and "logprobs" in self.offers else None
        return _choice(made.text, told, made.finish, made.tokens)

    def _verdict(self, text: str) -> dict:
        """What a grader writes: a verdict that the text decides, with what it took."""
        reply = f"Brief, and it answers. Rating: [[{1 + int(hash_fraction('verdict', text) * 9)}]]"
        made = _choice(reply, None, "stop", 20)
        return {**made, "usage": {"prompt_tokens": len(text) // 4, "completion_tokens": 20}}

    def _judgement(self, text: str, body: dict) -> dict:
        levels, mass = self._levels(text)
        written = str(max(range(10), key=levels.__getitem__))
        entries = _entries(levels, mass)
        top = [{"token": token, "logprob": value} for token, value in entries[: body.get("top_logprobs", 0)]]
        wanted = body.get("logprob_token_ids")
        if wanted and "token_ids" in self.offers:
            by_token = dict(entries)
            top = [{"token": f"token_id:{n}", "logprob": by_token[chr(n)]} for n in wanted]
        told = {"content": [{"token": written, "logprob": -0.1, "top_logprobs": top}]}
        return _choice(written, told if "logprobs" in self.offers else None, "stop", 1)

    def _prompt_logprobs(self, messages: list[dict]) -> dict:
        *conversation, reply = messages
        before = list(_chat(conversation).encode())
        own = list(reply["content"].encode())
        tokens = [*before, *own, 1, 2]
        value = self.model.mean_logprob([conversation], [reply["content"]])[0]
        entries = [None, *({str(token): {"logprob": value}} for token in tokens[1:])]
        return {**_choice("x", None, "length", 1), "prompt_token_ids": tokens, "prompt_logprobs": entries}


def _chat(messages: list[dict]) -> str:
    return "".join(f"\x01{m['role']}\n{m['content']}\x01\x02" for m in messages) + "\x01assistant\n"


def _entries(levels: list[float], mass: float) -> list[tuple[str, float]]:
    """Tokens by falling probability: the digits, and one word that has the rest."""
    from math import log

    found = [(str(place), log(max(p * mass, 1e-30))) for place, p in enumerate(levels)]
    return sorted([*found, ("The", log(1 - mass))], key=lambda entry: -entry[1])


def _choice(text: str, logprobs: Any, finish: str, tokens: int) -> dict:
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "logprobs": logprobs, "finish_reason": finish}
    return {"choices": [choice], "usage": {"completion_tokens": tokens}, "model": MODEL}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        self._reply(self.server.answer(self.path, {}, self.headers.get("Authorization")))

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._reply(self.server.answer(self.path, body, self.headers.get("Authorization")))

    def _reply(self, reply: Reply):
        time.sleep(reply.delay_s)
        if reply.drop:
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        data = reply.raw if reply.raw is not None else json.dumps(reply.body).encode()
        try:
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data) if reply.announced is None else reply.announced))
            self.end_headers()
            for part in [data[n : n + 1] for n in range(len(data))] if reply.drip_s else [data]:
                time.sleep(reply.drip_s)
                self.wfile.write(part)
            self.close_connection = self.close_connection or reply.announced is not None
        except OSError:
            self.close_connection = True

    def log_message(self, *_):
        pass


@contextmanager
def serving(**options):
    """A server, stopped at the end."""
    server = FakeServer(**options)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
