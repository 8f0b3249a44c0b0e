"""Whole weights of a judge: its base with the adapter merged into it, or the model that was tuned in full."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from transformers import AutoConfig

from selfj.backends import model_digest, resolve_model
from selfj.backends.loading import load_model
from selfj.card import write_card
from selfj.errors import ConfigError
from selfj.files import explained, replace_folder, sync_folder, write_json, write_text
from selfj.judge import check_base, is_whole
from selfj.settings import TransformersBackend

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_TABLES = ("lm_head", "embed_tokens", "wte")


def merge(folder: Path, manifest: Mapping[str, Any]) -> tuple[Any, Any]:
    """Load a judge of a causal LM as one model in float32 on the CPU, and its tokenizer.

    Raises:
        ConfigError: Model or adapter cannot be loaded, or the adapter changes a table that two layers share.
        StaleArtefact: The base is no longer the model that the judge was tuned on.
    """
    whole = is_whole(folder)
    if not whole:
        check_base(folder, manifest)
    base = str(folder) if whole else str(manifest["base"])
    if not whole:
        _check_tables(folder, base)
    settings = TransformersBackend(model=base, dtype="float32", device="cpu")
    return load_model(settings, adapter=None if whole else str(folder))


def save(
    model: Any, tokenizer: Any, out: Path, dtype: str, manifest: Mapping[str, Any], run: Path | None = None
) -> None:
    """Write a merged model with tokenizer, manifest and card to a folder that appears when it is whole.

    The folder is a judge (`selfj.load_judge`), and a model for transformers.

    Args:
        model: From `merge`; it is changed to `dtype`.
        tokenizer: From `merge`.
        out: The folder.
        dtype: `float32`, `bfloat16` or `float16`.
        manifest: Of the judge that was merged.
        run: Folder of its run, for the card.

    Raises:
        ArtefactError: It cannot be written.
        ConfigError: The weights do not fit the type, or transformers refuses the model's settings.
    """
    partial = out.with_name(f".{out.name}.partial")
    model = model.to(_DTYPES[dtype])
    odd = next((name for name, weight in model.named_parameters() if not bool(torch.isfinite(weight).all())), None)
    if odd is not None:
        raise ConfigError(f"The weights {odd} do not fit {dtype}; use --dtype bfloat16 or float32.")
    shutil.rmtree(partial, ignore_errors=True)
    with explained(partial):
        partial.mkdir(parents=True)
        try:
            model.save_pretrained(partial)
        except ValueError as error:
            raise ConfigError(f"transformers will not save this model: {error}") from error
        tokenizer.save_pretrained(partial)
    made = {
        **manifest,
        "digest": model_digest(str(partial)),
        "merged_from": manifest.get("merged_from") or manifest["digest"],
        "dtype": dtype,
    }
    write_json(partial / "judge.json", made)
    write_text(partial / "README.md", write_card(partial, run))
    sync_folder(partial)
    if out.is_dir():
        with explained(out):
            out.rmdir()
    replace_folder(partial, out)


def _check_tables(folder: Path, base: str) -> None:
    """Refuse an adapter of a table that reads and writes tokens: merged, it would change both, unmerged only one."""
    try:
        tied = getattr(AutoConfig.from_pretrained(resolve_model(base)), "tie_word_embeddings", False)
        with safe_open(folder / "adapter_model.safetensors", framework="pt") as file:
            touched = [name for name in file.keys() if any(table in name for table in _TABLES)]  # noqa: SIM118
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise ConfigError(f"The judge in {folder} or its base {base} cannot be read: {error}") from error
    if tied and touched:
        raise ConfigError(
            f"The adapter in {folder} changes {touched[0]}, a table that this model uses for its input and its output "
            "alike, so it cannot be merged. Tune without it in tune.method.target_modules."
        )
