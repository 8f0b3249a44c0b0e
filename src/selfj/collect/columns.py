"""Which column holds what: recognises the usual layouts, and takes the user's word before its own guess.

Names are compared without case, with spaces and hyphens as underscores. The first match in each list is taken, in
this order; `collect.source.columns` overrides any of it, and a column is used once.

| word | columns |
|---|---|
| messages | a list of {role, content} or {from, value} in: messages, conversations, conversation, chat, dialogue, prompt |
| instruction | instruction, prompt, question, query, problem, user_prompt, input |
| (appended to it) | input or context, where the instruction's column is named `instruction` (Alpaca, Dolly) |
| reference | reference, references, reference_answer, reference_answers, gold, gold_answer, gold_answers, golden_answer, golden_answers, ground_truth, target, ideal, correct_answer, best_answer, expected_answer, expected_output; else answer, else answers, else output |
| response | response, completion, model_output, model_answer, model_response, answer_model, generation, prediction; else output where there is a model (AlpacaEval) or a reference; else answer where the reference has a name of the long list |
| system | system, system_prompt, system_message |
| category | category, task, domain |
| group | group, family, subset, topic, subcategory |
| model | model, generator |

So Alpaca's `output` is the reference, and {question, reference, answer} is an exchange. In messages, the last user
message is the instruction, what comes before it is earlier turns, and a final assistant message is the response;
it is the reference instead where a column holds the response and none the reference. Where messages are recognised, an instruction
column is only used if the user names it; all messages are earlier turns then.
"""  # noqa: E501

import difflib
import json
from collections.abc import Iterable, Sequence
from collections.abc import Mapping as AnyMapping
from dataclasses import dataclass, fields
from typing import NamedTuple

from selfj.errors import ConfigError, InputError
from selfj.records import Turn

WORDS = ("instruction", "response", "reference", "system", "messages", "category", "group")

_MESSAGES = ("messages", "conversations", "conversation", "chat", "dialogue", "prompt")
_NAMES = {
    "instruction": ("instruction", "prompt", "question", "query", "problem", "user_prompt", "input"),
    "reference": (
        *("reference", "references", "reference_answer", "reference_answers", "gold", "gold_answer"),
        *("gold_answers", "golden_answer", "golden_answers", "ground_truth", "target", "ideal"),
        *("correct_answer", "best_answer", "expected_answer", "expected_output"),
    ),
    "response": (
        *("response", "completion", "model_output", "model_answer", "model_response", "answer_model"),
        *("generation", "prediction"),
    ),
    "system": ("system", "system_prompt", "system_message"),
    "category": ("category", "task", "domain"),
    "group": ("group", "family", "subset", "topic", "subcategory"),
    "model": ("model", "generator"),
}
_ROLES = {
    "human": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "developer": "system",
}


class RowError(Exception):
    """Why one row cannot be used; it becomes the `error` of a record and never leaves `collect`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Mapping:
    """The columns that hold each part of an exchange; None where the file has no such column."""

    instruction: str | None = None
    input: str | None = None
    response: str | None = None
    reference: str | None = None
    system: str | None = None
    messages: str | None = None
    category: str | None = None
    group: str | None = None
    model: str | None = None
    has_responses: bool = False
    """Whether the file holds exchanges; then every row should have a response."""

    def describe(self) -> str:
        """The recognised columns, for a log or a message."""
        named = [(f.name, getattr(self, f.name)) for f in fields(self) if f.name != "has_responses"]
        return ", ".join(f"{word}={printable(column)}" for word, column in named if column is not None)


class Conversation(NamedTuple):
    """Messages, taken apart."""

    system: str | None
    turns: tuple[Turn, ...]
    instruction: str | None
    answer: str | None


def recognise(first_rows: Sequence[AnyMapping[str, object]], overrides: dict[str, str]) -> Mapping:
    """Find out from the first rows which column holds what; the module's table has the rules.

    Args:
        first_rows: Some readable rows.
        overrides: From a word of `WORDS` to a column, as in `collect.source.columns`.

    Raises:
        InputError: There is no readable row.
        ConfigError: An override is wrong, or no column holds the instruction.

    Example:
        >>> recognise([{"question": "What is 6 times 7?", "answer": "42"}], {}).describe()
        'instruction=question, reference=answer'
    """
    columns = list(dict.fromkeys(column for row in first_rows for column in row))
    if not columns:
        raise InputError("None of the first rows has a column: expected an instruction in each row.")
    _check(overrides, columns)
    found = dict(overrides)
    free = {_plain(column): column for column in reversed(columns) if column not in overrides.values()}
    _find_messages(found, free, first_rows)
    if "messages" not in found:
        _find(found, free, "instruction", _NAMES["instruction"])
    if "instruction" not in found and "messages" not in found:
        raise ConfigError(
            f"No column holds the instruction. Columns found: {_listed(columns)}. "
            'Name it in collect.source.columns, such as columns = {instruction = "COLUMN"}.'
        )
    if _plain(found.get("instruction", "")) == "instruction":
        _find(found, free, "input", ("input", "context"))
    _find_answers(found, free)
    for word in ("system", "category", "group", "model"):
        _find(found, free, word, _NAMES[word])
    return _mapping(found, first_rows)


def identity(rows: Iterable[AnyMapping[str, object]]) -> Mapping:
    """Take rows whose keys are selfj's own words, such as those of the world or of a plugin.

    Raises:
        ConfigError: No row has an instruction.
    """
    rows = list(rows)
    keys = dict.fromkeys(key for row in rows for key in row)
    found = {word: word for word in (*WORDS, "model") if word in keys}
    if "instruction" not in found and "messages" not in found:
        raise ConfigError(f"No row has the key instruction. Keys found: {_listed(list(keys)) or 'none'}.")
    return _mapping(found, rows)


def _mapping(found: dict[str, str], rows: Sequence[AnyMapping[str, object]]) -> Mapping:
    column = found.get("messages")
    closed = "instruction" not in found and column is not None and any(_answered(row, column) for row in rows)
    return Mapping(**found, has_responses="response" in found or closed)


def _check(overrides: dict[str, str], columns: list[str]) -> None:
    for word, column in overrides.items():
        if word not in WORDS:
            known = ", ".join(WORDS)
            raise ConfigError(f"collect.source.columns: {word} is not one of {known}{_closest(word, WORDS)}.")
        if column not in columns:
            raise ConfigError(
                f"collect.source.columns.{word}: none of the first rows has a column {column!r}"
                f"{_closest(column, columns)}. Columns found: {_listed(columns)}."
            )
    repeated = [column for column in overrides.values() if list(overrides.values()).count(column) > 1]
    if repeated:
        raise ConfigError(f"collect.source.columns names the column {repeated[0]!r} twice.")


def _find_messages(found: dict[str, str], free: dict[str, str], rows: Sequence[AnyMapping[str, object]]) -> None:
    if "messages" in found or "instruction" in found:
        return
    for name in _MESSAGES:
        column = free.get(name)
        if column is not None and any(_as_messages(row.get(column)) for row in rows):
            found["messages"] = free.pop(name)
            return


def _find_answers(found: dict[str, str], free: dict[str, str]) -> None:
    """Assign reference and response; `answer` and `output` are either, depending on what else there is."""
    given = "reference" in found
    _find(found, free, "reference", _NAMES["reference"])
    clear = "reference" in found
    by_a_model = any(name in free for name in _NAMES["model"])
    _find(found, free, "response", (*_NAMES["response"], *(("output",) if by_a_model else ())))
    _find(found, free, "reference", ("answer", "answers", "output"))
    if "reference" in found:
        _find(found, free, "response", ("output", "answer") if clear or given else ("output",))


def _find(found: dict[str, str], free: dict[str, str], word: str, names: Iterable[str]) -> None:
    if word in found:
        return
    for name in names:
        if name in free:
            found[word] = free.pop(name)
            return


def take_apart(value: object, *, all_turns: bool = False) -> Conversation:
    """Take messages apart into system text, earlier turns, instruction and final answer.

    Args:
        value: A list of {role, content} or {from, value}, or the same as JSON text.
        all_turns: The instruction is elsewhere, so every message is an earlier turn.

    Raises:
        RowError: `wrong_type`, `not_text`, `no_user_message`, or `bad_messages` where other messages, such as
            those of tools, lie between the last user message and the end.
    """
    messages = _as_messages(value)
    if messages is None:
        raise RowError("wrong_type")
    turns = [Turn(_role(message), _content(message)) for message in messages]
    start = next((i for i, turn in enumerate(turns) if turn.role != "system"), len(turns))
    system = "\n\n".join(turn.content for turn in turns[:start]) or None
    turns = turns[start:]
    if all_turns:
        return Conversation(system, tuple(turns), None, None)
    users = [i for i, turn in enumerate(turns) if turn.role == "user"]
    if not users:
        raise RowError("no_user_message")
    last = users[-1]
    after = turns[last + 1 :]
    if len(after) > 1 or (after and after[0].role != "assistant"):
        raise RowError("bad_messages")
    return Conversation(system, tuple(turns[:last]), turns[last].content, after[0].content if after else None)


def is_messages(value: object) -> bool:
    """Tell whether a value is a list of messages that is not empty."""
    return isinstance(value, list) and bool(_as_messages(value))


def _answered(row: AnyMapping[str, object], column: str) -> bool:
    messages = _as_messages(row.get(column))
    try:
        return bool(messages) and _role((messages or [])[-1]) == "assistant"
    except RowError:
        return False


def _as_messages(value: object) -> list[dict[str, object]] | None:
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    if not isinstance(value, list):
        return None
    if all(isinstance(item, dict) and ("role" in item or "from" in item) for item in value):
        return value
    return None


def _role(message: dict[str, object]) -> str:
    role = message["role"] if message.get("role") is not None else message.get("from")
    if not isinstance(role, str):
        raise RowError("wrong_type")
    role = role.strip().lower()
    return _ROLES.get(role, role)


def _content(message: dict[str, object]) -> str:
    content = message["content"] if message.get("content") is not None else message.get("value")
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise RowError("wrong_type")
    return "\n".join(_part(part) for part in content)


def _part(part: object) -> str:
    text = part.get("text") if isinstance(part, dict) else part
    if not isinstance(text, str):
        raise RowError("not_text")
    return text


def _plain(column: str) -> str:
    return column.strip().casefold().replace(" ", "_").replace("-", "_")


def _closest(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {printable(close[0])}?" if close else ""


def _listed(columns: Sequence[str]) -> str:
    shown = ", ".join(printable(column) for column in columns[:30])
    return f"{shown} and {len(columns) - 30} more" if len(columns) > 30 else shown


def printable(name: str) -> str:
    """A column's name, cut and escaped so that any terminal can show it."""
    return name[:80].encode("utf-8", "backslashreplace").decode("utf-8")
