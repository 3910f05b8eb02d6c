"""Encoding by the job beside what one would write instead, on one core and on two.

Texts: sentence-transformers' own `encode`, and on a CPU the bare matrix products of all their
tokens, which no exact way can do without. Images: open, transform and run each, as torchvision's
examples do, in torch. All use a GPU where there is one. Every way and number of cores is a process
of its own, one after the other in turn, so that each has a peak of memory; a way is timed after it
has warmed up. Prints ratios: times of one machine mean nothing on another.
"""

import argparse
import io
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

ROUNDS, CORES = 3, (1, 2)
COUNTS = {"text": 512, "letter": 256, "image": 256}
WAYS = ("job", "plain")
# rows of a matrix product: enough for its full speed, and few enough to stay in the cache
PRODUCT_ROWS = 512
MANIFESTS = {"text": "objects", "letter": "objects", "image": "images"}
SIZE = (640, 480)


def contents_of(kind: str) -> list:
    """Return the contents: review snippets, letters of many of them, or photo-sized pictures."""
    path = Path(f"sample/{MANIFESTS[kind]}.parquet")
    found = pq.read_table(path, columns=["content"])["content"].to_pylist()
    if kind == "text":
        return found[: COUNTS[kind]]
    random = np.random.default_rng(1)
    if kind == "letter":
        lengths = np.maximum(1, random.lognormal(0.6, 0.8, COUNTS[kind]).astype(int))
        return [" ".join(random.choice(found, length)) for length in lengths]
    from PIL import Image

    pictures = []
    for content in found[: COUNTS[kind]]:
        sink = io.BytesIO()
        Image.open(io.BytesIO(content)).convert("RGB").resize(SIZE).save(sink, "JPEG", quality=90)
        pictures.append(sink.getvalue())
    return pictures


class Clocked:
    """A part of the job, and the seconds that its calls took, one after the other or not."""

    def __init__(self, part: Callable) -> None:
        self.part, self.seconds = part, 0.0

    def __call__(self, given: object) -> object:
        """Do what the part does."""
        # of this thread: others may share its core
        start = time.thread_time()
        try:
            return self.part(given)
        finally:
            self.seconds += time.thread_time() - start

    def __getattr__(self, name: str) -> object:
        """Have what the part has."""
        return getattr(self.part, name)


def job(kind: str, cores: int) -> tuple[Callable[[list], np.ndarray], dict]:
    """Return the job's way, and a table of where its time goes."""
    from encoder_job.encoders import load_encoder
    from encoder_job.registry import Registry

    row = Registry(Path()).active("image" if kind == "image" else "text")
    encoder = load_encoder(row.loader, row.location, Path())
    encoder.workers = cores
    encoder._prepare, encoder.network = Clocked(encoder._prepare), Clocked(encoder.network)

    def encode(contents: list) -> np.ndarray:
        return np.stack([result.vector for result in encoder.encode(contents)])

    return encode, {"preparing": encoder._prepare, "network": encoder.network}


def plain(kind: str, cores: int) -> tuple[Callable[[list], np.ndarray], dict]:
    """Return what one would write instead."""
    import torch

    from encoder_job.encoders.network import best_device

    torch.set_num_threads(cores)
    device = best_device()
    if kind != "image":
        model = sentence_transformer(device)
        return lambda texts: model.encode(texts, batch_size=32, show_progress_bar=False), {}
    from PIL import Image

    from encoder_job.encoders.image_models import _efficientnet_lite_model
    from encoder_job.encoders.locations import path_of
    from encoder_job.encoders.torch_libraries import torchvision
    from encoder_job.registry import Registry

    path = path_of(Registry(Path()).active("image").location, Path())
    module, shape, _ = _efficientnet_lite_model(path)
    module.eval().to(device)
    transforms = torchvision().transforms
    transform = transforms.Compose(
        [
            transforms.Resize(shape.resize, transforms.InterpolationMode.BICUBIC),
            transforms.CenterCrop(shape.crop),
            transforms.ToTensor(),
            transforms.Normalize(shape.mean, shape.std),
        ]
    )

    def encode(pictures: list) -> np.ndarray:
        vectors = []
        with torch.inference_mode():
            for picture in pictures:
                image = Image.open(io.BytesIO(picture)).convert("RGB")
                vectors.append(module(transform(image)[None].to(device))[0].cpu().numpy())
        return np.stack(vectors)

    return encode, {}


def products(kind: str, cores: int) -> tuple[Callable[[list], np.ndarray], dict]:
    """Return what multiplies a row for each token of the texts by every matrix of the model."""
    import torch
    from threadpoolctl import threadpool_limits

    threadpool_limits(cores)
    model = sentence_transformer("cpu")
    tokens = sum(map(len, model.tokenizer(contents_of(kind), truncation=True)["input_ids"]))
    matrices = [
        module.weight.detach().numpy().T
        for name, module in model.named_modules()
        # the pooler would take one token of each text, and its output is not used
        if isinstance(module, torch.nn.Linear) and ".pooler" not in name
    ]
    random = np.random.default_rng(1)
    rows = {
        len(matrix): random.random((PRODUCT_ROWS, len(matrix)), np.float32) for matrix in matrices
    }

    def multiply(_texts: list) -> np.ndarray:
        for start in range(0, tokens, PRODUCT_ROWS):
            for matrix in matrices:
                found = rows[len(matrix)][: tokens - start] @ matrix
        return found

    return multiply, {}


def sentence_transformer(device: str) -> object:
    """Load the demo's model of texts as its own library does."""
    from encoder_job.encoders.locations import path_of
    from encoder_job.encoders.torch_libraries import sentence_transformers
    from encoder_job.registry import Registry

    path = path_of(Registry(Path()).active("text").location, Path())
    return sentence_transformers().SentenceTransformer(str(path), device=device)


def measure(way: str, kind: str, cores: int, vectors: Path) -> dict:
    """Time one way in this process. Returns seconds and MB, and saves the vectors."""
    # whatever threads a way has beside those that it is told to have
    os.sched_setaffinity(0, range(cores))
    contents = contents_of(kind)
    encode, parts = {"job": job, "plain": plain, "products": products}[way](kind, cores)
    encode(contents[:32])
    for part in parts.values():
        part.seconds = 0.0
    start = time.perf_counter()
    found = encode(contents)
    seconds = time.perf_counter() - start
    np.save(vectors, found)
    told = {
        "seconds": seconds,
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
    }
    return told | {name: part.seconds for name, part in parts.items()}


def speedups(found: dict[str, list[dict]], way: str) -> list[float]:
    """Return how many times as fast as the plain way another one was, round by round."""
    return [
        plain["seconds"] / one["seconds"]
        for one, plain in zip(found[way], found["plain"], strict=True)
    ]


def compare(kind: str, cores: int) -> None:
    """Run both ways in turn, and print what they took."""
    from encoder_job.encoders.network import best_device

    folder = Path("target/bench/encoding")
    folder.mkdir(parents=True, exist_ok=True)
    found: dict[str, list[dict]] = {way: [] for way in WAYS}
    is_cpu = best_device() == "cpu"
    if kind != "image" and is_cpu:
        found["products"] = []
    for _ in range(ROUNDS):
        for way in found:
            options = ["--way", way, "--kind", kind, "--cores", str(cores)]
            done = subprocess.run(
                [sys.executable, __file__, *options], stdout=subprocess.PIPE, check=True
            )
            found[way].append(json.loads(done.stdout))
    ratios = speedups(found, "job")
    peaks = {way: max(one["megabytes"] for one in found[way]) for way in WAYS}
    vectors = [np.load(folder / f"{way}.npy") for way in WAYS]
    cosine = np.sum(vectors[0] * vectors[1], axis=1) / np.prod(
        [np.linalg.norm(it, axis=1) for it in vectors], axis=0
    )
    rate = COUNTS[kind] / np.median([one["seconds"] for one in found["job"]])
    print(
        f"{COUNTS[kind]} {kind}s, {cores} core{'s' * (cores > 1)}: job / plain "
        f"{np.median(ratios):.2f} (from {min(ratios):.2f} to {max(ratios):.2f}), "
        f"{rate:.0f} a second; peak {peaks['job']:.0f} / {peaks['plain']:.0f} MB; largest "
        f"difference {np.abs(vectors[0] - vectors[1]).max():.1e}, least cosine {cosine.min():.6f}"
    )
    if "products" in found:
        best = speedups(found, "products")
        print(f"  the matrix products alone / plain {np.median(best):.2f}")
    if cores == 1 and is_cpu:
        one = found["job"][-1]
        print(
            f"  of the job's time on one core: preparing {one['preparing'] / one['seconds']:.0%}, "
            f"network {one['network'] / one['seconds']:.0%}"
        )


def main() -> None:
    """Compare every kind of content, or measure one way for whoever compares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--way", choices=[*WAYS, "products"])
    parser.add_argument("--kind", choices=COUNTS)
    parser.add_argument("--cores", type=int)
    asked = parser.parse_args()
    if asked.way:
        vectors = Path("target/bench/encoding", f"{asked.way}.npy")
        print(json.dumps(measure(asked.way, asked.kind, asked.cores, vectors)))
        return
    for kind in COUNTS:
        for cores in CORES:
            compare(kind, cores)


if __name__ == "__main__":
    main()
