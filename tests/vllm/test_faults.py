"""Setup faults raise before vLLM sees them, and the engine goes on."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from selfj import backends
from selfj.backends.adapters import check_adapter
from selfj.backends.base import JudgeInput
from selfj.errors import ConfigError
from selfj.settings import VllmBackend

from ..backends.conftest import byte_tokenizer, tiny_llama
from .conftest import make_adapter

ROOT = Path(__file__).parents[2]


def change_settings(folder: Path, **changes) -> None:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def rename(folder: Path) -> None:
    weights = load_file(folder / "adapter_model.safetensors")
    save_file(
        {key.replace("layers.1", "layers.7"): value for key, value in weights.items()},
        folder / "adapter_model.safetensors",
    )


FAULTS = {
    "no settings": (lambda folder: (folder / "adapter_config.json").unlink(), "no readable"),
    "settings that are no JSON": (lambda folder: (folder / "adapter_config.json").write_text("{"), "no readable"),
    "no weights": (lambda folder: (folder / "adapter_model.safetensors").unlink(), "absent or damaged"),
    "damaged weights": (lambda folder: (folder / "adapter_model.safetensors").write_bytes(b"x" * 50), "damaged"),
    "another kind": (lambda folder: change_settings(folder, peft_type="IA3"), "IA3"),
    "DoRA": (lambda folder: change_settings(folder, use_dora=True), "use_dora"),
    "whole modules": (lambda folder: change_settings(folder, modules_to_save=["lm_head"]), "modules_to_save"),
    "other layers": (rename, "another model"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_adapter_is_refused(fault, llama, adapter, tmp_path):
    damage, message = FAULTS[fault]
    folder = tmp_path / "bad"
    shutil.copytree(adapter, folder)
    damage(folder)
    with pytest.raises(ConfigError, match=message):
        check_adapter(str(folder), llama)


def test_adapters_of_other_models_are_refused_and_the_engine_lives(llama, adapter, tmp_path):
    reader = backends.level_reader(VllmBackend(model=llama, cpu_cache_gib=1), adapter=adapter)
    wide = tiny_llama(tmp_path / "wide", byte_tokenizer(), hidden=96)
    other = make_adapter(wide, tmp_path / "other")
    for bad in (other, str(tmp_path / "absent"), "nobody/no-such-adapter"):
        with pytest.raises(ConfigError, match="adapter"):
            backends.level_reader(VllmBackend(model=llama, cpu_cache_gib=1), adapter=bad)
    assert reader.read([JudgeInput("q", "a")]).errors == (None,)


def test_models_that_cannot_be_loaded(llama, tmp_path):
    (tmp_path / "empty").mkdir()
    for path in (str(tmp_path / "absent"), str(tmp_path / "empty"), "nobody/no-such-model"):
        with pytest.raises(ConfigError, match="folder with a causal language model"):
            backends.generator(VllmBackend(model=path))
    damaged = tmp_path / "damaged"
    shutil.copytree(llama, damaged)
    weights = damaged / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(ConfigError, match="vLLM cannot start"):
        backends.generator(VllmBackend(model=str(damaged), cpu_cache_gib=1))
    with pytest.raises(ConfigError, match="No judge template"):
        backends.level_reader(VllmBackend(model=llama), template="absent")


def test_standard_output_belongs_to_the_caller_and_the_environment_to_the_user(llama):
    code = (
        "import os, sys; from selfj import backends; from selfj.backends.base import JudgeInput; "
        "from selfj.settings import VllmBackend; "
        f"reader = backends.level_reader(VllmBackend(model={llama!r}, cpu_cache_gib=1)); "
        "reading = reader.read([JudgeInput('q', 'a')]); "
        "print(reading.errors, os.environ['VLLM_NO_USAGE_STATS'], os.environ['VLLM_LOGGING_LEVEL'])"
    )
    path = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"VLLM_LOGGING_LEVEL": "WARNING", "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    environment.pop("VLLM_NO_USAGE_STATS", None)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == "(None,) 1 WARNING\n"
