"""A build may be killed at any moment: no snapshot of the past changes, and a later build completes what it began."""

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import commands
from store import Store

# each takes as long as a build; by hand, more of them
KILLS = int(os.environ.get("EMBEDDING_STORE_TEST_KILLS", "2"))
TAKEN = "OK created sql incremental model ledger.dataset_headers"
UNFINISHED = """
    select count(*) from ledger.dataset_headers
    where example_count > 0 and snapshot_id not in (select snapshot_id from ledger.dataset_snapshots)
"""
FIRST = datetime(2026, 8, 1, tzinfo=UTC)
PAST = ("ledger.dataset_headers", "ledger.dataset_snapshots", "ledger.training_records")


def asked(moments: list[datetime]) -> str:
    return "as_of: [" + ", ".join(f"'{moment:%Y-%m-%d %H:%M:%S}'" for moment in moments) + "]"


def build_and_kill(store: Store, moment: datetime, told: str, seconds: float) -> bool:
    """Build for a moment, and kill dbt so long after it told something. True if it was at work."""
    arguments = ["build", "--selector", "nightly", "--vars", asked([moment])]
    build = commands.Started("dbt", arguments, store.environment, store.project)
    while told not in build.said() and build.returncode is None:
        time.sleep(0.01)
    try:
        build.communicate(seconds)
    except subprocess.TimeoutExpired:
        build.send_signal(signal.SIGKILL)
        build.communicate()
        return True
    return False


def test_builds_killed_at_random_moments_change_no_past_snapshot(
    built: Store, tmp_path: Path, record_property: Callable
):
    chance = random.Random(5)
    store = built.copy(tmp_path / "killed")
    moments = [FIRST + timedelta(days=3 * number) for number in range(KILLS)]
    killed = begun = 0
    for number, moment in enumerate(moments):
        before = {table: set(map(str, store.contents(table))) for table in PAST}
        # every other one when it has just taken its snapshots, and has their rows still to write
        when = [(TAKEN, 0), ("", chance.uniform(5, 22))][number % 2]
        killed += build_and_kill(store, moment, *when)
        after = {table: set(map(str, store.contents(table))) for table in PAST}
        for table in PAST:
            assert before[table] <= after[table], table
        begun += store.query(UNFINISHED)[0][0] > 0
    assert begun >= (KILLS + 1) // 2, "no build was killed between headers and their rows"

    build = store.build_with_invariants("--vars", asked(moments))
    assert build.exit_code == 0, build.output[-4000:]
    whole = built.copy(tmp_path / "whole")
    build = whole.build_datasets("--vars", asked(moments))
    assert build.exit_code == 0, build.output[-4000:]
    for table in PAST[:2]:
        assert store.contents(table) == whole.contents(table), table
    record_property(
        "builds killed at random moments",
        f"{killed} of {len(moments)}, {begun} of them between headers and their rows; no past row changed, the next build completed all",
    )
