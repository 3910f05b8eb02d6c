"""What every encoder has in common: contents are prepared, then go through a network."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import joblib
import numpy as np

# numpy arrays by the name of the network's input; the first dimension is the batch's, and 1
Inputs = dict[str, np.ndarray]
PRECISION = "float32"
_MOST_WORKERS = 8
# inputs that share a forward pass, and contents that are held prepared
_GROUP, _CHUNK = 32, 256


class ContentFault(Exception):  # noqa: N818 - a fault of the data, not of the program
    """A content that cannot be encoded: its reason code, and nothing of the content."""


@dataclass(frozen=True)
class Encoded:
    """A content's vector; of a text the tokens that entered, and whether some did not fit."""

    vector: np.ndarray
    token_count: int | None = None
    is_truncated: bool = False


@dataclass(frozen=True)
class Prepared:
    """A content as a network takes it."""

    inputs: Inputs
    token_count: int | None = None
    is_truncated: bool = False


class Network(Protocol):
    """A function on arrays, safe to call from several threads."""

    runtime: str
    is_cpu: bool

    def __call__(self, inputs: Inputs) -> np.ndarray:
        """Return vectors (batch, dimensions), float32."""


class Encoder(Protocol):
    """What the runner needs of an encoder."""

    modality: str
    fingerprint: str
    runtime: str
    # contents that are encoded side by side
    workers: int
    # whether company changes no byte of a vector
    is_exact: bool

    def encode(self, contents: Sequence[str | bytes]) -> list[Encoded | str]:
        """Return a vector, or a reason code, for each content, in order."""


class NetworkEncoder:
    """Prepares contents side by side, and sends them through a network.

    On a CPU each goes alone, on one thread, so that its vector cannot depend on the others. On
    other devices those of exactly equal shape share a batch: nothing is padded.
    """

    def __init__(
        self,
        modality: str,
        fingerprint: str,
        prepare: Callable[[str | bytes], Prepared],
        network: Network,
    ) -> None:
        self.modality, self.fingerprint, self.runtime = modality, fingerprint, network.runtime
        self.network, self.is_exact = network, network.is_cpu
        self.workers = min(joblib.cpu_count(), _MOST_WORKERS)
        self._prepare = prepare

    def encode(self, contents: Sequence[str | bytes]) -> list[Encoded | str]:
        """Return a vector, or a reason code, for each content, in order."""
        with ThreadPoolExecutor(self.workers) as pool:
            if self.network.is_cpu:
                return list(pool.map(self._alone, contents))
            chunks = range(0, len(contents), _CHUNK)
            return [
                result
                for start in chunks
                for result in self._together(contents[start : start + _CHUNK], pool)
            ]

    def _together(
        self, contents: Sequence[str | bytes], pool: ThreadPoolExecutor
    ) -> list[Encoded | str]:
        prepared = list(pool.map(self._prepared, contents))
        results: list[Encoded | str] = [it if isinstance(it, str) else "" for it in prepared]
        for positions in _alike(prepared):
            together = [prepared[position] for position in positions]
            names = together[0].inputs
            joined = {name: np.concatenate([it.inputs[name] for it in together]) for name in names}
            for position, vector in zip(positions, self.network(joined), strict=True):
                results[position] = _encoded(prepared[position], vector)
        return results

    def _prepared(self, content: str | bytes) -> Prepared | str:
        try:
            return self._prepare(content)
        except ContentFault as fault:
            return str(fault)

    def _alone(self, content: str | bytes) -> Encoded | str:
        prepared = self._prepared(content)
        if isinstance(prepared, str):
            return prepared
        return _encoded(prepared, self.network(prepared.inputs)[0])


def encode_each(encoder: Encoder, contents: Sequence[str | bytes]) -> list[Encoded | str]:
    """Encode; a content on which the encoder fails gives a reason code, its neighbours vectors.

    The exception is dropped here, whole: its message and its frames can hold the content.
    """
    try:
        return encoder.encode(contents)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:
        # a panic of a library in Rust is no Exception
        if len(contents) == 1:
            return ["encoder_error"]
    half = len(contents) // 2
    return encode_each(encoder, contents[:half]) + encode_each(encoder, contents[half:])


def _alike(prepared: Sequence[Prepared | str]) -> Iterator[list[int]]:
    """Yield the positions of what may share a forward pass."""
    groups = defaultdict(list)
    for position, item in enumerate(prepared):
        if not isinstance(item, str):
            shapes = tuple(sorted((name, array.shape) for name, array in item.inputs.items()))
            groups[shapes].append(position)
    for positions in groups.values():
        yield from (positions[start : start + _GROUP] for start in range(0, len(positions), _GROUP))


def _encoded(prepared: Prepared, vector: np.ndarray) -> Encoded | str:
    if not np.isfinite(vector).all():
        return "vector_not_finite"
    return Encoded(vector, prepared.token_count, prepared.is_truncated)
