"""Images: garments, and whether each is a shirt.

Real: images of tops and their kinds from Fashion-MNIST (Xiao, Rasul and Vollgraf, 2017), Debian's
package `dataset-fashion-mnist`. They are fetched, never part of this repository.
"""

import gzip
import hashlib
import io
import subprocess
import tarfile
import tempfile
from datetime import timedelta
from pathlib import Path

import numpy as np
from PIL import Image

from encoder_job.errors import Refusal
from encoder_job.folder_landing import replace_file
from encoder_job.landing import Landing
from encoder_job.samples.synthetic import (
    Sample,
    account_events,
    created_at,
    object_row,
    part_of,
    uniform,
    write,
)

_PACKAGE = "dataset-fashion-mnist"
_INSTALLED = Path("/usr/share/datasets/fashion-mnist")
_PINS = {
    f"train-{kind}-ubyte.gz": digest
    for kind, digest in (
        ("images-idx3", "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7"),
        ("labels-idx1", "0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056"),
    )
}
_SIDE = 28
# what lies before the numbers of an idx file: 4 bytes, and 4 of each dimension
_HEADERS = (16, 8)
_SHIRT, _OTHER_TOPS = 6, (0, 2, 4)
_WARDROBES = 300
_DECIDED_WITHIN = timedelta(hours=20)


def write_sample(landing: Landing, manifest: Path, cache: Path, images: int) -> Sample:
    """Write the object manifest and land the business events; the same bytes every time."""
    objects, decisions = [], []
    for number, pixels, is_shirt in _tops(_files(cache), images):
        object_id = f"garment-{number}"
        owner = f"wardrobe-{int(uniform(f'owner|{object_id}') * _WARDROBES)}"
        objects.append(object_row(object_id, owner, f"garments://{number}", _png(pixels)))
        event = f"real-label-synthetic-time/{number}"
        decisions.append(
            {
                "event_id": event,
                "object_id": object_id,
                "task": "shirt",
                "label": "shirt" if is_shirt else "other_top",
                "selected_by": None,
                "decided_at": created_at(object_id) + part_of(_DECIDED_WITHIN, f"decided|{event}"),
                "landed_at": None,
            }
        )
    accounts = account_events(row["customer_id"] for row in objects)
    events = {"decision_events": decisions, "account_events": accounts}
    is_changed = write(landing, manifest, objects, events)
    counts = {
        "images": len(objects),
        "real labels": len(decisions),
        "synthetic account events": len(accounts),
    }
    return Sample(counts, is_changed)


def _tops(files: list[bytes], count: int) -> list[tuple[int, np.ndarray, bool]]:
    """Return the tops with the smallest hashes: number, pixels, whether it is a shirt."""
    images, kinds = (
        np.frombuffer(gzip.decompress(file), np.uint8)[header:]
        for file, header in zip(files, _HEADERS, strict=True)
    )
    images = images.reshape(-1, _SIDE, _SIDE)
    tops = np.flatnonzero(np.isin(kinds, (_SHIRT, *_OTHER_TOPS)))
    chosen = sorted(tops.tolist(), key=lambda number: uniform(f"chosen|{number}"))[:count]
    return [(number, images[number], bool(kinds[number] == _SHIRT)) for number in sorted(chosen)]


def _png(pixels: np.ndarray) -> bytes:
    """Return a picture, not compressed: another version of a library would do it otherwise."""
    sink = io.BytesIO()
    Image.fromarray(pixels).save(sink, "PNG", compress_level=0)
    return sink.getvalue()


def _files(cache: Path) -> list[bytes]:
    """Return the pinned files: as installed, as kept, or from the package, which apt fetches."""
    for folder in (_INSTALLED, cache):
        if all((folder / name).is_file() for name in _PINS):
            return [_checked(name, (folder / name).read_bytes()) for name in _PINS]
    found = [_checked(name, content) for name, content in _fetched().items()]
    for name, content in zip(_PINS, found, strict=True):
        replace_file(cache / name, content)
    return found


def _fetched() -> dict[str, bytes]:
    try:
        with tempfile.TemporaryDirectory() as folder:
            _told_by(["apt-get", "--quiet", "download", _PACKAGE], folder)
            (package,) = Path(folder).glob("*.deb")
            files = _told_by(["dpkg-deb", "--fsys-tarfile", package.name], folder)
        with tarfile.open(fileobj=io.BytesIO(files)) as tar:
            return {name: tar.extractfile(f".{_INSTALLED}/{name}").read() for name in _PINS}
    except (
        OSError,
        subprocess.CalledProcessError,
        ValueError,
        KeyError,
        tarfile.TarError,
    ) as error:
        raise Refusal(
            f"sample: Debian's package {_PACKAGE} is not installed, and apt-get could not fetch it "
            f"({type(error).__name__}); install it, or do without images"
        ) from None


def _told_by(command: list[str], folder: str) -> bytes:
    return subprocess.run(command, cwd=folder, capture_output=True, check=True).stdout  # noqa: S603


def _checked(name: str, content: bytes) -> bytes:
    if hashlib.sha256(content).hexdigest() != _PINS[name]:
        raise Refusal(
            f"sample: {name} of {_PACKAGE} is not the file that this demo was made with; install "
            "the package of Debian 12 or later"
        )
    return content
