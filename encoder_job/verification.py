"""Whether an encoder is the registered one, and computes what it did, alone and in company."""

from copy import copy
from pathlib import Path

import numpy as np

from encoder_job.encoders import Encoder, load_encoder
from encoder_job.errors import Refusal
from encoder_job.probe import (
    check_probe,
    probe_path,
    probe_vectors,
    public_contents,
    read_probe,
)
from encoder_job.registry import EncoderRow

# the same words in other orders are texts of the same length
_TURNS = 8


def checked_encoder(row: EncoderRow, project_dir: Path) -> tuple[Encoder, float, float]:
    """Load an encoder; refuse it unless it is the registered one and still computes the same.

    Returns it with its probe's deviation and tolerance.
    """
    probe = read_probe(probe_path(project_dir, row.encoder_id), row.encoder_id)
    loaded = load_encoder(row.loader, row.location, project_dir)
    _check_fingerprint(row, loaded.fingerprint)
    if probe.fingerprint != row.encoder_fingerprint:
        raise Refusal(
            f"encoder_job/probes/{row.encoder_id}.json: it belongs to fingerprint "
            f"{probe.fingerprint}, not to the registered one; restore the file"
        )
    return loaded, check_probe(loaded, probe, row.encoder_id), probe.tolerance


def _check_fingerprint(row: EncoderRow, found: str) -> None:
    if found != row.encoder_fingerprint:
        raise Refusal(
            f"seeds/encoders.csv column encoder_fingerprint: {row.encoder_id} is registered as "
            f"{row.encoder_fingerprint}, but {row.location} holds {found}: other weights or "
            "settings are another encoder; restore the folder, or register it under a new id with "
            f"`encoder-job register NEW_ID --location {row.location}`"
        )


def _contents_in_company(modality: str) -> list[str | bytes]:
    """Return public contents, and beside each some of the very same shape."""
    contents = public_contents(modality)
    if modality != "text":
        return contents
    words = [content.split() for content in contents]
    return [" ".join(text[turn:] + text[:turn]) for turn in range(_TURNS) for text in words]


def compared(encoder: Encoder, tolerance: float) -> str:
    """Compare vectors of public contents alone, beside others in two orders, and side by side.

    Refuse an encoder that should give the same bytes and does not, or strays beyond the tolerance.
    """
    contents = _contents_in_company(encoder.modality)
    alone = _vectors(encoder, *([content] for content in contents))
    others = [
        _vectors(encoder, contents),
        _vectors(encoder, contents[::-1])[::-1],
        _vectors(_with_workers(encoder), contents),
    ]
    if all(vectors.tobytes() == alone.tobytes() for vectors in others):
        return "the same bytes"
    far = max(float(np.abs(alone - vectors).max()) for vectors in others)
    if encoder.is_exact or far > tolerance:
        raise Refusal(
            f"{encoder.runtime}: a vector changes by up to {far:.1e} with what is encoded beside "
            "it, so that one person's would depend on others; do not use this encoder here"
        )
    return f"within {far:.1e}"


def _vectors(encoder: Encoder, *batches: list[str | bytes]) -> np.ndarray:
    return np.concatenate([probe_vectors(encoder, batch) for batch in batches])


def _with_workers(encoder: Encoder) -> Encoder:
    """Return the encoder with another number of workers."""
    other = copy(encoder)
    other.workers = 1 if encoder.workers > 1 else 2
    return other
