"""A small training as one of several processes: `FOLDER KIND HOW STOP`; the first prints the digest as JSON."""

import json
import os
import signal
import sys
from contextlib import nullcontext
from pathlib import Path

import accelerate
import torch
import torch.distributed as dist
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from selfj.backends.base import JudgeInput
from selfj.errors import Stopped
from selfj.progress import Quiet
from selfj.settings import Config, FullTuning, LoraTuning, TransformersBackend, Tune
from selfj.tune import Example, tune


class Sharded:
    """What accelerate does with FSDP, which it does on GPUs alone: parameters, gradients and optimiser in shares."""

    def __init__(self, cpu):
        dist.init_process_group("gloo")
        self.device = torch.device("cpu")
        self.is_main_process = dist.get_rank() == 0
        self.mesh = init_device_mesh("cpu", (dist.get_world_size(),))

    def prepare(self, model, optimiser):
        base = model.get_base_model() if hasattr(model, "get_base_model") else model
        for layer in base.model.layers:
            fully_shard(layer, mesh=self.mesh)
        fully_shard(model, mesh=self.mesh)
        group = optimiser.param_groups[0]
        weights = [weight for weight in model.parameters() if weight.requires_grad]
        self.optimizer = torch.optim.AdamW(weights, lr=group["lr"], weight_decay=group["weight_decay"])
        return model, self

    def no_sync(self, model):
        return nullcontext()

    def backward(self, loss):
        loss.backward()

    def clip_grad_norm_(self, weights, most):
        torch.nn.utils.clip_grad_norm_(weights, most)

    def get_state_dict(self, model):
        return get_model_state_dict(model, options=StateDictOptions(full_state_dict=True, cpu_offload=True))

    def unwrap_model(self, model):
        return model

    def wait_for_everyone(self):
        dist.barrier()


class StopsAt(Quiet):
    def __init__(self, step):
        self.left = step

    def advance(self, n):
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGTERM)


def example(number):
    question, answer = f"What is {number} + 1?", str(number + number % 3)
    teacher = JudgeInput(question, answer, str(number + 1))
    return Example(f"{number:03}", teacher, JudgeInput(question, answer), float(number % 10))


def main():
    folder, kind, how, stop = sys.argv[1:]
    torch.set_num_threads(1)
    if how == "sharded":
        accelerate.Accelerator = Sharded
    shared = {"epochs": 1, "batch_size": 8, "micro_tokens": 400, "validation": 0.2, "warmup_steps": 0}
    method = LoraTuning(**shared, dropout=0) if kind == "lora" else FullTuning(**shared, learning_rate=1e-4)
    config = Config(target=TransformersBackend(device="cpu"), tune=Tune(method=method))
    Path(folder).mkdir(parents=True, exist_ok=True)
    try:
        tuned = tune(config, [example(number) for number in range(60)], Path(folder), "key", StopsAt(int(stop)))
    except Stopped:
        return
    if os.environ.get("RANK", "0") == "0":
        found = {"digest": tuned.digest, "losses": tuned.losses, "validation": tuned.validation}
        (Path(folder) / "found.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main()
