"""The command line: verbs to what performs them. The only room that prints, with `terminal` to draw for it."""

import sys

# Each module adds its verbs.
from selfj.cli import (  # noqa: F401
    audit,
    calibrating,
    evaluating,
    grading,
    judging,
    publishing,
    ranking,
    serving,
    stages,
    store,
)
from selfj.cli.options import app
from selfj.errors import SelfjError

__all__ = ["app", "main"]


def main() -> None:
    """Run the command line; a foreseen error ends it with its message and exit code."""
    try:
        app()
    except SelfjError as error:
        from selfj.terminal import print_error

        print_error(str(error))
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        from selfj.terminal import print_error

        print_error("Stopped. Finished parts are kept: run the same command to go on.")
        sys.exit(130)
