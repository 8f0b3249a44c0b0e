"""From conversations and exchanges to token ids, with any Hugging Face tokenizer. No torch here.

The tuning and the reading of a judge both build their prompts here, so that they see the same bytes.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from jinja2 import TemplateError

from selfj.backends.base import JudgeInput, Messages
from selfj.backends.cutting import cut_to_fit
from selfj.errors import ConfigError
from selfj.prompts import LEVELS, TEMPLATES

PLAIN = "{prompt}\n\n### Response:"
"""Text around a prompt for models without a chat template."""
_PLAIN_TURN = r"###(?=[^\S\n]*Response\b)"
"""What opens the reply there; a text may not."""
_CONTENT = "\ue000"
_SIGN = re.compile(r"[^\w\s]")
_LONGEST_MARK = 40
"""A longer line of a chat template is a default system text, not a mark."""
_OTHER = "\u2016"
"""Stands for another text; no text is likely to begin like it."""
_REPLY = "REPLY"
_OPEN_THOUGHT = re.compile(r"<think>\s*$")
_END_OF_THOUGHT = "\n</think>\n\n"


class JudgePrompt(NamedTuple):
    """A judge prompt in tokens, and where it can be divided because other prompts begin alike."""

    ids: list[int]
    """Empty where there is an error."""
    head: int = 0
    """Number of leading tokens that belong to the template alone."""
    cuts: tuple[int, ...] = ()
    """Numbers of leading tokens: up to the response, and, where the reference comes last, up to the student's
    rating. They follow from the exchange alone."""
    truncated: bool = False
    error: str | None = None


class Prompts:
    """Builds prompts for one tokenizer and one judge template, and knows the ten level tokens."""

    def __init__(self, tokenizer: Any, template: str = "selfj"):
        """Prepare prompts.

        Raises:
            ConfigError: The template is unknown, or needs two turns and the chat template has only one.
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
        self._end_of_thought = self._closing()
        if self._template.turn is not None:
            self._check_turns()

    @property
    def reference_last(self) -> bool:
        """Whether the student's prompt is the beginning of the teacher's."""
        return self._template.turn is not None

    def conversation_text(self, messages: Messages) -> str:
        """Text of a conversation up to where the reply begins.

        Raises:
            jinja2.TemplateError: The model's chat template refuses the conversation.
        """
        clean = [{**message, "content": self.literal(message["content"])} for message in messages]
        if self._chat:
            return self._render(clean, add_generation_prompt=True) + self._end_of_thought
        if len(clean) == 1:
            return PLAIN.replace("{prompt}", clean[0]["content"])
        joined = "\n\n".join(f"{message['role']}: {message['content']}" for message in clean)
        return PLAIN.replace("{prompt}", joined)

    def judge_text(self, exchange: JudgeInput) -> str:
        """Text of a judge prompt up to where the digit stands.

        Raises:
            jinja2.TemplateError: The model's chat template refuses the conversation.
        """
        return "".join(self._judge_texts(exchange))

    def judge_ids(self, exchange: JudgeInput) -> list[int]:
        """Token ids of a judge prompt; see `judge_text`."""
        first, *others = self._judge_texts(exchange)
        # One by one, so that no token spans the place where the student's rating is read.
        later = [token for text in others for token in self.encode(text, chat=True)]
        return self.encode(first, chat=self._judge_chat) + later

    def judge_prompts(self, exchanges: Sequence[JudgeInput], limit: int, *, cut: bool) -> list[JudgePrompt]:
        """Token ids of many judge prompts of at most `limit` tokens, tokenised together.

        Args:
            exchanges: What is judged.
            limit: A longer prompt is `too_long`.
            cut: Cut the texts of a longer one as `judge_within` does.
        """
        texts: list[list[str] | None] = []
        for exchange in exchanges:
            try:
                texts.append(self._judge_texts(exchange))
            except TemplateError:
                texts.append(None)
        known = self._encode_all([text[0] for text in texts if text], chat=self._judge_chat)
        later = self._encode_all([other for text in texts if text for other in text[1:]], chat=True)
        starts = self._starts([x for x, text in zip(exchanges, texts, strict=True) if text])
        made = []
        for exchange, text in zip(exchanges, texts, strict=True):
            if text is None:
                made.append(JudgePrompt([], error="unsupported_conversation"))
                continue
            turns = [known[text[0]], *(later[other] for other in text[1:])]
            others = starts[_beginning(exchange, self.reference_last)]
            made.append(self._divided(exchange, turns, others, limit, cut=cut))
        return made

    def judge_within(self, exchange: JudgeInput, limit: int, *, cut: bool) -> tuple[list[int] | None, bool]:
        """Token ids of a judge prompt of at most `limit` tokens, and whether texts were cut for it; None if it cannot.

        See `cut_to_fit` for how.
        """
        ids = self.judge_ids(exchange)
        if len(ids) <= limit:
            return ids, False
        if not cut:
            return None, False
        best = cut_to_fit(exchange, self.judge_ids, lambda ids: len(ids) <= limit)
        return best, best is not None

    def _divided(
        self, exchange: JudgeInput, turns: Sequence[list[int]], others: Sequence[list[int]], limit: int, *, cut: bool
    ) -> JudgePrompt:
        """Join the turns of a prompt, cut it to the limit, and find where it parts from the two other prompts."""
        ids: list[int] | None = [token for turn in turns for token in turn]
        truncated = False
        if ids is not None and len(ids) > limit:
            ids, truncated = self.judge_within(exchange, limit, cut=cut)
        if ids is None:
            return JudgePrompt([], error="too_long")
        head, response = (_alike(ids, other) for other in others)
        # Once cut, the teacher's prompt no longer begins with the student's.
        student = [len(turns[0])] if len(turns) > 1 and not truncated else []
        return JudgePrompt(ids, head, (response, *student), truncated)

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
        return self._open(self._tokenizer(text, add_special_tokens=not chat)["input_ids"], chat)

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
        prompt = self.encode(text, self._judge_chat)
        for space in ("", " "):
            wholes = [self.encode(f"{text}{space}{level}", self._judge_chat) for level in LEVELS]
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

    @property
    def _judge_chat(self) -> bool:
        return self._chat and self._template.wrap is None

    def _judge_texts(self, exchange: JudgeInput) -> list[str]:
        """Text up to the first rating and, where the reference comes last, from there to the second."""
        first, *others = map(_valid, self._template.render_turns(*_fields(exchange)))
        if self._template.wrap is not None:
            return [self._template.wrap.replace("{prompt}", first)]
        later = [self._next_turn(self.literal(text)) for text in others]
        return [self.conversation_text([{"role": "user", "content": first}]), *later]

    def _next_turn(self, text: str) -> str:
        """What follows an empty reply: its end, a further message of the user, and the beginning of a reply."""
        if not self._chat:
            return "\n\n" + PLAIN.replace("{prompt}", text)
        turns = [("user", "0"), ("assistant", _REPLY), ("user", text)]
        messages = [{"role": role, "content": content} for role, content in turns]
        return self._render(messages, add_generation_prompt=True).partition(_REPLY)[2] + self._end_of_thought

    def _check_turns(self) -> None:
        try:
            fits = _OTHER in self._next_turn(_OTHER)
        except TemplateError:
            fits = False
        if not fits:
            raise ConfigError(
                f"The judge template {self._template.name} brings the reference in a second message of the user, and "
                "the model's chat template shows none after a reply. Choose the template selfj, or another model."
            )

    def _closing(self) -> str:
        """What ends a thought that the chat template opens although thinking is switched off."""
        if not self._chat:
            return ""
        try:
            text = self._render([{"role": "user", "content": "0"}], add_generation_prompt=True)
        except TemplateError:
            return ""
        return _END_OF_THOUGHT if _OPEN_THOUGHT.search(text) else ""

    def _starts(self, exchanges: Sequence[JudgeInput]) -> dict[tuple[str, str | None], list[list[int]]]:
        """For what stands before a response, two prompts: that of another exchange, and of another response to it."""
        keys = dict.fromkeys(_beginning(exchange, self.reference_last) for exchange in exchanges)
        texts = {key: self._judge_texts(JudgeInput(key[0], _OTHER, key[1]))[0] for key in keys}
        kinds = {reference is None for _, reference in keys}
        heads = {none: self._judge_texts(JudgeInput(_OTHER, _OTHER, None if none else _OTHER))[0] for none in kinds}
        ids = self._encode_all([*texts.values(), *heads.values()], chat=self._judge_chat)
        return {key: [ids[heads[key[1] is None]], ids[text]] for key, text in texts.items()}

    def _encode_all(self, texts: Sequence[str], chat: bool) -> dict[str, list[int]]:
        """Token ids of distinct texts, in one call; see `encode`."""
        distinct = list(dict.fromkeys(texts))
        if not distinct:
            return {}
        rows = self._tokenizer(distinct, add_special_tokens=not chat)["input_ids"]
        return {text: self._open(ids, chat) for text, ids in zip(distinct, rows, strict=True)}

    def _open(self, ids: list[int], chat: bool) -> list[int]:
        # A few tokenizers close every text; a prompt must stay open.
        closed = not chat and len(ids) > 1 and ids[-1] == self._tokenizer.eos_token_id
        return ids[:-1] if closed else ids

    def _render(self, messages: Messages, *, add_generation_prompt: bool) -> str:
        # Templates name the switch differently, and disregard a name that is not theirs.
        text: str = self._tokenizer.apply_chat_template(
            list(messages),
            tokenize=False,
            add_generation_prompt=add_generation_prompt,
            enable_thinking=False,
            thinking=False,
        )
        return text


def _fields(exchange: JudgeInput) -> tuple[str, str, str | None]:
    return exchange.instruction, exchange.response, exchange.reference


def _beginning(exchange: JudgeInput, reference_last: bool) -> tuple[str, str | None]:
    """What stands before the response."""
    return exchange.instruction, None if reference_last else exchange.reference


def _alike(left: Sequence[int], right: Sequence[int]) -> int:
    """Number of leading tokens that two prompts share."""
    pairs = zip(left, right, strict=False)
    return next((place for place, (a, b) in enumerate(pairs) if a != b), min(len(left), len(right)))


def _valid(text: str) -> str:
    # Half of a surrogate pair, as JSON can hold, is no text to a tokenizer.
    return text.encode("utf-8", "replace").decode("utf-8")
