"""A vLLM server with a tiny model, started and stopped here, on 127.0.0.1 only."""

import os
import socket
import subprocess
import time
from contextlib import contextmanager

import httpx2
import pytest
import torch
from transformers import Qwen3Config, Qwen3ForCausalLM

from ..backends.conftest import byte_tokenizer

SERVED = "tiny"
LETTERS = " ".join("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_START_S = 900.0
_OPTIONS = ["--max-model-len", "512", "--enforce-eager", "--dtype", "float32", "--max-num-seqs", "16"]


@pytest.fixture(scope="session")
def qwen(tmp_path_factory) -> str:
    """A random judge of an architecture that `/v1/systemone` serves: it puts most of its probability on digits."""
    folder = tmp_path_factory.mktemp("qwen")
    # The route also wants yes and no to be single tokens.
    words = ["yes no " + LETTERS] * 5
    tokenizer = byte_tokenizer(bos=False).train_new_from_iterator(words, vocab_size=330, show_progress=False)
    torch.manual_seed(0)
    config = Qwen3Config(
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=32,
        vocab_size=len(tokenizer),
        max_position_embeddings=512,
        initializer_range=0.1,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=False,
    )
    model = Qwen3ForCausalLM(config).eval()
    _favour_digits(model, tokenizer)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def _favour_digits(model, tokenizer):
    """Raise the digits' logits by about the same amount wherever a reply begins."""
    texts = [f"{n} plus {n}" for n in range(20)]
    chats = [[{"role": "user", "content": text}] for text in texts]
    prompts = [tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=False) for chat in chats]
    with torch.no_grad():
        states = [model.model(torch.tensor([ids])).last_hidden_state[0, -1] for ids in prompts]
        mean = torch.stack(states).mean(dim=0)
        for digit in tokenizer.convert_tokens_to_ids(list("0123456789")):
            model.lm_head.weight[digit] += 10 * mean / mean.norm() ** 2


@pytest.fixture(scope="session")
def vllm_url(qwen, tmp_path_factory) -> str:
    """Address of a vLLM server for the tiny model."""
    python = os.environ.get("SELFJ_VLLM_PYTHON")
    if not python:
        pytest.fail("Set SELFJ_VLLM_PYTHON to a Python that has vLLM; these tests need a real server.")
    log = tmp_path_factory.mktemp("vllm") / "log"
    with _server(python, qwen, log) as url:
        yield url


@contextmanager
def _server(python, model, log):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    root = f"http://127.0.0.1:{port}"
    command = [python, "-m", "vllm.entrypoints.openai.api_server", "--model", model, "--served-model-name", SERVED]
    place = ["--host", "127.0.0.1", "--port", str(port)]
    # Another environment's modules must not be found by the server's Python.
    hidden = {"PYTHONPATH", "VIRTUAL_ENV"}
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    environment |= {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1"}
    with log.open("wb") as out:
        process = subprocess.Popen([*command, *place, *_OPTIONS], stdout=out, stderr=out, env=environment)
        try:
            _wait(root, process, log)
            yield f"{root}/v1"
        finally:
            process.terminate()
            process.wait(60)


def _wait(root, process, log):
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            if httpx2.get(f"{root}/health", timeout=5).is_success:
                return
        except httpx2.TransportError:
            time.sleep(1)
    pytest.fail(f"The vLLM server did not start:\n{log.read_text(errors='replace')[-3000:]}")
