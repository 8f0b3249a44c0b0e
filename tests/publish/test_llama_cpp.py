"""llama.cpp itself loads the file, cuts texts alike and gives the same probabilities."""

import json
import math
import urllib.request

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

llama_cpp = pytest.importorskip("xllamacpp")
pytest.importorskip("gguf")

from selfj.publish import publish  # noqa: E402

from .conftest import FAMILIES  # noqa: E402

TEXTS = [
    "What is the capital of Peru? It's 1234, don't you KNOW'LL!",
    "  two  spaces\n\nnew line\tand a tab  ",
    "naïve café — 漢字 🙂 İß",
    "def f(x):\n    return x**2  # 100%",
    "<b>x</b> 3.14159 <|im_start|>a<|im_end|>",
    "",
]


class Server:
    """A file in llama.cpp's own server, in this process."""

    def __init__(self, path):
        settings = llama_cpp.CommonParams()
        settings.model.path = str(path)
        settings.n_ctx, settings.n_parallel, settings.warmup = 256, 1, False
        settings.cpuparams.n_threads = 1
        settings.cache_type_k = settings.cache_type_v = llama_cpp.ggml_type.GGML_TYPE_F32
        settings.flash_attn_type = llama_cpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
        self._server = llama_cpp.Server(settings)

    def call(self, path, **body):
        address = f"{self._server.listening_address}/{path}"
        request = urllib.request.Request(address, json.dumps(body).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as reply:
            return json.load(reply)

    def tokens(self, text, *, special):
        return self.call("tokenize", content=text, add_special=special, parse_special=True)["tokens"]

    def next_token(self, ids, n):
        """Log probability of each next token."""
        # A token that is a whole letter is drawn, since the server holds back half a letter; what it says is before it.
        letter = self.tokens("a", special=False)[-1]
        options = {"n_predict": 1, "n_probs": n, "temperature": 0, "logit_bias": [[letter, 1000]]}
        reply = self.call("completion", prompt=ids, cache_prompt=False, **options)
        return {row["id"]: row["logprob"] for row in reply["completion_probabilities"][0]["top_logprobs"]}


@pytest.mark.parametrize("family", FAMILIES)
def test_llama_cpp_reads_what_transformers_reads(judges_of, family):
    publish(judges_of(family), merge="merged", gguf="judge.gguf", gguf_type="f32")
    tokenizer, model = AutoTokenizer.from_pretrained("merged"), AutoModelForCausalLM.from_pretrained("merged")
    server = Server("judge.gguf")
    for text in TEXTS:
        assert server.tokens(text, special=False) == tokenizer(text, add_special_tokens=False)["input_ids"], text
        assert server.tokens(text, special=True) == tokenizer(text)["input_ids"], text
    ids = tokenizer(" ".join(TEXTS))["input_ids"][:100]
    with torch.no_grad():
        wanted = torch.log_softmax(model(torch.tensor([ids])).logits[0, -1], dim=-1).tolist()
    found = server.next_token(ids, len(wanted))
    assert len(found) == len(wanted)
    assert max(abs(math.exp(found[token]) - math.exp(value)) for token, value in enumerate(wanted)) < 1e-5
    assert max(abs(found[token] - value) for token, value in enumerate(wanted) if value > -15) < 1e-3
