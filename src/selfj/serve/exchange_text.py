"""The exchange that a decision request is about, in any of the forms that it may come in."""

import json
import re
from typing import Any

from selfj.backends.base import JudgeInput
from selfj.serve.errors import invalid
from selfj.serve.requests import ROLES, clean, conversation, text_of

_SECTIONS = re.compile(
    r"\A\[Question\]\n(?P<instruction>.*?)(?:\n\n\[Reference\]\n(?P<reference>.*?))?\n\n\[Answer\]\n(?P<response>.*?)"
    r"(?:(?:\n\n\[Rating\])?\n\n\[Reference\]\n(?P<last>.*?))?(?:\n\n\[Rating\])?\Z",
    re.DOTALL,
)
_FIELDS = {"instruction", "response", "reference"}
_FORMS = (
    "expected an object with instruction, response and perhaps reference; messages that end with the assistant's; or "
    "the text of one of selfj's templates"
)


def read_exchange(value: Any, param: str) -> JudgeInput:
    """Read an exchange.

    Args:
        value: An object, messages, or a text that holds either as JSON or is a judge prompt of selfj.
        param: The field that it stands in, for the error.

    Raises:
        ApiError: It is none of these; status 400.
    """
    if isinstance(value, str):
        return _read_text(value, param)
    if isinstance(value, dict) and isinstance(value.get("messages"), list):
        return _read_messages(value["messages"], param)
    if isinstance(value, dict):
        return _read_object(value, param)
    if isinstance(value, list):
        return _read_messages(value, param)
    raise invalid(f"{param} holds no exchange: {_FORMS}.", param=param)


def _read_text(text: str, param: str) -> JudgeInput:
    found = _SECTIONS.match(text.strip())
    if found is not None:
        reference = found["reference"] if found["reference"] is not None else found["last"]
        return _exchange(found["instruction"], found["response"], reference)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, dict | list):
        return read_exchange(value, param)
    raise invalid(f"{param} holds no exchange: {_FORMS}.", param=param)


def _read_object(value: dict[str, Any], param: str) -> JudgeInput:
    known = set(value) <= _FIELDS and {"instruction", "response"} <= set(value)
    texts = all(isinstance(text, str) or (name == "reference" and text is None) for name, text in value.items())
    if not (known and texts):
        raise invalid(f"{param} holds no exchange: {_FORMS}.", param=param)
    return _exchange(value["instruction"], value["response"], value.get("reference"))


def _read_messages(messages: list[Any], param: str) -> JudgeInput:
    read = []
    for message in messages:
        content = text_of(message.get("content")) if isinstance(message, dict) else None
        role = message.get("role") if isinstance(message, dict) else None
        if content is None or not isinstance(role, str) or role not in ROLES:
            raise invalid(f"{param} holds no exchange: a message of it is not text.", param=param)
        read.append((role, content))
    if len(read) == 1 and read[0][0] == "user":
        # A service that knows messages only wraps the text of a prompt so.
        return _read_text(read[0][1], param)
    if len(read) < 2 or read[-1][0] != "assistant" or read[-2][0] != "user":
        raise invalid(f"{param} holds no exchange: {_FORMS}.", param=param)
    return _exchange(conversation(read[:-1]), read[-1][1], None)


def _exchange(instruction: str, response: str, reference: str | None) -> JudgeInput:
    return JudgeInput(clean(instruction), clean(response), None if reference is None else clean(reference))
