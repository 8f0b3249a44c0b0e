"""vLLM's engines in this process: started when first needed, shared by all who read the same model, freed with them.

A target model that answers, the same model that rates its answers, and judges that were tuned on it are one engine
with several adapters, so that weights lie in memory once.
"""

import gc
import importlib
import os
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from itertools import count, islice
from typing import Any, NamedTuple, Self
from weakref import WeakValueDictionary, finalize

import torch
from safetensors import SafetensorError

from selfj.backends import resolve_model
from selfj.backends.adapters import Adapter
from selfj.errors import BackendError, ConfigError
from selfj.settings import VllmBackend

_QUIET = {
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_DO_NOT_TRACK": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
    # Standard output belongs to the caller.
    "VLLM_LOGGING_STREAM": "ext://sys.stderr",
}
_CPU_BLOCK = 32
"""Tokens of a cache block on a CPU: the least that its kernels take. vLLM's default of 128 never hits short prompts."""
_CPU_STEP = 1024
"""Tokens per step on a CPU, where the window allows it: what a layer makes of them stays in its caches."""
_CHUNK = 128
"""Prompts that are handed over at a time: while an engine in a process of its own reads, the next are tokenized."""
_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
_GIB = 2**30


class Engine:
    """One running model."""

    def __init__(self, settings: VllmBackend, rank: int):
        """Start vLLM; see `engine_for`."""
        self.rank = rank
        self.failed = False
        self._adapters: dict[str, int] = {}
        with _quiet():
            vllm = _Vllm.load()
            self.sampling: Any = vllm.sampling
            self._request, self._faults = vllm.lora_request, vllm.faults
            self.cpu = vllm.cpu
            eager = vllm.cpu if settings.enforce_eager is None else settings.enforce_eager
            # vLLM compiles one helper of its log probabilities all the same, which takes longer than a short run.
            self._stance = torch.compiler.set_stance if vllm.cpu and eager else nullcontext
            number = next(_NUMBERS)
            _LIVE.add(number)
            try:
                self._llm = _start(vllm.llm, settings, rank, cpu=vllm.cpu, eager=eager)
            except ConfigError:
                _LIVE.discard(number)
                raise
        finalize(self, _end, number, self._llm)
        self.window: int = self._llm.model_config.max_model_len
        """Most tokens of prompt and reply together."""

    def run(self, requests: Iterable[tuple[list[int], Any]], adapter: Adapter | None = None) -> list[Any]:
        """Read prompts; returns vLLM's outputs in the order of the requests.

        Args:
            requests: Token ids and sampling parameters of each prompt; taken in chunks while earlier ones are read.
            adapter: On top of the model.

        Raises:
            BackendError: The engine died, now or before.
        """
        if self.failed:
            raise BackendError("vLLM was stopped while it was reading; load the model again.")
        lora = None if adapter is None else self._lora(adapter)
        todo = iter(requests)
        # Whatever ends this early leaves prompts behind that the next call would get back as its own.
        self.failed = True
        try:
            with _quiet(), self._stance("force_eager"):
                while chunk := list(islice(todo, _CHUNK)):
                    prompts = [{"prompt_token_ids": ids} for ids, _ in chunk]
                    self._llm.enqueue(prompts, [params for _, params in chunk], lora_request=lora, use_tqdm=False)
                outputs: list[Any] = self._llm.wait_for_completion(use_tqdm=False)
        except self._faults as error:
            raise BackendError(
                f"vLLM stopped while it was reading: {type(error).__name__}: {_first_line(error)}. "
                "Where memory ran out, lower max_length or gpu_memory_utilization; then run the same command again."
            ) from error
        self.failed = False
        return outputs

    def cache_hits(self) -> tuple[int, int]:
        """Tokens that were looked up in the prefix cache since the start, and those found, as vLLM counts them."""
        found = {metric.name: int(metric.value) for metric in self._llm.get_metrics() if hasattr(metric, "value")}
        return found.get("vllm:prefix_cache_queries", 0), found.get("vllm:prefix_cache_hits", 0)

    def forget(self) -> None:
        """Empty the prefix cache."""
        self._llm.reset_prefix_cache()

    def _lora(self, adapter: Adapter) -> Any:
        number = self._adapters.setdefault(adapter.digest, len(self._adapters) + 1)
        return self._request(adapter.digest[:16], number, adapter.folder)


_RUNNING: WeakValueDictionary[str, Engine] = WeakValueDictionary()
_NUMBERS = count()
_LIVE: set[int] = set()
"""Engines that were started and have not ended."""


def _end(number: int, llm: Any) -> None:
    """End an engine that nobody uses any more."""
    _LIVE.discard(number)
    core = llm.llm_engine.engine_core
    inside = os.environ.get("VLLM_ENABLE_V1_MULTIPROCESSING", "1") == "0"
    if inside and _LIVE:
        # Its shutdown would take away groups that all engines of a process share; its memory goes without it.
        core._finalizer.detach()
    else:
        core.shutdown()


def engine_for(settings: VllmBackend, adapter: Adapter | None = None, *, bare: bool = False) -> Engine:
    """Give the running engine of a model, or start one.

    Args:
        settings: The model; its adapter and what it says of prompts are no part of an engine.
        adapter: What the engine must be able to hold.
        bare: Give one that can hold no adapter.

    Raises:
        ConfigError: vLLM cannot start with the model and these settings.
        MissingDependency: vLLM is not installed.
    """
    rank = 0 if adapter is None else next((size for size in _RANKS if size >= adapter.rank), 0)
    if adapter is not None and not rank:
        raise ConfigError(f"The adapter {adapter.folder} has rank {adapter.rank}; vLLM takes at most {_RANKS[-1]}.")
    key = settings.model_dump_json(exclude={"adapter", "max_length", "long_text"})
    if adapter is not None and adapter.output:
        # vLLM 0.32 on a CPU leaves such a change in place when it next reads without an adapter.
        key += adapter.digest
    engine = _RUNNING.get(key)
    if bare and engine is not None and engine.rank:
        key += "bare"
        engine = _RUNNING.get(key)
    if engine is None or engine.failed or engine.rank < rank:
        # An engine that nobody uses any more may wait in a reference cycle, with all its memory, and vLLM hides what
        # it finds at its start from the collector.
        engine = None
        gc.unfreeze()
        gc.collect()
        engine = _RUNNING[key] = Engine(settings, rank)
    return engine


class _Vllm(NamedTuple):
    """What is used of vLLM."""

    llm: Any
    sampling: Any
    lora_request: Any
    cpu: bool
    faults: tuple[type[Exception], ...]

    @classmethod
    def load(cls) -> Self:
        """Import vLLM; it reads the environment when it is imported, so not before it is set."""
        try:
            vllm = importlib.import_module("vllm")
            llm, sampling = vllm.LLM, vllm.SamplingParams
            lora_request = importlib.import_module("vllm.lora.request").LoRARequest
            cpu: bool = importlib.import_module("vllm.platforms").current_platform.is_cpu()
            own = importlib.import_module("vllm.v1.engine.exceptions")
        except (RuntimeError, AttributeError) as error:
            # As with a torchvision that was built for another torch.
            raise ImportError(f"vllm does not import: {_first_line(error)}") from error
        faults = (own.EngineDeadError, own.EngineGenerateError, AssertionError, RuntimeError, ValueError, OSError)
        return cls(llm, sampling, lora_request, cpu, faults)


def _start(llm: Any, settings: VllmBackend, rank: int, *, cpu: bool, eager: bool) -> Any:
    auto = "float32" if cpu else "bfloat16"
    options: dict[str, Any] = {
        "dtype": auto if settings.dtype == "auto" else settings.dtype,
        "max_model_len": settings.max_model_len or -1,
        "tensor_parallel_size": settings.tensor_parallel_size,
        "gpu_memory_utilization": settings.gpu_memory_utilization,
        "enforce_eager": eager,
        "enable_prefix_caching": True,
        # A model's own defaults, such as a repetition penalty, would change what is drawn.
        "generation_config": "vllm",
        "disable_log_stats": False,
        "use_tqdm_on_load": False,
    }
    if rank:
        options |= {"enable_lora": True, "max_lora_rank": rank, "max_loras": 1, "max_cpu_loras": 4}
    if cpu:
        options |= {"block_size": _CPU_BLOCK, "kv_cache_memory_bytes": settings.cpu_cache_gib * _GIB}
        # vLLM 0.32 dies on a CPU when a step divides a prompt whose reply has a seed. Whole prompts need steps as long
        # as the window, which vLLM sees to where it is the model's own.
        options["enable_chunked_prefill"] = False
        if settings.max_model_len:
            options["max_num_batched_tokens"] = max(_CPU_STEP, settings.max_model_len)
        if settings.tensor_parallel_size == 1:
            options["distributed_executor_backend"] = "uni"
            # In this process it starts in a sixth of the time.
            os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
    try:
        return llm(resolve_model(settings.model), **options)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise ConfigError(
            f"vLLM cannot start with the model {settings.model}: expected a causal language model that it supports "
            "(heads of 32, 64, 80, 96, 112, 128 or more on a CPU), with whole weights and enough memory. "
            f"The reason given was: {_first_line(error)}"
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep vLLM from reporting use to its makers, from writing to standard output, and from warning of itself."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
