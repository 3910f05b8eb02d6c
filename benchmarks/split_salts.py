"""How good the demo's classifiers are over five split salts, beside rules that learn little.

One split of some 500 test rows scatters by about .025 of ROC-AUC, so one split proves nothing.
Each salt gets a store of its own below target/bench, built by dbt from the same landing folder,
which `make demo` or `make bench` fills.
"""

import os
import subprocess
import sys
from pathlib import Path

import duckdb
import numpy as np
from sklearn.dummy import DummyClassifier
from sklearn.metrics import f1_score
from sklearn.tree import DecisionTreeClassifier

SALTS = tuple(f"split/{number}" for number in range(1, 6))
FOLDER = Path("target/bench")
METRICS = ("roc_auc", "pr_auc", "macro_f1", "accuracy", "ece")


def build(store: Path, salt: str) -> None:
    """Build a store from nothing under one salt."""
    store.unlink(missing_ok=True)
    environment = os.environ | {
        "EMBEDDING_STORE_DUCKDB": str(store),
        "DBT_TARGET_PATH": str(FOLDER / "target"),
        "DBT_LOG_PATH": str(FOLDER / "logs"),
    }
    dbt = Path(sys.executable).with_name("dbt")
    # without studies, which change no model
    asked = f"{{split_salt: {salt}, training_seeds: 1, learning_curve_shares: []}}"
    command = [dbt, "--quiet", "build", "--selector", "nightly", "--vars", asked]
    subprocess.run(command, env=environment, check=True)


def metrics_of(store: duckdb.DuckDBPyConnection) -> dict[tuple[str, str], float]:
    """Return each classifier's metrics on the test split."""
    rows = store.execute("""
        select classifier_id, metric, value from published.classifier_metrics where split = 'test'
    """).fetchall()
    return {(classifier, metric): value for classifier, metric, value in rows}


def bins_of(store: duckdb.DuckDBPyConnection) -> dict[str, np.ndarray]:
    """Return each classifier's calibration bins: count, sum of probability, sum of correct."""
    rows = store.execute("""
        select classifier_id, example_count, example_count * coalesce(mean_probability, 0),
               example_count * coalesce(accuracy, 0)
        from published.classifier_calibration where split = 'test' order by classifier_id, bin
    """).fetchall()
    names = {row[0] for row in rows}
    return {name: np.array([row[1:] for row in rows if row[0] == name], float) for name in names}


def rules_of(store: duckdb.DuckDBPyConnection) -> dict[tuple[str, str], float]:
    """Return the macro-F1 on the test split of two rules: the majority, a tree on length."""
    scores = {}
    tree = DecisionTreeClassifier(max_leaf_nodes=8, class_weight="balanced", random_state=0)
    snapshots = "select distinct dataset_id from ledger.dataset_snapshots order by dataset_id"
    for (dataset,) in store.execute(snapshots).fetchall():
        rows = store.execute(
            """
            select snapshots.split, objects.content_length, snapshots.label
            from ledger.dataset_snapshots as snapshots
            inner join restricted.stg_objects as objects using (object_id, object_version)
            where snapshots.dataset_id = $1
            """,
            [dataset],
        ).fetchall()
        train, test = ([row[1:] for row in rows if row[0] == split] for split in ("train", "test"))
        (x, y), (x_test, y_test) = (
            (np.array([[length] for length, _ in part]), [label for _, label in part])
            for part in (train, test)
        )
        for name, rule in (
            ("majority rule", DummyClassifier(strategy="most_frequent")),
            ("content length", tree),
        ):
            scores[f"{dataset}: {name}", "macro_f1"] = f1_score(
                y_test, rule.fit(x, y).predict(x_test), average="macro"
            )
    return scores


def main() -> None:
    """Build the stores and print the table."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    found: list[dict[tuple[str, str], float]] = []
    pooled: dict[str, np.ndarray] = {}
    for number, salt in enumerate(SALTS, start=1):
        path = FOLDER / f"salt_{number}.duckdb"
        build(path, salt)
        with duckdb.connect(str(path), read_only=True) as store:
            found.append(metrics_of(store) | rules_of(store))
            for classifier, bins in bins_of(store).items():
                pooled[classifier] = pooled.get(classifier, 0) + bins
        print(f"built salt {salt}", file=sys.stderr)

    print(
        f"test splits of {len(SALTS)} salts: mean ± standard deviation; ECE also on the pooled rows"
    )
    print(f"{'':32}" + "".join(f"{column:>16}" for column in (*METRICS, "ece pooled")))
    for name in sorted({name for name, _ in found[0]}):
        cells = []
        for metric in METRICS:
            values = [result[name, metric] for result in found if (name, metric) in result]
            cells.append(f"{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}" if values else "")
        if name in pooled:
            count, probability, correct = pooled[name].T
            cells.append(f"{np.abs(probability - correct).sum() / count.sum():.3f}")
        print(f"{name:32}" + "".join(f"{cell:>16}" for cell in cells))
    for classifier in sorted(pooled):
        by_salt = ", ".join(f"{result[classifier, 'roc_auc']:.3f}" for result in found)
        print(f"ROC-AUC of {classifier} by salt: {by_salt}")


if __name__ == "__main__":
    main()
