"""From conversations and exchanges to token ids, with any Hugging Face tokenizer. No torch here.

The tuning and the reading of a judge both build their prompts here, so that they see the same bytes.
"""

import re
from collections.abc import Iterable
from typing import Any

from jinja2 import TemplateError

from selfj.backends.base import JudgeInput, Messages
from selfj.errors import ConfigError
from selfj.prompts import LEVELS, TEMPLATES, shorten

PLAIN = "{prompt}\n\n### Response:"
"""Text around a prompt for models without a chat template."""
_PLAIN_TURN = r"###(?=[^\S\n]*Response\b)"
"""What opens the reply there; a text may not."""
_CONTENT = "\ue000"
_SIGN = re.compile(r"[^\w\s]")
_LONGEST_MARK = 40
"""A longer line of a chat template is a default system text, not a mark."""


class Prompts:
    """Builds prompts for one tokenizer and one judge template, and knows the ten level tokens."""

    def __init__(self, tokenizer: Any, template: str = "selfj"):
        """Prepare prompts.

        Raises:
            ConfigError: The template is unknown.
        """
        if template not in TEMPLATES:
            raise ConfigError(f"No judge template is named {template!r}; there are: {', '.join(TEMPLATES)}.")
        self._tokenizer = tokenizer
        self._template = TEMPLATES[template]
        self._chat = bool(tokenizer.chat_template)
        added = [str(token) for token in tokenizer.added_tokens_decoder.values() if token.special]
        special = {token for token in [*tokenizer.all_special_tokens, *added] if len(token) > 1}
        ordered = [re.escape(token) for token in sorted(special, key=len, reverse=True)]
        marks = self._turn_marks(ordered) if self._chat else [_PLAIN_TURN]
        self._special = re.compile("|".join([*ordered, *marks])) if ordered or marks else None

    def conversation_text(self, messages: Messages) -> str:
        """Text of a conversation up to where the reply begins.

        Raises:
            jinja2.TemplateError: The model's chat template refuses the conversation.
        """
        clean = [{**message, "content": self.literal(message["content"])} for message in messages]
        if self._chat:
            return self._render(clean, add_generation_prompt=True)
        if len(clean) == 1:
            return PLAIN.replace("{prompt}", clean[0]["content"])
        joined = "\n\n".join(f"{message['role']}: {message['content']}" for message in clean)
        return PLAIN.replace("{prompt}", joined)

    def judge_text(self, exchange: JudgeInput) -> str:
        """Text of a judge prompt up to where the digit stands.

        Raises:
            jinja2.TemplateError: The model's chat template refuses the conversation.
        """
        prompt = _valid(self._template.render(exchange.instruction, exchange.response, exchange.reference))
        if self._template.wrap is not None:
            return self._template.wrap.replace("{prompt}", prompt)
        return self.conversation_text([{"role": "user", "content": prompt}])

    def judge_ids(self, exchange: JudgeInput) -> list[int]:
        """Token ids of a judge prompt; see `judge_text`."""
        return self.encode(self.judge_text(exchange), chat=self._chat and self._template.wrap is None)

    def judge_within(self, exchange: JudgeInput, limit: int, *, cut: bool) -> tuple[list[int] | None, bool]:
        """Token ids of a judge prompt of at most `limit` tokens, and whether texts were cut for it; None if it cannot.

        All texts are cut to the same number of characters, the largest with which the prompt fits, so that the
        longest loses most.
        """
        ids = self.judge_ids(exchange)
        if len(ids) <= limit:
            return ids, False
        if not cut:
            return None, False
        texts = (exchange.instruction, exchange.response, exchange.reference or "")
        low, high = 0, max(map(len, texts))
        best: list[int] | None = None
        while low < high:
            middle = (low + high) // 2
            ids = self.judge_ids(_shortened(exchange, middle))
            if len(ids) <= limit:
                best, low = ids, middle + 1
            else:
                high = middle
        return best, best is not None

    def conversation_ids(self, messages: Messages) -> list[int]:
        """Token ids of a conversation up to where the reply begins; see `conversation_text`."""
        return self.encode(self.conversation_text(messages), chat=self._chat)

    def reply_ids(self, messages: Messages, reply: str) -> tuple[list[int], list[int]]:
        """Token ids of a conversation and of a reply to it, without the end of turn."""
        text, reply = self.conversation_text(messages), self.literal(reply)
        prompt, whole = self.encode(text, self._chat), self.encode(text + reply, self._chat)
        if whole[: len(prompt)] == prompt:
            return prompt, whole[len(prompt) :]
        return prompt, self.encode(reply, chat=True)

    def encode(self, text: str, chat: bool) -> list[int]:
        """Token ids of a text; a chat template has written its special tokens, plain text gets them here."""
        ids: list[int] = self._tokenizer(text, add_special_tokens=not chat)["input_ids"]
        # A few tokenizers close every text; a prompt must stay open.
        closed = not chat and len(ids) > 1 and ids[-1] == self._tokenizer.eos_token_id
        return ids[:-1] if closed else ids

    def literal(self, text: str) -> str:
        """Break special tokens inside a text, and plain marks of turns, so that it cannot end its turn or open another.

        For a tokenizer with the special token `<|end|>`, the text `a<|end|>` becomes `a< |end|>`. So does what the chat
        template writes between turns, such as `USER:`, and without one the line that opens a reply, `### Response:`.
        """
        text = _valid(text)
        if self._special is None:
            return text
        return self._special.sub(lambda match: f"{match.group()[0]} {match.group()[1:]}", text)

    def level_ids(self) -> list[int]:
        """The token that each of the ten digits is, directly after a judge prompt or after one space there.

        Raises:
            ConfigError: The digits are not ten different single tokens.
        """
        text = self.judge_text(JudgeInput("", ""))
        chat = self._chat and self._template.wrap is None
        prompt = self.encode(text, chat)
        for space in ("", " "):
            wholes = [self.encode(f"{text}{space}{level}", chat) for level in LEVELS]
            single = all(whole[:-1] == prompt for whole in wholes)
            ids = [whole[-1] for whole in wholes]
            if single and len(set(ids)) == len(LEVELS) and self._tokenizer.unk_token_id not in ids:
                return ids
        raise ConfigError(
            "A judge needs a tokenizer that writes each digit 0 to 9 as one token of its own at the start of "
            f"a reply; {self._tokenizer.name_or_path or 'this tokenizer'} does not. Choose another model."
        )

    def end_id(self, stops: Iterable[int]) -> int | None:
        """The token of `stops` that ends a reply: what the chat template writes, else the end of text."""
        stops = set(stops)
        eos: int | None = self._tokenizer.eos_token_id
        if self._chat:
            turn = [{"role": "user", "content": "0"}, {"role": "assistant", "content": "0"}]
            ids = self.encode(self._render(turn, add_generation_prompt=False), chat=True)
            written = [token for token in ids if token in stops]
            return written[-1] if written else eos
        return eos

    def _turn_marks(self, special: list[str]) -> list[str]:
        """Patterns of what the chat template writes between messages as plain text, such as `[/INST]` or `USER:`."""
        turns = [{"role": role, "content": _CONTENT} for role in ("user", "assistant", "user")]
        try:
            text = self._render(turns, add_generation_prompt=True)
        except TemplateError:
            return []
        lines = [line.strip() for line in re.split("|".join([*special, _CONTENT, "\n"]), text)]
        marks = {line for line in lines if 3 <= len(line) <= _LONGEST_MARK and _SIGN.search(line)}
        return [re.escape(mark) for mark in sorted(marks, key=len, reverse=True)]

    def _render(self, messages: Messages, *, add_generation_prompt: bool) -> str:
        text: str = self._tokenizer.apply_chat_template(
            list(messages), tokenize=False, add_generation_prompt=add_generation_prompt, enable_thinking=False
        )
        return text


def _shortened(exchange: JudgeInput, limit: int) -> JudgeInput:
    reference = exchange.reference
    return JudgeInput(
        shorten(exchange.instruction, limit),
        shorten(exchange.response, limit),
        None if reference is None else shorten(reference, limit),
    )


def _valid(text: str) -> str:
    # Half of a surrogate pair, as JSON can hold, is no text to a tokenizer.
    return text.encode("utf-8", "replace").decode("utf-8")
