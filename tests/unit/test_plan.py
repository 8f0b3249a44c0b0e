"""Arithmetic of a tuning plan, against models that are made, and against what is known of large ones."""

import json
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, LlamaConfig, Qwen3Config

from selfj import config as configs
from selfj import pipeline
from selfj.backends.loading import quiet_peft
from selfj.errors import ConfigError
from selfj.foresight import foresee
from selfj.settings import Config
from selfj.tune.plan import (
    GIB,
    GPUS,
    Device,
    Learned,
    Tokens,
    device_named,
    layer_bytes,
    memory_of,
    pack,
    read_tokens,
    seconds_of,
    shared,
)
from selfj.tune.plan_text import plan_rows
from selfj.tune.probe import model_sizes
from selfj.tune.shapes import SHAPES, Shape, known

torch.set_num_threads(1)

ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
ALL = (*ATTENTION, "gate_proj", "up_proj", "down_proj")
H100 = GPUS["h100"]
HERE = Device("this", 8 * GIB, 1e11, 1e10, 1e-3, gpu=False)
SMALL = {
    "llama": LlamaConfig(
        hidden_size=96, num_hidden_layers=3, num_attention_heads=6, num_key_value_heads=2, head_dim=16,
        intermediate_size=200, vocab_size=500, tie_word_embeddings=False,
    ),
    "tied": LlamaConfig(
        hidden_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=4, head_dim=32,
        intermediate_size=128, vocab_size=300, tie_word_embeddings=True,
    ),
    "qwen3": Qwen3Config(
        hidden_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=32,
        intermediate_size=128, vocab_size=300, tie_word_embeddings=True,
    ),
}  # fmt: skip


def shape_of(config) -> Shape:
    return Shape(
        config.hidden_size,
        config.num_hidden_layers,
        config.num_attention_heads,
        config.num_key_value_heads,
        config.intermediate_size,
        config.vocab_size,
        head=config.head_dim,
        tied=config.tie_word_embeddings,
        head_norms=config.model_type == "qwen3",
    )


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("targets", [ATTENTION, ALL])
def test_parameters_are_those_of_the_model_and_of_its_adapter(name, targets, tmp_path):
    model = AutoModelForCausalLM.from_config(SMALL[name])
    SMALL[name].save_pretrained(tmp_path)
    for sizes in (shape_of(SMALL[name]).model(name), model_sizes(str(tmp_path))):
        assert sizes.parameters == sum(weight.numel() for weight in model.parameters())
        assert sizes.matrices == sum(w.numel() for n, w in model.named_parameters() if "_proj" in n)
        with quiet_peft():
            adapted = get_peft_model(
                AutoModelForCausalLM.from_config(SMALL[name]), LoraConfig(r=5, target_modules=list(targets))
            )
        assert sizes.adapter(5, targets) == sum(w.numel() for w in adapted.parameters() if w.requires_grad)


@pytest.mark.parametrize(
    ("name", "billions"),
    [
        ("meta-llama/Llama-2-13b-hf", 13.016),
        ("meta-llama/Llama-2-70b-chat-hf", 68.977),
        ("meta-llama/Llama-3.2-1B-Instruct", 1.236),
        ("meta-llama/Llama-3.2-3B-Instruct", 3.213),
        ("Qwen/Qwen3-0.6B", 0.596),
        ("Qwen/Qwen3-4B", 4.022),
        ("HuggingFaceTB/SmolLM3-3B", 3.075),
    ],
)
def test_known_models_have_the_parameters_that_they_are_known_for(name, billions):
    assert known(name).parameters / 1e9 == pytest.approx(billions, abs=5e-4)
    # Without a hub the table stands in, and says so.
    assert model_sizes(name).from_table


def test_a_model_that_is_neither_here_nor_known_is_an_error():
    with pytest.raises(ConfigError, match="cannot be reached, and a plan needs its sizes"):
        model_sizes("someone/unheard-of")


def saved_bytes(config, learned: Learned, tokens: int) -> float:
    """What autograd keeps of a forward pass, in bytes, parameters apart."""
    model = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa")
    if not learned.full:
        adapter = LoraConfig(r=learned.r, lora_dropout=learned.dropout, target_modules=list(learned.targets))
        with quiet_peft():
            model = get_peft_model(model, adapter)
    model.train()
    own = {weight.untyped_storage().data_ptr() for weight in model.parameters()}
    kept, alive = {}, []

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
            alive.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model(input_ids=torch.zeros(1, tokens, dtype=torch.long), use_cache=False, logits_to_keep=1)
    return float(sum(kept.values()))


@pytest.mark.parametrize(
    "learned",
    [Learned(full=True), Learned(False, 16, ATTENTION, 0.05), Learned(False, 16, ALL, 0.05), Learned(False, 16, ALL)],
    ids=["full", "lora", "lora_all", "no_dropout"],
)
def test_a_layer_keeps_what_is_foretold(learned):
    tokens, sizes = 256, {}
    for layers in (2, 4):
        config = LlamaConfig(
            hidden_size=256, num_hidden_layers=layers, num_attention_heads=8, num_key_value_heads=2, head_dim=32,
            intermediate_size=640, vocab_size=100,
        )  # fmt: skip
        sizes[layers] = saved_bytes(config, learned, tokens)
    measured = (sizes[4] - sizes[2]) / 2 / tokens
    assert layer_bytes(shape_of(config).model("x"), HERE, learned) == pytest.approx(measured, rel=0.15)


def tokens(**more) -> Tokens:
    return Tokens(
        **{
            "rows": 1000, "skipped": 0, "read": 10**6, "naive": 10**6, "length": 500.0, "passes": 125,
            "widest": 8192, "logits": 2000, **more,
        }
    )  # fmt: skip


def test_memory_of_known_cases():
    model = known("meta-llama/Llama-2-13b-hf")
    lora = Learned(False, 16, ATTENTION, 0.05, checkpointing=True)
    memory = memory_of(model, H100, lora, tokens())
    assert memory.weights == pytest.approx(2 * 13.016e9 + 4 * 26.2e6, rel=1e-3)
    assert memory.gradients == pytest.approx(4 * 26.2e6, rel=1e-2)
    kept = memory_of(model, H100, Learned(False, 16, ATTENTION, 0.05), tokens())
    assert kept.activations > 8 * memory.activations
    full = memory_of(model, H100, Learned(full=True), tokens())
    # 4 bytes of weights, 4 of gradients, 8 of moments; no GPU of 80 GB holds them.
    assert full.weights + full.gradients + full.optimiser > 16 * 13.016e9
    spread = memory_of(model, device_named("8xh100/fsdp", H100), Learned(full=True, checkpointing=True), tokens())
    assert spread.gradients == full.gradients / 8
    assert spread.total < H100.memory < full.total


def test_bits_of_a_quantised_base():
    model = known("meta-llama/Llama-2-70b-chat-hf")
    sizes = {
        bits: memory_of(model, H100, Learned(False, 16, ATTENTION, quantised=bits), tokens()).weights / GIB
        for bits in ("none", "int8", "int4")
    }
    assert sizes["none"] == pytest.approx(128.7, rel=0.01)
    assert sizes["int8"] == pytest.approx(65.5, rel=0.02)
    assert 33 < sizes["int4"] < 36


def test_time_grows_with_the_work_and_falls_with_devices():
    model = known("meta-llama/Llama-2-13b-hf")
    lora = Learned(False, 16, ATTENTION, 0.05)
    one = seconds_of(model, H100, lora, tokens(), 2, 16)
    # Forward and back through frozen weights: 4 operations a weight and token.
    least = 2 * 1e6 * 4 * model.matrices / (989e12)
    assert least < one < 5 * least
    assert seconds_of(model, H100, Learned(full=True), tokens(), 2, 16) > one
    again = Learned(False, 16, ATTENTION, 0.05, checkpointing=True)
    assert seconds_of(model, H100, again, tokens(), 2, 16) > 1.2 * one
    four = seconds_of(model, device_named("4xh100", H100), lora, tokens(), 2, 16)
    assert one / 4 < four < one / 3


@pytest.mark.parametrize("spec", ["h900", "0xh100", "h100x4", "", "4xh100/ddp"])
def test_an_unknown_device_is_named(spec):
    with pytest.raises(ConfigError, match="expected h100, h200, a100 or cpu"):
        device_named(spec, H100)


def test_passes_and_shared_beginnings():
    assert pack([3, 3, 3, 9, 1], 6) == [[0, 1], [2], [3], [4]]
    head = list(range(10))
    teacher, student = [[*head, 20, n] for n in range(3)], [[*head, n] for n in range(3)]
    assert shared(teacher) == 11
    assert shared(teacher[:1]) == 0
    assert shared([[1, 2], [1, 3]]) == 0
    # 11 shared and 1 each; 10 shared and 1 each.
    assert read_tokens(teacher, student) == 11 + 3 + 10 + 3
    # Students inside their teachers cost nothing.
    assert read_tokens(teacher, [row[:-1] for row in teacher]) == 11 + 3
    assert read_tokens(teacher[:1], student[:1]) == 12 + 11


def test_a_plan_counts_what_is_there_and_says_what_it_assumed():
    run = configs.load("demo", ["collect.source.n=300", "tune.method.validation=0"])
    before = foresee(run, list(pipeline.VERBS))
    assert [step.state for step in before.steps] == ["to do"] * 7
    assert "no responses yet" in before.plan.notes[0]
    assert not run.path.exists()
    fake = configs.load("demo", ["collect.source.n=300", "tune.method.validation=0", "target={kind='fake'}"])
    for verb in ("collect", "sample"):
        pipeline.perform(verb, fake)
    after = foresee(run, list(pipeline.VERBS))
    assert [step.state for step in after.steps] == ["there"] * 2 + ["to do"] * 5
    assert "not labelled yet" in after.plan.notes[0]
    assert after.plan.tokens.rows == before.plan.tokens.rows
    assert after.plan.tokens.read < after.plan.tokens.naive < before.plan.tokens.naive
    assert after.plan.steps == 3 * -(-after.plan.tokens.rows // 64)
    assert after.plan.fits
    shown = dict(row[:2] for row in plan_rows(after.plan))
    assert shown["fits"] == "yes"
    assert shown["trainable"] == "297,984"


def test_long_rows_are_left_out_of_a_plan():
    run = configs.load("demo", ["collect.source.n=300", "tune.method.max_length=120"])
    plan = foresee(run, ["tune"]).plan
    assert plan.tokens.skipped > 0


def test_a_plan_of_instruction_tuning_counts_its_tokens():
    rows = [{"question": "What is it? " * (n + 1), "answer": "It is."} for n in range(20)]
    Path("rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    splits = "sft.splits=['train', 'calibration', 'test']"
    settings = ["sft.file=rows.jsonl", splits, "sft.batch_size=8", "sft.epochs=2", "sft.micro_rows=2"]
    plan = foresee(configs.parse("", settings), ["sft"]).plan
    folder = pipeline.perform("sft", configs.parse("", settings))
    done = json.loads((folder / "sft.json").read_text())
    assert plan.tokens.naive == done["tokens"]
    assert plan.steps == len(done["losses"]) == 5
    assert plan.tokens.read >= plan.tokens.naive
    assert plan.learned.trainable(plan.model) == plan.model.parameters


def test_a_dry_run_prints_and_does_nothing(monkeypatch, capsys):
    from selfj.cli import main

    for verb, more in (("tune", []), ("run", []), ("sft", ["--device", "4xh100/fsdp"]), ("collect", [])):
        name = "ours-13b" if verb == "sft" else "demo"
        monkeypatch.setattr("sys.argv", ["selfj", verb, name, "--dry-run", *more])
        main.__globals__["app"](standalone_mode=False)
        shown = capsys.readouterr().out
        assert ("memory in all" in shown) == (verb != "collect")
        assert verb == "run" or shown.count("to do") == 1
    assert "4 x H100" not in shown
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    "name",
    ["vicuna-13b", "wizardlm-13b", "llama-2-13b-chat", "llama-2-70b-chat", "qwen3-4b", "llama-3.2-3b", "smollm3-3b"],
)
def test_recipes_fit_the_gpu_that_they_name(name):
    plan = foresee(configs.load(name), ["tune"], "h100").plan
    assert plan.fits
    assert plan.model.name in SHAPES
    assert plan.tokens.rows == 28_500  # 30,000, of which a twentieth is only for trials


def test_the_paper_s_tuned_model_fits_four_gpus_and_not_one():
    assert foresee(configs.load("ours-13b"), ["sft"], "4xh100/fsdp").plan.fits
    assert not foresee(configs.load("ours-13b"), ["sft"], "h100").plan.fits
    assert Config().sft.base is None
