from benchmarks.world.kills import digests, files, killed, whole

from .conftest import FAKE

SETTINGS = [*FAKE, "tune.method.checkpoint_steps=2"]


def test_a_killed_run_goes_on_to_the_same_digests(tmp_path):
    whole(tmp_path, "undisturbed", SETTINGS)
    wanted, total = digests(tmp_path / "undisturbed"), files(tmp_path / "undisturbed")
    hit = 0
    for number, share in enumerate((0.2, 0.5, 0.9)):
        run = tmp_path / f"killed{number}"
        hit += killed(tmp_path, run.name, SETTINGS, lambda run=run, share=share: files(run) >= share * total)
        whole(tmp_path, run.name, SETTINGS)
        assert digests(run) == wanted
    assert hit >= 2  # the last may come to its end before one has looked
