"""Train a judge for your own language model from its own answers, and let it decline when it would answer badly.

`run` performs every stage; each stage by itself is a function of `selfj.pipeline`, named as its verb.

Example:
    >>> import selfj
    >>> outcome = selfj.run("demo")                                        # doctest: +SKIP
    >>> decision = selfj.load("runs/demo").ask("What is 6 times 7?")       # doctest: +SKIP
    >>> decision.action                                                    # doctest: +SKIP
    'answer'
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from selfj.assistant import Assistant, load
    from selfj.config import load as load_config
    from selfj.judge import Judge, Score, load_judge
    from selfj.pipeline import Outcome, run
    from selfj.risk import Decision, Threshold, choose_threshold, decide
    from selfj.settings import Config

__version__ = "0.1.0"

_HOMES = {
    "Assistant": "selfj.assistant",
    "Config": "selfj.settings",
    "Decision": "selfj.risk",
    "Judge": "selfj.judge",
    "Outcome": "selfj.pipeline",
    "Score": "selfj.judge",
    "Threshold": "selfj.risk",
    "choose_threshold": "selfj.risk",
    "decide": "selfj.risk",
    "load": "selfj.assistant",
    "load_config": "selfj.config:load",
    "load_judge": "selfj.judge",
    "run": "selfj.pipeline",
}

__all__ = [
    "Assistant",
    "Config",
    "Decision",
    "Judge",
    "Outcome",
    "Score",
    "Threshold",
    "choose_threshold",
    "decide",
    "load",
    "load_config",
    "load_judge",
    "run",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import selfj` stays quick."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'selfj' has no attribute {name!r}")
    module, _, attribute = home.partition(":")
    return getattr(importlib.import_module(module), attribute or name)
