"""Whose objects are to be erased: they are encoded no more, and their landed rows are removed."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime

from encoder_job.landing import Landing

REQUEST_COLUMNS = ["event_id", "scope", "subject_id", "requested_at"]


@dataclass
class Erased:
    """The objects that requests name, and the customers, each with its request.

    And hashes of the objects that an erasure found to be such a customer's: nothing else tells of
    them once their rows are gone. Of a request that names several subjects all are covered until
    somebody says which one is meant.
    """

    objects: set[str] = field(default_factory=set)
    customers: dict[str, str] = field(default_factory=dict)
    object_hashes: set[str] = field(default_factory=set)
    unclear_requests: set[str] = field(default_factory=set)

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
            if event_id is None or not subject or not _is_time(requested_at):
                continue
            request = str(event_id)
            if scope == "object":
                erased.objects.add(subject)
            elif scope == "customer":
                known = erased.customers.get(subject, request)
                erased.customers[subject] = min(request, known)
            else:
                continue
            if subjects.setdefault(request, (scope, subject)) != (scope, subject):
                erased.unclear_requests.add(request)
    for batch in landing.read("erased_objects", ["subject_hash"]):
        erased.object_hashes.update(batch["subject_hash"])
    return erased


def _is_time(value: object) -> bool:
    try:
        return isinstance(value, datetime) or bool(datetime.fromisoformat(str(value)))
    except ValueError:
        return False
