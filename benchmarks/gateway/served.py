"""A gateway whose judge answers at once: `python -m benchmarks.gateway.served URL KEYDIGEST STORE [STREAMING]`."""

import sys
import tempfile
from pathlib import Path

from benchmarks.gateway.upstream import WRONG
from selfj.judge import Score
from selfj.risk import Threshold
from selfj.serve.recorder import StoreRecorder
from selfj.serve.server import serve
from selfj.serve.settings import ServeSettings
from selfj.serve.store import Store


class InstantJudge:
    name, digest = "instant", "instant"

    def score(self, inputs):
        return [Score(0.0 if item.response.startswith(WRONG) else 9.0, None, 1.0, self.name) for item in inputs]


def main() -> None:
    threshold = Threshold(5.0, 0.1, 0.95, 5.0, 0.5, 0.05, 0.1, 100, 50, "z", "instant", "d")
    with tempfile.TemporaryDirectory(prefix="selfj-gateway-") as folder:
        (Path(folder) / "threshold.json").write_text(threshold.to_json())
        keys = Path(folder) / "keys"
        keys.write_text(sys.argv[2])
        settings = ServeSettings(run=folder, upstream={"base_url": sys.argv[1]}, port=0, keys=str(keys))
        if len(sys.argv) > 4:
            settings = settings.model_copy(update={"streaming": sys.argv[4]})
        with Store(sys.argv[3]) as store:
            recorder = StoreRecorder(store)
            serve(settings, InstantJudge(), recorder, ready=lambda url: print(url.rpartition(":")[2], flush=True))


if __name__ == "__main__":
    main()
