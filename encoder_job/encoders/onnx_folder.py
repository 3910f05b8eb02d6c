"""Any ONNX model in a folder with a description: `encoder.json` beside `model.onnx`.

For images:
    {"modality": "image", "input": "images", "output": "features",
     "preprocessing": {"resize": 256, "crop": 224, "interpolation": "bilinear",
                       "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}}
For texts, with the `tokenizer.json` of the tokenizers library in the folder:
    {"modality": "text", "output": "last_hidden_state", "max_tokens": 256,
     "pooling": "mean", "normalize": true}
A text model's inputs are those of `input_ids`, `attention_mask` and `token_type_ids` that it has.
`input` and `output` may be left out where the model has one of each.

The output has one row for each content. `pooling` makes one vector of a row for each of its tokens
(contents, tokens, numbers): `mean` takes the mean over all of them, since nothing is padded and the
attention mask leaves none out; `cls` takes the first. Without `pooling` the numbers of a row are
the vector, of any shape that is the same for every content. `normalize` divides a vector by its
length. Nothing else may stand in the description, so that no misspelt word is passed over.
"""

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from encoder_job.encoders.base import Encoder, Prepare, Prepared, tokenized
from encoder_job.encoders.fingerprint import of_onnx_folder
from encoder_job.encoders.images import Preprocessing
from encoder_job.encoders.locations import path_of, unloadable
from encoder_job.encoders.network import OnnxNetwork
from encoder_job.errors import Refusal

if TYPE_CHECKING:
    from tokenizers import Encoding

_TEXT_INPUTS = {
    "input_ids": "ids",
    "attention_mask": "attention_mask",
    "token_type_ids": "type_ids",
}
_POOLINGS = ("mean", "cls")
_SHORTEST = 1e-12  # as torch has it: a vector of zeros stays one
# what a description may hold, with its type in JSON
_OF_EVERY = {"modality": str, "output": str, "pooling": str, "normalize": bool}
_OF_TEXT = {"max_tokens": int}
_OF_IMAGE = {"input": str, "preprocessing": dict}
_OF_PREPROCESSING = {"resize": int, "crop": int, "interpolation": str, "mean": list, "std": list}
_TYPE_NAMES = {str: "a text", bool: "true or false", int: "a whole number", list: "a list"}


def load(location: str, project_dir: Path) -> Encoder:
    """Load a model and its description; refuse what does not fit together."""
    folder = path_of(location, project_dir)
    try:
        described = _described(_file(folder, "encoder.json"))
        modality, vectors_of = described["modality"], _Vectors.of(described)
        graph = str(_file(folder, "model.onnx"))
        network = OnnxNetwork([graph], output=described.get("output"), vectors_of=vectors_of)
        _one_of("output", described.get("output"), network.outputs)
        prepare = _PREPARATIONS[modality](described, folder, network)
        _check_vectors(network, prepare(_TRIED[modality]))
        fingerprint = of_onnx_folder(folder)
    except Exception as error:
        raise unloadable(location, "ONNX model with its encoder.json", error) from None
    return Encoder(modality, fingerprint, prepare, network)


def _file(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.is_file():
        raise Refusal(f"{name} is missing; docs/encoders.md says what the folder holds")
    return path


def _described(path: Path) -> dict:
    """Read a description; refuse what it may not hold, or lacks."""
    try:
        described = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        raise Refusal("encoder.json is no JSON; mend it") from None
    if not isinstance(described, dict):
        raise Refusal('encoder.json is no object; write {"modality": ...}')
    if described.get("modality") not in _PREPARATIONS:
        raise Refusal(f"encoder.json: modality is one of {', '.join(_PREPARATIONS)}; name one")
    if described["modality"] == "text":
        _check_fields(described, _OF_EVERY | _OF_TEXT, "max_tokens")
    else:
        _check_fields(described, _OF_EVERY | _OF_IMAGE, "preprocessing")
        _check_fields(described["preprocessing"], _OF_PREPROCESSING, *_OF_PREPROCESSING)
    return described


def _check_fields(given: dict, known: dict[str, type], *needed: str) -> None:
    for name in needed:
        if name not in given:
            raise Refusal(f"encoder.json: {name} is missing; add it")
    for name, value in given.items():
        if name not in known:
            told = ", ".join(known)
            raise Refusal(f"encoder.json: {name} is none of {told}; correct it, or take it out")
        if type(value) is not known[name]:
            told = _TYPE_NAMES.get(known[name], "an object")
            raise Refusal(f"encoder.json: {name} is {told}; correct it")


def _one_of(what: str, name: str | None, names: list[str]) -> str:
    """Return the input or output that is meant; where there is one, nobody needs to name it."""
    if name is None and len(names) == 1:
        return names[0]
    if name not in names:
        raise Refusal(f"encoder.json: {what} is one of {', '.join(names)}; name one")
    return name


@dataclass(frozen=True)
class _Vectors:
    """Makes one vector for each content of a network's output."""

    pooling: str | None
    is_normalized: bool

    @classmethod
    def of(cls, described: dict) -> "_Vectors":
        pooling = described.get("pooling")
        if pooling not in (None, *_POOLINGS):
            raise Refusal(f"encoder.json: pooling is one of {', '.join(_POOLINGS)}; name one")
        return cls(pooling, described.get("normalize", False))

    def __call__(self, output: np.ndarray) -> np.ndarray:
        is_array = isinstance(output, np.ndarray) and output.ndim > 0
        if not is_array or output.dtype.kind not in "fiu":
            raise Refusal("encoder.json: output names no rows of numbers; name another")
        if self.pooling:
            if output.ndim != 3:
                raise Refusal(
                    "encoder.json: pooling is for an output (contents, tokens, numbers), and this "
                    f"has {output.ndim} dimensions; take pooling out, or name another output"
                )
            is_mean = self.pooling == "mean"
            output = output.mean(axis=1, dtype=np.float64) if is_mean else output[:, 0]
        vectors = output.reshape(len(output), -1)
        if self.is_normalized:
            lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
            vectors = vectors / np.maximum(lengths, _SHORTEST)
        return vectors


def _check_vectors(network: OnnxNetwork, tried: list[Prepared]) -> None:
    """Refuse a network that does not give each content one vector, as long as every other."""
    try:
        found = [network(prepared.inputs).shape for prepared in tried]
    except Refusal:
        raise
    except Exception as error:
        raise Refusal(
            f"encoder.json: the model fails on a public content ({type(error).__name__}), so it "
            "takes other inputs than these; correct the description"
        ) from None
    if any(rows != 1 for rows, _ in found):
        raise Refusal(
            f"encoder.json: output gives {max(found)[0]} rows for one content; name an output "
            "whose first dimension is that of the contents"
        )
    if len(set(found)) > 1:
        told = " and ".join(str(width) for _, width in found)
        raise Refusal(
            f"encoder.json: output gives {told} numbers for two contents, so it is no vector; add "
            'pooling ("mean" or "cls"), or name another output'
        )


def _image_preparation(described: dict, _folder: Path, network: OnnxNetwork) -> Preprocessing:
    values = dict(described["preprocessing"])
    for name in ("mean", "std"):
        if not all(type(value) in (int, float) for value in values[name]):
            raise Refusal(f"encoder.json: {name} has three numbers; correct it")
        values[name] = tuple(float(value) for value in values[name])
    name = _one_of("input", described.get("input"), network.names)
    return Preprocessing(**values, input_name=name)


class _TextPreparation:
    """Tokens by the tokenizers library, cut to the length that the description names."""

    def __init__(self, described: dict, folder: Path, network: OnnxNetwork) -> None:
        from tokenizers import Tokenizer

        unknown = set(network.names) - set(_TEXT_INPUTS)
        if unknown:
            raise Refusal(
                f"the input {min(unknown)} of the model is none of {', '.join(_TEXT_INPUTS)}; "
                "export it without"
            )
        self._names, self._limit = network.names, described["max_tokens"]
        self._tokenizer = Tokenizer.from_file(str(_file(folder, "tokenizer.json")))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(self._limit)

    def __call__(self, texts: Sequence[str]) -> list[Prepared]:
        return tokenized(texts, self._tokens_of)

    def _tokens_of(self, texts: list[str]) -> list[Prepared]:
        return [self._prepared(found) for found in self._tokenizer.encode_batch(texts)]

    def _prepared(self, found: "Encoding") -> Prepared:
        inputs = {
            name: np.array([getattr(found, _TEXT_INPUTS[name])], np.int64) for name in self._names
        }
        return Prepared(inputs, len(found.ids), bool(found.overflowing))


def _flat_image(colour: str) -> bytes:
    sink = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(sink, "PNG")
    return sink.getvalue()


_PREPARATIONS: dict[str, Callable[[dict, Path, OnnxNetwork], Prepare]] = {
    "image": _image_preparation,
    "text": _TextPreparation,
}
# two contents of each modality; the texts have different numbers of tokens
_TRIED = {
    "image": (_flat_image("white"), _flat_image("black")),
    "text": ("one", "a text of some more words than one"),
}
