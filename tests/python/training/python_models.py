"""The Python models are files for an engine, not modules of a package: load them by path."""

import importlib.util
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow as pa

MODELS = Path(__file__).parents[3] / "models" / "python"
TRAINED_AT = datetime(2026, 11, 1, 12, tzinfo=UTC)

QUEUE_SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("model_id", "classifier_id", "dataset_id", "task")),
        *((name, pa.string()) for name in ("snapshot_id", "encoder_id", "encoder_fingerprint")),
        *((name, pa.string()) for name in ("architecture", "positive_label", "trainer_version")),
        ("classes", pa.list_(pa.string())),
        *((name, pa.int64()) for name in ("hidden_units", "embedding_dim", "seed")),
        *((name, pa.int64()) for name in ("train_count", "validation_count")),
        *((name, pa.float64()) for name in ("weight_decay", "threshold_value", "abstain_band")),
        *((name, pa.string()) for name in ("class_weighting", "threshold_rule")),
        ("blocked_by", pa.string()),
        ("snapshot_as_of", pa.timestamp("us")),
    ]
)
DOOR_SCHEMA = pa.schema(
    [
        ("snapshot_id", pa.string()),
        ("object_id", pa.string()),
        ("label", pa.string()),
        ("encoder_fingerprint", pa.string()),
        ("embedding", pa.list_(pa.float32())),
        ("split_group_id", pa.string()),
    ]
)


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"model_{name}", MODELS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def queue_row(architecture: str = "mlp", classes: int = 2, **changes) -> dict:
    labels = [f"label_{position}" for position in range(classes)]
    row = {
        "model_id": f"{architecture}{classes}",
        "classifier_id": f"tone_{architecture}",
        "dataset_id": "reviews",
        "task": "tone",
        "snapshot_id": "snapshot",
        "encoder_id": "encoder",
        "encoder_fingerprint": "fingerprint",
        "architecture": architecture,
        "positive_label": labels[0] if classes == 2 else None,
        "trainer_version": "4",
        "classes": labels,
        "hidden_units": 6 if architecture == "mlp" else None,
        "embedding_dim": 5,
        "seed": 3,
        "train_count": 120,
        "validation_count": 60,
        "weight_decay": 0.1,
        "class_weighting": None,
        "threshold_rule": None,
        "threshold_value": None,
        "abstain_band": None,
        "blocked_by": None,
        "snapshot_as_of": datetime(2026, 10, 1),
    }
    return row | changes


def examples(count: int, classes: int, seed: int) -> pa.Table:
    """Clouds that overlap, one a class, in inputs of different scale, one of them constant."""
    random = np.random.default_rng(seed)
    y = np.arange(count) % classes
    x = random.normal(size=(count, 5)) + np.outer(y, [1.0, -1.0, 0.5, 0.0, 0.0])
    x = x * [1.0, 20.0, 0.05, 1.0, 0.0] + [0.0, 100.0, 0.0, -3.0, 7.0]
    rows = {
        "snapshot_id": ["snapshot"] * count,
        "object_id": [f"{seed}_{number:04d}" for number in range(count)],
        "label": [f"label_{position}" for position in y],
        "encoder_fingerprint": ["fingerprint"] * count,
        "embedding": list(x.astype(np.float32)),
        "split_group_id": [f"{seed}_{number // 3}" for number in range(count)],
    }
    return pa.table(rows, schema=DOOR_SCHEMA)


def train_on(
    trainer: ModuleType, row: dict, train: pa.Table, validation: pa.Table, **studies
) -> pa.Table:
    """Train as the build does: the splits come in batches of some rows."""
    splits = {"train": train.to_batches(50), "validation": validation.to_batches(50)}
    return trainer.train_all(
        [row], lambda split, *_: splits[split], TRAINED_AT, trainer.Studies(**studies)
    )


def matrix(table: pa.Table) -> np.ndarray:
    return np.array(table["embedding"].to_pylist(), dtype=np.float64)


def of_type(records: pa.Table, record_type: str) -> list[dict]:
    return [row for row in records.to_pylist() if row["record_type"] == record_type]


def logits_from_rows(records: pa.Table, x: np.ndarray) -> np.ndarray:
    """The function as its rows say, written a second time."""
    units = of_type(records, "unit")
    values = x
    for layer in range(1, max(unit["layer"] for unit in units) + 1):
        rows = sorted((u for u in units if u["layer"] == layer), key=lambda u: u["unit"])
        if layer > 1:
            values = values * (values > 0)
        values = np.array(
            [[np.dot(u["weights"], v) + u["bias"] for u in rows] for v in values], dtype=float
        )
    return values
