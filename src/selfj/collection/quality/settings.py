"""Settings of repair and filters; `docs/design/quality.md` tells what each drops on real sources, and why it is so."""

from typing import Literal

from pydantic import Field, field_validator

from selfj.model_settings import Settings

Personal = Literal["email", "phone", "credit_card", "iban", "ip", "ssn"]


class Quality(Settings):
    """What is repaired and what is dropped."""

    html: Literal["auto", "keep", "strip"] = "auto"
    """`auto` takes tags and entities out of texts that are HTML pages' text, never out of code or of a text about HTML;
    `strip` takes them out of every text without code blocks."""
    min_chars: int = Field(6, ge=0)
    """A shorter instruction is `too_short`."""
    min_words: int = Field(2, ge=0)
    """Words of an instruction; a sign of Chinese, Japanese or Thai counts as a word."""
    max_chars: int = Field(8_000, ge=1)
    """A longer instruction is `too_long`."""
    max_words: int = Field(1_500, ge=1)
    reference_max_chars: int = Field(20_000, ge=1)
    """A longer reference drops its row as `reference_too_long`."""
    reference_max_words: int = Field(4_000, ge=1)
    bad_reference: Literal["null", "drop"] = "null"
    """What a reference that says nothing (blank, `N/A`, `[deleted]`, symbols, repetition) does: becomes null, or drops
    its row as `bad_reference`."""
    languages: tuple[str, ...] = ("en",)
    """Languages kept, as codes of two letters; `any` keeps all. A text whose language cannot be told is kept."""
    max_repeated: float = Field(0.75, gt=0, le=1)
    """A text in which a greater share of words repeats what stands right before is `repetition`."""
    min_compressed: float = Field(0.12, ge=0, lt=1)
    """A text of 1,000 bytes or more that compresses below this share of its bytes is `repetition`."""
    min_wordlike: float = Field(0.25, ge=0, le=1)
    """An instruction with a smaller share of letters and digits among its signs is `mostly_symbols`."""
    boilerplate: bool = True
    """Drop what a web page says around its text, and posts that were deleted."""
    not_standalone: bool = True
    """Drop instructions that point to something absent."""
    truncated: bool = True
    """Drop instructions that stop in the middle."""
    personal_data: Literal["mask", "drop", "keep"] = "mask"
    """`mask` puts `[EMAIL]` and the like in its place; `drop` drops the row as `personal_data`."""
    personal: tuple[Personal, ...] = ("email", "phone", "credit_card", "iban", "ip", "ssn")
    """Kinds of personal data looked for."""
    toxic: str | None = None
    """A text file with a word or phrase per line; an instruction or reference that has one is `toxic`. None ships."""

    @field_validator("languages")
    @classmethod
    def _codes(cls, languages: tuple[str, ...]) -> tuple[str, ...]:
        if not languages:
            raise ValueError("languages is empty; write ['any'] to keep all")
        return languages
