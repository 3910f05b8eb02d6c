"""Encoding speed of the job beside sentence-transformers' own `encode`, in one process, in turn.

Prints ratios: times of one machine mean nothing on another. Both use the same model, texts and
cores; what differs is that the job pads nothing, so that a vector never depends on its neighbours.
"""

import time
from collections.abc import Callable
from pathlib import Path

import joblib
import numpy as np
import pyarrow.parquet as pq
import torch

from encoder_job.encoders import load_encoder
from encoder_job.registry import Registry

MANIFEST = Path("sample/objects.parquet")
TEXTS, ROUNDS = 512, 5


def seconds(function: Callable[[], np.ndarray]) -> tuple[float, np.ndarray]:
    """Return the wall time of a call, and its result."""
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def main() -> None:
    """Time both ways and print their ratio."""
    texts = pq.read_table(MANIFEST, columns=["content"])["content"].to_pylist()[:TEXTS]
    row = Registry(Path()).active("text")
    encoder = load_encoder(row.loader, row.location, Path())
    library = encoder._model

    def job() -> np.ndarray:
        torch.set_num_threads(1)
        return np.stack([result.vector for result in encoder.encode(texts)])

    def encode() -> np.ndarray:
        torch.set_num_threads(joblib.cpu_count())
        return library.encode(texts, batch_size=32, show_progress_bar=False)

    job(), encode()
    times = [(seconds(job), seconds(encode)) for _ in range(ROUNDS)]
    ratios = [theirs[0] / ours[0] for ours, theirs in times]
    (_, ours), (_, theirs) = times[-1]
    print(f"{TEXTS} texts, {joblib.cpu_count()} cores, {ROUNDS} rounds in turn")
    print(
        f"job / sentence-transformers' encode, texts per second: {np.median(ratios):.2f} ", end=""
    )
    print(f"(from {min(ratios):.2f} to {max(ratios):.2f})")
    print(f"largest difference of a vector's element: {np.abs(ours - theirs).max():.1e}")
    alone = np.stack([encoder.encode([text])[0].vector for text in texts[:32]])
    print(f"bytes of 32 vectors encoded alone and among {TEXTS}: ", end="")
    print("equal" if alone.tobytes() == ours[:32].tobytes() else "DIFFERENT")


if __name__ == "__main__":
    main()
