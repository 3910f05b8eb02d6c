"""Say what a split by row would have flattered, and how many examples nearly repeat others.

One file for both engines, with nothing of this repository beside it. `model` reads and returns,
everything between is a function that pytest can call.

A ridge classifier, which has a closed form, predicts every example of a snapshot's sample, but for
those of its test split, from folds that leave out its customer, and from folds that leave out rows
alone. Both are examined on the same examples, so that their difference is little blurred; its
interval is the bootstrap's over customers, with Poisson weights (Hanley and MacGibbon, Creating
non-parametric bootstrap samples using Poisson frequencies, 2006).
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pyarrow as pa

FOLDS, REPEATS = 4, 3
RIDGE = 1.0
REPLICATES, CONFIDENCE = 400, 0.95
# two vectors with at least this cosine are nearly the same content
NEAR_DUPLICATE = 0.95
BLOCK_ROWS = 1_024

SAMPLE_COLUMNS = ("object_id", "split_group_id", "split", "label", "embedding")
AUDIT_SCHEMA = pa.schema(
    [
        ("snapshot_id", pa.string()),
        ("encoder_fingerprint", pa.string()),
        ("example_count", pa.int64()),
        ("group_count", pa.int64()),
        ("near_duplicate_count", pa.int64()),
        ("near_duplicate_across_groups_count", pa.int64()),
        ("near_duplicate_of_train_count", pa.int64()),
        ("roc_auc_by_group", pa.float64()),
        ("roc_auc_by_row", pa.float64()),
        ("inflation", pa.float64()),
        ("inflation_lower", pa.float64()),
        ("inflation_upper", pa.float64()),
    ]
)


@dataclass(frozen=True)
class Sample:
    """Examples in the order of their ids: vectors (examples, dimensions), and four texts each."""

    x: np.ndarray
    labels: np.ndarray
    objects: np.ndarray
    groups: np.ndarray
    splits: np.ndarray

    def of(self, is_taken: np.ndarray) -> "Sample":
        """Return some of the examples."""
        return Sample(*(getattr(self, field.name)[is_taken] for field in fields(self)))


def sample_of(examples: pa.Table) -> Sample:
    """Return the examples of a table with SAMPLE_COLUMNS; their order in it does not matter."""
    examples = examples.combine_chunks().sort_by("object_id")
    vectors = examples["embedding"].combine_chunks()
    flat = vectors.flatten().to_numpy(zero_copy_only=False)
    return Sample(
        np.asarray(flat, np.float64).reshape(len(vectors), -1),
        *(
            np.array(examples[name].to_pylist(), object)
            for name in ("label", "object_id", "split_group_id", "split")
        ),
    )


def folds_of(keys: np.ndarray, repeat: int) -> np.ndarray:
    """Return each key's fold, which is a matter of the key and the repeat alone."""
    folds = {}
    for key in set(keys):
        digest = hashlib.sha256(f"{repeat}/{key}".encode()).digest()
        folds[key] = int.from_bytes(digest[:8], "big") % FOLDS
    return np.array([folds[key] for key in keys])


def out_of_fold_scores(sample: Sample, keys: np.ndarray) -> np.ndarray | None:
    """Return scores (examples, classes) of classifiers that learned without an example's fold.

    None where some fold leaves out every example of a class.
    """
    from sklearn.linear_model import Ridge

    truths = sample.labels[:, None] == np.unique(sample.labels)
    scores = np.zeros(truths.shape)
    for repeat in range(REPEATS):
        folds = folds_of(keys, repeat)
        for fold in range(FOLDS):
            left_out = folds == fold
            if not truths[~left_out].any(axis=0).all():
                return None
            if left_out.any():
                fitted = Ridge(alpha=RIDGE).fit(sample.x[~left_out], truths[~left_out])
                scores[left_out] += fitted.predict(sample.x[left_out])
    return scores


def roc_auc(truth: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return a ROC-AUC for each row of weights (replicates, examples): one class, ties by half."""
    order = np.argsort(scores, kind="stable")
    starts = np.unique(scores[order], return_index=True)[1]
    positive, negative = (
        np.add.reduceat((weights * side)[:, order], starts, axis=1) for side in (truth, ~truth)
    )
    below = np.cumsum(negative, axis=1) - negative / 2
    return (positive * below).sum(axis=1) / (positive.sum(axis=1) * negative.sum(axis=1))


def macro_roc_auc(sample: Sample, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the mean over classes, one against the rest, for each row of weights."""
    classes = np.unique(sample.labels)
    return np.mean(
        [roc_auc(sample.labels == name, scores[:, k], weights) for k, name in enumerate(classes)],
        axis=0,
    )


def inflation(sample: Sample) -> dict[str, float]:
    """Return both ROC-AUCs, their difference and its bounds; nothing where there is none.

    Nobody looks at the test split for this.
    """
    sample = sample.of(sample.splits != "test")
    if len(set(sample.labels)) < 2:
        return {}
    both = [out_of_fold_scores(sample, keys) for keys in (sample.groups, sample.objects)]
    if both[0] is None or both[1] is None:
        return {}
    customers, whose = np.unique(sample.groups.astype(str), return_inverse=True)
    drawn = np.random.default_rng(1).poisson(1.0, (REPLICATES, len(customers)))
    # the first row of weights is the sample as it is
    weights = np.vstack([np.ones(len(whose)), drawn[:, whose]])
    by_group, by_row = (macro_roc_auc(sample, scores, weights) for scores in both)
    differences = by_row - by_group
    tail = (1 - CONFIDENCE) / 2
    # a replicate that drew no example of a class says nothing
    lower, upper = np.nanquantile(differences[1:], [tail, 1 - tail])
    return {
        "roc_auc_by_group": float(by_group[0]),
        "roc_auc_by_row": float(by_row[0]),
        "inflation": float(differences[0]),
        "inflation_lower": float(lower),
        "inflation_upper": float(upper),
    }


def near_duplicates(sample: Sample) -> dict[str, int]:
    """Count the examples that nearly repeat another one, and another customer's one.

    And those that a model is examined on although it learned from one that they nearly repeat.
    """
    lengths = np.linalg.norm(sample.x, axis=1, keepdims=True)
    unit = (sample.x / np.where(lengths > 0, lengths, 1)).astype(np.float32)
    is_train = sample.splits == "train"
    anybodys = others = trained = 0
    for start in range(0, len(unit), BLOCK_ROWS):
        block = slice(start, start + BLOCK_ROWS)
        is_near = unit[block] @ unit.T >= NEAR_DUPLICATE
        is_near[np.arange(len(is_near)), np.arange(start, start + len(is_near))] = False
        is_others = sample.groups[block][:, None] != sample.groups
        anybodys += int(is_near.any(axis=1).sum())
        others += int((is_near & is_others).any(axis=1).sum())
        trained += int((is_near & is_train & ~is_train[block][:, None]).any(axis=1).sum())
    return {
        "near_duplicate_count": anybodys,
        "near_duplicate_across_groups_count": others,
        "near_duplicate_of_train_count": trained,
    }


def audit(snapshot_id: str, encoder_fingerprint: str, sample: Sample) -> dict[str, Any]:
    """Return one row of AUDIT_SCHEMA; what cannot be told of a sample is null."""
    counts = {"example_count": len(sample.labels), "group_count": len(set(sample.groups))}
    return {
        "snapshot_id": snapshot_id,
        "encoder_fingerprint": encoder_fingerprint,
        **counts,
        **near_duplicates(sample),
        **inflation(sample),
    }


def audits(wanted: list[tuple[str, str]], read: Callable[[str, str], pa.Table]) -> pa.Table:
    """Return a row for each snapshot and encoder that has a sample.

    In one thread, so that equal inputs give equal rows; for good, as other Python models of the
    build may compute beside this one.
    """
    import sklearn.linear_model  # noqa: F401 - the limit is for libraries that are loaded
    from threadpoolctl import threadpool_limits

    threadpool_limits(limits=1)
    samples = ((key, read(*key)) for key in sorted(wanted))
    rows = [audit(*key, sample_of(sample)) for key, sample in samples if sample.num_rows]
    return pa.Table.from_pylist(rows, AUDIT_SCHEMA)


# ---------------------------------------------------------------------------------------------
# The engines


def model(dbt, session):
    """Return the audits of the current snapshots that have none yet."""
    is_bigframes = hasattr(session, "read_gbq")

    def query(relation) -> str:
        return relation.sql if is_bigframes else relation.sql_query()

    def rows(sql: str) -> pa.Table:
        return (
            session.read_gbq(sql).to_arrow() if is_bigframes else session.sql(sql).to_arrow_table()
        )

    def keys(source: str) -> set[tuple[str, str]]:
        found = rows(f"select snapshot_id, encoder_fingerprint from {source}")  # noqa: S608
        return {tuple(row.values()) for row in found.to_pylist()}

    sample = query(dbt.ref("audited_examples"))
    asked = keys(f"({query(dbt.ref('audit_queue'))}) as queue")
    if dbt.is_incremental:
        asked -= keys(str(dbt.this))

    def read(snapshot_id: str, encoder_fingerprint: str) -> pa.Table:
        columns = ", ".join(SAMPLE_COLUMNS)
        return rows(
            f"select {columns} from ({sample}) as sample where snapshot_id = "  # noqa: S608
            f"'{snapshot_id}' and encoder_fingerprint = '{encoder_fingerprint}'"
        )

    found = audits(list(asked), read)
    return session.read_arrow(found) if is_bigframes else found
