"""Image encoders from torch checkpoints: the pooled features before the classifier."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from encoder_job.encoders.base import NetworkEncoder
from encoder_job.encoders.fingerprint import of_image_model
from encoder_job.encoders.images import Preprocessing
from encoder_job.encoders.locations import path_of, unloadable
from encoder_job.encoders.network import Stage, network_of
from encoder_job.encoders.torch_libraries import torchvision

# of the checkpoints that were converted from TensorFlow's
_EFFICIENTNET_LITE = Preprocessing(
    resize=256, crop=224, interpolation="bicubic", mean=(127 / 255,) * 3, std=(128 / 255,) * 3
)
_EFFICIENTNET_LITE_SIDES = (224, 240, 260, 280, 300)


def load_torchvision(location: str, project_dir: Path) -> NetworkEncoder:
    """Load a checkpoint of torchvision's model zoo, whose file is named <architecture>-<hash>."""
    return _load(location, project_dir, "torchvision checkpoint", _torchvision_model)


def load_efficientnet_lite(location: str, project_dir: Path) -> NetworkEncoder:
    """Load a checkpoint of EfficientNet-Lite, whose file is named efficientnet-lite<0 to 4>."""
    return _load(location, project_dir, "EfficientNet-Lite checkpoint", _efficientnet_lite_model)


def _load(
    location: str,
    project_dir: Path,
    what: str,
    build: Callable[[Path], tuple[Any, Preprocessing, list[ModuleType]]],
) -> NetworkEncoder:
    path = path_of(location, project_dir)
    try:
        module, preprocessing, libraries = build(path)
    except Exception as error:
        raise unloadable(location, what, error) from None
    fingerprint = of_image_model(module, preprocessing.described())
    name, side = preprocessing.input_name, preprocessing.crop
    example = {name: np.zeros((1, 3, side, side), np.float32)}
    stages, axes = [Stage(module, [name])], {name: {0: "images"}}
    network = network_of(stages, example, fingerprint, libraries, axes)
    return NetworkEncoder("image", fingerprint, preprocessing, network)


def _torchvision_model(path: Path) -> tuple[Any, Preprocessing, list[ModuleType]]:
    import torch

    library = torchvision()
    models = library.models
    name = path.name.partition("-")[0]
    module = models.get_model(name)
    module.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    # what stands last is the classifier
    last = list(module._modules)[-1]
    setattr(module, last, torch.nn.Flatten())
    # two trainings of one architecture may look at their images in two ways
    trained = [w for w in models.get_model_weights(name) if w.url.endswith(path.name)]
    if not trained:
        raise ValueError(f"torchvision's zoo has no {path.name}, so nobody says how to look")
    shown = trained[0].transforms()
    preprocessing = Preprocessing(
        resize=shown.resize_size[0],
        crop=shown.crop_size[0],
        interpolation=shown.interpolation.value,
        mean=tuple(shown.mean),
        std=tuple(shown.std),
    )
    return module, preprocessing, [torch, library]


def _efficientnet_lite_model(path: Path) -> tuple[Any, Preprocessing, list[ModuleType]]:
    import torch
    from efficientnet_lite_pytorch import EfficientNet

    size = re.match(r"efficientnet-lite([0-4])", path.name)
    if not size:
        raise ValueError("the file is not named efficientnet-lite<0 to 4>")
    network = EfficientNet.from_name(size[0])
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))

    class Features(torch.nn.Module):
        """The network up to its pooled features."""

        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.network.extract_features(images).mean(dim=(2, 3))

    side = _EFFICIENTNET_LITE_SIDES[int(size[1])]
    # the square is seven eighths of the shorter side
    sizes = {"crop": side, "resize": side * 8 // 7}
    return Features(), replace(_EFFICIENTNET_LITE, **sizes), [torch]
