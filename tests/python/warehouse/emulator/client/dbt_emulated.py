"""A dbt plugin for tests: lets Python models that run here find the emulator.

The process beside dbt is that of `dbt_bigframes_here`, told first how the emulator differs from BigQuery.
It is forked, as importing takes longer than most of what is asked of it, and does not end with dbt;
where `EMULATED_RUNNER` says `process` it is started as it is without this plugin.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

from dbt.plugins.manager import dbtPlugin


def run_forked(job: str, seconds: float) -> subprocess.CompletedProcess:
    """Run a job in a process that is forked; what it prints is shown at its end."""
    import commands

    started = commands.Started("emulated-runner", [job], dict(os.environ), Path.cwd())
    try:
        told, errors = started.communicate(seconds)
    finally:
        started.send_signal(signal.SIGKILL)
    sys.stdout.write(told)
    return subprocess.CompletedProcess(started.args, started.returncode, told, errors)


class Emulated(dbtPlugin):
    """Runs models by way of `emulated_runner`."""

    def initialize(self) -> None:
        from dbt_bigframes_here import submission

        submission.RUNNER = "emulated_runner"
        if os.environ.get("EMULATED_RUNNER") != "process":
            submission.run = run_forked


plugins = [Emulated]
