"""A few public contents with their expected vectors: does the encoder still do what it did?

The fingerprint says which encoder this is; the probe says whether this machine and these library
versions compute it. It catches a broken kernel, a changed default, a wrong pooling, another resize.
"""

import base64
import io
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from encoder_job.encoders.base import Encoder, tolerance_of
from encoder_job.errors import Refusal
from encoder_job.storage import replace_file

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


@cache
def _images() -> list[bytes]:
    """Draw one image for each oddity that real ones have: small, smooth, and the same every time.

    They are kept as bytes in the probe, so that another way of decoding is noticed.
    """
    y, x = np.mgrid[0:180, 0:240].astype(float)
    waves = [127.5 + 127.5 * np.sin(x / a + y / b) for a, b in ((31, 47), (17, -29), (-23, 13))]
    colours = np.stack(waves, axis=-1).astype(np.uint8)
    image, grey = Image.fromarray(colours), Image.fromarray((waves[0] * 257).astype(np.uint16))
    veiled = Image.fromarray(np.dstack([colours, waves[0].astype(np.uint8)]))
    turned = Image.Exif()
    turned[0x0112] = 6  # orientation: a quarter turn
    drawn = (
        (image, "JPEG", {"quality": 90}),
        (image.rotate(90, expand=True), "JPEG", {"quality": 80, "exif": turned}),
        (image.convert("CMYK"), "JPEG", {"quality": 90}),
        (image.convert("P", palette=Image.Palette.ADAPTIVE, colors=16), "PNG", {}),
        (veiled, "PNG", {}),
        (grey, "PNG", {}),
        (image.resize((97, 311)), "WEBP", {"quality": 80}),
    )
    encoded = []
    for picture, kind, options in drawn:
        sink = io.BytesIO()
        picture.save(sink, kind, **options)
        encoded.append(sink.getvalue())
    return encoded


@dataclass(frozen=True)
class Probe:
    """What an encoder gave for the public contents when it was registered."""

    fingerprint: str
    tolerance: float
    contents: list[str | bytes]
    vectors: np.ndarray


def public_contents(modality: str) -> list[str | bytes]:
    """Return what an encoder of a modality is probed with when it is registered."""
    return list(TEXTS if modality == "text" else _images())


def probe_vectors(encoder: Encoder, contents: list[str | bytes]) -> np.ndarray:
    """Return vectors (contents, dimensions) of public contents; refuse an encoder that fails."""
    try:
        results = encoder.encode(contents)
    except Exception as error:
        raise Refusal(
            f"probe: the encoder fails on public contents ({type(error).__name__}); check the "
            "model and the installed libraries"
        ) from None
    faults = [result for result in results if isinstance(result, str)]
    if faults:
        raise Refusal(
            f"probe: the encoder gives no vector for a public content ({faults[0]}); check the "
            "model and the installed libraries"
        )
    return np.stack([result.vector for result in results])


def probe_path(project_dir: Path, encoder_id: str) -> Path:
    """Return where an encoder's probe lies."""
    return project_dir / "encoder_job" / "probes" / f"{encoder_id}.json"


def write_probe(
    path: Path, fingerprint: str, contents: list[str | bytes], vectors: np.ndarray
) -> None:
    """Record what the encoder gives for the public contents now."""
    kept = {"texts": contents}
    if isinstance(contents[0], bytes):
        kept = {"images": [base64.b64encode(content).decode() for content in contents]}
    body = {
        "encoder_fingerprint": fingerprint,
        "tolerance": tolerance_of(vectors),
        **kept,
        # nine digits hold a float32 exactly
        "vectors": [[float(f"{value:.9g}") for value in vector] for vector in vectors],
    }
    replace_file(path, (json.dumps(body, ensure_ascii=False) + "\n").encode())


def read_probe(path: Path, encoder_id: str) -> Probe:
    """Read an encoder's probe; refuse a missing or broken one."""
    shown = f"encoder_job/probes/{path.name}"
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
        images = [base64.b64decode(image) for image in body.get("images", ())]
        return Probe(
            body["encoder_fingerprint"],
            float(body["tolerance"]),
            images or list(body["texts"]),
            np.array(body["vectors"], dtype=np.float32),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Refusal(
            f"{shown}: no usable probe ({type(error).__name__}); restore it, or write it anew with "
            f"`encoder-job register {encoder_id} --location ...`"
        ) from None


def deviation(encoder: Encoder, probe: Probe) -> float:
    """Return the largest difference of any number of any probe vector."""
    vectors = probe_vectors(encoder, probe.contents)
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
