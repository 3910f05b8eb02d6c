"""Whose objects are to be erased: they are encoded no more, and their landed rows are removed."""

from dataclasses import dataclass, field
from datetime import datetime

from encoder_job.landing import Landing

REQUEST_COLUMNS = ["event_id", "scope", "subject_id", "requested_at"]


@dataclass
class Erased:
    """The customers and the objects that requests name."""

    customers: set[str] = field(default_factory=set)
    objects: set[str] = field(default_factory=set)

    def __bool__(self) -> bool:
        """Whether anybody is named."""
        return bool(self.customers or self.objects)

    def covers(self, object_id: object, customer_id: object) -> bool:
        """Whether an object, or the customer to whom it belongs, was erased."""
        return object_id in self.objects or customer_id in self.customers


def requested_erasures(landing: Landing) -> Erased:
    """Read what requests name. One that breaks a rule names nobody, as in staging, which tells."""
    erased = Erased()
    named = {"customer": erased.customers, "object": erased.objects}
    for batch in landing.read("erasure_requests", REQUEST_COLUMNS):
        for event_id, scope, subject_id, requested_at in zip(*batch.values(), strict=True):
            subject = str("" if subject_id is None else subject_id).strip()
            if scope in named and subject and event_id is not None and _is_time(requested_at):
                named[scope].add(subject)
    return erased


def _is_time(value: object) -> bool:
    try:
        return isinstance(value, datetime) or bool(datetime.fromisoformat(str(value)))
    except ValueError:
        return False
