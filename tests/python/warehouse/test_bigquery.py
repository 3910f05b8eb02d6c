"""The project on BigQuery's emulator: everything that is built and tested on DuckDB, and equal to it row by row."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bigquery_store import PYTHON, SCHEMAS, BigQueryStore, Emulator, emulator
from comparison import differences, tables_of
from histories import histories
from store import REPOSITORY, Build, Store

from encoder_job.bigquery_landing import BigQueryLanding
from encoder_job.folder_landing import FolderLanding
from encoder_job.registry import Registry

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
    expected, found = (tables_of(store, SCHEMAS) for store in (built, bigquery_built))
    assert set(found) == set(expected)
    assert len(found) > 50
    different = {name: differences(expected[name], found[name])[:3] for name in expected}
    assert {name: told for name, told in different.items() if told} == {}


def test_the_python_scorer_gives_what_the_sql_scorer_gave(
    bigquery_built: BigQueryStore, built: Store
):
    gone = "where classifier_id in ('review_tone_mlp', 'review_tone_linear')"
    bigquery_built.execute(f"delete from ledger.prediction_scores {gone}")
    build = bigquery_built.dbt(
        "build", "--select", "prediction_scores", EMBEDDING_STORE_SCORER="python"
    )
    assert build.exit_code == 0, build.output[-4000:]
    assert "prediction_scores: scored" in build.output
    scores = "select * from ledger.prediction_scores"
    assert differences(built.arrow(scores), bigquery_built.arrow(scores)) == []


def test_a_second_build_trains_scores_and_changes_nothing(bigquery_built: BigQueryStore):
    before = tables_of(bigquery_built, LEDGER)
    build = bigquery_built.build_models()
    assert build.exit_code == 0, build.output[-4000:]
    assert "training_records: nothing to train" in build.output
    after = tables_of(bigquery_built, LEDGER)
    assert {name: differences(table, after[name])[:3] for name, table in before.items()} == {
        name: [] for name in before
    }


# the newest objects lie up to six hours later: the week and the month begin, and a leap day ends, near these
MOMENTS = (datetime(2026, 6, 1, tzinfo=UTC), datetime(2024, 2, 29, 23, 59, 59, tzinfo=UTC))
HISTORIES = 40
DATASETS = (
    "--exclude-resource-type",
    "test",
    "--exclude-resource-type",
    "unit_test",
    "--select",
    "path:seeds",
    "path:models/staging",
    "path:models/datasets",
)


@pytest.mark.parametrize("as_of", MOMENTS, ids=str)
def test_histories_made_by_chance_give_equal_datasets(
    as_of: datetime, served: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    store = Store(tmp_path / "duckdb")
    fingerprint = Registry(REPOSITORY).active("text").encoder_fingerprint
    made = histories(HISTORIES, as_of.year, as_of, fingerprint)
    folder = FolderLanding(str(store.landing))
    folder.ensure_tables()
    bigquery_store = BigQueryStore(tmp_path / f"h{as_of.year}", served)
    # an earlier moment first, then what is due: the second build finds some of its work done
    for build, half in enumerate((slice(None, None, 2), slice(1, None, 2))):
        for table, rows in made.items():
            taken = rows.take(pa.array(range(rows.num_rows)[half], pa.int64()))
            folder.write_part(table, taken, build)
        land_parts(store, bigquery_store, monkeypatch)
        asked = (
            () if build else ("--vars", f"as_of: '{as_of - timedelta(days=20):%Y-%m-%d %H:%M:%S}'")
        )
        for each in (store, bigquery_store):
            done = each.dbt("build", *DATASETS, *asked)
            assert done.exit_code == 0, done.output[-4000:]
    expected, found = (tables_of(each, SCHEMAS) for each in (store, bigquery_store))
    assert set(found) == set(expected)
    different = {name: differences(expected[name], found[name])[:3] for name in expected}
    assert {name: told for name, told in different.items() if told} == {}
    reasons = store.query(
        "select count(distinct exclusion_reason) from internal.dataset_candidates"
    )
    assert reasons[0][0] >= 4
    assert (
        store.query("select count(distinct rejection_reason) from internal.rejected_events")[0][0]
        > 5
    )
    assert store.query("select count(*) > 20 from ledger.dataset_snapshots")[0][0]


def test_the_job_lands_in_bigquery_what_is_not_there_yet(served: Emulator, tmp_path: Path):
    store = BigQueryStore(tmp_path / "job", served)
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
