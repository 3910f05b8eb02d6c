"""The project on BigQuery's emulator: everything that is built and tested on DuckDB, and equal to it row by row."""

import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from bigquery_store import PYTHON, BigQueryStore, Emulator, emulator
from comparison import differences, tables_of
from encoder_job.bigquery_landing import BigQueryLanding
from store import Build, Store

pytestmark = pytest.mark.xdist_group("bigquery")
LEDGER = ("ledger", "published")


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    if not PYTHON.exists():
        reason = "NOT TESTED ON BIGQUERY: its emulator needs Python 3.13; `make test-bigquery` sets it up"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with emulator(tmp_path_factory.mktemp("bigquery") / "emulator") as found:
        yield found


def land_parts(landed: Store, store: BigQueryStore, monkeypatch: pytest.MonkeyPatch) -> int:
    """Load every part of a landing folder, as the job does with its own; return how many were new."""
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", store.served.rest)
    landing = BigQueryLanding(store.landing_prefix)
    landing.ensure_tables()
    parts = sorted(landed.landing.glob("*/**/*.parquet"))
    return sum(
        landing.write_part(part.parent.name, pq.read_table(part), part.name)
        for part in parts
        if part.name != "empty.parquet"
    )


@pytest.fixture(scope="session")
def bigquery_landed(
    served: Emulator, landed: Store, tmp_path_factory: pytest.TempPathFactory
) -> BigQueryStore:
    """The small real sample, in a landing dataset."""
    store = BigQueryStore(tmp_path_factory.mktemp("bigquery") / "sample", served)
    with pytest.MonkeyPatch.context() as monkeypatch:
        assert land_parts(landed, store, monkeypatch) > 3
        assert land_parts(landed, store, monkeypatch) == 0
    return store


@pytest.fixture(scope="session")
def bigquery_first_build(bigquery_landed: BigQueryStore) -> tuple[BigQueryStore, Build]:
    return bigquery_landed, bigquery_landed.dbt("build")


@pytest.fixture(scope="session")
def bigquery_built(bigquery_first_build: tuple[BigQueryStore, Build]) -> BigQueryStore:
    store, build = bigquery_first_build
    assert build.exit_code == 0, build.output[-4000:]
    return store


def test_the_first_build_passes_everything(
    bigquery_first_build: tuple[BigQueryStore, Build], first_build: tuple[Store, Build]
):
    _, build = bigquery_first_build
    assert build.exit_code == 0, build.output[-4000:]
    assert build.statuses == first_build[1].statuses


def test_every_table_equals_duckdbs(bigquery_built: BigQueryStore, built: Store):
    schemas = ("restricted", "ledger", "internal", "published")
    expected, found = (tables_of(store, schemas) for store in (built, bigquery_built))
    assert set(found) == set(expected)
    assert len(found) > 50
    different = {name: differences(expected[name], found[name])[:3] for name in expected}
    assert {name: told for name, told in different.items() if told} == {}


def test_a_second_build_trains_scores_and_changes_nothing(bigquery_built: BigQueryStore):
    before = tables_of(bigquery_built, LEDGER)
    build = bigquery_built.build()
    assert build.exit_code == 0, build.output[-4000:]
    assert "training_records: nothing to train" in build.output
    assert "prediction_scores: nothing to score" in build.output
    after = tables_of(bigquery_built, LEDGER)
    assert {name: differences(table, after[name])[:3] for name, table in before.items()} == {
        name: [] for name in before
    }


def test_the_job_lands_in_bigquery_what_is_not_there_yet(
    bigquery_landed: BigQueryStore, landed: Store, tmp_path: Path
):
    store = BigQueryStore(tmp_path / "job", bigquery_landed.served)
    manifest = tmp_path / "objects.csv"
    header = "object_id,customer_id,object_created_at,source_reference,content\n"
    rows = [f"o{n},c{n},2026-10-01,tickets://{n},a text of {n}\n" for n in range(3)]
    for count, told in (
        (2, "landed 2 object events"),
        (3, "landed 1 object events"),
        (3, "nothing new to encode"),
    ):
        manifest.write_text(header + "".join(rows[:count]))
        done = store.encode(manifest)
        assert done.returncode == 0, done.stdout + done.stderr
        assert told in done.stdout
    assert store.query(
        "select count(*), count(distinct event_id) from landing.embedding_events"
    ) == [(3, 3)]
    assert store.query("select array_length(embedding) from landing.embedding_events limit 1") == [
        (384,)
    ]
