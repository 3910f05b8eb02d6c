"""The demo's protected source and business events: real texts and ratings, synthetic times.

Real: 3,708 snippets of 300 product reviews, each rated by 20 people from -4 to 4, as published
with vaderSentiment (Hutto and Gilbert, 2014). They are fetched, never part of this repository.

SYNTHETIC, since the source has none of it: every time, every rater's lateness, and all account
events. All are made from hashes of the ids, so that they are the same on every machine, and the
event ids say so (`real-rating-synthetic-time/...`, `synthetic/closed/...`).
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
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from encoder_job.errors import Refusal
from encoder_job.folder_landing import replace_file
from encoder_job.landing import Landing
from encoder_job.schemas import SCHEMAS

_PIN = Path(__file__).with_name("sample_source.txt")
_INNER = "additional_resources/hutto_ICWSM_2014.tar.gz"
_FIRST_CREATED = datetime(2026, 7, 2, tzinfo=UTC)
_CREATED_FOR = timedelta(days=97)
# a label is due after 24 hours: a few ratings come too late for it
_RATED_WITHIN = timedelta(hours=25)
_LATE_BY = timedelta(days=2)
_OPENED = (datetime(2026, 5, 1, tzinfo=UTC), timedelta(days=61))
_CLOSED = (datetime(2026, 8, 1, tzinfo=UTC), timedelta(days=61))
_REOPENED_AFTER = timedelta(days=14)


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
        return _FIRST_CREATED + _some(_CREATED_FOR, self.object_id)


@dataclass(frozen=True)
class Sample:
    """What the sample holds, and whether anything was written."""

    objects: int
    ratings: int
    accounts: int
    is_changed: bool


def write_sample(
    landing: Landing, objects: Path, cache: Path, reviews: int | None = None
) -> Sample:
    """Write the object manifest and land the business events; the same bytes every time."""
    snippets = _chosen(_snippets(_archive(cache)), reviews)
    manifest = pa.Table.from_pylist(
        [
            {
                "object_id": snippet.object_id,
                "customer_id": snippet.customer_id,
                "source_reference": f"reviews://{snippet.review}/{snippet.number}",
                "content": snippet.text,
                "object_created_at": snippet.created_at,
            }
            for snippet in snippets
        ],
        schema=pa.schema(
            [
                ("object_id", pa.string()),
                ("customer_id", pa.string()),
                ("source_reference", pa.string()),
                ("content", pa.string()),
                ("object_created_at", pa.timestamp("us", tz="UTC")),
            ]
        ),
    )
    ratings = [event for snippet in snippets for event in _rating_events(snippet)]
    customers = sorted({snippet.customer_id for snippet in snippets})
    accounts = [event for customer in customers for event in _account_events(customer)]
    landing.ensure_tables()
    changed = [
        _write_manifest(objects, manifest),
        _land(landing, "rating_events", ratings),
        _land(landing, "account_events", accounts),
    ]
    return Sample(len(snippets), len(ratings), len(accounts), any(changed))


def _land(landing: Landing, table: str, events: list[dict]) -> bool:
    ids = [event["event_id"] for event in events]
    return landing.write_part(table, pa.Table.from_pylist(events, SCHEMAS[table]), ids)


def _write_manifest(path: Path, manifest: pa.Table) -> bool:
    sink = pa.BufferOutputStream()
    pq.write_table(manifest, sink, compression="zstd")
    content = sink.getvalue().to_pybytes()
    try:
        if path.is_file() and path.read_bytes() == content:
            return False
        replace_file(path, content)
    except OSError as error:
        raise Refusal(
            f"sample: {path} cannot be written ({type(error).__name__}); give another --objects"
        ) from None
    return True


def _rating_events(snippet: Snippet) -> Iterator[dict]:
    for position, rating in enumerate(snippet.ratings, start=1):
        event = f"real-rating-synthetic-time/{snippet.review}_{snippet.number}/{position:02d}"
        rated_at = snippet.created_at + _some(_RATED_WITHIN, f"rated|{event}")
        is_late = _uniform(f"late|{event}") < 0.01
        yield {
            "event_id": event,
            "object_id": snippet.object_id,
            "rating": float(rating),
            "rated_at": rated_at,
            "landed_at": rated_at + _LATE_BY if is_late else None,
        }


def _account_events(customer: str) -> Iterator[dict]:
    times = {"opened": _OPENED[0] + _some(_OPENED[1], f"opened|{customer}")}
    if _uniform(f"is_closed|{customer}") < 0.03:
        times["closed"] = _CLOSED[0] + _some(_CLOSED[1], f"closed|{customer}")
        if _uniform(f"is_reopened|{customer}") < 1 / 3:
            times["reopened"] = times["closed"] + _REOPENED_AFTER
    for kind, occurred_at in times.items():
        yield {
            "event_id": f"synthetic/{kind}/{customer}",
            "customer_id": customer,
            "event_type": kind,
            "occurred_at": occurred_at,
            "landed_at": None,
        }


def _uniform(key: str) -> float:
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) / 2**64


def _some(span: timedelta, key: str) -> timedelta:
    """A part of a span, by hash, in whole seconds."""
    return timedelta(seconds=int(_uniform(key) * span.total_seconds()))


def _chosen(snippets: Iterable[Snippet], reviews: int | None) -> list[Snippet]:
    """All, or those of the reviews with the smallest hashes; by review and snippet."""
    snippets = sorted(snippets, key=lambda snippet: (snippet.review, snippet.number))
    by_hash = sorted(
        {snippet.review for snippet in snippets}, key=lambda review: _uniform(f"review-{review}")
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
