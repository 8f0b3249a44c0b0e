"""The general judge that ships with selfj, and how it was trained without people.

Modules: `pool` reads instructions with references and keeps those whose licence allows training; `dressing` writes
complete answers in other forms; `damage` breaks them; `draw` makes graded exchanges; `train` trains. The trained judge
lies in `model/`, with its card.
"""
