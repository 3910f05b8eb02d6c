"""The identity of an encoder: a hash of all that changes the meaning of its numbers.

It is made of what was *given* (weights as loaded, tokenizer and settings as stored), so it is the
same on every device, with every library version and wherever the folder lies. How a library acts
on it, and where a loader takes an image's features, is not part of it: that is what the probe
measures.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from encoder_job.encoders.base import PRECISION
from encoder_job.identity import canonical_hash

# the files of a sentence-transformers folder that say how its weights are used
_SETTINGS = (
    "modules.json",
    "config.json",
    "config_sentence_transformers.json",
    "sentence_*_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "whitespacetokenizer_config.json",
    "phrasetokenizer_config.json",
    "chat_template.jinja",
    "wordembedding_config.json",
    "cnn_config.json",
    "lstm_config.json",
    "adapter_config.json",
    "router_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "*.model",
)
# versions, origins and run-time states: they change without changing the meaning
_VOLATILE = {
    "__version__",
    "_name_or_path",
    "name_or_path",
    "base_model_name_or_path",
    "tokenizer_file",
    "transformers_version",
    "peft_version",
    "torch_dtype",
    "dtype",
    "use_cache",
    "gradient_checkpointing",
}


def of_sentence_transformer(model: Any, folder: Path) -> str:
    """Hash a loaded sentence-transformers model and the settings in its folder."""
    return canonical_hash(
        {
            "tensors": [
                [position, *row]
                for position, module in enumerate(model)
                for row in _tensors(module)
            ],
            "settings": _settings(folder),
            "modules": [type(module).__name__ for module in model],
            "max_seq_length": model.max_seq_length,
            "prompts": {name: text for name, text in sorted(model.prompts.items()) if text},
            "default_prompt_name": model.default_prompt_name,
            "precision": PRECISION,
            "protection": "none",
        }
    )


def of_image_model(module: Any, preprocessing: dict) -> str:
    """Hash a loaded torch module and how an image becomes its input."""
    return canonical_hash(
        {
            "tensors": _tensors(module),
            "module": type(module).__name__,
            "preprocessing": preprocessing,
            "precision": PRECISION,
            "protection": "none",
        }
    )


def of_onnx_folder(folder: Path) -> str:
    """Hash every file in a folder: weights may lie in any of them."""
    digests = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            digests[path.relative_to(folder).as_posix()] = digest
    return canonical_hash({"files": digests, "precision": PRECISION, "protection": "none"})


def _tensors(module: Any) -> list[list]:
    """Every weight of a module by name, type, shape and bytes."""
    rows = []
    for name, tensor in sorted(module.state_dict().items()):
        if name.endswith(("position_ids", "token_type_ids")):
            continue  # constants that some library versions store and others make
        array = tensor.detach().cpu().contiguous().numpy()
        name = name.removeprefix("auto_model.").removeprefix("model.")
        digest = hashlib.sha256(array.tobytes()).hexdigest()
        rows.append([name, str(array.dtype), list(array.shape), digest])
    return rows


def _settings(folder: Path) -> dict[str, object]:
    listed = folder / "modules.json"
    paths = [entry["path"] for entry in json.loads(listed.read_text())] if listed.is_file() else []
    found = {}
    for place in sorted({"", *paths}):
        for pattern in _SETTINGS:
            for file in sorted((folder / place).glob(pattern)):
                found[f"{place}/{file.name}"] = _setting(file)
    return found


def _setting(file: Path) -> object:
    if file.suffix != ".json":
        return hashlib.sha256(file.read_bytes()).hexdigest()
    value = json.loads(file.read_text(encoding="utf-8"))
    if file.name == "modules.json":
        # the class's module moved between library versions, the class did not
        return [[entry["path"], entry["type"].rpartition(".")[2]] for entry in value]
    if isinstance(value, dict):
        drop = _VOLATILE | ({"padding", "truncation"} if file.name == "tokenizer.json" else set())
        value = {key: entry for key, entry in value.items() if key not in drop}
        if file.name == "tokenizer.json":
            return canonical_hash(value)
    return value
