"""The two files through real dbt on DuckDB, between stubs that have the columns of the project."""

import os
import shutil
from datetime import datetime, timedelta
from pathlib import Path

import commands
import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from python_models import DOOR_SCHEMA, MODELS, QUEUE_SCHEMA, examples, queue_row

EVENTS = 5_000  # more than one batch
PROJECT = """
name: scratch
version: 0.1.0
profile: scratch
flags: {send_anonymous_usage_stats: false}
models:
  scratch:
    +materialized: view
"""
PROFILE = """
scratch:
  target: dev
  outputs:
    dev: {type: duckdb, path: store.duckdb, threads: 1, settings: {TimeZone: UTC}}
"""
CONFIG = """
version: 2
models:
  - name: training_records
    config: &ledger
      materialized: incremental
      incremental_strategy: append
      full_refresh: false
      on_schema_change: fail
      meta: {seed_count: 2, customer_shares: [0.5], most_minutes: 45}
  - name: prediction_scores
    config:
      <<: *ledger
      meta:
        rescore_from: "{{ var('rescore_from', '') }}"
"""
STUBS = {
    "training_queue": "select * from read_parquet('queue.parquet')",
    "dataset_train": "select * from read_parquet('train.parquet')",
    "dataset_validation": "select * from read_parquet('validation.parquet')",
    "classifier_models": """
        select model_id, architecture, classes, snapshot_as_of, trained_at
        from {{ ref('training_records') }} where record_type = 'model'""",
    "classifier_units": """
        select model_id, layer, unit, bias, weights
        from {{ ref('training_records') }} where record_type = 'unit'""",
    "prediction_queue": """
        select
            {{ dbt.hash("champion.model_id || '/' || events.event_id") }} as prediction_id,
            'tone' as classifier_id, champion.model_id, events.event_id,
            'live' as deployment_state, events.landed_at, events.embedding
        from read_parquet('events.parquet') as events
        cross join (
            select model_id from {{ ref('classifier_models') }}
            where model_id = '{{ var("champion", "mlp2") }}'
        ) as champion""",
}


class Project:
    def __init__(self, folder: Path):
        self.folder = folder
        (folder / "models").mkdir()
        (folder / "dbt_project.yml").write_text(PROJECT)
        (folder / "profiles.yml").write_text(PROFILE)
        (folder / "models" / "models.yml").write_text(CONFIG)
        for name in ("training_records", "prediction_scores"):
            shutil.copy(MODELS / f"{name}.py", folder / "models")
        for name, sql in STUBS.items():
            (folder / "models" / f"{name}.sql").write_text(sql)

    def write(self, name: str, table: pa.Table) -> None:
        pq.write_table(table, self.folder / f"{name}.parquet")

    def dbt(self, *arguments: str) -> str:
        environment = os.environ | {"DBT_PROFILES_DIR": str(self.folder), "NO_COLOR": "1"}
        arguments = ["--warn-error", "build", *arguments]
        done = commands.run("dbt", arguments, environment, self.folder)
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr
        return done.stdout

    def query(self, sql: str) -> list[tuple]:
        with duckdb.connect(self.folder / "store.duckdb", read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def rows(self) -> tuple[list[tuple], list[tuple]]:
        return tuple(
            self.query(f"select md5(x::varchar) from {table} as x order by all")
            for table in ("training_records", "prediction_scores")
        )


def events(count: int) -> pa.Table:
    random = np.random.default_rng(5)
    first = datetime(2026, 10, 1)
    return pa.table(
        {
            "event_id": [f"event_{number:05d}" for number in range(count)],
            "landed_at": pa.array(
                [first + timedelta(seconds=number) for number in range(count)], pa.timestamp("us")
            ),
            "embedding": pa.array(
                list(random.normal(size=(count, 5)).astype(np.float32)), pa.list_(pa.float32())
            ),
        }
    )


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> tuple[Project, str]:
    project = Project(tmp_path_factory.mktemp("dbt"))
    other = examples(30, 2, 7, snapshot_id="older")  # neither may reach the training
    foreign = examples(30, 2, 8, encoder_fingerprint="foreign")
    project.write("train", pa.concat_tables([other, examples(120, 2, 1), foreign]))
    project.write("validation", pa.concat_tables([examples(60, 2, 2), foreign]))
    rows = [
        queue_row("linear", classifier_id="baseline"),
        queue_row("mlp", classifier_id="tone"),
        queue_row(model_id="blocked", classifier_id="hopeless", blocked_by="one_class_only"),
    ]
    project.write("queue", pa.Table.from_pylist(rows, QUEUE_SCHEMA))
    project.write("events", events(EVENTS))
    return project, project.dbt()


def test_the_life_of_a_store(built):
    """One store through its builds: each is a process of its own, so they share one test."""
    project, out = built
    assert "hopeless is not trained: one_class_only" in out
    assert f"scored {EVENTS} events" in out
    assert project.query(
        "select model_id from training_records where record_type = 'model' order by 1"
    ) == [("linear2",), ("mlp2",)]
    assert project.query(
        "select count(*), count(distinct prediction_id), min(list_sum(probabilities)) > 0.999999,"
        " count(distinct scored_at), bool_and(prediction_id = md5(model_id || '/' || event_id))"
        " from prediction_scores"
    ) == [(EVENTS, EVENTS, True, 1, True)]
    types = dict(project.query("select column_name, column_type from (describe training_records)"))
    assert (types["weights"], types["classes"]) == ("DOUBLE[]", "VARCHAR[]")
    assert (types["train_count"], types["trained_at"]) == ("BIGINT", "TIMESTAMP")

    # The ledger says that it is never rebuilt, and nothing is missing: nothing happens. Examples
    # that cannot be read prove that they are not.
    kept = project.rows()
    shutil.copy(project.folder / "train.parquet", project.folder / "kept.parquet")
    broken = DOOR_SCHEMA.empty_table().set_column(1, "object_id", pa.array([], pa.int64()))
    project.write("train", broken)
    out = project.dbt("--full-refresh")
    assert "nothing to train" in out
    assert "nothing to score" in out
    assert project.rows() == kept
    shutil.copy(project.folder / "kept.parquet", project.folder / "train.parquet")

    # Another model is wanted and becomes the champion, ten events land, a few are to be redone.
    rows = [queue_row("linear"), queue_row("mlp"), queue_row("mlp", model_id="next", seed=8)]
    project.write("queue", pa.Table.from_pylist(rows, QUEUE_SCHEMA))
    project.write("events", events(EVENTS + 10))
    rescore_from = datetime(2026, 10, 1) + timedelta(seconds=EVENTS - 5)
    out = project.dbt("--vars", f"{{champion: next, rescore_from: '{rescore_from}'}}")
    assert "scored 15 events" in out
    grown = project.rows()
    assert all(set(before) < set(after) for before, after in zip(kept, grown, strict=True))
    assert project.query(
        "select model_id, count(*) from prediction_scores group by all order by all"
    ) == [("mlp2", EVENTS), ("next", 15)]
    assert project.query("select count(distinct model_id) from training_records") == [(3,)]


def test_an_empty_store_gets_empty_typed_tables(built, tmp_path):
    full, _ = built
    project = Project(tmp_path)
    for name in ("queue", "train", "validation", "events"):
        table = pq.read_table(full.folder / f"{name}.parquet")
        project.write(name, table)
    # --empty is not applied to what a Python model reads, nor to the files below the stubs
    for stub in (tmp_path / "models").glob("*.sql"):
        text = stub.read_text()
        if "parquet" in text:
            stub.write_text(f"select * from ({text}) as given limit 0")
    out = project.dbt("--empty")
    assert "nothing to train" in out
    assert "nothing to score" in out
    for name in ("training_records", "prediction_scores"):
        assert project.query(f"select count(*) from {name}") == [(0,)]
        described = f"select column_name, column_type from (describe {name})"
        assert project.query(described) == full.query(described)
