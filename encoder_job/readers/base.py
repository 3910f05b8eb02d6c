"""What every reader has in common: from raw values to a row, where a bad row is a reason.

What is wrong with a whole source (it is missing, lacks a column) is refused before anything lands;
what is wrong with one row becomes that row's failure, and its neighbours arrive.
"""

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import starmap
from typing import Protocol
from uuid import UUID

import fsspec

from encoder_job.errors import Refusal
from encoder_job.storage import filesystem_of, package_for, read_at_most

CLOCK_TOLERANCE = timedelta(days=1)
REQUIRED = ("object_id", "customer_id", "source_reference", "object_created_at")
CONTENT = ("content", "content_uri")
COLUMNS = (*REQUIRED, *CONTENT, "object_version", "landed_at")
DEFAULT_VERSION = "1"
MOST_BYTES = 100_000_000
# contents that are fetched side by side, and rows that are held ready
_FETCHERS, _AHEAD = 8, 32
# how long to wait for a content before the caller may look at something else
_PATIENCE_SECONDS = 0.2
# what a web server answers where there is nothing
_MISSING = (404, 410)
# so many contents that cannot be opened, one after the other, are the store's matter, not theirs
_MOST_UNREADABLE = 100


@dataclass
class Row:
    """One row of a source. With a fault it says why it cannot be used, else it can."""

    place: str
    object_id: str | None = None
    object_version: str = DEFAULT_VERSION
    customer_id: str | None = None
    source_reference: str | None = None
    object_created_at: datetime | None = None
    landed_at: datetime | None = None
    content: str | bytes | None = None
    fault: str | None = None
    # the error of the store that should have given the content
    store_error: str | None = None


class Fault(Exception):  # noqa: N818 - a fault of the data, not of the program
    """A row's reason code."""


class StoreFault(Fault):
    """The type of a store's error: the content there is unreadable."""


@dataclass(frozen=True)
class Record:
    """A row before it is read: where it stands, its raw values, and its fault if it has one."""

    place: str
    values: dict
    fault: Fault | None = None


# whether an object's id, version and customer are to be read
Wanted = Callable[[str, str, str | None], bool]
# the filesystem and the path of a content that lies beside its manifest
Beside = Callable[[str], tuple[fsspec.AbstractFileSystem, str]]


class Source(Protocol):
    """Where objects come from."""

    def check(self) -> int:
        """Refuse what is wrong with the whole source, before anything lands. Returns the rows."""

    def rows(self, is_wanted: Wanted, newest_first: bool = False) -> Iterator[Row | None]:
        """Yield rows, the bad ones with their fault; a source that can leaves out the unwanted.

        None stands for no row: the next one takes a while.
        """

    def shards(self) -> Iterator[object]:
        """Split the rows into parts that can be read apart, all rows of one object in one.

        A part says where rows are and holds no content; it can be pickled.
        """

    def rows_of(self, shard: object, is_wanted: Wanted) -> Iterator[Row | None]:
        """Yield the rows of a part, as `rows` does."""


def require(columns: Iterable[str], source: str) -> None:
    """Refuse a source without a column that it needs, or with one twice."""
    columns = list(columns)
    missing = [column for column in REQUIRED if column not in columns]
    if not set(columns) & set(CONTENT):
        missing.append("content (or content_uri)")
    if missing:
        raise Refusal(
            f"source {source}: the column {missing[0]} is missing; a source has "
            f"{', '.join(REQUIRED)}, and content or content_uri"
        )
    twice = [column for column in COLUMNS if columns.count(column) > 1]
    if twice:
        raise Refusal(f"source {source}: the column {twice[0]} is there twice; keep one")


class RowParser:
    """Turns raw values into rows.

    Contents that are read ahead take no more than `memory` bytes, or are a single one.
    """

    def __init__(self, modality: str, memory: int) -> None:
        self._is_text, self._memory = modality == "text", memory
        # contents, one after the other, that could not be opened
        self._unreadable = 0

    def __call__(
        self,
        records: Iterable[Record],
        is_wanted: Wanted,
        beside: Beside | None = None,
    ) -> Iterator[Row | None]:
        """Yield the rows in order; their contents are fetched side by side, a few rows ahead.

        What lies elsewhere is fetched only for rows that are wanted; other rows are left out.
        `beside` says where a path without a scheme lies, which otherwise is a local file.
        """
        # rows to come, with what each may take
        ahead: deque[tuple[Future[Row], int]] = deque()
        pool = ThreadPoolExecutor(_FETCHERS)
        try:
            for record in records:
                row = self._identified(record)
                if (
                    row.fault is None
                    and _is_elsewhere(record.values)
                    and not is_wanted(row.object_id, row.object_version, row.customer_id)
                ):
                    continue
                most = _most_bytes(record)
                while ahead and (
                    len(ahead) > _AHEAD or sum(starmap(_held_bytes, ahead)) + most > self._memory
                ):
                    yield from self._next(ahead)
                completed = pool.submit(self._completed, row, record, beside)
                ahead.append((completed, most))
            while ahead:
                yield from self._next(ahead)
        finally:
            # a store that does not answer holds nobody up who reads no further
            pool.shutdown(wait=False, cancel_futures=True)

    def _next(self, ahead: deque[tuple[Future[Row], int]]) -> Iterator[Row | None]:
        while not wait([ahead[0][0]], _PATIENCE_SECONDS).done:
            yield None
        row = ahead.popleft()[0].result()
        self._unreadable = self._unreadable + 1 if row.store_error else 0
        if self._unreadable >= _MOST_UNREADABLE:
            raise Refusal(
                f"{row.place}: this content and the {_MOST_UNREADABLE - 1} before it could not be "
                f"opened ({row.store_error}): their store does not answer, or does not let this "
                "account in; mend that, or take them out, and run the same command again, which "
                "continues"
            )
        yield row

    def _identified(self, record: Record) -> Row:
        """Return a row without its content, with its fault if it has one."""
        row = Row(place=record.place)
        with _faults_of(row):
            self._identify(row, record.values)
        if record.fault:
            with _faults_of(row):
                raise record.fault
        return row

    def _completed(self, row: Row, record: Record, beside: Beside | None) -> Row:
        if row.fault is None:
            with _faults_of(row):
                row.content = self._content(record.values, beside)
                if not row.content.strip():
                    raise Fault("empty_content")
        return row

    def _identify(self, row: Row, values: dict) -> None:
        # the identity first, and whose it is: a failure that names an object is erased with it
        row.object_id = _required(values, "object_id")
        row.customer_id = readable(values, "customer_id")
        row.object_version = text_of(values, "object_version") or DEFAULT_VERSION
        row.customer_id = _required(values, "customer_id")
        row.source_reference = _required(values, "source_reference")
        row.object_created_at = time_of(values, "object_created_at")
        if row.object_created_at is None:
            raise Fault("missing_object_created_at")
        row.landed_at = time_of(values, "landed_at")
        if row.landed_at and row.landed_at < row.object_created_at:
            raise Fault("known_before_it_happened")
        # one object from the year 2062 would set the clock of every dataset
        if (row.landed_at or row.object_created_at) > datetime.now(UTC) + CLOCK_TOLERANCE:
            raise Fault("in_the_future")

    def _content(self, values: dict, beside: Beside | None) -> str | bytes:
        content = values.get("content")
        if _is_elsewhere(values):
            content = _fetched(_decoded(values["content_uri"], "invalid_content"), beside)
        elif content is None:
            raise Fault("missing_content")
        if isinstance(content, memoryview):
            content = bytes(content)
        if isinstance(content, str) and self._is_text:
            content = content.encode("utf-8", "surrogatepass")
        if not isinstance(content, bytes):
            raise Fault("invalid_content")
        if len(content) > MOST_BYTES:
            raise Fault("content_too_large")
        return _decoded(content, "invalid_content") if self._is_text else content


def _fetched(uri: str, beside: Beside | None) -> bytes:
    try:
        place = filesystem_of(uri) if "://" in uri or beside is None else beside(uri)
        return read_at_most(*place, MOST_BYTES)
    except FileNotFoundError as error:
        if _is_missing(error):
            raise Fault("content_missing") from None
        raise StoreFault(type(error.__cause__).__name__) from None
    except ImportError:
        # whatever the row says, this machine cannot ask its store
        raise StoreFault(package_for(uri)) from None
    except ValueError:
        # no store was asked
        raise Fault("content_unreadable") from None
    except Exception as error:
        raise StoreFault(type(error).__name__) from None


def _is_missing(error: FileNotFoundError) -> bool:
    """Whether a content is not there: fsspec says so of whatever goes wrong with a web server."""
    cause = error.__cause__
    # of a wrong URL, a ValueError of aiohttp's, no server was asked
    is_of_server = isinstance(cause, OSError) or (
        type(cause).__module__.startswith("aiohttp") and not isinstance(cause, ValueError)
    )
    return not is_of_server or getattr(cause, "status", None) in _MISSING


@contextmanager
def _faults_of(row: Row) -> Iterator[None]:
    try:
        yield
    except StoreFault as fault:
        row.fault, row.store_error = "content_unreadable", str(fault)
    except Fault as fault:
        row.fault = str(fault)


def _is_elsewhere(values: dict) -> bool:
    content, uri = values.get("content"), values.get("content_uri")
    # a CSV file cannot tell an empty cell from none
    return uri not in (None, "", b"") and content in (None, "", b"")


def _most_bytes(record: Record) -> int:
    """Return what a row's content may take: before it is fetched nobody knows."""
    content = record.values.get("content")
    return sys.getsizeof(content) if content or record.fault else MOST_BYTES


def _held_bytes(row: Future[Row], most: int) -> int:
    return sys.getsizeof(row.result().content) if row.done() else most


def _decoded(value: object, otherwise: str) -> str:
    if isinstance(value, str):
        value = value.encode("utf-8", "surrogatepass")
    if not isinstance(value, bytes):
        raise Fault(otherwise)
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise Fault("invalid_utf8") from None


def text_of(values: dict, column: str) -> str | None:
    """Return a text, or a whole number or a UUID as one; None where there is no value."""
    value = values.get(column)
    if isinstance(value, (int, UUID)) and not isinstance(value, bool):
        value = str(value)
    return None if value is None else _decoded(value, f"invalid_{column}").strip() or None


def readable(values: dict, column: str) -> str | None:
    """Return a text, as `text_of` does; None also where there is none that can be read."""
    try:
        return text_of(values, column)
    except Fault:
        return None


def _required(values: dict, column: str) -> str:
    text = text_of(values, column)
    if text is None:
        raise Fault(f"missing_{column}")
    return text


def time_of(values: dict, column: str) -> datetime | None:
    """Return a moment in UTC; None where there is no value."""
    value = values.get(column)
    if value is None:
        return None
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    try:
        if isinstance(value, datetime):
            time = value
        else:
            text = _decoded(value, f"invalid_{column}").strip()
            if not text:
                return None
            time = datetime.fromisoformat(text)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Fault(f"invalid_{column}") from None
