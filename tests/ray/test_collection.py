"""A collection on a real Ray cluster of two nodes is the one that is made on one machine, byte for byte."""

import contextlib
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from benchmarks.collect.small import snapshot, tree_of, whole, write_sources
from selfj.collection.settings import Collection, dump_collection

pytestmark = [pytest.mark.ray, pytest.mark.filterwarnings("ignore")]
WORKER = "ray::RaySwordfishActor"


@pytest.fixture(scope="module")
def cluster():
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": 100 << 20}
    made = Cluster(initialize_head=True, head_node_args=head)
    made.add_node(num_cpus=1, object_store_memory=100 << 20)
    made.wait_for_nodes()
    yield made
    made.shutdown()


def write_settings(folder: Path, name: str, **more: object) -> Path:
    path = folder / f"{name}.toml"
    path.write_text(dump_collection(Collection.model_validate(tree_of(folder, rows_per_part=40, **more))))
    return path


def workers() -> list[int]:
    """Processes of Daft's workers on this machine's cluster."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and WORKER.encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
    return found


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("collection")
    write_sources(folder, rows=400)
    whole(write_settings(folder, "native"), folder / "native")
    return folder


def parts(out: Path) -> dict[str, bytes]:
    return {name: data for name, data in snapshot(out).items() if name != "collection.toml"}


def test_two_nodes_give_the_same_bytes(cluster, undisturbed):
    settings = write_settings(undisturbed, "ray", runner="ray", ray_address=cluster.address, workers=0)
    whole(settings, undisturbed / "ray")
    assert parts(undisturbed / "ray") == parts(undisturbed / "native")


def test_a_worker_that_is_killed_changes_nothing(cluster, undisturbed):
    settings = write_settings(undisturbed, "killed", runner="ray", ray_address=cluster.address, workers=0)
    out, before, killed, over = undisturbed / "killed", set(workers()), [], threading.Event()

    def kill() -> None:
        while not over.is_set() and len(killed) < 2:
            prepared = len(list(out.glob("work/prepared/*.parquet")))
            mine = sorted(set(workers()) - before - set(killed))
            if prepared > 1 + 2 * len(killed) and mine:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(mine[0], signal.SIGKILL)
                    killed.append(mine[0])
            time.sleep(0.01)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        whole(settings, out)
    finally:
        over.set()
        thread.join()
    assert killed
    assert parts(out) == parts(undisturbed / "native")
