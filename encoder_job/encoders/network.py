"""Networks: torch modules as they are on a GPU, and as ONNX graphs on a CPU.

On a CPU the ONNX Runtime is the faster one and gives the same vectors within rounding; that it
does is measured by the probe before every run. A graph is made once, and kept in the cache
(`EMBEDDING_STORE_CACHE`) by the fingerprint of its encoder and by what made it: the libraries'
versions, and the code of this package.
"""

import contextlib
import hashlib
import os
import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from encoder_job.encoders.base import Inputs, tolerance_of
from encoder_job.identity import canonical_hash
from encoder_job.storage import replace_file

if TYPE_CHECKING:
    import torch

CACHE_VARIABLE = "EMBEDDING_STORE_CACHE"
_DEFAULT_CACHE = "~/.cache/embedding-store"
_OPSET = 17
_PACKAGE = Path(__file__).parent
VECTORS = "vectors"
# contents that share a pass on a GPU: so many images, or texts of so many tokens in all
_IMAGES_ON_A_GPU, _TOKENS_ON_A_GPU = 32, 16_384
# contents that share a pass on a CPU: those that have so many tokens in all. Beyond that MiniLM
# gains little more, and texts of 200 tokens are slower together than alone.
_TOKENS_TOGETHER = 320
# whether company changes a byte is tried with so many texts of each of these numbers of tokens
_TRIED_ROWS, _TRIED_LENGTHS = 4, (1, 7, 20)


@dataclass(frozen=True)
class Stage:
    """A step of a network: a torch module from arrays to arrays, and their names."""

    module: "torch.nn.Module"
    inputs: Sequence[str]
    outputs: Sequence[str] = (VECTORS,)

    def __call__(self, values: dict[str, "torch.Tensor"]) -> dict[str, "torch.Tensor"]:
        """Return the values, and the outputs with them."""
        found = self.module(*(values[name] for name in self.inputs))
        found = found if isinstance(found, tuple) else (found,)
        return values | dict(zip(self.outputs, found, strict=True))


class TorchNetwork:
    """The stages of a network in torch, on a device."""

    def __init__(self, stages: Sequence[Stage], device: str, versions: str) -> None:
        import torch

        self._torch, self._device, self._stages = torch, device, stages
        for stage in stages:
            stage.module.to(device).eval()
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
        values = {
            name: self._torch.from_numpy(array).to(self._device) for name, array in inputs.items()
        }
        with self._torch.inference_mode():
            for stage in self._stages:
                values = stage(values)
            return values[VECTORS].float().cpu().numpy()

    def most_together(self, inputs: Inputs) -> int:
        """Return how many contents of one shape may share a pass."""
        if self.is_cpu:
            return 1
        array = next(iter(inputs.values()))
        if array.ndim > 2:
            return _IMAGES_ON_A_GPU
        return max(1, _TOKENS_ON_A_GPU // max(1, array.size))


def _flat(output: np.ndarray) -> np.ndarray:
    """Return one vector for each content of a network's output."""
    return output.reshape(len(output), -1)


class OnnxNetwork:
    """ONNX graphs on a CPU, one after the other, one thread for each call.

    The first may take contents of equal shape together, the others take each content alone: what a
    transformer does with a token has the same bytes in any company, adding up the tokens has not.
    """

    is_cpu = True

    def __init__(
        self,
        graphs: Sequence[bytes | str],
        made_by: str = "",
        output: str | None = None,
        vectors_of: Callable[[np.ndarray], np.ndarray] = _flat,
    ) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        self._sessions = [
            onnxruntime.InferenceSession(graph, options, ["CPUExecutionProvider"])
            for graph in graphs
        ]
        self.outputs = [node.name for node in self._sessions[-1].get_outputs()]
        self._output, self._vectors_of = output or self.outputs[0], vectors_of
        self.names = [node.name for node in self._sessions[0].get_inputs()]
        versions = f"onnxruntime {onnxruntime.__version__}" + (made_by and f" of {made_by}")
        self.runtime = f"{versions}; {_described('cpu')}"
        self._tokens_together = 1

    def __call__(self, inputs: Inputs) -> np.ndarray:
        """Return vectors (batch, dimensions), float32."""
        first, *others = self._sessions
        if not others:
            output = _run(first, inputs, [self._output])[self._output]
            return self._vectors_of(output).astype(np.float32, copy=False)
        together = _run(first, inputs)
        vectors = []
        for row in range(len(inputs[self.names[0]])):
            values = {name: array[row : row + 1] for name, array in together.items()}
            for session in others:
                values = _run(session, values)
            vectors.append(values[self._output].reshape(-1))
        return np.stack(vectors).astype(np.float32, copy=False)

    def most_together(self, inputs: Inputs) -> int:
        """Return how many contents of one shape may share a pass."""
        return max(1, self._tokens_together // max(1, inputs[self.names[0]].size))

    def share_passes(self, example: Inputs) -> None:
        """Let short texts of equal length share passes, if that changes no byte on this machine."""
        with contextlib.suppress(Exception):
            if all(self._is_exact_together(example, length) for length in _TRIED_LENGTHS):
                self._tokens_together = _TOKENS_TOGETHER

    def _is_exact_together(self, example: Inputs, length: int) -> bool:
        rows = [
            {
                name: np.resize(np.roll(array, shift, axis=1), (1, length))
                for name, array in example.items()
            }
            for shift in range(_TRIED_ROWS)
        ]
        together = self({name: np.concatenate([row[name] for row in rows]) for name in example})
        return together.tobytes() == np.concatenate([self(row) for row in rows]).tobytes()


def _run(session: Any, values: Inputs, names: list[str] | None = None) -> Inputs:
    """Return the values, and the outputs of these names, or all, with them."""
    inputs = {node.name: values[node.name] for node in session.get_inputs()}
    names = names or [node.name for node in session.get_outputs()]
    return values | dict(zip(names, session.run(names, inputs), strict=True))


def best_device() -> str:
    """Return the device to compute on: CUDA, MPS or the CPU."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def network_of(
    stages: Sequence[Stage],
    example: Inputs,
    fingerprint: str,
    libraries: list[ModuleType],
    axes: dict[str, dict[int, str]],
) -> TorchNetwork | OnnxNetwork:
    """Return the fastest exact way to run some stages here.

    `axes` names the dimensions that change from one content to the next, `libraries` what the
    modules were made with. What cannot be exported runs in torch.
    """
    device = best_device()
    versions = ", ".join(f"{library.__name__} {library.__version__}" for library in libraries)
    torch_network = TorchNetwork(stages, device, versions)
    if device != "cpu":
        return torch_network
    paths = [_cached(fingerprint, versions, stage) for stage in stages]
    try:
        found = _onnx_network(paths, stages, example, versions, axes)
        _check_export(found(example), torch_network(example))
    except Exception:
        # nothing has been read yet; the runtime that is recorded tells which way was taken
        return torch_network
    if len(stages) > 1:
        found.share_passes(example)
    return found


def _onnx_network(
    paths: list[Path],
    stages: Sequence[Stage],
    example: Inputs,
    versions: str,
    axes: dict[str, dict[int, str]],
) -> OnnxNetwork:
    """Read the graphs of some stages, or make and keep them."""
    with contextlib.suppress(Exception):
        return OnnxNetwork([path.read_bytes() for path in paths], versions)
    graphs = _exported(stages, example, axes)
    found = OnnxNetwork(graphs, versions)
    with contextlib.suppress(OSError):
        for path, graph in zip(paths, graphs, strict=True):
            replace_file(path, graph)
    return found


def _check_export(exported: np.ndarray, original: np.ndarray) -> None:
    """Raise ValueError for a graph that computes something else: a probe would make it the rule."""
    off = float(np.abs(exported - original).max())
    if not off <= tolerance_of(original):
        raise ValueError("the exported graph computes something else")


def _described(device: str) -> str:
    import torch

    is_cpu = device == "cpu"
    return f"device {device}" + (f" {torch.backends.cpu.get_cpu_capability()}" if is_cpu else "")


def _cached(fingerprint: str, versions: str, stage: Stage) -> Path:
    import onnxruntime

    names = [list(stage.inputs), list(stage.outputs)]
    made_by = canonical_hash([versions, onnxruntime.__version__, names, _code()])
    folder = Path(os.environ.get(CACHE_VARIABLE, _DEFAULT_CACHE)).expanduser()
    return folder / "graphs" / f"{fingerprint}-{made_by}.onnx"


def _code() -> dict[str, str]:
    """Hash what puts modules together and exports them: another way makes another graph."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in _PACKAGE.glob("*.py")
    }


def _exported(
    stages: Sequence[Stage], example: Inputs, axes: dict[str, dict[int, str]]
) -> list[bytes]:
    """Export each stage. The runtime fuses what repeats as it reads a graph, and well enough."""
    import torch

    values, graphs = {name: torch.from_numpy(array) for name, array in example.items()}, []
    with tempfile.TemporaryDirectory() as folder, Path(os.devnull).open("w") as nowhere:
        path = Path(folder, "exported.onnx")
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(nowhere),
            contextlib.redirect_stderr(nowhere),
        ):
            warnings.simplefilter("ignore")
            for stage in stages:
                torch.onnx.export(
                    stage.module,
                    tuple(values[name] for name in stage.inputs),
                    str(path),
                    input_names=list(stage.inputs),
                    output_names=list(stage.outputs),
                    dynamic_axes={
                        name: axes[name] for name in (*stage.inputs, *stage.outputs) if name in axes
                    },
                    opset_version=_OPSET,
                    dynamo=False,
                )
                graphs.append(path.read_bytes())
                # tensors made in inference mode could not be traced
                with torch.no_grad():
                    values = stage(values)
    return graphs
