"""The folder of real data that `SELFJ_DATA` names."""

import os
import sys
from pathlib import Path

POOL = "instruction_pool.parquet"


def data_folder() -> Path:
    """The folder, or the end of the program in words where it holds no pool."""
    folder = Path(os.environ.get("SELFJ_DATA", ""))
    if not os.environ.get("SELFJ_DATA") or not (folder / POOL).is_file():
        sys.exit(f"SELFJ_DATA must name the folder with {POOL}.")
    return folder
