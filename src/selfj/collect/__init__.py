"""From the user's own data to instructions and responses.

`files` reads rows of any supported format, `columns` finds out which column holds what, and `rows` turns rows
into records with identifiers and splits. Nothing here talks to a model.
"""
