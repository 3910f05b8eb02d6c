"""Encoders: from contents to vectors, where no content's vector depends on the contents beside it.

Nothing is padded that the model does not pad. On a CPU every pass stays on one thread, and several
go side by side; short texts share one where that changes no byte. On other devices inputs of
exactly equal shape share a pass.
"""

import os
from collections.abc import Callable
from pathlib import Path

from encoder_job.encoders import image_models, onnx_folder, sentence_transformer
from encoder_job.encoders.base import Encoder
from encoder_job.errors import Refusal

LOADERS: dict[str, Callable[[str, Path], Encoder]] = {
    "sentence-transformers": sentence_transformer.load,
    "torchvision": image_models.load_torchvision,
    "efficientnet-lite": image_models.load_efficientnet_lite,
    "onnx": onnx_folder.load,
}


def load_encoder(loader: str, location: str, project_dir: Path) -> Encoder:
    """Load an encoder by the name of its loader."""
    # or tokenizing takes every core
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    if loader not in LOADERS:
        raise Refusal(
            f"loader {loader!r} is unknown (known: {', '.join(LOADERS)}); correct the column "
            "loader of seeds/encoders.csv"
        )
    return LOADERS[loader](location, project_dir)
