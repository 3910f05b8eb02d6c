"""An erasure takes out all of a person and nothing else, whatever happens to the build that does it."""

import hashlib
import shutil
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from store import Store

from encoder_job.landing.folder import FolderLanding

KEPT = (
    "restricted.stg_objects",
    "restricted.stg_embedding_events",
    "internal.stg_rating_events",
    "internal.stg_account_events",
    "ledger.dataset_headers",
    "ledger.dataset_snapshots",
    "ledger.training_records",
    "ledger.evaluation_scores",
    "ledger.prediction_scores",
    "published.predictions",
)
# the request itself, and what shows it
OF_REQUESTS = {"internal.base_erasure_requests", "internal.stg_erasure_requests"}
SUBJECTS = ("object_id", "customer_id", "split_group_id", "event_id", "record_id")


def ask(store: Store, customers: list[str], objects: list[str]) -> None:
    """Land a request for each of them."""
    # as a list that was exported by hand has them
    subjects = [("customer", f"{one}\r\n") for one in customers]
    subjects += [("object", one) for one in objects]
    rows = [
        {"event_id": f"request-{n}", "scope": scope, "subject_id": one, "requested_at": "2026-10-20"}
        for n, (scope, one) in enumerate(subjects)
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), store.landing / "erasure_requests" / "asked.parquet")


@pytest.fixture(scope="module")
def subjects(built: Store) -> tuple[list[str], list[str], set[str]]:
    """A twentieth of the customers, an object of somebody else, and every id that must go."""
    owners = built.query("select object_id, customer_id from restricted.stg_objects order by all")
    customers = sorted({c for _, c in owners}, key=lambda c: hashlib.md5(c.encode()).hexdigest())
    customers = customers[: -(-len(customers) // 20)]
    taken = next(o for o, c in owners if c not in customers)
    gone = {o for o, c in owners if c in customers} | {taken}
    listed = ", ".join(f"'{one}'" for one in sorted(gone))
    events = built.query(f"""
        select event_id from restricted.stg_embedding_events where object_id in ({listed})
        union select event_id from internal.stg_rating_events where object_id in ({listed})
    """)
    return customers, [taken], gone | set(customers) | {event for (event,) in events}


def rows_by_subject(store: Store, table: str, ids: set[str]) -> tuple[list[str], list[str]]:
    """Return the rows of a table, as text: those of these subjects, and the others."""
    found = store.arrow(f"select * from {table}").to_pylist()
    mine = [any(row.get(column) in ids for column in SUBJECTS) for row in found]
    texts = [str(sorted(row.items())) for row in found]
    of_them = [text for text, is_mine in zip(texts, mine, strict=True) if is_mine]
    return of_them, [text for text, is_mine in zip(texts, mine, strict=True) if not is_mine]


def tables_with(store: Store, ids: set[str]) -> set[str]:
    """Return the tables and views in which any text is, or begins with, one of these ids."""
    texts = defaultdict(list)
    for (table, column), kind in store.columns().items():
        if kind == "VARCHAR":
            texts[table].append(f'list(distinct "{column}")')
    found = set()
    with store.connect(read_only=True) as connection:
        for table, columns in texts.items():
            lists = connection.execute(f"select {', '.join(columns)} from {table}").fetchone()
            values = {value for values in lists for value in values or () if value}
            if ids & (values | {value.rpartition("/")[0] for value in values}):
                found.add(table)
    return found


def parts_with(store: Store, ids: set[str]) -> set[str]:
    """Return the landing tables in which a text is one of these ids."""
    return {
        part.parent.name
        for part in store.landing.rglob("*.parquet")
        for row in pq.read_table(part).to_pylist()
        if ids & {value for value in row.values() if isinstance(value, str)}
    }


def test_nothing_of_the_erased_is_left_and_nothing_else_changes(
    built: Store, landed: Store, subjects: tuple[list[str], list[str], set[str]], tmp_path: Path
):
    customers, objects, ids = subjects
    store = built.copy(tmp_path / "store")
    before = {table: rows_by_subject(store, table, ids) for table in KEPT}
    assert all(before[table][0] for table in KEPT if table.split("_")[-1] not in ("headers", "records"))  # fmt: skip
    assert tables_with(store, ids) > {"published.latest_predictions", "ledger.dataset_candidates"}
    ask(store, customers, objects)

    build = store.build_with_invariants()
    assert build.exit_code == 0, build.output[-4000:]
    assert tables_with(store, ids) <= OF_REQUESTS

    # the outcomes count what was there
    outcomes = dict(store.query("""
        select table_name, sum(row_count) from published.erasure_outcomes
        where erased_at >= recorded_at group by all
    """))  # fmt: skip
    for table in KEPT:
        name = table.split(".")[1]
        if name not in ("dataset_headers", "training_records"):
            assert outcomes[name] == len(before[table][0]), name
    assert store.query("""
        select count(*), count(distinct request_id || table_name), min(row_count)
        from published.erasure_outcomes
    """) == [(len(outcomes) * (len(customers) + 1),) * 2 + (0,)]  # fmt: skip

    # every classifier has learned anew, and what it had learned from the erased is marked
    assert store.query("""
        select count(*), count(*) filter (is_answering), min(due_at - requested_at)::text,
            bool_and(erased_train_count + erased_validation_count > 0)
        from published.affected_models
    """) == [(6, 0, "30 days", True)]  # fmt: skip

    done = store.run("encoder-job", "erase")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "of embedding_events" in done.stdout
    assert parts_with(store, ids) == {"erasure_requests"}
    encoded = store.encode(landed.root / "sample" / "text.parquet")
    assert encoded.returncode == 0, encoded.stdout + encoded.stderr
    assert "nothing new to encode" in encoded.stdout

    build = store.build_with_invariants()
    assert build.exit_code == 0, build.output[-4000:]
    assert "nothing to train" in build.output
    assert tables_with(store, ids) <= OF_REQUESTS

    # somebody restores a backup of landing, but for what says whose an object is
    for table in ("embedding_events", "rating_events", "account_events"):
        shutil.copytree(built.landing / table, store.landing / table, dirs_exist_ok=True)
    build = store.build_with_invariants()
    assert build.exit_code == 0, build.output[-4000:]
    assert tables_with(store, ids) <= OF_REQUESTS
    assert store.run("encoder-job", "erase").returncode == 0
    assert parts_with(store, ids) == {"erasure_requests"}
    for table in KEPT:
        after = rows_by_subject(store, table, ids)
        assert after[0] == [], table
        assert set(before[table][1]) <= set(after[1]), table

    # what tells of all this can fail
    store.execute(f"""
        insert into published.predictions by name
        select '{objects[0]}' as object_id, * exclude (object_id) from published.predictions limit 1
    """)
    assert store.query(store.compiled("assert_nothing_erased_is_left")) == [("predictions",)]


def test_an_erasure_that_was_killed_is_finished_by_the_next_build(
    built: Store, subjects: tuple[list[str], list[str], set[str]], tmp_path: Path
):
    customers, objects, ids = subjects
    whole = built.copy(tmp_path / "whole")
    ask(whole, customers, objects)
    assert whole.build_datasets().exit_code == 0
    written = {
        "ledger.requested_subjects": "true",
        "ledger.erasure_records": "record_type = 'found'",
    }

    # recorded, half removed, and the person has left landing in the meantime
    killed = built.copy(tmp_path / "killed")
    ask(killed, customers, objects)
    with killed.connect() as connection:
        for table, condition in written.items():
            rows = whole.arrow(f"select * from {table} where {condition}")
            connection.register("rows", rows)
            connection.execute(f"insert into {table} select * from rows")
        for table, column in (
            ("ledger.dataset_snapshots", "object_id"),
            ("restricted.stg_embedding_events", "object_id"),
            ("restricted.stg_objects", "object_id"),
        ):
            connection.execute(
                f"delete from {table} where list_contains($1, {column})", [sorted(ids)]
            )
    assert killed.run("encoder-job", "erase").returncode == 0
    build = killed.build_with_invariants()
    assert build.exit_code == 0, build.output[-4000:]
    assert tables_with(killed, ids) <= OF_REQUESTS
    found = "select * exclude (recorded_at) from ledger.erasure_records order by all"
    assert killed.query(found) == whole.query(found)


def test_what_left_landing_before_a_build_saw_it_stays_out(built: Store, tmp_path: Path):
    """A vector that lands after `encoder-job erase` has removed the row that tells whose it is."""
    store = built.copy(tmp_path / "store")
    landing = FolderLanding(str(store.landing))
    ((customer,),) = store.query("select min(customer_id) from restricted.stg_objects")
    unseen = {"object_id": "unseen", "customer_id": customer, "event_id": "of unseen"}
    landed = {
        table: pq.read_table(next(store.landing.glob(f"{table}/part-*"))).slice(0, 1).to_pylist()
        for table in ("object_events", "embedding_events")
    }
    for table, (row,) in landed.items():
        row |= {name: value for name, value in unseen.items() if name in row}
        landing.write_part(table, [row], "unseen")
    ask(store, [customer], [])
    erased = store.run("encoder-job", "erase")
    assert erased.returncode == 0, erased.stdout + erased.stderr
    landing.write_part("embedding_events", landed["embedding_events"], "unseen")

    build = store.build_datasets()
    assert build.exit_code == 0, build.output[-4000:]
    assert tables_with(store, {"unseen", "of unseen"}) == set()
    assert not store.query(f"select * from restricted.stg_objects where customer_id = '{customer}'")


@pytest.mark.parametrize(
    ("gone", "withdrawn"),
    [
        ("delete from ledger.dataset_snapshots where dataset_id = 'review_tone'", {"review_tone"}),
        ("drop table ledger.dataset_snapshots", {"negative_review", "review_tone", "shirt"}),
    ],
    ids=["a later build", "the first build"],
)
def test_a_snapshot_that_a_killed_build_began_is_taken_anew_without_the_erased(
    gone: str,
    withdrawn: set[str],
    built: Store,
    subjects: tuple[list[str], list[str], set[str]],
    tmp_path: Path,
):
    customers, objects, _ = subjects
    store = built.copy(tmp_path / "store")
    listed = ", ".join(f"'{one}'" for one in withdrawn)
    store.execute(f"""
        delete from ledger.training_records where split_part(snapshot_id, '@', 1) in ({listed});
        {gone};
    """)
    ask(store, customers, objects)
    build = store.build_datasets()
    assert build.exit_code == 0, build.output[-4000:]
    assert {
        dataset
        for (dataset,) in store.query("""
        select dataset_id from ledger.dataset_headers
        where snapshot_id in (
            select snapshot_id from ledger.erasure_records where table_name = 'dataset_headers'
        )
    """)
    } == withdrawn
    assert store.dbt("test", "--select", "assert_snapshots_are_unchanged").exit_code == 0


def test_an_erasure_does_not_hide_that_a_snapshot_was_emptied(
    built: Store, subjects: tuple[list[str], list[str], set[str]], tmp_path: Path
):
    customers, objects, _ = subjects
    store = built.copy(tmp_path / "store")
    before = set(store.contents("ledger.dataset_headers"))
    store.execute("delete from ledger.dataset_snapshots where dataset_id = 'review_tone'")
    ask(store, customers, objects)
    build = store.build_datasets()
    assert build.exit_code == 0, build.output[-4000:]
    assert before <= set(store.contents("ledger.dataset_headers"))
    unchanged = "assert_snapshots_are_unchanged"
    assert store.dbt("test", "--select", unchanged).status(unchanged) == "fail"


def test_whose_an_excluded_object_was_is_known_without_its_landed_row(built: Store, tmp_path: Path):
    store = built.copy(tmp_path / "store")
    ((object_id, customer),) = store.query("""
        select object_id, min(split_group_id) from ledger.dataset_candidates
        group by object_id having bool_and(exclusion_reason is not null) order by 1 limit 1
    """)
    for part in store.landing.glob("object_events/**/*.parquet"):
        rows = pq.read_table(part)
        pq.write_table(rows.filter(pc.not_equal(rows["object_id"], object_id)), part)
    store.execute(f"delete from restricted.stg_objects where object_id = '{object_id}'")
    # and of an object that could not be encoded, by the failure
    landing = FolderLanding(str(store.landing))
    failed = {"object_id": "failed", "customer_id": customer, "reason": "missing_content"}
    failed |= {"object_version": "1", "encoder_id": "minilm-l6-v2", "job_run_id": "run"}
    landing.write_part("encoding_failures", [failed], "failed")
    rating = {"event_id": "of failed", "object_id": "failed", "rating": 1.0}
    rating |= {"rated_at": datetime(2026, 8, 1, tzinfo=UTC)}
    landing.write_part("rating_events", [rating], "failed")
    ask(store, [customer], [])
    build = store.build_datasets()
    assert build.exit_code == 0, build.output[-4000:]
    for table in (
        "ledger.dataset_candidates",
        "restricted.stg_embedding_events",
        "published.predictions",
    ):
        assert not rows_by_subject(store, table, {object_id, customer})[0], table
    assert tables_with(store, {"failed", "of failed"}) == set()
    tested = store.dbt("test", "--select", "assert_nothing_erased_is_left")
    assert tested.exit_code == 0, tested.output[-4000:]
