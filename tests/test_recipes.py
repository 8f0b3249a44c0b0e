"""Recipes: the paper's numbers, and judge prompts under the chat formats of their models."""

import pytest
from transformers import AutoTokenizer

from selfj import config as configs
from selfj.backends.base import JudgeInput
from selfj.backends.tokens import Prompts
from selfj.settings import FileSource, LoraTuning
from tests.backends.conftest import char_tokenizer

PAPER = ("ours-13b", "vicuna-13b", "wizardlm-13b", "llama-2-13b-chat", "llama-2-70b-chat")
SMALL = ("qwen3-4b", "llama-3.2-3b", "smollm3-3b")

LLAMA_2 = (
    "{% for m in messages %}{% if m.role == 'user' %}{{ bos_token }}[INST] {{ m.content }} [/INST]"
    "{% elif m.role == 'assistant' %} {{ m.content }} {{ eos_token }}{% endif %}{% endfor %}"
)
VICUNA = (
    "{{ bos_token }}A chat between a curious user and an artificial intelligence assistant. "
    "{% for m in messages %}{% if m.role == 'user' %}USER: {{ m.content }} "
    "{% elif m.role == 'assistant' %}ASSISTANT: {{ m.content }}{{ eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)
LLAMA_3 = (
    "{{ bos_token }}{% for m in messages %}<|start|>{{ m.role }}<|end|>\n\n{{ m.content }}<|eot|>{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant<|end|>\n\n{% endif %}"
)
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
FORMATS = {
    "ours-13b": (None, "### Response:"),
    "vicuna-13b": (VICUNA, "ASSISTANT:"),
    "wizardlm-13b": (VICUNA, "ASSISTANT:"),
    "llama-2-13b-chat": (LLAMA_2, "[/INST]"),
    "llama-2-70b-chat": (LLAMA_2, "[/INST]"),
    "qwen3-4b": (CHATML, "</think>\n\n"),
    "llama-3.2-3b": (LLAMA_3, "assistant<|end|>\n\n"),
    "smollm3-3b": (CHATML, "</think>\n\n"),
}


@pytest.mark.parametrize("name", PAPER)
def test_numbers_of_the_paper(name):
    recipe = configs.load(name)
    method = recipe.tune.method
    assert isinstance(method, LoraTuning)
    assert (method.r, method.alpha, method.dropout) == (16, 16, 0.05)
    assert method.target_modules == ("q_proj", "k_proj", "v_proj", "o_proj")
    assert (method.learning_rate, method.warmup_steps, method.epochs, method.batch_size) == (3e-4, 100, 2, 128)
    assert (method.teacher_weight, method.student_weight, method.distillation_weight) == (1.0, 0.3, 2.0)
    assert (method.max_length, recipe.tune.max_rows, recipe.sample.temperature) == (1024, 30_000, 0.7)
    assert recipe.target.kind == "vllm"


def test_the_paper_s_own_model_is_what_its_tuning_writes():
    recipe = configs.load("ours-13b")
    assert recipe.target.model == str(recipe.path / "sft")
    assert (recipe.sft.base, recipe.sft.max_rows) == ("meta-llama/Llama-2-13b-hf", 87_000)


@pytest.mark.parametrize("name", [*PAPER, *SMALL])
def test_every_recipe_reads_a_file_and_has_a_name_of_its_own(name):
    recipe = configs.load(name)
    assert recipe.name == name
    assert isinstance(recipe.collect.source, FileSource)


@pytest.mark.parametrize("name", FORMATS)
def test_the_judge_template_fits_the_chat_format_of_the_family(name, tmp_path):
    template, end = FORMATS[name]
    char_tokenizer().save_pretrained(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    tokenizer.chat_template = template
    for judge in {configs.load(name).tune.method.template, configs.load(name).label.template}:
        prompts = Prompts(tokenizer, judge)
        student, teacher = (prompts.judge_text(JudgeInput("q", "a", reference)) for reference in (None, "gold"))
        assert student.rstrip(" ").endswith(end.rstrip(" "))
        assert teacher.rstrip(" ").endswith(end.rstrip(" "))
        assert "gold" in teacher
        assert "gold" not in student
        assert len(set(prompts.level_ids())) == 10
        if prompts.reference_last:
            assert teacher.startswith(student)


def test_recipes_are_among_the_configs_that_ship():
    assert set(PAPER) | set(SMALL) | {"demo", "own"} <= set(configs.builtin_configs())
