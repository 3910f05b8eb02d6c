"""Objects of a database: read once, many at a time, and never without need."""

import sqlite3
import uuid
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pytest
import sqlalchemy
from job_harness import KEY, record, small_parts

from encoder_job.errors import Refusal
from encoder_job.readers import base, sql

MARKER = "zebra-quartz-8151"
_COLUMNS = ("object_id", "customer_id", "source_reference", "object_created_at", "content")


@pytest.fixture
def database(tmp_path, monkeypatch) -> Path:
    path = tmp_path / "mails.db"
    monkeypatch.setenv(sql.URL_VARIABLE, f"sqlite:///{path}")
    (tmp_path / "objects.sql").write_text(
        "select id as object_id, customer_id, source_reference,\n"
        "       object_created_at, content, 'a:b' as note\nfrom mails;\n"
    )
    with sqlite3.connect(path) as connection:
        connection.execute(
            "create table mails (id, customer_id, source_reference, object_created_at, content)"
        )
    return path


@pytest.fixture
def statements(monkeypatch) -> list[str]:
    """What the database is asked."""
    asked: list[str] = []
    create = sqlalchemy.create_engine

    def watched(*arguments, **options):
        engine = create(*arguments, **options)
        sqlalchemy.event.listen(
            engine, "before_cursor_execute", lambda *call: asked.append(" ".join(call[2].split()))
        )
        return engine

    monkeypatch.setattr(sql.sqlalchemy, "create_engine", watched)
    return asked


def insert(database: Path, rows: list[dict]) -> None:
    with sqlite3.connect(database) as connection:
        connection.executemany(
            "insert into mails values (?, ?, ?, ?, ?)",
            [[row[name] for name in _COLUMNS] for row in rows],
        )


def run(job, tmp_path: Path, *options: str):
    return job("run", "--source", f"sql:{tmp_path / 'objects.sql'}", *options)


def test_what_has_been_encoded_is_not_read_again(job, tmp_path, database, statements):
    insert(database, [record(n) for n in range(450)])
    done = run(job, tmp_path)
    assert done.exit_code == 0, done.output
    assert "landed 450 object events, 450 embedding events" in done.stdout
    contents = [asked for asked in statements if "source where object_id in" in asked]
    # 450 objects in three questions, beside the columns, the number and the keys
    assert (len(contents), len(statements)) == (3, 6)

    statements.clear()
    insert(database, [record(450)])
    done = run(job, tmp_path)
    assert done.exit_code == 0, done.output
    assert "read 1 objects" in done.stdout
    assert "450 were there already" in done.stdout
    assert len([asked for asked in statements if "source where object_id in" in asked]) == 1
    assert len({row["event_id"] for row in job.rows("embedding_events")}) == 451


def test_a_database_lands_the_bytes_that_a_file_lands(job, tmp_path, database):
    from job_harness import manifest, vectors

    rows = [record(n) for n in range(30)]
    insert(database, rows)
    run(job, tmp_path)
    job.run(manifest(tmp_path / "objects.jsonl", rows), landing=tmp_path / "other")
    assert vectors(job.landing) == vectors(tmp_path / "other")


def test_bad_rows_fail_alone(job, tmp_path, database):
    insert(
        database,
        [
            record(1),
            record(2, object_id=None),
            record(3, customer_id=None),
            record(4, object_created_at="yesterday"),
            record(5, content=""),
            record(6, content=5.5),
            record(7, content=b"a text as bytes"),
            record(8, object_id=8),
            record(9, object_id=2.5),
            record(1, content="other content"),
        ],
    )
    done = run(job, tmp_path)
    assert done.exit_code == 3
    assert sorted(row["object_id"] for row in job.rows("embedding_events")) == [
        *("8", "object-1", "object-7"),
    ]
    assert sorted(row["reason"] for row in job.rows("encoding_failures")) == [
        "content_changed",
        "empty_content",
        "invalid_content",
        "invalid_object_created_at",
        "invalid_object_id",
        "missing_customer_id",
        "missing_object_id",
    ]


def test_erased_objects_are_not_read(job, tmp_path, database):
    from encoder_job.landing.folder import FolderLanding

    insert(database, [record(n) for n in range(14)])
    landing = FolderLanding(str(job.landing))
    landing.ensure_tables()
    request = {"event_id": "r", "scope": "customer", "subject_id": "customer-3"}
    landing.write_part(
        "erasure_requests", [request | {"requested_at": datetime(2026, 8, 1, tzinfo=UTC)}], "r"
    )
    done = run(job, tmp_path)
    assert "read 12 objects" in done.stdout
    assert "2 erased" in done.stdout


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("select 1 as object_id", "the column customer_id is missing"),
        (f"select {MARKER} from nowhere", "the database refuses (OperationalError)"),
        ("drop table mails", "the database refuses (OperationalError)"),
    ],
)
def test_a_query_that_gives_no_objects_is_refused(job, tmp_path, query, told):
    (tmp_path / "objects.sql").write_text(query)
    done = run(job, tmp_path)
    assert done.exit_code == 2
    assert told in done.stderr
    assert MARKER not in done.output
    assert not job.landing.exists()


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize(
    "url", ["", "nonsense", f"nosuchdatabase://user:{KEY}@host/x", f"sqlite:////none/{KEY}/x.db"]
)
def test_a_database_that_cannot_be_opened_is_refused_without_its_password(
    job, tmp_path, monkeypatch, url
):
    monkeypatch.setenv(sql.URL_VARIABLE, url)
    done = run(job, tmp_path)
    assert done.exit_code == 2
    assert sql.URL_VARIABLE in done.stderr
    assert KEY not in done.output


@pytest.mark.usefixtures("database")
def test_a_query_that_is_no_file_is_refused(job):
    done = job("run", "--source", "sql:/none/objects.sql")
    assert done.exit_code == 2
    assert "the query cannot be read (FileNotFoundError)" in done.stderr


def test_a_backfill_lands_the_newest_first(job, tmp_path, database, monkeypatch):
    monkeypatch.setattr(sql, "_CONTENT_ROWS", 2)
    small_parts(monkeypatch, 2)
    days = (3, 9, 5, 1, 8, 2)
    insert(database, [record(n, object_created_at=f"2026-07-{n:02d}T10:00:00") for n in days])
    source = f"sql:{tmp_path / 'objects.sql'}"
    done = job("backfill", "--encoder", "tiny", "--source", source)
    assert done.exit_code == 0, done.output
    landed = sorted(job.rows("embedding_events"), key=lambda row: row["landed_at"])
    found = [int(row["object_id"].removeprefix("object-")) for row in landed]
    assert [set(found[start : start + 2]) for start in (0, 2, 4)] == [{9, 8}, {5, 3}, {2, 1}]


def test_a_value_that_the_database_cannot_give_is_the_fault_of_its_row(
    job, tmp_path, database, statements
):
    insert(database, [record(n) for n in range(450)])
    with sqlite3.connect(database) as connection:
        broken = "update mails set content = cast(x'636166e9' as text) where id = ?"
        connection.executemany(broken, [["object-7"], ["object-8"], ["object-300"]])
    done = run(job, tmp_path)
    assert done.exit_code == 3, done.output
    assert len(job.rows("embedding_events")) == 447
    assert sorted(
        (row["object_id"], row["customer_id"], row["reason"])
        for row in job.rows("encoding_failures")
    ) == [
        ("object-300", "customer-6", "content_unreadable"),
        ("object-7", "customer-0", "content_unreadable"),
        ("object-8", "customer-1", "content_unreadable"),
    ]
    assert len(statements) < 80


def test_only_the_version_that_cannot_be_given_is_at_fault(job, tmp_path, database):
    (tmp_path / "objects.sql").write_text(
        "select id as object_id, customer_id, source_reference, object_created_at, content,"
        " source_reference as object_version from mails"
    )
    days = ["2026-07-01", "2026-07-02", "2026-07-03"]
    insert(
        database,
        [
            record(1, source_reference=f"v{number}", object_created_at=day)
            for number, day in enumerate(days)
        ],
    )
    with sqlite3.connect(database) as connection:
        connection.execute(
            "update mails set content = cast(x'636166e9' as text) where source_reference = 'v1'"
        )
    assert run(job, tmp_path).exit_code == 3
    (failure,) = job.rows("encoding_failures")
    assert (failure["object_version"], failure["reason"]) == ("v1", "content_unreadable")
    assert {row["object_version"] for row in job.rows("embedding_events")} == {"v0", "v2"}


def test_a_connection_that_breaks_once_blames_nobody(job, tmp_path, database, monkeypatch):
    insert(database, [record(1)])
    asked, calls = sql.SqlSource._asked, []

    def once_broken(self, *keys, **options):
        calls.append(keys)
        if len(calls) == 1:
            raise sqlalchemy.exc.OperationalError("select", {}, Exception())
        yield from asked(self, *keys, **options)

    monkeypatch.setattr(sql.SqlSource, "_asked", once_broken)
    assert run(job, tmp_path).exit_code == 0
    assert len(job.rows("embedding_events")) == 1


def test_a_database_that_gives_nothing_blames_no_row(job, tmp_path, database, monkeypatch):
    insert(database, [record(n) for n in range(100)])

    def gone(*_, **__):
        monkeypatch.setattr(sql.SqlSource, "_select", lambda *_: sqlalchemy.text("select nothing"))
        raise sqlalchemy.exc.OperationalError("select", {}, Exception())
        yield

    monkeypatch.setattr(sql.SqlSource, "_asked", gone)
    done = run(job, tmp_path)
    assert done.exit_code == 2
    assert "the database refuses (OperationalError)" in done.stderr
    assert job.rows("encoding_failures") == []


def test_a_database_that_breaks_on_the_way_keeps_what_was_taken(
    job, tmp_path, database, monkeypatch
):
    insert(database, [record(n) for n in range(100)])
    contents, calls = sql.SqlSource._contents, []

    def breaking(self, wanted):
        calls.append(wanted)
        if len(calls) == 7:
            raise Refusal("source sql: the database refuses")
        yield from contents(self, wanted)

    with monkeypatch.context() as broken:
        broken.setattr(sql, "_CONTENT_ROWS", 10)
        broken.setattr(sql.SqlSource, "_contents", breaking)
        assert run(job, tmp_path).exit_code == 2
    landed = len(job.rows("embedding_events"))
    (ended,) = [row for row in job.rows("encoder_runs") if row["phase"] != "started"]
    assert (ended["phase"], ended["embeddings_landed"]) == ("failed", landed)
    # what was fetched ahead is fetched again
    assert 20 <= landed <= 60
    assert f"{landed} were there already" in run(job, tmp_path).stdout
    assert len({row["event_id"] for row in job.rows("embedding_events")}) == 100


def test_ids_and_times_of_database_types_are_understood():
    values = {"id": uuid.UUID(int=5), "day": date(2026, 7, 2)}
    assert base.text_of(values, "id") == "00000000-0000-0000-0000-000000000005"
    assert base.time_of(values, "day") == datetime(2026, 7, 2, tzinfo=UTC)
    # an end of all times, in a session west of Greenwich
    west = timezone(timedelta(hours=-5))
    last = {"moment": datetime(9999, 12, 31, 23, 59, 59, tzinfo=west)}
    with pytest.raises(base.Fault, match="invalid_moment"):
        base.time_of(last, "moment")


def test_a_query_may_end_in_a_comment(job, tmp_path, database):
    insert(database, [record(1)])
    path = tmp_path / "objects.sql"
    path.write_text(path.read_text().rstrip().rstrip(";") + " -- the newest last")
    assert run(job, tmp_path).exit_code == 0
