"""A source split into shards is read to the same rows, each once, those of one object together."""

import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy
from job_harness import manifest, record

from encoder_job.readers import open_source, shards


def _any(*_: object) -> bool:
    return True


def _told(rows) -> list[tuple]:
    return [(row.object_id, row.object_version, row.content, row.fault) for row in rows]


@pytest.fixture
def few_rows(monkeypatch) -> None:
    monkeypatch.setattr(shards, "SHARD_ROWS", 10)
    monkeypatch.setattr("encoder_job.readers.sql._CONTENT_ROWS", 5)


@pytest.mark.usefixtures("few_rows")
@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_files_are_split_and_objects_are_not(tmp_path, kind):
    chance = random.Random(3)
    for name in "ab":
        # an id comes again after one row, or after fifty, in this file or in the other
        numbers = [chance.choice([n, n, n, 0, 7, n // 2]) for n in range(55)]
        rows = [record(number, object_version=str(place)) for place, number in enumerate(numbers)]
        rows[20]["object_id"] = None
        path = tmp_path / f"{name}.{kind}"
        if kind == "jsonl":
            manifest(path, rows)
        elif kind == "csv":
            lines = [",".join(str(value or "") for value in row.values()) for row in rows]
            path.write_text("\n".join([",".join(rows[0]), *lines]))
        else:
            pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=17)
    source = open_source(str(tmp_path), "text", 10**9)
    whole = list(source.rows(_any))
    parts = [list(source.rows_of(shard, _any)) for shard in source.shards()]
    assert sorted(map(str, _told(row for part in parts for row in part))) == sorted(
        map(str, _told(whole))
    )
    assert {row.place for part in parts for row in part} == {row.place for row in whole}
    assert 5 < len(parts) <= 11
    where = {}
    for number, part in enumerate(parts):
        for row in part:
            if row.object_id:
                assert where.setdefault(row.object_id, number) == number


@pytest.mark.usefixtures("few_rows")
def test_a_query_is_split_by_ranges_of_ids(tmp_path, monkeypatch):
    url = f"sqlite:///{tmp_path / 'objects.db'}"
    monkeypatch.setenv("EMBEDDING_STORE_SOURCE_URL", url)
    rows = [record(n // 2, object_version=str(n)) for n in range(70)]
    rows += [record(n, object_id=None, object_version="1") for n in range(2)]
    metadata = sqlalchemy.MetaData()
    columns = [sqlalchemy.Column(name, sqlalchemy.String) for name in rows[0]]
    table = sqlalchemy.Table("objects", metadata, *columns)
    engine = sqlalchemy.create_engine(url)
    metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(table.insert(), rows)
    (tmp_path / "query.sql").write_text("select * from objects")
    source = open_source(f"sql:{tmp_path / 'query.sql'}", "text", 10**9)
    found = list(source.shards())
    assert len(found) == 8
    read = [row for shard in found for row in source.rows_of(shard, _any)]
    assert sorted(map(str, _told(read))) == sorted(map(str, _told(source.rows(_any))))
    assert len(read) == 72
    wanted = [
        row for shard in found for row in source.rows_of(shard, lambda name, *_: name == "object-3")
    ]
    assert {row.object_id for row in wanted} == {"object-3", None}


def test_no_rows_are_no_shards():
    assert list(shards.split({"a": 0}, [])) == []
