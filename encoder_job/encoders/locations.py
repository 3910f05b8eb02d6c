"""Where an encoder lies: a path, a package, or the hub."""

import contextlib
import importlib.util
import os
import re
from pathlib import Path

from encoder_job.errors import Refusal

_HUB_ID = re.compile(r"[\w-][\w.-]*(/[\w.-]+)?(@[\w.-]+)?")


def path_of(location: str, project_dir: Path, *, is_on_hub: bool = False) -> Path:
    """Find the file or folder that a location names; only a hub id may touch the network."""
    if location.startswith("package:"):
        module, _, inside = location.removeprefix("package:").partition("/")
        try:
            found = importlib.util.find_spec(module)
        except (ImportError, ValueError):
            found = None
        if found is None or not found.submodule_search_locations:
            raise Refusal(f"encoder location {location}: package {module} is missing; install it")
        path = Path(found.submodule_search_locations[0], inside)
    else:
        path = project_dir / location
        if is_on_hub and not path.exists() and _HUB_ID.fullmatch(location):
            return _from_hub(location)
    if not path.exists():
        raise Refusal(
            f"encoder location {location}: there is no such file or folder; correct the location"
        )
    os.environ["HF_HUB_OFFLINE"] = "1"
    return path


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


def unloadable(location: str, what: str, error: Exception) -> Refusal:
    """Say that a location holds no model that can be loaded.

    Only a refusal of our own code is quoted: what a library says of a model can hold anything.
    """
    if isinstance(error, Refusal):
        return Refusal(
            f"encoder location {location}: this is no {what} that can be loaded: {error}"
        )
    return Refusal(
        f"encoder location {location}: this is no {what} that can be loaded "
        f"({type(error).__name__}; its message is withheld, load the model with its library alone "
        "to read it); correct the location or the loader, or replace the model"
    )
