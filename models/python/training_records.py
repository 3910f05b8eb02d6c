"""Train the classifiers that the training queue asks for, and return what was learnt as rows.

One file for both engines, with nothing of this repository beside it: on BigQuery it runs in a
process of its own. `model` reads and returns, all between is a function that pytest can call.

A dbt Python model returns one table, so this one is long: one row per record, told apart by
`record_type` (`model`, `unit`, `trial`, `epoch`). The scaling of the inputs is folded into the
first layer and the temperature into the last one: the `unit` rows are the whole function, and
whoever can do a dot product can apply it.

A model is fitted several times, and every fit is a trial on record: with each weight decay in
question, with other seeds, on fewer customers. One of them is kept; the others say why, how much
the seed matters, and whether more customers would help.

Training runs on the CPU, in one thread, whatever hardware is there: a shallow net has little to
gain from more, and only so do equal inputs give equal rows, byte for byte.

Memory does not grow with the number of examples, beyond some tens of bytes for each, and some tens
for each class of a validation example: more than MEMORY_BYTES of vectors go through unnamed
temporary files, dealt to blocks by a hash of their objects, and training takes one block after the
other. On BigQuery, whose client gives a table whole, that process holds the examples besides.
"""

import io
import math
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

# Part of every model_id, by way of the queue: raise it with every change that changes weights,
# here and in the queue.
TRAINER_VERSION = "4"

# Chosen by the validation log loss over five splits of the demo's data. One split's validation
# customers are another one's test customers: a fair estimate needs data they have not seen.
LEARNING_RATE = 3e-4
MAX_EPOCHS = 200
# A batch holds 64 examples; fewer where an epoch would be shorter than 32 steps, more where it
# would be longer than 512.
BATCH_SIZE, SMALLEST_BATCH, LARGEST_BATCH = 64, 8, 1_024
FEWEST_STEPS, MOST_STEPS = 32, 512
PATIENCE = 8
# Without a usable validation split nothing can say when to stop.
FIXED_EPOCHS = 10
# What a search over the weight decay tries. The first is taken where nothing can choose, and of
# equals.
WEIGHT_DECAYS = {"linear": (0.1, 0.01, 1.0), "mlp": (3.0, 1.0, 10.0)}
# A logistic regression has one optimum, whatever the seed.
SEEDED = {"mlp"}
# Above every probability: nothing is called positive.
NEVER = 2.0
GROUP_BUCKETS = 1_000
TEMPERATURE_BOUNDS = (0.1, 10.0)

# Vectors of a split that are held in memory; where there are more, those of one block are.
MEMORY_BYTES, BLOCK_BYTES = 200_000_000, 100_000_000
# Rows that are read, and computed with, at a time.
READ_ROWS, CHUNK_ROWS = 8_192, 4_096
# Chunks that are held ready: as many as are computed with while a block is read.
AHEAD = 8

EXAMPLE_COLUMNS = ("object_id", "split_group_id", "label", "embedding")

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
        ("class_weighting", pa.string()),
        ("threshold_rule", pa.string()),
        ("threshold_value", pa.float64()),
        ("abstain_band", pa.float64()),
        ("decision_threshold", pa.float64()),
        ("temperature", pa.float64()),
        ("snapshot_as_of", pa.timestamp("us")),
        ("trained_at", pa.timestamp("us")),
        # unit: layer 1 comes first; in the last layer the unit is the position in classes
        ("layer", pa.int64()),
        ("unit", pa.int64()),
        ("bias", pa.float64()),
        ("weights", pa.list_(pa.float64())),
        # trial: and weight_decay, seed, train_count, best_epoch, validation_loss
        ("trial", pa.int64()),
        ("customer_share", pa.float64()),
        ("is_kept", pa.bool_()),
        # epoch: of a trial
        ("epoch", pa.int64()),
        ("train_loss", pa.float64()),
        ("validation_loss", pa.float64()),
        ("is_best", pa.bool_()),
    ]
)

Layer = tuple[np.ndarray, np.ndarray]  # weights (units, inputs), biases (units,)


@dataclass(frozen=True)
class Epoch:
    """What one pass over the training split came to; losses are before the temperature.

    The train loss of a net with a hidden layer is the mean over its batches, while the weights
    moved; the validation loss is that of the weights after the pass, and weighs no class.
    """

    train_loss: float
    validation_loss: float | None


@dataclass(frozen=True)
class Fit:
    """Layers as fitted on standardised inputs, with the course of the training."""

    layers: list[Layer]
    epochs: list[Epoch]
    best_epoch: int

    @property
    def validation_loss(self) -> float | None:
        """The loss that the layers have."""
        return self.epochs[self.best_epoch - 1].validation_loss


@dataclass(frozen=True)
class Trial:
    """One fit of a model, and what it was given."""

    weight_decay: float
    seed: int
    customer_share: float
    train_count: int
    fit: Fit


@dataclass(frozen=True)
class Studies:
    """What is to be found out about every model, beside the model itself.

    With so many seeds it is fitted, from its own one on, and on these shares of its customers.
    Raises ValueError for what is no number of seeds or no share.
    """

    seed_count: int = 1
    customer_shares: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what no trial could be made of."""
        if self.seed_count < 1:
            raise ValueError(f"training_seeds: {self.seed_count} is not 1 or more")
        for share in self.customer_shares:
            if not 0 < share <= 1:
                raise ValueError(f"learning_curve_shares: {share} is not above 0 and at most 1")


def log(message: str) -> None:
    """Say something in dbt's log, which shows what a Python model prints."""
    print(f"training_records: {message}", flush=True)  # noqa: T201


# ---------------------------------------------------------------------------------------------
# What is to be trained


def models_to_train(queue: pa.Table, held: set[str]) -> list[dict[str, Any]]:
    """Return the rows of the queue that are neither trained already nor blocked.

    Raises ValueError where the queue and this file disagree about the trainer.
    """
    rows = sorted(queue.to_pylist(), key=lambda row: row["model_id"])
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
    # The largest first: of one that is larger than all before it nobody knows how long it takes.
    # Neighbours share their examples, so that each is read once and one is held at a time.
    return sorted(
        wanted,
        key=lambda row: (
            -row["train_count"] * row["embedding_dim"],
            *examples_of(row),
            -(row["hidden_units"] or 0),
            row["model_id"],
        ),
    )


def examples_of(row: Mapping[str, Any]) -> tuple[str, str]:
    """Return what names the examples of a model: its snapshot and its encoder, never the id."""
    return row["snapshot_id"], row["encoder_fingerprint"]


def train_all(
    wanted: Iterable[Mapping[str, Any]],
    read: Callable[[str, str, str], Iterable[pa.RecordBatch]],
    trained_at: datetime,
    studies: Studies,
    most_seconds: float = math.inf,
) -> pa.Table:
    """Train the models wanted; `read` takes a split, a snapshot and an encoder.

    What is returned is kept, and a build that is stopped from outside keeps nothing: a model that
    would not be done after so many seconds, if it took as long as the longest so far of its
    architecture, is left for the next build. One is always trained.
    """
    tables = [RECORD_SCHEMA.empty_table()]
    last_key, begun = None, time.monotonic()
    longest: dict[str, float] = {}
    with ExitStack() as splits:
        for row in wanted:
            started, architecture = time.monotonic(), row["architecture"]
            # the first mlp takes no less than a linear model
            expected = longest.get(architecture, longest.get("linear", 0.0))
            if last_key and started + expected > begun + most_seconds:
                log(f"{row['classifier_id']} is left for the next build, for want of time")
                continue
            if examples_of(row) != last_key:
                last_key = examples_of(row)
                splits.close()
                train_examples, validation_examples = (
                    splits.enter_context(closing(examples_for(row, split, read)))
                    for split in ("train", "validation")
                )
                scaling = train_examples.scaling()
                train_examples.scale(scaling)
                validation_examples.scale(scaling)
            splits_given = train_examples, validation_examples
            tables.append(train(row, *splits_given, scaling, trained_at, studies))
            took = time.monotonic() - started
            longest[architecture] = max(took, longest.get(architecture, 0.0))
            log(
                f"trained {row['classifier_id']} ({row['architecture']}) on "
                f"{train_examples.count} examples: model {row['model_id']}"
            )
    return pa.concat_tables(tables)


# ---------------------------------------------------------------------------------------------
# Arrow in


def matrix_of(vectors: pa.ListArray) -> np.ndarray:
    """Return a list column of some rows as a matrix, sharing its memory.

    Raises ValueError where a vector is missing, another length or not finite.
    """
    if vectors.null_count:
        raise ValueError(f"{vectors.null_count} examples have no vector")
    lengths = pc.unique(pc.list_value_length(vectors)).to_pylist()
    if len(lengths) != 1:
        raise ValueError(f"vectors of different lengths under one encoder: {sorted(lengths)}")
    flat = vectors.flatten()
    matrix = flat.to_numpy(zero_copy_only=flat.null_count == 0).reshape(len(vectors), lengths[0])
    # a sum is finite only if its parts are; one of large parts may not be
    if not np.isfinite(matrix.sum()) and not np.isfinite(matrix).all():
        raise ValueError("a vector holds a null, a NaN or an infinity")
    return matrix


class Block:
    """Some examples of a split, their vectors in a file."""

    def __init__(self, dimensions: int, file: BinaryIO) -> None:
        self._dimensions, self._file = dimensions, file
        self._keys, self._codes = [np.empty(0, np.uint64)], [np.empty(0, np.int32)]
        self._buckets = [np.empty(0, np.uint16)]

    def append(
        self, vectors: np.ndarray, keys: np.ndarray, codes: np.ndarray, buckets: np.ndarray
    ) -> None:
        """Take examples in the order in which they come."""
        self._keys.append(keys)
        self._codes.append(codes)
        self._buckets.append(buckets)
        self._file.write(_bytes_of(vectors))

    def close(self) -> None:
        """Order by the hash of the object.

        No engine promises an order of rows, and the order of examples changes the weights.
        """
        codes = np.concatenate(self._codes)
        self._order = np.argsort(np.concatenate(self._keys), kind="stable").astype(np.int32)
        self.codes, self.buckets = codes[self._order], np.concatenate(self._buckets)[self._order]
        self._keys, self._codes, self._buckets = [], [], []

    def vectors(self) -> np.ndarray:
        """Return the vectors (examples, dimensions), float32, in their order."""
        shape = len(self.codes), self._dimensions
        if shape[0] and not isinstance(self._file, io.BytesIO):
            # what is on the disk mostly lies in the system's cache, too: no second copy of it
            self._file.flush()
            values = np.memmap(self._file, np.float32, "c", shape=shape)
        else:
            values = np.empty(shape, np.float32)
            self._file.seek(0)
            self._file.readinto(_bytes_of(values))
        return values if self._order is None else values[self._order]

    def scale(self, mean: np.ndarray, std: np.ndarray) -> None:
        """Have vectors of a mean of zero and a deviation of one."""
        values = self.vectors()
        values -= mean
        values /= std
        self._file.seek(0)
        self._file.write(_bytes_of(values))
        self._order = None


def _bytes_of(vectors: np.ndarray) -> np.ndarray:
    return vectors.reshape(-1).view(np.uint8)


Scaling = tuple[np.ndarray, np.ndarray]  # mean and deviation of each dimension, float32


class Examples:
    """The examples of a split, in blocks whose content and order depend on the examples alone.

    Raises ValueError where a vector is missing, of another length, or not finite.
    """

    def __init__(
        self, batches: Iterable[pa.RecordBatch], expected_count: int, dimensions: int
    ) -> None:
        self._files, self.dimensions = ExitStack(), dimensions
        size = 4 * dimensions * expected_count
        # a file without a name: whatever ends the process removes it
        new_file, count = tempfile.TemporaryFile, -(-size // BLOCK_BYTES)
        if size <= MEMORY_BYTES:
            new_file, count = io.BytesIO, 1
        self.blocks = [
            Block(dimensions, self._files.enter_context(new_file())) for _ in range(count)
        ]
        # labels in the order in which they come, and the position there as their code
        self._codes: dict[str | None, int] = {}
        self.count = sum(self._deal(batch) for batch in batches if batch.num_rows)
        self.labels = list(self._codes)
        for block in self.blocks:
            block.close()

    def close(self) -> None:
        """Give memory and files back."""
        self._files.close()

    def _deal(self, batch: pa.RecordBatch) -> int:
        """Append rows to their blocks. Returns how many there were."""
        from pandas.util import hash_array

        vectors = matrix_of(batch["embedding"]).astype(np.float32, copy=False)
        if vectors.shape[1] != self.dimensions:
            raise ValueError(
                f"vectors of length {vectors.shape[1]}, the queue says {self.dimensions}"
            )
        keys = hash_array(batch["object_id"].to_numpy(zero_copy_only=False), categorize=False)
        groups = batch["split_group_id"].dictionary_encode()
        buckets = hash_array(groups.dictionary.to_numpy(zero_copy_only=False), categorize=False)
        buckets = (buckets % GROUP_BUCKETS).astype(np.uint16)[groups.indices.to_numpy()]
        labels = batch["label"].cast(pa.string()).dictionary_encode()
        codes = [
            self._codes.setdefault(it, len(self._codes)) for it in labels.dictionary.to_pylist()
        ]
        codes = np.array(codes, np.int32)[labels.indices.to_numpy()]
        if len(self.blocks) == 1:
            self.blocks[0].append(np.ascontiguousarray(vectors), keys, codes, buckets)
            return len(vectors)
        numbers = (keys % len(self.blocks)).astype(np.int64)
        rows = np.argsort(numbers, kind="stable")
        ends = np.cumsum(np.bincount(numbers, minlength=len(self.blocks)))
        for block, chosen in zip(self.blocks, np.split(rows, ends[:-1]), strict=True):
            block.append(vectors[chosen], keys[chosen], codes[chosen], buckets[chosen])
        return len(vectors)

    def scaling(self) -> Scaling:
        """Return the mean and the deviation of each dimension; of a constant one, 1.

        In the precision in which they are used: the stored function scales by the same numbers.
        """
        from sklearn.preprocessing import StandardScaler

        scaler = StandardScaler()
        for block in self.blocks:
            vectors = block.vectors()
            for start in range(0, len(vectors), CHUNK_ROWS):
                scaler.partial_fit(vectors[start : start + CHUNK_ROWS])
        return scaler.mean_.astype(np.float32), scaler.scale_.astype(np.float32)

    def scale(self, scaling: Scaling) -> None:
        """Scale the vectors, once for all models."""
        for block in self.blocks:
            block.scale(*scaling)


class Split:
    """What one model is given of a split: scaled vectors, and labels as positions of its classes.

    Examples of a label outside of the classes are left out, and those of all customers but a
    share, chosen by a hash: a larger share holds the smaller one.
    """

    def __init__(self, examples: Examples, classes: list[str], customer_share: float = 1.0) -> None:
        known = {name: position for position, name in enumerate(classes)}
        of_code = np.array([known.get(name, -1) for name in examples.labels], np.int64)
        end = customer_share * GROUP_BUCKETS
        self._blocks = [
            (block, np.where(block.buckets < end, of_code[block.codes], -1))
            for block in examples.blocks
        ]
        self.label_counts = sum(
            np.bincount(y[y >= 0], minlength=len(classes)) for _, y in self._blocks
        )
        self.count, self.label_count = int(self.label_counts.sum()), (self.label_counts > 0).sum()
        self.dimensions = examples.dimensions
        self._loaded: tuple[int, Any, Any] | None = None

    def chunks(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield vectors (examples, dimensions), float32, and labels, in their order."""
        plan = (
            (number, slice(start, start + CHUNK_ROWS))
            for number, (_, y) in enumerate(self._blocks)
            for start in range(0, np.count_nonzero(y >= 0), CHUNK_ROWS)
        )
        for x, y in self._taken(plan):
            yield x.numpy(), y.numpy()

    def batches(self, size: int, shuffler: Any) -> Iterator[tuple[Any, Any]]:
        """Yield tensors of so many examples, block after block, shuffled in both."""
        import torch

        piece = size * max(1, CHUNK_ROWS // size)
        counts = [np.count_nonzero(labels >= 0) for _, labels in self._blocks]
        plan = (
            (number, rows)
            for number in torch.randperm(len(self._blocks), generator=shuffler).tolist()
            # of a share of the customers a block may hold nobody
            if counts[number]
            for rows in torch.randperm(counts[number], generator=shuffler).split(piece)
        )
        for x, y in self._taken(plan):
            yield from zip(x.split(size), y.split(size), strict=True)

    def loss(self, layers: list[Layer]) -> float:
        """Return the log loss of a net."""
        total = sum(log_loss(forward(layers, x), y) * len(y) for x, y in self.chunks())
        return total / self.count

    def logits(self, layers: list[Layer]) -> tuple[np.ndarray, np.ndarray]:
        """Return what a net says of every example, and the labels."""
        found = [(forward(layers, x), y) for x, y in self.chunks()]
        return tuple(np.concatenate(part) for part in zip(*found, strict=True))

    def _taken(self, plan: Iterable[tuple[int, Any]]) -> Iterator[tuple[Any, Any]]:
        """Yield rows of blocks as tensors; while some are computed with, the next are read."""
        with ThreadPoolExecutor(1) as reader:
            coming: deque[Future] = deque()
            for number, rows in plan:
                coming.append(reader.submit(self._take, number, rows))
                if len(coming) > AHEAD:
                    yield coming.popleft().result()
            while coming:
                yield coming.popleft().result()

    def _take(self, number: int, rows: Any) -> tuple[Any, Any]:
        import torch

        if self._loaded is None or self._loaded[0] != number:
            self._loaded = None
            block, y = self._blocks[number]
            x, is_known = block.vectors(), y >= 0
            x, y = (x, y) if is_known.all() else (x[is_known], y[is_known])
            # rows are taken by torch, as numpy would hold up the thread that computes
            self._loaded = number, torch.from_numpy(x), torch.from_numpy(y)
        _, x, y = self._loaded
        return x[rows], y[rows]


def examples_for(
    row: Mapping[str, Any], split: str, read: Callable[[str, str, str], Iterable[pa.RecordBatch]]
) -> Examples:
    """Read the split of a model. Raises ValueError where it is not what the queue counted."""
    count = row[f"{split}_count"]
    examples = Examples(read(split, *examples_of(row)), count, row["embedding_dim"])
    if examples.count != count:
        raise ValueError(
            f"{row['classifier_id']}: the queue counts {count} {split} examples, dataset_{split} "
            f"has {examples.count} for snapshot {row['snapshot_id']}"
        )
    return examples


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
    return float(-log_softmax(logits)[np.arange(len(y)), y].mean())


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Return the logarithm of each class's share."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def class_weights(train: Split, class_weighting: str | None) -> np.ndarray:
    """Return how much an example of each class counts (classes,): 1 on the average.

    `balanced` is scikit-learn's class_weight="balanced": every class counts the same.
    """
    counts = train.label_counts
    return np.ones(len(counts)) if class_weighting is None else counts.mean() / counts


def without_weights(layers: list[Layer], weights: np.ndarray) -> list[Layer]:
    """Return layers whose probabilities are those of the data as it is.

    Weights shift what a classifier takes for the frequency of a class; the shift of the logits is
    their logarithm (Elkan, "The foundations of cost-sensitive learning", IJCAI 2001).
    """
    last_weights, last_bias = layers[-1]
    return [*layers[:-1], (last_weights, last_bias - np.log(weights))]


def fit_linear(train: Split, validation: Split, config: Mapping[str, Any]) -> Fit:
    """Fit a logistic regression: scikit-learn's, over chunks.

    It minimises mean log loss + weight_decay / 2 * |weights|^2 (biases are free), which is
    scikit-learn's C = 1 / (training examples * weight_decay), by SciPy's L-BFGS. The solver has
    no epochs: one row states where it ended. Two classes are two units, the first without
    weights, so that one softmax serves every number of classes.
    """
    from scipy.optimize import minimize

    decay, classes = config["weight_decay"], len(config["classes"])
    counts_as = class_weights(train, config["class_weighting"])
    units = 1 if classes == 2 else classes

    def layer_of(flat: np.ndarray) -> Layer:
        values = flat.reshape(units, train.dimensions + 1)
        fixed = np.zeros((classes - units, train.dimensions + 1))
        values = np.concatenate([fixed, values])
        return values[:, :-1], values[:, -1]

    def loss_and_gradient(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights, bias = layer_of(flat)
        total, gradient = 0.0, np.zeros((classes, train.dimensions + 1))
        for chunk, y in train.chunks():
            x = chunk.astype(np.float64)
            log_shares = log_softmax(x @ weights.T + bias)
            total -= (counts_as[y] * log_shares[np.arange(len(y)), y]).sum()
            shares = np.exp(log_shares)
            shares[np.arange(len(y)), y] -= 1.0
            shares *= counts_as[y, np.newaxis]
            gradient[:, :-1] += shares.T @ x
            gradient[:, -1] += shares.sum(axis=0)
        gradient /= train.count
        gradient[:, :-1] += decay * weights
        loss = total / train.count + decay / 2 * np.square(weights).sum()
        return loss, gradient[classes - units :].ravel()

    found = minimize(
        loss_and_gradient,
        np.zeros(units * (train.dimensions + 1)),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 2_000, "maxls": 50, "gtol": 1e-7, "ftol": 64 * np.finfo(float).eps},
    )
    if not found.success:
        log(f"{config['classifier_id']}: the solver stopped before its end: {found.message}")
    weights, bias = layer_of(found.x)
    layers = without_weights([(weights, bias)], counts_as)
    train_loss = found.fun - decay / 2 * np.square(weights).sum()
    val_loss = validation.loss(layers) if validation.count else None
    return Fit(layers, [Epoch(float(train_loss), val_loss)], best_epoch=1)


def fit_mlp(train: Split, validation: Split, config: Mapping[str, Any]) -> Fit:
    """Fit Linear, ReLU, Linear with AdamW.

    Stops when the validation log loss has not fallen for PATIENCE epochs, and returns the best
    epoch's weights. Without validation examples it runs FIXED_EPOCHS and returns the last ones.
    Raises ValueError where the loss is no number.
    """
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config["seed"])
        net = torch.nn.Sequential(
            torch.nn.Linear(train.dimensions, config["hidden_units"]),
            torch.nn.ReLU(),
            torch.nn.Linear(config["hidden_units"], len(config["classes"])),
        )

    counts_as = class_weights(train, config["class_weighting"])

    def layers_now() -> list[Layer]:
        linears = (net[0], net[2])
        layers = [
            (one.weight.detach().numpy().astype(np.float64), one.bias.detach().double().numpy())
            for one in linears
        ]
        return without_weights(layers, counts_as)

    shuffler = torch.Generator().manual_seed(config["seed"])
    optimizer = torch.optim.AdamW(
        net.parameters(), lr=LEARNING_RATE, weight_decay=config["weight_decay"], fused=True
    )
    loss_of = torch.nn.CrossEntropyLoss(torch.from_numpy(counts_as).float(), reduction="sum")
    batch_size = batch_size_of(train.count)
    epochs: list[Epoch] = []
    best_epoch, best_loss, best_layers = 0, np.inf, layers_now()
    for number in range(1, (MAX_EPOCHS if validation.count else FIXED_EPOCHS) + 1):
        total = 0.0
        for x, y in train.batches(batch_size, shuffler):
            optimizer.zero_grad()
            loss = loss_of(net(x), y) / len(y)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(y)
        val_loss = validation.loss(layers_now()) if validation.count else None
        epochs.append(Epoch(total / train.count, val_loss))
        if val_loss is None or val_loss < best_loss:
            best_epoch, best_layers = number, layers_now()
            best_loss = np.inf if val_loss is None else val_loss
        elif number - best_epoch >= PATIENCE:
            break
    if not best_epoch or not math.isfinite(epochs[best_epoch - 1].train_loss):
        raise ValueError(
            f"{config['classifier_id']}: the training diverged; give it a smaller weight_decay"
        )
    return Fit(best_layers, epochs, best_epoch)


def batch_size_of(count: int) -> int:
    """Return how many of so many examples make a step."""
    smaller = min(BATCH_SIZE, max(SMALLEST_BATCH, count // FEWEST_STEPS))
    return max(smaller, min(LARGEST_BATCH, count // MOST_STEPS))


def compute_in_one_thread() -> None:
    """Have this process compute in one thread: more would add up in an order of their own.

    For good: other Python models of the build may compute beside this one, and whoever gave the
    threads back first would do so in the middle of their work.
    """
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(1)
    threadpool_limits(limits=1)


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


def decision_threshold(
    config: Mapping[str, Any], probabilities: np.ndarray, y: np.ndarray
) -> float | None:
    """Return the probability from which on the positive label is predicted.

    By the rule of the registry, on the validation examples: `cost_ratio` keeps the cost least if
    a positive that is missed costs so many times a false alarm; `target_precision` finds the most
    positives while so large a share of those called positive are. Of equals the highest; NEVER,
    where to call nothing positive is best. It lies halfway between two examples, as far from both
    as rounding allows. Without a rule it is 0.5. Without examples (0, classes), probabilities
    are taken at their word: what is likelier than the rule asks for is called positive.
    """
    from sklearn.metrics import roc_curve

    rule, value = config["threshold_rule"], config["threshold_value"]
    if config["positive_label"] is None:
        return None
    if rule is None:
        return 0.5
    if not len(y):
        return 1 / (1 + value) if rule == "cost_ratio" else value
    positive = config["classes"].index(config["positive_label"])
    is_positive = y == positive
    false_alarms, found, thresholds = roc_curve(
        is_positive, probabilities[:, positive], drop_intermediate=False
    )
    # roc_curve gives shares, from no example called positive to all
    false_alarms = np.rint(false_alarms * (~is_positive).sum())
    found = np.rint(found * is_positive.sum())
    if rule == "cost_ratio":
        best = np.argmin(false_alarms - value * found)
    else:
        precision = found / np.maximum(found + false_alarms, 1)
        best = np.argmax(np.where(precision >= value, found, 0))
    if best == 0:
        return NEVER
    return float(thresholds[best] + np.append(thresholds, 0.0)[best + 1]) / 2


def try_all(
    config: Mapping[str, Any], examples: Examples, validation: Split, studies: Studies
) -> tuple[list[Trial], Trial]:
    """Fit a model in every way in question. Returns all trials, and the one that is kept.

    Without validation examples one trial is all: nothing could tell two apart.
    """
    name, architecture, classes = config["classifier_id"], config["architecture"], config["classes"]
    seed, weight_decays = config["seed"], [config["weight_decay"]]
    if config["weight_decay"] is None:
        weight_decays = WEIGHT_DECAYS[architecture]

    def attempt(weight_decay: float, seed: int, customer_share: float = 1.0) -> Trial:
        # a split of its own: what it holds in memory goes with it
        split = Split(examples, classes, customer_share)
        asked = {**config, "weight_decay": weight_decay, "seed": seed}
        fit = FITTERS[architecture](split, validation, asked)
        return Trial(weight_decay, seed, customer_share, split.count, fit)

    if not validation.count:
        kept = attempt(weight_decays[0], seed)
        return [kept], kept
    trials = [attempt(weight_decay, seed) for weight_decay in weight_decays]
    kept = min(trials, key=lambda trial: trial.fit.validation_loss)
    if architecture in SEEDED:
        seeds = range(seed + 1, seed + studies.seed_count)
        trials += [attempt(kept.weight_decay, other) for other in seeds]
    for share in studies.customer_shares:
        if Split(examples, classes, share).label_counts.all():
            trials.append(attempt(kept.weight_decay, seed, share))
        else:
            log(f"{name}: a label has no example on {share:.0%} of the customers: no trial")
    return trials, kept


def train(
    config: Mapping[str, Any],
    train_examples: Examples,
    validation_examples: Examples,
    scaling: Scaling,
    trained_at: datetime,
    studies: Studies,
) -> pa.Table:
    """Train the one model that a row of the queue describes, on scaled examples.

    A validation example with a label that no training example has is set aside: the model has no
    probability for it. If the rest holds fewer than two labels, it cannot say when to stop or how
    sure to be: the mlp runs FIXED_EPOCHS, the temperature is 1, and no validation loss is
    recorded.

    Raises ValueError where the examples are not what the queue counted: a model_id stands for
    its inputs.
    """
    name, classes = config["classifier_id"], list(config["classes"])
    if config["architecture"] not in FITTERS:
        raise ValueError(f"{name}: unknown architecture {config['architecture']!r}")
    if sorted(train_examples.labels) != sorted(classes) or len(classes) < 2:
        raise ValueError(f"{name}: training labels are not the queue's classes {classes}")

    validation = Split(validation_examples, classes)
    if validation.label_count < 2:
        log(f"{name}: fewer than two known labels in the validation split: temperature 1")
        validation = Split(validation_examples, [])
    compute_in_one_thread()
    trials, kept = try_all(config, train_examples, validation, studies)
    temperature, shares, y = 1.0, np.empty((0, len(classes))), np.empty(0)
    if validation.count:
        logits, y = validation.logits(kept.fit.layers)
        temperature = fit_temperature(logits, y)
        shares = np.exp(log_softmax(logits / temperature))
    threshold = decision_threshold(config, shares, y)
    if threshold == NEVER:
        log(f"{name}: by its threshold rule nothing is called positive")
    layers = fold(kept.fit.layers, *scaling, temperature)
    found = {"temperature": temperature, "decision_threshold": threshold}
    return records_of(config, trials, kept, layers, found, trained_at)


# ---------------------------------------------------------------------------------------------
# Arrow out


def runtime_of() -> str:
    """Return the libraries that trained: recorded, and no part of the model's identity."""
    import scipy
    import sklearn
    import torch

    libraries = {"torch": torch, "scikit-learn": sklearn, "scipy": scipy, "numpy": np}
    return ", ".join(f"{name} {library.__version__}" for name, library in libraries.items())


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
    trials: list[Trial],
    kept: Trial,
    layers: list[Layer],
    found: Mapping[str, float | None],
    trained_at: datetime,
) -> pa.Table:
    """Return the records of one model: itself, its units, its trials and their epochs."""
    model_id = config["model_id"]
    about = {
        field.name: [config[field.name]]
        for field in RECORD_SCHEMA
        if field.name in config and field.name not in ("model_id", "snapshot_as_of")
    }
    about |= {
        **{name: [value] for name, value in found.items()},
        "runtime": [runtime_of()],
        "best_epoch": [kept.fit.best_epoch],
        "weight_decay": [kept.weight_decay],
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
    for number, trial in enumerate(trials, start=1):
        about_trial = {
            "trial": [number],
            "weight_decay": [trial.weight_decay],
            "seed": [trial.seed],
            "customer_share": [trial.customer_share],
            "train_count": [trial.train_count],
            "best_epoch": [trial.fit.best_epoch],
            "validation_loss": [trial.fit.validation_loss],
            "is_kept": [trial is kept],
        }
        tables.append(table_of(model_id, "trial", about_trial, 1))
        epochs, count = trial.fit.epochs, len(trial.fit.epochs)
        about_epochs = {
            "trial": [number] * count,
            "epoch": range(1, count + 1),
            "train_loss": [epoch.train_loss for epoch in epochs],
            "validation_loss": [epoch.validation_loss for epoch in epochs],
            "is_best": [epoch == trial.fit.best_epoch for epoch in range(1, count + 1)],
        }
        tables.append(table_of(model_id, "epoch", about_epochs, count))
    return pa.concat_tables(tables)


# ---------------------------------------------------------------------------------------------
# The engines


def read_examples(
    door: Any, snapshot_id: str, encoder_fingerprint: str, is_bigframes: bool
) -> Iterable[pa.RecordBatch]:
    """Read one snapshot's examples with one encoder's vectors, and no other column."""
    if is_bigframes:
        is_wanted = (door["snapshot_id"] == snapshot_id) & (
            door["encoder_fingerprint"] == encoder_fingerprint
        )
        examples = door[is_wanted][list(EXAMPLE_COLUMNS)]
        # Without the word BigQuery refuses to answer with more than ten gigabytes.
        return examples.to_arrow(allow_large_results=True).to_batches(READ_ROWS)

    from duckdb import ColumnExpression, ConstantExpression

    is_wanted = (ColumnExpression("snapshot_id") == ConstantExpression(snapshot_id)) & (
        ColumnExpression("encoder_fingerprint") == ConstantExpression(encoder_fingerprint)
    )
    return door.filter(is_wanted).select(*EXAMPLE_COLUMNS).to_arrow_reader(READ_ROWS)


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
    doors = {"train": dbt.ref("dataset_train"), "validation": dbt.ref("dataset_validation")}

    queue_rows = queue_relation.to_arrow() if is_bigframes else queue_relation.to_arrow_table()
    held = held_models(session, str(dbt.this), is_bigframes) if dbt.is_incremental else set()
    wanted = models_to_train(queue_rows, held)
    if not wanted:
        log("nothing to train")

    def read(split: str, *key: str) -> Iterable[pa.RecordBatch]:
        return read_examples(doors[split], *key, is_bigframes)

    studies = Studies(
        dbt.config.meta_get("seed_count"), tuple(dbt.config.meta_get("customer_shares"))
    )
    most_seconds = 60 * dbt.config.meta_get("most_minutes")
    records = train_all(wanted, read, datetime.now(UTC), studies, most_seconds)
    if is_bigframes:
        records = session.read_arrow(with_zone(records))
    return records
