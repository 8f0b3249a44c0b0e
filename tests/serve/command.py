"""`selfj serve` in a process of its own."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx2
import pytest


class Command:
    """The command, its address, and what it writes to standard error."""

    def __init__(self, *arguments, more_path=(), environment=None):
        root = Path(__file__).parents[2]
        path = os.pathsep.join([str(root / "src"), *map(str, more_path), os.environ.get("PYTHONPATH", "")])
        code = "from selfj.cli import main; main()"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, "serve", *map(str, arguments), "--port", "0"],
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": path} | (environment or {}),
        )
        self.lines, self.url = [], ""
        found = threading.Event()
        # A full pipe would stop it.
        self._reading = threading.Thread(target=self._read, args=(found,), daemon=True)
        self._reading.start()
        found.wait(120)
        if not self.url:
            self.process.kill()
            pytest.fail("".join(self.lines))

    def _read(self, found):
        for line in self.process.stderr:
            self.lines.append(line)
            if not self.url and (address := re.search(r"Serving on (\S+)", line)):
                self.url = address[1]
                found.set()
        found.set()

    @property
    def events(self):
        """What its log says so far."""
        return [json.loads(line) for line in list(self.lines) if line.startswith("{")]

    def named(self, name):
        """Its events of one name."""
        return [event for event in self.events if event["event"] == name]

    def wait(self, check, seconds=180.0):
        """Wait until something is true."""
        end = time.monotonic() + seconds
        while not check():
            assert time.monotonic() < end, "".join(self.lines)
            time.sleep(0.02)

    def chat(self, text, request_id=None):
        body = {"model": "m", "messages": [{"role": "user", "content": text}]}
        headers = {"x-request-id": request_id} if request_id else {}
        return httpx2.post(f"{self.url}/v1/chat/completions", json=body, headers=headers, timeout=30)

    def end(self, number=signal.SIGTERM):
        """End it, as a supervisor does; gives its exit code."""
        self.process.send_signal(number)
        code = self.process.wait(120)
        self._reading.join(30)
        self.process.stderr.close()
        return code
