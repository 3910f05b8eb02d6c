"""Imports of torch's companions that also succeed where the compiled parts do not fit together."""

import importlib.util
import sys
from types import ModuleType


def torchvision() -> ModuleType:
    """Import torchvision, also where its compiled part was built for another torch.

    No model needs that part, but the import declares what two of its operators give, and fails
    where they are unknown.
    """
    import torch

    try:
        import torchvision
    except RuntimeError:
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        declared = torch.library.Library("torchvision", "FRAGMENT")
        for operator in ("nms", "qnms"):
            takes = "Tensor dets, Tensor scores, float iou_threshold"
            declared.define(f"{operator}({takes}) -> Tensor")
        import torchvision
    return torchvision


def sentence_transformers() -> ModuleType:
    """Import sentence-transformers, which imports torchvision wherever it is installed."""
    if importlib.util.find_spec("torchvision"):
        torchvision()
    import sentence_transformers

    return sentence_transformers
