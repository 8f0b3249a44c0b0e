"""Judge templates, and the fencing that keeps the judged text from posing as part of the template.

A template turns an exchange into the text of one user message. The reply is one digit.
"""

import re
from dataclasses import dataclass

from selfj.fencing import neutralise

LEVELS = tuple("0123456789")

SELFJ_TEACHER = (
    "Rate the answer from 0 (worthless) to 9 (perfect). Compare it with the reference.\n\n"
    "[Question]\n{instruction}\n\n[Reference]\n{reference}\n\n[Answer]\n{response}\n\n[Rating]"
)
SELFJ_STUDENT = (
    "Rate the answer from 0 (worthless) to 9 (perfect).\n\n"
    "[Question]\n{instruction}\n\n[Answer]\n{response}\n\n[Rating]"
)
SELFJ_TURN = "[Reference]\n{reference}\n\n[Rating]"

# Byte for byte what the released checkpoint oceanpty/Self-J was tuned on, trailing spaces included.
PAPER_TEACHER = (
    "Please act as a precise judge and evaluate the quality of the answer to question. "
    "Rate the answer from 0 to 9, where a higher value means a better answer. "
    "Please refer to the reference answer to make your judgement. "
    "Respond with an integer between 0 and 9. \n\n"
    "[Question]\n{instruction}\n\n[Reference]\n{reference}\n\n[Answer]\n{response}"
)
PAPER_STUDENT = (
    "Please act as a precise judge and evaluate the quality of the answer to question. "
    "Rate the answer from 0 to 9, where a higher value means a better answer. "
    "Please respond with an integer between 0 and 9. \n\n"
    "[Question]\n{instruction}\n\n[Answer]\n{response}"
)


@dataclass(frozen=True, slots=True)
class JudgeTemplate:
    """The two prompts of a judge: `teacher` reads the reference, `student` does not."""

    name: str
    teacher: str
    student: str
    wrap: str | None
    """Text around the prompt for models without a chat template; None uses the chat template."""
    fence: bool
    """Whether section markers inside the judged texts are neutralised."""
    turn: str | None = None
    """A second message of the user, which brings the reference after the place where the student's rating is read:
    the student's prompt, an empty reply and this make the teacher's prompt. None where one message holds all."""

    def render(self, instruction: str, response: str, reference: str | None = None) -> str:
        """Build the judge prompt of one exchange as one message, with the reference where one is given."""
        texts = {"instruction": instruction, "response": response}
        if reference is not None:
            texts["reference"] = reference
        return self._fill(self.student if reference is None else self.teacher, texts)

    def render_turns(self, instruction: str, response: str, reference: str | None = None) -> list[str]:
        """Build the messages of the user: one, and a second where the reference comes last."""
        if self.turn is None or reference is None:
            return [self.render(instruction, response, reference)]
        return [self.render(instruction, response), self._fill(self.turn, {"reference": reference})]

    def _fill(self, template: str, texts: dict[str, str]) -> str:
        if self.fence:
            texts = {name: neutralise(text) for name, text in texts.items()}
        return fill(template, texts)


TEMPLATES = {
    "selfj": JudgeTemplate("selfj", SELFJ_TEACHER, SELFJ_STUDENT, wrap=None, fence=True),
    "selfj-last": JudgeTemplate(
        "selfj-last",
        # As one message, for a model that is not asked in two turns.
        f"{SELFJ_STUDENT}\n\n{SELFJ_TURN}",
        SELFJ_STUDENT,
        wrap=None,
        fence=True,
        turn=SELFJ_TURN,
    ),
    "paper": JudgeTemplate("paper", PAPER_TEACHER, PAPER_STUDENT, wrap="{prompt}\n\n### Response:", fence=False),
}

_SLOT = re.compile(r"\{(instruction|reference|response)\}")


GAP = "\n[...]\n"
"""Stands where the middle of a text was taken out."""


def shorten(text: str, limit: int) -> str:
    r"""Take the middle out of a text, so that about `limit` characters are left, as many of its start as of its end.

    Example:
        >>> shorten("abcdefghij", 4)
        'ab\n[...]\nij'
        >>> shorten("abcd", 4)
        'abcd'
    """
    if len(text) <= limit:
        return text
    return text[: limit - limit // 2] + GAP + text[len(text) - limit // 2 :]


def fill(template: str, texts: dict[str, str]) -> str:
    """Put texts into a template in one pass, so that braces inside a text stay as they are."""
    return _SLOT.sub(lambda match: texts[match.group(1)], template)
