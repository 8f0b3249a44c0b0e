"""A judge's merged model as a GGUF file, the format of llama.cpp and its kin.

llama.cpp turns pairs of neighbours where transformers turns the two halves of a head, so in the architecture `llama`
the rows of the query and key matrices are put in another order.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import numpy.typing as npt
import torch
from gguf import quants

from selfj.errors import ConfigError
from selfj.files import explained, sync_folder
from selfj.publish.vocabulary import Vocabulary, read_vocabulary

_ARCHITECTURES = {
    "llama": gguf.MODEL_ARCH.LLAMA,
    "mistral": gguf.MODEL_ARCH.LLAMA,
    "qwen2": gguf.MODEL_ARCH.QWEN2,
    "qwen3": gguf.MODEL_ARCH.QWEN3,
}
_KINDS = {
    "f32": (gguf.GGMLQuantizationType.F32, gguf.LlamaFileType.ALL_F32),
    "f16": (gguf.GGMLQuantizationType.F16, gguf.LlamaFileType.MOSTLY_F16),
    "q8_0": (gguf.GGMLQuantizationType.Q8_0, gguf.LlamaFileType.MOSTLY_Q8_0),
}
_Q8_BLOCK = 32
_HALF_MAX = 65504.0


def write_gguf(model: Any, tokenizer: Any, path: Path, kind: str, *, template: str, digest: str) -> None:
    """Write a model of the Llama, Mistral, Qwen2 or Qwen3 family as GGUF.

    Args:
        model: A causal LM of transformers, in float32 on the CPU.
        tokenizer: Its fast tokenizer.
        path: The file; it appears when it is whole.
        kind: `f32`, `f16` or `q8_0` for matrices; vectors are always in float32. A matrix whose rows are no multiple of
            32 long is written as f16 instead of q8_0.
        template: Judge template of the judge, written as `selfj.template`.
        digest: Of the judge, written as `selfj.digest`.

    Raises:
        ConfigError: The architecture, one of its settings or the tokenizer has no place in GGUF.
        ArtefactError: The file cannot be written.
    """
    config = model.config
    arch = _architecture(config)
    name = gguf.MODEL_ARCH_NAMES[arch]
    vocabulary = _vocabulary(tokenizer, config, model.get_input_embeddings().weight.shape[0])
    matrices, file_type = _KINDS[kind]
    partial = path.with_name(f".{path.name}.partial")
    writer = gguf.GGUFWriter(None, name)
    writer.add_name("A judge made by selfj")
    writer.add_type("model")
    writer.add_string("selfj.template", template)
    writer.add_string("selfj.digest", digest)
    writer.add_file_type(file_type)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    _add_settings(writer, config)
    _add_vocabulary(writer, vocabulary)
    for tensor, data in tensors(model, arch):
        encoded, raw = _encode(tensor, data, matrices)
        writer.add_tensor(tensor, encoded, raw_dtype=raw)
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            writer.write_header_to_file(partial)
            writer.write_kv_data_to_file()
            writer.write_tensors_to_file()
            writer.close()
            partial.replace(path)
            sync_folder(path.parent)
        finally:
            partial.unlink(missing_ok=True)


def tensors(model: Any, arch: Any) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
    """Name and numbers of every tensor of a model, as llama.cpp expects them.

    Raises:
        ConfigError: There is no place for one.
    """
    config = model.config
    names = gguf.get_tensor_name_map(arch, config.num_hidden_layers)
    tied = bool(getattr(config, "tie_word_embeddings", False))
    heads = {"q_proj": config.num_attention_heads, "k_proj": _kv_heads(config)}
    for own, weight in model.state_dict().items():
        if tied and own == "lm_head.weight":
            continue
        name = names.get_name(own, try_suffixes=(".weight", ".bias"))
        if name is None:
            raise ConfigError(f"GGUF has no place for the tensor {own} of this model. Use --merge.")
        data = weight.detach().to(torch.float32).numpy()
        part = own.split(".")[-2]
        if arch == gguf.MODEL_ARCH.LLAMA and part in heads:
            data = _neighbours(data, heads[part])
        yield name, data
    if (turns := _turns(model, arch)) is not None:
        yield "rope_freqs.weight", turns


def _neighbours(data: npt.NDArray[np.float32], heads: int) -> npt.NDArray[np.float32]:
    """Reorder the rows of each head from its two halves to pairs of neighbours."""
    halves = data.reshape(heads, 2, data.shape[0] // heads // 2, -1)
    return np.ascontiguousarray(halves.swapaxes(1, 2)).reshape(data.shape)


def _encode(name: str, data: npt.NDArray[np.float32], kind: Any) -> tuple[npt.NDArray[Any], Any]:
    f16, f32 = gguf.GGMLQuantizationType.F16, gguf.GGMLQuantizationType.F32
    if data.ndim < 2 or kind == f32:
        return np.ascontiguousarray(data), f32
    if kind == f16 or data.shape[-1] % _Q8_BLOCK:
        if float(np.abs(data).max()) > _HALF_MAX:
            raise ConfigError(f"The tensor {name} does not fit f16; use --gguf-type f32.")
        return data.astype(np.float16), f16
    return quants.quantize(data, kind), kind


def _architecture(config: Any) -> Any:
    arch = _ARCHITECTURES.get(config.model_type)
    if arch is None:
        known = ", ".join(_ARCHITECTURES)
        raise ConfigError(
            f"A model of the architecture {config.model_type} cannot be written as GGUF here, only {known}. "
            "Use --merge, and llama.cpp's own converter on that folder."
        )
    if getattr(config, "hidden_act", "silu") != "silu":
        raise ConfigError(f"llama.cpp takes the activation silu for granted, and this model has {config.hidden_act}.")
    if getattr(config, "use_sliding_window", False):
        raise ConfigError("This model attends through a sliding window in some layers, which cannot be written here.")
    return arch


def _vocabulary(tokenizer: Any, config: Any, size: int) -> Vocabulary:
    eos = config.eos_token_id
    return read_vocabulary(
        tokenizer, size, bos=config.bos_token_id, eos=eos[0] if isinstance(eos, list) and eos else eos
    )


def _kv_heads(config: Any) -> int:
    return int(getattr(config, "num_key_value_heads", None) or config.num_attention_heads)


def _head_size(config: Any) -> int:
    return int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)


def _add_settings(writer: Any, config: Any) -> None:
    # Within a window all is seen, and llama.cpp reads Mistral without one.
    window = getattr(config, "sliding_window", None) if config.model_type == "mistral" else None
    writer.add_context_length(min(config.max_position_embeddings, window or config.max_position_embeddings))
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(_kv_heads(config))
    writer.add_key_length(_head_size(config))
    writer.add_value_length(_head_size(config))
    writer.add_rope_dimension_count(_head_size(config))
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    turning = _turning(config)
    writer.add_rope_freq_base(turning["rope_theta"])
    if turning["rope_type"] == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(turning["factor"])


def _turning(config: Any) -> dict[str, Any]:
    """How positions turn a head, in the words of transformers 5, whichever version is here.

    Raises:
        ConfigError: In a way that cannot be written.
    """
    found = dict(getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {})
    found.setdefault("rope_theta", getattr(config, "rope_theta", 10000.0))
    found["rope_type"] = found.get("rope_type") or found.get("type") or "default"
    llama3 = found["rope_type"] == "llama3" and _ARCHITECTURES[config.model_type] == gguf.MODEL_ARCH.LLAMA
    partial = found.get("partial_rotary_factor", 1.0) != 1.0
    if not (llama3 or found["rope_type"] in {"default", "linear"}) or partial:
        raise ConfigError(
            f"The positions of this model are of the kind {found['rope_type']}, which cannot be written as GGUF here. "
            "Use --merge, and llama.cpp's own converter on that folder."
        )
    return found


def _turns(model: Any, arch: Any) -> npt.NDArray[np.float32] | None:
    """By how much each frequency of a head is slowed, for Llama 3's positions; shape (head size / 2,)."""
    turning = _turning(model.config)
    if turning["rope_type"] != "llama3":
        return None
    size = _head_size(model.config)
    plain = 1.0 / turning["rope_theta"] ** (np.arange(0, size, 2, dtype=np.float64) / size)
    own: npt.NDArray[np.float64] = model.get_decoder().rotary_emb.inv_freq.detach().double().cpu().numpy()
    slowed: npt.NDArray[np.float32] = (plain / own).astype(np.float32)
    return slowed


def _add_vocabulary(writer: Any, vocabulary: Vocabulary) -> None:
    writer.add_tokenizer_model(vocabulary.model)
    writer.add_tokenizer_pre(vocabulary.pre)
    writer.add_token_list(list(vocabulary.tokens))
    writer.add_token_types(list(vocabulary.types))
    if vocabulary.merges is not None:
        writer.add_token_merges(list(vocabulary.merges))
    if vocabulary.scores is not None:
        writer.add_token_scores(list(vocabulary.scores))
        writer.add_add_space_prefix(vocabulary.add_space)
    add = {
        "bos": writer.add_bos_token_id,
        "eos": writer.add_eos_token_id,
        "unk": writer.add_unk_token_id,
        "pad": writer.add_pad_token_id,
    }
    for part, token in vocabulary.ids.items():
        add[part](token)
    writer.add_add_bos_token(vocabulary.add_bos)
    writer.add_add_eos_token(vocabulary.add_eos)
    if vocabulary.chat_template is not None:
        writer.add_chat_template(vocabulary.chat_template)
