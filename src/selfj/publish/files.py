"""Which files of a judge's folder are sent: those that a judge is made of, by name, and nothing else."""

import re
from dataclasses import dataclass
from pathlib import Path

from selfj.errors import ArtefactError
from selfj.files import read_json

_NAMES = re.compile(
    r"README\.md|judge\.json|(head|body)\.safetensors"
    r"|adapter_config\.json|adapter_model\.safetensors"
    r"|config\.json|generation_config\.json|model(-\d+-of-\d+)?\.safetensors|model\.safetensors\.index\.json"
    r"|(tokenizer|tokenizer_config|special_tokens_map|added_tokens|vocab)\.json|tokenizer\.model|merges\.txt"
    r"|chat_template\.(jinja|json)"
)


@dataclass(frozen=True, slots=True)
class Sending:
    """What goes to which repository."""

    folder: Path
    repository: str
    """`OWNER/NAME`."""
    public: bool
    update: bool
    """Whether the repository may be there already."""
    files: tuple[tuple[str, int], ...]
    """Name and size in bytes of each file that is sent."""
    staying: tuple[str, ...]
    """Names in the folder that are not sent."""
    local: str | None
    """The judge's base where that is a folder of this machine, whose path the sent files hold."""

    def lines(self, address: str | None = None) -> list[str]:
        """Say what is sent; `address` where it has been."""
        seen = "public" if self.public else "private"
        seen = "of unchanged visibility if it is there" if self.update else seen
        first = f"Sent to {address}" if address else f"Would be sent to {self.repository}, {seen}"
        lines = [f"{first}:", *(f"  {name}  {size_text(size)}" for name, size in self.files)]
        if self.staying:
            lines.append(f"Stays here: {', '.join(self.staying)}")
        if self.local is not None:
            lines.append(
                f"Note: judge.json and adapter_config.json name the base by its folder here, {self.local}. Others can "
                "load the judge only with a model of their own in that place; send merged weights instead (--merge)."
            )
        return lines


def select(folder: Path, repository: str, *, public: bool = False, update: bool = False) -> Sending:
    """Choose what is sent of a judge's folder.

    Raises:
        ArtefactError: There is nothing, or a file that should be sent is a link, which could lead outside.
    """
    files, staying = [], []
    for path in sorted(folder.iterdir()):
        if not _NAMES.fullmatch(path.name) or path.is_dir():
            staying.append(path.name)
        elif path.is_symlink():
            raise ArtefactError(f"{path} is a link, and only files of the folder itself are sent. Put the file there.")
        else:
            files.append((path.name, path.stat().st_size))
    if not any(name.endswith(".safetensors") for name, _ in files):
        raise ArtefactError(f"{folder} holds no weights to send. Run selfj tune first.")
    return Sending(folder, repository, public, update, tuple(files), tuple(staying), _local_base(folder))


def _local_base(folder: Path) -> str | None:
    about = folder / "adapter_config.json"
    if (folder / "config.json").is_file() or not about.is_file():
        return None
    base = str(read_json(about, "Run selfj tune again.").get("base_model_name_or_path") or "")
    return base if base.startswith(("/", ".", "~")) or (base and Path(base).is_dir()) else None


def size_text(n: int) -> str:
    """A number of bytes for people, such as `1.2 MB`."""
    value, unit = float(n), "B"
    for larger in ("kB", "MB", "GB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.3g} {unit}"
