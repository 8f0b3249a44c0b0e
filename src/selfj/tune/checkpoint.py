"""What a training leaves to go on from: weights that learn, the optimiser, and what was measured so far.

One process keeps its own state. Several gather theirs to the first, which alone writes; each then takes its share back.
Randomness and the order of data need no place here: both follow from the step's number.
"""

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)

from selfj.errors import StaleArtefact
from selfj.files import writing

_FILE = "checkpoint.pt"


@dataclass
class Progressed:
    """How far a training is, and what it measured."""

    step: int = 0
    losses: list[dict[str, float]] = field(default_factory=list)
    """Loss parts of every step."""
    validation: list[dict[str, float]] = field(default_factory=list)
    seconds: float = 0.0
    """Spent on the steps so far, over all sittings."""


def processes() -> tuple[int, int]:
    """Number of this process among those that learn together, and how many they are."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def wait() -> None:
    """Wait for the other processes."""
    if processes()[1] > 1:
        dist.barrier()


class Checkpoint:
    """The checkpoint of one training in its folder."""

    def __init__(self, folder: Path, key: str, model: torch.nn.Module, optimiser: torch.optim.Optimizer):
        self._path = folder / _FILE
        self._key = key
        self._model, self._optimiser = model, optimiser
        self._rank, self._world = processes()

    def save(self, progressed: Progressed) -> None:
        """Write it whole or not at all."""
        state = {"key": self._key, "world": self._world, "progressed": vars(progressed), **self._gather()}
        if self._rank == 0:
            buffer = io.BytesIO()
            torch.save(state, buffer)
            with writing(self._path) as handle:
                handle.write(buffer.getbuffer())

    def restore(self) -> Progressed:
        """Take up the state of the same work; an absent checkpoint, or one of other work, is a new beginning.

        Raises:
            StaleArtefact: As many processes must go on as wrote it.
        """
        state: dict[str, Any] | None = None
        if self._rank == 0 and self._path.is_file():
            state = torch.load(self._path, weights_only=True, map_location="cpu")
            if state is not None and state["key"] != self._key:
                state = None
        if self._world > 1:
            head = [None if state is None else {name: state[name] for name in ("world", "progressed")}]
            dist.broadcast_object_list(head, src=0)
            state = {"weights": {}, "optimiser": {}, **head[0]} if head[0] and self._rank else state
        if state is None:
            return Progressed()
        if state["world"] != self._world:
            raise StaleArtefact(
                f"The checkpoint {self._path} was written by {state['world']} processes, and {self._world} are at "
                "work; launch as many, or begin anew with --force."
            )
        self._scatter(state)
        return Progressed(**state["progressed"])

    def _gather(self) -> dict[str, Any]:
        if self._world == 1:
            weights = {name: weight.detach() for name, weight in _learning(self._model)}
            return {"weights": weights, "optimiser": self._optimiser.state_dict()}
        options = _options()
        return {
            "weights": get_model_state_dict(self._model, options=options),
            "optimiser": get_optimizer_state_dict(self._model, self._optimiser, options=options),
        }

    def _scatter(self, state: dict[str, Any]) -> None:
        if self._world == 1:
            with torch.no_grad():
                for name, weight in _learning(self._model):
                    weight.copy_(state["weights"][name])
            self._optimiser.load_state_dict(state["optimiser"])
            return
        options = _options(broadcast=True)
        set_model_state_dict(self._model, state["weights"], options=options)
        set_optimizer_state_dict(self._model, self._optimiser, state["optimiser"], options=options)


def _learning(model: torch.nn.Module) -> list[tuple[str, torch.nn.Parameter]]:
    return [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]


def _options(*, broadcast: bool = False) -> StateDictOptions:
    return StateDictOptions(
        full_state_dict=True,
        cpu_offload=not broadcast,
        ignore_frozen_params=True,
        broadcast_from_rank0=broadcast,
        strict=not broadcast,
    )
