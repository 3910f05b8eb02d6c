"""The object manifest: files of Parquet, CSV or JSON lines, locally or at any fsspec URL."""

import csv
import io
import json
import posixpath
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from math import ceil, inf
from typing import BinaryIO

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from encoder_job.errors import Refusal
from encoder_job.readers.base import (
    COLUMNS,
    CONTENT,
    MOST_BYTES,
    Beside,
    Fault,
    Record,
    Row,
    RowParser,
    Wanted,
    readable,
    require,
    time_of,
)
from encoder_job.readers.shards import Ranges, split
from encoder_job.storage import filesystem_of, is_damage, opening_refusal, shown

# newest first, files are read again for every window of rows: of at least so many, and so often
_WINDOW_ROWS, _MOST_WINDOWS = 20_000, 20
# rows of a Parquet file, with their contents, that are held at once
_BATCH_ROWS = 32
_BUFFER_BYTES = 1_000_000
# ranges of rows that are no further apart are read in one go
_NEAR_ROWS = 1_000
FORMATS = (".parquet", ".csv", ".jsonl", ".ndjson")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# a line of bytes that is held at once: JSON in ASCII may take three of them for one of a content
_LINE_BYTES = 3 * MOST_BYTES
# a quotation mark that is never closed would otherwise have the rest of the file for its field
csv.field_size_limit(MOST_BYTES)


class Manifest:
    """One file, or a folder of files, locally or at any fsspec URL."""

    def __init__(self, source: str, modality: str, memory: int) -> None:
        self._url, self._memory, self._own = source, memory, threading.local()
        self._parse = RowParser(modality, memory)
        try:
            self._fs, self._path = filesystem_of(source)
            is_folder = self._fs.isdir(self._path)
            files = self._fs.find(self._path) if is_folder else [self._path]
            is_there = is_folder or self._fs.exists(self._path)
        except Exception as error:
            raise opening_refusal("source", source, error, "check the path") from None
        if not is_there:
            raise Refusal(
                f"source {shown(source)}: there is no such file or folder; check the path"
            )
        self._root = self._path if is_folder else posixpath.dirname(self._path)
        self._files = sorted(
            path for path in files if path.endswith(FORMATS) and "/." not in f"/{self._name(path)}"
        )
        if not self._files:
            what = "holds no" if is_folder else "is no"
            raise Refusal(
                f"source {shown(source)}: {what} manifest; give one of {', '.join(FORMATS)}"
            )

    def check(self) -> int:
        """Refuse what is wrong with whole files, before anything lands. Returns the rows."""
        return sum(self._file(path).check() for path in self._files)

    def rows(self, is_wanted: Wanted, newest_first: bool = False) -> Iterator[Row | None]:
        """Yield every row whose content stands in it, for comparison, and others if wanted.

        Newest first, the files are read once for every window of creation, and within a window the
        order is that of the files: no more than one moment a row is held.
        """
        for lower, upper in self._windows() if newest_first else [(-inf, inf)]:
            for path in self._files:
                found = (it for it in self._records(path) if lower <= _created(it.values) < upper)
                yield from self._parse(found, is_wanted, self._beside(path))

    def shards(self) -> Iterator[Ranges]:
        """Yield ranges of about `shard_rows` rows, after one look at all ids."""
        counts = {path: self._file(path).check() for path in self._files}
        ids = (
            _object_id(values)
            for path in self._files
            for values in self._file(path).records(("object_id",))
        )
        yield from split(counts, ids)

    def rows_of(self, shard: Ranges, is_wanted: Wanted) -> Iterator[Row | None]:
        """Yield the rows of some ranges, as `rows` does.

        A file is read from the row group in which a range begins, one without from its beginning,
        and read on to the next range if that is near.
        """
        for path, ranges in shard.items():
            for near in _neighbours(ranges):
                records = self._records_of(path, near)
                yield from self._parse(records, is_wanted, self._beside(path))

    def _records_of(self, path: str, ranges: list[tuple[int, int]]) -> Iterator[Record]:
        at = ranges[0][0]
        records = self._records(path, at)
        for start, stop in ranges:
            yield from islice(records, start - at, stop - at)
            at = stop

    def _records(self, path: str, start: int = 0) -> Iterator[Record]:
        for number, values in enumerate(self._file(path).records(start=start), start + 1):
            place = f"{self._name(path)} row {number}"
            is_record = isinstance(values, dict)
            yield Record(place, values) if is_record else Record(place, {}, values)

    def _windows(self) -> Iterator[tuple[float, float]]:
        """Yield ranges of creation, newest first, that hold about as many rows each."""
        found = (
            _created(values)
            for path in self._files
            for values in self._file(path).records(("object_created_at",))
        )
        moments = np.sort(np.fromiter(found, np.float64))[::-1]
        upper, rows = inf, max(_WINDOW_ROWS, ceil(len(moments) / _MOST_WINDOWS))
        for lower in moments[rows - 1 :: rows]:
            if lower < upper:
                yield lower, upper
                upper = lower
        yield -inf, upper

    def _beside(self, path: str) -> Beside:
        def place(uri: str) -> tuple[fsspec.AbstractFileSystem, str]:
            return self._filesystem(), posixpath.join(posixpath.dirname(path), uri)

        return place

    def _filesystem(self) -> fsspec.AbstractFileSystem:
        """Return a filesystem for this thread.

        Some hold one open archive or connection, and what two threads read of it is mixed up.
        Asynchronous ones, such as those of object stores, are made for many threads.
        """
        if self._fs.async_impl:
            return self._fs
        if not hasattr(self._own, "fs"):
            self._own.fs, _ = filesystem_of(self._url)
        return self._own.fs

    def _file(self, path: str) -> "_File":
        kind = _Parquet if path.endswith(".parquet") else _Csv if path.endswith(".csv") else _Json
        return kind(self._fs, path, self._name(path), self._memory)

    def _name(self, path: str) -> str:
        return path.removeprefix(self._root).lstrip("/")


class _File:
    """One file of a manifest."""

    def __init__(self, fs: fsspec.AbstractFileSystem, path: str, name: str, memory: int) -> None:
        self._fs, self._path, self._name, self._memory = fs, path, name, memory

    def check(self) -> int:
        """Refuse a file that is wrong as a whole. Returns its rows."""
        raise NotImplementedError

    def records(
        self,
        columns: tuple[str, ...] = COLUMNS,  # noqa: ARG002 - reading all costs nothing more here
        start: int = 0,
    ) -> Iterator[dict | Fault]:
        """Yield each row's raw values from a row on: bytes, texts, numbers or times, undecoded.

        Columns beyond the given ones may be among them, where reading them costs nothing.
        """
        return islice(self._lines(), start, None)

    def _lines(self) -> Iterator[dict | Fault]:
        """Yield the raw values of every row of a file that has to be read from its beginning."""
        raise NotImplementedError

    def _open(self) -> BinaryIO:
        try:
            return self._fs.open(self._path, "rb")
        except Exception as error:
            raise self._refusal(f"cannot be read ({type(error).__name__}); check it") from None

    def _whole_lines(self) -> Iterator[bytes | None]:
        """Yield the lines of a file with their ends; None for one that would fill the memory."""
        # only this reads a line no further than it is told to, whatever the store
        with self._open() as opened, io.BufferedReader(_Raw(opened), _BUFFER_BYTES) as file:
            try:
                while line := file.readline(_LINE_BYTES):
                    if len(line) < _LINE_BYTES or line.endswith(b"\n"):
                        yield line
                        continue
                    while line and not line.endswith(b"\n"):
                        line = file.readline(_LINE_BYTES)
                    yield None
            except OSError as error:
                raise self._broken(error) from None

    def _broken(self, error: Exception) -> Refusal:
        what = "is damaged" if is_damage(error) else "cannot be read to its end"
        return self._refusal(
            f"{what} ({type(error).__name__}); what has landed is whole; mend that, or replace the "
            "file, and run the same command again"
        )

    def _refusal(self, told: str) -> Refusal:
        return Refusal(f"source {self._name}: {told}")


class _Raw(io.RawIOBase):
    """A file of any store as `io.BufferedReader` takes it: some can only `read`."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        found = self._file.read(len(buffer))
        buffer[: len(found)] = found
        return len(found)


class _Csv(_File):
    def check(self) -> int:
        records = self._records()
        require(next(records, None) or [], self._name)
        return sum(1 for _ in records)

    def _lines(self) -> Iterator[dict | Fault]:
        records = self._records()
        header = next(records)
        for record in records:
            if record is None or len(record) != len(header):
                yield Fault("malformed_row")
                continue
            named = zip(header, record, strict=True)
            values = {name: cell.encode("latin-1") for name, cell in named if name in COLUMNS}
            # an empty cell is no value, except that an empty text is a text
            yield {name: cell for name, cell in values.items() if cell or name == "content"}

    def _records(self) -> Iterator[list[str] | None]:
        """Split a file into cells, leaving the bytes alone: latin-1 maps each to one character.

        So invalid UTF-8 is a matter of its own cell only. Strict, since an unclosed quotation
        mark would otherwise join the texts of several customers. Where one is closed within a cell
        nobody knows whether the next line is a row, or more of a text: its words are not to be
        taken for ids. None: not a record.
        """
        reader = csv.reader(self._decoded_lines(), strict=True)
        count = 0
        while True:
            try:
                record = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                # a carriage return outside quotation marks spoils its own line
                if "new-line character" not in str(error):
                    raise self._unquotable(count) from None
                record = None
            if record != []:
                count += 1
                yield record

    def _decoded_lines(self) -> Iterator[str]:
        for number, line in enumerate(self._whole_lines()):
            if line is None:
                raise self._unquotable(number)
            text = line.decode("latin-1")
            yield text.removeprefix("\xef\xbb\xbf") if number == 0 else text

    def _unquotable(self, row: int) -> Refusal:
        return self._refusal(
            f"row {row} has a quotation mark that is never closed, or closed before the end of its "
            f"cell, or a content of more than {MOST_BYTES // 1_000_000} MB, so that the rows after "
            "it cannot be told apart; export the file again, with every quotation mark within a "
            "text doubled"
        )


class _Json(_File):
    def check(self) -> int:
        count, is_checked = 0, False
        for record in self._lines():
            # a key may be left out where it is null: the first record stands for the columns
            if not is_checked and isinstance(record, dict):
                require(record, self._name)
                is_checked = True
            count += 1
        return count

    def _lines(self) -> Iterator[dict | Fault]:
        for line in self._whole_lines():
            if line is not None and not line.strip():
                continue
            try:
                # bad bytes become lone surrogates, and so a fault of their own value only
                values = line and json.loads(line.decode("utf-8-sig", "surrogateescape"))
            except (ValueError, RecursionError):
                values = None
            yield values if isinstance(values, dict) else Fault("malformed_row")


class _Parquet(_File):
    def check(self) -> int:
        with self._open() as file:
            part = self._parquet(file)
            require(part.schema_arrow.names, self._name)
            for field in part.schema_arrow:
                self._check_type(field)
            return part.metadata.num_rows

    def records(self, columns: tuple[str, ...] = COLUMNS, start: int = 0) -> Iterator[dict | Fault]:
        with self._open() as file:
            part = self._parquet(file)
            names = [name for name in columns if name in part.schema_arrow.names]
            groups = list(range(part.num_row_groups))
            while groups and start >= (rows := part.metadata.row_group(groups[0]).num_rows):
                del groups[0]
                start -= rows
            try:
                rows = _rows_within(part, self._memory // 4)
                for batch in part.iter_batches(rows, groups, columns=names):
                    batch, start = batch[start:], max(0, start - batch.num_rows)
                    values = [_plain(batch.column(name)) for name in names]
                    for cells in zip(*values, strict=True):
                        yield dict(zip(names, cells, strict=True))
            except (pa.ArrowException, OSError) as error:
                raise self._broken(error) from None

    def _parquet(self, file: BinaryIO) -> pq.ParquetFile:
        try:
            # a page after the other: by default a column of a whole row group is read at once
            return pq.ParquetFile(file, buffer_size=_BUFFER_BYTES, pre_buffer=False)
        except (pa.ArrowException, OSError) as error:
            raise self._refusal(
                f"is no Parquet file ({type(error).__name__}); replace it"
            ) from None

    def _check_type(self, field: pa.Field) -> None:
        is_time = field.name in ("object_created_at", "landed_at")
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        allowed = pa.types.is_null(kind) or any(test(kind) for test in _TEXTS)
        if is_time:
            allowed = allowed or pa.types.is_timestamp(kind) or pa.types.is_date(kind)
        elif field.name not in CONTENT:
            allowed = allowed or pa.types.is_integer(kind)
        if field.name in COLUMNS and not allowed:
            wanted = "timestamps or ISO texts" if is_time else "texts"
            raise self._refusal(
                f"the column {field.name} is of type {field.type}; it must hold {wanted}"
            )


_TEXTS = (
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_string_view,
    pa.types.is_binary,
    pa.types.is_large_binary,
)


def _neighbours(ranges: list[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
    """Yield ranges together that lie near each other."""
    near = ranges[:1]
    for one in ranges[1:]:
        if one[0] - near[-1][1] > _NEAR_ROWS:
            yield near
            near = []
        near.append(one)
    yield near


def _rows_within(part: pq.ParquetFile, memory: int) -> int:
    """Return how many rows of a file, by what they take on average, stay within a memory."""
    groups = (part.metadata.row_group(number) for number in range(part.num_row_groups))
    largest = max((it.total_byte_size / max(it.num_rows, 1) for it in groups), default=0)
    return max(1, min(_BATCH_ROWS, int(memory / max(largest, 1))))


def _plain(column: pa.Array) -> list:
    """Give texts as bytes, so that bad UTF-8 is a row's matter, and times as times in UTC."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        zone = kind.tz if pa.types.is_timestamp(kind) else None
        # finer than a microsecond is cut
        column = column.cast(pa.timestamp("us", zone), safe=False).cast(pa.int64())
        return [None if value is None else _since_epoch(value) for value in column.to_pylist()]
    if pa.types.is_integer(kind):
        column = column.cast(pa.string())
    return (column if pa.types.is_null(kind) else column.cast(pa.binary())).to_pylist()


def _since_epoch(microseconds: int) -> datetime | bytes:
    try:
        return _EPOCH + timedelta(microseconds=microseconds)
    except OverflowError:
        return b"out of range"


def _created(values: dict | Fault) -> float:
    """Return a moment in seconds; rows whose moment cannot be read come last."""
    try:
        moment = None if isinstance(values, Fault) else time_of(values, "object_created_at")
    except Fault:
        moment = None
    return -inf if moment is None else moment.timestamp()


def _object_id(values: dict | Fault) -> str | None:
    return None if isinstance(values, Fault) else readable(values, "object_id")
