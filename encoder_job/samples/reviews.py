"""Texts: product reviews, each rated by people.

Real: 3,708 snippets of 300 product reviews, each rated by 20 people from -4 to 4, as published
with vaderSentiment (Hutto and Gilbert, 2014). They are fetched, never part of this repository.
"""

import ast
import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from encoder_job.errors import Refusal
from encoder_job.landing import Landing
from encoder_job.samples.synthetic import (
    Sample,
    created_at,
    object_row,
    part_of,
    uniform,
    write,
)
from encoder_job.storage import replace_file

_PIN = Path(__file__).with_name("reviews_source.txt")
_INNER = "additional_resources/hutto_ICWSM_2014.tar.gz"
# a label is due after 24 hours: a few ratings come too late for it
_RATED_WITHIN = timedelta(hours=25)
_LATE_BY = timedelta(days=2)


@dataclass(frozen=True)
class Snippet:
    """One rated text: snippet `number` of a review."""

    review: int
    number: int
    text: str
    ratings: list[int]

    @property
    def object_id(self) -> str:
        """The id of the protected object."""
        return f"review-{self.review}/{self.number}"

    @property
    def customer_id(self) -> str:
        """Whoever wrote the review; the natural group of a split."""
        return f"reviewer-{self.review}"

    @property
    def created_at(self) -> datetime:
        """A synthetic time."""
        return created_at(self.object_id)


def write_sample(
    landing: Landing, manifest: Path, cache: Path, reviews: int | None = None
) -> Sample:
    """Write the object manifest and land the business events; the same bytes every time."""
    snippets = _chosen(_snippets(_archive(cache)), reviews)
    objects = [
        object_row(
            snippet.object_id,
            snippet.customer_id,
            f"reviews://{snippet.review}/{snippet.number}",
            snippet.text,
        )
        for snippet in snippets
    ]
    ratings = [event for snippet in snippets for event in _rating_events(snippet)]
    counts = {"texts": len(objects), "real ratings": len(ratings)}
    return write(landing, manifest, objects, {"rating_events": ratings}, counts)


def _rating_events(snippet: Snippet) -> Iterator[dict]:
    for position, rating in enumerate(snippet.ratings, start=1):
        event = f"real-rating-synthetic-time/{snippet.review}_{snippet.number}/{position:02d}"
        rated_at = snippet.created_at + part_of(_RATED_WITHIN, f"rated|{event}")
        is_late = uniform(f"late|{event}") < 0.01
        yield {
            "event_id": event,
            "object_id": snippet.object_id,
            "rating": float(rating),
            "rated_at": rated_at,
            "landed_at": rated_at + _LATE_BY if is_late else None,
        }


def _chosen(snippets: Iterable[Snippet], reviews: int | None) -> list[Snippet]:
    """All, or those of the reviews with the smallest hashes; by review and snippet."""
    snippets = sorted(snippets, key=lambda snippet: (snippet.review, snippet.number))
    by_hash = sorted(
        {snippet.review for snippet in snippets}, key=lambda review: uniform(f"review-{review}")
    )
    chosen = set(by_hash[:reviews])
    return [snippet for snippet in snippets if snippet.review in chosen]


def _snippets(archive: bytes) -> Iterator[Snippet]:
    """Read texts and ratings in memory; raw content is written to the manifest only."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as outer:
        name = next(name for name in outer.getnames() if name.endswith(_INNER))
        inner = outer.extractfile(name).read()
    with tarfile.open(fileobj=io.BytesIO(inner)) as files:
        texts = dict(_cells(files, "amazonReviewSnippets_GroundTruth.txt", 0, 2))
        ratings = _cells(files, "amazonReviewSnippets_anonDataRatings.txt", 0, 3)
    for key, listed in ratings:
        if key in texts:
            review, number = key.split("_")
            yield Snippet(int(review), int(number), texts[key], ast.literal_eval(listed))


def _cells(files: tarfile.TarFile, name: str, *columns: int) -> list[tuple[str, ...]]:
    member = next(member for member in files.getmembers() if Path(member.name).name == name)
    lines = files.extractfile(member).read().decode("utf-8-sig").splitlines()
    rows = [line.split("\t") for line in lines if line.strip()]
    return [tuple(row[column].strip() for column in columns) for row in rows]


def _archive(cache: Path) -> bytes:
    """Return the pinned source archive, from the cache or from the package index."""
    requirement, _, pin = _PIN.read_text().strip().partition(" --hash=sha256:")
    kept = cache / f"{requirement.replace('==', '-')}.tar.gz"
    if kept.is_file() and _is(kept.read_bytes(), pin):
        return kept.read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--disable-pip-version-check", "--no-binary", ":all:", "--no-build-isolation"]
        command += ["--require-hashes", "-r", str(_PIN), "--dest", folder]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        fetched = Path(folder, kept.name)
        if done.returncode or not fetched.is_file() or not _is(fetched.read_bytes(), pin):
            told = ([line for line in done.stderr.splitlines() if line.strip()] or ["no file"])[-1]
            raise Refusal(
                f"sample: pip could not fetch {requirement}: {told}; check the network and pip's "
                "index, and run again"
            )
        replace_file(kept, fetched.read_bytes())
    return kept.read_bytes()


def _is(content: bytes, pin: str) -> bool:
    return hashlib.sha256(content).hexdigest() == pin
