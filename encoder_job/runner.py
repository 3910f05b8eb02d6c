"""The run: read, compare with what has landed, encode what is new, land it.

A batch lands in this order: object events, failures, embedding events. Whatever a kill leaves
behind is therefore found again by its ids, and the same command completes it. While a batch is
encoded the next one is read.
"""

import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import inf

import numpy as np

from encoder_job import __version__
from encoder_job.encoders.base import Encoded, Encoder
from encoder_job.erasure import requested_erasures
from encoder_job.errors import Refusal
from encoder_job.identity import ContentMac, canonical_hash, event_id
from encoder_job.isolation import encode_each
from encoder_job.landing import Landing
from encoder_job.readers import Row, Source
from encoder_job.registry import EncoderRow

_LANDED = ("object_events", "embedding_events", "encoding_failures")
_COUNTS = (
    *("read", *_LANDED),
    *("already", "repeats", "erased", "truncated", "failed"),
)
_PAUSE_SECONDS = 0.2  # between two looks at whether a paced run was stopped
_PART_SIZE = 16_000_000  # characters or bytes


class _Stopped(Exception):  # noqa: N818 - no error: somebody asked for it
    """The run reads no further."""


@dataclass
class _Known:
    """What is known of an object's version: from the landing, or from an earlier row."""

    key_id: str
    mac: str
    metadata: bytes
    is_seen: bool = False


@dataclass
class _Batch:
    objects: list[dict] = field(default_factory=list)
    failures: list[dict] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    size: int = 0

    def is_full(self, part_objects: int) -> bool:
        largest = max(len(self.objects), len(self.failures), len(self.rows))
        return largest >= part_objects or self.size >= _PART_SIZE


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
        # when each version became known: two at one moment have no order
        self._versions: dict[tuple[str, datetime], str] = {}
        self._erased = requested_erasures(landing)
        self._known = self._landed_objects()
        self._events = self._landed_events()
        self._failures = self._landed_failures()

    def run(
        self, source: Source, newest_first: bool = False, most_per_second: float = inf
    ) -> Counter[str]:
        """Land what is new of a source. Returns what was counted."""
        self.land(source.rows(self.is_wanted, newest_first), most_per_second)
        self.finish()
        return self.counts

    def land(self, rows: Iterable[Row], most_per_second: float = inf) -> None:
        """Land what is new of some rows, and count it."""
        broken: Refusal | None = None
        with ThreadPoolExecutor(1) as encoding:
            batch = _Batch()
            begun: tuple[_Batch, Future] | None = None
            due = time.monotonic()
            try:
                for row in rows:
                    self.counts["read"] += 1
                    self._take(row, batch)
                    if batch.is_full(self._landing.part_objects):
                        self._finish(begun)
                        self._wait(due)
                        due = max(due, time.monotonic()) + len(batch.rows) / most_per_second
                        begun, batch = self._begin(batch, encoding), _Batch()
                    self._tell()
            except _Stopped:
                pass
            except Refusal as refusal:
                # of a source that broke on the way: what had been taken lands. That of an encoder
                # is raised again by the batch that it failed on
                broken = refusal
            self._finish(begun)
            self._finish(self._begin(batch, encoding))
        if broken:
            raise broken

    def finish(self) -> None:
        """Record the end of a run that landed something."""
        if any(self.counts[table] for table in _LANDED):
            self._land_phase("stopped" if self.is_stopped else "finished")

    def _tell(self) -> None:
        """Tell how far the run is, and end its reading if it was stopped."""
        self._on_progress(self.counts["read"] + self._left_out)
        if self.is_stopped:
            raise _Stopped

    def _wait(self, until: float) -> None:
        while not self.is_stopped and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, _PAUSE_SECONDS))

    def stop(self) -> None:
        """Read no further: what has been read lands, and the run ends."""
        self.is_stopped = True

    def is_wanted(self, object_id: str, object_version: str, customer_id: str | None) -> bool:
        """Tell a source that can leave rows out whether a row is to be read."""
        if self._erased.covers(object_id, customer_id):
            self.counts["erased"] += 1
        elif event_id(object_id, object_version, self._encoder.fingerprint) in self._events:
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
        event = event_id(row.object_id, row.object_version, self._encoder.fingerprint)
        if event in self._events:
            self.counts["already"] += 1
        else:
            batch.rows.append(row)
            batch.size += len(row.content)

    def _compare(self, row: Row, batch: _Batch) -> str | None:
        """Hold a row against the first one of the same object and version, here or landed."""
        key = (row.object_id, row.object_version)
        content = row.content
        mac = self.mac.of(content.encode() if isinstance(content, str) else content)
        metadata = _digest(row.customer_id, row.source_reference, row.object_created_at)
        known = self._known.get(key)
        if known is None:
            moment = (row.object_id, row.landed_at or row.object_created_at)
            if self._versions.setdefault(moment, row.object_version) != row.object_version:
                return "version_without_time"
            self._known[key] = _Known(self.mac.key_id, mac, metadata, is_seen=True)
            batch.objects.append(self._object_event(row, mac))
            return None
        if known.key_id != self.mac.key_id:
            # landed under an older key: its content cannot be compared, and is not made again
            known.key_id, known.mac = self.mac.key_id, mac
        if known.mac != mac:
            return "content_changed"
        if known.metadata != metadata:
            return "duplicate_object"
        if known.is_seen:
            return "repeat"
        known.is_seen = True
        return None

    def _fail(self, row: Row, reason: str, batch: _Batch) -> None:
        self.counts["failed"] += 1
        self._on_fault(row.place, reason)
        key = (row.object_id, row.object_version, reason)
        if key not in self._failures:
            self._failures.add(key)
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

    def _begin(self, batch: _Batch, encoding: ThreadPoolExecutor) -> tuple[_Batch, Future]:
        """Land a batch's objects, and have its contents encoded meanwhile."""
        contents = [row.content for row in batch.rows]
        vectors = encoding.submit(encode_each, self._encoder, contents)
        self._part("object_events", batch.objects, ("object_id", "object_version"))
        return batch, vectors

    def _finish(self, begun: tuple[_Batch, Future] | None) -> None:
        """Land the vectors and the failures of a batch."""
        if begun is None:
            return
        batch, vectors = begun
        events = []
        for row, result in zip(batch.rows, vectors.result(), strict=True):
            if isinstance(result, str):
                self._fail(row, result, batch)
            else:
                events.append(self._embedding_event(row, result))
        failure_key = ("object_id", "object_version", "encoder_id", "reason")
        self._part("encoding_failures", batch.failures, failure_key)
        landed_at = datetime.now(UTC)
        events = [event | {"landed_at": landed_at} for event in events]
        self._part("embedding_events", events, ("event_id",))

    def _part(self, table: str, rows: list[dict], key: tuple[str, ...]) -> None:
        if not rows:
            return
        if not self._is_started:
            self._is_started = True
            self._land_phase("started")
        ids = [[row[column] for column in key] for row in rows]
        if self._landing.write_part(table, rows, ids):
            self.counts[table] += len(rows)

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
        event = event_id(row.object_id, row.object_version, self._encoder.fingerprint)
        self._events.add(event)
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
            "embedding_norm": float(np.linalg.norm(result.vector.astype(np.float64))),
            "is_truncated": result.is_truncated,
            "encoded_at": datetime.now(UTC),
            "embedding": result.vector,
        }

    def _landed_objects(self) -> dict[tuple[str, str], _Known]:
        known: dict[tuple[str, str], _Known] = {}
        columns = ["object_id", "object_version", "content_mac_key_id", "content_mac"]
        described = ["customer_id", "source_reference", "object_created_at", "landed_at"]
        for batch in self._landing.read("object_events", columns + described):
            for *values, customer, reference, created, landed in zip(
                *(batch[name] for name in columns + described), strict=True
            ):
                object_id, version, key_id, mac = values
                self._versions.setdefault((object_id, landed or created), version)
                found = _Known(key_id, mac, _digest(customer, reference, created))
                known.setdefault((object_id, version), found)
        return known

    def _landed_events(self) -> set[str]:
        found = set()
        for batch in self._landing.read("embedding_events", ["event_id", "encoder_fingerprint"]):
            for event, fingerprint in zip(*batch.values(), strict=True):
                if fingerprint == self._encoder.fingerprint:
                    found.add(event)
        return found

    def _landed_failures(self) -> set[tuple[str | None, str, str]]:
        found = set()
        columns = ["object_id", "object_version", "reason", "encoder_id"]
        for batch in self._landing.read("encoding_failures", columns):
            for *key, encoder_id in zip(*batch.values(), strict=True):
                if encoder_id == self._registered.encoder_id:
                    found.add(tuple(key))
        return found


def _digest(customer_id: str, source_reference: str, created_at: datetime) -> bytes:
    return bytes.fromhex(canonical_hash([customer_id, source_reference, str(created_at)]))
