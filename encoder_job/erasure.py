"""Whose objects are to be erased: they are encoded no more, and their landed rows are removed."""

from dataclasses import dataclass, field

from encoder_job.landing import Landing


@dataclass
class Erased:
    """The customers and the objects that requests name."""

    customers: set[str] = field(default_factory=set)
    objects: set[str] = field(default_factory=set)

    def covers(self, object_id: object, customer_id: object) -> bool:
        """Whether an object, or the customer to whom it belongs, was erased."""
        return object_id in self.objects or customer_id in self.customers


def requested_erasures(landing: Landing) -> Erased:
    """Read what requests name. One that breaks a rule names nobody; the build reports it."""
    erased = Erased()
    named = {"customer": erased.customers, "object": erased.objects}
    for batch in landing.read("erasure_requests", ["scope", "subject_id"]):
        for scope, subject_id in zip(*batch.values(), strict=True):
            if scope in named and subject_id is not None:
                named[scope].add(str(subject_id))
    return erased
