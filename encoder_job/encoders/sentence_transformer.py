"""Any text model of sentence-transformers, from a folder, a package or the hub."""

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from encoder_job.encoders.base import PRECISION, Encoder, Inputs, Prepared, tokenized
from encoder_job.encoders.fingerprint import of_sentence_transformer
from encoder_job.encoders.locations import path_of, unloadable
from encoder_job.encoders.network import Stage, network_of
from encoder_job.encoders.torch_libraries import sentence_transformers
from encoder_job.errors import Refusal

_VECTOR, _EXAMPLE = "sentence_embedding", "a text of some tokens"
# of several lengths: a model may want every text filled up to one, or to a multiple of some
_TRIED = ("a", "a text", "a text of", _EXAMPLE)


def load(location: str, project_dir: Path) -> Encoder:
    """Load a model; refuse what is none, or none for texts."""
    folder = path_of(location, project_dir, is_on_hub=True)
    model, libraries = _load(location, folder)
    fingerprint = of_sentence_transformer(model, folder)
    tokens = Tokens(model)
    (prepared,) = tokens([_EXAMPLE])
    example = prepared.inputs
    stages, axes = _stages(model, example)
    network = network_of(stages, example, fingerprint, libraries, axes)
    return Encoder("text", fingerprint, tokens, network)


class Tokens:
    """Turns texts into the tokens that enter a model."""

    def __init__(self, model: Any) -> None:
        self._model, self._limit = model, model.max_seq_length
        self._prompt = model.prompts.get(model.default_prompt_name or "", "") or None
        self._has_whole_masks = all(map(self._is_whole, _TRIED))

    def __call__(self, texts: Sequence[str]) -> list[Prepared]:
        """Return of each text the tokens, their number, and whether some did not fit."""
        return tokenized(texts, self._tokens_of)

    def _is_whole(self, text: str) -> bool:
        """Tell whether a mask covers all of a text; of several it then tells what fills them up."""
        arrays = self._arrays([text])
        mask = arrays.get("attention_mask", np.zeros(0))
        return bool(mask.all()) and all(it.shape == mask.shape for it in arrays.values())

    def _tokens_of(self, texts: list[str]) -> list[Prepared]:
        if self._has_whole_masks:
            arrays = self._arrays(texts)
            alone = (
                {name: array[row : row + 1, is_token] for name, array in arrays.items()}
                for row, is_token in enumerate(arrays["attention_mask"].astype(bool))
            )
        else:
            alone = (self._arrays([text]) for text in texts)
        return [self._prepared(text, inputs) for text, inputs in zip(texts, alone, strict=True)]

    def _arrays(self, texts: list[str]) -> Inputs:
        import torch

        found = self._model.preprocess(texts, prompt=self._prompt)
        return {name: value.numpy() for name, value in found.items() if torch.is_tensor(value)}

    def _prepared(self, text: str, inputs: Inputs) -> Prepared:
        count = inputs["input_ids"].size
        is_cut = (
            self._limit is not None and count >= self._limit and self._whole(text) > self._limit
        )
        return Prepared(inputs, count, is_cut)

    def _whole(self, text: str) -> int:
        whole = (self._prompt or "") + text
        tokens = self._model.tokenizer(whole, truncation=False, padding=False, verbose=False)
        return len(tokens["input_ids"])


def _stages(model: Any, example: Inputs) -> tuple[list[Stage], dict[str, dict[int, str]]]:
    """Cut a model between the transformer and what makes one vector of its tokens.

    Returns both parts, and the dimensions of their arrays that change from text to text. A model
    of another shape is one part.
    """
    import torch

    class Part(torch.nn.Module):
        """Some modules of the model as a function of tensors."""

        def __init__(self, modules: list[torch.nn.Module], inputs: list[str], outputs: list[str]):
            super().__init__()
            self.parts = torch.nn.ModuleList(modules)
            self.inputs, self.outputs = inputs, outputs

        def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
            features = dict(zip(self.inputs, tensors, strict=True))
            for part in self.parts:
                features = part(features)
            return tuple(features[name] for name in self.outputs)

    given = {name: torch.from_numpy(array) for name, array in example.items()}
    first, *others = model.children()
    with torch.no_grad():
        features = first(dict(given))
    added = {name: value for name, value in features.items() if value is not given.get(name)}
    is_transformer = (
        "token_embeddings" in added
        and _VECTOR not in added
        and all(_is_one_text(value) for value in (given | added).values())
    )
    if is_transformer:
        whole = given | added
        stages = [
            Stage(Part([first], list(given), list(added)), list(given), list(added)),
            Stage(Part(others, list(whole), [_VECTOR]), list(whole)),
        ]
    else:
        whole, stages = given, [Stage(Part([model], list(given), [_VECTOR]), list(given))]
    axes = {
        name: {axis: f"{name}_{axis}" for axis in range(min(2, tensor.ndim))}
        for name, tensor in whole.items()
    }
    return stages, axes


def _is_one_text(value: Any) -> bool:
    import torch

    return torch.is_tensor(value) and value.ndim > 1 and len(value) == 1


def _load(location: str, folder: Path) -> tuple[Any, list[ModuleType]]:
    """Import the heavy libraries, quietly, and load the model in full precision."""
    try:
        library = sentence_transformers()
        import torch
        import transformers

        transformers.logging.set_verbosity(transformers.logging.CRITICAL)
        transformers.logging.disable_progress_bar()
        options = {"dtype": getattr(torch, PRECISION)}
        model = library.SentenceTransformer(str(folder), device="cpu", model_kwargs=options)
        if "text" not in getattr(model, "modalities", ["text"]):
            raise Refusal("it is none for texts; choose another model")
        if model.prompts.get(model.default_prompt_name or "") and not all(
            getattr(module, "include_prompt", True) for module in model
        ):
            raise Refusal("it leaves its prompt out of its vectors; choose another model")
    except Exception as error:
        raise unloadable(location, "sentence-transformers model", error) from None
    return model.eval(), [torch, transformers, library]
