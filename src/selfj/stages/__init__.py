"""One file per verb: artefacts in, artefact out. Stages never import each other."""

GIVEN = {"given": True}
"""Settings in the manifest of responses that came with the input file, rather than from sampling."""
