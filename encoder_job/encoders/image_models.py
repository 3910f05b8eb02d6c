"""Image encoders from torch checkpoints: the features that the last layer, a classifier, takes."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from encoder_job.encoders.base import Encoder
from encoder_job.encoders.fingerprint import of_image_model
from encoder_job.encoders.images import Preprocessing
from encoder_job.encoders.locations import path_of, unloadable
from encoder_job.encoders.network import Stage, network_of
from encoder_job.encoders.torch_libraries import torchvision
from encoder_job.errors import Refusal

# of the checkpoints that were converted from TensorFlow's
_EFFICIENTNET_LITE = Preprocessing(
    resize=256, crop=224, interpolation="bicubic", mean=(127 / 255,) * 3, std=(128 / 255,) * 3
)
_EFFICIENTNET_LITE_SIDES = (224, 240, 260, 280, 300)


def load_torchvision(location: str, project_dir: Path) -> Encoder:
    """Load a checkpoint of torchvision's model zoo, whose file has the name that it has there."""
    return _load(location, project_dir, "torchvision checkpoint", _torchvision_model)


def load_efficientnet_lite(location: str, project_dir: Path) -> Encoder:
    """Load a checkpoint of EfficientNet-Lite, whose file is named efficientnet-lite<0 to 4>."""
    return _load(location, project_dir, "EfficientNet-Lite checkpoint", _efficientnet_lite_model)


def _load(
    location: str,
    project_dir: Path,
    what: str,
    build: Callable[[Path], tuple[Any, Preprocessing, list[ModuleType]]],
) -> Encoder:
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
    return Encoder("image", fingerprint, preprocessing, network)


def _torchvision_model(path: Path) -> tuple[Any, Preprocessing, list[ModuleType]]:
    import torch

    library = torchvision()
    name, weights = _of_the_zoo(library.models, path.name)
    categories = weights.meta["categories"]
    if not categories:
        raise Refusal(
            "its classifier is not trained, and features are what a classifier takes; choose "
            "another file of the zoo"
        )
    # the library's own loader knows what else its files ask for: other names of the tensors, the
    # size of the images, colours in another range
    weights.get_state_dict = lambda *_, **__: torch.load(
        path, map_location="cpu", weights_only=True
    )
    try:
        module = library.models.get_model(name, weights=weights)
    finally:
        del weights.get_state_dict
    _take_classifier_off(module, len(categories))
    shown = weights.transforms()
    preprocessing = Preprocessing(
        resize=shown.resize_size[0],
        crop=shown.crop_size[0],
        interpolation=shown.interpolation.value,
        mean=tuple(shown.mean),
        std=tuple(shown.std),
    )
    return module, preprocessing, [torch, library]


def _of_the_zoo(models: ModuleType, file: str) -> tuple[str, Any]:
    """Find a file in the zoo: the name of its architecture, and what is known of its training.

    Not every file is named for its architecture, and two trainings of one architecture may look
    at their images in two ways.
    """
    for name in models.list_models(module=models):
        for weights in models.get_model_weights(name):
            if weights.url.rpartition("/")[2] == file:
                return name, weights
    raise Refusal(
        f"torchvision's zoo has no file {file}, so nobody says how it looks at an image; give the "
        "file the name under which the zoo has it"
    )


def _take_classifier_off(module: Any, categories: int) -> None:
    """Have a network return what its last layer takes: the features.

    The last layer is a linear one, or a convolution before the pooling. What follows it then acts
    on the features.
    """
    import torch

    kinds = (torch.nn.Linear, torch.nn.Conv2d)
    layers = [(name, layer) for name, layer in module.named_modules() if isinstance(layer, kinds)]
    name, last = layers[-1]
    if len(last.weight) != categories:
        raise Refusal(
            f"the last layer of a {type(module).__name__} is no classifier, so that nobody says "
            "what its features are; choose another file of the zoo"
        )
    parent, _, own = name.rpartition(".")
    setattr(module.get_submodule(parent), own, torch.nn.Identity())


def _efficientnet_lite_model(path: Path) -> tuple[Any, Preprocessing, list[ModuleType]]:
    import torch
    from efficientnet_lite_pytorch import EfficientNet

    size = re.match(r"efficientnet-lite([0-4])", path.name)
    if not size:
        raise Refusal(
            "its file is not named efficientnet-lite<0 to 4>; give the file the name of its size"
        )
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
