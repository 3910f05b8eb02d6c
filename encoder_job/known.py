"""What has landed and what this run has taken, so that nothing is encoded or landed twice.

Digests in a temporary database of SQLite: beyond `_CACHE_KB` they lie in a file without a name,
which is gone with the process. So memory does not grow with the landing.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from hashlib import blake2b
from typing import NamedTuple

from encoder_job.landing import Landing

_CACHE_KB = 64_000


class Version(NamedTuple):
    """What is known of an object's version: from the landing, or from an earlier row."""

    mac_key_id: str
    mac: str
    metadata: bytes
    is_seen: bool = False


_TABLES = {
    "versions": ("id", *Version._fields),
    "moments": ("id", "object_version"),
    "events": ("id",),
    "failures": ("id",),
}


class Known:
    """The versions, events and failures that are there, of one encoder."""

    def __init__(
        self,
        landing: Landing,
        encoder_id: str,
        encoder_fingerprint: str,
        on_batch: Callable[[], None] = lambda: None,
    ) -> None:
        # workers of Beam take turns in several threads
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._ask(f"pragma cache_size = -{_CACHE_KB}")
        self._ask("pragma journal_mode = off")
        # never committed: nothing of it is to outlive the process
        self._ask("begin")
        for table, columns in _TABLES.items():
            self._ask(f"create table {table} ({', '.join(columns)})")
        landed = {
            "events": _landed_events(landing, encoder_fingerprint),
            "failures": _landed_failures(landing, encoder_id),
        }
        for moments, versions in _landed_versions(landing):
            self._insert("moments", moments)
            self._insert("versions", versions)
            on_batch()
        for table, batches in landed.items():
            for rows in batches:
                self._insert(table, rows)
                on_batch()
        # sorted at once: a tree that grows row by row in no order would be read and written again
        # for every row. What landed twice is there twice, and the first counts
        for table in _TABLES:
            self._ask(f"create index {table}_by_id on {table} (id)")

    def version(self, object_id: str, object_version: str) -> Version | None:
        """Return what is known of a version."""
        found = self._first("versions", digest(object_id, object_version))
        return found and Version(*found[1:])

    def put_version(self, object_id: str, object_version: str, version: Version) -> None:
        """Remember a version, in place of what was known of it."""
        name = digest(object_id, object_version)
        marks = ", ".join(f"{column} = ?" for column in Version._fields)
        if not self._ask(f"update versions set {marks} where id = ?", *version, name).rowcount:  # noqa: S608
            self._insert("versions", [(name, *version)])

    def version_at(
        self, object_id: str, moments: tuple[datetime, datetime], object_version: str
    ) -> str:
        """Return which version of an object became known, and was made, then: else this one."""
        name = digest(object_id, *moments)
        if found := self._first("moments", name):
            return found[1]
        self._insert("moments", [(name, object_version)])
        return object_version

    def has_event(self, event_id: str) -> bool:
        """Tell whether a vector is there."""
        return self._first("events", event_id) is not None

    def add_event(self, event_id: str) -> None:
        """Remember a vector."""
        self._insert("events", [(event_id,)])

    def add_failure(self, object_id: str | None, object_version: str, reason: str) -> bool:
        """Remember a failure. True if it is new."""
        name = digest(object_id, object_version, reason)
        if self._first("failures", name):
            return False
        self._insert("failures", [(name,)])
        return True

    def _ask(self, statement: str, *values: object) -> sqlite3.Cursor:
        return self._database.execute(statement, values)

    def _first(self, table: str, name: str | bytes) -> tuple | None:
        statement = f"select * from {table} where id = ? order by rowid limit 1"  # noqa: S608
        return self._ask(statement, name).fetchone()

    def _insert(self, table: str, rows: Iterable[tuple]) -> None:
        marks = ", ".join("?" * len(_TABLES[table]))
        self._database.executemany(f"insert into {table} values ({marks})", rows)  # noqa: S608


def digest(*values: str | datetime | None) -> bytes:
    """Return what differs where one of the values does."""
    # a time is told as a text: one of Parquet names its zone in another way
    texts = [it and str(it) for it in values]
    return blake2b(repr(texts).encode(), digest_size=16).digest()


def _landed_versions(landing: Landing) -> Iterator[tuple[list[tuple], list[tuple]]]:
    columns = ["object_id", "object_version", "content_mac_key_id", "content_mac"]
    described = ["customer_id", "source_reference", "object_created_at", "landed_at"]
    for batch in landing.read("object_events", columns + described):
        moments, versions = [], []
        for object_id, version, *macs, customer_id, reference, created, landed in zip(
            *(batch[name] for name in columns + described), strict=True
        ):
            moments.append((digest(object_id, landed or created, created), version))
            metadata = digest(customer_id, reference, created)
            versions.append((digest(object_id, version), *macs, metadata, False))
        yield moments, versions


def _landed_events(landing: Landing, encoder_fingerprint: str) -> Iterator[list[tuple]]:
    for batch in landing.read("embedding_events", ["event_id", "encoder_fingerprint"]):
        events = zip(*batch.values(), strict=True)
        yield [(event,) for event, fingerprint in events if fingerprint == encoder_fingerprint]


def _landed_failures(landing: Landing, encoder_id: str) -> Iterator[list[tuple]]:
    columns = ["object_id", "object_version", "reason", "encoder_id"]
    for batch in landing.read("encoding_failures", columns):
        failures = zip(*batch.values(), strict=True)
        yield [(digest(*key),) for *key, found in failures if found == encoder_id]
