"""From an image's bytes to the numbers that enter a network, by a stated way for every oddity.

JPEG, PNG and WebP. The orientation that EXIF names is applied. Palettes become colours; what is
transparent shows a white ground; grey, 16 bits and CMYK become 8-bit RGB. Of an animation the
first frame counts. What is cut short, broken or larger than `MOST_PIXELS` is a fault of its row.
"""

import io
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from threading import Lock

import numpy as np
from PIL import Image, ImageOps

from encoder_job.encoders.base import Prepared
from encoder_job.errors import Refusal

FORMATS = ("JPEG", "PNG", "WEBP")
# a few kilobytes of a file can claim billions
MOST_PIXELS = 100_000_000
# up to 1.3 GB while it is decoded, transparent and upright, so that these wait for each other; of
# smaller ones every worker has one
_LARGE_PIXELS, _ONE_LARGE = 16_000_000, Lock()
_WAYS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
_GROUND = (255, 255, 255, 255)


class ContentFault(Exception):  # noqa: N818 - a fault of the data, not of the program
    """An image that cannot be encoded: its reason code, and nothing of the content."""


@dataclass(frozen=True)
class Preprocessing:
    """How an image becomes the input of a network: part of the encoder's identity."""

    resize: int  # pixels of the shorter side, before the crop
    crop: int  # pixels of each side of the square in the middle
    interpolation: str  # bilinear or bicubic
    mean: tuple[float, float, float]  # of each colour, of values from 0 to 1
    std: tuple[float, float, float]
    version: str = "images/1"  # of this module's rules
    input_name: str = "images"  # of the network

    def __post_init__(self) -> None:
        """Refuse what cannot be done."""
        if self.interpolation not in _WAYS:
            raise Refusal(f"interpolation is one of {', '.join(_WAYS)}")
        if not 0 < self.crop <= self.resize:
            raise Refusal("crop is at least 1 and at most resize")
        if len(self.mean) != 3 or len(self.std) != 3 or not all(self.std):
            raise Refusal("mean and std have three numbers, and no std is 0")

    def described(self) -> dict:
        """Return what the fingerprint is made of."""
        return asdict(self)

    def __call__(self, contents: Sequence[bytes]) -> list[Prepared | str]:
        """Return for each image an array (1, 3, crop, crop), float32, or a reason code."""
        return [self._one(content) for content in contents]

    def _one(self, content: bytes) -> Prepared | str:
        try:
            with decoded(content) as image:
                return self._seen(image)
        except ContentFault as fault:
            return str(fault)

    def _seen(self, image: Image.Image) -> Prepared:
        width, height = image.size
        # the longer side is cut to whole pixels, as torchvision does
        shorter = min(width, height)
        scaled = (self.resize * width // shorter, self.resize * height // shorter)
        left, top = (round((side - self.crop) / 2) for side in scaled)
        # only the square in the middle is computed: a line of pixels would scale to gigabytes
        across, down = width / scaled[0], height / scaled[1]
        box = (left * across, top * down, (left + self.crop) * across, (top + self.crop) * down)
        image = image.resize((self.crop, self.crop), _WAYS[self.interpolation], box)
        pixels = np.asarray(image).transpose(2, 0, 1).astype(np.float32, order="C")
        # in place: a copy for each step takes longer than the step
        pixels /= np.float32(255)
        pixels -= np.float32(self.mean)[:, None, None]
        pixels /= np.float32(self.std)[:, None, None]
        return Prepared({self.input_name: pixels[None]})


@contextmanager
def decoded(content: bytes) -> Iterator[Image.Image]:
    """Hold an image as 8-bit RGB, upright. Raise ContentFault for what is none."""
    with ExitStack() as held:
        with _faults():
            image = held.enter_context(Image.open(io.BytesIO(content), formats=FORMATS))
            # of the header alone: nothing has been decoded yet
            if image.width * image.height > MOST_PIXELS:
                raise ContentFault("image_too_large")
            if image.width * image.height > _LARGE_PIXELS:
                held.enter_context(_ONE_LARGE)
            image.load()
            upright = _rgb(_upright(image))
        yield upright


@contextmanager
def _faults() -> Iterator[None]:
    try:
        yield
    except ContentFault:
        raise
    except Image.DecompressionBombError:
        raise ContentFault("image_too_large") from None
    except Exception:
        # the library's message can quote what it was given
        raise ContentFault("image_unreadable") from None


def _upright(image: Image.Image) -> Image.Image:
    # a broken EXIF block says nothing of the picture itself
    with suppress(Exception):
        ImageOps.exif_transpose(image, in_place=True)
    return image


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        # 16 bits of grey
        values = np.clip(np.asarray(image), 0, 65_535).astype(np.uint16)
        image = Image.fromarray((values // 257).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, _GROUND), image)
    return image if image.mode == "RGB" else image.convert("RGB")
