"""Schemathesis against the gateway's description, in an environment of its own, in a cache folder."""

import json
import os
import subprocess
import sys
from pathlib import Path

PACKAGE = "schemathesis==4.32.5"
_OPERATIONS = 16
_INSTALL_S, _MOST_S = 600, 900


def environment() -> Path:
    """Folder of its Python environment."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "selfj" / "benchmarks" / "schemathesis"


def there() -> bool:
    """Whether it is there, after trying to install it."""
    folder = environment()
    if (folder / "bin" / "schemathesis").exists():
        return True
    try:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True, capture_output=True)
        install = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", PACKAGE]
        subprocess.run(install, check=True, capture_output=True, timeout=_INSTALL_S)
    except (subprocess.SubprocessError, OSError) as error:
        print(f"Schemathesis is left out: it cannot be installed: {type(error).__name__}")
        return False
    return True


def play(port: int, folder: Path, count: int, found) -> None:
    """About `count` requests made from the description; what came goes into `found`."""
    report = folder / "report.har"
    each = max(1, count // _OPERATIONS)
    words = [
        "run",
        f"http://127.0.0.1:{port}/openapi.json",
        "--phases",
        "coverage,fuzzing",
        "-n",
        str(each),
        "--seed",
        "1",
    ]
    words += ["--continue-on-failure", "--no-shrink", "--report-har-path", str(report), "--workers", "2"]
    words += ["--suppress-health-check", "all", "--output-truncate", "false", "--request-timeout", "30"]
    words += ["--checks", "content_type_conformance,status_code_conformance,response_schema_conformance"]
    kept = {name: value for name, value in os.environ.items() if name in {"HOME", "LANG", "PATH", "TMPDIR"}}
    with (folder / "schemathesis.log").open("wb") as log:
        command = [environment() / "bin" / "schemathesis", *words]
        try:
            done = subprocess.run(command, stdout=log, stderr=log, cwd=folder, env=kept, timeout=_MOST_S, check=False)
        except subprocess.TimeoutExpired:
            print(f"Schemathesis is left out: it was not done after {_MOST_S} seconds")
            return
    text = (folder / "schemathesis.log").read_text(encoding="utf-8", errors="replace")
    if done.returncode:
        # Where a reply is not as described.
        found.unmeant.append(f"Schemathesis ended with {done.returncode}: {text[-6000:]}")
    for entry in json.loads(report.read_text(encoding="utf-8"))["log"]["entries"]:
        reply, asked = entry["response"], entry["request"]
        lines = "".join(f"{pair['name'].lower()}: {pair['value']}\r\n" for pair in reply["headers"])
        head = f"HTTP/1.1 {reply['status']} X\r\n{lines}\r\n"
        data = head + (reply["content"].get("text") or "")
        posted = (asked.get("postData") or {}).get("text", "")
        sent = f"{asked['method']} {asked['url']} {posted}"
        found.add(sent.encode("utf-8", "replace"), data.encode("utf-8", "replace"))
        found.requests += 1
