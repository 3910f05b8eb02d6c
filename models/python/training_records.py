"""Train the classifiers that the training queue asks for, and return what was learnt as rows.

One file for both engines, with nothing of this repository beside it: on BigQuery it runs alone in
a notebook. `model` reads and returns, everything between is a function that pytest can call.

A dbt Python model returns one table, so this one is long: one row per record, told apart by
`record_type` (`model`, `unit`, `epoch`). The scaling of the inputs is folded into the first layer
and the temperature into the last one: the `unit` rows are the whole function, and whoever can do
a dot product can apply it.

Training runs on the CPU, in one thread, whatever hardware is there: a shallow net has little to
gain from more, and only so do equal inputs give equal rows, byte for byte.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

# Part of every model_id, by way of the queue: raise it with every change that changes weights,
# here and in the queue.
TRAINER_VERSION = "1"

# Chosen by the validation log loss over five splits of the demo's data. One split's validation
# customers are another one's test customers: a fair estimate needs data they have not seen.
LEARNING_RATE = 3e-4
BATCH_SIZE = 64
MAX_EPOCHS = 200
# Fewer examples make smaller batches, so that an epoch stays some steps long.
MIN_BATCH_SIZE, MIN_STEPS = 8, 32
PATIENCE = 8
# Without a usable validation split nothing can say when to stop.
FIXED_EPOCHS = 10
TEMPERATURE_BOUNDS = (0.1, 10.0)

EXAMPLE_COLUMNS = ("object_id", "label", "embedding")

RECORD_SCHEMA = pa.schema(
    [
        ("model_id", pa.string()),
        ("record_type", pa.string()),
        # model
        ("classifier_id", pa.string()),
        ("dataset_id", pa.string()),
        ("task", pa.string()),
        ("snapshot_id", pa.string()),
        ("encoder_id", pa.string()),
        ("encoder_fingerprint", pa.string()),
        ("architecture", pa.string()),
        ("positive_label", pa.string()),
        ("trainer_version", pa.string()),
        ("runtime", pa.string()),
        ("classes", pa.list_(pa.string())),
        ("hidden_units", pa.int64()),
        ("embedding_dim", pa.int64()),
        ("seed", pa.int64()),
        ("train_count", pa.int64()),
        ("validation_count", pa.int64()),
        ("best_epoch", pa.int64()),
        ("weight_decay", pa.float64()),
        ("decision_threshold", pa.float64()),
        ("temperature", pa.float64()),
        ("snapshot_as_of", pa.timestamp("us")),
        ("trained_at", pa.timestamp("us")),
        # unit: layer 1 comes first; in the last layer the unit is the position in classes
        ("layer", pa.int64()),
        ("unit", pa.int64()),
        ("bias", pa.float64()),
        ("weights", pa.list_(pa.float64())),
        # epoch
        ("epoch", pa.int64()),
        ("train_loss", pa.float64()),
        ("validation_loss", pa.float64()),
        ("is_best", pa.bool_()),
    ]
)

Layer = tuple[np.ndarray, np.ndarray]  # weights (units, inputs), biases (units,)


@dataclass(frozen=True)
class Epoch:
    """What one pass over the training split ended with; losses are before the temperature."""

    train_loss: float
    validation_loss: float | None


@dataclass(frozen=True)
class Fit:
    """Layers as fitted on standardised inputs, with the course of the training."""

    layers: list[Layer]
    epochs: list[Epoch]
    best_epoch: int


def log(message: str) -> None:
    """Say something in dbt's log, which shows what a Python model prints."""
    print(f"training_records: {message}", flush=True)  # noqa: T201


# ---------------------------------------------------------------------------------------------
# What is to be trained


def models_to_train(queue: pa.Table, held: set[str]) -> list[dict[str, Any]]:
    """Return the rows of the queue that are neither trained already nor blocked.

    Raises ValueError where the queue and this file disagree about the trainer, or where the
    queue holds one model twice.
    """
    rows = sorted(queue.to_pylist(), key=lambda row: row["model_id"])
    for one, other in pairwise(rows):
        if one["model_id"] == other["model_id"]:
            raise ValueError(f"training_queue holds model {one['model_id']} twice")
    wanted = []
    for row in rows:
        if row["model_id"] in held:
            continue
        if row["blocked_by"] is not None:
            log(f"{row['classifier_id']} is not trained: {row['blocked_by']}")
            continue
        if row["trainer_version"] != TRAINER_VERSION:
            raise ValueError(
                f"training_queue asks for trainer version {row['trainer_version']!r}, "
                f"training_records.py is version {TRAINER_VERSION!r}: raise both together"
            )
        wanted.append(row)
    # Neighbours share their examples, so that each is read once and one is held at a time.
    return sorted(wanted, key=lambda row: (*examples_of(row), row["model_id"]))


def examples_of(row: Mapping[str, Any]) -> tuple[str, str]:
    """Return what names the examples of a model: its snapshot and its encoder, never the id."""
    return row["snapshot_id"], row["encoder_fingerprint"]


def train_all(
    wanted: Iterable[Mapping[str, Any]],
    read: Callable[[str, str], tuple[pa.Table, pa.Table]],
    trained_at: datetime,
) -> pa.Table:
    """Train every model wanted; `read` returns the training and the validation examples."""
    tables = [RECORD_SCHEMA.empty_table()]
    last_key = None
    for row in wanted:
        if examples_of(row) != last_key:
            last_key = examples_of(row)
            train_table, validation_table = read(*last_key)
        records = train(row, train_table, validation_table, trained_at)
        log(
            f"trained {row['classifier_id']} ({row['architecture']}) on {train_table.num_rows} "
            f"examples: model {row['model_id']}"
        )
        tables.append(records)
    return pa.concat_tables(tables)


# ---------------------------------------------------------------------------------------------
# Arrow in


def matrix_of(vectors: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Return a list column as a matrix, sharing its memory where it is one chunk.

    Raises ValueError where a vector is missing, another length or not finite.
    """
    if isinstance(vectors, pa.ChunkedArray):
        vectors = vectors.combine_chunks()
    if len(vectors) == 0:
        return np.empty((0, 0), dtype=np.float32)
    if vectors.null_count:
        raise ValueError(f"{vectors.null_count} examples have no vector")
    lengths = pc.unique(pc.list_value_length(vectors)).to_pylist()
    if len(lengths) != 1:
        raise ValueError(f"vectors of different lengths under one encoder: {sorted(lengths)}")
    flat = vectors.flatten()
    matrix = flat.to_numpy(zero_copy_only=flat.null_count == 0).reshape(len(vectors), lengths[0])
    if not np.isfinite(matrix).all():
        raise ValueError("a vector holds a null, a NaN or an infinity")
    return matrix


def examples(table: pa.Table, classes: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return vectors and class positions, ordered by object.

    No engine promises an order of rows, and the order of examples changes the weights. The label
    breaks ties, so that the order is total. A label outside of classes has the position -1.
    """
    table = table.select(EXAMPLE_COLUMNS).sort_by(
        [("object_id", "ascending"), ("label", "ascending")]
    )
    positions = pc.index_in(table["label"].cast(pa.string()), value_set=pa.array(classes))
    return matrix_of(table["embedding"]), pc.fill_null(positions, -1).to_numpy().astype(np.int64)


# ---------------------------------------------------------------------------------------------
# The two architectures


def forward(layers: list[Layer], x: np.ndarray) -> np.ndarray:
    """Return the logits of a net: ReLU between its layers, nothing after the last one."""
    values = np.asarray(x, dtype=np.float64)
    for depth, (weights, bias) in enumerate(layers):
        if depth:
            values = np.maximum(values, 0.0)
        values = values @ weights.T + bias
    return values


def log_loss(logits: np.ndarray, y: np.ndarray) -> float:
    """Return the mean negative log likelihood of the true classes."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_totals = np.log(np.exp(shifted).sum(axis=1))
    return float(np.mean(log_totals - shifted[np.arange(len(y)), y]))


def fit_linear(
    x: np.ndarray, y: np.ndarray, x_val: np.ndarray, y_val: np.ndarray, config: Mapping[str, Any]
) -> Fit:
    """Fit a logistic regression on standardised inputs.

    It minimises mean log loss + weight_decay / 2 * |weights|^2 (biases are free), which is
    scikit-learn's C = 1 / (training examples * weight_decay); no decay means no penalty. The
    solver has no epochs: one row states where it ended. Two classes are two units, the first all
    zeros, so that one softmax serves every number of classes.
    """
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    decay = config["weight_decay"] or 0.0
    strength = 1.0 / (len(y) * decay) if decay > 0 else np.inf
    with threadpool_limits(limits=1):
        fitted = LogisticRegression(C=strength, max_iter=2_000).fit(x, y)
    weights, bias = fitted.coef_.astype(np.float64), fitted.intercept_.astype(np.float64)
    if len(weights) == 1:
        weights = np.vstack([np.zeros_like(weights), weights])
        bias = np.concatenate([[0.0], bias])
    layers = [(weights, bias)]
    val_loss = log_loss(forward(layers, x_val), y_val) if len(y_val) else None
    return Fit(layers, [Epoch(log_loss(forward(layers, x), y), val_loss)], best_epoch=1)


def fit_mlp(
    x: np.ndarray, y: np.ndarray, x_val: np.ndarray, y_val: np.ndarray, config: Mapping[str, Any]
) -> Fit:
    """Fit Linear, ReLU, Linear on standardised inputs with AdamW.

    Stops when the validation log loss has not fallen for PATIENCE epochs, and returns the best
    epoch's weights. Without validation examples it runs FIXED_EPOCHS and returns the last ones.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config["seed"])
            net = torch.nn.Sequential(
                torch.nn.Linear(x.shape[1], config["hidden_units"]),
                torch.nn.ReLU(),
                torch.nn.Linear(config["hidden_units"], len(config["classes"])),
            )
        inputs = [torch.from_numpy(part.astype(np.float32)) for part in (x, x_val)]
        labels = [torch.from_numpy(part) for part in (y, y_val)]
        return _run_epochs(net, inputs[0], labels[0], inputs[1], labels[1], config)
    finally:
        torch.set_num_threads(threads)


def _run_epochs(net: Any, x: Any, y: Any, x_val: Any, y_val: Any, config: Mapping[str, Any]) -> Fit:
    import torch

    def layers_now() -> list[Layer]:
        linears = (net[0], net[2])
        return [
            (one.weight.detach().numpy().astype(np.float64), one.bias.detach().double().numpy())
            for one in linears
        ]

    shuffler = torch.Generator().manual_seed(config["seed"])
    optimizer = torch.optim.AdamW(
        net.parameters(), lr=LEARNING_RATE, weight_decay=config["weight_decay"] or 0.0
    )
    loss_of = torch.nn.functional.cross_entropy
    batch_size = min(BATCH_SIZE, max(MIN_BATCH_SIZE, len(y) // MIN_STEPS))
    can_validate = len(y_val) > 0
    epochs: list[Epoch] = []
    best_epoch, best_loss, best_layers = 0, np.inf, layers_now()
    for number in range(1, (MAX_EPOCHS if can_validate else FIXED_EPOCHS) + 1):
        total = 0.0
        for batch in torch.randperm(len(y), generator=shuffler).split(batch_size):
            optimizer.zero_grad()
            loss = loss_of(net(x[batch]), y[batch])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch)
        val_loss = None
        if can_validate:
            with torch.no_grad():
                val_loss = loss_of(net(x_val), y_val).item()
        epochs.append(Epoch(total / len(y), val_loss))
        if val_loss is None or val_loss < best_loss:
            best_epoch, best_layers = number, layers_now()
            best_loss = np.inf if val_loss is None else val_loss
        elif number - best_epoch >= PATIENCE:
            break
    return Fit(best_layers, epochs, best_epoch)


FITTERS = {"linear": fit_linear, "mlp": fit_mlp}


# ---------------------------------------------------------------------------------------------
# From the fit to the whole function


def fit_temperature(logits: np.ndarray, y: np.ndarray) -> float:
    """Return the temperature that makes the logits fit best: one number, so it moves no rank."""
    from scipy.optimize import minimize_scalar

    bounds = np.log(TEMPERATURE_BOUNDS)
    found = minimize_scalar(
        lambda log_t: log_loss(logits / np.exp(log_t), y), bounds=tuple(bounds), method="bounded"
    )
    return float(np.exp(found.x))


def fold(layers: list[Layer], mean: np.ndarray, std: np.ndarray, temperature: float) -> list[Layer]:
    """Return layers that take raw vectors and give scaled logits: the same function, bare."""
    first_weights, first_bias = layers[0]
    scaled = first_weights / std
    folded = [(scaled, first_bias - scaled @ mean), *layers[1:]]
    last_weights, last_bias = folded[-1]
    folded[-1] = (last_weights / temperature, last_bias / temperature)
    return folded


def train(
    config: Mapping[str, Any],
    train_table: pa.Table,
    validation_table: pa.Table,
    trained_at: datetime,
) -> pa.Table:
    """Train the one model that a row of the queue describes, and return its records.

    A validation example with a label that no training example has is set aside: the model has no
    probability for it. If the rest holds fewer than two labels, it cannot say when to stop or how
    sure to be: the mlp runs FIXED_EPOCHS, the temperature is 1, and no validation loss is
    recorded.

    Raises ValueError where the examples are not what the queue counted: a model_id stands for
    its inputs.
    """
    name, classes = config["classifier_id"], list(config["classes"])
    for what, table in (("train", train_table), ("validation", validation_table)):
        if table.num_rows != config[f"{what}_count"]:
            raise ValueError(
                f"{name}: the queue counts {config[f'{what}_count']} {what} examples, "
                f"dataset_{what} has {table.num_rows} for snapshot {config['snapshot_id']}"
            )
    if config["architecture"] not in FITTERS:
        raise ValueError(f"{name}: unknown architecture {config['architecture']!r}")

    x, y = examples(train_table, classes)
    if sorted(set(y.tolist())) != list(range(len(classes))) or len(classes) < 2:
        raise ValueError(f"{name}: training labels are not the queue's classes {classes}")
    if x.shape[1] != config["embedding_dim"]:
        raise ValueError(
            f"{name}: vectors of length {x.shape[1]}, the queue says {config['embedding_dim']}"
        )
    x_val, y_val = examples(validation_table, classes)
    x_val, y_val = x_val[y_val >= 0], y_val[y_val >= 0]
    can_validate = len(set(y_val.tolist())) > 1
    if not can_validate:
        log(f"{name}: fewer than two known labels in the validation split: temperature 1")
        x_val, y_val = np.empty((0, x.shape[1]), x.dtype), np.empty(0, np.int64)

    mean, std = x.mean(axis=0, dtype=np.float64), x.std(axis=0, dtype=np.float64)
    std[std == 0] = 1.0
    fit = FITTERS[config["architecture"]]((x - mean) / std, y, (x_val - mean) / std, y_val, config)

    layers = fold(fit.layers, mean, std, 1.0)
    temperature = fit_temperature(forward(layers, x_val), y_val) if can_validate else 1.0
    layers = fold(fit.layers, mean, std, temperature)
    return records_of(config, fit, layers, temperature, trained_at)


# ---------------------------------------------------------------------------------------------
# Arrow out


def runtime_of() -> str:
    """Return the libraries that trained: recorded, and no part of the model's identity."""
    import sklearn
    import torch

    return f"torch {torch.__version__}, scikit-learn {sklearn.__version__}, numpy {np.__version__}"


def naive_utc(moment: datetime | None) -> datetime | None:
    """Return a moment in UTC without a zone, which is how timestamps are held here."""
    return moment.astimezone(UTC).replace(tzinfo=None) if moment and moment.tzinfo else moment


def table_of(model_id: str, record_type: str, columns: Mapping[str, Any], count: int) -> pa.Table:
    """Return rows of one record type; the columns of the other types are null."""
    known = {
        "model_id": [model_id] * count,
        "record_type": [record_type] * count,
        **columns,
    }
    arrays = [
        pa.array(known[field.name], field.type)
        if field.name in known
        else pa.nulls(count, field.type)
        for field in RECORD_SCHEMA
    ]
    return pa.table(arrays, schema=RECORD_SCHEMA)


def records_of(
    config: Mapping[str, Any],
    fit: Fit,
    layers: list[Layer],
    temperature: float,
    trained_at: datetime,
) -> pa.Table:
    """Return the records of one model: itself, its units, its epochs."""
    model_id = config["model_id"]
    about = {
        field.name: [config[field.name]]
        for field in RECORD_SCHEMA
        if field.name in config and field.name not in ("model_id", "snapshot_as_of")
    }
    about |= {
        "runtime": [runtime_of()],
        "best_epoch": [fit.best_epoch],
        "temperature": [temperature],
        "snapshot_as_of": [naive_utc(config["snapshot_as_of"])],
        "trained_at": [naive_utc(trained_at)],
    }
    tables = [table_of(model_id, "model", about, 1)]
    for depth, (weights, bias) in enumerate(layers, start=1):
        count, inputs = weights.shape
        units = {
            "layer": [depth] * count,
            "unit": range(count),
            "bias": bias,
            "weights": pa.ListArray.from_arrays(
                pa.array(np.arange(count + 1) * inputs, pa.int32()),
                np.ascontiguousarray(weights).ravel(),
            ),
        }
        tables.append(table_of(model_id, "unit", units, count))
    epochs = {
        "epoch": range(1, len(fit.epochs) + 1),
        "train_loss": [epoch.train_loss for epoch in fit.epochs],
        "validation_loss": [epoch.validation_loss for epoch in fit.epochs],
        "is_best": [number == fit.best_epoch for number in range(1, len(fit.epochs) + 1)],
    }
    tables.append(table_of(model_id, "epoch", epochs, len(fit.epochs)))
    return pa.concat_tables(tables)


# ---------------------------------------------------------------------------------------------
# The engines


def read_examples(
    door: Any, snapshot_id: str, encoder_fingerprint: str, is_bigframes: bool
) -> pa.Table:
    """Read one snapshot's examples with one encoder's vectors, and no other column."""
    if is_bigframes:
        is_wanted = (door["snapshot_id"] == snapshot_id) & (
            door["encoder_fingerprint"] == encoder_fingerprint
        )
        return door[is_wanted][list(EXAMPLE_COLUMNS)].to_arrow()

    from duckdb import ColumnExpression, ConstantExpression

    is_wanted = (ColumnExpression("snapshot_id") == ConstantExpression(snapshot_id)) & (
        ColumnExpression("encoder_fingerprint") == ConstantExpression(encoder_fingerprint)
    )
    return door.filter(is_wanted).select(*EXAMPLE_COLUMNS).to_arrow_table()


def held_models(session: Any, relation: str, is_bigframes: bool) -> set[str]:
    """Return the models that the ledger holds already."""
    query = f"select model_id from {relation} where record_type = 'model'"  # noqa: S608
    if is_bigframes:
        held = session.read_gbq(query).to_arrow()
    else:
        held = session.sql(query).to_arrow_table()
    return set(held["model_id"].to_pylist())


def with_zone(table: pa.Table) -> pa.Table:
    """Say that timestamps are UTC: BigQuery makes a DATETIME of one without a zone."""
    for position, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            zoned = table[field.name].cast(pa.timestamp("us", tz="UTC"))
            table = table.set_column(position, field.name, zoned)
    return table


def model(dbt, session):
    """Return the records of the models that the queue wants and the ledger does not hold."""
    is_bigframes = hasattr(session, "read_gbq")
    queue_relation = dbt.ref("training_queue")
    train_door = dbt.ref("dataset_train")
    validation_door = dbt.ref("dataset_validation")

    queue_rows = queue_relation.to_arrow() if is_bigframes else queue_relation.to_arrow_table()
    held = held_models(session, str(dbt.this), is_bigframes) if dbt.is_incremental else set()
    wanted = models_to_train(queue_rows, held)
    if not wanted:
        log("nothing to train")

    def read(snapshot_id: str, encoder_fingerprint: str) -> tuple[pa.Table, pa.Table]:
        key = (snapshot_id, encoder_fingerprint, is_bigframes)
        return read_examples(train_door, *key), read_examples(validation_door, *key)

    records = train_all(wanted, read, datetime.now(UTC))
    if is_bigframes:
        records = session.read_arrow(with_zone(records))
    return records
