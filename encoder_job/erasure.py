"""Whose objects are to be erased: they are encoded no more, and their landed rows are removed."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from encoder_job.landing import Landing
from encoder_job.landing.schemas import SUBJECTS

REQUEST_COLUMNS = ["event_id", "scope", "subject_id", "requested_at"]


@dataclass
class Erased:
    """The objects that requests name, and the customers, each with its request.

    And hashes of the objects that an erasure found to be such a customer's: nothing else tells of
    them once their rows are gone. Of a request that names several subjects all are covered until
    somebody says which one is meant, as is whom one names whose time cannot be read here: a
    warehouse may read it, and erase.
    """

    objects: set[str] = field(default_factory=set)
    customers: dict[str, str] = field(default_factory=dict)
    object_hashes: set[str] = field(default_factory=set)
    # the requests that have to be mended before anything is removed, and how
    unclear_requests: dict[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether anybody is named."""
        return bool(self.customers or self.objects)

    def covers(self, object_id: str | None, customer_id: str | None) -> bool:
        """Whether an object, or a customer to whom it belongs or belonged, was erased."""
        return (
            customer_id in self.customers
            or object_id in self.objects
            or (
                bool(object_id and self.object_hashes)
                and object_hash(object_id) in self.object_hashes
            )
        )


def object_hash(object_id: str) -> str:
    """Return by what an erased object is recognised: what the macro `subject_hash` makes of it."""
    return hashlib.md5(f"object/{object_id}".encode(), usedforsecurity=False).hexdigest()


def requested_erasures(landing: Landing) -> Erased:
    """Read what requests name. One that breaks a rule names nobody, as in staging, which tells."""
    erased = Erased()
    subjects: dict[str, tuple[str, str]] = {}
    for batch in landing.read("erasure_requests", REQUEST_COLUMNS):
        for event_id, scope, subject_id, requested_at in zip(*batch.values(), strict=True):
            subject = str("" if subject_id is None else subject_id).strip()
            time = str("" if requested_at is None else requested_at).strip()
            if event_id is None or not subject or not time:
                continue
            request = str(event_id)
            if scope == "object":
                erased.objects.add(subject)
            elif scope == "customer":
                known = erased.customers.get(subject, request)
                erased.customers[subject] = min(request, known)
            else:
                continue
            if not _is_iso_time(time):
                erased.unclear_requests[request] = "has no ISO 8601 time in requested_at; mend it"
            if subjects.setdefault(request, (scope, subject)) != (scope, subject):
                told = "names several subjects; take the wrong rows out"
                erased.unclear_requests[request] = told
    for batch in landing.read("erased_objects", ["subject_hash"]):
        erased.object_hashes.update(batch["subject_hash"])
    return erased


def record_owned_objects(landing: Landing, erased: Erased) -> None:
    """Record which objects are an erased customer's, before what tells so is removed."""
    found: dict[str, str] = {}
    # a failure may also be that a row named another customer than the object's own rows
    failed = {
        object_id: request
        for object_id, request in _owned(landing, "encoding_failures", erased)
        if request is not None
    }
    for object_id, request in _owned(landing, "object_events", erased):
        failed.pop(object_id, None)
        if request is not None:
            one = object_hash(object_id)
            found[one] = min(request, found.get(one, request))
    found |= {object_hash(object_id): request for object_id, request in failed.items()}
    new = sorted(found.keys() - erased.object_hashes)
    if new:
        landed_at = datetime.now(UTC)
        rows = [
            {"subject_hash": one, "request_id": found[one], "landed_at": landed_at} for one in new
        ]
        # what is recorded is left out above: a part that was lost lands once more
        landing.write_part("erased_objects", rows, [landed_at.isoformat(), *new])
        erased.object_hashes.update(new)


def _owned(landing: Landing, table: str, erased: Erased) -> Iterator[tuple[str, str | None]]:
    """Yield the objects of a table, each with the request that names its customer, if any."""
    for batch in landing.read(table, list(SUBJECTS)):
        for object_id, customer_id in zip(*batch.values(), strict=True):
            if object_id is not None:
                yield object_id, erased.customers.get(customer_id)


def _is_iso_time(text: str) -> bool:
    try:
        return bool(datetime.fromisoformat(text))
    except ValueError:
        return False
