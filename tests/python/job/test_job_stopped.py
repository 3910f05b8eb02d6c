"""A run that is killed, stopped or paced lands what an undisturbed one lands."""

import json
import os
import random
import signal
import socket
import subprocess
import time
from pathlib import Path

import commands
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from job_harness import (
    Job,
    manifest,
    record,
    rows,
    small_parts,
    text,
    vectors,
    without_content,
)
from test_job_images import picture, saved

from encoder_job.landing.folder import FolderLanding
from encoder_job.runner import Runner

# every one starts a process that loads an encoder: a hundred take minutes
_KILLS = int(os.environ.get("EMBEDDING_STORE_TEST_KILLS", "2"))
_TEXTS, _BLANKS, _IMAGES = 600, 6, 120


class Clock:
    """A clock that goes on only while somebody sleeps."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = self.slept = 0.0
        self.on_sleep = lambda: None
        monkeypatch.setattr("encoder_job.runner.time.sleep", self.sleep)
        monkeypatch.setattr("encoder_job.runner.time.monotonic", lambda: self.now)

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept += seconds
        self.on_sleep()


def _texts(folder: Path) -> Path:
    records = [record(n, text(5 + n % 60, seed=n)) for n in range(_TEXTS)]
    return manifest(folder / "objects.jsonl", records)


def _texts_and_blanks(folder: Path) -> Path:
    source = _texts(folder)
    blanks = [json.dumps(record(_TEXTS + n, " ")) for n in range(_BLANKS)]
    lines = source.read_text().splitlines()
    for number, blank in enumerate(blanks):
        lines.insert(number * _TEXTS // _BLANKS, blank)
    source.write_text("\n".join(lines))
    return source


def _images(folder: Path) -> Path:
    objects = [
        without_content(
            n, content=saved(picture(n, (20 + n % 50, 30)), ("PNG", "JPEG", "WEBP")[n % 3])
        )
        for n in range(_IMAGES)
    ]
    pq.write_table(pa.Table.from_pylist(objects), folder / "objects.parquet")
    return folder / "objects.parquet"


def _started(job: Job, source: Path, landing: Path, *options: str) -> commands.Started:
    arguments = ["run", "--source", str(source), "--landing", str(landing)]
    arguments += ["--project-dir", str(job.folder), *options]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    return commands.Started("encoder-job-in-small-parts", arguments, environment, Path.cwd())


def test_a_store_that_never_answers_keeps_nobody_from_stopping(job, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}/x.txt"
        records = [record(n) for n in range(40)] + [without_content(40, content_uri=uri)]
        process = _started(job, manifest(tmp_path / "objects.jsonl", records), job.landing)
        _wait_for_a_vector(process, job.landing)
        process.send_signal(signal.SIGTERM)
        told = process.communicate(timeout=60)
    assert process.returncode == 143, told
    # what no batch had been begun with is left
    assert len(vectors(job.landing)) == 32


def _wait_for_a_vector(process: commands.Started, landing: Path) -> None:
    before = len(list(landing.glob("embedding_events/part-*")))
    while (
        process.returncode is None and len(list(landing.glob("embedding_events/part-*"))) == before
    ):
        time.sleep(0.005)


def _landed(landing: Path) -> tuple[dict[str, bytes], list, list]:
    """Vectors by event, the objects, and the failures; a row that is there twice fails."""
    columns = {
        "object_events": ("object_id", "object_version", "content_mac", "content_length"),
        "encoding_failures": ("object_id", "object_version", "reason"),
    }
    found = [
        sorted(tuple(row[name] for name in names) for row in rows(landing, table))
        for table, names in columns.items()
    ]
    assert all(len(it) == len(set(it)) for it in found)
    return vectors(landing), *found


@pytest.mark.parametrize("modality", ["text", "image"])
def test_runs_killed_at_any_moment_are_continued_to_the_same_bytes(
    job, tmp_path, record_property, modality
):
    if modality == "image":
        job.register_images()
    source = {"text": _texts_and_blanks, "image": _images}[modality](tmp_path)
    count, blanks = {"text": (_TEXTS, _BLANKS), "image": (_IMAGES, 0)}[modality]
    options = ("--modality", modality)
    since = time.monotonic()
    whole = _started(job, source, tmp_path / "whole", *options)
    whole.communicate()
    assert whole.returncode == (3 if blanks else 0)
    lasted = time.monotonic() - since
    expected = _landed(tmp_path / "whole")
    assert [*map(len, expected)] == [count, count + blanks, blanks]

    chance, landing, left_some = random.Random(11), tmp_path / "killed-0", 0
    for kill in range(_KILLS):
        # each number of workers is killed at any moment, and after it began to land
        workers, is_landing = (1, 4, 4, 1)[kill % 4], kill % 2
        process = _started(job, source, landing, *options, "--workers", str(workers))
        if is_landing:
            _wait_for_a_vector(process, landing)
        try:
            process.communicate(timeout=chance.uniform(0, lasted / (20 if is_landing else 1)))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            left_some += 0 < len(vectors(landing)) < len(expected[0]) if landing.exists() else 0
            objects = {row["object_id"] for row in rows(landing, "object_events")}
            assert {row["object_id"] for row in rows(landing, "embedding_events")} <= objects
            continue
        assert process.returncode == whole.returncode
        assert _landed(landing) == expected
        landing = tmp_path / f"killed-{kill + 1}"
    last = _started(job, source, landing, *options)
    last.communicate()
    assert last.returncode == whole.returncode
    assert _landed(landing) == expected
    assert left_some
    record_property("killed with a part of the vectors landed", left_some)


def test_sigterm_lands_what_was_begun_and_the_same_command_continues(job, tmp_path):
    source, landing = _texts(tmp_path), tmp_path / "stopped"
    process = _started(job, source, landing)
    _wait_for_a_vector(process, landing)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 143, errors
    assert "the same command continues" in errors
    some, objects, _ = _landed(landing)
    assert 0 < len(some) == len(objects) < _TEXTS
    assert {row["phase"] for row in rows(landing, "encoder_runs")} == {"started", "stopped"}
    assert job.run(source, landing=landing).exit_code == 0
    assert len(_landed(landing)[0]) == _TEXTS


def test_sigterm_is_heard_while_what_has_landed_is_read(job, tmp_path, monkeypatch):
    source = manifest(tmp_path / "objects.jsonl", [record(n) for n in range(10)])
    assert job.run(source).exit_code == 0
    read, tables = FolderLanding.read, []

    def interrupted(self, table, columns):
        tables.append(table)
        for batch in read(self, table, columns):
            if table == "object_events":
                os.kill(os.getpid(), signal.SIGTERM)
            yield batch

    monkeypatch.setattr(FolderLanding, "read", interrupted)
    assert job.run(source).exit_code == 143
    assert tables[-1] == "object_events"


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_a_backfill_begins_with_the_newest_objects(job, tmp_path, monkeypatch, kind):
    monkeypatch.setattr("encoder_job.readers.files._WINDOW_ROWS", 10)
    small_parts(monkeypatch, 10)
    days = random.Random(5).sample(range(1, 29), 28)
    records = [
        record(day, object_created_at=f"2026-0{month}-{day:02d}T10:00:00")
        | {"object_id": f"{month}-{day}"}
        for month in (5, 6, 7)
        for day in days
    ]
    records.append(record(0, object_created_at="no time"))
    source = tmp_path / f"objects.{kind}"
    if kind == "jsonl":
        manifest(source, records)
    else:
        pq.write_table(pa.Table.from_pylist(records), source)
    done = job("backfill", "--encoder", "tiny", "--source", str(source))
    assert done.exit_code == 3, done.output
    found = sorted(job.rows("embedding_events"), key=lambda row: row["landed_at"])
    created = {row["object_id"]: row["object_created_at"] for row in job.rows("object_events")}
    moments = [created[row["object_id"]] for row in found]
    assert len(moments) == 84
    for start in range(0, 80, 10):
        assert min(moments[start : start + 10]) > max(moments[start + 10 :])
    assert [row["reason"] for row in job.rows("encoding_failures")] == ["invalid_object_created_at"]


def test_a_backfill_keeps_its_pace(job, tmp_path, monkeypatch):
    small_parts(monkeypatch, 5)
    source = manifest(tmp_path / "objects.jsonl", [record(n) for n in range(20)])
    clock = Clock(monkeypatch)
    job("backfill", "--encoder", "tiny", "--source", str(source), "--most-per-second", "1e9")
    assert clock.slept < 1e-6
    landed = []
    clock.on_sleep = lambda: landed.append(len(vectors(tmp_path / "paced")))
    done = job(
        *("backfill", "--encoder", "tiny", "--source", str(source)),
        *("--most-per-second", "0.1"),
        landing=tmp_path / "paced",
    )
    assert done.exit_code == 0, done.output
    # 20 objects at one in ten seconds, the last five of which nobody waits for
    assert clock.slept == pytest.approx(150)
    # what is ready does not wait with the next
    assert landed[len(landed) // 3 - 2] == 5
    assert landed[-1] == 15


def test_what_is_there_already_earns_no_haste(job, tmp_path, monkeypatch):
    small_parts(monkeypatch, 5)
    old = [record(n, object_created_at="2026-08-01T10:00:00") for n in range(50)]
    job.run(manifest(tmp_path / "objects.jsonl", old))
    new = [record(100 + n, object_created_at="2026-07-01T10:00:00") for n in range(20)]
    source = manifest(tmp_path / "objects.jsonl", [*old, *new])
    clock, take = Clock(monkeypatch), Runner._take

    def slow(*given):
        clock.now += 20
        return take(*given)

    monkeypatch.setattr(Runner, "_take", slow)
    done = job(
        *("backfill", "--encoder", "tiny", "--source", str(source)),
        *("--most-per-second", "0.01"),
    )
    assert done.exit_code == 0, done.output
    # 500 seconds a batch, of which reading its rows takes 100, however long the old ones took
    assert clock.slept == pytest.approx(3 * 400)
