import pytest
import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

torch.set_num_threads(1)

CHAT = (
    "{{ bos_token }}{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIAL = ["<s>", "<|im_start|>", "<|im_end|>", "<pad>"]


def byte_tokenizer(*, chat: bool = True, bos: bool = True) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer in which a digit is one token."""
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    inner.train_from_iterator(["the answer to the question is the reference rating"] * 3, trainer)
    if bos:
        inner.post_processor = processors.TemplateProcessing(
            single="<s> $A", special_tokens=[("<s>", inner.token_to_id("<s>"))]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        bos_token="<s>",
        eos_token="<|im_end|>",
        pad_token="<pad>",
        additional_special_tokens=["<|im_start|>"],
        chat_template=CHAT if chat else None,
    )


def char_tokenizer() -> PreTrainedTokenizerFast:
    characters = [chr(code) for code in range(32, 127)] + ["\n"]
    vocabulary = {token: place for place, token in enumerate([*SPECIAL, "<unk>", *characters])}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    inner.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        bos_token="<s>",
        eos_token="<|im_end|>",
        pad_token="<pad>",
        unk_token="<unk>",
        additional_special_tokens=["<|im_start|>"],
        chat_template=CHAT,
    )


def tiny_llama(folder, tokenizer, *, hidden: int = 64, layers: int = 2, spread: float = 0.15):
    """A random model; a large spread makes its choices differ from prompt to prompt."""
    torch.manual_seed(0)
    config = LlamaConfig(
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=hidden // 32,
        num_key_value_heads=hidden // 32,
        vocab_size=len(tokenizer),
        max_position_embeddings=512,
        initializer_range=spread,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="session")
def llama(tmp_path_factory) -> str:
    return tiny_llama(tmp_path_factory.mktemp("llama"), byte_tokenizer())


@pytest.fixture(scope="session")
def plain_llama(tmp_path_factory) -> str:
    """The same without a chat template."""
    return tiny_llama(tmp_path_factory.mktemp("plain"), byte_tokenizer(chat=False))


@pytest.fixture(scope="session")
def char_llama(tmp_path_factory) -> str:
    """One character is one token, so that every reply is written by exactly one row of tokens."""
    return tiny_llama(tmp_path_factory.mktemp("chars"), char_tokenizer(), spread=0.1)


@pytest.fixture(scope="session")
def tiny_models():
    """Makes further models, over characters."""
    return lambda folder, **sizes: tiny_llama(folder, char_tokenizer(), **sizes)


@pytest.fixture(scope="session")
def tiny_models_with():
    """Makes further models, with a tokenizer of one's own."""
    return tiny_llama
