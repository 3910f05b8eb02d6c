"""What the samples add to their sources, and how they are written."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from encoder_job.errors import Refusal
from encoder_job.landing import Landing
from encoder_job.storage import replace_file

_FIRST_CREATED = datetime(2026, 7, 2, tzinfo=UTC)
_CREATED_FOR = timedelta(days=97)
_OPENED = (datetime(2026, 5, 1, tzinfo=UTC), timedelta(days=61))
_CLOSED = (datetime(2026, 8, 1, tzinfo=UTC), timedelta(days=61))
_REOPENED_AFTER = timedelta(days=14)


@dataclass(frozen=True)
class Sample:
    """What a sample holds by kind, and whether anything was written."""

    counts: dict[str, int]
    is_changed: bool


def uniform(key: str) -> float:
    """Return a number from 0 to 1, by hash."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) / 2**64


def part_of(span: timedelta, key: str) -> timedelta:
    """Return a part of a span, by hash, in whole seconds."""
    return timedelta(seconds=int(uniform(key) * span.total_seconds()))


def created_at(object_id: str) -> datetime:
    """Return when an object came into being."""
    return _FIRST_CREATED + part_of(_CREATED_FOR, object_id)


def object_row(object_id: str, customer_id: str, reference: str, content: str | bytes) -> dict:
    """Return an object as a manifest holds it."""
    return {
        "object_id": object_id,
        "customer_id": customer_id,
        "source_reference": reference,
        "content": content,
        "object_created_at": created_at(object_id),
    }


def _account_events(customers: Iterable[str]) -> list[dict]:
    """Return the opening, and of some the closing and reopening, of every customer's account."""
    return [event for customer in sorted(set(customers)) for event in _of_account(customer)]


def _of_account(customer: str) -> Iterator[dict]:
    times = {"opened": _OPENED[0] + part_of(_OPENED[1], f"opened|{customer}")}
    if uniform(f"is_closed|{customer}") < 0.03:
        times["closed"] = _CLOSED[0] + part_of(_CLOSED[1], f"closed|{customer}")
        if uniform(f"is_reopened|{customer}") < 1 / 3:
            times["reopened"] = times["closed"] + _REOPENED_AFTER
    for kind, occurred_at in times.items():
        yield {
            "event_id": f"synthetic/{kind}/{customer}",
            "customer_id": customer,
            "event_type": kind,
            "occurred_at": occurred_at,
            "landed_at": None,
        }


def write(
    landing: Landing,
    manifest: Path,
    objects: list[dict],
    events: dict[str, list[dict]],
    counts: dict[str, int],
) -> Sample:
    """Write a manifest, land business events and those of the customers' accounts.

    The same bytes every time. `counts` are what there is to tell of the sample beside accounts.
    """
    accounts = _account_events(row["customer_id"] for row in objects)
    is_text = isinstance(objects[0]["content"], str)
    schema = pa.schema(
        [
            ("object_id", pa.string()),
            ("customer_id", pa.string()),
            ("source_reference", pa.string()),
            ("content", pa.string() if is_text else pa.binary()),
            ("object_created_at", pa.timestamp("us", tz="UTC")),
        ]
    )
    landing.ensure_tables()
    changed = [_write_manifest(manifest, pa.Table.from_pylist(objects, schema))]
    for table, rows in (events | {"account_events": accounts}).items():
        changed.append(landing.write_part(table, rows, [row["event_id"] for row in rows]))
    return Sample(counts | {"synthetic account events": len(accounts)}, any(changed))


def _write_manifest(path: Path, manifest: pa.Table) -> bool:
    sink = pa.BufferOutputStream()
    pq.write_table(manifest, sink, compression="zstd")
    content = sink.getvalue().to_pybytes()
    try:
        if path.is_file() and path.read_bytes() == content:
            return False
        replace_file(path, content)
    except OSError as error:
        raise Refusal(
            f"sample: {path} cannot be written ({type(error).__name__}); give another --objects"
        ) from None
    return True
