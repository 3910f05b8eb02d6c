"""Print what a build left in the DuckDB store: data, quality, predictions, cost."""

import json
import os
from collections.abc import Iterable
from pathlib import Path

import duckdb

STORE = os.environ.get("EMBEDDING_STORE_DUCKDB", "embedding_store.duckdb")
RUN_RESULTS = Path(os.environ.get("DBT_TARGET_PATH", "target")) / "run_results.json"
SLOWEST = 10

DATASETS = """
    select dataset_id, as_of, candidate_count as candidates, example_count as examples,
           train_count as train, validation_count as validation, test_count as test, label_counts
    from published.dataset_summaries where is_current order by dataset_id
"""
QUALITY = """
    pivot (
        select metrics.classifier_id, round(majority.baseline_value, 3) as majority_rule,
               metrics.metric, round(metrics.value, 3) as value,
               max(printf('%.2f to %.2f', metrics.value_lower, metrics.value_upper))
                   filter (metrics.metric = 'roc_auc')
                   over (partition by metrics.model_id) as roc_auc_95,
               coalesce(
                   printf('%+.3f to %+.3f', linear.difference_lower, linear.difference_upper), ''
               ) as roc_auc_beside_linear_95
        from published.classifier_metrics as metrics
        inner join internal.champions as champions on metrics.model_id = champions.model_id
        inner join published.baseline_comparisons as majority
            on metrics.model_id = majority.model_id
            and metrics.evaluation_snapshot_id = majority.evaluation_snapshot_id
            and majority.baseline = 'majority_rule' and majority.metric = 'accuracy'
        left join published.baseline_comparisons as linear
            on metrics.model_id = linear.model_id
            and metrics.evaluation_snapshot_id = linear.evaluation_snapshot_id
            and linear.baseline = 'linear' and linear.metric = 'roc_auc'
        where metrics.split = 'test'
    )
    on metric in ('roc_auc', 'pr_auc', 'macro_f1', 'accuracy', 'ece') using first(value)
    group by classifier_id, majority_rule, roc_auc_95, roc_auc_beside_linear_95
    order by classifier_id
"""
INFLATION = """
    select dataset_id, round(roc_auc_by_group, 3) as roc_auc_by_group,
           round(roc_auc_by_row, 3) as roc_auc_by_row, round(inflation, 4) as inflation,
           printf('%+.4f to %+.4f', inflation_lower, inflation_upper) as inflation_95,
           near_duplicate_of_train_count
    from published.split_inflation
    inner join published.dataset_summaries using (snapshot_id, dataset_id)
    where is_current order by dataset_id
"""
SLICES = """
    pivot (
        select metrics.classifier_id, metrics.slice_value as customer_tenure_days,
               metrics.example_count as examples, metrics.metric, round(metrics.value, 3) as value
        from published.slice_metrics as metrics
        inner join internal.champions as champions on metrics.model_id = champions.model_id
        where metrics.slice = 'customer_tenure' and champions.deployment_state = 'live'
    )
    on metric in ('roc_auc', 'accuracy') using first(value)
    group by classifier_id, customer_tenure_days, examples
    order by classifier_id, split_part(customer_tenure_days, ' ', 1)::int
"""
ANSWERS = """
    select classifier_id, is_promoted, reason, round(difference, 3) as difference,
           round(difference_lower, 3) as difference_lower, gate_margin, look_count
    from ledger.promotion_decisions order by classifier_id, decided_at
"""
PREDICTIONS = """
    select classifier_id, deployment_state, count(*) as objects,
           count(*) filter (training_split is null) as not_in_training_snapshot
    from published.latest_predictions group by all order by classifier_id
"""
SECTIONS = {
    "Datasets (published.dataset_summaries)": DATASETS,
    "How good the models are on new customers (published.classifier_metrics)": QUALITY,
    "What a split by row would have promised (published.split_inflation)": INFLATION,
    "On customers of how many days (published.slice_metrics)": SLICES,
    "Who answers, and why (ledger.promotion_decisions)": ANSWERS,
    "Where the predictions are (published.latest_predictions)": PREDICTIONS,
}


def table(header: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Return rows as aligned text, under their header."""
    cells = [[str(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(cell) for cell in column) for column in zip(*cells, strict=True)]
    lines = ("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in cells)
    return "\n".join(f"  {line.rstrip()}" for line in lines)


def slowest(
    connection: duckdb.DuckDBPyConnection, results: list[dict]
) -> list[tuple[str, object, str]]:
    """Return the slowest models of a dbt run: name, rows now, seconds."""
    models = [result for result in results if result["unique_id"].startswith("model.")]
    models.sort(key=lambda result: -result["execution_time"])
    return [
        (
            result["relation_name"].split(".", 1)[1].replace('"', ""),
            connection.execute(f"select count(*) from {result['relation_name']}").fetchone()[0],  # noqa: S608
            f"{result['execution_time']:.2f}",
        )
        for result in models[:SLOWEST]
    ]


def main() -> None:
    """Print the report."""
    with duckdb.connect(STORE, read_only=True) as connection:
        for title, query in SECTIONS.items():
            result = connection.execute(query)
            header = [column[0] for column in result.description]
            print(f"\n{title}\n{table(header, result.fetchall())}")
        run = json.loads(RUN_RESULTS.read_text())
        print(f"\nThe {SLOWEST} slowest of dbt's steps, {run['elapsed_time']:.0f} seconds in all")
        print(table(("table", "rows", "seconds"), slowest(connection, run["results"])))
    print(f"\nEverything is in {STORE}. Ask it, for example with DuckDB's own client:")
    print(
        "  select * from published.latest_predictions where predicted_label = 'negative' limit 5;"
    )


if __name__ == "__main__":
    main()
