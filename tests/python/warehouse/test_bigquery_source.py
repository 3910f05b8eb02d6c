"""The encoder job reads a query of BigQuery: the same reader as any database's, on the emulator."""

import google.auth
import pytest
from bigquery_store import PROJECT, emulator
from google.auth.credentials import AnonymousCredentials

from encoder_job.readers import open_source, shards, sql

_ROWS = 130
_LETTERS = f"""
create table letters.letters as
select
    concat('letter-', cast(n as string)) as object_id,
    concat('customer-', cast(mod(n, 7) as string)) as customer_id,
    concat('mail://', cast(n as string)) as source_reference,
    timestamp_add(timestamp '2026-07-02 10:00:00', interval n hour) as object_created_at,
    concat('the parcel ', cast(n as string)) as content
from unnest(generate_array(1, {_ROWS})) as n
"""


@pytest.fixture(scope="module")
def query(tmp_path_factory):
    """A file with a query, and the environment in which it is answered."""
    folder = tmp_path_factory.mktemp("source")
    with emulator(folder / "emulator") as served, pytest.MonkeyPatch.context() as patch:
        client = served.client()
        client.create_dataset("letters")
        client.query(_LETTERS).result()
        patch.setenv("BIGQUERY_EMULATOR_HOST", served.rest)
        patch.setattr(google.auth, "default", lambda **_: (AnonymousCredentials(), PROJECT))
        patch.setenv("EMBEDDING_STORE_SOURCE_URL", f"bigquery://{PROJECT}")
        # three round trips
        patch.setattr(sql, "_CONTENT_ROWS_BIGQUERY", 50)
        (folder / "query.sql").write_text("select * from letters.letters")
        yield f"sql:{folder / 'query.sql'}"


def test_wanted_rows_are_read_with_their_contents_newest_first(query):
    source = open_source(query, "text", 10**9)
    assert source.check() == _ROWS
    odd = {f"letter-{n}" for n in range(1, _ROWS, 2)}
    found = list(source.rows(lambda object_id, *_: object_id in odd, newest_first=True))
    assert {row.object_id for row in found} == odd
    assert all(row.content == f"the parcel {row.object_id[7:]}" for row in found)
    assert {row.fault for row in found} == {None}
    # within a round trip the order is the database's
    newest, oldest = found[:50], found[50:]
    assert min(row.object_created_at for row in newest) > max(
        row.object_created_at for row in oldest
    )


def test_it_is_split_for_many_workers(query, monkeypatch):
    monkeypatch.setattr(shards, "SHARD_ROWS", 25)
    monkeypatch.setattr(sql, "_CONTENT_ROWS_BIGQUERY", 10)
    source = open_source(query, "text", 10**9)
    parts = list(source.shards())
    assert len(parts) == 6
    found = [row.object_id for part in parts for row in source.rows_of(part, lambda *_: True)]
    assert sorted(found) == sorted(f"letter-{n}" for n in range(1, _ROWS + 1))
