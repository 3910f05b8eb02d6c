"""Splitting a manifest into parts that workers read apart from each other."""

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from itertools import groupby

import numpy as np

# rows of a part: few enough that every worker has some, and, of a large source, so many that
# landing them part by part is within what a warehouse takes a day
SHARD_ROWS, _MOST_SHARD_ROWS, _SHARDS = 1_024, 16_384, 64
# by file, the ranges of its rows, counted from 0: start and stop
Ranges = dict[str, list[tuple[int, int]]]


def split(files: dict[str, int], object_ids: Iterable[str | None]) -> Iterator[Ranges]:
    """Split the rows of some files, given their numbers of rows, and all ids in their order.

    Rows of one object are compared with each other, so they all go where the first one goes. Holds
    some 50 bytes a row. A row without an id (None) stays in its place.
    """
    count = sum(files.values())
    numbered = enumerate(object_ids)
    hashes = np.fromiter((_hash(number, name) for number, name in numbered), np.int64, count)
    _, first, same = np.unique(hashes, return_index=True, return_inverse=True)
    shards = first[same] // shard_rows(count)
    rows = np.argsort(shards, kind="stable")
    # a new range begins where the shard, or the file, changes, or rows are left out
    starts = np.cumsum([0, *files.values()])
    file_of = np.searchsorted(starts, rows, side="right") - 1
    steps = (np.diff(rows) != 1) | (np.diff(shards[rows]) != 0) | (np.diff(file_of) != 0)
    names = list(files)
    found = (
        (shards[part[0]], file_of[edge], part[0], part[-1] + 1)
        for edge, part in zip(
            np.concatenate([[0], np.flatnonzero(steps) + 1]),
            np.split(rows, np.flatnonzero(steps) + 1),
            strict=True,
        )
        if len(part)
    )
    for _, ranges in groupby(found, key=lambda it: it[0]):
        shard: Ranges = {}
        for _, file, start, stop in ranges:
            offset = starts[file]
            shard.setdefault(names[file], []).append((int(start - offset), int(stop - offset)))
        yield shard


def shard_rows(count: int) -> int:
    """Return how many rows a part has of a source with so many rows."""
    return min(max(count // _SHARDS, SHARD_ROWS), _MOST_SHARD_ROWS)


def _hash(number: int, object_id: str | None) -> int:
    named = f"row {number}" if object_id is None else f"id {object_id}"
    return int.from_bytes(blake2b(named.encode(), digest_size=8).digest(), "big", signed=True)
