"""A few public sentences with their expected vectors: does the encoder still do what it did?

The fingerprint says which encoder this is; the probe says whether this machine and these library
versions compute it. It catches a broken kernel, a changed default, a wrong pooling.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from encoder_job.encoder import Encoded, Encoder
from encoder_job.errors import Refusal
from encoder_job.folder_landing import replace_file

TOLERANCE = 1e-5

# written for this project: short and long, plain and odd, and one longer than most encoders take
TEXTS = (
    "The parcel came two days early.",
    "NEVER again!!! It broke on the 1st day :-(",
    "Der Akku hält länger als versprochen, und das für 19,99 €.",
    "ok",
    "The manual is clear, the buttons are large, and my grandmother set it up without any help.",
    "電池がすぐに切れます。 L'écran est parfait — ни одной царапины.",
    " ".join(f"Line {number} of a long public text about nothing." for number in range(1, 61)),
)


@dataclass(frozen=True)
class Probe:
    """What an encoder gave for the public texts when it was registered."""

    fingerprint: str
    tolerance: float
    texts: list[str]
    vectors: np.ndarray


def encode_probe(encoder: Encoder, texts: list[str]) -> list[Encoded]:
    """Encode the public texts; an encoder that fails on them is refused."""
    try:
        return encoder.encode(texts)
    except Exception as error:
        raise Refusal(
            f"probe: the encoder fails on public texts ({type(error).__name__}); check the model "
            "and the installed libraries"
        ) from None


def probe_path(project_dir: Path, encoder_id: str) -> Path:
    """Return where an encoder's probe lies."""
    return project_dir / "encoder_job" / "probes" / f"{encoder_id}.json"


def write_probe(path: Path, fingerprint: str, vectors: np.ndarray) -> None:
    """Record what the encoder gives for the public texts now."""
    body = {
        "encoder_fingerprint": fingerprint,
        "tolerance": TOLERANCE,
        "texts": TEXTS,
        # nine digits hold a float32 exactly
        "vectors": [[float(f"{value:.9g}") for value in vector] for vector in vectors],
    }
    replace_file(path, (json.dumps(body, ensure_ascii=False) + "\n").encode())


def read_probe(path: Path, encoder_id: str) -> Probe:
    """Read an encoder's probe; refuse a missing or broken one."""
    shown = f"encoder_job/probes/{path.name}"
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
        return Probe(
            body["encoder_fingerprint"],
            float(body["tolerance"]),
            list(body["texts"]),
            np.array(body["vectors"], dtype=np.float32),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Refusal(
            f"{shown}: no usable probe ({type(error).__name__}); restore it, or write it anew with "
            f"`encoder-job register {encoder_id} --location ...`"
        ) from None


def deviation(encoder: Encoder, probe: Probe) -> float:
    """Return the largest difference of any number of any probe vector."""
    vectors = np.stack([result.vector for result in encode_probe(encoder, probe.texts)])
    if vectors.shape != probe.vectors.shape:
        return float("inf")
    distance = np.abs(vectors - probe.vectors).max()
    return float(distance) if np.isfinite(distance) else float("inf")


def check_probe(encoder: Encoder, probe: Probe, encoder_id: str) -> float:
    """Refuse an encoder that does not give what it gave when it was registered."""
    far = deviation(encoder, probe)
    if not far <= probe.tolerance:
        raise Refusal(
            f"{encoder_id}: the probe is off by {far:.2g} (allowed: {probe.tolerance:g}): this "
            "machine or these library versions compute other vectors; compare the runtime of the "
            f"last run with this one ({encoder.runtime}), and restore it"
        )
    return far
