"""The LiteLLM proxy in an environment of its own, in a cache folder, where it can be installed."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.gateway.load import KEY

PACKAGE = "litellm[proxy]"
_INSTALL_S, _START_S = 900, 180


class Absent(Exception):
    """It cannot be had here; the argument says why."""


def environment() -> Path:
    """Folder of its Python environment, made where it is not there yet."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "selfj" / "benchmarks" / "litellm"
    if not (cache / "bin" / "litellm").exists():
        try:
            subprocess.run([sys.executable, "-m", "venv", cache], check=True, capture_output=True)
            install = [cache / "bin" / "python", "-m", "pip", "install", "--quiet", PACKAGE]
            subprocess.run(install, check=True, capture_output=True, timeout=_INSTALL_S)
        except (subprocess.SubprocessError, OSError) as error:
            raise Absent(f"{PACKAGE} cannot be installed: {type(error).__name__}") from error
    return cache


@contextmanager
def proxy(upstream: str, folder: Path) -> Iterator[int]:
    """Run it before an upstream; gives its port."""
    binaries = environment() / "bin"
    route = {"model": "openai/instant", "api_base": upstream, "api_key": "none"}
    config = {"model_list": [{"model_name": "instant", "litellm_params": route}]}
    (folder / "litellm.json").write_text(json.dumps(config))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [binaries / "litellm", "--config", folder / "litellm.json", "--host", "127.0.0.1", "--port", str(port)]
    kept = {"HOME", "LANG", "TMPDIR"}
    values = {name: value for name, value in os.environ.items() if name in kept}
    values |= {"PATH": f"{binaries}:{os.environ.get('PATH', '')}", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    values |= {"LITELLM_TELEMETRY": "False", "LITELLM_MASTER_KEY": KEY}
    with (folder / "litellm.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=values, cwd=folder)
        try:
            _wait(port, process, folder / "litellm.log")
            yield port
        finally:
            process.terminate()
            process.wait(30)


def _wait(port: int, process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/liveliness", timeout=2):
                return
        except OSError:
            time.sleep(0.5)
    raise Absent(f"its proxy did not start: {log.read_text(errors='replace')[-300:]!r}")
