"""Every kind of data test, and every invariant, is shown to fail on a store that was spoilt for it.

The compiled query of the test runs on the built store, before and after the damage, in a transaction that is rolled back.
"""

import json
from collections.abc import Iterator

import duckdb
import pytest
from store import Store

ONE_EVENT = "event_id = (select min(event_id) from restricted.stg_embedding_events)"
ONE_ROW = "rowid = (select min(rowid) from {})"
TRAIN_ROW = "rowid = (select min(rowid) from ledger.dataset_snapshots where split = 'train')"
EXCLUDED_ROW = (
    "rowid = (select min(rowid) from ledger.dataset_candidates where exclusion_reason is not null)"
)

# of each kind of generic test: one of the tests, and what it must notice
GENERIC = {
    "accepted_range": (
        "accepted_range_dataset_coverage_coverage__1___var_least_coverage_",
        "update published.dataset_coverage set coverage = 0.94",
    ),
    "accepted_values": (
        "accepted_values_classifiers_state__off__shadow__live",
        "update internal.classifiers set state = 'lost' where classifier_id = 'review_tone_mlp'",
    ),
    "embedding_dimension": (
        "embedding_dimension_stg_embedding_events_embedding_dim__ref_registered_encoders_",
        f"update restricted.stg_embedding_events set embedding_dim = 383 where {ONE_EVENT}",
    ),
    "embedding_finite": (
        "embedding_finite_stg_embedding_events_embedding_norm",
        f"update restricted.stg_embedding_events set embedding_norm = 'nan' where {ONE_EVENT}",
    ),
    "embedding_unit_norm": (
        "embedding_unit_norm_stg_embedding_events_embedding_norm__ref_registered_encoders_",
        "update restricted.stg_embedding_events set embedding_norm = 1.002 where embedding_dim = 384",
    ),
    "no_group_across_splits": (
        "no_group_across_splits_dataset_snapshots_split_group_id__snapshot_id",
        f"update ledger.dataset_snapshots set split = 'test' where {TRAIN_ROW}",
    ),
    "no_overlap": (
        "no_overlap_account_statuses_customer_id__customer_id",
        "insert into internal.account_statuses select * replace (valid_from - interval 1 day as valid_from) from internal.account_statuses",
    ),
    "not_after": (
        "not_after_stg_rating_events_rated_at__known_at",
        "update internal.stg_rating_events set known_at = rated_at - interval 1 second where "
        + ONE_ROW.format("internal.stg_rating_events"),
    ),
    "not_null": (
        "not_null_classifiers_owner",
        "update internal.classifiers set owner = null where classifier_id = 'review_tone_mlp'",
    ),
    "registered": (
        "registered_classifiers_dataset_id__dataset_id__ref_datasets___classifier_id",
        "update internal.classifiers set dataset_id = 'nowhere' where classifier_id = 'review_tone_mlp'",
    ),
    "registered_encoder": (
        "source_landing_embedding_events_registered_encoder",
        "update ledger.encoder_versions set encoder_fingerprint = 'another'",
    ),
    "relationships": (
        "relationships_dataset_snapshots_snapshot_id__snapshot_id__ref_dataset_headers_",
        "delete from ledger.dataset_headers where dataset_id = 'review_tone'",
    ),
    "unique": (
        "unique_stg_embedding_events_event_id",
        f"insert into restricted.stg_embedding_events select * from restricted.stg_embedding_events where {ONE_EVENT}",
    ),
    "unique_combination": (
        "unique_combination_dataset_snapshots_snapshot_id__object_id",
        f"insert into ledger.dataset_snapshots select * from ledger.dataset_snapshots where {TRAIN_ROW}",
    ),
}

# of each invariant: what it must notice
INVARIANTS = {
    "assert_absence_labels_exist": "update internal.datasets set absence_label = 'unheard of'",
    "assert_affected_models_are_replaced_in_time": "insert into published.affected_models by name "
    "select 'old' as model_id, 'c' as classifier_id, 's' as snapshot_id, true as is_answering, "
    "1 as erased_train_count, 0 as erased_validation_count, "
    "timestamp '2025-12-01' as requested_at, timestamp '2026-01-01' as due_at",
    "assert_classifiers_are_configured": [
        f"update internal.classifiers set {change}"
        for change in (
            "hidden_units = 64",
            "weight_decay = 2000",
            "threshold_rule = 'cost_ratio'",
            "threshold_rule = 'target_precision', threshold_value = 1.5",
            "positive_label = null, abstain_band = 0.1",
            "abstain_band = -0.1",
        )
    ],
    "assert_classifiers_keep_their_dataset": [
        "update internal.classifiers set dataset_id = 'review_tone'",
        "update internal.datasets set task = 'review_tone'",
    ],
    "assert_doors_show_the_current_snapshot": f"delete from restricted.stg_embedding_events where {ONE_EVENT}",
    "assert_encoders_read_their_dataset": "update internal.encoders set modality = 'image'",
    "assert_erasure_requests_are_understood": "insert into internal.rejected_events by name "
    "select 'erasure_requests' as landing_table, '' as row_hash, 1 as row_count, "
    "'unknown_scope' as rejection_reason",
    "assert_evaluation_scores_cover_the_splits": "delete from ledger.evaluation_scores where "
    + ONE_ROW.format("ledger.evaluation_scores"),
    "assert_every_candidate_is_accounted_for": "update ledger.dataset_candidates set split = null where exclusion_reason is null",
    "assert_every_dataset_has_a_linear_baseline": [
        f"update internal.classifiers set {change} where classifier_id = 'negative_review_linear'"
        for change in ("architecture = 'mlp'", "positive_label = 'other'", "state = 'off'")
    ],
    "assert_headers_match_their_specification": "update ledger.dataset_headers set specification_text = 'we took what we liked'",
    "assert_labels_are_known_before_as_of": [
        f"update ledger.dataset_snapshots set label_known_at = {moment} where {TRAIN_ROW}"
        for moment in ("(select max(as_of) from ledger.dataset_headers)", "'2100-01-01'")
    ],
    "assert_labels_are_of_their_task": "delete from ledger.dataset_headers; "
    "update ledger.dataset_candidates set label = 'unheard of' where exclusion_reason is null",
    "assert_models_keep_one_trial": [
        f"update ledger.training_records set is_kept = {value} where record_type = 'trial'"
        for value in ("false", "true")
    ],
    "assert_models_have_all_their_units": "delete from ledger.training_records where rowid = (select min(rowid) from "
    "ledger.training_records where record_type = 'unit')",
    "assert_no_content_in_two_splits": "update restricted.stg_objects set content_mac = 'the same', content_mac_key_id = 'k'",
    "assert_nothing_erased_is_left": [
        "create or replace view internal.erased_subjects as "
        f"select md5('{scope}/' || min({column})) as subject_hash from ledger.{table}"
        for scope, column, table in (
            ("event", "event_id", "prediction_scores"),
            ("object", "object_id", "dataset_snapshots"),
            ("customer", "split_group_id", "dataset_snapshots"),
        )
    ],
    "assert_no_model_is_judged_on_what_it_learned": [
        "update ledger.dataset_snapshots set split_group_id = 'the same'",
        "update restricted.stg_objects set content_mac = 'the same', content_mac_key_id = 'k'",
    ],
    "assert_positive_labels_exist": [
        "update internal.classifiers set positive_label = 'positive' where positive_label is not null",
        "delete from internal.task_labels",
    ],
    "assert_predictions_cover_every_event": "delete from published.predictions where "
    + ONE_ROW.format("published.predictions"),
    "assert_predictions_match_their_encoder": "update published.predictions set encoder_fingerprint = 'another' where "
    + ONE_ROW.format("published.predictions"),
    "assert_probabilities_sum_to_one": "update ledger.prediction_scores set probabilities = [0.5, 0.4] where "
    + ONE_ROW.format("ledger.prediction_scores"),
    "assert_scorers_agree": "update ledger.prediction_scores set probabilities = list_reverse(probabilities)",
    "assert_snapshots_are_unchanged": [
        f"delete from ledger.dataset_snapshots where {TRAIN_ROW}",
        f"update ledger.dataset_snapshots set label = label || '?' where {TRAIN_ROW}",
        f"insert into ledger.dataset_snapshots select * from ledger.dataset_snapshots where {TRAIN_ROW}",
        f"update ledger.dataset_candidates set exclusion_reason = 'unwanted' where {EXCLUDED_ROW}",
        f"delete from ledger.dataset_candidates where {EXCLUDED_ROW}",
    ],
    "assert_split_policies_cover_every_bucket": [
        f"update internal.split_policies set {change}"
        for change in (
            "bucket_to = 840 where split = 'validation'",
            "newest_days = 28 where split <> 'train'",
            "newest_days = 0 where newest_days is not null",
        )
    ],
    "assert_wanted_models_are_trained": "delete from ledger.training_records where classifier_id = 'review_tone_mlp'",
}


@pytest.fixture(scope="module")
def compiled(built: Store, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A copy of the built store, with every test as it is in a store that was built before."""
    copy = built.copy(tmp_path_factory.mktemp("spoilt") / "store")
    assert copy.dbt("compile", "--select", "resource_type:test").exit_code == 0
    return copy


@pytest.fixture(scope="module")
def data_tests(compiled: Store) -> dict[str, dict]:
    """Every data test by name, with its compiled query."""
    nodes = json.loads((compiled.target / "manifest.json").read_text())["nodes"]
    return {node["name"]: node for node in nodes.values() if node["resource_type"] == "test"}


@pytest.fixture(scope="module")
def store_to_spoil(compiled: Store) -> Iterator[duckdb.DuckDBPyConnection]:
    with compiled.connect() as connection:
        yield connection


def complains(connection: duckdb.DuckDBPyConnection, query: str) -> bool:
    """Whether a data test's query returns a row, or stops with a message."""
    try:
        return bool(connection.execute(query).fetchall())
    except duckdb.InvalidInputException:
        return True


def test_every_kind_and_every_invariant_is_listed(data_tests: dict[str, dict]):
    kinds = {
        node["test_metadata"]["name"] for node in data_tests.values() if "test_metadata" in node
    }
    assert kinds == set(GENERIC)
    assert {name for name, node in data_tests.items() if "test_metadata" not in node} == set(
        INVARIANTS
    )


def damages() -> list[tuple[str, str]]:
    """Every test with each damage that it must notice."""
    return [*GENERIC.values()] + [
        (name, damage)
        for name, found in INVARIANTS.items()
        for damage in ([found] if isinstance(found, str) else found)
    ]


def test_a_null_does_not_get_into_a_table(store_to_spoil: duckdb.DuckDBPyConnection):
    with pytest.raises(duckdb.ConstraintException, match=r'dataset_snapshots\."label"'):
        store_to_spoil.execute(
            f"update ledger.dataset_snapshots set label = null where {TRAIN_ROW}"
        )


@pytest.mark.parametrize(("name", "damage"), damages())
def test_it_fails_on_bad_data(
    name: str, damage: str, data_tests: dict[str, dict], store_to_spoil: duckdb.DuckDBPyConnection
):
    query = data_tests[name]["compiled_code"]
    assert not complains(store_to_spoil, query), "the built store should be good"
    store_to_spoil.execute("begin")
    try:
        store_to_spoil.execute(damage)
        assert complains(store_to_spoil, query)
    finally:
        store_to_spoil.execute("rollback")
