import pytest

from selfj import config as configs
from selfj.errors import ConfigError
from selfj.settings import Config, EncoderTuning, FileSource, LoraTuning


@pytest.mark.parametrize("name", configs.builtin_configs())
def test_shipped_configs_load_and_dump_back_equal(name):
    config = configs.load(name)
    assert configs.parse(configs.dump(config)) == config


def test_a_dump_spells_out_every_default():
    text = configs.dump(Config())
    for words in ("max_risk = 0.1", "temperature = 0.7", "learning_rate = 0.0003", 'kind = "lora"'):
        assert words in text


def test_the_defaults_are_those_of_the_paper():
    method = LoraTuning()
    assert (method.r, method.alpha, method.dropout) == (16, 16, 0.05)
    assert (method.learning_rate, method.warmup_steps, method.epochs) == (3e-4, 100, 2)
    assert (method.batch_size, method.max_length) == (128, 1024)
    assert (method.student_weight, method.distillation_weight) == (0.3, 2.0)


def test_overrides_win_over_the_file_and_the_file_over_defaults(tmp_path):
    path = tmp_path / "a.toml"
    path.write_text("seed = 4\n[label]\nweight = 0.2\n")
    config = configs.load(path, ["label.weight=0.9", "name=other", "tune.method.kind=encoder"])
    assert (config.seed, config.label.weight, config.name) == (4, 0.9, "other")
    assert isinstance(config.tune.method, EncoderTuning)


def test_a_run_folder_is_a_config(tmp_path):
    (tmp_path / "run.toml").write_text(configs.dump(Config(seed=9)))
    assert configs.load(tmp_path).seed == 9


def test_a_table_can_be_set_by_overrides_alone():
    config = configs.load("demo", ["collect.source={kind='file', path='x.jsonl'}"])
    assert config.collect.source == FileSource(path="x.jsonl")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("[label]\nwieght = 1", "label.wieght is not a setting; did you mean weight"),
        ("[label]\nweight = 3", "label.weight: .*less than or equal to 1, got 3"),
        ('seed = "a"', "seed"),
        ("[collect]\ntrain = 0.9\ncalibration = 0.3", "at most 1, got 1.2"),
        ("[label]\nself_eval = false\ncosine = false", "at least one"),
        ('[tune.method]\nkind = "magic"', "tune.method"),
        ("seed = ", "not valid TOML"),
    ],
)
def test_a_wrong_setting_is_named(text, match):
    with pytest.raises(ConfigError, match=match):
        configs.parse(text)


@pytest.mark.parametrize("override", ["nonsense", "=3", "seed.deeper=1", "label.weight.x=1"])
def test_a_wrong_override_is_named(override):
    with pytest.raises(ConfigError):
        configs.parse("seed = 1\n[label]\nweight = 0.5", [override])


def test_an_absent_config_lists_those_that_ship():
    with pytest.raises(ConfigError, match="demo"):
        configs.load("nowhere.toml")


def test_a_table_named_by_an_override_alone_keeps_its_kind():
    assert configs.parse("", ["embedder.engine=openvino"]).embedder.engine == "openvino"
    assert configs.parse("", ["embedder.dimensions=3", "embedder.kind=fake"]).embedder.dimensions == 3
    assert configs.parse("", ["tune.method.r=4"]).tune.method.r == 4
    with pytest.raises(ConfigError, match=r"embedder\.dimensions is not a setting"):
        configs.parse("", ["embedder.dimensions=3"])
