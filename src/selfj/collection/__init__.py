"""Collections: millions of instructions from many sources, cleaned, without duplicates, in three categories.

A collection is a folder that `selfj collect` makes from a file of sources; `docs/design/collecting.md` tells its road.
"""
