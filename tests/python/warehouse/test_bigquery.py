"""The project on BigQuery's emulator: everything that is built and tested on DuckDB, and equal to it row by row."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import sqlglot
from bigquery_store import SCHEMAS, BigQueryStore, Emulator, emulator
from comparison import all_differences, tables_of
from sqlglot import exp
from store import ALARM, Build, Store, seed

from encoder_job.erasure import object_hash
from encoder_job.errors import Refusal
from encoder_job.identity import event_id
from encoder_job.landing.bigquery import BigQueryLanding
from encoder_job.landing.folder import FolderLanding

LEDGER = ("ledger", "published")
UNCHANGED = "assert_snapshots_are_unchanged"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with emulator(tmp_path_factory.mktemp("bigquery") / "emulator") as found:
        yield found


@pytest.fixture(scope="module")
def bigquery_landed(
    served: Emulator, landed: Store, tmp_path_factory: pytest.TempPathFactory
) -> BigQueryStore:
    """The small real sample, in a landing dataset."""
    store = BigQueryStore(tmp_path_factory.mktemp("bigquery") / "sample", served)
    assert store.land_parts(landed) > 3
    assert store.land_parts(landed) == 0
    return store


@pytest.fixture(scope="module")
def bigquery_first_build(bigquery_landed: BigQueryStore) -> tuple[BigQueryStore, Build]:
    """All but the tests for null: every table is compared with DuckDB's, where they run."""
    assert bigquery_landed.dbt("source", "freshness").exit_code == 0
    return bigquery_landed, bigquery_landed.dbt("build", "--exclude", "test_name:not_null")


@pytest.fixture(scope="module")
def bigquery_built(bigquery_first_build: tuple[BigQueryStore, Build]) -> BigQueryStore:
    store, build = bigquery_first_build
    assert build.exit_code == 0, build.output[-4000:]
    store.keep_state()
    return store


def test_the_first_build_passes_everything(
    bigquery_first_build: tuple[BigQueryStore, Build],
    first_build: tuple[Store, Build],
    record_property: Callable,
):
    _, build = bigquery_first_build
    assert build.exit_code == 0, build.output[-4000:]
    assert build.statuses == {
        node: status
        for node, status in first_build[1].statuses.items()
        if not re.search(r"\.(source_)?not_null_", node)
    }
    record_property("built on BigQuery's emulator and passed", build.kinds())


def test_what_is_compiled_for_bigquery_is_googlesql(bigquery_built: BigQueryStore):
    """The emulator also knows the functions of DuckDB, which it is made of; BigQuery does not."""
    paths = list((bigquery_built.target / "compiled").rglob("*.sql"))
    assert len(paths) > 300
    for path in paths:
        query = path.read_text()
        assert not re.search(r"::|\[\]|\b(try_cast|len)\(", query), path
        parsed = sqlglot.parse_one(query, dialect="bigquery")
        unknown = {function.name.lower() for function in parsed.find_all(exp.Anonymous)}
        assert unknown <= {"error"}, path


def test_every_table_equals_duckdbs(
    bigquery_built: BigQueryStore, built: Store, record_property: Callable
):
    expected, found = (tables_of(store, SCHEMAS) for store in (built, bigquery_built))
    assert all_differences(expected, found) == {}
    assert len(found) > 50
    rows = sum(table.num_rows for table in found.values())
    record_property("compared with DuckDB", f"{len(found)} tables and views, {rows} rows, equal")


def test_a_null_is_kept_out_of_the_same_columns(bigquery_built: BigQueryStore, built: Store):
    required = "is_nullable = 'NO' and table_schema like '%{}'"
    columns = "select table_name, column_name from {} where " + required + " order by 1, 2"
    count = 0
    for schema in SCHEMAS:
        on_duckdb = built.query(columns.format("information_schema.columns", schema))
        place = f"{bigquery_built.dataset}_{schema}.INFORMATION_SCHEMA.COLUMNS"
        assert bigquery_built.query(columns.format(place, schema)) == on_duckdb
        count += len(on_duckdb)
    assert count > 250


def test_scores_equal_duckdbs(
    bigquery_built: BigQueryStore, built: Store, record_property: Callable
):
    scores = "select classifier_id, event_id, probabilities from ledger.prediction_scores"
    expected, found = (
        store.arrow(f"{scores} order by classifier_id, event_id")
        for store in (built, bigquery_built)
    )
    classifiers = set(expected["classifier_id"].to_pylist())
    # of digits the sample has no image
    assert classifiers == {
        row["classifier_id"]
        for row in seed(built.project, "classifiers")
        if row["dataset_id"] != "digit"
    }
    for classifier in sorted(classifiers):
        of_it = [
            table.filter(pc.equal(table["classifier_id"], classifier))
            for table in (expected, found)
        ]
        assert of_it[0]["event_id"].equals(of_it[1]["event_id"])
        one, other = (np.concatenate(t["probabilities"].to_numpy()) for t in of_it)
        largest = np.abs(one - other).max()
        assert largest < 1e-5
        told = f"{of_it[0].num_rows} scores, SQL and Python differ by {largest:.1e} at most"
        record_property(classifier, told)


def test_a_second_build_trains_scores_and_changes_nothing(
    bigquery_built: BigQueryStore, record_property: Callable
):
    build = bigquery_built.build_news()
    assert build.exit_code == 0, build.output[-4000:]
    assert build.nodes == {ALARM}
    before = tables_of(bigquery_built, LEDGER)
    build = bigquery_built.build_models()
    assert build.exit_code == 0, build.output[-4000:]
    assert "training_records: nothing to train" in build.output
    assert all_differences(before, tables_of(bigquery_built, LEDGER), ignored={}) == {}
    told = (
        f"{build.kinds()}; nothing trained, nothing scored, no row of {len(before)} tables changed"
    )
    record_property("built a second time", told)


def test_no_past_snapshot_is_replaced_and_no_change_of_one_is_overlooked(
    bigquery_built: BigQueryStore,
):
    changes = {
        f"""
            update ledger.{table} set split = 'changed'
            where split = 'test'
                and object_id = (select min(object_id) from ledger.{table} where split = 'test')
        """: f"update ledger.{table} set split = 'test' where split = 'changed'"
        for table in ("dataset_snapshots", "dataset_candidates")
    }
    # what would be made anew would be without them
    for change in changes:
        bigquery_built.execute(change)
    before = tables_of(bigquery_built, ("ledger",))
    build = bigquery_built.dbt(
        *("build", "--full-refresh", "--exclude-resource-type", "test"),
        *("--select", "config.schema:ledger"),
    )
    assert build.exit_code == 0, build.output[-4000:]
    assert all_differences(before, tables_of(bigquery_built, ("ledger",)), ignored={}) == {}

    for change_back in changes.values():
        bigquery_built.execute(change_back)
    for change, change_back in changes.items():
        bigquery_built.execute(change)
        assert bigquery_built.dbt("test", "--select", UNCHANGED).exit_code == 1
        bigquery_built.execute(change_back)
    assert bigquery_built.dbt("test", "--select", UNCHANGED).exit_code == 0


def land_later(store: Store, landed_at: datetime) -> int:
    """Land copies of some texts and their vectors under other ids; return of how many."""
    objects, events = (
        pq.read_table(store.landing / table).to_pylist()
        for table in ("object_events", "embedding_events")
    )
    # images have no tokens
    events = [row for row in events if row["token_count"] is not None][:20]
    copied = {row["object_id"] for row in events}
    objects = [row for row in objects if row["object_id"] in copied]
    for row in objects:
        row["object_id"] += "/later"
    for row in events:
        row["object_id"] += "/later"
        row["landed_at"] = landed_at
        row["event_id"] = event_id(
            row["object_id"], row["object_version"], row["encoder_fingerprint"]
        )
    landing = FolderLanding(str(store.landing))
    landing.write_part("object_events", objects, "later")
    landing.write_part("embedding_events", events, "later")
    return len(events)


def ask_for_erasure(store: Store) -> None:
    """Land requests for a customer and for an object of somebody else, of whom nothing is landed later."""
    (customer, _), (_, object_id) = store.query("""
        select customer_id, max(object_id) from restricted.stg_objects
        group by customer_id order by max(object_id) desc limit 2
    """)
    requests = [
        {"event_id": f"erase {scope}", "scope": scope, "subject_id": subject}
        | {"requested_at": datetime(2026, 10, 20, tzinfo=UTC)}
        for scope, subject in (("customer", customer), ("object", object_id))
    ]
    landing = FolderLanding(str(store.landing))
    landing.write_part("erasure_requests", requests, "asked for")


def test_a_build_with_new_events_reads_no_partition_before_them(
    bigquery_built: BigQueryStore, spoilt: Store
):
    landed_at = datetime.now(UTC).replace(microsecond=0)
    count = land_later(spoilt, landed_at)
    ask_for_erasure(spoilt)
    assert bigquery_built.land_parts(spoilt) == 3
    last = spoilt.query("select max(event_id) from ledger.evaluation_scores")[0][0]
    # on BigQuery the SQL scorer is the default, and what nobody has written to is left alone
    scorers = {spoilt: {"EMBEDDING_STORE_SCORER": "sql"}, bigquery_built: {}}
    builds = {spoilt: spoilt.build, bigquery_built: bigquery_built.build_news}
    for store, scorer in scorers.items():
        store.execute(f"delete from ledger.evaluation_scores where event_id = '{last}'")
        build = builds[store]("--exclude-resource-type", "test", **scorer)
        assert build.exit_code == 0, build.output[-4000:]
        from_then_on = f"landed_at >= timestamp '{landed_at:%Y-%m-%d %H:%M:%S}.000000'"
        for model in ("measured_embedding_events", "stg_embedding_events", "prediction_scores"):
            assert f"({from_then_on})" in store.compiled(model), model
        assert "where (known_at >= timestamp '" in store.compiled("evaluation_scores")
        scored_at = store.query("select max(scored_at) from ledger.prediction_scores")[0][0]
        assert f"and (scored_at >= timestamp '{scored_at:%Y-%m-%d %H:%M:%S.%f}')" in (
            store.compiled("predictions")
        )
    assert all_differences(*(tables_of(store, SCHEMAS) for store in scorers)) == {}
    assert bigquery_built.query("""
        select count(distinct table_name) from published.erasure_outcomes
        where row_count > 0 and erased_at is not null
    """)[0][0] > 10  # fmt: skip

    # an older model has scored everything: the champion scores again what landed from a moment on
    for store, scorer in scorers.items():
        of_one = "where classifier_id = 'review_tone_mlp'"
        store.execute(f"update ledger.prediction_scores set model_id = 'older' {of_one}")
        build = store.dbt(
            *("build", "--exclude-resource-type", "test", "--select", "prediction_scores"),
            *("--vars", f"rescore_from: {landed_at:%Y-%m-%dT%H:%M:%S}"),
            **scorer,
        )
        assert build.exit_code == 0, build.output[-4000:]
        assert store.query(
            f"select count(*) from ledger.prediction_scores {of_one} and model_id <> 'older'"
        ) == [(count,)]


def test_the_python_scorer_gives_what_the_sql_scorer_gave(bigquery_built: BigQueryStore):
    before = tables_of(bigquery_built, ("ledger",))
    gone = "where classifier_id in ('negative_review_mlp', 'negative_review_linear')"
    bigquery_built.execute(f"delete from ledger.prediction_scores {gone}")
    build = bigquery_built.dbt(
        *("build", "--exclude-resource-type", "test", "--select", "prediction_scores"),
        EMBEDDING_STORE_SCORER="python",
        EMULATED_RUNNER="process",
    )
    assert build.exit_code == 0, build.output[-4000:]
    assert "prediction_scores: scored" in build.output
    assert all_differences(before, tables_of(bigquery_built, ("ledger",))) == {}


def test_a_part_whose_load_failed_is_loaded_by_the_next_run(
    served: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", served.rest)
    store = BigQueryStore(tmp_path / "failed", served)
    landing = BigQueryLanding(store.landing_prefix)
    landing.ensure_tables()
    part = [{"event_id": "r", "object_id": "o", "rating": 1.0}]
    with monkeypatch.context() as broken:
        broken.setattr("pyarrow.parquet.write_table", lambda _, sink, **__: sink.write(b"PAR1"))
        for _ in range(2):
            with pytest.raises(Refusal, match="table rating_events: BigQuery refuses"):
                landing.write_part("rating_events", part, "ids")
    assert landing.write_part("rating_events", part, "ids")
    assert not landing.write_part("rating_events", part, "ids")
    assert store.query("select event_id, rating from landing.rating_events") == [("r", 1.0)]


def test_the_job_lands_in_bigquery_what_is_not_there_yet(served: Emulator, tmp_path: Path):
    store = BigQueryStore(tmp_path / "job", served)
    # of an earlier version
    store.client.create_dataset(f"{store.dataset}_landing")
    store.execute("create table landing.encoding_failures (object_id string)")
    manifest = tmp_path / "objects.csv"
    header = "object_id,customer_id,object_created_at,source_reference,content\n"
    rows = [f"o{n},c{n},2026-10-01,tickets://{n},a text of {n}\n" for n in range(3)]
    for count, told in (
        (2, "landed 2 object events"),
        (3, "landed 1 object events"),
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

    store.execute("""
        insert into landing.erasure_requests (event_id, scope, subject_id, requested_at)
        values ('r1', 'customer', 'c0', timestamp '2026-10-20'), ('r2', 'object', ' o2', timestamp '2026-10-20'),
            ('r3', 'object', 'o1', null)
    """)
    for told in (
        "2 of embedding_events, 2 of object_events",
        "none were left",
        "erased rows: 1 of embedding_events, 1 of encoding_failures\n",
    ):
        done = store.run("encoder-job", "erase")
        assert done.returncode == 0, done.stdout + done.stderr
        assert told in done.stdout
        if "none" in told:
            # of a run that was at work: nothing but what the first erasure recorded tells whose
            store.execute("""
                insert into landing.embedding_events (object_id) values ('o0');
                insert into landing.encoding_failures (object_id, customer_id) values ('of c0', 'c0')
            """)
    assert set(store.query("select subject_hash, request_id from landing.erased_objects")) == {
        (object_hash(one), "r1") for one in ("o0", "of c0")
    }
    assert store.query("select object_id from landing.embedding_events") == [("o1",)]
    assert store.query("select object_id from landing.object_events") == [("o1",)]
    assert store.query("select count(*) from landing.erasure_requests") == [(3,)]
    done = store.encode(manifest)
    assert "2 erased" in done.stdout, done.stdout + done.stderr
    assert "nothing new to encode" in done.stdout
