"""`selfj publish` on a run and on a judge's folder."""

from pathlib import Path


def test_a_run_is_published_as_it_stands(cli, fake):
    assert cli("run", "demo", *fake("name=small"))[0] == 0
    code, out, _ = cli("publish", "runs/small")
    assert code == 0
    assert "Card: runs/small/judge/README.md" in out
    card = Path("runs/small/judge/README.md").read_text()
    assert "| Self-J |" in card
    # The folder of the judge alone leads to the same run.
    assert cli("publish", "runs/small/judge")[0] == 0
    assert Path("runs/small/judge/README.md").read_text() == card

    code, out, _ = cli("publish", "runs/small", "--push", "acme/judge", "--dry-run")
    assert code == 0
    assert "Would be sent to acme/judge, private" in out
    assert "head.safetensors" in out

    code, _, err = cli("publish", "runs/small", "--merge", "merged")
    assert code == 2
    assert "over a text encoder" in err

    for options, word in ((["--dtype", "int4"], "float32"), (["--gguf-type", "q2"], "q8_0")):
        code, _, err = cli("publish", "runs/small", *options)
        assert code == 2
        assert word in err


def test_where_there_is_no_judge_it_says_so(cli, tmp_path):
    code, _, err = cli("publish", str(tmp_path))
    assert code == 3
    assert "holds no judge" in err
