"""The demo's samples: real contents, ratings and labels, synthetic times that say so."""

import gzip
import hashlib
import io
import tarfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from job_harness import Job
from PIL import Image
from sklearn.datasets import load_digits

from encoder_job.samples import garments
from encoder_job.samples import reviews as sample


def _archive(reviews: int) -> bytes:
    """An archive of the published layout with invented texts."""
    texts, ratings = [], []
    for review in range(1, reviews + 1):
        for number in (1, 2, 10):
            texts.append(f"{review}_{number}\t0.5\tinvented text {number} of {review}")
            ratings.append(
                f"{review}_{number}\t0.5\t0.1\t{[(review + n) % 9 - 4 for n in range(20)]}"
            )
    ratings.append(f"999_1\t0\t0\t{[0] * 20}")  # not in the ground truth

    def packed(files: dict[str, bytes]) -> bytes:
        whole = io.BytesIO()
        with tarfile.open(fileobj=whole, mode="w:gz") as tar:
            for name, content in files.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
        return whole.getvalue()

    inner = {
        "h/amazonReviewSnippets_GroundTruth.txt": "\n".join(texts).encode("utf-8-sig"),
        "h/amazonReviewSnippets_anonDataRatings.txt": "\n".join(ratings).encode("utf-8-sig"),
    }
    return packed({f"v/{sample._INNER}": packed(inner)})


@pytest.fixture
def made(tmp_path, monkeypatch) -> Job:
    archive = _archive(300)
    monkeypatch.setattr(sample, "_archive", lambda _: archive)
    return Job(tmp_path)


def test_the_sample_is_complete_and_declares_what_is_synthetic(made):
    objects = made.folder / "objects.parquet"
    done = made("sample", "--objects", str(objects))
    assert done.exit_code == 0, done.output
    manifest = pq.read_table(objects).to_pylist()
    assert len(manifest) == 900
    assert manifest[2]["object_id"] == "review-1/10"
    assert manifest[2]["customer_id"] == "reviewer-1"
    assert manifest[2]["source_reference"] == "reviews://1/10"
    created = {row["object_id"]: row["object_created_at"] for row in manifest}
    first = datetime(2026, 7, 2, tzinfo=UTC)
    assert all(first <= time < first + timedelta(days=97) for time in created.values())

    ratings = made.rows("rating_events")
    assert len(ratings) == 18_000
    assert all(row["event_id"].startswith("real-rating-synthetic-time/") for row in ratings)
    waits = [row["rated_at"] - created[row["object_id"]] for row in ratings]
    assert 0.02 < sum(wait >= timedelta(hours=24) for wait in waits) / len(waits) < 0.06
    late = [row for row in ratings if row["landed_at"]]
    assert 0.005 < len(late) / len(ratings) < 0.015
    assert all(row["landed_at"] - row["rated_at"] == timedelta(days=2) for row in late)

    accounts = made.rows("account_events")
    assert all(row["event_id"].startswith("synthetic/") for row in accounts)
    kinds = [row["event_type"] for row in accounts]
    assert kinds.count("opened") == 300
    assert 3 <= kinds.count("closed") <= 20
    assert 0 < kinds.count("reopened") < kinds.count("closed")
    assert made.rows("decision_events") == made.rows("erasure_requests") == []


def test_the_sample_is_the_same_every_time(made, tmp_path):
    objects = made.folder / "objects.parquet"
    made("sample", "--objects", str(objects))
    before = {part: Path(part).read_bytes() for part in [*made.parts(), str(objects)]}
    assert "nothing changed" in made("sample", "--objects", str(objects)).stdout
    assert {part: Path(part).read_bytes() for part in [*made.parts(), str(objects)]} == before
    other = Job(tmp_path / "other")
    other("sample", "--objects", str(tmp_path / "other.parquet"))
    assert (tmp_path / "other.parquet").read_bytes() == objects.read_bytes()


def test_a_small_sample_is_part_of_the_whole(made):
    small, whole = made.folder / "small.parquet", made.folder / "whole.parquet"
    made("sample", "--reviews", "20", "--objects", str(small))
    made("sample", "--objects", str(whole))
    some, every = pq.read_table(small).to_pylist(), pq.read_table(whole).to_pylist()
    assert len({row["customer_id"] for row in some}) == 20
    assert len(some) == 60
    assert all(row in every for row in some)


def test_a_download_that_fails_says_what_to_check(tmp_path, monkeypatch):
    class Done:
        returncode, stderr = 1, "noise\nERROR: no such index"

    monkeypatch.setattr(sample.subprocess, "run", lambda *_, **__: Done)
    done = Job(tmp_path)("sample", "--objects", str(tmp_path / "objects.parquet"))
    assert done.exit_code == 2
    assert "ERROR: no such index; check the network and pip's index" in done.stderr
    assert not (tmp_path / "objects.parquet").exists()


def test_a_cached_archive_with_another_hash_is_not_used(tmp_path, monkeypatch):
    cache = tmp_path / "sample" / "source"
    cache.mkdir(parents=True)
    (cache / "vaderSentiment-3.3.2.tar.gz").write_bytes(_archive(3))

    class Done:
        returncode, stderr = 1, "it was asked for again"

    monkeypatch.setattr(sample.subprocess, "run", lambda *_, **__: Done)
    done = Job(tmp_path)("sample", "--objects", str(tmp_path / "objects.parquet"))
    assert "it was asked for again" in done.stderr


_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def _garments(count: int) -> list[bytes]:
    """Files of the published layout with invented pictures, of all ten kinds in turn."""
    kinds = (np.arange(count) % 10).astype(np.uint8)
    pictures = np.repeat(kinds, 28 * 28).astype(np.uint8) * 20
    return [
        gzip.compress(bytes(16) + pictures.tobytes()),
        gzip.compress(bytes(8) + kinds.tobytes()),
    ]


def test_the_image_sample_holds_tops_with_the_label_that_people_gave(tmp_path, monkeypatch):
    monkeypatch.setattr(garments, "_files", lambda _: _garments(3000))
    job, objects = Job(tmp_path), tmp_path / "images.parquet"
    arguments = ("sample", "--modality", "image", "--images", "800", "--objects", str(objects))
    done = job(*arguments)
    assert done.exit_code == 0, done.output
    assert "800 images of garments, 800 real labels" in done.stdout
    images = {row["object_id"]: row for row in pq.read_table(objects).to_pylist()}
    labels = {row["object_id"]: row["label"] for row in job.rows("decision_events")}
    assert images.keys() == labels.keys()
    for object_id, row in images.items():
        kind = int(object_id.removeprefix("garment-")) % 10
        assert kind in (0, 2, 4, 6)
        assert labels[object_id] == ("shirt" if kind == 6 else "other_top")
        picture = Image.open(io.BytesIO(row["content"]))
        assert (picture.size, picture.getpixel((3, 3))) == ((28, 28), kind * 20)
    created = [row["object_created_at"] for row in images.values()]
    assert max(created) - min(created) > timedelta(days=90)
    assert all(
        row["event_id"].startswith("real-label-synthetic-time/")
        for row in job.rows("decision_events")
    )
    before = objects.read_bytes()
    assert "nothing changed" in job(*arguments).stdout
    assert objects.read_bytes() == before


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (
            lambda *_, **__: exec("raise FileNotFoundError"),
            "could not fetch it (FileNotFoundError)",
        ),
        (lambda *_, **__: type("Done", (), {"stdout": b""}), "could not fetch it (ValueError)"),
    ],
)
def test_digits_take_the_place_of_garments_that_cannot_be_had(tmp_path, monkeypatch, answer, told):
    monkeypatch.setattr(garments, "_INSTALLED", tmp_path / "nowhere")
    monkeypatch.setattr(garments.subprocess, "run", answer)
    job, objects = Job(tmp_path), tmp_path / "images.parquet"
    done = job("sample", "--modality", "image", "--objects", str(objects))
    assert done.exit_code == 0, done.output
    assert "dataset-fashion-mnist is not installed" in done.stderr
    assert told in done.stderr
    assert "1797 images of digits, 1797 real labels" in done.stdout

    digits = load_digits()
    images = pq.read_table(objects).to_pylist()
    labels = {row["object_id"]: row for row in job.rows("decision_events")}
    assert {row["task"] for row in labels.values()} == {"digit"}
    for row in images:
        number = int(row["object_id"].removeprefix("digit-"))
        label = labels[row["object_id"]]["label"]
        assert _DIGITS.index(label) == digits.target[number]
        grey = np.asarray(Image.open(io.BytesIO(row["content"])))
        assert np.abs(grey / 255 - digits.images[number] / 16).max() < 1 / 255


def test_other_files_of_those_names_are_not_used(tmp_path, monkeypatch):
    files = dict.fromkeys(garments._PINS, b"another")
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    monkeypatch.setattr(garments, "_INSTALLED", tmp_path)
    monkeypatch.setattr(garments, "_fetched", lambda: files)
    done = Job(tmp_path)("sample", "--modality", "image", "--objects", str(tmp_path / "i.parquet"))
    assert "does not hold the files that this demo was made with" in done.stderr
    assert "images of digits" in done.stdout


def test_a_damaged_copy_is_fetched_anew(tmp_path, monkeypatch):
    files = dict(zip(garments._PINS, _garments(300), strict=True))
    pins = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    cache = tmp_path / "sample" / "source"
    cache.mkdir(parents=True)
    for name, content in files.items():
        (cache / name).write_bytes(content[:-1])
    monkeypatch.setattr(garments, "_PINS", pins)
    monkeypatch.setattr(garments, "_INSTALLED", tmp_path / "nowhere")
    monkeypatch.setattr(garments, "_fetched", lambda: files)
    done = Job(tmp_path)("sample", "--modality", "image", "--objects", str(tmp_path / "i.parquet"))
    assert "images of garments" in done.stdout
    assert {name: (cache / name).read_bytes() for name in files} == files
