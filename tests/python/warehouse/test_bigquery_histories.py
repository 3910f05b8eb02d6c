"""Event histories made by chance give the same datasets on both engines, row by row."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from bigquery_store import SCHEMAS, BigQueryStore, Emulator, emulator
from comparison import all_differences, tables_of
from histories import histories
from store import REPOSITORY, Store

from encoder_job.registry import Registry


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Emulator]:
    """An emulator of its own: pytest runs this file beside the other one, in another process."""
    with emulator(tmp_path / "emulator") as found:
        yield found


# the newest objects lie up to six hours later: a week, a month and a leap day end in between
AS_OF = datetime(2004, 2, 29, 23, 59, 59, tzinfo=UTC)
HISTORIES = 60


def test_histories_made_by_chance_give_equal_datasets(
    tmp_path: Path, served: Emulator, record_property: Callable
):
    store = Store(tmp_path / "duckdb")
    fingerprint = Registry(REPOSITORY).active("text").encoder_fingerprint
    made = histories(HISTORIES, AS_OF.year, AS_OF, fingerprint)
    bigquery_store = BigQueryStore(tmp_path / "histories", served)
    # an earlier moment first, then what is due: the second build finds some of its work done
    for build, half in enumerate((slice(None, None, 2), slice(1, None, 2))):
        taken = {
            table: rows.take(pa.array(range(rows.num_rows)[half], pa.int64()))
            for table, rows in made.items()
        }
        store.land(taken, build)
        bigquery_store.land_parts(store)
        earlier = f"as_of: '{AS_OF - timedelta(days=20):%Y-%m-%d %H:%M:%S}'"
        asked = () if build else ("--vars", earlier)
        for each in (store, bigquery_store):
            done = each.build_datasets(*asked)
            assert done.exit_code == 0, done.output[-4000:]
    expected, found = (tables_of(each, SCHEMAS) for each in (store, bigquery_store))
    assert all_differences(expected, found) == {}
    rows = sum(table.num_rows for table in found.values())
    told = f"{HISTORIES} in {len(found)} tables and views, {rows} rows, equal"
    record_property("histories on both engines", told)
    reasons = store.query("select count(distinct exclusion_reason) from ledger.dataset_candidates")
    assert reasons[0][0] >= 4
    assert (
        store.query("select count(distinct rejection_reason) from internal.rejected_events")[0][0]
        > 5
    )
    assert store.query("select count(*) > 20 from ledger.dataset_snapshots")[0][0]
    # some were asked for after the first build, and some lose rows of its snapshots
    assert store.query("select count(*) > 3 from published.erasure_outcomes where row_count > 0")[
        0
    ][0]
