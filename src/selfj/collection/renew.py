"""Page, figures, numbers and card of a collection, written again."""

from pathlib import Path

from selfj.collection.datacard import write_datacard
from selfj.collection.describe import SAMPLE, describe
from selfj.collection.finished import open_collection
from selfj.collection.report import write_report
from selfj.errors import ConfigError
from selfj.files import write_text
from selfj.progress import Progress


def renew(
    folder: str | Path, *, sample: int = SAMPLE, seed: int = 0, progress: Progress | None = None, command: str = ""
) -> Path:
    """Write `report/` and `README.md` of a collection; the same collection and arguments give the same bytes.

    Args:
        folder: Of a finished collection.
        sample: Most English instructions whose root verb is looked for; 0 leaves verbs out.
        seed: Of that sample, and of the dropped rows to look at.
        progress: Told of rows.
        command: What makes the page again, for its foot.

    Returns:
        The page.

    Raises:
        ConfigError: An argument is wrong.
        ArtefactError: It is no finished collection, or a file cannot be written.
        MissingDependency: The tagger of verbs is not installed.
    """
    if sample < 0:
        raise ConfigError(f"--sample must be at least 0, got {sample}.")
    collection = open_collection(folder)
    described = describe(collection, sample=sample, seed=seed, progress=progress)
    write_text(collection.folder / "README.md", write_datacard(described.numbers, [("default", "parts/*.parquet")]))
    return write_report(described, collection.folder / "report", command=command)
