"""A run on Beam lands what a run lands, whatever happens to its workers."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import joblib
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from job_harness import manifest, record, rows, text, vectors

_PYTHON = Path(__file__).parents[3] / ".venv-beam" / "bin" / "python"
_COMMAND = "from encoder_job.cli import main; main()"
# a landing that breaks once, after it has landed some vectors; then the worker is asked again
_BROKEN_ONCE = """
import sys
from pathlib import Path
from encoder_job import runner
from encoder_job.assignment import Assignment
from encoder_job.beam import EncodeShard
from encoder_job.landing.folder import FolderLanding
from encoder_job.identity import ContentMac
from encoder_job.registry import Registry

source, landing, project = sys.argv[1:]
assigned = Assignment(source, Registry(Path(project)).get("tiny"), landing, Path(project), 1, 10**9)
encode = EncodeShard(assigned, "a run", ContentMac.from_environment().key_id)
write, count = FolderLanding.write_part, 0
runner.PART_ROWS = 256

def broken(self, table, rows, ids):
    global count
    count += table == "embedding_events"
    if table == "embedding_events" and count == 2:
        raise OSError("a message that quotes: the parcel")
    return write(self, table, rows, ids)

FolderLanding.write_part = broken
shards = list(assigned.open_source().shards())
for is_there in (False, True):
    if is_there:
        FolderLanding(landing).ensure_tables()
    try:
        list(encode.process(shards[0]))
    except RuntimeError as error:
        print(error, error.__suppress_context__)
for shard in [*shards, shards[0]]:
    list(encode.process(shard))
"""
# workers that do not answer when they are to end
_HUNG = """
import os, signal, time
from encoder_job import beam

beam._LAST_SECONDS = 0.5
with beam._can_end(is_here=True):
    try:
        os.kill(os.getpid(), signal.SIGTERM)
    finally:
        time.sleep(60)
"""


@pytest.fixture(scope="module", autouse=True)
def _needs_beam() -> None:
    if not _PYTHON.exists():
        told = "SKIPPED: no .venv-beam here, so nothing is run on Beam; `make test` makes it"
        if os.environ.get("CI"):
            pytest.fail(told)
        pytest.skip(told)


def _started(program: str, *arguments: object) -> subprocess.Popen:
    command = [str(_PYTHON), "-c", program, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _on_beam(job, source: Path, landing: Path, *options: str) -> subprocess.Popen:
    where = ("--source", source, "--landing", landing, "--project-dir", job.folder)
    return _started(_COMMAND, "beam", *where, *options)


def _landed(landing: Path) -> dict:
    objects = ("object_id", "object_version", "content_mac", "object_created_at")
    failures = ("object_id", "object_version", "reason")
    return {
        "vectors": vectors(landing),
        "objects": sorted(
            str([row[it] for it in objects]) for row in rows(landing, "object_events")
        ),
        "failures": sorted(
            str([row[it] for it in failures]) for row in rows(landing, "encoding_failures")
        ),
    }


def _source(folder: Path, count: int) -> Path:
    """Objects in two files, with bad rows, repeats, and a version that says two things far apart."""
    records = [record(n, text(5 + n % 50, seed=n)) for n in range(count)]
    records[10]["object_created_at"] = "no time"
    records[20]["content"] = " "
    records[count - 1] = records[0]
    records[count - 2] = records[1] | {"content": "another parcel"}
    folder.mkdir()
    half = count // 2
    table = pa.Table.from_pylist(records[:half])
    pq.write_table(table, folder / "a.parquet", row_group_size=700)
    manifest(folder / "b.jsonl", records[half:])
    return folder


def test_a_lost_worker_ends_the_run_and_the_same_command_continues(job, tmp_path):
    source = _source(tmp_path / "objects", 5_000)
    assert job.run(source).exit_code == 3
    expected = _landed(job.landing)
    assert len(expected["vectors"]) == 4_996
    assert len(expected["failures"]) == 3

    landing = tmp_path / "beam"
    driver = _on_beam(job, source, landing)
    deadline = time.monotonic() + 120
    while driver.poll() is None and not list(landing.glob("embedding_events/part-*")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    workers = [
        process
        for process in psutil.Process(driver.pid).children(recursive=True)
        if "sdk_worker_main" in " ".join(process.cmdline()) and "python" in process.name()
    ]
    assert len(workers) == joblib.cpu_count()
    workers[0].send_signal(signal.SIGKILL)
    told, errors = driver.communicate(timeout=120)
    assert driver.returncode == 2, told + errors
    assert errors.startswith("encoder-job: a worker process ended before its time")
    assert 0 < len(vectors(landing)) < len(expected["vectors"])
    assert {row["phase"] for row in rows(landing, "encoder_runs")} == {"started"}

    driver = _on_beam(job, source, landing)
    told, errors = driver.communicate(timeout=180)
    assert driver.returncode == 3, told + errors
    assert "read 5000 objects" in told
    assert "1 exact repeats" in told
    assert errors == ""
    assert _landed(landing) == expected
    finished = [row for row in rows(landing, "encoder_runs") if row["phase"] == "finished"]
    assert len(finished) == 1
    assert finished[0]["objects_read"] == 5_000
    assert 0 < finished[0]["embeddings_landed"] < 4_996


def test_a_part_that_is_tried_again_lands_nothing_twice(job, tmp_path):
    source, landing = _source(tmp_path / "objects", 1_500), tmp_path / "beam"
    assert job.run(source).exit_code == 3
    worker = _started(_BROKEN_ONCE, source, landing, job.folder)
    told, errors = worker.communicate(timeout=120)
    assert worker.returncode == 0, errors
    without_tables, broken = told.splitlines()
    assert re.fullmatch(
        "<encoder-job Refusal>landing .*: a worker finds no tables there; .*</encoder-job> True",
        without_tables,
    )
    assert broken.startswith("<encoder-job Unexpected>unexpected OSError at ")
    assert broken.endswith("run again</encoder-job> True")
    assert "parcel" not in told + errors
    assert _landed(landing) == _landed(job.landing)


def test_sigterm_waits_for_no_worker_that_hangs():
    driver = _started(_HUNG)
    _, errors = driver.communicate(timeout=40)
    assert driver.returncode == 130, errors
    assert errors.endswith("encoder-job: interrupted; the same command continues\n")


def test_what_a_worker_refuses_is_told(job, tmp_path):
    path = tmp_path / "objects.parquet"
    records = [record(n, text(5 + n % 50, seed=n)) for n in range(200)]
    pq.write_table(pa.Table.from_pylist(records), path, use_dictionary=False)
    # the ids can be read, and so the source is split; the texts cannot
    group = pq.ParquetFile(path).metadata.row_group(0)
    columns = {group.column(n).path_in_schema: group.column(n) for n in range(group.num_columns)}
    with path.open("r+b") as file:
        file.seek(columns["content"].data_page_offset)
        file.write(b"\xff" * 200)
    driver = _on_beam(job, path, tmp_path / "beam")
    told, errors = driver.communicate(timeout=120)
    assert driver.returncode == 2, told + errors
    assert errors.startswith("encoder-job: source objects.parquet: is damaged")
    assert "parcel" not in told + errors


def test_an_option_that_nobody_knows_is_refused(job, tmp_path):
    source = manifest(tmp_path / "objects.jsonl", [record(1)])
    done = job("beam", "--source", str(source), "--landng", str(tmp_path / "elsewhere"))
    assert done.exit_code == 2
    assert "No such option" in done.output


def test_without_beam_the_command_says_how_to_get_it(job, tmp_path):
    source = manifest(tmp_path / "objects.jsonl", [record(1)])
    done = job("beam", "--source", str(source))
    assert done.exit_code == 2
    assert "make .venv-beam/installed" in done.output
    assert not job.landing.exists()
