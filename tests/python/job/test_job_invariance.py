"""A vector is the same bytes in whatever batch, order and company, on however many workers."""

import os
import random
from pathlib import Path
from string import ascii_lowercase

import pytest
from test_job_images import picture, saved

from encoder_job.encoders import load_encoder
from encoder_job.registry import Registry

# 2000 texts and 500 images take some minutes: EMBEDDING_STORE_TEST_CONTENTS=2000
_TEXTS = int(os.environ.get("EMBEDDING_STORE_TEST_CONTENTS", "40"))
_REPOSITORY = Path(__file__).parents[3]


def _texts(chance: random.Random) -> list[str]:
    """Texts of 1 to 2,000 words, every length as likely as its double, and as many short ones."""
    words = ["".join(chance.choices(ascii_lowercase, k=chance.randint(1, 9))) for _ in range(500)]
    lengths = [int(2000 ** chance.random()) for _ in range(_TEXTS)]
    lengths += [chance.randint(1, 8) for _ in range(_TEXTS)]
    chance.shuffle(lengths)
    return [" ".join(chance.choices(words, k=length)) for length in lengths]


def _images(chance: random.Random) -> list[bytes]:
    """Images of 8 to 800 pixels a side."""
    return [
        saved(
            picture(seed, tuple(int(8 * 100 ** chance.random()) for _ in "xy")),
            chance.choice(["JPEG", "PNG", "WEBP"]),
        )
        for seed in range(_TEXTS // 4)
    ]


@pytest.mark.parametrize(("modality", "make"), [("text", _texts), ("image", _images)])
def test_no_company_changes_a_vector(modality, make):
    chance = random.Random(1)
    contents = make(chance)
    row = Registry(_REPOSITORY).active(modality)
    encoder = load_encoder(row.loader, row.location, _REPOSITORY)
    network, batches = encoder.network, []

    class Counted:
        """The network, and how many contents came together."""

        def __call__(self, inputs):
            batches.append(len(next(iter(inputs.values()))))
            return network(inputs)

        def __getattr__(self, name):
            return getattr(network, name)

    encoder.network = Counted()

    def vectors(order: list[int], batch: int, workers: int) -> list[bytes]:
        encoder.workers = workers
        found = {}
        for start in range(0, len(order), batch):
            chosen = order[start : start + batch]
            results = encoder.encode([contents[position] for position in chosen])
            found |= {p: it.vector.tobytes() for p, it in zip(chosen, results, strict=True)}
        return [found[position] for position in range(len(contents))]

    given = list(range(len(contents)))
    shuffled = chance.sample(given, len(given))
    alone = vectors(given, 1, 1)
    assert len(set(alone)) > len(contents) // 2
    for order, batch, workers in (
        (given, 7, 1),
        (given, 64, 2),
        (shuffled, 64, 1),
        (shuffled, 7, 2),
    ):
        assert vectors(order, batch, workers) == alone, (batch, workers)
    # short texts share passes, images never do
    assert max(batches) > 4 if modality == "text" else max(batches) == 1
