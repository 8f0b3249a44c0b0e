"""Small finished collections, made without the engine."""

import hashlib

import pyarrow as pa
import pyarrow.parquet as pq

from selfj.collection.finished import PART
from selfj.collection.manifest import Manifest, SourceCount, digest_of, write_manifest
from selfj.collection.settings import Collection, dump_collection
from selfj.collection.work import Folder
from selfj.files import file_digest
from selfj.store import Part

DROPPED = pa.schema(
    [
        ("source", pa.string()),
        ("position", pa.int64()),
        ("reason", pa.string()),
        ("instruction", pa.string()),
        ("of_source", pa.string()),
        ("of_position", pa.int64()),
        ("similarity", pa.float32()),
    ]
)


def row(source, position, instruction, category="common", reference=None, **more):
    made = {
        "id": hashlib.md5(instruction.encode()).hexdigest(),
        "instruction": instruction,
        "reference": reference,
        "category": category,
        "category_by": "source",
        "source": source,
        "position": position,
        "language": "en",
        "copies": 0,
        "copy_sources": [],
    }
    return {**made, **more}


def lost(source, position, reason, instruction="What?", of=(None, None), similarity=None):
    return {
        "source": source,
        "position": position,
        "reason": reason,
        "instruction": instruction,
        "of_source": of[0],
        "of_position": of[1],
        "similarity": similarity,
    }


def make_finished(path, kept, dropped=(), *, sizes=(10_000,), sources=None, faults=None):
    """Write a finished collection.

    `kept` are rows, `sizes` say after how many rows a new part begins (the last repeats), `sources` are further fields
    of the sources' entries.
    """
    folder = Folder(path)
    names = list(dict.fromkeys(entry["source"] for entry in [*kept, *dropped]))
    entries = [
        {"name": n, "path": f"{n}.jsonl", "instruction": "q", "reference": "a", "reference_kind": "gold"} for n in names
    ]
    entries = [{**entry, **(sources or {}).get(entry["name"], {})} for entry in entries]
    path.mkdir(parents=True)
    folder.settings.write_text(dump_collection(Collection.model_validate({"sources": entries})))
    parts, begin, number = [], 0, 0
    kept, dropped = list(kept), list(dropped)
    while begin < len(kept) or not number:
        size = sizes[min(number, len(sizes) - 1)]
        parts.append(_write(folder.part(number), kept[begin : begin + size], PART, path))
        begin, number = begin + size, number + 1
    gone = [_write(folder.dropped(0), dropped, DROPPED, path)]
    counts = tuple(_count(name, kept, dropped, (faults or {}).get(name)) for name in names)
    write_manifest(
        folder,
        Manifest(
            key="k", digest=digest_of([*parts, *gone]), read=len(kept) + len(dropped), kept=len(kept), dropped={},
            categories={}, sources=counts, evaluation=(), settings={}, versions={"selfj": "0"}, seconds={"keep": 1.5},
            parts=tuple(parts), dropped_parts=tuple(gone),
        ),
    )  # fmt: skip
    return path


def _write(path, rows, schema, root):
    path.parent.mkdir(exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)
    return Part(path.relative_to(root).as_posix(), len(rows), file_digest(path))


def _count(name, kept, dropped, fault):
    mine = [entry for entry in kept if entry["source"] == name]
    gone = [entry for entry in dropped if entry["source"] == name]
    return SourceCount(name, len(mine) + len(gone), len(mine), {}, {}, fault, None, ())
