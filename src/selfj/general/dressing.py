"""Complete answers in other forms: what is said stays the same, how it is said changes."""

import random
import re

_OPENINGS = (
    "Sure! ", "Sure, here you go:\n\n", "Certainly. ", "Here is the answer: ", "Great question! ", "Of course. ",
    "Thank you for asking. ", "Short answer: ", "To answer your question: ", "Well, ", "I believe ",
    "As far as I know, ",
)  # fmt: skip
_CLOSINGS = (
    " I hope this helps!", " Let me know if you have further questions.", "\n\nHope that helps.",
    " Feel free to ask more.",
    " Does that answer your question?", "\n\nIs there anything else you would like to know?", " Thank you.",
)  # fmt: skip
_FRAMES = (
    "The answer is {}.", "It is {}.", "It's {}.", "{}.", "That would be {}.", "The correct answer is {}.", "Answer: {}",
    "I think it is {}.", "The answer to this question is {}.", "This is {}.", "It was {}.", "**{}**", "{}!",
)  # fmt: skip
_ABOUT = (
    "Regarding \"{q}\": the answer is {a}.", "For the question {q}, the answer is {a}.", "{a} is the answer to {q}.",
    "You asked: {q} It is {a}.", "When it comes to {q}, it is {a}.", "{a} ({q})",
)  # fmt: skip
_CODE_FRAMES = (
    "```\n{}\n```", "You can use:\n\n```\n{}\n```", "Use the following:\n\n{}", "Try this: `{}`", "{}", "{}", "{}",
    "Here is one way to do it:\n\n{}\n\nAdapt it to your needs.", "```bash\n{}\n```", "Run `{}`.",
)  # fmt: skip
_SHORTER = {"do not": "don't", "is not": "isn't", "cannot": "can't", "it is": "it's", "are not": "aren't"}
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9\"'(])|\n+")
_IS = r"(?:is|was|are|were)"


def sentences(text: str) -> list[str]:
    """Sentences and lines of a text, without those that are blank."""
    return [part.strip() for part in _SENTENCE.split(text) if part.strip()]


def answer_sentence(question: str, answer: str, draw: random.Random) -> str:
    """A short answer said in a sentence, that of the question where its form allows.

    Example:
        >>> answer_sentence("who wrote Hamlet?", "Shakespeare", random.Random(1))
        'Shakespeare wrote Hamlet.'
    """
    asked = question.strip().rstrip("?. ")
    if len(asked) < 160 and "\n" not in asked and draw.random() < 0.7:
        return restated(asked, answer, draw) or draw.choice(_ABOUT).format(q=asked, a=answer)
    return draw.choice(_FRAMES).format(answer)


def restated(asked: str, answer: str, draw: random.Random) -> str | None:
    """The question as a sentence that holds its answer; None where its form does not allow it."""
    if found := re.match(rf"(?:who|what|where|when|which \w+) {_IS} (?P<rest>.+)", asked, re.IGNORECASE):
        return _capital(f"{found['rest']} {draw.choice(('is', 'was'))} {answer}.")
    if found := re.match(r"(?:who|what|which \w+|how many \w+) (?P<rest>.+)", asked, re.IGNORECASE):
        return _capital(f"{answer} {found['rest']}.")
    if found := re.match(r"(?:when|where) (?:did|do|does|will|can) (?P<rest>.+)", asked, re.IGNORECASE):
        return _capital(f"{found['rest']} {draw.choice(('in', 'on', 'at', '-'))} {answer}.")
    return None


def dressed_short(question: str, answer: str, draw: random.Random, more: str = "") -> str:
    """A short answer as someone might give it: bare, in a sentence, or with more said around it."""
    way = draw.random()
    if way < 0.3:
        return _recased(answer, draw)
    text = answer_sentence(question, answer, draw)
    if way < 0.6:
        return text
    if way < 0.75:
        text = draw.choice(_OPENINGS) + text
    elif way < 0.85:
        text += draw.choice(_CLOSINGS)
    return f"{text} {more}" if more and draw.random() < 0.8 else text


def dressed_long(text: str, draw: random.Random) -> str:
    """A long answer with other beginnings, ends, contractions, order of its list, or marks of lists."""
    lines = [line for line in text.split("\n") if line.strip()]
    marked = [line for line in lines if re.match(r"\s*(?:[-*•]|\d+[.)])\s", line)]
    if len(marked) > 2 and len(marked) == len(lines) and draw.random() < 0.4:
        text = "\n".join(draw.sample(lines, len(lines)))
    if draw.random() < 0.3:
        for long, short in _SHORTER.items():
            text = re.sub(rf"\b{long}\b", short, text)
    if draw.random() < 0.15:
        text = re.sub(r" \([^()]{1,60}\)", "", text)
    if draw.random() < 0.15 and len(parts := sentences(text)) > 2:
        text = "\n".join(f"- {part}" for part in parts)
    if draw.random() < 0.25:
        text = draw.choice(_OPENINGS) + text
    if draw.random() < 0.2:
        text += draw.choice(_CLOSINGS)
    return text


def dressed_code(text: str, draw: random.Random) -> str:
    """Code as an answer shows it."""
    frame = draw.choice(_CODE_FRAMES)
    return text if "`{}`" in frame and "\n" in text else frame.format(text)


def same_answer(answer: str, draw: random.Random) -> str:
    """Another spelling of a short answer: a name without its middle, a date turned round, a number as a word.

    Example:
        >>> same_answer("June 5, 2018", random.Random(0))
        '5 June 2018'
    """
    if found := re.fullmatch(r"([A-Z][a-z]+) (\d{1,2}),? (\d{4})", answer):
        return f"{found[2]} {found[1]} {found[3]}"
    if found := re.fullmatch(r"(\d{1,2}) ([A-Z][a-z]+) (\d{4})", answer):
        return f"{found[2]} {found[1]}, {found[3]}"
    if re.fullmatch(r"\d{4,}", answer) and len(answer) > 4:
        return f"{int(answer):,}"
    names = answer.split()
    if 2 <= len(names) <= 4 and all(name[:1].isupper() and name.isalpha() for name in names):
        return draw.choice((names[-1], f"{names[0]} {names[-1]}", f"{names[0][0]}. {names[-1]}"))
    if answer.lower().startswith("the "):
        return answer[4:]
    return draw.choice((answer.lower(), answer.upper(), f"the {answer}", f"{answer}s", answer.title()))


def _recased(answer: str, draw: random.Random) -> str:
    return draw.choice((answer, answer, f"{answer}.", answer.lower(), answer.capitalize(), f'"{answer}"'))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
