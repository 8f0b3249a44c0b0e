"""Which family a model belongs to, by its name.

The first rule of `FAMILIES` with a word in the name, whatever its case, decides; tuned models that are known by a name
of their own (vicuna, alpaca, zephyr) come before their bases. Other names are a family by their first letters up to a
digit or a sign: `phi-2` and `phi-3` are `phi`. A name without letters has none.
"""

import json
import re
from pathlib import Path

FAMILIES: dict[str, tuple[str, ...]] = {
    "vicuna": ("vicuna",),
    "alpaca": ("alpaca",),
    "koala": ("koala",),
    "wizard": ("wizard",),
    "zephyr": ("zephyr",),
    "gpt": ("gpt-3", "gpt-4", "gpt3", "gpt4", "gpt-5", "chatgpt", "davinci", "openai", "gpt35", "gpt_3", "gpt_4"),
    "claude": ("claude", "anthropic"),
    "gemini": ("gemini", "gemma", "palm", "bard", "bison"),
    "mistral": ("mistral", "mixtral"),
    "qwen": ("qwen",),
    "deepseek": ("deepseek",),
    "yi": ("yi-",),
    "llama": ("llama",),
}
"""Family to the words that name it."""


def family_of(model: str) -> str | None:
    """The family of a model.

    Example:
        >>> family_of("lmsys/vicuna-13b"), family_of("Llama-2-70b-chat"), family_of("phi-2"), family_of("13")
        ('vicuna', 'llama', 'phi', None)
    """
    name = model.lower()
    for family, words in FAMILIES.items():
        if any(re.search(rf"(?<![a-z]){re.escape(word)}", name) for word in words):
            return family
    found = re.search(r"[a-z]+", name.rsplit("/", 1)[-1])
    return found[0] if found else None


def base_of(judge: str) -> str | None:
    """The model that a judge was tuned on, as its folder says; None for measures and judges that name none.

    Args:
        judge: Name of a scorer, see `selfj.judging.scorers.load_scorer`.
    """
    folder = Path(judge.removesuffix("+reference"))
    for place in (folder / "judge" / "judge.json", folder / "judge.json", folder / "adapter_config.json"):
        if place.is_file():
            try:
                found = json.loads(place.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                return None
            base = found.get("base") or found.get("base_model_name_or_path")
            return str(base) if base else None
    return None
