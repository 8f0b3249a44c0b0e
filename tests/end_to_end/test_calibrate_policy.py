"""`selfj calibrate RUN --policy`: drafts asked from servers or read from a file, thresholds written, and served."""

import asyncio
import json
import threading

import pytest
from aiohttp import web

from selfj.judge import load_judge
from selfj.policy_risk import FILE
from selfj.records import hash_fraction
from selfj.serve.app import create_app
from selfj.serve.drafts import KEPT
from selfj.serve.server import NoRecorder, load_settings


@pytest.fixture
def run(cli, fake, tmp_path):
    """A finished run."""
    code, _, err = cli("run", "demo", *fake("name=whole", "collect.source.n=1200"))
    assert code == 0, err
    return tmp_path / "runs" / "whole"


@pytest.fixture
def server():
    """A server that answers some right; `big` all. `fails` breaks every so many requests."""

    class Server:
        asked, fails = [], 0

        async def chat(self, request):
            body = await request.json()
            self.asked.append(body)
            if self.fails and len(self.asked) % self.fails == 0:
                return web.json_response({"error": {"message": "no such thing"}}, status=404)
            question = body["messages"][-1]["content"]
            right = body["model"] == "big" or hash_fraction("skill", question) < 0.6
            text = f"{'answer to:' if right else 'wrong:'} {question} #{body['seed'] % 100}"
            message = {"role": "assistant", "content": text}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            head = {"id": "x", "object": "chat.completion", "created": 1, "model": body["model"]}
            return web.json_response(head | {"choices": [choice]})

    made, loop = Server(), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    app = web.Application()
    app.router.add_post("/v1/chat/completions", made.chat)
    runner = web.AppRunner(app)

    async def start():
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()

    asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    yield made
    asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


def gateway_toml(folder, url, more=""):
    path = folder / "gateway.toml"
    path.write_text(
        f'{more}\n[upstream]\nbase_url = "{url}"\ntries = 1\n[resample]\nn = 3\ntemperature = 1.0\n'
        f'[escalate]\nmodel = "big"\n[escalate.upstream]\nbase_url = "{url}"\ntries = 1\n'
    )
    return path


def test_drafts_are_asked_for_judged_labelled_and_calibrated_together(cli, run, server, tmp_path):
    config = gateway_toml(tmp_path, server.url)
    code, out, err = cli("calibrate", run, "--policy", config, "--model", "small")
    assert code == 0, err
    words = " ".join(out.split())
    assert "thresholds answer" in words
    assert "let through by answer" in words
    found = json.loads((run / FILE).read_text())
    assert set(found["values"]) == {"answer", "resample", "escalate"}
    assert (found["model"], found["label"], found["steps"]["n"]) == ("small", "z", 3)
    assert found["risk_bound"] <= found["max_risk"]
    asked = len(server.asked)
    kept = len((run / KEPT).read_text().splitlines())
    assert asked == 4 * kept
    assert {body["model"] for body in server.asked} == {"small", "big"}
    # The same again asks nothing and writes the same, even where a kill tore the last line.
    before = (run / FILE).read_bytes()
    with (run / KEPT).open("a") as torn:
        torn.write('{"key": "half')
    assert cli("calibrate", run, "--policy", config, "--model", "small")[0] == 0
    assert (run / FILE).read_bytes() == before
    assert len(server.asked) == asked
    # The gateway takes it, and only with the steps that it was made for.
    settings = load_settings(str(config), {"run": str(run)})
    from selfj import config as configs

    judge = load_judge(run / "judge", configs.load(run))
    app = create_app(settings, judge, NoRecorder())
    assert b'selfj_promise_covers{step="escalate"} 1.0' in app.metrics.text()
    for arguments, word in [(("resample.n=2",), "n is 2"), (("escalate.model=other",), "escalation")]:
        sets = [part for item in arguments for part in ("--set", item)]
        code, _, err = cli("serve", run, "--config", config, *sets)
        assert (code, word in err) == (3, True), err


def test_what_came_before_a_failure_is_kept(cli, run, server, tmp_path):
    config = gateway_toml(tmp_path, server.url)
    server.fails = 50
    code, _, err = cli("calibrate", run, "--policy", config, "--model", "small")
    assert code != 0
    assert "run the same command to go on" in " ".join(err.split())
    kept = len((run / KEPT).read_text().splitlines())
    server.fails, before = 0, len(server.asked)
    assert cli("calibrate", run, "--policy", config, "--model", "small")[0] == 0
    whole = len((run / KEPT).read_text().splitlines())
    assert 0 < kept < whole
    assert len(server.asked) - before == 4 * (whole - kept)


def drafts_file(path, n=600, right=0.6, steps=("answer", "resample", "resample", "escalate")):
    """Graded answers: those of the last step are right."""
    with path.open("w") as out:
        for number in range(n):
            question = f"What is {number}?"
            for place, step in enumerate(steps):
                good = step == "escalate" or hash_fraction("skill", number) < right
                text = f"{'answer to:' if good else 'wrong:'} {question} #{place}"
                row = {"instruction": question, "response": text, "step": step, "grade": 5 if good else 1}
                out.write(json.dumps(row) + "\n")
    return path


def test_graded_drafts_from_a_file(cli, run, tmp_path):
    config = gateway_toml(tmp_path, "http://127.0.0.1:9/v1")
    drafts = drafts_file(tmp_path / "drafts.jsonl")
    with drafts.open("a") as out:
        out.write(json.dumps({"instruction": "One?", "response": "1", "step": "answer", "grade": 5}) + "\n")
        out.write(json.dumps({"instruction": "", "response": "1", "step": "answer", "grade": 5}) + "\n")
    arguments = ("--drafts", drafts, "--gold", "grade", "--gold-scale", "1,5", "--out", tmp_path / "made.json")
    code, out, err = cli("calibrate", run, "--policy", config, *arguments)
    assert code == 0, err
    assert "left out: 1 rows without an instruction, 1 instructions without all" in " ".join(out.split())
    found = json.loads((tmp_path / "made.json").read_text())
    assert (found["label"], found["model"]) == ("grade", None)
    assert found["coverage"] > 0.6
    assert not (run / FILE).exists()
    bad = drafts_file(tmp_path / "bad.jsonl", right=0.0, steps=("answer", "resample", "resample"))
    alone = tmp_path / "alone.toml"
    alone.write_text('[upstream]\nbase_url = "http://127.0.0.1:9/v1"\n[resample]\nn = 3\n')
    code, _, err = cli("calibrate", run, "--policy", alone, "--drafts", bad, "--gold", "grade", "--gold-scale", "1,5")
    assert (code, "No thresholds of answer, resample" in " ".join(err.split())) == (4, True)
    assert "infeasible" in json.loads((run / FILE).read_text())


def test_bad_input(cli, run, server, tmp_path):
    config = gateway_toml(tmp_path, server.url)
    drafts = drafts_file(tmp_path / "drafts.jsonl", n=5)
    odd = tmp_path / "odd.jsonl"
    odd.write_text(json.dumps({"instruction": "a", "response": "b", "step": "third", "grade": 1}))
    two = drafts_file(tmp_path / "two.jsonl", n=5, steps=("answer", "escalate"))
    for arguments, want, word in [
        (("--model", "m"), 2, "--policy FILE"),
        (("--policy", config), 2, "--model NAME"),
        (("--policy", config, "--model", "m", "--dry-run"), 2, "not with --policy"),
        (("--policy", tmp_path / "absent.toml", "--model", "m"), 2, "Cannot read"),
        (("--policy", config, "--drafts", drafts), 2, "go together"),
        (("--policy", config, "--drafts", tmp_path / "none", "--gold", "grade"), 3, "none"),
        (("--policy", config, "--drafts", odd, "--gold", "grade"), 2, "step is 'third'"),
        (("--policy", config, "--drafts", two, "--gold", "grade"), 3, "2 of resample"),
        (("--policy", config, "--drafts", drafts, "--gold", "grade", "--gold-scale", "0,3"), 2, "from 0 to 3"),
        (("--policy", config, "--drafts", drafts, "--gold", "absent"), 3, "labelled answers"),
        (("--policy", config, "--model", "m", "--set", "calibrate.label=grade"), 2, "--drafts FILE --gold COLUMN"),
    ]:
        code, _, err = cli("calibrate", run, *arguments)
        assert (code, word in " ".join(err.split())) == (want, True), (arguments, code, err)
    assert server.asked == []
