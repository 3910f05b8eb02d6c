"""Images that people gave labels to, as a protected source and the decisions on it."""

import io
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
from PIL import Image

from encoder_job.landing import Landing
from encoder_job.samples.synthetic import (
    Sample,
    created_at,
    object_row,
    part_of,
    uniform,
    write,
)

_OWNERS = 300
_DECIDED_WITHIN = timedelta(hours=20)


@dataclass(frozen=True)
class LabelledImages:
    """What the images show, who would own them, and the labels of one task.

    `pixels` are grey, uint8, of shape (images, height, width); a label is None for an image that is
    not of the task.
    """

    subject: str
    owner: str
    task: str
    pixels: np.ndarray
    labels: list[str | None]


def write_sample(landing: Landing, manifest: Path, found: LabelledImages, count: int) -> Sample:
    """Write the object manifest and land the business events; the same bytes every time.

    Of the images of the task those with the smallest hashes are taken.
    """
    numbers = [number for number, label in enumerate(found.labels) if label is not None]
    chosen = sorted(numbers, key=lambda number: uniform(f"chosen|{number}"))[:count]
    objects, decisions = [], []
    for number in sorted(chosen):
        object_id = f"{found.subject}-{number}"
        owner = f"{found.owner}-{int(uniform(f'owner|{object_id}') * _OWNERS)}"
        reference = f"{found.subject}s://{number}"
        objects.append(object_row(object_id, owner, reference, _png(found.pixels[number])))
        event = f"real-label-synthetic-time/{object_id}"
        decisions.append(
            {
                "event_id": event,
                "object_id": object_id,
                "task": found.task,
                "label": found.labels[number],
                "selected_by": None,
                "decided_at": created_at(object_id) + part_of(_DECIDED_WITHIN, f"decided|{event}"),
                "landed_at": None,
            }
        )
    counts = {f"images of {found.subject}s": len(objects), "real labels": len(decisions)}
    return write(landing, manifest, objects, {"decision_events": decisions}, counts)


def _png(pixels: np.ndarray) -> bytes:
    """Return a picture, not compressed: another version of a library would do it otherwise."""
    sink = io.BytesIO()
    Image.fromarray(pixels).save(sink, "PNG", compress_level=0)
    return sink.getvalue()
