import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from selfj.backends.loading import quiet_peft

from ..backends.conftest import byte_tokenizer, tiny_llama

FOLDER = __file__.rpartition("/")[0]


def pytest_collection_modifyitems(items):
    for item in items:
        if str(item.path).startswith(FOLDER):
            item.add_marker(pytest.mark.vllm)


def make_adapter(model: str, folder, *, seed: int = 1, **settings) -> str:
    """A LoRA adapter with random matrices, so that it changes what the model says."""
    torch.manual_seed(seed)
    settings = {"target_modules": ["q_proj", "v_proj", "down_proj"], "r": 4} | settings
    config = LoraConfig(task_type="CAUSAL_LM", init_lora_weights=False, **settings)
    with quiet_peft():
        get_peft_model(AutoModelForCausalLM.from_pretrained(model), config).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="session")
def llama(tmp_path_factory) -> str:
    return tiny_llama(tmp_path_factory.mktemp("llama"), byte_tokenizer())


@pytest.fixture(scope="session")
def adapter(llama, tmp_path_factory) -> str:
    return make_adapter(llama, tmp_path_factory.mktemp("adapter"))
