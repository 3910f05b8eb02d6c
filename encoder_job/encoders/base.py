"""What every encoder has in common: contents are prepared, then go through a network."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Protocol

import joblib
import numpy as np

# numpy arrays by the name of the network's input; the first dimension is the batch's, and 1
Inputs = dict[str, np.ndarray]
PRECISION = "float32"
_TOLERANCE = 1e-5
_MOST_WORKERS = 8
# far more than any model takes: the tokens of a hundred megabytes would fill gigabytes, also where
# they are a single word that none of its vocabulary is in
_BEGINNING = 1_000_000


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


def tokenized(text: str, tokens_of: Callable[[str], Prepared]) -> Prepared:
    """Return the tokens of a text, of a giant one those of its beginning."""
    if len(text) > _BEGINNING:
        text = text.lstrip()
    beginning = tokens_of(text[:_BEGINNING])
    return beginning if len(text) <= _BEGINNING else replace(beginning, is_truncated=True)


class Network(Protocol):
    """A function on arrays, safe to call from several threads."""

    runtime: str
    is_cpu: bool

    def __call__(self, inputs: Inputs) -> np.ndarray:
        """Return vectors (batch, dimensions), float32."""

    def most_together(self, inputs: Inputs) -> int:
        """Return how many contents of one shape may share a call, given the inputs of one."""


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

    Only those of exactly equal shape share a batch: nothing is padded. On a CPU each batch stays
    on one thread, and contents share one only where that changes no byte of their vectors.
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
            results = list(pool.map(self._begun, contents))
            batches = list(_alike(results, self.network.most_together))
            members = [[results[position] for position in positions] for positions in batches]
            # a device takes one batch after the other
            each = pool.map if self.network.is_cpu else map
            for positions, found in zip(batches, each(self._together, members), strict=True):
                for position, result in zip(positions, found, strict=True):
                    results[position] = result
        return results

    def _begun(self, content: str | bytes) -> Prepared | Encoded | str:
        """Prepare a content; what can share no batch is encoded at once, and need not be held."""
        try:
            prepared = self._prepare(content)
        except ContentFault as fault:
            return str(fault)
        # an array without a dimension for the batch would mix its neighbours' numbers
        has_batch = all(it.ndim > 1 and len(it) == 1 for it in prepared.inputs.values())
        if has_batch and self.network.most_together(prepared.inputs) > 1:
            return prepared
        return self._together([prepared])[0]

    def _together(self, batch: list[Prepared]) -> list[Encoded | str]:
        joined = {
            name: np.concatenate([prepared.inputs[name] for prepared in batch])
            for name in batch[0].inputs
        }
        return [
            _encoded(prepared, vector)
            for prepared, vector in zip(batch, self.network(joined), strict=True)
        ]


def tolerance_of(vectors: np.ndarray) -> float:
    """Return how far an element may be off: of larger ones than 1 in proportion to the largest."""
    return _TOLERANCE * max(1.0, float(np.abs(vectors).max()))


def _alike(
    items: Sequence[Prepared | Encoded | str], most_together: Callable[[Inputs], int]
) -> Iterator[list[int]]:
    """Yield the positions of what shares a batch."""
    groups = defaultdict(list)
    for position, item in enumerate(items):
        if isinstance(item, Prepared):
            shapes = tuple(sorted((name, array.shape) for name, array in item.inputs.items()))
            groups[shapes].append(position)
    for positions in groups.values():
        most = most_together(items[positions[0]].inputs)
        yield from (positions[start : start + most] for start in range(0, len(positions), most))


def _encoded(prepared: Prepared, vector: np.ndarray) -> Encoded | str:
    if not np.isfinite(vector).all():
        return "vector_not_finite"
    return Encoded(vector, prepared.token_count, prepared.is_truncated)
