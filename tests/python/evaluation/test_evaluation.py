import duckdb
import numpy as np
import pyarrow as pa
import pytest
from cases import (
    REPLICATES,
    majority_rule,
    part_of,
    predicted_labels,
    random_metric_cases,
    random_networks,
    reference_class_metrics,
    reference_metrics,
    reference_replicates,
)
from scratch_project import INVARIANTS, ScratchProject, fixture_rows

METRICS = {
    *("roc_auc", "pr_auc", "log_loss", "brier", "ece", "accuracy", "macro_f1"),
    *("coverage", "selective_accuracy"),
}
CASES = random_metric_cases()
NETWORKS = random_networks()


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    project = ScratchProject(tmp_path_factory.mktemp("evaluation") / "project")
    project.fill(*fixture_rows(CASES, NETWORKS))
    project.statuses = project.dbt("build")
    return project


def test_the_room_builds_and_its_tests_pass(built):
    bad = {name: s for name, s in built.statuses.items() if s not in ("success", "pass")}
    assert not bad, built.output
    assert set(INVARIANTS) <= set(built.statuses)


@pytest.fixture(scope="module")
def measured(built):
    values: dict[str, dict[str, float | None]] = {}
    for row in built.rows("select * from published.classifier_metrics"):
        values.setdefault(row["model_id"], {})[row["metric"]] = row["value"]
    return values


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.model_id)
def test_metrics_equal_scikit_learn(case, measured):
    assert set(measured[case.model_id]) == METRICS
    assert measured[case.model_id] == closely(reference_metrics(case))


def closely(expected: dict) -> dict:
    """Numbers that may differ in the tenth digit, and None as it is."""
    return {
        name: value if value is None else pytest.approx(value, rel=1e-9, abs=1e-9)
        for name, value in expected.items()
    }


@pytest.fixture(scope="module")
def class_measured(built):
    values: dict[str, dict[tuple[str, str], float | None]] = {}
    for row in built.rows("select * from published.class_metrics"):
        of_model = values.setdefault(row["model_id"], {})
        of_model[row["class_label"], row["metric"]] = row["value"]
    return values


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.model_id)
def test_metrics_of_each_class_equal_scikit_learn(case, class_measured):
    assert class_measured[case.model_id] == closely(reference_class_metrics(case))


@pytest.fixture(scope="module")
def slice_measured(built):
    values: dict[tuple, dict[str, float | None]] = {}
    for row in built.rows("select * from published.slice_metrics"):
        key = row["model_id"], row["slice"], row["slice_value"]
        values.setdefault(key, {})[row["metric"]] = row["value"]
    return values


SLICES = {
    "content_length": lambda position: ["0 to 31", "32 to 63"][position % 2],
    "object_age": lambda position: ["0 to 6", "0 to 6", "7 to 29", "180 and more"][position % 4],
    "customer_tenure": lambda position: [*["90 to 364"] * 3, "30 to 89"][position % 4],
}


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.split == "test"], ids=lambda case: case.model_id
)
def test_metrics_of_each_slice_equal_scikit_learn_on_its_examples(case, slice_measured):
    for slice_, value_of in SLICES.items():
        parts: dict[str, list[int]] = {}
        for position in range(len(case.labels)):
            parts.setdefault(value_of(position), []).append(position)
        found = {
            value: slice_measured.pop((case.model_id, slice_, value))
            for model_id, name, value in [*slice_measured]
            if (model_id, name) == (case.model_id, slice_)
        }
        assert found == {
            value: closely(reference_metrics(part_of(case, positions)))
            for value, positions in parts.items()
        }


def test_the_majority_rule_is_judged_as_scikit_learn_judges_it(built):
    found: dict[str, dict[str, float | None]] = {}
    for row in built.rows("select * from published.baseline_comparisons"):
        assert row["baseline"] == "majority_rule"
        found.setdefault(row["model_id"], {})[row["metric"]] = row["baseline_value"]
        if row["value"] is not None and row["baseline_value"] is not None:
            assert row["difference"] == row["value"] - row["baseline_value"]
    tested = [case for case in CASES if case.split == "test"]
    # the one network whose dataset has moved on has no training customers left to count
    assert set(found) == {case.model_id for case in tested} | {NETWORKS[0].model_id}
    for case in tested:
        expected = closely(reference_metrics(majority_rule(case)))
        del expected["coverage"], expected["selective_accuracy"]
        assert found[case.model_id] == expected, case.model_id


DRAWN = [case for case in CASES if case.split == "test"]
DRAWN_METRICS = ("roc_auc", "pr_auc", "log_loss", "brier", "accuracy")


@pytest.fixture(scope="module")
def replicates(built):
    """The draws of a model by number, of which the first is none."""
    found: dict[str, list[dict]] = {}
    for row in built.rows("select * from internal.bootstrap_replicates order by replicate"):
        found.setdefault(row["model_id"], []).append(row)
    return found


def test_the_customers_as_they_are_give_the_metrics(built, replicates):
    published = {
        (row["model_id"], row["evaluation_snapshot_id"], row["metric"]): row["value"]
        for row in built.rows("select * from published.classifier_metrics where split = 'test'")
    }
    assert set(replicates) == {case.model_id for case in DRAWN} | {NETWORKS[0].model_id}
    for model_id, (found, *_) in replicates.items():
        assert found["replicate"] == 0
        for metric in DRAWN_METRICS:
            value = published[model_id, found["evaluation_snapshot_id"], metric]
            assert found[metric] == (value and pytest.approx(value, rel=1e-9)), metric


@pytest.mark.parametrize("case", DRAWN, ids=lambda case: case.model_id)
def test_replicates_equal_scikit_learn_with_the_same_weights(case, replicates):
    found = [row for row in replicates[case.model_id] if 0 < row["replicate"] <= REPLICATES]
    expected = reference_replicates(case)
    assert len(found) == len(expected)
    for metric in (*DRAWN_METRICS, "roc_auc_of_labels"):
        values = [row[metric] for row in found]
        assert values == [
            it[metric] if it[metric] is None else pytest.approx(it[metric], rel=1e-9, abs=1e-9)
            for it in expected
        ], metric


def test_a_class_that_a_draw_has_no_example_of_does_not_stop_the_gate(replicates):
    draws = [row for found in replicates.values() for row in found]
    missing = [row for row in draws if row["roc_auc"] is None]
    assert len([row for row in missing if row["roc_auc_of_labels"] is not None]) > 100
    assert any(row["roc_auc_of_labels"] is None for row in missing)
    for row in draws:
        assert row["roc_auc"] is None or row["roc_auc"] == row["roc_auc_of_labels"]


def test_intervals_are_percentiles_of_the_replicates(built, replicates):
    given = 0
    for row in built.rows("select * from published.classifier_metrics where split = 'test'"):
        draws = [it.get(row["metric"]) for it in replicates.get(row["model_id"], [])[1:]]
        ordered = sorted(value for value in draws if value is not None)
        bounds = row["value_lower"], row["value_upper"]
        if (
            len(ordered) < 190
            or row["evaluation_snapshot_id"] == f"snapshot of {NETWORKS[0].model_id}"
        ):
            assert bounds == (None, None)
        else:
            outside = len(ordered) // 40
            assert bounds == (ordered[outside], ordered[-outside - 1])
            given += 1
    assert given > 200
    undefined = built.rows(
        "select count(*) as n from published.classifier_metrics where split = 'validation'"
        " and (value_lower is not null or value_upper is not null)"
    )
    assert undefined == [{"n": 0}]


def test_the_cases_hold_what_they_promise():
    expected = [reference_metrics(case) for case in CASES]
    assert len(CASES) == 200
    assert 10 < sum(values["roc_auc"] is None for values in expected) < len(CASES) - 40
    assert any(values["pr_auc"] is None for values in expected)
    assert any(set(case.labels) - set(case.classes) and case.positive_label for case in CASES)
    assert any(set(case.labels) - set(case.classes) and not case.positive_label for case in CASES)


def test_confusion_counts_every_example_once(built):
    counted = {}
    for row in built.rows("select * from published.classifier_confusion"):
        key = (row["model_id"], row["label"], row["predicted_label"])
        counted[key] = row["example_count"]
    for case in CASES:
        classes = set(case.classes) | set(case.labels)
        pairs = list(zip(case.labels, predicted_labels(case), strict=True))
        for label in classes:
            for predicted in classes:
                expected = pairs.count((label, predicted))
                assert counted.pop((case.model_id, label, predicted)) == expected
    assert {key[0] for key in counted} == {network.model_id for network in NETWORKS}


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.model_id)
def test_the_scorer_equals_numpy(network, built):
    rows = built.rows(
        f"select * from ledger.evaluation_scores where model_id = '{network.model_id}'"
        f" and evaluation_snapshot_id = '{network.snapshot_id}'"
    )
    scored = {int(row["object_id"].rpartition("/")[2]): row["probabilities"] for row in rows}
    # every third example is in the training split
    assert sorted(scored) == [x for x in range(len(network.vectors)) if x % 3 != 0]
    assert all(row["event_id"] == f"event of {row['object_id']}" for row in rows)
    expected = network.probabilities()
    found = np.array([scored[position] for position in sorted(scored)])
    assert np.abs(found - expected[sorted(scored)]).max() < 1e-9


def test_a_model_is_scored_on_the_current_snapshot_too(built):
    rows = built.rows(
        "select * from ledger.evaluation_scores where evaluation_snapshot_id = 'current snapshot'"
    )
    own = {
        row["object_id"]: row["probabilities"]
        for row in built.rows(
            "select * from ledger.evaluation_scores"
            f" where evaluation_snapshot_id = '{NETWORKS[0].snapshot_id}'"
        )
    }
    assert {row["object_id"] for row in rows} == set(own) - {f"{NETWORKS[0].model_id}/1"}
    assert all(row["probabilities"] == own[row["object_id"]] for row in rows)


def test_a_full_refresh_adds_what_is_new_and_changes_nothing(built):
    everything = "select * from ledger.evaluation_scores order by all"
    before = built.rows(everything)
    late = f"{NETWORKS[0].model_id}/late"
    with built.connect() as connection:
        connection.sql(
            "insert into fixtures.dataset_snapshots by name"
            f" select * replace ('{late}' as object_id) from fixtures.dataset_snapshots"
            f" where object_id = '{NETWORKS[0].model_id}/1'"
        )
        connection.sql(
            "insert into fixtures.stg_embedding_events by name"
            f" select * replace ('{late}' as object_id, 'late event' as event_id)"
            " from fixtures.stg_embedding_events"
            f" where event_id = 'event of {NETWORKS[0].model_id}/1'"
        )
    built.dbt("run", "--full-refresh", "--select", "+evaluation_scores")
    after = built.rows(everything)
    assert [row for row in after if row["object_id"] != late] == before
    assert len(after) == len(before) + 1


def test_no_rows_give_empty_typed_tables(tmp_path):
    project = ScratchProject(tmp_path / "project")
    project.fill({}, [])
    with project.connect() as connection:
        connection.sql("drop table ledger.evaluation_scores")
    statuses = project.dbt("build", "--exclude-resource-type", "unit_test")
    assert set(statuses.values()) == {"success", "pass"}, project.output
    types = {
        row["column_name"]: row["data_type"]
        for row in project.rows(
            "select column_name, data_type from information_schema.columns"
            " where table_schema = 'published' and table_name = 'classifier_metrics'"
        )
    }
    assert types["value"] == "DOUBLE"
    assert types["example_count"] == "BIGINT"
    assert project.rows("select * from published.classifier_metrics") == []


# what is done to the first network's rows, and how many rows the test then reports;
# all objects but 1 are in two snapshots
BREAKAGES = {
    "assert_evaluation_scores_cover_the_splits": (
        ["delete from ledger.evaluation_scores where object_id = '{network}/1'"],
        # the missing one, and the repeated one below
        2,
    ),
    "assert_probabilities_sum_to_one": (
        [
            "update ledger.evaluation_scores set probabilities = [0.5, 0.4]"
            " where object_id = '{network}/2'",
            "update ledger.evaluation_scores set probabilities = [0.5, 'nan'::double]"
            " where object_id = '{network}/4'",
            "update ledger.evaluation_scores set probabilities = [1.0, 0.0, 0.0]"
            " where object_id = '{network}/5'",
            "update fixtures.prediction_scores set probabilities = [1.25, -0.25]"
            " where event_id = 'event of {network}/0'",
        ],
        # the objects 2, 4 and 5, the event 0, and the repeated object below
        3 * 2 + 1 + 2,
    ),
    "assert_scorers_agree": (
        [
            "update fixtures.prediction_scores"
            " set probabilities = [probabilities[1] + 0.00002, probabilities[2] - 0.00002]"
            " where event_id = 'event of {network}/7'",
        ],
        # two classes in two snapshots: this event, and those of the objects 2, 4 and 5
        4 * (1 + 3),
    ),
    "unique_combination_evaluation_scores_model_id__evaluation_snapshot_id__object_id": (
        [
            "insert into ledger.evaluation_scores"
            " select * from ledger.evaluation_scores where object_id = '{network}/8'",
        ],
        2,
    ),
}


def test_each_invariant_fails_on_bad_rows(built):
    with built.connect() as connection:
        for statements, _ in BREAKAGES.values():
            for statement in statements:
                connection.sql(statement.format(network=NETWORKS[0].model_id))
    statuses = built.dbt("test", "--select", *BREAKAGES)
    assert statuses == dict.fromkeys(BREAKAGES, "fail"), built.output
    assert built.failures == {name: count for name, (_, count) in BREAKAGES.items()}


def test_a_vector_of_another_length_stops_the_query(built):
    connection = duckdb.connect()
    vectors = {"model_id": ["m"], "event_id": ["e"], "embedding": [[1.0, 2.0, 3.0]]}
    units = {
        "model_id": ["m", "m"],
        "layer": [1, 1],
        "unit": [0, 1],
        "bias": [0.0, 0.0],
        "weights": [[1.0, 1.0], [0.0, 1.0]],
    }
    connection.register("wanted_vectors", pa.table(vectors))
    connection.register("units", pa.table(units))
    query = built.compiled("{{ class_probabilities('wanted_vectors', 'units') }}")
    with pytest.raises(duckdb.Error, match="dimensions must be equal"):
        connection.sql(query).to_arrow_table()
