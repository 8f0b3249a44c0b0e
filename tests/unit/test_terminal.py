"""Tables on a terminal and where there is none."""

import io

import pytest
from rich.console import Console

from selfj import terminal

HEADERS = ["method", *(f"metric {number}" for number in range(12))]
ROWS = [["Self-eval + Cosine (label z)", *(f"0.{number:02d} [0.10, 0.20]" for number in range(12))]]


def test_a_table_that_is_piped_is_whole(capsys):
    terminal.print_table(HEADERS, ROWS)
    shown = capsys.readouterr().out
    assert all(cell in shown for cell in [*HEADERS, *ROWS[0]])
    assert "…" not in shown


@pytest.mark.parametrize("width", [60, 100])
def test_a_terminal_that_is_too_narrow_loses_whole_columns_and_says_which(monkeypatch, width):
    screen = io.StringIO()
    monkeypatch.setattr(terminal, "OUT", Console(file=screen, force_terminal=True, width=width, color_system=None))
    terminal.print_table(HEADERS, ROWS)
    shown = screen.getvalue()
    assert "…" not in shown
    assert "0.00 [0.10, 0.20]" in shown
    assert "not shown for want of room" in shown
    assert "metric 11" in shown


NUMBERS = {"total": 2.0613, "teacher": 1.36, "student_pearson": 0.751, "teacher_pearson": None}


def screen(monkeypatch, **kwargs):
    shown = io.StringIO()
    monkeypatch.setattr(terminal, "_TOLD", Console(file=shown, color_system=None, **kwargs))
    return shown


def test_numbers_of_the_work_stand_in_plain_lines(monkeypatch):
    shown = screen(monkeypatch, width=40)
    monkeypatch.setattr(terminal, "_PLAIN_EVERY_S", -1.0)
    bars = terminal.Bars()
    bars.start("judge", 10)
    bars.advance(1)
    assert ";" not in shown.getvalue()
    bars.tell(NUMBERS)
    bars.tell({"total": 1.5})
    bars.advance(1)
    last = shown.getvalue().splitlines()[-1]
    assert last.startswith("judge: 2 of 10, ")
    assert last.endswith("s left; total 1.50, teacher 1.36 · r student 0.75, teacher –")
    bars.start("judge_cosine", 10)
    bars.advance(1)
    assert "total" not in shown.getvalue().splitlines()[-1]


@pytest.mark.parametrize("width", [50, 120])
def test_on_a_terminal_they_stand_under_the_bar(monkeypatch, width):
    shown = screen(monkeypatch, width=width, force_terminal=True)
    bars = terminal.Bars()
    bars.start("judge", 10)
    bars.tell(NUMBERS)
    bars.advance(3)
    bars.close()
    text = shown.getvalue()
    assert "total 2.06, teacher 1.36" in text
    assert "3/10" in text


def test_a_number_cannot_steer_the_terminal():
    assert "\x1b" not in terminal.told({"\x1b[2Jtotal": 1.0})
