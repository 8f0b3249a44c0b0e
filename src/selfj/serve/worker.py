"""One worker of a gateway: a process that `selfj.serve.workers` starts, with its orders on standard input."""

import json
import os
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import Any

from selfj.errors import SelfjError
from selfj.serve.logs import configure, log_fault
from selfj.serve.server import load_run_judge, serve, serve_kept
from selfj.serve.settings import ServeSettings
from selfj.serve.shared import Shared


def main() -> None:
    """Serve until told to end, or until the parent is gone."""
    # What a library prints must not look like a word to the parent.
    parent = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    order = json.loads(sys.stdin.readline())
    threading.Thread(target=_watch, name="selfj-parent", daemon=True).start()

    def tell(**values: Any) -> None:
        parent.write(json.dumps(values) + "\n")
        parent.flush()

    try:
        settings = ServeSettings.model_validate(order["settings"])
        judge = load_run_judge(settings.run)
        listening = socket.socket(fileno=order["socket"])
        shared = Shared(Path(order["folder"]), order["number"])
        perform = serve if settings.store == "none" else serve_kept
        perform(settings, judge, listening=listening, shared=shared, ready=lambda _: tell(pid=os.getpid()))
    except SelfjError as error:
        tell(error=type(error).__name__, message=str(error))
        sys.exit(error.exit_code)
    except Exception as error:
        configure()
        log_fault("worker_fault")
        tell(error="SelfjError", message=f"A worker failed with {type(error).__name__}; its log says where.")
        sys.exit(1)


def _watch() -> None:
    """End when the parent is gone: its end of standard input closes then."""
    while sys.stdin.readline():
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
