"""Snapshots of event histories made by chance: beside a second telling of the rules, and beside themselves."""

import random
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from histories import histories
from reference import Dataset, candidates, staged
from store import REPOSITORY, Store, edit_seed, seed

from encoder_job.registry import Registry

HISTORIES = 500
NEWEST = (datetime(2024, 2, 29, 23, 59, 59, tzinfo=UTC), datetime(2025, 5, 31, tzinfo=UTC))


def build_snapshots(store: Store, moments: Iterable[datetime]) -> None:
    asked = ", ".join(f"'{moment:%Y-%m-%d %H:%M:%S}'" for moment in moments)
    build = store.build_snapshots("--vars", f"as_of: [{asked}]")
    assert build.exit_code == 0, build.output[-4000:]


def datasets_of(project: Path) -> list[Dataset]:
    policies = seed(project, "split_policies")
    return [
        Dataset(
            row["dataset_id"],
            row["task"],
            row["modality"],
            int(row["window_months"]),
            int(row["label_horizon_hours"]),
            row["absence_label"] or None,
            {
                policy["split"]: (
                    int(policy["bucket_from"]),
                    int(policy["bucket_to"]),
                    int(policy["newest_days"]) if policy["newest_days"] else None,
                )
                for policy in policies
                if policy["split_policy"] == row["split_policy"]
            },
        )
        for row in seed(project, "datasets")
    ]


@pytest.mark.parametrize("newest", NEWEST, ids=str)
def test_snapshots_are_what_could_have_been_known(
    newest: datetime, tmp_path: Path, record_property: Callable
):
    store = Store(tmp_path / "store")
    # the one dataset with the newest days as test; the other shorter, longer watched, and taking silence for a label
    edit_seed(store.project, "datasets", "review_tone", split_policy="newest_28_days_are_test")
    edit_seed(
        store.project,
        "datasets",
        "negative_review",
        window_months="1",
        label_horizon_hours="72",
        absence_label="other",
        split_policy="by_customer_with_lockbox",
    )
    fingerprint = Registry(REPOSITORY).active("text").encoder_fingerprint
    tables = histories(HISTORIES, newest.year + newest.month, newest, fingerprint)
    store.land(tables, "histories")
    midnight = newest.replace(hour=0, minute=0, second=0)
    moments = {newest, midnight, midnight.replace(day=1)}
    moments |= {midnight - timedelta(days=midnight.weekday() + 7 * week) for week in range(9)}
    build_snapshots(store, sorted(moments))
    models = ("dataset_candidates", "account_statuses", "labels")
    tested = store.dbt("test", "--select", *(f"{name},test_type:generic" for name in models))
    assert not tested.failed, tested.output[-4000:]
    assert tested.counts()["pass"] > 5

    labels: dict[str, set[str]] = {}
    for row in seed(store.project, "task_labels"):
        labels.setdefault(row["task"], set()).add(row["label"])
    events = staged(tables, labels)
    compared = 0
    for dataset in datasets_of(store.project):
        for moment in sorted(moments):
            expected = candidates(events, dataset, moment, "split/1")
            found = store.arrow(f"""
                select
                    candidates.object_id, candidates.object_version, candidates.split_group_id,
                    candidates.label, candidates.label_rule, candidates.selected_by, candidates.raw_event_count,
                    candidates.label_known_at, candidates.exclusion_reason, snapshots.split
                from ledger.dataset_candidates as candidates
                left join ledger.dataset_snapshots as snapshots using (snapshot_id, object_id)
                where
                    candidates.dataset_id = '{dataset.dataset_id}'
                    and candidates.as_of = timestamp '{moment:%Y-%m-%d %H:%M:%S}'
            """).to_pandas()
            told = [_comparable(frame, expected.columns) for frame in (expected, found)]
            pd.testing.assert_frame_equal(*told)
            counts = expected["exclusion_reason"].value_counts().sort_index()
            frozen = store.query(f"""
                select candidate_count, exclusions, example_count from ledger.dataset_headers
                where
                    dataset_id = '{dataset.dataset_id}'
                    and as_of = timestamp '{moment:%Y-%m-%d %H:%M:%S}'
            """)
            excluded = ", ".join(f"{reason} {count}" for reason, count in counts.items())
            assert frozen == [(len(expected), excluded, len(expected) - counts.sum())]
            compared += len(found)
    assert compared > 1000
    record_property(
        f"beside plain Python, {HISTORIES} histories until {newest:%Y-%m-%d}",
        f"{compared} candidates of {2 * len(moments)} snapshots, equal",
    )


def _comparable(frame: pd.DataFrame, columns: pd.Index) -> pd.DataFrame:
    frame = frame[columns].assign(label_known_at=pd.to_datetime(frame["label_known_at"], utc=True))
    frame = frame.astype(object).where(frame.notna(), None)
    return frame.sort_values("object_id", ignore_index=True)


HAPPENED = {
    "object_events": "object_created_at",
    "rating_events": "rated_at",
    "decision_events": "decided_at",
    "account_events": "occurred_at",
}
MONTHS = [datetime(2025 + (6 + n) // 12, (6 + n) % 12 + 1, 1, tzinfo=UTC) for n in range(12)]
AFTERWARDS = datetime(2026, 7, 1, tzinfo=UTC)


def test_a_backfilled_year_is_what_builds_at_the_time_would_have_given(
    tmp_path: Path, record_property: Callable
):
    fingerprint = Registry(REPOSITORY).active("text").encoder_fingerprint
    on_time = histories(60, 12, MONTHS[-1], fingerprint, days=400)
    # who is erased has no past
    del on_time["erasure_requests"]
    chance = random.Random(0)
    late = {}
    for table, happened in HAPPENED.items():
        is_late = pa.array([chance.random() < 0.1 for _ in range(on_time[table].num_rows)])
        late_rows = on_time[table].filter(is_late).to_pylist()
        # what happened after the last month cannot have landed by then anyway
        late_rows = [row | {"landed_at": max(row[happened], MONTHS[-1])} for row in late_rows]
        late[table] = pa.Table.from_pylist(late_rows, on_time[table].schema)
        on_time[table] = on_time[table].filter(pc.invert(is_late))

    def snapshots(store: Store) -> dict[str, list[str]]:
        rows = store.query("""
            select snapshot_id, fingerprint::text, candidate_fingerprint::text
            from ledger.dataset_headers
        """)
        return {snapshot_id: sums for snapshot_id, *sums in rows}

    backfilled = Store(tmp_path / "backfilled")
    backfilled.land(on_time, "on time")
    build_snapshots(backfilled, MONTHS)
    year = snapshots(backfilled)
    assert len(year) == 12 * len(seed(backfilled.project, "datasets"))
    assert sum(fingerprint != "0" for fingerprint, _ in year.values()) > 18

    # at the time: what was known by then, month after month
    lived = Store(tmp_path / "lived")
    for month in MONTHS:
        known = {table: _known_before(on_time[table], at, month) for table, at in HAPPENED.items()}
        lived.land(known, str(month))
        build_snapshots(lived, [month])
    assert snapshots(lived) == year

    # the late ones change no month, and count afterwards
    backfilled.land(late, "late")
    build_snapshots(backfilled, [AFTERWARDS])
    with_late = snapshots(backfilled)
    assert year.items() < with_late.items()
    lived.land(on_time, "all")
    build_snapshots(lived, [AFTERWARDS])
    without_late = snapshots(lived)
    counted = {
        snapshot_id.partition("@")[0]
        for snapshot_id in set(with_late) - set(year)
        if with_late[snapshot_id][0] != without_late[snapshot_id][0]
    }
    # of images only few are decided, and none of them late enough
    assert counted >= {"negative_review", "review_tone"}

    # all of it, in another order and in other files, into an empty store
    again = Store(tmp_path / "again")
    for table, rows in on_time.items():
        every = pa.concat_tables([rows, late[table]] if table in late else [rows])
        order = list(range(every.num_rows))
        chance.shuffle(order)
        for part in range(3):
            again.land({table: every.take(pa.array(order[part::3], pa.int64()))}, part)
    build_snapshots(again, [*MONTHS, AFTERWARDS])
    assert snapshots(again) == with_late
    record_property("a backfilled year", f"{len(with_late)} snapshots, equal in every order")


def _known_before(rows: pa.Table, happened: str, moment: datetime) -> pa.Table:
    known_at = pc.coalesce(rows["landed_at"], rows[happened])
    return rows.filter(pc.less(known_at, pa.scalar(moment, known_at.type)))
