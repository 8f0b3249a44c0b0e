"""`python -m benchmarks.collect.run SETTINGS.toml OUT`: make a collection, and print its counts and seconds as JSON."""

import json
import sys
import time
from pathlib import Path

from selfj.collection.make import collect
from selfj.collection.settings import load_collection
from selfj.terminal import Bars


def main() -> None:
    began = time.monotonic()
    manifest = collect(load_collection(sys.argv[1]), Path(sys.argv[2]), Bars())
    wall = time.monotonic() - began
    print(
        json.dumps(
            {
                "wall": wall,
                "read": manifest.read,
                "kept": manifest.kept,
                "dropped": manifest.dropped,
                "seconds": manifest.seconds,
            }
        )
    )


if __name__ == "__main__":
    main()
