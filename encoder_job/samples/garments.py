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
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from encoder_job.errors import Refusal
from encoder_job.samples.images import LabelledImages
from encoder_job.storage import replace_file

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
# T-shirt, pullover, coat and shirt, by the package's numbers
_LABELS = {0: "other_top", 2: "other_top", 4: "other_top", 6: "shirt"}


def labelled_images(cache: Path) -> LabelledImages:
    """Return all images of the package; those of tops have a label."""
    pixels, kinds = (
        np.frombuffer(gzip.decompress(file), np.uint8)[header:]
        for file, header in zip(_files(cache), _HEADERS, strict=True)
    )
    labels = [_LABELS.get(kind) for kind in kinds.tolist()]
    return LabelledImages("garment", "wardrobe", "shirt", pixels.reshape(-1, _SIDE, _SIDE), labels)


def _files(cache: Path) -> list[bytes]:
    """Return the pinned files: as installed, as kept, or from the package, which apt fetches."""
    for folder in (_INSTALLED, cache):
        paths = [folder / name for name in _PINS]
        found = [path.read_bytes() for path in paths if path.is_file()]
        if _digests(found) == [*_PINS.values()]:
            return found
    fetched = _fetched()
    if _digests(fetched.values()) != [*_PINS.values()]:
        raise Refusal(
            f"sample: Debian's package {_PACKAGE} does not hold the files that this demo was made "
            "with, those of Debian 12"
        )
    for name, content in fetched.items():
        replace_file(cache / name, content)
    return [*fetched.values()]


def _digests(files: Iterable[bytes]) -> list[str]:
    return [hashlib.sha256(content).hexdigest() for content in files]


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
            f"({type(error).__name__})"
        ) from None


def _told_by(command: list[str], folder: str) -> bytes:
    return subprocess.run(command, cwd=folder, capture_output=True, check=True).stdout  # noqa: S603
