"""Reading what a caller asks: what the judge reads as the question, and what it cannot judge."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from selfj.records import Instruction, Turn, content_id
from selfj.serve.errors import invalid

Route: TypeAlias = Literal["chat/completions", "completions"]
CHAT: Route = "chat/completions"
TEXT: Route = "completions"
ROLES = {"system", "developer", "user", "assistant"}
_KNOB = {"threshold", "max_risk"}


@dataclass(frozen=True, slots=True)
class Asked:
    """One request for an answer."""

    route: Route
    body: dict[str, Any]
    """As it came, without what is meant for the gateway."""
    model: str
    instruction: str
    """What the judge reads as the question; empty where it cannot judge."""
    unjudgeable: str | None
    """Why the judge cannot judge it, as one word."""
    stream: bool
    usage: bool
    """Whether the last chunk of a stream is to say the usage."""
    max_risk: float | None
    threshold: float | None

    @property
    def digest(self) -> str:
        """Tells instructions apart without saying them."""
        return content_id("instruction", self.instruction or self.body.get("messages") or self.body.get("prompt"))


def read_request(route: Route, value: Any) -> Asked:
    """Check a request's body; what is not looked at goes on to the upstream as it is.

    Raises:
        ApiError: It is not a request of this route; status 400.
    """
    if not isinstance(value, dict):
        raise invalid(f"The body must be a JSON object, got {_kind(value)}.")
    body = dict(value)
    max_risk, threshold = _knob(body.pop("selfj", None))
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise invalid(f"model must be the name of a model, got {_kind(model)}.", param="model")
    stream = body.get("stream")
    if stream is not None and not isinstance(stream, bool):
        raise invalid(f"stream must be true or false, got {_kind(stream)}.", param="stream")
    n = body.get("n")
    if n is not None and (not isinstance(n, int) or isinstance(n, bool) or n < 1):
        raise invalid("n must be a whole number from 1.", param="n")
    options = body.get("stream_options")
    if options is not None and not isinstance(options, dict):
        raise invalid(f"stream_options must be an object, got {_kind(options)}.", param="stream_options")
    instruction, reason = _chat(body) if route == CHAT else _prompt(body)
    if reason is None and n not in (None, 1):
        reason = "several_choices"
    return Asked(
        route=route,
        body=body,
        model=model,
        instruction=clean(instruction) if reason is None else "",
        unjudgeable=reason,
        stream=bool(stream),
        usage=bool(options and options.get("include_usage")),
        max_risk=max_risk,
        threshold=threshold,
    )


def clean(text: str) -> str:
    """A text without halves of surrogate pairs, which JSON can hold and no tokenizer reads."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def conversation(messages: list[tuple[str, str]]) -> str:
    """What the judge reads of messages (role, text) that end with the user: as in a run, `Instruction.question`."""
    *before, (_, last) = messages
    system = None
    if before and before[0][0] in {"system", "developer"}:
        system = before.pop(0)[1]
    turns = tuple(Turn(role, text) for role, text in before)
    return Instruction(id="", text=last, system=system, turns=turns).question()


def text_of(content: Any) -> str | None:
    """Text of a message's content: a string, or parts that are all text; None where it is something else."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list) or not content:
        return None
    parts = []
    for part in content:
        kind, text = (part.get("type"), part.get("text")) if isinstance(part, dict) else (None, None)
        if not isinstance(text, str) or not isinstance(kind, str) or kind not in _TEXTS:
            return None
        parts.append(text)
    return "".join(parts)


_TEXTS = {"text", "input_text", "output_text"}


def _chat(body: Mapping[str, Any]) -> tuple[str, str | None]:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise invalid("messages must be a list of at least one message.", param="messages")
    read: list[tuple[str, str]] = []
    reason: str | None = None
    for place, message in enumerate(messages):
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            raise invalid("A message must be an object with a role.", param=f"messages[{place}]")
        role, content = message["role"], message.get("content")
        if not (content is None or isinstance(content, str | list)):
            raise invalid("content must be text, a list of parts or null.", param=f"messages[{place}].content")
        text = text_of(content)
        if role not in ROLES or message.get("tool_calls") or message.get("function_call"):
            reason = reason or "tool_messages"
        elif text is None:
            reason = reason or "not_text"
        else:
            read.append((role, text))
    if reason is None and read[-1][0] != "user":
        reason = "last_not_user"
    modalities = body.get("modalities")
    if reason is None and (body.get("audio") or (modalities and modalities != ["text"])):
        reason = "not_text"
    return ("", reason) if reason else (conversation(read), None)


def _prompt(body: Mapping[str, Any]) -> tuple[str, str | None]:
    prompt = body.get("prompt")
    if isinstance(prompt, list) and prompt and all(isinstance(item, str) for item in prompt):
        if len(prompt) > 1:
            return "", "several_prompts"
        prompt = prompt[0]
    if isinstance(prompt, list) and prompt and all(_is_tokens(item) for item in prompt):
        return "", "prompt_tokens"
    if not isinstance(prompt, str):
        raise invalid("prompt must be text, a list of texts or tokens.", param="prompt")
    if body.get("echo") or body.get("suffix"):
        return "", "echo" if body.get("echo") else "suffix"
    return prompt, None


def _is_tokens(item: Any) -> bool:
    inner = item if isinstance(item, list) else [item]
    return bool(inner) and all(isinstance(token, int) and not isinstance(token, bool) for token in inner)


def _knob(value: Any) -> tuple[float | None, float | None]:
    if value is None:
        return None, None
    if not isinstance(value, dict) or not set(value) <= _KNOB:
        raise invalid("selfj must be an object with max_risk or threshold.", param="selfj")
    if len(value) > 1:
        raise invalid("Give max_risk or threshold, not both.", param="selfj")
    for name, number in value.items():
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise invalid(f"{name} must be a number, got {_kind(number)}.", param=f"selfj.{name}")
        if not -1e9 < number < 1e9:
            raise invalid(f"{name} is out of every range.", param=f"selfj.{name}", code="out_of_bounds")
    return value.get("max_risk"), value.get("threshold")


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", int: "a number", float: "a number"}
    return "nothing" if value is None else names.get(type(value), type(value).__name__)
