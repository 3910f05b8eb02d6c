"""A dbt plugin for tests: lets Python models that run here find the emulator.

It takes nothing away from `dbt_bigframes_here`: the process beside dbt is the same one, told first
how the emulator differs from BigQuery.
"""

import os
import subprocess
import sys
from pathlib import Path

from dbt.plugins.manager import dbtPlugin


def run_forked(job: str, _: float) -> subprocess.CompletedProcess:
    """Run a job in a process that is forked, as importing takes longer than most of what is asked of it."""
    import commands

    done = commands.run("emulated-runner", [job], dict(os.environ), Path.cwd())
    sys.stdout.write(done.stdout)
    return done


class Emulated(dbtPlugin):
    """Starts the runner by way of `emulated_runner`: a process of its own where `EMULATED_RUNNER` says `process`."""

    def initialize(self) -> None:
        from dbt_bigframes_here import submission

        submission.RUNNER = "emulated_runner"
        if os.environ.get("EMULATED_RUNNER") != "process":
            submission.run = run_forked


plugins = [Emulated]
