"""The texts of a collection repaired, and rows without use dropped with one reason each.

Example:
    >>> import pyarrow as pa
    >>> raw = pa.table({"source": ["a"], "position": [0], "instruction": ["Who wrote \u201cEmma\u201d?"]})
    >>> clean(raw, Quality())["language"].to_pylist()
    ['en']
"""

from selfj.collection.quality.settings import Quality
from selfj.collection.quality.table import REASONS, clean

__all__ = ["REASONS", "Quality", "clean"]
