"""The numbers of a report, from rows alone."""

import numpy as np
import pytest

from selfj.evaluation import Rows
from selfj.exchanges import Exchange
from selfj.records import Instruction, Response


def rows_of(names):
    exchanges = [
        Exchange(Instruction(id=name, text="?"), Response(id=str(number), instruction_id=name, index=number))
        for number, name in enumerate(names)
    ]
    nothing = np.zeros(len(names))
    return Rows(exchanges, {}, nothing, nothing, nothing)


@pytest.mark.parametrize("names", [[], ["x"], ["b", "a", "b", "c", "a", "é", "B"], ["10", "9", "10", "1"]])
def test_instructions_are_numbered_in_the_order_of_their_names(names):
    wanted = np.unique(np.array(names, dtype=str), return_inverse=True)[1]
    assert rows_of(names).groups.tolist() == wanted.tolist()
