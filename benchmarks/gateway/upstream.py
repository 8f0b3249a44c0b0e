"""An upstream that answers at once: `python -m benchmarks.gateway.upstream` prints its port."""

import asyncio
import json

ASK_BAD = "bad"
"""An instruction with this word gets an answer that the benchmark's judge rates 0."""
WRONG = "wrong"


def reply(text: str) -> bytes:
    message = {"role": "assistant", "content": f"{text} answer, some forty words long. " + "word " * 40}
    body = json.dumps(
        {
            "id": "chatcmpl-0123456789",
            "object": "chat.completion",
            "created": 1,
            "model": "instant",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}],
            "usage": {"prompt_tokens": 20, "completion_tokens": 48, "total_tokens": 68},
        }
    ).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


GOOD_REPLY, WRONG_REPLY = reply("right"), reply(WRONG)


class Instant(asyncio.Protocol):
    """Reads requests with a Content-Length, one after another, and answers each."""

    def connection_made(self, transport):
        self.transport, self.data = transport, b""

    def data_received(self, data):
        self.data += data
        while (end := self.data.find(b"\r\n\r\n")) >= 0:
            head = self.data[:end].lower()
            size = 0
            if (place := head.find(b"content-length:")) >= 0:
                size = int(head[place + 15 :].split(b"\r\n", 1)[0])
            whole = end + 4 + size
            if len(self.data) < whole:
                return
            body, self.data = self.data[end + 4 : whole], self.data[whole:]
            self.transport.write(WRONG_REPLY if ASK_BAD.encode() in body else GOOD_REPLY)


async def main() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Instant, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
