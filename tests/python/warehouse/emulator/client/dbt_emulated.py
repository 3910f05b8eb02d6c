"""A dbt plugin for tests: lets Python models that run here find the emulator.

It takes nothing away from `dbt_bigframes_here`: the process beside dbt is the same one, told first
how the emulator differs from BigQuery.
"""

from dbt.plugins.manager import dbtPlugin


class Emulated(dbtPlugin):
    """Starts the runner by way of `emulated_runner`."""

    def initialize(self) -> None:
        from dbt_bigframes_here import submission

        submission.RUNNER = "emulated_runner"


plugins = [Emulated]
