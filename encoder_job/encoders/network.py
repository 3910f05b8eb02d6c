"""Networks: a torch module as it is on a GPU, and as a fused ONNX graph on a CPU.

On a CPU the ONNX Runtime is the faster one and gives the same vectors within rounding; that it
does is measured by the probe before every run. A graph is made once, and kept by the fingerprint
of its encoder in the cache (`EMBEDDING_STORE_CACHE`).
"""

import contextlib
import os
import tempfile
import warnings
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from encoder_job.encoders.base import Inputs
from encoder_job.folder_landing import replace_file
from encoder_job.identity import canonical_hash

if TYPE_CHECKING:
    import torch

CACHE_VARIABLE = "EMBEDDING_STORE_CACHE"
_DEFAULT_CACHE = "~/.cache/embedding-store"
_OPSET = 17
_OUTPUT = "vectors"


class TorchNetwork:
    """A torch module on a device. It takes tensors in the order of the inputs' names."""

    def __init__(
        self, module: "torch.nn.Module", names: list[str], device: str, versions: str
    ) -> None:
        import torch

        self._torch, self._names, self._device = torch, names, device
        self._module = module.to(device).eval()
        self.is_cpu = device == "cpu"
        if self.is_cpu:
            # within one content more threads change the bytes; beside each other contents do not
            torch.set_num_threads(1)
        if device == "cuda":
            # full precision, as the fingerprint says: by default convolutions have ten bits of it
            torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
        self.runtime = f"{versions}; {_described(device)}"

    def __call__(self, inputs: Inputs) -> np.ndarray:
        """Return vectors (batch, dimensions), float32."""
        tensors = [self._torch.from_numpy(inputs[name]).to(self._device) for name in self._names]
        with self._torch.inference_mode():
            return self._module(*tensors).float().cpu().numpy()


class OnnxNetwork:
    """An ONNX graph on a CPU, one thread for each call."""

    is_cpu = True

    def __init__(self, graph: bytes | str, made_by: str = "", output: str | None = None) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        self._session = onnxruntime.InferenceSession(graph, options, ["CPUExecutionProvider"])
        self._outputs = [output or self._session.get_outputs()[0].name]
        self.names = [node.name for node in self._session.get_inputs()]
        versions = f"onnxruntime {onnxruntime.__version__}" + (made_by and f" of {made_by}")
        self.runtime = f"{versions}; {_described('cpu')}"

    def __call__(self, inputs: Inputs) -> np.ndarray:
        """Return vectors (batch, dimensions), float32."""
        (vectors,) = self._session.run(self._outputs, {name: inputs[name] for name in self.names})
        return vectors.reshape(len(vectors), -1).astype(np.float32, copy=False)


def best_device() -> str:
    """Return the device to compute on: CUDA, MPS or the CPU."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def network_of(
    module: "torch.nn.Module",
    example: Inputs,
    fingerprint: str,
    axes: dict[str, dict[int, str]],
    libraries: list[ModuleType],
) -> TorchNetwork | OnnxNetwork:
    """Return the fastest exact way to run a module here.

    `axes` names the dimensions that change from one content to the next, `libraries` what the
    module was made with. A module that cannot be exported runs in torch.
    """
    device = best_device()
    versions = ", ".join(f"{library.__name__} {library.__version__}" for library in libraries)
    torch_network = TorchNetwork(module, list(example), device, versions)
    if device != "cpu":
        return torch_network
    path = _cached(fingerprint, versions)
    with contextlib.suppress(Exception):
        return OnnxNetwork(path.read_bytes(), versions)
    try:
        graph = _exported(module, example, axes)
        found = OnnxNetwork(graph, versions)
    except Exception:
        # nothing has been read yet; the runtime that is recorded tells which way was taken
        return torch_network
    with contextlib.suppress(OSError):
        replace_file(path, graph)
    return found


def _described(device: str) -> str:
    import torch

    is_cpu = device == "cpu"
    return f"device {device}" + (f" {torch.backends.cpu.get_cpu_capability()}" if is_cpu else "")


def _cached(fingerprint: str, versions: str) -> Path:
    import onnxruntime

    made_by = canonical_hash([versions, onnxruntime.__version__, _OPSET])
    folder = Path(os.environ.get(CACHE_VARIABLE, _DEFAULT_CACHE)).expanduser()
    return folder / "graphs" / f"{fingerprint}-{made_by}.onnx"


def _exported(module: "torch.nn.Module", example: Inputs, axes: dict[str, dict[int, str]]) -> bytes:
    """Export a module, and fuse what a transformer repeats, with ONNX Runtime's own optimizer."""
    import torch

    with tempfile.TemporaryDirectory() as folder, Path(os.devnull).open("w") as nowhere:
        path = Path(folder, "exported.onnx")
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(nowhere),
            contextlib.redirect_stderr(nowhere),
        ):
            warnings.simplefilter("ignore")
            torch.onnx.export(
                module,
                tuple(torch.from_numpy(array) for array in example.values()),
                str(path),
                input_names=list(example),
                output_names=[_OUTPUT],
                dynamic_axes=axes,
                opset_version=_OPSET,
                dynamo=False,
            )
            with contextlib.suppress(Exception):
                _fuse(path)
        return path.read_bytes()


def _fuse(path: Path) -> None:
    from onnxruntime.transformers import optimizer

    fused: Any = optimizer.optimize_model(str(path), model_type="bert", opt_level=0)
    fused.save_model_to_file(str(path))
