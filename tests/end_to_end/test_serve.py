"""`selfj serve`: what it refuses before it listens. A gateway that runs is tested in tests/serve."""

import pytest

UP = ("--upstream", "http://127.0.0.1:9/v1")


@pytest.fixture
def run(cli, fake, tmp_path):
    """A finished run."""
    code, _, err = cli("run", "demo", *fake("name=served"))
    assert code == 0, err
    return tmp_path / "runs" / "served"


def test_what_is_refused_before_it_listens(cli, run, tmp_path):
    for arguments, want, word in [
        ((run,), 2, "--upstream"),
        ((tmp_path / "absent", *UP), 2, "No config"),
        ((run, *UP, "--host", "0.0.0.0"), 2, "open to others"),
        ((run, *UP, "--host", "203.0.113.1", "--set", "allow_open=true"), 2, "Cannot listen"),
        ((run, *UP, "--api-key-env", "NO_SUCH_KEY"), 2, "NO_SUCH_KEY"),
        ((run, *UP, "--config", tmp_path / "absent.toml"), 2, "Cannot read"),
        ((run, *UP, "--set", "resample.n=3"), 2, "threshold"),
    ]:
        code, _, err = cli("serve", *arguments)
        assert (code, word in " ".join(err.split())) == (want, True), (arguments, err)
    (run / "threshold.json").unlink()
    code, _, err = cli("serve", run, *UP)
    assert (code, "selfj calibrate" in err) == (3, True)
    assert cli("serve", "--help")[0] == 0
