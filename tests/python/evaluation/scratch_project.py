"""A scratch dbt project: the real evaluation room, macros and tests, its parents plain tables."""

import json
import os
import shutil
import subprocess
from datetime import datetime, timedelta
from pathlib import Path

import commands
import duckdb
import pyarrow as pa
from cases import MetricCase, Network, created_at, customer_of, length_of, training_labels

ROOT = Path(__file__).resolve().parents[3]
INVARIANTS = [
    "assert_evaluation_scores_cover_the_splits",
    "assert_probabilities_sum_to_one",
    "assert_scorers_agree",
]
STRINGS = pa.list_(pa.string())
DOUBLES = pa.list_(pa.float64())
TIME = pa.timestamp("us")

# the columns that the room reads of each parent
PARENTS = {
    "classifiers": {
        "classifier_id": "s",
        "dataset_id": "s",
        "encoder_id": "s",
        "positive_label": "s",
        "state": "s",
        "gate_margin": pa.float64(),
        "gate_largest_ece": pa.float64(),
    },
    "stg_promotion_events": {
        "promotion_id": "s",
        "classifier_id": "s",
        "model_id": "s",
        "decided_by": "s",
        "decided_at": TIME,
    },
    "encoders": {"encoder_id": "s", "encoder_fingerprint": "s"},
    "current_snapshots": {"dataset_id": "s", "snapshot_id": "s", "as_of": TIME},
    "dataset_headers": {"dataset_id": "s", "snapshot_id": "s", "as_of": TIME},
    "stg_erasure_requests": {"event_id": "s", "requested_at": TIME},
    "snapshot_removals": {
        "request_id": "s",
        "snapshot_id": "s",
        "split": "s",
        "row_count": pa.int64(),
        "removed_at": TIME,
    },
    "split_audits": {
        "snapshot_id": "s",
        "encoder_fingerprint": "s",
        "example_count": pa.int64(),
        "group_count": pa.int64(),
        "near_duplicate_count": pa.int64(),
        "near_duplicate_across_groups_count": pa.int64(),
        "near_duplicate_of_train_count": pa.int64(),
        "roc_auc_by_group": pa.float64(),
        "roc_auc_by_row": pa.float64(),
        "inflation": pa.float64(),
        "inflation_lower": pa.float64(),
        "inflation_upper": pa.float64(),
    },
    "dataset_snapshots": {
        "snapshot_id": "s",
        "dataset_id": "s",
        "object_id": "s",
        "object_version": "s",
        "split_group_id": "s",
        "split": "s",
        "label": "s",
        "selected_by": "s",
    },
    "training_queue": {"model_id": "s"},
    "classifier_versions": {"classifier_id": "s", "recorded_at": TIME},
    "stg_objects": {
        "object_id": "s",
        "object_version": "s",
        "content_mac_key_id": "s",
        "content_mac": "s",
        "content_length": pa.int64(),
        "object_created_at": TIME,
    },
    "stg_account_events": {"customer_id": "s", "occurred_at": TIME, "known_at": TIME},
    "slices": {"dataset_id": "s", "slice": "s"},
    "stg_embedding_events": {
        "event_id": "s",
        "object_id": "s",
        "object_version": "s",
        "encoder_fingerprint": "s",
        "known_at": TIME,
        "embedding": pa.list_(pa.float32()),
    },
    "classifier_models": {
        "model_id": "s",
        "classifier_id": "s",
        "dataset_id": "s",
        "task": "s",
        "snapshot_id": "s",
        "encoder_fingerprint": "s",
        "architecture": "s",
        "class_weighting": "s",
        "positive_label": "s",
        "classes": STRINGS,
        "decision_threshold": pa.float64(),
        "abstain_band": pa.float64(),
        "snapshot_as_of": TIME,
        "trained_at": TIME,
    },
    "classifier_units": {
        "model_id": "s",
        "layer": pa.int64(),
        "unit": pa.int64(),
        "bias": pa.float64(),
        "weights": DOUBLES,
    },
    "prediction_scores": {"model_id": "s", "event_id": "s", "probabilities": DOUBLES},
}
AS_OF = datetime(2026, 10, 1)
OPENED_AT = datetime(2026, 1, 1)
SCORES = {
    "model_id": "s",
    "evaluation_snapshot_id": "s",
    "object_id": "s",
    "object_version": "s",
    "split": "s",
    "event_id": "s",
    "probabilities": DOUBLES,
}


def schema(columns: dict) -> pa.Schema:
    """An Arrow schema; "s" is short for a string."""
    return pa.schema([(name, pa.string() if t == "s" else t) for name, t in columns.items()])


class ScratchProject:
    """Copies what the room consists of into a folder, and runs dbt there."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.store = folder / "store.duckdb"
        self.output = ""
        self.failures: dict[str, int] = {}
        for name in ["models/evaluation", "macros", "tests/generic"]:
            shutil.copytree(ROOT / name, folder / name)
        for name in ["dbt_project.yml", "models/_groups.yml"]:
            shutil.copy(ROOT / name, folder / name)
        # descriptions that rooms share
        for path in (ROOT / "models").glob("*/*__docs.md"):
            if path.parent.name != "evaluation":
                shutil.copy(path, folder / "models")
        for name in INVARIANTS:
            shutil.copy(ROOT / "tests" / f"{name}.sql", folder / "tests")
        parents = folder / "models" / "parents"
        parents.mkdir()
        for name in PARENTS:
            (parents / f"{name}.sql").write_text(
                "{{ config(materialized='view', schema='internal', contract={'enforced': false}) }}\n"
                f"select * from fixtures.{name}\n"
            )
        (folder / "profiles.yml").write_text(
            "embedding_store:\n"
            "  target: duckdb\n"
            "  outputs:\n"
            f"    duckdb: {{type: duckdb, path: '{self.store}', schema: internal, threads: 2, "
            "settings: {TimeZone: UTC}}\n"
        )

    def connect(self) -> duckdb.DuckDBPyConnection:
        return duckdb.connect(str(self.store))

    def rows(self, query: str) -> list[dict]:
        with self.connect() as connection:
            return connection.sql(query).to_arrow_table().to_pylist()

    def fill(self, rows: dict[str, list[dict]], scores: list[dict]) -> None:
        """Writes the parents' tables, and what the ledger of scores already holds."""
        with self.connect() as connection:
            connection.sql("create schema fixtures")
            connection.sql("create schema ledger")
            for name, columns in PARENTS.items():
                given = pa.Table.from_pylist(rows.get(name, []), schema=schema(columns))
                connection.register("_given", given)
                connection.sql(f"create table fixtures.{name} as select * from _given")
            given = pa.Table.from_pylist(scores, schema=schema(SCORES))
            connection.register("_given", given)
            connection.sql("create table ledger.evaluation_scores as select * from _given")

    def dbt(self, *arguments: str) -> dict[str, str]:
        """Runs dbt and returns the status of each node by its name."""
        results = self.folder / "target" / "run_results.json"
        results.unlink(missing_ok=True)
        done = self._run(*arguments)
        assert results.exists(), done.stdout + done.stderr
        found = {}
        for result in json.loads(results.read_text())["results"]:
            # a hash may follow the name; before that of a unit test comes its model's
            kind, _, name, *rest = result["unique_id"].split(".")
            if kind != "operation":
                found[rest[0] if kind == "unit_test" else name] = result
        self.output = done.stdout
        self.failures = {name: result["failures"] for name, result in found.items()}
        return {name: result["status"] for name, result in found.items()}

    def compiled(self, template: str) -> str:
        """Return SQL as dbt makes it of a template."""
        done = self._run("--quiet", "compile", "--inline", template)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def _run(self, *arguments: str) -> subprocess.CompletedProcess:
        environment = os.environ | {
            "DBT_PROFILES_DIR": str(self.folder),
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "0",
        }
        return commands.run("dbt", ["--no-version-check", *arguments], environment, self.folder)


def fixture_rows(
    cases: list[MetricCase], networks: list[Network]
) -> tuple[dict[str, list[dict]], list[dict]]:
    """The rows of the parents, and the scores of the cases, which the ledger already holds."""
    rows: dict[str, list[dict]] = {name: [] for name in PARENTS}
    scores: list[dict] = []
    for model in [*cases, *networks]:
        rows["classifier_models"].append(
            {
                "model_id": model.model_id,
                "classifier_id": f"classifier of {model.model_id}",
                "dataset_id": f"dataset of {model.model_id}",
                "task": "moods",
                "snapshot_id": model.snapshot_id,
                "encoder_fingerprint": f"encoder of {model.model_id}",
                "positive_label": getattr(model, "positive_label", None),
                "classes": model.classes,
                "decision_threshold": getattr(model, "decision_threshold", None),
                "abstain_band": getattr(model, "abstain_band", None),
            }
        )
        rows["dataset_headers"].append(
            {
                "dataset_id": f"dataset of {model.model_id}",
                "snapshot_id": model.snapshot_id,
                "as_of": AS_OF,
            }
        )
        for position, label in enumerate(model.labels):
            rows["dataset_snapshots"].append(
                {
                    "snapshot_id": model.snapshot_id,
                    "dataset_id": f"dataset of {model.model_id}",
                    "object_id": f"{model.model_id}/{position}",
                    "object_version": "1",
                    # a network is not examined on customers of its training split
                    "split_group_id": customer_of(position)
                    if isinstance(model, MetricCase)
                    else f"customer {position}",
                    "split": getattr(model, "split", ["train", "validation", "test"][position % 3]),
                    "label": label,
                    "selected_by": "organic",
                }
            )
    rows["slices"] = [
        {"dataset_id": f"dataset of {case.model_id}", "slice": slice_}
        for case in cases
        for slice_ in ("content_length", "object_age", "customer_tenure")
    ]
    rows["stg_account_events"] = [
        {
            "customer_id": customer,
            "occurred_at": OPENED_AT + timedelta(days=days),
            "known_at": AS_OF + timedelta(days=known),
        }
        for customer in {
            row["split_group_id"] for row in rows["dataset_snapshots"] if row["split"] == "test"
        }
        # the first is known late; a later one, and one that nobody knew then, change nothing
        for days, known in ((0, -1), (300, -10), (-1_000, 1))
    ]
    for case in cases:
        rows["dataset_snapshots"] += [
            {
                "snapshot_id": case.snapshot_id,
                "dataset_id": f"dataset of {case.model_id}",
                "object_id": f"{case.model_id}/train/{number}",
                "object_version": "1",
                "split_group_id": f"a training customer of {case.model_id}",
                "split": "train",
                "label": name,
                "selected_by": "organic",
            }
            for number, name in enumerate(training_labels(case))
        ]
        rows["stg_objects"] += [
            {
                "object_id": f"{case.model_id}/{position}",
                "object_version": "1",
                "content_length": length_of(position),
                "object_created_at": created_at(position),
            }
            for position in range(len(case.labels))
        ]
        scores += [
            {
                "model_id": case.model_id,
                "evaluation_snapshot_id": case.snapshot_id,
                "object_id": f"{case.model_id}/{position}",
                "object_version": "1",
                "split": case.split,
                "event_id": f"event of {case.model_id}/{position}",
                "probabilities": probabilities.tolist(),
            }
            for position, probabilities in enumerate(case.probabilities)
        ]
    for network in networks:
        for layer, (weights, bias) in enumerate(network.layers, start=1):
            rows["classifier_units"] += [
                {
                    "model_id": network.model_id,
                    "layer": layer,
                    "unit": unit,
                    "bias": bias[unit],
                    "weights": weights[unit].tolist(),
                }
                for unit in range(len(bias))
            ]
        for position, vector in enumerate(network.vectors):
            event = {
                "event_id": f"event of {network.model_id}/{position}",
                "object_id": f"{network.model_id}/{position}",
                "object_version": "1",
                "encoder_fingerprint": network.encoder_fingerprint,
                "known_at": datetime(2026, 9, 1) + timedelta(days=position),
                "embedding": vector.tolist(),
            }
            # the same object under another encoder of the same dimension: it must not be scored
            other = {
                "event_id": f"other event of {network.model_id}/{position}",
                "encoder_fingerprint": "another encoder",
                "embedding": (-vector).tolist(),
            }
            rows["stg_embedding_events"] += [event, {**event, **other}]
        rows["prediction_scores"] += [
            {
                "model_id": network.model_id,
                "event_id": f"event of {network.model_id}/{position}",
                "probabilities": probabilities.tolist(),
            }
            for position, probabilities in enumerate(network.probabilities())
        ]
    # the first network's dataset has moved on: its old examples but one, under a new snapshot
    moved = networks[0]
    current = "current snapshot"
    rows["current_snapshots"] = [
        {"dataset_id": f"dataset of {moved.model_id}", "snapshot_id": current, "as_of": AS_OF},
        *(
            {
                "dataset_id": f"dataset of {case.model_id}",
                "snapshot_id": case.snapshot_id,
                "as_of": AS_OF,
            }
            for case in cases
        ),
    ]
    rows["dataset_headers"].append(
        {"dataset_id": f"dataset of {moved.model_id}", "snapshot_id": current}
    )
    rows["dataset_snapshots"] += [
        {**row, "snapshot_id": current}
        for row in rows["dataset_snapshots"]
        if row["snapshot_id"] == moved.snapshot_id and row["object_id"] != f"{moved.model_id}/1"
    ]
    return rows, scores
