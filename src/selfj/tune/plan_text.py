"""A plan of a tuning as rows of a table."""

from selfj.tune.plan import GIB, Device, Learned, Plan

Row = tuple[str, str, str]


def plan_rows(plan: Plan) -> list[Row]:
    """What is counted, how much it is, and how that comes about."""
    tokens, memory, learned = plan.tokens, plan.memory, plan.learned
    trainable = learned.trainable(plan.model)
    counted = "all rows" if tokens.sampled is None else f"from a sample of {tokens.sampled:,} rows"
    saved = 1 - tokens.read / tokens.naive
    ways = f"{saved:.0%} less than {_count(tokens.naive)}, what each is alone"
    if tokens.read > tokens.naive:
        ways = f"{-saved:.0%} more than {_count(tokens.naive)}, for padding"
    return [
        ("rows", f"{tokens.rows:,}", f"in an epoch, tokens counted on {counted}"),
        ("too long", f"{tokens.skipped:,}", "left out"),
        ("steps", f"{plan.steps:,}", _epochs(plan.epochs)),
        ("tokens of an epoch", _count(tokens.read), f"as read: {ways}"),
        ("tokens in all", _count(tokens.read * plan.epochs), _epochs(plan.epochs)),
        ("parameters", _count(plan.model.parameters), plan.model.name),
        ("trainable", _count(trainable), _share(learned, trainable / plan.model.parameters)),
        ("device", _devices(plan.device), f"{plan.device.memory / GIB:.0f} GiB each"),
        ("memory: weights", _gib(memory.weights), _precision(plan)),
        ("memory: gradients", _gib(memory.gradients), "float32"),
        ("memory: optimiser", _gib(memory.optimiser), "AdamW, float32"),
        ("memory: activations", _gib(memory.activations), _activations(plan)),
        ("memory: logits", _gib(memory.logits), "at every token" if learned.all_logits else "where ratings are read"),
        ("memory in all", _gib(memory.total), "with a tenth for the allocator"),
        ("time", _time(plan.seconds), f"at {plan.device.flops / 1e12:,.3g} TFLOP/s and {_rate(plan.device)}"),
        ("fits", "yes" if plan.fits else "NO", "" if plan.fits else _remedy(plan)),
    ]


def _remedy(plan: Plan) -> str:
    ways = []
    if not plan.learned.checkpointing and plan.memory.activations > 0.2 * plan.memory.total:
        ways.append("gradient_checkpointing = true")
    if plan.learned.full:
        ways.append('method.kind = "lora"')
    elif plan.learned.quantised == "none":
        ways.append('quantised = "int4"')
    if not plan.device.sharded:
        ways.append("several devices with /fsdp")
    ways.append("fewer rows in a pass" if plan.learned.all_logits else "a smaller micro_tokens")
    return f"try {', '.join(ways)}"


def _precision(plan: Plan) -> str:
    learned = plan.learned
    if learned.full:
        text = "float32" + (", and a copy in bfloat16" if plan.device.gpu and not plan.device.sharded else "")
    elif learned.quantised != "none":
        text = f"base in {learned.quantised[3:]} bits, adapter in float32"
    else:
        text = f"base in {'bfloat16' if plan.device.gpu else 'float32'}, adapter in float32"
    return text + (", shared" if plan.device.sharded else "")


def _activations(plan: Plan) -> str:
    how = "computed again on the way back" if plan.learned.checkpointing else "kept"
    return f"{plan.tokens.widest:,} tokens in a pass, {how}"


def _epochs(n: int) -> str:
    return "one epoch" if n == 1 else f"{n} epochs"


def _share(learned: Learned, share: float) -> str:
    return "all" if learned.full else f"{share:.2%}, LoRA of rank {learned.r} on {', '.join(learned.targets)}"


def _devices(device: Device) -> str:
    if device.count == 1:
        return device.name
    return f"{device.count} x {device.name}, " + ("shared" if device.sharded else "a whole model on each")


def _rate(device: Device) -> str:
    return f"{device.bandwidth / 1e9:,.3g} GB/s" + (f" each, {device.count} at once" if device.count > 1 else "")


def _gib(size: float) -> str:
    return f"{size / GIB:,.1f} GiB" if size >= 0.1 * GIB else f"{size / 2**20:,.0f} MiB"


def _count(n: float) -> str:
    for unit, size in (("B", 1e9), ("M", 1e6)):
        if n >= size:
            return f"{n / size:,.3f} {unit}"
    return f"{n:,.0f}"


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
