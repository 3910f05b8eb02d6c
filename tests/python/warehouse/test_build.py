"""What a build promises: it adds and never changes, repeats nothing, and stops where it must."""

import csv
import json
import os
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from store import ALARM, REPOSITORY, WITHOUT_TESTS, Build, Store, append_to_seed, edit_seed

from encoder_job.landing.schemas import SCHEMAS

# of a store from which nobody asked for an erasure
EMPTY = {"ledger.requested_subjects", "ledger.erasure_records"}
# beside the seeds, what is made of them alone
OF_REGISTRIES = {"registered_encoders", "dataset_encoders", "encoder_coverage"}
OF_REGISTRIES |= {"encoder_versions", "dataset_versions", "classifier_versions"}
MARKER = "xyzzy4711plugh"


def ledger_of(store: Store) -> dict[str, list[tuple]]:
    tables = sorted(table for table in store.tables() if table.startswith("ledger."))
    return {table: store.contents(table) for table in tables}


def land(store: Store, table: str, rows: list[dict], name: str = "by_hand") -> Path:
    """Write rows beside those of the job, typed by the columns that are given."""
    path = store.landing / table / f"{name}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def test_the_first_build_passes_everything(first_build: tuple[Store, Build]):
    store, build = first_build
    assert build.exit_code == 0, build.output[-4000:]
    assert not build.failed
    assert build.counts()["pass"] > 400
    ledger = ledger_of(store)
    assert len(ledger) > 10
    assert {table for table, rows in ledger.items() if not rows} == EMPTY
    scores = len(ledger["ledger.prediction_scores"])
    assert f"prediction_scores: scored {scores} events" in build.output
    # no contract keeps the types of a Python model
    types = {
        ("ledger.training_records", "weights"): "DOUBLE[]",
        ("ledger.training_records", "classes"): "VARCHAR[]",
        ("ledger.training_records", "train_count"): "BIGINT",
        ("ledger.training_records", "trained_at"): "TIMESTAMP",
    }
    assert types.items() <= store.columns().items()
    for table in ("published.predictions", "published.classifier_metrics"):
        assert store.query(f"select count(*) from {table}")[0][0] > 0, table


def test_the_settings_of_a_classifier_reach_its_model_and_predictions(built: Store):
    ((threshold, decay, weighting),) = built.query(
        "select decision_threshold, weight_decay, class_weighting from internal.classifier_models "
        "where classifier_id = 'negative_review_linear'"
    )
    assert 0 < threshold < 0.5
    assert weighting == "balanced"
    trials = built.query(
        "select trials.weight_decay, trials.is_kept from internal.training_trials as trials "
        "inner join internal.classifier_models as models using (model_id) "
        "where models.classifier_id = 'negative_review_linear' and customer_share = 1"
    )
    assert len(trials) == 3
    assert [tried for tried, is_kept in trials if is_kept] == [decay]
    uncertain = built.query(
        "select classifier_id, is_uncertain, count(*) from published.latest_predictions "
        "where classifier_id like 'negative_review%' group by all"
    )
    counts = {(name, is_uncertain): count for name, is_uncertain, count in uncertain}
    assert set(counts) == {
        ("negative_review_linear", True),
        ("negative_review_linear", False),
        ("negative_review_mlp", False),
    }
    near = built.query(
        f"select count(*) from published.latest_predictions where classifier_id = 'negative_review_linear' "
        f"and abs(probabilities[1] - {threshold!r}) < 0.1"
    )
    assert near == [(counts["negative_review_linear", True],)]


def test_images_go_the_same_way_as_texts(built: Store):
    modalities = dict(
        built.query("select modality, count(*) from restricted.stg_objects group by 1")
    )
    found = built.query(
        "select encoder_id, count(*), min(probability) from published.latest_predictions "
        "where classifier_id = 'shirt_mlp' group by 1"
    )
    assert [row[:2] for row in found] == [("efficientnet-lite0", modalities["image"])], (
        "garments need Debian's package dataset-fashion-mnist, installed or to be fetched"
    )
    assert modalities["image"] == 150
    # whoever trains on texts has never met an image, and the other way round
    mixed = built.query(
        "select count(*) from published.latest_predictions as predictions "
        "inner join restricted.stg_objects as objects using (object_id) "
        "where (predictions.classifier_id like 'shirt%') <> (objects.modality = 'image')"
    )
    assert mixed == [(0,)]


def test_the_demos_report_reads_what_a_build_left(built: Store):
    done = subprocess.run(
        [sys.executable, REPOSITORY / "demo" / "report.py"],
        env=built.environment,
        cwd=built.project,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    for told in (
        "review_tone_linear",
        "majority_rule",
        "inflation_95",
        "not_in_training_snapshot",
        "rows  ",
    ):
        assert told in done.stdout


def test_a_second_build_trains_scores_and_changes_nothing(spoilt: Store):
    before = ledger_of(spoilt), spoilt.contents("published.predictions")
    build = spoilt.build_models()
    assert build.exit_code == 0, build.output[-4000:]
    assert "training_records: nothing to train" in build.output
    assert "prediction_scores: nothing to score" in build.output
    assert (ledger_of(spoilt), spoilt.contents("published.predictions")) == before


def test_a_full_refresh_changes_no_row_of_the_ledger(spoilt: Store):
    # what would be made anew would be without these
    spoilt.execute("""
        update ledger.dataset_headers set purpose = 'as it was';
        update ledger.dataset_candidates set account_status = 'as it was';
        update ledger.dataset_snapshots set label = 'as it was' where split = 'test';
    """)
    before = ledger_of(spoilt)
    build = spoilt.build_models("--full-refresh")
    assert build.exit_code == 0, build.output[-4000:]
    assert ledger_of(spoilt) == before


@pytest.mark.parametrize("how", ["--empty", "an empty landing folder"])
def test_without_rows_every_table_is_empty_and_typed(
    how: str, built: Store, landed: Store, tmp_path: Path
):
    store = Store(tmp_path / "store")
    if how == "--empty":
        shutil.copytree(landed.landing, store.landing)
        build = store.build_with_invariants("--empty")
    else:
        manifest = tmp_path / "nothing.csv"
        manifest.write_text("object_id,customer_id,object_created_at,source_reference,content\n")
        assert store.encode(manifest).returncode == 0
        build = store.build()
    assert build.exit_code == 0, build.output[-4000:]
    assert not build.failed
    assert store.columns() == built.columns()
    for table in store.tables():
        name = table.split(".")[1]
        holds_a_registry = (
            store.project / "seeds" / f"{name}.csv"
        ).exists() or name in OF_REGISTRIES
        assert holds_a_registry or store.contents(table) == [], table


def test_a_tampered_snapshot_row_fails_the_build(spoilt: Store):
    spoilt.execute("""
        update ledger.dataset_snapshots set label = 'other'
        where rowid = (select min(rowid) from ledger.dataset_snapshots where label = 'negative')
    """)
    build = spoilt.build_with_invariants()
    assert build.exit_code == 1
    assert build.status("assert_snapshots_are_unchanged") == "fail"
    assert build.status("training_queue") == "skipped"


def test_a_build_killed_between_header_and_rows_is_completed_by_the_next(spoilt: Store):
    before = ledger_of(spoilt)
    ((object_id, created_at),) = spoilt.query("""
        select object_id, object_created_at from restricted.stg_objects
        inner join ledger.dataset_snapshots using (object_id)
        where label = 'other' limit 1
    """)
    spoilt.execute("delete from ledger.dataset_snapshots")
    # meanwhile the past turns out to have been another: what was begun is completed as it was begun
    land(spoilt, "rating_events", [
        {"event_id": f"late-{k}", "object_id": object_id, "rating": -2.0, "rated_at": created_at} for k in range(30)
    ])  # fmt: skip
    build = spoilt.build_models()
    assert build.exit_code == 0, build.output[-4000:]
    assert ledger_of(spoilt) == before


def test_a_changed_rule_makes_a_new_snapshot_and_keeps_the_old(spoilt: Store):
    project = spoilt.project
    edit_seed(project, "datasets", "negative_review", window_months="1")
    # other shares move customers: no old model may be examined on those that it learned from
    edit_seed(project, "datasets", "review_tone", split_policy="half_test")
    shares = ("half_test,train,0,400,", "half_test,validation,400,500,", "half_test,test,500,1000,")
    append_to_seed(project, "split_policies", *shares)
    before = ledger_of(spoilt)
    build = spoilt.build_with_invariants()
    assert build.exit_code == 0, build.output[-4000:]
    after = ledger_of(spoilt)
    for table in before:
        assert set(map(str, before[table])) <= set(map(str, after[table])), table
    counts = spoilt.query("""
        select is_current, example_count from published.dataset_summaries
        where dataset_id = 'negative_review' order by is_current
    """)
    assert [is_current for is_current, _ in counts] == [False, True]
    assert counts[1][1] < counts[0][1]
    assert "training_records: trained negative_review_mlp" in build.output
    elsewhere = """
        select count(*) from ledger.evaluation_scores
        inner join internal.classifier_models using (model_id)
        where dataset_id = 'review_tone' and split = 'test' and evaluation_snapshot_id <> snapshot_id
    """
    assert spoilt.query(elsewhere)[0][0] > 0
    # but the gate compares the two on those that remain
    judged = spoilt.query("""
        select classifier_id, decisions.example_count < comparisons.example_count and difference is not null
        from ledger.promotion_decisions as decisions
        inner join internal.model_comparisons as comparisons
            on
                decisions.model_id = comparisons.model_id
                and decisions.model_id = comparisons.compared_model_id
                and decisions.evaluation_snapshot_id = comparisons.evaluation_snapshot_id
        where dataset_id = 'review_tone' and decisions.compared_model_id is not null
        order by classifier_id
    """)
    assert judged == [("review_tone_linear", True), ("review_tone_mlp", True)]
    drawn = spoilt.query("""
        select count(distinct examples_hash), count(*) - count(distinct (examples_hash, replicate))
        from internal.bootstrap_replicates group by model_id, evaluation_snapshot_id
    """)
    assert {sets for sets, _ in drawn} == {1, 2}
    assert {repeated for _, repeated in drawn} == {0}
    assert build.status("assert_no_model_is_judged_on_what_it_learned") == "pass"


def test_a_rule_whose_sql_changes_needs_another_version(spoilt: Store):
    rules = spoilt.project / "models" / "datasets" / "label_rules"
    changed, explained = (
        rules / f"labels_{task}.sql" for task in ("negative_review", "review_tone")
    )
    frozen = ("ledger.dataset_headers", "ledger.dataset_snapshots")
    before = [spoilt.contents(table) for table in frozen]
    changed.write_text(changed.read_text().replace("min_ratings = 10", "min_ratings = 12"))
    told = "\n{# More\n   words #}\n-- for whoever reads it\n"
    explained.write_text(explained.read_text().replace("\n", "\n  ") + told)
    earlier = ("--vars", "as_of: 2026-09-07")
    build = spoilt.build_datasets(*earlier)
    assert build.exit_code == 1
    assert "label rule negative_review/1: its SQL is not what it was" in build.output
    assert [spoilt.contents(table) for table in frozen] == before

    edit_seed(spoilt.project, "tasks", "negative_review", label_rule="negative_review/2")
    build = spoilt.build_datasets(*earlier)
    assert build.exit_code == 0, build.output[-4000:]
    followed = "select label_rule, count(*), count(distinct label_rule_hash) from {} group by all order by all"
    assert spoilt.query(followed.format("ledger.dataset_headers")) == [
        ("digit/1", 2, 0),
        ("negative_review/1", 1, 1),
        ("negative_review/2", 1, 1),
        ("review_tone/1", 2, 1),
        ("shirt/1", 2, 0),
    ]
    assert spoilt.query("""
        select distinct label_rule from ledger.dataset_snapshots
        where dataset_id = 'negative_review' and label_rule like '%/%' order by all
    """) == [("negative_review/1",), ("negative_review/2",)]

    candidates = spoilt.project / "models" / "datasets" / "dataset_candidates.sql"
    candidates.write_text(candidates.read_text().replace("copy_number > 1", "copy_number > 2"))
    build = spoilt.build_datasets("--vars", "as_of: 2026-09-14")
    assert build.exit_code == 1
    assert "exclusion rules exclusions/1: their SQL is not what it was" in build.output


def test_a_task_is_added_by_a_file_a_line_and_rows(spoilt: Store):
    datasets = spoilt.project / "models" / "datasets"
    rules = datasets / "label_rules"
    rule = (rules / "labels_negative_review.sql").read_text()
    for old, new in (("negative_review", "loved_review"), ("'negative'", "'loved'")):
        rule = rule.replace(old, new)
    rule = rule.replace("negative_count", "positive_count")
    (rules / "labels_loved_review.sql").write_text(rule)
    union = (datasets / "labels.sql").read_text()
    line = "    'labels_review_tone',\n"
    (datasets / "labels.sql").write_text(union.replace(line, line + "    'labels_loved_review',\n"))
    for seed, *rows in (
        ("tasks", "loved_review,loved_review/1,At least half of the raters were positive"),
        ("task_labels", "loved_review,loved,Loved", "loved_review,other,Anything else"),
        (
            "datasets",
            "loved_review,loved_review,text,find happy customers,week,3,24,,"
            "by_customer_70_15_15,datasets@example.com",
        ),
        (
            "classifiers",
            "loved_review_linear,loved_review,minilm-l6-v2,linear,,,,,,,0.01,0.1,loved,live,"
            "training@example.com",
        ),
    ):
        append_to_seed(spoilt.project, seed, *rows)
    before = ledger_of(spoilt)
    build = spoilt.build_with_invariants()
    assert build.exit_code == 0, build.output[-4000:]
    assert build.output.count("training_records: trained") == 1
    assert spoilt.query("""
        select split_part(label_counts, ' ', 1), example_count > 100
        from published.dataset_summaries where task = 'loved_review'
    """) == [("loved", True)]
    predicted = "select distinct predicted_label from published.latest_predictions where classifier_id = 'loved_review_linear'"
    assert set(spoilt.query(predicted)) == {("loved",), ("other",)}
    for table, rows in before.items():
        assert set(map(str, rows)) <= set(map(str, spoilt.contents(table))), table


def test_what_leaves_the_registries_is_remembered_and_breaks_nothing(spoilt: Store):
    before = ledger_of(spoilt)
    counted = "select prediction_id, training_raw_event_count from restricted.prediction_lineage"
    counts = set(spoilt.query(counted))
    for seed, leaving in (
        *(("datasets", "negative_review"), ("slices", "negative_review")),
        *(("classifiers", ""), ("encoders", "")),
    ):
        path = spoilt.project / "seeds" / f"{seed}.csv"
        header, *rows = path.read_text().splitlines(keepends=True)
        path.write_text("".join([header, *(r for r in rows if not r.startswith(leaving))]))
    build = spoilt.build()
    assert build.exit_code == 0, build.output[-4000:]
    for table, rows in before.items():
        assert set(map(str, rows)) <= set(map(str, spoilt.contents(table))), table
    versions = "select dataset_id, is_removed from ledger.dataset_versions order by all"
    assert spoilt.query(versions) == [
        ("digit", False),
        ("negative_review", False),
        ("negative_review", True),
        ("review_tone", False),
        ("shirt", False),
    ]
    assert spoilt.query(
        "select count(*), count(encoder_location) from restricted.prediction_lineage"
    ) == [(793 * 4 + 150 * 2,) * 2]
    assert set(spoilt.query(counted)) == counts


def test_another_moment_is_another_snapshot_and_the_newest_stays_current(spoilt: Store):
    build = spoilt.build_datasets("--vars", "as_of: 2026-09-07")
    assert build.exit_code == 0, build.output[-4000:]
    rows = spoilt.query(
        "select as_of::date::text, is_current from published.dataset_summaries where task = 'review_tone' order by 1"
    )
    assert rows == [("2026-09-07", False), ("2026-10-05", True)]


def test_a_moment_that_is_none_is_refused(spoilt: Store):
    compiled = spoilt.dbt("compile", "--select", "dataset_calendar", "--vars", "as_of: yesterday")
    assert compiled.exit_code != 0
    assert "as_of: 'yesterday' is no UTC moment; write 2026-10-01" in compiled.output


def test_what_has_nothing_new_to_read_is_not_built_again(spoilt: Store):
    """A file's age decides: the files of this store are made an hour old, the new one a minute."""
    now = time.time()
    for path in spoilt.landing.rglob("*.parquet"):
        os.utime(path, (now - 3600, now - 3600))
    assert spoilt.dbt("source", "freshness").exit_code == 0
    sources = json.loads((spoilt.target / "sources.json").read_text())["results"]
    assert len(sources) == len(SCHEMAS)
    assert {source["status"] for source in sources} == {"pass"}
    spoilt.keep_state()
    build = spoilt.build_news()
    assert build.exit_code == 0, build.output[-4000:]
    assert build.nodes == {ALARM}

    rows = [
        {"event_id": "one", "customer_id": "somebody new", "event_type": "opened"}
        | {"occurred_at": datetime(2026, 1, 1, tzinfo=UTC)}
    ]
    path = land(spoilt, "account_events", rows)
    os.utime(path, (now - 60, now - 60))
    build = spoilt.build_news()
    assert build.exit_code == 0, build.output[-4000:]
    assert build.counts()["pass"] > 50
    assert build.nodes > {
        "stg_account_events",
        "dataset_snapshots",
        "classifier_metrics",
        "predictions",
    }
    assert not build.nodes & {"stg_embedding_events", "stg_objects", "labels", "requested_subjects"}
    assert spoilt.query(
        "select count(*) from internal.account_statuses where customer_id = 'somebody new'"
    ) == [(1,)]

    # a registry that is edited is as good a reason as an event
    spoilt.keep_state()
    edit_seed(spoilt.project, "classifiers", "shirt_linear", owner="somebody else")
    built = spoilt.build_news().nodes
    assert {"classifiers", "classifier_versions"} < built
    assert "stg_account_events" not in built


def test_a_file_just_written_counts_the_next_time(spoilt: Store):
    """It may share its second with one that is yet to come."""
    files = sorted((spoilt.landing / "account_events").rglob("*.parquet"))
    query = "{{ last_arrival(source('landing', 'account_events')) }}"
    told = spoilt.dbt("--quiet", "compile", "--inline", query)
    assert told.exit_code == 0, told.output

    def last_arrival(newest: float) -> float:
        for path in files:
            os.utime(path, (1_000_000_000, 1_000_000_000))
        os.utime(files[0], (newest, newest))
        return spoilt.query(told.output)[0][0].timestamp()

    now = time.time()
    assert last_arrival(now) == 1_000_000_000
    assert last_arrival(now - 4) == int(now - 4)


def test_vectors_under_a_wrong_fingerprint_stop_the_build_before_they_are_loaded(
    landed: Store, tmp_path: Path
):
    store = landed.copy(tmp_path / "store")
    part = next(
        p
        for p in (store.landing / "embedding_events").glob("**/*.parquet")
        if p.name != "empty.parquet"
    )
    events = pq.read_table(part).slice(0, 3)
    position = events.column_names.index("encoder_fingerprint")
    forged = events.set_column(position, "encoder_fingerprint", pa.array(["0" * 32] * len(events)))
    by_hand = store.landing / "embedding_events" / "by_hand.parquet"
    pq.write_table(forged, by_hand)

    up_to_scores = ("build", "--select", "+prediction_scores")
    build = store.dbt(*up_to_scores)
    assert build.exit_code == 1
    assert build.status("source_landing_embedding_events_registered_encoder") in ("fail", "error")
    for model in ("stg_embedding_events", "dataset_train", "training_records", "prediction_scores"):
        assert build.status(model) == "skipped", model
    assert "0" * 32 in build.output
    assert "encoder-job register" in build.output

    by_hand.unlink()
    build = store.dbt(*up_to_scores, *WITHOUT_TESTS)
    assert build.exit_code == 0, build.output[-4000:]
    assert build.status("training_records") == "success"


def test_faulty_rows_are_rejected_and_the_others_arrive(spoilt: Store):
    (object_id,) = spoilt.query("select min(object_id) from restricted.stg_objects")[0]
    moment = "2026-09-01T00:00:00"
    land(spoilt, "rating_events", [
        {"event_id": "no_number", "object_id": object_id, "rating": float("nan"), "rated_at": moment},
        {"event_id": "a_good_one", "object_id": object_id, "rating": 1.0, "rated_at": moment},
    ])  # fmt: skip
    land(spoilt, "decision_events", [
        {"event_id": "odd", "object_id": object_id, "task": "review_tone", "label": "odd", "decided_at": moment},
        {"event_id": "fine", "object_id": object_id, "task": "review_tone", "label": "neutral", "decided_at": moment},
    ])  # fmt: skip
    build = spoilt.dbt("build", "--select", "+rejected_events")
    assert build.exit_code == 0, build.output[-4000:]
    rejected = spoilt.query(
        "select record_id, rejection_reason from internal.rejected_events order by all"
    )
    assert rejected == [("no_number", "rating_is_not_a_number"), ("odd", "unknown_label")]
    assert spoilt.query(
        "select count(*) from internal.stg_rating_events where event_id = 'a_good_one'"
    ) == [(1,)]
    assert spoilt.query(
        "select label, selected_by from internal.stg_decision_events where task = 'review_tone'"
    ) == [("neutral", "organic")]


def test_a_registry_that_is_corrected_lets_in_what_it_kept_out(landed: Store, tmp_path: Path):
    store = landed.copy(tmp_path / "store")
    project = store.project
    staging = (
        *WITHOUT_TESTS,
        "--select",
        "path:seeds",
        "path:models/registries",
        "path:models/erasure",
        "path:models/staging",
    )
    for dimension, staged in (("383", 0), ("384", 793)):
        edit_seed(project, "encoders", "minilm-l6-v2", embedding_dim="1")
        edit_seed(project, "encoders", "minilm-l6-v2", embedding_dim=dimension)
        build = store.dbt("build", *staging)
        assert build.exit_code == 0, build.output[-4000:]
        assert store.query(
            "select count(*) from restricted.stg_embedding_events where embedding_dim = 384"
        ) == [(staged,)]
    assert store.contents("internal.rejected_events") == []


def test_a_conflicting_row_is_rejected_and_the_first_stays(spoilt: Store):
    event_id, rating = spoilt.query(
        "select event_id, rating from internal.stg_rating_events order by 1 limit 1"
    )[0]
    land(spoilt, "rating_events", [
        {"event_id": event_id, "object_id": "another", "rating": 4.0, "rated_at": "2026-12-01T00:00:00"},
    ])  # fmt: skip
    build = spoilt.dbt("build", "--select", "+rejected_events")
    assert build.exit_code == 0, build.output[-4000:]
    assert spoilt.query("select record_id, rejection_reason from internal.rejected_events") == [
        (event_id, "conflicts_with_first_known_row")
    ]
    assert spoilt.query(
        f"select rating from internal.stg_rating_events where event_id = '{event_id}'"
    ) == [(rating,)]


def test_a_classifier_of_an_unknown_encoder_is_named(spoilt: Store):
    edit_seed(spoilt.project, "classifiers", "review_tone_mlp", encoder_id="nobody")
    build = spoilt.dbt("build", "--select", "+training_records", "--exclude", "test_type:unit")
    assert build.exit_code == 1
    assert (
        "classifiers.csv: encoder_id of review_tone_mlp names nobody, which encoders.csv does not hold"
        in build.output
    )
    assert build.status("training_records") == "skipped"


def test_a_broken_landing_file_is_named(spoilt: Store):
    broken = spoilt.landing / "rating_events" / "broken.parquet"
    broken.write_bytes(b"PAR1 and no more")
    build = spoilt.dbt("build", "--select", "base_rating_events+1")
    assert build.exit_code == 1
    assert "landing/rating_events/broken.parquet" in build.output
    broken.unlink()
    assert spoilt.dbt("build", "--select", "base_rating_events+1").exit_code == 0


def manifest_of(path: Path, rows: list[tuple[str, str, str, str]]) -> Path:
    """Write a CSV manifest of (object_id, customer_id, object_created_at, content)."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            [
                "object_id",
                "customer_id",
                "object_created_at",
                "content",
                "source_reference",
                "spare",
            ]
        )
        writer.writerows(
            [*row, f"tickets://{row[0]}", "unknown columns are ignored"] for row in rows
        )
    return path


@pytest.fixture(scope="module")
def own_store(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, str]:
    """A store built from somebody's own manifest and events, and all that was printed on the way.

    Every text holds MARKER. The events' files have no optional column.
    """
    root = tmp_path_factory.mktemp("own")
    store = Store(root / "store")
    texts = [
        f"{adjective} {thing} {MARKER}"
        for adjective in ("awful", "useless", "lovely", "great")
        for thing in ("camera", "phone", "lens", "case", "strap")
    ]
    objects = [
        (f"t{n}", f"c{n % 12}", "2026-10-01T08:00:00", f"{text} {n}")
        for n, text in enumerate(texts * 3)
    ]
    # the newest object brings the calendar past the labels' horizon
    objects.append(("newest", "c0", "2026-10-06T08:00:00", f"one more {MARKER}"))
    printed = []
    for part, name in ((objects[:30], "first.csv"), (objects[30:], "second.csv")):
        encoded = store.encode(manifest_of(root / name, part))
        assert encoded.returncode == 0, encoded.stdout + encoded.stderr
        printed += [encoded.stdout, encoded.stderr]
    broken = store.encode(manifest_of(root / "broken.csv", [("bad", "c1", "yesterday", MARKER)]))
    assert broken.returncode == 3
    land(store, "account_events", [
        {"event_id": f"a{n}", "customer_id": f"c{n}", "event_type": "opened", "occurred_at": "2026-01-01T00:00:00"}
        for n in range(12)
    ])  # fmt: skip
    land(store, "rating_events", [
        {"event_id": f"r{n}-{k}", "object_id": f"t{n}", "rating": -2 if n % 20 < 10 else 2, "rated_at": "2026-10-01T09:00:00"}
        for n in range(60) for k in range(10)
    ])  # fmt: skip
    build = store.build()
    assert build.exit_code == 0, build.output[-4000:]
    return store, "".join([*printed, broken.stdout, broken.stderr, build.output])


def test_somebodys_own_data_needs_no_edit_of_any_file(own_store: tuple[Store, str]):
    store, _ = own_store
    assert store.query("select count(*) from published.predictions") == [(61 * 4,)]
    counts = store.query("select candidate_count, example_count from published.dataset_summaries")
    assert counts == [(60, 60)] * 2


def test_no_word_of_a_text_leaves_its_source(own_store: tuple[Store, str]):
    store, printed = own_store
    assert MARKER not in printed
    files = [path for path in store.root.rglob("*") if path.is_file()]
    assert len(files) > 100
    for path in files:
        assert MARKER.encode() not in path.read_bytes(), path
    # compressed files hide a text from a search of their bytes
    for part in store.landing.rglob("*.parquet"):
        assert MARKER not in str(pq.read_table(part).to_pylist()), part
    for table in {table for table, _ in store.columns()}:
        assert MARKER not in str(store.contents(table)), table


def test_a_new_week_adds_a_snapshot_and_trains_only_on_new_examples(
    own_store: tuple[Store, str], tmp_path: Path
):
    store = own_store[0].copy(tmp_path / "store")
    before = ledger_of(store), store.contents("published.predictions")

    def build_with(object_id: str, created_at: str, *arguments: str) -> Build:
        row = (object_id, "c1", created_at, "a camera of another week")
        assert store.encode(manifest_of(tmp_path / f"{object_id}.csv", [row])).returncode == 0
        build = store.build_models(*arguments)
        assert build.exit_code == 0, build.output[-4000:]
        return build

    # the second week's snapshot holds the examples of the first: its models are there already
    build = build_with("second", "2026-10-13T08:00:00")
    assert store.query(
        "select count(*), count(*) filter (is_current) from published.dataset_summaries"
    ) == [(4, 2)]
    assert "nothing to train" in build.output
    assert store.query("select count(*) from published.predictions") == [(62 * 4,)]

    # the third week's has one more; from so few customers nobody can tell that its models are not worse
    land(store, "rating_events", [
        {"event_id": f"late-{k}", "object_id": "newest", "rating": -2, "rated_at": "2026-10-06T09:00:00"}
        for k in range(10)
    ], "later")  # fmt: skip
    build_with("third", "2026-10-20T08:00:00")
    assert store.query("select count(*) from internal.classifier_models") == [(8,)]
    assert store.query("select count(*) from published.predictions") == [(63 * 4,)]
    for table, rows in before[0].items():
        assert set(map(str, rows)) <= set(map(str, store.contents(table))), table
    assert set(map(str, before[1])) <= set(map(str, store.contents("published.predictions")))
    assert store.query("""
        select reason, count(*) from ledger.promotion_decisions
        where compared_model_id is not null group by reason
    """) == [("too_few_examples", 4)]  # fmt: skip

    wanted = store.query(
        "select classifier_id, model_id from internal.eligible_models where is_wanted"
    )
    land(store, "promotion_events", [
        {"event_id": model, "classifier_id": classifier, "model_id": model, "decided_by": "the owner",
         "reason": "looked at twenty of its answers", "decided_at": "2026-10-21T09:00:00"}
        for classifier, model in wanted
    ])  # fmt: skip
    build = store.build_models("--vars", "rescore_from: 2026-01-01")  # to YAML a date
    assert build.exit_code == 0, build.output[-4000:]
    assert sorted(store.query("select classifier_id, model_id from internal.champions")) == sorted(
        wanted
    )
    assert store.query("select count(*) from published.predictions") == [(63 * 4 + 63 * 4,)]
    assert store.query("""
        select count(*), count(distinct model_id) from published.latest_predictions
        where classifier_id = 'review_tone_mlp'
    """) == [(63, 1)]


def test_a_session_in_another_zone_stops_the_build_before_anything_is_read(spoilt: Store):
    profiles = spoilt.root / "profiles.yml"
    profiles.write_text(profiles.read_text().replace("TimeZone: UTC", "TimeZone: Asia/Tokyo"))
    before = ledger_of(spoilt)
    build = spoilt.build()
    assert build.exit_code != 0
    assert "profiles.yml: the session runs in Asia/Tokyo" in build.output
    assert not [status for status in build.statuses.values() if status == "success"]
    assert ledger_of(spoilt) == before


def test_a_scorer_that_does_not_exist_stops_the_build(spoilt: Store):
    build = spoilt.dbt("build", "--select", "prediction_scores", EMBEDDING_STORE_SCORER="sqll")
    assert build.exit_code != 0
    assert "EMBEDDING_STORE_SCORER: 'sqll' is no scorer; write python or sql" in build.output
    assert not [status for status in build.statuses.values() if status == "success"]


def test_a_classifier_that_names_another_dataset_is_trained_on_none(spoilt: Store):
    """Once it were, both datasets would be the other one."""
    names = ("negative_review_linear", "negative_review_mlp")
    append_to_seed(
        spoilt.project,
        "datasets",
        "lately,negative_review,text,find unhappy customers,week,1,24,,by_customer_70_15_15,me",
    )
    for name in names:
        edit_seed(spoilt.project, "classifiers", name, dataset_id="lately")
    before = spoilt.contents("ledger.training_records")
    build = spoilt.build_with_invariants()
    assert build.exit_code == 1
    told = " was trained on negative_review for negative_review and is now to be on lately for negative_review. Set it back"
    assert told in build.output
    assert build.status("training_records") == "skipped"
    assert spoilt.contents("ledger.training_records") == before
    for name in names:
        edit_seed(spoilt.project, "classifiers", name, dataset_id="negative_review")
    build = spoilt.dbt("build", "--select", "classifiers")
    assert build.exit_code == 0, build.output[-4000:]
    assert build.status("assert_classifiers_keep_their_dataset") == "pass"


def test_a_label_that_leaves_its_task_stops_nothing_that_was_frozen_with_it(spoilt: Store):
    labels = spoilt.project / "seeds" / "task_labels.csv"
    kept = [row for row in labels.read_text().splitlines() if "review_tone,neutral" not in row]
    labels.write_text("\n".join(kept) + "\n")
    for name in ("review_tone_linear", "review_tone_mlp"):
        edit_seed(spoilt.project, "classifiers", name, positive_label="negative")
    build = spoilt.dbt("build", "--select", "task_labels", "classifiers", "training_queue")
    assert build.exit_code == 0, build.output[-4000:]
    assert build.status("assert_labels_are_of_their_task") == "pass"
    assert spoilt.query(
        "select distinct blocked_by from internal.training_queue where task = 'review_tone'"
    ) == [("more_than_two_classes",)]


def test_another_salt_or_other_shares_stop_the_build(spoilt: Store):
    before = ledger_of(spoilt)
    build = spoilt.build_models("--vars", "split_salt: another")
    assert build.exit_code == 1
    assert "this store was begun with split/1 and the build asks for another" in build.output
    assert build.status("dataset_snapshots") == "skipped"

    policies = spoilt.project / "seeds" / "split_policies.csv"
    moved = policies.read_text().replace("train,0,700", "train,0,600")
    policies.write_text(moved.replace("validation,700,850", "validation,600,850"))
    build = spoilt.build_models()
    assert build.exit_code == 1
    assert "split_policies.csv: by_customer_70_15_15 was train 0-700" in build.output
    # candidates of a snapshot that is not taken are judged anew by the next build
    after = ledger_of(spoilt)
    candidates = (set(ledger.pop("ledger.dataset_candidates")) for ledger in (before, after))
    assert set.issubset(*candidates)
    assert after == before


def test_vectors_that_are_missing_or_broken_train_nothing(landed: Store, tmp_path: Path):
    store = landed.copy(tmp_path / "store")
    folder = store.landing / "embedding_events"
    parts = [path for path in folder.glob("**/*.parquet") if path.name != "empty.parquet"]
    events = pa.concat_tables([pq.read_table(part) for part in parts])
    for part in parts:
        part.unlink()
    few = events.slice(0, 100).to_pylist()
    few[0]["embedding"][3] = None
    few[1]["embedding"] = few[1]["embedding"][:7]
    few.append(few[2] | {"event_id": "the same vector under another id"})
    pq.write_table(pa.Table.from_pylist(few, schema=events.schema), folder / "few.parquet")
    build = store.build()
    assert build.exit_code == 1
    assert "accepted_range_dataset_coverage" in str(build.failed)
    assert build.status("training_queue") == "skipped"
    assert store.query("select count(*) from restricted.stg_embedding_events") == [(98,)]
    rejected = store.query("select rejection_reason from internal.rejected_events order by 1")
    assert rejected == [("conflicts_with_first_known_row",), ("not_finite",), ("wrong_dimension",)]


def test_a_change_answers_once_the_gate_lets_it_and_a_person_can_take_it_back(spoilt: Store):
    champions = "select classifier_id, model_id from internal.champions order by 1"
    before = dict(spoilt.query(champions))
    name = "review_tone_mlp"
    decisions = f"""
        select reason, decided_by, look_count from ledger.promotion_decisions
        where classifier_id = '{name}' order by decided_at
    """

    def build_with(**changes: str) -> Build:
        if changes:
            edit_seed(spoilt.project, "classifiers", name, **changes)
        build = spoilt.build_models("--vars", "rescore_from: 2026-01-01")
        assert build.exit_code == 0, build.output[-4000:]
        return build

    # no model is better by so much
    build_with(hidden_units="8", gate_margin="-0.5")
    assert dict(spoilt.query(champions)) == before
    assert spoilt.query(decisions) == [("first_model", "gate", None), ("may_be_worse", "gate", 1)]
    states = f"select distinct deployment_state from {{}} where classifier_id = '{name}' order by 1"
    assert spoilt.query(states.format("published.latest_predictions")) == [("live",)]

    # a model that was refused is in question again with another model or snapshot, not every night
    build_with(hidden_units="16", state="shadow", gate_margin="1")
    answers = dict(spoilt.query(champions))
    assert answers.pop(name) != before[name]
    assert answers.items() <= before.items()
    assert spoilt.query(states.format("published.latest_predictions")) == [("shadow",)]
    assert spoilt.query(states.format("published.predictions")) == [("live",), ("shadow",)]

    # one row and one build: back to the first; the gate leaves it there, though it would not say worse
    land(spoilt, "promotion_events", [
        {"event_id": "back", "classifier_id": name, "model_id": before[name], "decided_by": "the owner",
         "reason": "complaints", "decided_at": "2026-11-20T00:00:00"},
    ])  # fmt: skip
    build = build_with()
    assert "nothing to train" in build.output
    assert dict(spoilt.query(champions)) == before
    build_with()
    assert dict(spoilt.query(champions)) == before
    assert spoilt.query(decisions)[2:] == [
        ("not_worse", "gate", 2),
        ("asked_for", "the owner", None),
        ("taken_down_by_a_person", "gate", 3),
    ]
    # all of them have scored every event: the one that answers now is the one to be read
    assert (
        dict(
            spoilt.query(
                "select distinct classifier_id, model_id from published.latest_predictions order by 1"
            )
        )
        == before
    )


def test_a_delivery_that_is_repeated_later_is_no_conflict(spoilt: Store):
    rows = spoilt.query(
        "select event_id, object_id, rating, rated_at from internal.stg_rating_events limit 50"
    )
    names = ("event_id", "object_id", "rating", "rated_at")
    again = [
        dict(zip(names, row, strict=True)) | {"landed_at": "2026-11-20T00:00:00"} for row in rows
    ]
    land(spoilt, "rating_events", again)
    build = spoilt.dbt("build", "--select", "+rejected_events")
    assert build.exit_code == 0, build.output[-4000:]
    assert spoilt.contents("internal.rejected_events") == []
