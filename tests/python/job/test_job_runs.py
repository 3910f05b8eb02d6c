"""A run lands every object once, whatever happens to it."""

import csv
import json
import os
import re
import time
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import ClassVar

import fsspec
import fsspec.implementations.local
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from job_harness import manifest, record, rows, small_parts, text, vectors, without_content

from encoder_job.encoders.base import _encoded
from encoder_job.errors import Refusal
from encoder_job.identity import event_id
from encoder_job.landing.folder import FolderLanding
from encoder_job.landing.schemas import SCHEMAS
from encoder_job.readers import base
from encoder_job.runner import Runner


def test_a_run_lands_typed_rows_that_agree(job, tmp_path):
    source = manifest(tmp_path / "objects.jsonl", [record(n) for n in range(3)])
    done = job.run(source)
    assert done.exit_code == 0, done.output
    assert "landed 3 object events, 3 embedding events" in done.stdout

    objects = {row["object_id"]: row for row in job.rows("object_events")}
    assert objects["object-1"]["object_version"] == "1"
    assert objects["object-1"]["content_length"] == len("the parcel 1 came early")
    assert objects["object-1"]["object_created_at"] == datetime(2026, 7, 2, 10, tzinfo=UTC)
    assert objects["object-1"]["landed_at"] is None
    assert objects["object-1"]["modality"] == "text"
    registered = next(csv.DictReader((job.folder / "seeds" / "encoders.csv").open()))
    for event in job.rows("embedding_events"):
        assert event["encoder_fingerprint"] == registered["encoder_fingerprint"]
        assert event["event_id"] == event_id(
            event["object_id"], "1", registered["encoder_fingerprint"]
        )
        assert len(event["embedding"]) == event["embedding_dim"] == 32
        assert event["embedding_norm"] == pytest.approx(1, abs=1e-6)
        assert event["landed_at"] >= event["encoded_at"]
    phases = {row["phase"]: row for row in job.rows("encoder_runs")}
    assert set(phases) == {"started", "finished"}
    assert phases["finished"]["embeddings_landed"] == phases["finished"]["objects_read"] == 3
    for table, schema in SCHEMAS.items():
        for part in (job.landing / table).glob("*.parquet"):
            assert pq.read_schema(part).equals(schema), part


def test_a_landing_of_an_earlier_version_gets_the_new_columns(job, tmp_path):
    older = job.landing / "encoding_failures" / "empty.parquet"
    older.parent.mkdir(parents=True)
    pq.write_table(pa.table({"object_id": pa.array([], pa.string())}), older)
    assert job.run(manifest(tmp_path / "objects.jsonl", [record(1)])).exit_code == 0
    assert pq.read_schema(older).equals(SCHEMAS["encoding_failures"])


def test_a_second_run_lands_nothing(job, tmp_path):
    source = manifest(tmp_path / "objects.jsonl", [*(record(n) for n in range(3)), record(9, " ")])
    job.run(source)
    before = {part: Path(part).read_bytes() for part in job.parts()}
    done = job.run(source)
    assert "nothing new to encode" in done.stdout
    assert "1 rows failed" in done.stdout
    assert {part: Path(part).read_bytes() for part in job.parts()} == before


def test_a_rotated_key_encodes_and_accuses_nothing(job, tmp_path, monkeypatch):
    source = manifest(tmp_path / "objects.jsonl", [record(1), record(2)])
    job.run(source)
    before = job.parts()
    monkeypatch.setenv("EMBEDDING_STORE_CONTENT_KEY", "quite another key, also long enough")
    done = job.run(source)
    assert done.exit_code == 0
    assert job.parts() == before
    # what is new lands under the new key
    job.run(manifest(tmp_path / "more.jsonl", [record(3)]))
    assert len({row["content_mac_key_id"] for row in job.rows("object_events")}) == 2


def test_every_format_gives_the_same_objects(job, tmp_path):
    awkward = 'two\nlines, a comma and a "quote"'
    records = [record(1), record(2, awkward), record(3, object_version="2")]
    records[0]["unknown_column"] = "ignored"
    made = {}
    for name in ("objects.jsonl", "objects.csv", "objects.parquet"):
        path = tmp_path / name.rpartition(".")[2] / name
        path.parent.mkdir()
        if name.endswith(".jsonl"):
            manifest(path, records)
        elif name.endswith(".csv"):
            with path.open("w", newline="", encoding="utf-8-sig") as file:
                columns = [*records[2], "unknown_column"]
                writer = csv.DictWriter(file, columns, restval="")
                writer.writeheader()
                writer.writerows(records)
        else:
            table = pa.Table.from_pylist(
                [row | {"object_version": row.get("object_version")} for row in records]
            )
            times = pa.array([datetime(2026, 7, 2, 10)] * 3, pa.timestamp("ns"))
            table = table.set_column(3, "object_created_at", times)
            pq.write_table(table, path)
        landing = tmp_path / f"landing-{name}"
        assert job.run(path, landing=landing).exit_code == 0
        made[name] = (
            sorted(map(str, rows(landing, "object_events"))),
            vectors(landing),
        )
    assert made["objects.csv"] == made["objects.jsonl"] == made["objects.parquet"]
    assert len(made["objects.csv"][1]) == 3


def test_a_folder_is_one_source_and_contents_may_lie_beside_it(job, tmp_path):
    folder = tmp_path / "source"
    (folder / "texts").mkdir(parents=True)
    (folder / "texts" / "2.txt").write_text("the parcel 2 came early")
    beside = record(2) | {"content_uri": "texts/2.txt"}
    del beside["content"]
    manifest(folder / "a.jsonl", [record(1)])
    manifest(folder / "b.jsonl", [beside])
    assert job.run(folder).exit_code == 0
    objects = {row["object_id"]: row for row in job.rows("object_events")}
    assert objects["object-2"]["content_length"] == len("the parcel 2 came early")


def test_a_landing_may_be_any_filesystem(job, tmp_path):
    source = manifest(tmp_path / "objects.jsonl", [record(n) for n in range(3)])
    prefix = f"memory://{tmp_path.name}/landing"
    assert job.run(source, landing=prefix).exit_code == 0
    files = fsspec.filesystem("memory").find(f"{tmp_path.name}/landing/embedding_events")
    assert sorted(path.rpartition("/")[2][:4] for path in files) == ["empt", "part"]
    assert "nothing new to encode" in job.run(source, landing=prefix).stdout


class _Server(fsspec.implementations.local.LocalFileSystem):
    """A server of files, where a reader sees a file while it is written."""

    protocol, cachable = "server", False
    lost: ClassVar[list[str]] = []
    renames = True

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return super()._strip_protocol(path.removeprefix("server://"))

    def pipe_file(self, path: str, value: bytes, **_: object) -> None:
        is_lost = path.endswith(tuple(self.lost))
        super().pipe_file(path, value[: len(value) // 2] if is_lost else value)
        if is_lost:
            raise OSError("the connection is lost")

    def modified(self, path: str) -> datetime:
        raise NotImplementedError

    def mv(self, path1: str, path2: str, **_: object) -> None:
        if not self.renames:
            raise OSError("the connection is lost")
        if self.exists(path2):
            raise FileExistsError(path2)
        super().mv(path1, path2)


def test_a_part_on_a_server_of_files_is_whole_or_not_there(job, tmp_path, monkeypatch):
    fsspec.register_implementation("server", _Server, clobber=True)
    source = manifest(tmp_path / "objects.jsonl", [record(n) for n in range(3)])
    landing = tmp_path / "served"
    monkeypatch.setattr(_Server, "lost", [".part"])
    done = job.run(source, landing=f"server://{landing}")
    assert done.exit_code == 2
    assert "no half-written part is left" in done.stderr
    assert not list(landing.rglob("*.parquet"))
    assert list(landing.rglob(".*.part"))
    monkeypatch.setattr(_Server, "lost", [])
    assert job.run(source, landing=f"server://{landing}").exit_code == 0
    assert len(vectors(landing)) == 3
    request = {
        "event_id": "a request",
        "scope": "object",
        "subject_id": "object-1",
        "requested_at": "2026-07-03",
    }
    pq.write_table(pa.Table.from_pylist([request]), landing / "erasure_requests" / "part-1.parquet")
    # what it replaces is away by then
    monkeypatch.setattr(_Server, "renames", False)
    assert job("erase", landing=f"server://{landing}").exit_code == 2
    monkeypatch.setattr(_Server, "renames", True)
    done = job("erase", landing=f"server://{landing}")
    assert done.exit_code == 0, done.output
    for table in ("object_events", "embedding_events"):
        left = pq.read_table(landing / table, columns=["object_id"])["object_id"].to_pylist()
        assert sorted(left) == ["object-0", "object-2"], table
    assert not list(landing.rglob(".*.part"))


def test_many_batches_land_as_one_part(job, tmp_path, monkeypatch):
    monkeypatch.setattr("encoder_job.runner.BATCH_ROWS", 5)
    source = manifest(tmp_path / "objects.jsonl", [record(n) for n in range(42)])
    assert job.run(source).exit_code == 0
    (part,) = (job.landing / "embedding_events").glob("part-*")
    assert len(pq.ParquetFile(part).read()) == 42


def test_no_vector_lands_without_its_object(job, tmp_path, monkeypatch):
    gather, added = Runner._embedding_event, []

    def interrupted(self, row, result):
        added.append(row)
        if len(added) == 15:
            raise KeyboardInterrupt
        return gather(self, row, result)

    monkeypatch.setattr("encoder_job.runner.BATCH_ROWS", 10)
    source = manifest(tmp_path / "objects.jsonl", [record(n) for n in range(30)])
    with monkeypatch.context() as broken:
        broken.setattr(Runner, "_embedding_event", interrupted)
        assert job.run(source).exit_code == 130
    objects = {row["object_id"] for row in job.rows("object_events")}
    assert {row["object_id"] for row in job.rows("embedding_events")} == objects
    assert len(objects) == 10
    assert job.run(source).exit_code == 0
    assert len(vectors(job.landing)) == len(job.rows("object_events")) == 30


def test_a_part_lands_after_a_while(job, tmp_path, monkeypatch):
    monkeypatch.setattr("encoder_job.runner.BATCH_ROWS", 10)
    monkeypatch.setattr(FolderLanding, "part_seconds", 0)
    source = manifest(tmp_path / "objects.jsonl", [record(n) for n in range(40)])
    assert job.run(source).exit_code == 0
    assert len(list((job.landing / "embedding_events").glob("part-*"))) == 4


def test_a_part_lands_when_its_vectors_are_many_bytes(job, tmp_path, monkeypatch):
    monkeypatch.setattr("encoder_job.runner.BATCH_ROWS", 10)
    # of the 32 floats that the tiny encoder gives, twenty
    monkeypatch.setattr("encoder_job.runner._PART_BYTES", 20 * 32 * 4)
    source = manifest(tmp_path / "objects.jsonl", [record(n) for n in range(50)])
    assert job.run(source).exit_code == 0
    parts = (job.landing / "embedding_events").glob("part-*")
    assert sorted(len(pq.ParquetFile(part).read()) for part in parts) == [10, 20, 20]


def test_a_vector_is_never_known_before_it_was_made(job, tmp_path, monkeypatch):
    began = datetime.now(UTC)
    seconds = count()

    class Clock(datetime):
        @classmethod
        def now(cls, zone):
            return began.astimezone(zone) - timedelta(seconds=next(seconds))

    monkeypatch.setattr("encoder_job.runner.datetime", Clock)
    source = manifest(tmp_path / "objects.jsonl", [record(n) for n in range(10)])
    assert job.run(source).exit_code == 0
    events = job.rows("embedding_events")
    assert len({row["encoded_at"] for row in events}) == 10
    assert all(row["landed_at"] >= row["encoded_at"] for row in events)


def test_a_vector_of_another_length_than_promised_is_a_failure(job, tmp_path, monkeypatch):
    def shortened(prepared, vector):
        return _encoded(prepared, vector * (0.99 if prepared.token_count == 32 else 1))

    monkeypatch.setattr("encoder_job.encoders.base._encoded", shortened)
    source = manifest(tmp_path / "objects.jsonl", [record(1), record(2, text(30)), record(3)])
    done = job.run(source)
    assert done.exit_code == 3
    assert "vector_not_unit_norm" in done.stderr
    assert {row["object_id"] for row in job.rows("embedding_events")} == {"object-1", "object-3"}
    assert [row["object_id"] for row in job.rows("encoding_failures")] == ["object-2"]


def test_what_could_not_land_is_tried_by_the_next_run(job, tmp_path, monkeypatch):
    small_parts(monkeypatch, 10)
    source = manifest(tmp_path / "objects.jsonl", [record(n) for n in range(50)])
    write, asked = FolderLanding.write_part, []

    def breaking(self, table, found, ids):
        asked.append((table, str(ids)))
        if [name for name, _ in asked].count("object_events") == 3 and table == "object_events":
            raise Refusal("landing: is full")
        return write(self, table, found, ids)

    with monkeypatch.context() as broken:
        broken.setattr(FolderLanding, "write_part", breaking)
        done = job.run(source)
    assert done.exit_code == 2
    assert "is full" in done.stderr
    assert len(asked) == len(set(asked))
    assert len(vectors(job.landing)) == 20
    ended = [row for row in job.rows("encoder_runs") if row["phase"] != "started"]
    assert [(row["phase"], row["embeddings_landed"]) for row in ended] == [("failed", 20)]
    assert job.run(source).exit_code == 0
    assert len(vectors(job.landing)) == 50


def test_objects_whose_part_was_lost_land_again_without_their_vectors(job, tmp_path):
    (tmp_path / "2.txt").write_text("it lies elsewhere")
    records = [record(1), without_content(2, content_uri="2.txt")]
    source = manifest(tmp_path / "objects.jsonl", records)
    job.run(source)
    before, encoded = job.rows("object_events"), vectors(job.landing)
    # as the refusal of a damaged part advises
    (part,) = (job.landing / "object_events").glob("part-*")
    part.unlink()
    done = job.run(source)
    assert "landed 2 object events, 0 embedding events" in done.stdout
    assert job.rows("object_events") == before
    assert vectors(job.landing) == encoded


def test_no_password_or_signature_is_told(job, tmp_path):
    source = manifest(tmp_path / "objects.jsonl", [record(1)])
    told = [
        job.run(f"memory://bob:hunter2@host/{tmp_path.name}/missing.csv?sig=hunter2"),
        job.run(f"memory://bob:hunter2@host/{tmp_path.name}?sig=hunter2"),
        job.run(source, landing="nosuch://bob:hunter2@host/landing?sig=hunter2"),
        job("erase", landing=f"memory://bob:hunter2@host/{tmp_path.name}"),
    ]
    for done in told:
        assert done.exit_code == 2
        assert "hunter2" not in done.output
        assert "://host/" in done.stderr


def test_a_second_encoder_gives_second_events_and_no_second_objects(job, tmp_path):
    import shutil

    from job_harness import change_one_weight

    shutil.copytree(job.folder / "models" / "tiny", job.folder / "models" / "other")
    change_one_weight(job.folder / "models" / "other")
    assert job("register", "other", "--location", "models/other").exit_code == 0
    source = manifest(tmp_path / "objects.jsonl", [record(n) for n in range(3)])
    job.run(source)
    job.run(source, "--encoder", "other")
    assert len(job.rows("object_events")) == 3
    assert len(vectors(job.landing)) == 6


def test_two_runs_at_once_are_refused(job, tmp_path):
    import fcntl

    source = manifest(tmp_path / "objects.jsonl", [record(1)])
    job.run(source)
    lock = os.open(job.landing / ".encoder-job.lock", os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)
    done = job.run(source)
    os.close(lock)
    assert done.exit_code == 2
    assert "another encoder-job is at work here" in done.stderr


def test_progress_tells_the_rate_and_the_time_left(job, tmp_path, monkeypatch):
    monkeypatch.setattr("encoder_job.progress._LINE_SECONDS", 0)
    done = job.run(manifest(tmp_path / "objects.jsonl", [record(n) for n in range(4)]))
    assert re.search(r"3 of 4 objects, \d+/s, about \d+ s left", done.stderr)


def test_while_nothing_is_done_there_is_no_rate_to_tell(job, tmp_path, monkeypatch):
    monkeypatch.setattr("encoder_job.progress._LINE_SECONDS", 0)
    monkeypatch.setattr("encoder_job.readers.base._PATIENCE_SECONDS", 0.01)
    (tmp_path / "1.txt").write_text("of a store that takes its time")
    read = base.read_at_most
    monkeypatch.setattr(base, "read_at_most", lambda *asked: (time.sleep(0.1), read(*asked))[1])
    source = manifest(tmp_path / "objects.jsonl", [without_content(1, content_uri="1.txt")])
    done = job.run(source)
    assert done.exit_code == 0, done.output


def test_a_log_store_is_told_in_json(job, tmp_path, monkeypatch):
    monkeypatch.setattr("encoder_job.progress._LINE_SECONDS", 0)
    source = manifest(tmp_path / "objects.jsonl", [record(1), record(2, " "), record(3)])
    done = job.run(source, "--log", "json")
    assert done.exit_code == 3
    assert done.stdout == ""
    told = [json.loads(line) for line in done.stderr.splitlines()]
    assert all(datetime.fromisoformat(line.pop("at")).tzinfo for line in told)
    assert {
        "event": "row_failed",
        "place": "objects.jsonl row 2",
        "reason": "empty_content",
    } in told
    assert [line["done"] for line in told if line["event"] == "progress"] == [1, 2, 3]
    last = told[-1]
    assert (last["event"], last["encoder_id"]) == ("finished", "tiny")
    assert (last["read"], last["embedding_events"], last["failed"], last["erased"]) == (3, 2, 1, 0)
    done = job.run(tmp_path / "missing.csv", "--log", "json")
    refused = json.loads(done.stderr)
    assert refused["event"] == "refused"
    assert "there is no such file" in refused["message"]
    done = job.run(source, "--log", "xml")
    assert done.exit_code == 2
    assert "a log is one of text, json" in done.stderr


def test_the_landed_vectors_are_float32_and_of_the_model(job, tmp_path):
    source = manifest(tmp_path / "objects.jsonl", [record(1, "the parcel came early")])
    job.run(source)
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(job.folder / "models" / "tiny"), device="cpu")
    expected = model.encode(["the parcel came early"])[0]
    (event,) = job.rows("embedding_events")
    np.testing.assert_allclose(event["embedding"], expected, atol=1e-6)
    assert event["token_count"] == 6
