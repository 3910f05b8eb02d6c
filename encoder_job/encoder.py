"""Encoders: from texts to vectors, where no text's vector depends on the texts beside it.

On a CPU every text goes through the network alone and unpadded, on one thread; several texts run
side by side, which changes no byte. Padding, or several threads within one text, would.
On other devices texts of exactly equal token count share a batch, so that there is no padding.
"""

import contextlib
import importlib.util
import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import joblib
import numpy as np

from encoder_job.errors import Refusal

PRECISION = "float32"
_MOST_THREADS = 8
_GROUP = 32


@dataclass(frozen=True)
class Encoded:
    """A text's vector, the tokens that entered the encoder, and whether some did not fit."""

    vector: np.ndarray
    token_count: int
    is_truncated: bool


class Encoder(Protocol):
    """What the runner needs of an encoder."""

    fingerprint: str
    runtime: str

    def encode(self, texts: Sequence[str]) -> list[Encoded]:
        """Return one vector per text, in order."""


def load_encoder(loader: str, location: str, project_dir: Path) -> Encoder:
    """Load an encoder by the name of its loader."""
    if loader not in LOADERS:
        raise Refusal(
            f"loader {loader!r} is unknown (known: {', '.join(LOADERS)}); correct the column "
            "loader of seeds/encoders.csv"
        )
    return LOADERS[loader](location, project_dir)


def encode_each(encoder: Encoder, texts: Sequence[str]) -> list[Encoded | str]:
    """Encode; a text on which the encoder fails gives a reason code and spares its neighbours.

    The exception is dropped here, whole: its message and its frames can hold the text.
    """
    try:
        return [_checked(result) for result in encoder.encode(texts)]
    except Exception:
        if len(texts) == 1:
            return ["encoder_error"]
    half = len(texts) // 2
    return encode_each(encoder, texts[:half]) + encode_each(encoder, texts[half:])


def _checked(result: Encoded) -> Encoded | str:
    return result if np.isfinite(result.vector).all() else "vector_not_finite"


class SentenceTransformerEncoder:
    """Any text model of sentence-transformers, from a folder, a package or the hub."""

    def __init__(self, location: str, project_dir: Path) -> None:
        folder = _folder_of(location, project_dir)
        torch, versions, self._model = _load(location, folder)
        from encoder_job.fingerprint import fingerprint

        self._torch = torch
        self.fingerprint = fingerprint(self._model, folder, PRECISION)
        self._device = self._model.device.type
        self._limit = self._model.max_seq_length
        self._prompt = self._model.prompts.get(self._model.default_prompt_name or "", "") or None
        threads = 1
        if self._device == "cpu":
            # within a text more threads change the bytes; beside each other texts do not
            torch.set_num_threads(1)
            threads = min(joblib.cpu_count(), _MOST_THREADS)
        self._pool = ThreadPoolExecutor(threads)
        self.runtime = "; ".join(
            (
                *versions,
                f"device {self._device}",
                f"cpu {torch.backends.cpu.get_cpu_capability()}",
            )
        )

    def encode(self, texts: Sequence[str]) -> list[Encoded]:
        """Return one vector per text, in order."""
        # the tokenizer is not safe to share between threads, and takes 1% of the time
        inputs = [self._tokens(text) for text in texts]
        vectors: list[np.ndarray | None] = [None] * len(texts)
        groups = list(self._groups(inputs))
        for group, found in zip(groups, self._pool.map(self._forward, groups), strict=True):
            for (position, _), vector in zip(group, found, strict=True):
                vectors[position] = vector
        return [
            Encoded(vector, features["input_ids"].numel(), self._is_cut(text, features))
            for text, features, vector in zip(texts, inputs, vectors, strict=True)
        ]

    def _tokens(self, text: str) -> dict[str, Any]:
        return dict(self._model.preprocess([text], prompt=self._prompt))

    def _is_cut(self, text: str, features: dict[str, Any]) -> bool:
        if self._limit is None or features["input_ids"].numel() < self._limit:
            return False
        whole = (self._prompt or "") + text
        tokens = self._model.tokenizer(whole, truncation=False, padding=False, verbose=False)
        return len(tokens["input_ids"]) > self._limit

    def _groups(self, inputs: list[dict]) -> Iterator[list[tuple[int, dict]]]:
        """Put together what may share a forward pass: on a CPU, every text is a group."""
        if self._device == "cpu":
            yield from ([item] for item in enumerate(inputs))
            return
        alike = defaultdict(list)
        for position, features in enumerate(inputs):
            alike[features["input_ids"].shape].append((position, features))
        for items in alike.values():
            # tensors without a batch dimension cannot be joined
            size = _GROUP if items[0][1]["input_ids"].ndim == 2 else 1
            yield from (items[start : start + size] for start in range(0, len(items), size))

    def _forward(self, group: list[tuple[int, dict]]) -> np.ndarray:
        torch = self._torch
        first = group[0][1]
        joined = {
            name: torch.cat([features[name] for _, features in group]).to(self._device)
            if isinstance(value, torch.Tensor)
            else value
            for name, value in first.items()
        }
        with torch.inference_mode():
            found = self._model(joined)["sentence_embedding"]
        return found.float().cpu().numpy()


LOADERS: dict[str, Callable[[str, Path], Encoder]] = {
    "sentence-transformers": SentenceTransformerEncoder,
}


def _folder_of(location: str, project_dir: Path) -> Path:
    """Find the folder that a location names; only a hub id may touch the network."""
    if location.startswith("package:"):
        module, _, inside = location.removeprefix("package:").partition("/")
        try:
            found = importlib.util.find_spec(module)
        except (ImportError, ValueError):
            found = None
        if found is None or not found.submodule_search_locations:
            raise Refusal(f"encoder location {location}: package {module} is missing; install it")
        folder = Path(found.submodule_search_locations[0], inside)
    else:
        folder = project_dir / location
        if not folder.is_dir() and re.fullmatch(r"[\w-][\w.-]*(/[\w.-]+)?(@[\w.-]+)?", location):
            return _from_hub(location)
    if not folder.is_dir():
        raise Refusal(f"encoder location {location}: there is no such folder; correct the location")
    os.environ["HF_HUB_OFFLINE"] = "1"
    return folder


def _from_hub(location: str) -> Path:
    """Take a model from the hub, or from its cache on this machine."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.utils import disable_progress_bars

    disable_progress_bars()
    name, _, revision = location.partition("@")
    other_formats = ["onnx/*", "openvino/*", "coreml/*", "*.onnx", "*.h5", "*.ot", "*.msgpack"]
    wanted = {"revision": revision or None, "ignore_patterns": other_formats}
    with contextlib.suppress(Exception):
        return Path(snapshot_download(name, local_files_only=True, **wanted))
    try:
        return Path(snapshot_download(name, **wanted))
    except Exception as error:
        raise Refusal(
            f"encoder location {location}: neither a folder here nor in reach on the hub "
            f"({type(error).__name__}); give a folder, or package:<module>/<path>"
        ) from None


def _load(location: str, folder: Path) -> tuple[Any, list[str], Any]:
    """Import the heavy libraries, quietly, and load the model in full precision."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    try:
        import sentence_transformers
        import torch
        import transformers

        transformers.logging.set_verbosity(transformers.logging.CRITICAL)
        transformers.logging.disable_progress_bar()
        device = "cuda" if torch.cuda.is_available() else "cpu"
        if device == "cpu" and torch.backends.mps.is_available():
            device = "mps"
        model = sentence_transformers.SentenceTransformer(
            str(folder), device=device, model_kwargs={"dtype": getattr(torch, PRECISION)}
        )
        if "text" not in getattr(model, "modalities", ["text"]):
            raise ValueError("no text model")
    except Exception as error:
        # no object has been read yet: the message can only speak of the model
        told = (str(error).splitlines() or [""])[0][:200]
        raise Refusal(
            f"encoder location {location}: this is no sentence-transformers model that can be "
            f"loaded ({type(error).__name__}: {told}); mend or replace the folder"
        ) from None
    libraries = (torch, transformers, sentence_transformers)
    return torch, [f"{it.__name__} {it.__version__}" for it in libraries], model.eval()
