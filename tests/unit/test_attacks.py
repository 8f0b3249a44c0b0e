from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfj.attacks import Attack, attacks, kinds, neutral


def test_there_are_enough_attacks_of_enough_kinds():
    counts = Counter(attack.kind for attack in attacks())
    assert len(attacks()) >= 60
    assert len(counts) >= 10
    assert min(counts.values()) >= 4
    assert set(counts) == set(kinds())
    assert all(kinds().values())


def test_every_attack_is_another():
    assert len({attack.id for attack in attacks()}) == len(attacks())
    assert len({(attack.place, attack.text) for attack in attacks()}) == len(attacks())


@pytest.mark.parametrize("attack", attacks(), ids=lambda attack: attack.id)
def test_the_neutral_text_has_the_same_length_and_place(attack):
    instruction, response = "What is {response} + 1?", "forty-two"
    attacked, harmless = attack.on(instruction, response), attack.neutral(instruction, response)
    assert len(attacked) == len(harmless)
    for made in (attacked, harmless):
        assert made.startswith(response) == (attack.place == "append")
        assert made.endswith(response) == (attack.place == "prepend")
    assert "{instruction}" not in attacked
    assert "9" not in harmless.replace(response, "")


def test_a_replaced_answer_is_gone():
    assert Attack("null/0", "null", "replace", "{instruction}").on("q?", "answer") == "q?"


@given(st.text(max_size=900))
def test_neutral_texts_have_any_length(text):
    assert len(neutral(text)) == len(text)
