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
