"""Any ONNX model in a folder with a description: `encoder.json` beside `model.onnx`.

For images:
    {"modality": "image", "input": "images", "output": "features",
     "preprocessing": {"resize": 256, "crop": 224, "interpolation": "bilinear",
                       "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}}
For texts, with the `tokenizer.json` of the tokenizers library in the folder:
    {"modality": "text", "output": "sentence_embedding", "max_tokens": 256}
The output has one row for each input, of any shape. A text model's inputs are those of
`input_ids`, `attention_mask` and `token_type_ids` that it has. `input` and `output` may be left
out where the model has one of each.
"""

import json
from pathlib import Path

import numpy as np

from encoder_job.encoders.base import NetworkEncoder, Prepared
from encoder_job.encoders.fingerprint import of_onnx_folder
from encoder_job.encoders.images import Preprocessing
from encoder_job.encoders.locations import path_of, unloadable
from encoder_job.encoders.network import OnnxNetwork

_TEXT_INPUTS = {
    "input_ids": "ids",
    "attention_mask": "attention_mask",
    "token_type_ids": "type_ids",
}


def load(location: str, project_dir: Path) -> NetworkEncoder:
    """Load a model and its description; refuse what does not fit together."""
    folder = path_of(location, project_dir)
    try:
        described = json.loads((folder / "encoder.json").read_text(encoding="utf-8"))
        modality = described["modality"]
        network = OnnxNetwork([str(folder / "model.onnx")], output=described.get("output"))
        prepare = _PREPARATIONS[modality](described, folder, network)
        fingerprint = of_onnx_folder(folder)
    except Exception as error:
        raise unloadable(location, "ONNX model with its encoder.json", error) from None
    return NetworkEncoder(modality, fingerprint, prepare, network)


def _image_preparation(described: dict, _folder: Path, network: OnnxNetwork) -> Preprocessing:
    values = dict(described["preprocessing"])
    colours = {name: tuple(float(value) for value in values.pop(name)) for name in ("mean", "std")}
    return Preprocessing(**values, **colours, input_name=_only_input(described, network))


def _only_input(described: dict, network: OnnxNetwork) -> str:
    name = described.get("input")
    if name is None and len(network.names) == 1:
        return network.names[0]
    if name not in network.names:
        raise ValueError(f"input is one of {', '.join(network.names)}")
    return name


class _TextPreparation:
    """Tokens by the tokenizers library, cut to the length that the description names."""

    def __init__(self, described: dict, folder: Path, network: OnnxNetwork) -> None:
        from tokenizers import Tokenizer

        unknown = set(network.names) - set(_TEXT_INPUTS)
        if unknown:
            raise ValueError(f"the input {min(unknown)} of the model is none of a text")
        self._names, self._limit = network.names, int(described["max_tokens"])
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(self._limit)

    def __call__(self, text: str) -> Prepared:
        found = self._tokenizer.encode(text)
        inputs = {
            name: np.array([getattr(found, _TEXT_INPUTS[name])], np.int64) for name in self._names
        }
        return Prepared(inputs, len(found.ids), bool(found.overflowing))


_PREPARATIONS = {"image": _image_preparation, "text": _TextPreparation}
