"""The object manifest: a stream of rows, where a bad row is a reason and never ends the run.

What is wrong with a whole file (it is missing, lacks a column, is no Parquet) is refused before
anything lands; what is wrong with one row becomes that row's failure, and its neighbours arrive.
"""

import csv
import json
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import BinaryIO

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from encoder_job.errors import Refusal

CLOCK_TOLERANCE = timedelta(days=1)
REQUIRED = ("object_id", "customer_id", "source_reference", "object_created_at")
CONTENT = ("content", "content_uri")
COLUMNS = (*REQUIRED, *CONTENT, "object_version", "landed_at")
FORMATS = (".parquet", ".csv", ".jsonl", ".ndjson")
MOST_BYTES = 100_000_000
# contents that are fetched side by side, and rows that are held ready
_FETCHERS, _AHEAD = 8, 32
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# a longer field is refused by the csv module; a text may well be longer than its default
csv.field_size_limit(2**31 - 1)


@dataclass
class Row:
    """One row of a manifest. With a fault it says why it cannot be used, else it can."""

    place: str
    object_id: str | None = None
    object_version: str = "1"
    customer_id: str | None = None
    source_reference: str | None = None
    object_created_at: datetime | None = None
    landed_at: datetime | None = None
    content: str | bytes | None = None
    fault: str | None = None


class _Fault(Exception):  # noqa: N818 - a fault of the data, not of the program
    """A row's reason code."""


class Manifest:
    """One file, or a folder of files, locally or at any fsspec URL."""

    def __init__(self, source: str, modality: str = "text") -> None:
        self.source = source
        self._is_text = modality == "text"
        try:
            self._fs, self._path = fsspec.core.url_to_fs(source)
            is_folder = self._fs.isdir(self._path)
            files = self._fs.find(self._path) if is_folder else [self._path]
            is_there = is_folder or self._fs.exists(self._path)
        except (OSError, ValueError, ImportError) as error:
            raise Refusal(
                f"source {source}: cannot be opened ({type(error).__name__}); check the path"
            ) from None
        if not is_there:
            raise Refusal(f"source {source}: there is no such file or folder; check the path")
        self._root = self._path if is_folder else _parent(self._path)
        self._files = sorted(
            path for path in files if path.endswith(FORMATS) and "/." not in f"/{self._name(path)}"
        )
        if not self._files:
            what = "holds no" if is_folder else "is no"
            raise Refusal(f"source {source}: {what} manifest; give one of {', '.join(FORMATS)}")

    def check(self) -> int:
        """Refuse what is wrong with whole files, before anything lands. Returns the rows."""
        return sum(self._file(path).check() for path in self._files)

    def rows(self) -> Iterator[Row]:
        """Yield every row of every file, in order, the bad ones with their fault."""
        with ThreadPoolExecutor(_FETCHERS) as pool:
            ready = deque()
            for record in self._records():
                ready.append(pool.submit(self._row, *record))
                if len(ready) > _AHEAD:
                    yield ready.popleft().result()
            while ready:
                yield ready.popleft().result()

    def _records(self) -> Iterable[tuple[str, int, dict | _Fault]]:
        for path in self._files:
            for number, values in enumerate(self._file(path).records(), start=1):
                yield path, number, values

    def _row(self, path: str, number: int, values: dict | _Fault) -> Row:
        row = Row(place=f"{self._name(path)} row {number}")
        try:
            if isinstance(values, _Fault):
                raise values
            self._fill(row, values, path)
        except _Fault as fault:
            row.fault = str(fault)
        return row

    def _file(self, path: str) -> "_File":
        kind = _Parquet if path.endswith(".parquet") else _Csv if path.endswith(".csv") else _Json
        return kind(self._fs, path, self._name(path))

    def _name(self, path: str) -> str:
        return path.removeprefix(self._root).lstrip("/")

    def _fill(self, row: Row, values: dict, path: str) -> None:
        # the identity first, so that a failure names its object where that is known
        row.object_id = _required(values, "object_id")
        row.object_version = _text(values, "object_version") or "1"
        row.customer_id = _required(values, "customer_id")
        row.source_reference = _required(values, "source_reference")
        row.object_created_at = _time(values, "object_created_at")
        if row.object_created_at is None:
            raise _Fault("missing_object_created_at")
        row.landed_at = _time(values, "landed_at")
        # one object from the year 2062 would set the clock of every dataset
        if (row.landed_at or row.object_created_at) > datetime.now(UTC) + CLOCK_TOLERANCE:
            raise _Fault("in_the_future")
        row.content = self._content(values, path)
        if not row.content.strip():
            row.fault = "empty_content"

    def _content(self, values: dict, path: str) -> str | bytes:
        content, uri = values.get("content"), values.get("content_uri")
        # a CSV file cannot tell an empty cell from none
        if content is None or (content in ("", b"") and uri):
            if uri in (None, "", b""):
                raise _Fault("missing_content")
            content = self._fetch(_decoded(uri, "invalid_content"), path)
        if not isinstance(content, (str, bytes) if self._is_text else bytes):
            raise _Fault("invalid_content")
        if len(content) > MOST_BYTES:
            raise _Fault("content_too_large")
        return _decoded(content, "invalid_content") if self._is_text else content

    def _fetch(self, uri: str, path: str) -> bytes:
        try:
            if "://" in uri:
                fs, place = fsspec.core.url_to_fs(uri)
            else:
                fs, place = self._fs, uri if uri.startswith("/") else f"{_parent(path)}/{uri}"
            with fs.open(place, "rb") as file:
                # one byte more tells that there is more
                return file.read(MOST_BYTES + 1)
        except FileNotFoundError:
            raise _Fault("content_missing") from None
        except Exception:
            raise _Fault("content_unreadable") from None


class _File:
    """One file of a manifest."""

    def __init__(self, fs: fsspec.AbstractFileSystem, path: str, name: str) -> None:
        self._fs, self._path, self._name = fs, path, name

    def check(self) -> int:
        """Refuse a file that is wrong as a whole. Returns its rows."""
        raise NotImplementedError

    def records(self) -> Iterator[dict | _Fault]:
        """Yield each row's raw values: bytes, texts, numbers or times, undecoded."""
        raise NotImplementedError

    def _open(self) -> BinaryIO:
        try:
            return self._fs.open(self._path, "rb")
        except OSError as error:
            raise self._refusal(f"cannot be read ({type(error).__name__}); check it") from None

    def _require(self, columns: list[str]) -> None:
        missing = [column for column in REQUIRED if column not in columns]
        if not set(columns) & set(CONTENT):
            missing.append("content (or content_uri)")
        if missing:
            raise self._refusal(
                f"the column {missing[0]} is missing; a manifest has {', '.join(REQUIRED)}, and "
                "content or content_uri"
            )
        twice = [column for column in COLUMNS if columns.count(column) > 1]
        if twice:
            raise self._refusal(f"the column {twice[0]} is there twice; keep one")

    def _refusal(self, told: str) -> Refusal:
        return Refusal(f"source {self._name}: {told}")


class _Csv(_File):
    def check(self) -> int:
        with self._open() as file:
            lines = self._lines(file)
            self._require(next(lines, None) or [])
            return sum(1 for _ in lines)

    def records(self) -> Iterator[dict | _Fault]:
        with self._open() as file:
            lines = self._lines(file)
            header = next(lines)
            for record in lines:
                if record is None or len(record) != len(header):
                    yield _Fault("malformed_row")
                    continue
                named = zip(header, record, strict=True)
                values = {name: cell.encode("latin-1") for name, cell in named if name in COLUMNS}
                # an empty cell is no value, except that an empty text is a text
                yield {name: cell for name, cell in values.items() if cell or name == "content"}

    def _lines(self, file: BinaryIO) -> Iterator[list[str] | None]:
        """Split a file into cells, leaving the bytes alone: latin-1 maps each to one character.

        So invalid UTF-8 is a matter of its own cell only. Strict, since an unclosed quotation
        mark would otherwise join the texts of several customers. None: not a record.
        """
        bom = file.read(3)
        if bom != b"\xef\xbb\xbf":
            file.seek(0)
        reader = csv.reader((line.decode("latin-1") for line in file), strict=True)
        count = 0
        while True:
            try:
                record = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                if "unexpected end" in str(error):
                    raise self._refusal(
                        f"a quotation mark that opens at row {count} is never closed, so that the "
                        "rows after it cannot be told apart; export the file again"
                    ) from None
                record = None
            if record != []:
                count += 1
                yield record


class _Json(_File):
    def check(self) -> int:
        count, is_checked = 0, False
        for record in self.records():
            # a key may be left out where it is null: the first record stands for the columns
            if not is_checked and isinstance(record, dict):
                self._require(list(record))
                is_checked = True
            count += 1
        return count

    def records(self) -> Iterator[dict | _Fault]:
        with self._open() as file:
            for line in file:
                if not line.strip():
                    continue
                try:
                    # bad bytes become lone surrogates, and so a fault of their own value only
                    values = json.loads(line.decode("utf-8-sig", "surrogateescape"))
                except (ValueError, RecursionError):
                    values = None
                yield values if isinstance(values, dict) else _Fault("malformed_row")


class _Parquet(_File):
    def check(self) -> int:
        with self._open() as file:
            part = self._parquet(file)
            self._require(part.schema_arrow.names)
            for field in part.schema_arrow:
                self._check_type(field)
            return part.metadata.num_rows

    def records(self) -> Iterator[dict | _Fault]:
        with self._open() as file:
            part = self._parquet(file)
            columns = [name for name in COLUMNS if name in part.schema_arrow.names]
            try:
                for batch in part.iter_batches(batch_size=256, columns=columns):
                    values = [_plain(batch.column(name)) for name in columns]
                    for cells in zip(*values, strict=True):
                        yield dict(zip(columns, cells, strict=True))
            except (pa.ArrowException, OSError) as error:
                raise self._refusal(
                    f"is damaged ({type(error).__name__}); what stood before the damage has "
                    "landed; replace the file and run again"
                ) from None

    def _parquet(self, file: BinaryIO) -> pq.ParquetFile:
        try:
            return pq.ParquetFile(file)
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


def _parent(path: str) -> str:
    return path.rstrip("/").rpartition("/")[0]


def _decoded(value: object, otherwise: str) -> str:
    if isinstance(value, str):
        value = value.encode("utf-8", "surrogatepass")
    if not isinstance(value, bytes):
        raise _Fault(otherwise)
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise _Fault("invalid_utf8") from None


def _text(values: dict, column: str) -> str | None:
    value = values.get(column)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return None if value is None else _decoded(value, f"invalid_{column}").strip() or None


def _required(values: dict, column: str) -> str:
    text = _text(values, column)
    if text is None:
        raise _Fault(f"missing_{column}")
    return text


def _time(values: dict, column: str) -> datetime | None:
    value = values.get(column)
    if value is None or isinstance(value, datetime):
        return value
    try:
        text = _decoded(value, f"invalid_{column}").strip()
        if not text:
            return None
        time = datetime.fromisoformat(text)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        raise _Fault(f"invalid_{column}") from None
