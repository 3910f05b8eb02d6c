"""The run: read, compare with what has landed, encode what is new, land it.

A part lands in this order: object events, failures, embedding events. Whatever a kill leaves
behind is therefore found again by its ids, and the same command completes it. While a batch is
encoded the next one is read, and what has been encoded lands.
"""

import secrets
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from math import inf

import numpy as np

from encoder_job import __version__
from encoder_job.encoders.base import Encoded, Encoder
from encoder_job.erasure import requested_erasures
from encoder_job.errors import Refusal
from encoder_job.identity import ContentMac, event_id
from encoder_job.isolation import encode_each
from encoder_job.known import Known, Version, digest
from encoder_job.landing import Landing
from encoder_job.readers import Row, Source
from encoder_job.registry import UNIT_NORM_WITHIN, EncoderRow

_LANDED = ("object_events", "embedding_events", "encoding_failures")
_COUNTS = ("read", *_LANDED, "already", "repeats", "erased", "truncated", "failed")
_PAUSE_SECONDS = 0.2  # between two looks at whether a paced run was stopped
# what is encoded at once: so many rows or bytes of contents; more rows, if the encoder likes them,
# while they are so small that a run which is stopped is not long in encoding them
BATCH_ROWS, _BATCH_SIZE, _SMALL_SIZE = 256, 16_000_000, 1_000_000
# what lands at once: some ten megabytes of vectors, which is what a warehouse likes
PART_ROWS, _PART_BYTES = 16_384, 100_000_000


class _Stopped(Exception):  # noqa: N818 - no error: somebody asked for it
    """The run reads no further."""


@dataclass
class _Batch:
    objects: list[dict] = field(default_factory=list)
    failures: list[dict] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    size: int = 0

    def is_full(self, factor: int) -> bool:
        largest = max(len(self.objects), len(self.failures), len(self.rows))
        most = BATCH_ROWS * (factor if self.size < _SMALL_SIZE else 1)
        return largest >= most or self.size >= _BATCH_SIZE


@dataclass
class _Part:
    """What has been encoded and has not landed."""

    objects: list[dict] = field(default_factory=list)
    failures: list[dict] = field(default_factory=list)
    events: list[dict] = field(default_factory=list)
    since: float = field(default_factory=time.monotonic)

    def is_due(self, seconds: float) -> bool:
        largest = max(len(self.objects), len(self.failures), len(self.events))
        size = len(self.events) * self.events[0]["embedding"].nbytes if self.events else 0
        if largest >= PART_ROWS or size >= _PART_BYTES:
            return True
        return time.monotonic() - self.since >= seconds


class Runner:
    """One run over one source with one encoder."""

    def __init__(
        self,
        encoder: Encoder,
        registered: EncoderRow,
        mac: ContentMac,
        landing: Landing,
        on_fault: Callable[[str, str], None] = lambda _place, _reason: None,
        on_progress: Callable[[int], None] = lambda _done: None,
        run_id: str | None = None,
    ) -> None:
        self._encoder, self._registered, self.mac = encoder, registered, mac
        self._landing, self._on_fault, self._on_progress = landing, on_fault, on_progress
        self.run_id = run_id or f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
        self._is_started = self.is_stopped = False
        self.counts: Counter[str] = Counter(dict.fromkeys(_COUNTS, 0))
        # rows that a source did not even read, as they were not wanted
        self._left_out = 0
        self._part = _Part()
        # batches that are being encoded, or are ready
        self._begun: deque[tuple[_Batch, Future]] = deque()
        self._erased = requested_erasures(landing)

    @cached_property
    def _known(self) -> Known:
        # not before it is needed: whoever sends parts to workers needs none of it
        encoder = self._registered.encoder_id, self._encoder.fingerprint
        return Known(self._landing, *encoder, on_batch=self._end_if_stopped)

    def run(
        self, source: Source, newest_first: bool = False, most_per_second: float = inf
    ) -> Counter[str]:
        """Land what is new of a source. Returns what was counted."""
        with self.recorded():
            self.land(source.rows(self.is_wanted, newest_first), most_per_second)
        return self.counts

    def land(self, rows: Iterable[Row | None], most_per_second: float = inf) -> None:
        """Land what is new of some rows, and count it."""
        broken: list[Refusal] = []
        due = time.monotonic()
        with ThreadPoolExecutor(1) as encoding:
            try:
                # what is paced comes in small batches
                factor = self._encoder.batch_factor if most_per_second == inf else 1
                for batch in self._batches(_whole(rows, broken), factor):
                    if batch.rows:
                        self._wait(due)
                    due = max(due, time.monotonic()) + len(batch.rows) / most_per_second
                    contents = [row.content for row in batch.rows]
                    encoded = encoding.submit(encode_each, self._encoder, contents)
                    # the encoder has the next batch before it can wait for this one to land
                    self._begun.append((batch, encoded))
                    self._gather(most_begun=1)
                self._gather()
            except BaseException:
                # what broke the run is told, not that it broke this too
                with suppress(Exception):
                    self._land_part()
                raise
            self._land_part()
        if broken:
            raise broken[0]

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """Record the end of a run that landed something, however it ends."""
        try:
            yield
        except BaseException:
            # the landing itself may be what broke
            with suppress(Exception):
                self._land_end("failed")
            raise
        self._land_end("stopped" if self.is_stopped else "finished")

    def _batches(self, rows: Iterable[Row | None], factor: int) -> Iterator[_Batch]:
        """Take rows until they end, or somebody stops the run: then a part of a batch is left."""
        batch = _Batch()
        try:
            for row in rows:
                if row is not None:
                    self.counts["read"] += 1
                    self._take(row, batch)
                if batch.is_full(factor):
                    yield batch
                    batch = _Batch()
                self._tell()
                # a source may be slow: what is ready does not wait for its next batch
                self._gather_ready()
        except _Stopped:
            return
        yield batch

    def _tell(self) -> None:
        """Tell how far the run is, and end its reading if it was stopped."""
        self._on_progress(self.counts["read"] + self._left_out)
        self._end_if_stopped()

    def _end_if_stopped(self) -> None:
        if self.is_stopped:
            raise _Stopped

    def _wait(self, until: float) -> None:
        while not self.is_stopped and (left := until - time.monotonic()) > 0:
            self._gather_ready()
            time.sleep(min(left, _PAUSE_SECONDS))

    def stop(self) -> None:
        """Read no further: the batches that were begun land, and the run ends."""
        self.is_stopped = True

    def is_wanted(self, object_id: str, object_version: str, customer_id: str | None) -> bool:
        """Tell a source that can leave rows out whether a row is to be read."""
        if self._erased.covers(object_id, customer_id):
            self.counts["erased"] += 1
        # a vector without its object is of a landing that lost a part, which is made again
        elif self._known.has_event(self._event_id(object_id, object_version)) and (
            self._known.version(object_id, object_version)
        ):
            self.counts["already"] += 1
        else:
            return True
        self._left_out += 1
        self._tell()
        return False

    def _take(self, row: Row, batch: _Batch) -> None:
        if self._erased.covers(row.object_id, row.customer_id):
            self.counts["erased"] += 1
            return
        if row.content is not None:
            fault = self._compare(row, batch)
            if fault == "repeat":
                self.counts["repeats"] += 1
                return
            row.fault = fault or row.fault
        if row.fault:
            self._fail(row, row.fault, batch)
            return
        if self._known.has_event(self._event_id(row.object_id, row.object_version)):
            self.counts["already"] += 1
        else:
            batch.rows.append(row)
            batch.size += sys.getsizeof(row.content)

    def _compare(self, row: Row, batch: _Batch) -> str | None:
        """Hold a row against the first one of the same object and version, here or landed."""
        key = (row.object_id, row.object_version)
        content = row.content
        mac = self.mac.of(content.encode() if isinstance(content, str) else content)
        metadata = digest(row.customer_id, row.source_reference, row.object_created_at)
        found = Version(self.mac.key_id, mac, metadata, is_seen=True)
        known = self._known.version(*key)
        if known is None:
            # two versions that became known at one moment, and are of one moment, have no order
            moments = (row.landed_at or row.object_created_at, row.object_created_at)
            if self._known.version_at(row.object_id, moments, row.object_version) != key[1]:
                return "version_without_time"
            self._known.put_version(*key, found)
            batch.objects.append(self._object_event(row, mac))
            return None
        # what landed under an older key cannot be compared, and is not made again
        if known.mac_key_id == self.mac.key_id and known.mac != mac:
            return "content_changed"
        if known.metadata != metadata:
            return "duplicate_object"
        if known.is_seen:
            return "repeat"
        self._known.put_version(*key, found)
        return None

    def _fail(self, row: Row, reason: str, batch: _Batch) -> None:
        self.counts["failed"] += 1
        self._on_fault(row.place, reason)
        if self._known.add_failure(row.object_id, row.object_version, reason):
            batch.failures.append(
                {
                    "object_id": row.object_id,
                    "object_version": row.object_version,
                    "encoder_id": self._registered.encoder_id,
                    "reason": reason,
                    "job_run_id": self.run_id,
                    "failed_at": datetime.now(UTC),
                    "customer_id": row.customer_id,
                }
            )

    def _gather(self, most_begun: int = 0) -> None:
        """Wait until no more batches than these are being encoded; what is ready lands in time."""
        while len(self._begun) > most_begun:
            self._add(*self._begun.popleft())
        if self._part.is_due(self._landing.part_seconds):
            self._land_part()

    def _gather_ready(self) -> None:
        self._gather(sum(not encoded.done() for _, encoded in self._begun))

    def _add(self, batch: _Batch, encoded: Future) -> None:
        """Add a batch, once it has been encoded, to what is to land."""
        events = []
        for row, result in zip(batch.rows, encoded.result(), strict=True):
            if fault := self._fault_of(result):
                self._fail(row, fault, batch)
            else:
                events.append(self._embedding_event(row, result))
        # objects first and all at once: an interruption may come between any two lines, and no
        # vector lands without its object
        self._part.objects += batch.objects
        self._part.failures += batch.failures
        self._part.events += events

    def _fault_of(self, result: Encoded | str) -> str | None:
        if isinstance(result, str):
            return result
        is_off = abs(_length(result.vector) - 1) > UNIT_NORM_WITHIN
        return "vector_not_unit_norm" if self._registered.is_unit_norm and is_off else None

    def _land_part(self) -> None:
        # what could not land is not tried again by this run: it may have landed in part
        part, self._part = self._part, _Part()
        self._write("object_events", part.objects, ("object_id", "object_version"))
        failure_key = ("object_id", "object_version", "encoder_id", "reason")
        self._write("encoding_failures", part.failures, failure_key)
        # also where the clock was set back meanwhile: nothing is known before it was made
        landed_at = max([datetime.now(UTC), *(event["encoded_at"] for event in part.events)])
        events = [event | {"landed_at": landed_at} for event in part.events]
        self._write("embedding_events", events, ("event_id",))

    def _write(self, table: str, rows: list[dict], key: tuple[str, ...]) -> None:
        if not rows:
            return
        if not self._is_started:
            self._is_started = True
            self._land_phase("started")
        ids = [[row[column] for column in key] for row in rows]
        if self._landing.write_part(table, rows, ids):
            self.counts[table] += len(rows)

    def _land_end(self, phase: str) -> None:
        if any(self.counts[table] for table in _LANDED):
            self._land_phase(phase)

    def _land_phase(self, phase: str) -> None:
        row = {
            "job_run_id": self.run_id,
            "phase": phase,
            "encoder_id": self._registered.encoder_id,
            "encoder_fingerprint": self._encoder.fingerprint,
            "runtime": self._encoder.runtime,
            "job_version": __version__,
            "objects_read": self.counts["read"],
            "objects_landed": self.counts["object_events"],
            "embeddings_landed": self.counts["embedding_events"],
            "failures_landed": self.counts["encoding_failures"],
            "at": datetime.now(UTC),
        }
        self._landing.write_part("encoder_runs", [row], [self.run_id, phase])

    def _object_event(self, row: Row, mac: str) -> dict:
        return {
            "object_id": row.object_id,
            "object_version": row.object_version,
            "customer_id": row.customer_id,
            "modality": self._registered.modality,
            "content_mac": mac,
            "content_mac_key_id": self.mac.key_id,
            "source_reference": row.source_reference,
            "content_length": len(row.content),
            "object_created_at": row.object_created_at,
            "landed_at": row.landed_at,
        }

    def _embedding_event(self, row: Row, result: Encoded) -> dict:
        event = self._event_id(row.object_id, row.object_version)
        self._known.add_event(event)
        self.counts["truncated"] += result.is_truncated
        return {
            "event_id": event,
            "object_id": row.object_id,
            "object_version": row.object_version,
            "encoder_id": self._registered.encoder_id,
            "encoder_fingerprint": self._encoder.fingerprint,
            "runtime": self._encoder.runtime,
            "job_run_id": self.run_id,
            "embedding_dim": len(result.vector),
            "token_count": result.token_count,
            "embedding_norm": _length(result.vector),
            "is_truncated": result.is_truncated,
            "encoded_at": datetime.now(UTC),
            "embedding": result.vector,
        }

    def _event_id(self, object_id: str, object_version: str) -> str:
        return event_id(object_id, object_version, self._encoder.fingerprint)


def _length(vector: np.ndarray) -> float:
    return float(np.linalg.norm(vector.astype(np.float64)))


def _whole(rows: Iterable[Row | None], broken: list[Refusal]) -> Iterator[Row | None]:
    """Yield rows to the end, also to that of a source which breaks: what was taken lands."""
    try:
        yield from rows
    except Refusal as refusal:
        broken.append(refusal)
