"""Datatrove's MinHash pipeline in an environment of its own: signatures, buckets, clusters, filter.

Run by that environment's Python, this file does the work: `peer.py FOLDER OUT WORKERS TOKENIZER`. Bands, minima,
n-grams and what counts as a word are those of a collection as near as its settings allow: numbers stay what they are,
signs are left out, and a text shorter than an n-gram is never removed.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

PACKAGES = ["datatrove[processing,io]", "spacy", "xxhash", "orjson"]
_INSTALL_S, _WORK_S = 1200, 3600


class Absent(Exception):
    """It cannot be had here; the argument says why."""


def environment() -> Path:
    """Its Python, installed where it is not there yet."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "selfj" / "benchmarks" / "datatrove"
    python = cache / "bin" / "python"
    tried = (
        subprocess.run([python, "-c", "import datatrove, spacy, xxhash"], capture_output=True)
        if python.exists()
        else None
    )
    if tried is None or tried.returncode:
        try:
            subprocess.run([sys.executable, "-m", "venv", cache], check=True, capture_output=True)
            install = [python, "-m", "pip", "install", "--quiet", *PACKAGES]
            subprocess.run(install, check=True, capture_output=True, timeout=_INSTALL_S)
        except (subprocess.SubprocessError, OSError) as error:
            raise Absent(f"datatrove cannot be installed: {type(error).__name__}") from error
    return python


def dedup(folder: Path, out: Path, workers: int, tokenizer: str) -> float:
    """Remove near-duplicates from `folder/*.parquet` (text, id); gives the seconds. `out/kept` has what is left."""
    command = [environment(), __file__, folder, out, str(workers), tokenizer]
    kept = {name: value for name, value in os.environ.items() if name in {"HOME", "LANG", "TMPDIR", "PATH"}}
    done = subprocess.run(command, env=kept, capture_output=True, text=True, timeout=_WORK_S, check=False)
    if done.returncode:
        raise Absent(f"datatrove failed: {done.stderr[-500:]}")
    return json.loads(done.stdout.splitlines()[-1])["seconds"]


def _work(folder: str, out: str, workers: int, tokenizer: str) -> None:
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.dedup.minhash import (
        MinhashConfig,
        MinhashDedupBuckets,
        MinhashDedupCluster,
        MinhashDedupFilter,
        MinhashDedupSignature,
    )
    from datatrove.pipeline.readers import ParquetReader
    from datatrove.pipeline.writers import ParquetWriter
    from datatrove.utils.text import TextNormConfig

    norm = TextNormConfig(norm_numbers=False, norm_unicode_diacritics=False)
    config = MinhashConfig(n_grams=2, num_buckets=16, hashes_per_bucket=5, norm_config=norm)
    language = split_tokenizer() if tokenizer == "split" else "eng"
    tasks = len(list(Path(folder).glob("*.parquet")))
    steps = [
        (tasks, [ParquetReader(folder), MinhashDedupSignature(f"{out}/signatures", config, language=language)]),
        (16, [MinhashDedupBuckets(f"{out}/signatures", f"{out}/buckets", config=config)]),
        (1, [MinhashDedupCluster(f"{out}/buckets", f"{out}/remove", config=config)]),
        (tasks, [ParquetReader(folder), MinhashDedupFilter(f"{out}/remove"), ParquetWriter(f"{out}/kept")]),
    ]
    began = time.monotonic()
    for number, (count, pipeline) in enumerate(steps):
        logs = f"{out}/logs/{number}"
        LocalPipelineExecutor(pipeline, tasks=count, workers=min(workers, count), logging_dir=logs).run()
    print(json.dumps({"seconds": time.monotonic() - began}))


def split_tokenizer():
    """Words between blanks, the fastest there is, and the same as a collection's after signs are left out."""
    from datatrove.utils.word_tokenizers import WordTokenizer

    class Split(WordTokenizer):
        def word_tokenize(self, text):
            return text.split()

        def sent_tokenize(self, text):
            return [text]

        def span_tokenize(self, text):
            return [(0, len(text))]

    # Pickled by name in datatrove's workers.
    globals()["Split"] = Split
    Split.__qualname__ = "Split"
    return Split()


if __name__ == "__main__":
    _work(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
