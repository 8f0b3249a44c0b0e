import re
from pathlib import Path

import numpy as np
import pytest

from selfj import config as configs
from selfj.assistant import Assistant
from selfj.backends.base import Generation, JudgeInput, RewardReading, Sampling
from selfj.backends.fake import FakeModel
from selfj.errors import ConfigError
from selfj.peers import GenerativeJudge, RewardJudge, load_peer
from selfj.settings import FakeBackend, GenerativePeer

INPUTS = [JudgeInput("q1", "a1"), JudgeInput("q2", "a2", "the reference"), JudgeInput("q3", "a3")]


class Scripted:
    """A generator that gives prepared replies and keeps what it was asked."""

    name = "scripted"

    def __init__(self, *replies):
        self.replies = replies
        self.asked = []

    def generate(self, conversations, seeds, sampling):
        self.asked += list(zip([c[-1]["content"] for c in conversations], seeds, strict=True))
        self.sampling = sampling
        return [
            reply if isinstance(reply, Generation) else Generation(reply, 5, None, "stop")
            for reply in self.replies[: len(conversations)]
        ]


class Rewards:
    """A reward reader that likes long responses."""

    name = "long"

    def rewards(self, inputs):
        found = np.array([10.0 * len(exchange.response) for exchange in inputs])
        return RewardReading(found, (None,) * len(inputs), (False,) * len(inputs))


def judge(generator, **settings):
    return GenerativeJudge(generator, GenerativePeer(name="peer", backend=FakeBackend(), **settings))


def test_written_verdicts_become_scores_or_reasons():
    generator = Scripted(
        "Well done. [[10]]",
        Generation("It is [[9]] bec", 5, None, "length"),
        Generation("", 0, None, "stop", "rate_limited"),
    )
    scores = judge(generator).score(INPUTS)
    assert [(s.value, s.raw, s.reason) for s in scores] == [
        (9.0, 10, None),
        (None, None, "cut_reply"),
        (None, None, "rate_limited"),
    ]
    assert all(s.levels is None and s.label_mass is None and not s.truncated for s in scores)
    assert {s.reader for s in scores} == {"scripted (verbalised, grader)"}
    assert (generator.sampling.temperature, generator.sampling.max_tokens) == (0, 1024)


def test_the_reference_is_shown_where_there_is_one():
    generator = Scripted("[[1]]", "[[2]]", "[[3]]")
    judge(generator).score(INPUTS)
    assert ["the reference" in prompt for prompt, _ in generator.asked] == [False, True, False]


def test_several_samples_are_averaged_where_most_hold_a_verdict():
    replies = ["[RESULT] 4", "[RESULT] 5", "none", "none", "[RESULT] 9", "[RESULT] 5"]
    generator = Scripted(*replies)
    scores = judge(generator, preset="prometheus", samples=3, temperature=1.0).score(INPUTS[:2])
    assert [(s.value, s.raw, s.reason) for s in scores] == [
        (7.875, 4.5, None),
        (None, None, "no_verdict"),
    ]
    seeds = [seed for _, seed in generator.asked]
    assert len(set(seeds)) == 6


def test_seeds_follow_from_the_exchange_alone():
    first, second = Scripted("[[1]]", "[[1]]", "[[1]]"), Scripted("[[1]]", "[[1]]", "[[1]]")
    judge(first).score(INPUTS)
    judge(second).score(INPUTS[::-1])
    assert first.asked == second.asked[::-1]


def test_long_texts_are_cut_and_marked():
    generator = Scripted("[[5]]", "[[5]]")
    scores = judge(generator, max_chars=16).score([JudgeInput("q", "a" * 99), JudgeInput("q", "a")])
    assert [s.truncated for s in scores] == [True, False]
    assert "[...]" in generator.asked[0][0]


def test_a_prompt_of_ones_own():
    generator = Scripted("[[5]]")
    judge(generator, prompt="[INST] {instruction} # {response} [/INST]").score(INPUTS[:1])
    assert generator.asked[0][0] == "[INST] q1 # a1 [/INST]"
    with pytest.raises(ConfigError, match="response"):
        judge(generator, prompt="{instruction}")


def test_the_empty_batch():
    assert judge(Scripted()).score([]) == []


def test_a_configured_peer_loads_on_any_backend():
    peer = GenerativePeer(name="fake", backend=FakeBackend())
    (score,) = load_peer(peer).score(INPUTS[:1])
    # It echoes the prompt, and with it two of the forms that the prompt shows.
    assert score.reason == "several_verdicts"


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("judges=[{kind='generative', name='A b', backend={kind='fake'}}]", "judges.0.name"),
        ("judges=[{kind='generative', name='a', samples=2, backend={kind='fake'}}]", "temperature 0"),
        ("judges=[{kind='reward', name='a', backend={kind='transformers'}}]", "judges.0.backend.model"),
        (
            "judges=[{kind='reward', name='a', backend={kind='plugin', target='m'}},"
            "{kind='reward', name='a', backend={kind='plugin', target='n'}}]",
            "two judges",
        ),
    ],
)
def test_wrong_settings_are_named(override, named):
    with pytest.raises(ConfigError, match=named):
        configs.load("demo", [override])


def test_peers_survive_a_dump():
    config = configs.load("demo", ["judges=[{kind='generative', name='a', backend={kind='fake'}}]"])
    assert configs.parse(configs.dump(config)) == config


def test_no_reward_passes_a_threshold():
    assistant = Assistant(FakeModel(FakeBackend()), RewardJudge(Rewards()), None, Sampling())
    decision = assistant.ask("What is 6 times 7?")
    assert (decision.action, decision.score, decision.reason) == ("decline", None, "reward_is_no_level")


def test_the_config_of_the_design_note():
    note = (Path(__file__).parents[2] / "docs" / "design" / "peers.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```toml\n(.*?)```", note, re.DOTALL)
    assert [peer.name for peer in configs.parse(block).judges] == ["ultrarm", "auto_j"]
