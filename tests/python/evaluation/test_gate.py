"""The gate keeps worse models out and lets better ones in, at the size of the demo's test split.

SYNTHETIC: each trial is a classifier of its own, whose two models see one example through noise
that they mostly share, as models of the same examples do. The truth is known: scores of the two
classes are normal, so that ROC-AUC is the normal distribution's value at their distance.
"""

import os
from datetime import datetime

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats
from scratch_project import PARENTS, SCORES, ScratchProject, schema

# two hundred, as the docs state the rates, take a minute
TRIALS = int(os.environ.get("EMBEDDING_STORE_TEST_TRIALS", "10"))
# of the demo: test examples and customers, the share of negatives, ROC-AUC, and somewhat less than
# how far the noise of its linear model and its network agrees (.97)
EXAMPLES, CUSTOMERS, POSITIVES, ROC_AUC, SHARED = 514, 50, 0.3, 0.87, 0.95
CHANGES = {"worse": -0.02, "better": 0.03}
LABELS = ["negative", "other"]


def _distance(roc_auc: float) -> float:
    return np.sqrt(2) * stats.norm.ppf(roc_auc)


def _scores(model: str, trial: str, seen: np.ndarray, is_positive: np.ndarray, roc_auc: float):
    """What a calibrated model of this ROC-AUC says of examples."""
    distance = _distance(roc_auc)
    values = seen + distance * is_positive
    logits = distance * values - distance**2 / 2 + np.log(POSITIVES / (1 - POSITIVES))
    probabilities = 1 / (1 + np.exp(-logits))
    return [
        {
            "model_id": model,
            "evaluation_snapshot_id": trial,
            "object_id": f"{trial}/{number}",
            "object_version": "1",
            "split": "test",
            "event_id": f"{trial}/{number}",
            "probabilities": [share, 1 - share],
        }
        for number, share in enumerate(probabilities)
    ]


def _model(model: str, trial: str, day: int) -> dict:
    moment = datetime(2026, 10, day)
    return {
        "model_id": model,
        "classifier_id": trial,
        "dataset_id": trial,
        "task": "tone",
        "snapshot_id": f"{trial} when {model} was trained",
        "encoder_fingerprint": "f",
        "positive_label": LABELS[0],
        "classes": LABELS,
        "decision_threshold": 0.5,
        "snapshot_as_of": moment,
        "trained_at": moment,
    }


def _insert(project: ScratchProject, table: str, columns: dict, rows: list[dict]) -> None:
    with project.connect() as connection:
        given = pa.Table.from_pylist(rows, schema=schema(columns))
        connection.register("_given", given)
        connection.sql(f"insert into {table} by name select * from _given")


def test_worse_models_are_refused_and_better_ones_promoted(tmp_path, record_property):
    chance = np.random.default_rng(20261126)
    rows: dict[str, list[dict]] = {name: [] for name in PARENTS}
    rows["encoders"] = [{"encoder_id": "e", "encoder_fingerprint": "f"}]
    old_scores, new_scores, new_models = [], [], []
    for kind, change in CHANGES.items():
        for number in range(TRIALS):
            trial = f"{kind}-{number}"
            old, new = f"{trial}-old", f"{trial}-new"
            is_positive = chance.random(EXAMPLES) < POSITIVES
            customers = chance.integers(CUSTOMERS, size=EXAMPLES)
            noise = chance.normal(size=(3, EXAMPLES))
            first, second = (
                np.sqrt(SHARED) * noise[0] + np.sqrt(1 - SHARED) * own for own in noise[1:]
            )
            old_scores += _scores(old, trial, first, is_positive, ROC_AUC)
            new_scores += _scores(new, trial, second, is_positive, ROC_AUC + change)
            gate = {"gate_margin": 0.01, "gate_largest_ece": 0.1, "positive_label": LABELS[0]}
            rows["classifiers"].append(
                {"classifier_id": trial, "dataset_id": trial, "encoder_id": "e", "state": "live"}
                | gate
            )
            rows["current_snapshots"].append({"dataset_id": trial, "snapshot_id": trial})
            rows["classifier_models"].append(_model(old, trial, 1))
            new_models.append(_model(new, trial, 2))
            rows["dataset_snapshots"] += [
                {
                    "snapshot_id": trial,
                    "dataset_id": trial,
                    "object_id": f"{trial}/{example}",
                    "object_version": "1",
                    "split_group_id": f"{trial}/{customer}",
                    "split": "test",
                    "label": LABELS[0] if positive else LABELS[1],
                    "selected_by": "organic",
                }
                for example, (positive, customer) in enumerate(
                    zip(is_positive, customers, strict=True)
                )
            ]
    project = ScratchProject(tmp_path / "project")
    project.fill(rows, old_scores)
    assert set(project.dbt("run").values()) == {"success"}, project.output
    first = project.rows("select distinct reason, is_promoted from ledger.promotion_decisions")
    assert first == [{"reason": "first_model", "is_promoted": True}]

    _insert(project, "fixtures.classifier_models", PARENTS["classifier_models"], new_models)
    wanted = [{"model_id": model["model_id"]} for model in new_models]
    _insert(project, "fixtures.training_queue", PARENTS["training_queue"], wanted)
    _insert(project, "ledger.evaluation_scores", SCORES, new_scores)
    assert set(project.dbt("run").values()) == {"success"}, project.output
    decided = project.rows(
        "select * from ledger.promotion_decisions where compared_model_id is not null"
    )
    assert len(decided) == 2 * TRIALS
    assert {row["look_count"] for row in decided} == {1}
    answers = {
        row["classifier_id"]: row["model_id"]
        for row in project.rows("select classifier_id, model_id from internal.champions")
    }
    promoted = dict.fromkeys(CHANGES, 0)
    for row in decided:
        promoted[row["classifier_id"].partition("-")[0]] += row["is_promoted"]
        new = f"{row['classifier_id']}-new"
        assert (answers[row["classifier_id"]] == new) == row["is_promoted"]
        assert row["reason"] in ("not_worse", "may_be_worse")
    differences: dict[str, list[float]] = {}
    for row in project.rows("""
        select new.evaluation_snapshot_id as trial, new.roc_auc - old.roc_auc as difference
        from internal.bootstrap_replicates as new
        inner join internal.bootstrap_replicates as old
            using (evaluation_snapshot_id, examples_hash, replicate)
        where new.model_id like '%-new' and old.model_id like '%-old' and replicate > 0
    """):
        differences.setdefault(row["trial"], []).append(row["difference"])
    for row in decided:
        draws = sorted(differences[row["evaluation_snapshot_id"]])
        assert len(draws) == 200
        assert row["difference_lower"] == pytest.approx(draws[5], abs=1e-12)
        assert row["is_promoted"] == (row["difference_lower"] > -0.01)
    # some of them for the interval's sake alone
    assert any(row["difference"] > -0.01 for row in decided if not row["is_promoted"])
    for kind, count in promoted.items():
        record_property(f"promoted of {TRIALS} models {kind} by {abs(CHANGES[kind])}", count)
    assert promoted["worse"] < 0.05 * TRIALS
    assert promoted["better"] > 0.8 * TRIALS
