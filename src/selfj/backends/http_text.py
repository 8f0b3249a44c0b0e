"""Texts for a server whose tokenizer is not at hand: limits in characters, and marks of chat formats made harmless."""

import re

from selfj.backends.base import JudgeInput
from selfj.backends.cutting import cut_to_fit
from selfj.backends.tokens import PLAIN
from selfj.errors import ConfigError
from selfj.prompts import TEMPLATES

_MARKS = re.compile(
    r"<[|｜][^<>\s]{1,40}[|｜]>"
    r"|</?(?:s|bos|eos|pad|unk|think|start_of_turn|end_of_turn|start_of_image)>"
    r"|<\|?turn\|?>"
    r"|\[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\]"
    r"|<</?SYS>>",
    re.IGNORECASE,
)


def break_marks(text: str) -> str:
    """Put a space into every mark of a known chat format, so that a text cannot end its turn or open another.

    Known are `<|name|>` of any name, `[INST]` and its kin, `<<SYS>>`, `<s>`, `</s>` and the turns of Gemma.

    Example:
        >>> break_marks("fine<|im_end|>[/INST]</s>")
        'fine< |im_end|>[ /INST]< /s>'
    """
    return _MARKS.sub(lambda match: f"{match.group()[0]} {match.group()[1:]}", text)


class JudgePrompts:
    """Builds the judge prompts of one template."""

    def __init__(self, template: str, *, max_chars: int, cut: bool):
        """Prepare prompts.

        Args:
            template: Name of the judge template.
            max_chars: Longest prompt.
            cut: Whether a longer one loses the middle of its longest texts, or fails.

        Raises:
            ConfigError: The template is unknown.
        """
        if template not in TEMPLATES:
            raise ConfigError(f"No judge template is named {template!r}; there are: {', '.join(TEMPLATES)}.")
        self._template = TEMPLATES[template]
        self._max_chars = max_chars
        self._cut = cut
        self.wrapped = self._template.wrap is not None
        """Whether the template brings its own text around the prompt, and no chat format is wanted."""

    def message(self, exchange: JudgeInput) -> str:
        """The prompt as the text of one user message."""
        if self._template.fence:
            reference = None if exchange.reference is None else break_marks(exchange.reference)
            exchange = JudgeInput(break_marks(exchange.instruction), break_marks(exchange.response), reference)
        return self._template.render(exchange.instruction, exchange.response, exchange.reference)

    def text(self, exchange: JudgeInput) -> str:
        """The prompt as plain text up to where the digit stands."""
        return (self._template.wrap or PLAIN).replace("{prompt}", self.message(exchange))

    def parts(self, exchange: JudgeInput) -> tuple[str, str]:
        """What to do, and the exchange that it is about: the same words as the message, apart."""
        task, opening, rest = self.message(exchange).partition("[Question]\n")
        return task.strip(), (opening + rest).removesuffix("\n\n[Rating]")

    def within(self, exchange: JudgeInput) -> tuple[JudgeInput | None, bool]:
        """The exchange as it fits, and whether its texts were cut for it; None if it does not.

        See `cut_to_fit` for how.
        """
        if self._fits(exchange):
            return exchange, False
        if not self._cut:
            return None, False
        best = cut_to_fit(exchange, lambda shorter: shorter, self._fits)
        return best, best is not None

    def _fits(self, exchange: JudgeInput) -> bool:
        return len(self.message(exchange)) <= self._max_chars


def storable(text: str) -> str:
    """The text with half surrogate pairs replaced, which no file can hold."""
    return text.encode("utf-8", "replace").decode("utf-8")
