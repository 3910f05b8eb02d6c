"""What every encoder has in common: contents are prepared, then go through a network."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain
from typing import Protocol

import joblib
import numpy as np

# numpy arrays by the name of the network's input; the first dimension is the batch's, and 1
Inputs = dict[str, np.ndarray]
PRECISION = "float32"
_TOLERANCE = 1e-5
_MOST_WORKERS = 8
# a device is fast enough to wait for so many more texts, of which more have one length
_DEVICE_BATCH_FACTOR = 16
# far more than any model takes: the tokens of a hundred megabytes would fill gigabytes, also where
# they are a single word that none of its vocabulary is in
_BEGINNING = 1_000_000
# texts that are tokenized at once: each alone takes three times as long. Of long ones fewer.
_HANDFUL, _HANDFUL_LENGTH = 32, 100_000


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


def tokenized(
    texts: Sequence[str], tokens_of: Callable[[list[str]], list[Prepared]]
) -> list[Prepared]:
    """Return the tokens of some texts, of a giant one those of its beginning."""
    texts = [text.lstrip() if len(text) > _BEGINNING else text for text in texts]
    beginnings = tokens_of([text[:_BEGINNING] for text in texts])
    return [
        beginning if len(text) <= _BEGINNING else replace(beginning, is_truncated=True)
        for text, beginning in zip(texts, beginnings, strict=True)
    ]


# contents to what enters a network, or to a reason code
Prepare = Callable[[Sequence[str | bytes]], list[Prepared | str]]


class Network(Protocol):
    """A function on arrays, safe to call from several threads."""

    runtime: str
    is_cpu: bool

    def __call__(self, inputs: Inputs) -> np.ndarray:
        """Return vectors (batch, dimensions), float32."""

    def most_together(self, inputs: Inputs) -> int:
        """Return how many contents of one shape may share a call, given the inputs of one."""


class Encoder:
    """Prepares contents, and sends them through a network while the next are prepared.

    Only those of exactly equal shape share a pass: nothing is padded. On a CPU each pass stays
    on one thread, and contents share one only where that changes no byte of their vectors.
    """

    def __init__(self, modality: str, fingerprint: str, prepare: Prepare, network: Network) -> None:
        self.modality, self.fingerprint, self.runtime = modality, fingerprint, network.runtime
        self.network, self._prepare, self._is_text = network, prepare, modality == "text"
        # whether company changes no byte of a vector
        self.is_exact = network.is_cpu
        # contents that are encoded side by side
        self.workers = min(joblib.cpu_count(), _MOST_WORKERS)
        # so many times more contents at once are better: more of them have equal shapes
        self.batch_factor = _DEVICE_BATCH_FACTOR if self._is_text and not network.is_cpu else 1

    def encode(self, contents: Sequence[str | bytes]) -> list[Encoded | str]:
        """Return a vector, or a reason code, for each content, in order."""
        results: dict[int, Encoded | str] = {}
        with ThreadPoolExecutor(self.workers) as pool, ThreadPoolExecutor(1) as device:
            if self._is_text:
                # little of the work, and one thread's
                begun = chain.from_iterable(map(self._prepare, _handfuls(contents)))
            else:
                begun = pool.map(self._begun, contents)
            network = pool if self.network.is_cpu else device
            # begins each pass as it comes, and none after one has failed
            for found in network.map(self._encoded_group, self._alike(begun, results)):
                results.update(found)
        return [results[position] for position in range(len(contents))]

    def _begun(self, image: bytes) -> Prepared | Encoded | str:
        """Prepare an image; one that shares no pass is encoded at once, and need not be held."""
        (prepared,) = self._prepare([image])
        if isinstance(prepared, str) or self._most_together(prepared) > 1:
            return prepared
        return self._together([prepared])[0]

    def _alike(
        self, begun: Iterable[Prepared | Encoded | str], results: dict[int, Encoded | str]
    ) -> Iterator[dict[int, Prepared]]:
        """Yield what shares a pass, by its position, as soon as it can; keep other results."""
        groups = defaultdict(dict)
        for position, item in enumerate(begun):
            if isinstance(item, Prepared):
                shapes = tuple(sorted((name, array.shape) for name, array in item.inputs.items()))
                groups[shapes][position] = item
                if len(groups[shapes]) >= self._most_together(item):
                    yield groups.pop(shapes)
            else:
                results[position] = item
        yield from groups.values()

    def _most_together(self, prepared: Prepared) -> int:
        # an array without a dimension for the batch would mix its neighbours' numbers
        has_batch = all(it.ndim > 1 and len(it) == 1 for it in prepared.inputs.values())
        return self.network.most_together(prepared.inputs) if has_batch else 1

    def _encoded_group(self, group: dict[int, Prepared]) -> dict[int, Encoded | str]:
        return dict(zip(group, self._together(list(group.values())), strict=True))

    def _together(self, batch: list[Prepared]) -> list[Encoded | str]:
        joined = {
            name: np.concatenate([prepared.inputs[name] for prepared in batch])
            for name in batch[0].inputs
        }
        return [
            _encoded(prepared, vector)
            for prepared, vector in zip(batch, self.network(joined), strict=True)
        ]


def _handfuls(texts: Sequence[str]) -> Iterator[list[str]]:
    """Yield the texts that are tokenized at once."""
    handful, longest = [], 0
    for text in texts:
        longest = max(longest, len(text))
        # each is filled up to the longest
        if handful and (len(handful) == _HANDFUL or (len(handful) + 1) * longest > _HANDFUL_LENGTH):
            yield handful
            handful, longest = [], len(text)
        handful.append(text)
    if handful:
        yield handful


def tolerance_of(vectors: np.ndarray) -> float:
    """Return how far an element may be off: of larger ones than 1 in proportion to the largest."""
    return _TOLERANCE * max(1.0, float(np.abs(vectors).max()))


def _encoded(prepared: Prepared, vector: np.ndarray) -> Encoded | str:
    if not np.isfinite(vector).all():
        return "vector_not_finite"
    return Encoded(vector, prepared.token_count, prepared.is_truncated)
