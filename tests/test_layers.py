"""Data flows one way, and so do imports."""

import ast
from pathlib import Path

SRC = Path(__file__).parents[1] / "src" / "selfj"

# A module may import only from rows above its own. Rows are read top to bottom.
LAYERS = [
    ["errors", "model_settings"],
    ["sft_settings", "tune_settings"],
    ["records", "progress", "files", "settings", "fencing"],
    ["config", "prompts", "metrics"],
    ["weighted"],
    ["inversions"],
    ["store", "bootstrap", "verdicts"],
    ["backends"],
    ["exchanges", "world", "collect", "risk", "attacks"],
    ["judge", "policy_risk"],
    ["label", "baselines", "peers", "policy_path"],
    ["tune", "report"],
    ["gold", "evaluation", "following", "card", "general"],
    ["stages", "assistant", "doctor", "judging", "publish"],
    ["ranking", "comparison", "grading", "audit", "serve", "collection"],
    ["pipeline", "foresight"],
    ["terminal", "cli"],
]
RANK = {name: rank for rank, row in enumerate(LAYERS) for name in row}
# These resolve names to modules, so they alone may import inside a function.
LOADERS = {"backends/__init__.py", "tune/__init__.py", "tune/sft.py", "publish/__init__.py", "foresight.py"}
LOADERS |= {f"cli/{path.name}" for path in (SRC / "cli").glob("*.py")}
FAMILIES = {"general", "backends", "tune", "collect", "world", "report", "judging", "publish"}
FAMILIES |= {"ranking", "comparison", "grading", "audit", "serve", "collection", "cli"}
# Packages that no module may load just because selfj was imported.
HEAVY = {"torch", "transformers", "peft", "safetensors", "tokenizers"}
HEAVY |= {"accelerate", "gguf", "huggingface_hub", "vllm", "openvino", "nncf", "daft", "ray"}
HEAVY_MODULES = {
    "backends/loading.py",
    "backends/transformers.py",
    "backends/encoder.py",
    "backends/cross_encoder.py",
    "backends/quantised.py",
    "backends/reward.py",
    "backends/adapters.py",
    "backends/vllm.py",
    "backends/vllm_engine.py",
    "backends/prefix.py",
    "backends/packed.py",
    "backends/last_layer.py",
    "tune/loss.py",
    "tune/loop.py",
    "tune/causal.py",
    "tune/checkpoint.py",
    "tune/packing.py",
    "tune/padding.py",
    "tune/tracking.py",
    "tune/sft_loop.py",
    "tune/probe.py",
    "tune/encoder.py",
    "tune/cross_encoder.py",
    "general/train.py",
    "world/train.py",
    "world/corpus.py",
    "publish/weights.py",
    "publish/gguf.py",
    "publish/hub.py",
    "collection/engine.py",
    "collection/hub.py",
}


def unit(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def imports(tree: ast.AST):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((a.name, node) for a in node.names if a.name.startswith("selfj."))
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"line {node.lineno}: relative import"
            if node.module == "selfj":
                yield from ((f"selfj.{a.name}", node) for a in node.names)
            elif (node.module or "").startswith("selfj."):
                yield from ((f"{node.module}.{a.name}", node) for a in node.names)


def sources():
    for path in sorted(SRC.rglob("*.py")):
        where = path.relative_to(SRC).as_posix()
        if where != "__init__.py":
            yield where, path.relative_to(SRC).parts[0].removesuffix(".py"), ast.parse(path.read_text())


def faults() -> list[str]:
    found = []
    for where, own, tree in sources():
        top = set(tree.body)
        for name, node in imports(tree):
            other = unit(name)
            if node not in top and where not in LOADERS:
                found.append(f"{where}:{node.lineno} imports {name} inside a block")
            inside = own == other and own in FAMILIES
            package_itself = own == "stages" and name.startswith("selfj.stages.GIVEN")
            if not inside and not package_itself and RANK[other] >= RANK[own] and own != "cli":
                found.append(f"{where}:{node.lineno} ({own}) imports upwards from {other}")
    return found


def test_imports_point_one_way():
    assert faults() == []


def test_heavy_packages_stay_in_their_modules():
    found = []
    for where, _, tree in sources():
        for node in tree.body:
            names = []
            if isinstance(node, ast.Import):
                names = [a.name for a in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            found += [f"{where}: {n}" for n in names if n.split(".")[0] in HEAVY and where not in HEAVY_MODULES]
    assert found == []


def test_no_file_passes_400_lines():
    long = [where for where, _, _ in sources() if len((SRC / where).read_text().splitlines()) > 400]
    assert long == []
