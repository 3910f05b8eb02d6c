"""Images: handwritten digits, and which digit each is.

Real: scikit-learn's copy of the test set of "Optical recognition of handwritten digits" (Alpaydin
and Kaynak, 1998), 1,797 images of 8 by 8 pixels, which comes with the library.
"""

import numpy as np
from sklearn.datasets import load_digits

from encoder_job.samples.images import LabelledImages

_NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_DARKEST = 16


def labelled_images() -> LabelledImages:
    """Return all digits, each with its name as its label."""
    digits = load_digits()
    pixels = np.round(digits.images * (255 / _DARKEST)).astype(np.uint8)
    labels = [_NAMES[digit] for digit in digits.target]
    return LabelledImages("digit", "writer", "digit", pixels, labels)
