"""Judging exchanges outside a run: rows in, the same rows with their verdicts out, as a stream in constant memory.

`setup` finds the judge, `rows` judges in chunks, `lines` reads and writes JSONL and goes on with a file that is there
already, `command` is what the command line needs around them. `docs/design/judging.md` has the reasons.

Example:
    >>> from selfj import judging
    >>> judge = judging.load_judging(overrides=["target.kind=fake"])
    >>> row = next(judging.judge_rows([{"question": "What is 6 times 7?", "response": "42"}], judge))
    >>> row["response"], 0 <= row["selfj"]["score"] <= 9
    ('42', True)
"""

from selfj.judging.command import judge_file, parse_columns, single_row
from selfj.judging.lines import JudgedFile, judge_lines
from selfj.judging.rows import Judging, Tally, Verdict, judge_rows
from selfj.judging.setup import load_judging

__all__ = [
    "JudgedFile",
    "Judging",
    "Tally",
    "Verdict",
    "judge_file",
    "judge_lines",
    "judge_rows",
    "load_judging",
    "parse_columns",
    "single_row",
]
