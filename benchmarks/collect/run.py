"""`python -m benchmarks.collect.run SETTINGS.toml OUT`: a collection with its page; prints counts and seconds."""

import json
import sys
import time
from pathlib import Path

from selfj.collection.make import collect
from selfj.collection.renew import renew
from selfj.collection.settings import load_collection
from selfj.terminal import Bars


def main() -> None:
    began, bars, out = time.monotonic(), Bars(), Path(sys.argv[2])
    manifest = collect(load_collection(sys.argv[1]), out, bars)
    made = time.monotonic() - began
    renew(out, progress=bars)
    wall = time.monotonic() - began
    print(
        json.dumps(
            {
                "wall": wall,
                "described": wall - made,
                "read": manifest.read,
                "kept": manifest.kept,
                "dropped": manifest.dropped,
                "seconds": manifest.seconds,
            }
        )
    )


if __name__ == "__main__":
    main()
