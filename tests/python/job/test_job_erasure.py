"""What a request names is not encoded again, and its landed rows can be removed."""

import errno
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from job_harness import Job, manifest, record, rows

from encoder_job.erasure import Erased
from encoder_job.landing import folder
from encoder_job.landing.folder import FolderLanding
from encoder_job.landing.schemas import SCHEMAS

# of customers 0 to 6, who have every seventh object each
OBJECTS = 21
ERASED = {"object-1", "object-8", "object-15", "object-3"}
# of customer 1, and without a content, so that their failures alone say whose they are
FAILED = {"object-22", "object-29"}
TOLD = (
    "3 of account_events, 4 of embedding_events, 2 of encoding_failures, 4 of object_events, "
    "5 of rating_events"
)


def land(landing: Path, table: str, records: list[dict]) -> None:
    path = landing / table / "of_the_company.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(records), path)


def ask(landing: Path) -> None:
    land(landing, "erasure_requests", [
        {"event_id": "r1", "scope": "customer", "subject_id": "customer-1", "requested_at": "2026-10-01"},
        {"event_id": "r2", "scope": "object", "subject_id": "object-3", "requested_at": "2026-10-01"},
        {"event_id": "r3", "scope": "company", "subject_id": "customer-2", "requested_at": "2026-10-01"},
        {"event_id": "r4", "scope": "customer", "subject_id": "customer-4", "requested_at": " "},
        {"event_id": None, "scope": "customer", "subject_id": "customer-5", "requested_at": "2026-10-01"},
    ])  # fmt: skip


@pytest.fixture
def landed(job: Job, tmp_path: Path) -> Path:
    """A landing with objects, vectors and business events; returns the manifest."""
    failing = [record(n) | {"content": None} for n in (22, 23, 29)]
    records = [*(record(n) for n in range(OBJECTS)), *failing]
    source = manifest(tmp_path / "objects.jsonl", records)
    assert job.run(source).exit_code == 3
    land(job.landing, "rating_events", [
        {"event_id": f"e{n}", "object_id": f"object-{n}", "rating": 1, "rated_at": "2026-07-03"} for n in (*range(OBJECTS), 22)
    ])  # fmt: skip
    land(job.landing, "account_events", [
        {"event_id": f"a{n}", "customer_id": f"customer-{n % 7}"} for n in range(OBJECTS)
    ])  # fmt: skip
    return source


def test_what_was_erased_is_neither_encoded_nor_reported(job, tmp_path):
    job.landing.mkdir()
    ask(job.landing)
    records = [record(n) for n in range(OBJECTS)]
    records[8] |= {"content": " "}  # a fault of an erased object is nobody's business
    done = job.run(manifest(tmp_path / "objects.jsonl", records))
    assert done.exit_code == 0, done.output
    assert "4 erased" in done.stdout
    landed = {row["object_id"] for row in job.rows("embedding_events")}
    assert landed == {f"object-{n}" for n in range(OBJECTS)} - ERASED
    assert {row["object_id"] for row in job.rows("object_events")} == landed
    assert job.rows("encoding_failures") == []


def test_erase_leaves_every_other_row_as_it_was(job, landed):
    before = {table: job.rows(table) for table in SCHEMAS}
    schemas = {part: pq.read_schema(part) for part in job.parts()}
    ask(job.landing)
    done = job("erase")
    assert done.exit_code == 0, done.output
    assert TOLD in done.stdout
    assert not ERASED & set(done.stdout.split())
    for table in SCHEMAS:
        kept = [
            row for row in before[table]
            if row.get("object_id") not in ERASED | FAILED and row.get("customer_id") != "customer-1"
        ]  # fmt: skip
        assert table.startswith("eras") or job.rows(table) == kept, table
    assert {part: pq.read_schema(part) for part in schemas} == schemas
    assert len(job.rows("erasure_requests")) == 5

    remembered = job.rows("erased_objects")
    assert len(remembered) == 5
    assert not (ERASED | FAILED) & {value for row in remembered for value in row.values()}
    written = {part: Path(part).read_bytes() for part in job.parts()}
    assert "none were left" in job("erase").stdout
    assert "0 object events, 0 embedding events" in job.run(landed).stdout
    assert {part: Path(part).read_bytes() for part in job.parts()} == written


@pytest.mark.usefixtures("landed")
def test_what_lands_after_an_erasure_is_known_by_it(job, tmp_path):
    """A backup of everything but what says whose an object is; a source that names another owner."""
    backup = shutil.copytree(job.landing, tmp_path / "backup")
    ask(job.landing)
    assert TOLD in job("erase").stdout
    for table in ("embedding_events", "rating_events", "encoding_failures"):
        shutil.copytree(backup / table, job.landing / table, dirs_exist_ok=True)
    again = job("erase").stdout
    assert "erased rows: 4 of embedding_events, 2 of encoding_failures, 5 of rating_events" in again
    for table, schema in SCHEMAS.items():
        if "object_id" in schema.names:
            assert not (ERASED | FAILED) & {row["object_id"] for row in job.rows(table)}, table

    moved = [record(n) | {"customer_id": "customer-6"} for n in (1, 8, 15)]
    done = job.run(manifest(tmp_path / "moved.jsonl", moved))
    assert "3 erased" in done.stdout, done.output


@pytest.mark.usefixtures("landed")
def test_a_landing_without_requests_is_not_called_erased(job):
    done = job("erase")
    assert done.exit_code == 2
    assert "no erasure_requests have landed here" in done.stderr


@pytest.mark.usefixtures("landed")
def test_an_object_that_lands_during_an_erasure_is_found_by_the_next(job, monkeypatch):
    """As on an object store, which nobody can hold for one run."""
    ask(job.landing)
    record_owned = folder.record_owned_objects

    def interrupted(landing: FolderLanding, erased: Erased) -> None:
        record_owned(landing, erased)
        late = {"object_id": "late", "customer_id": "customer-1"}
        landing.write_part("object_events", [late], "late")

    with monkeypatch.context() as patched:
        patched.setattr(folder, "record_owned_objects", interrupted)
        assert job("erase").exit_code == 0
    land(job.landing, "decision_events", [{"event_id": "d", "object_id": "late"}])
    assert "erased rows: 1 of decision_events, 1 of object_events" in job("erase").stdout


@pytest.mark.usefixtures("landed")
def test_a_refused_row_gives_nobody_somebody_elses_object(job, tmp_path):
    """A row that names another customer than the object's own is a failure of that customer."""
    moved = [record(2) | {"customer_id": "customer-1"}]
    assert job.run(manifest(tmp_path / "moved.jsonl", moved)).exit_code == 3
    ask(job.landing)
    assert TOLD.replace("2 of encoding_failures", "3 of encoding_failures") in job("erase").stdout
    assert "object-2" in {row["object_id"] for row in job.rows("embedding_events")}


def test_a_request_that_names_two_erases_nobody(job, landed):
    ask(job.landing)
    parts = {part: Path(part).read_bytes() for part in job.parts()}
    again = {
        "event_id": "r1",
        "scope": "customer",
        "subject_id": "customer-2",
        "requested_at": "2026-10-01",
    }
    pq.write_table(
        pa.Table.from_pylist([again]), job.landing / "erasure_requests" / "again.parquet"
    )
    done = job("erase")
    assert done.exit_code == 2
    assert (
        "erasure_requests: event_id r1 names several subjects; take the wrong rows out"
        in done.stderr
    )
    assert {part: Path(part).read_bytes() for part in parts} == parts
    assert "10 erased" in job.run(landed).stdout


@pytest.mark.parametrize("time", ["2026/10/01", "2026-10-01 08:00:00 UTC", "soon"])
def test_whom_a_request_names_is_not_encoded_even_if_its_time_is_unreadable(job, tmp_path, time):
    """A warehouse may read it, and believe the customer to be gone."""
    request = {
        "event_id": "r1",
        "scope": "customer",
        "subject_id": "customer-1",
        "requested_at": time,
    }
    job.landing.mkdir()
    land(job.landing, "erasure_requests", [request])
    source = manifest(tmp_path / "objects.jsonl", [record(n) for n in range(OBJECTS)])
    assert "3 erased" in job.run(source).stdout
    done = job("erase")
    assert done.exit_code == 2
    told = "erasure_requests: event_id r1 has no ISO 8601 time in requested_at; mend it, and run"
    assert told in done.stderr


@pytest.mark.usefixtures("landed")
def test_a_broken_file_of_the_company_is_not_to_be_thrown_away(job):
    ask(job.landing)
    (job.landing / "rating_events" / "of_the_company.parquet").write_bytes(b"PAR1")
    done = job("erase")
    assert done.exit_code == 2
    assert "rating_events/of_the_company.parquet: this part is broken" in done.stderr
    assert "land it again from where it came" in done.stderr


@pytest.mark.usefixtures("landed")
def test_what_nothing_makes_again_is_not_to_be_thrown_away(job):
    ask(job.landing)
    assert TOLD in job("erase").stdout
    (part,) = (job.landing / "erased_objects").glob("part-*")
    part.write_bytes(part.read_bytes()[:-20])
    done = job("erase")
    assert done.exit_code == 2
    assert f"erased_objects/{part.name}: this part is broken" in done.stderr
    assert "nothing here makes again what it held" in done.stderr


@pytest.mark.usefixtures("landed")
@pytest.mark.parametrize("error", [OSError(errno.EMFILE, "too many"), TimeoutError("late")])
def test_a_store_at_fault_says_nothing_of_its_files(job, monkeypatch, error):
    ask(job.landing)

    def refused(*_, **__):
        raise error

    monkeypatch.setattr("fsspec.implementations.local.LocalFileSystem.open", refused)
    done = job("erase")
    assert done.exit_code == 2
    assert f"this part cannot be read ({type(error).__name__}); mend that" in done.stderr


@pytest.mark.usefixtures("landed")
def test_a_part_of_the_company_with_categories_is_rewritten(job):
    """Their batches are cut at row groups, others' are not."""
    ask(job.landing)
    rows = [
        {"event_id": str(n), "object_id": f"object-{n % 30}", "rating": 1.0} for n in range(30_000)
    ]
    table = pa.Table.from_pylist(rows)
    table = table.append_column("source", pa.array(["shop"] * len(rows)).dictionary_encode())
    path = job.landing / "rating_events" / "of_the_company.parquet"
    pq.write_table(table, path, row_group_size=10_000)
    done = job("erase")
    assert done.exit_code == 0, done.output
    left = set(pq.ParquetFile(path).read()["object_id"].to_pylist())
    assert left == {f"object-{n}" for n in range(30)} - ERASED - FAILED


@pytest.mark.usefixtures("landed")
def test_an_erasure_that_was_killed_is_finished_by_the_next(job, monkeypatch):
    ask(job.landing)
    rewrite, done = FolderLanding._rewrite, []

    def killed(self: FolderLanding, *arguments: object) -> int:
        done.append(rewrite(self, *arguments))
        if len([count for count in done if count]) == 2:
            raise KeyboardInterrupt
        return done[-1]

    with monkeypatch.context() as patched:
        patched.setattr(FolderLanding, "_rewrite", killed)
        assert job("erase").exit_code == 130
    assert job("erase").exit_code == 0
    for table, schema in SCHEMAS.items():
        if "object_id" in schema.names:
            assert not ERASED & {row["object_id"] for row in job.rows(table)}, table


@pytest.mark.usefixtures("landed")
def test_a_landing_on_any_filesystem_is_erased(job, tmp_path):
    import fsspec

    memory, prefix = fsspec.filesystem("memory"), f"memory://{tmp_path.name}/erased"
    ask(job.landing)
    memory.put(f"{job.landing}/", f"/{tmp_path.name}/erased/", recursive=True)
    assert TOLD in job("erase", landing=prefix).stdout
    memory.get(f"/{tmp_path.name}/erased/", f"{tmp_path}/copy/", recursive=True)
    objects = {row["object_id"] for row in rows(tmp_path / "copy", "embedding_events")}
    assert objects == {f"object-{n}" for n in range(OBJECTS)} - ERASED
