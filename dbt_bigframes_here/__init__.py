"""A dbt plugin: on BigQuery, Python models run here, with BigFrames as a client of the warehouse.

dbt-bigquery compiles a Python model to BigFrames code and has a notebook of Colab Enterprise run
it. This plugin runs the same code in a process beside dbt, with the libraries of the lock file and
the account of the profile: no notebook, no bucket, no Vertex AI. `EMBEDDING_STORE_PYTHON_MODELS`
says which of the two: `here` (the default) or `notebook`.

dbt imports every installed module whose name begins with `dbt_`, and starts its `plugins`; where
this package is not installed, as on the dbt platform, models run in the notebook.
"""

import os
import sys

from dbt.plugins.manager import dbtPlugin
from dbt_common.exceptions import DbtRuntimeError

PLACE_VARIABLE = "EMBEDDING_STORE_PYTHON_MODELS"


class BigFramesHere(dbtPlugin):
    """Puts the process beside dbt in the place of the notebook."""

    def initialize(self) -> None:
        """Replace dbt-bigquery's way of submission, unless the notebook is asked for."""
        place = os.environ.get(PLACE_VARIABLE, "here")
        if place not in ("here", "notebook"):
            raise DbtRuntimeError(f"{PLACE_VARIABLE}: {place!r} is neither here nor notebook")
        # dbt has read the profile by now: a target of another engine has not imported it
        adapter = sys.modules.get("dbt.adapters.bigquery.impl")
        if adapter and place == "here":
            from dbt_bigframes_here.submission import ProcessHelper

            adapter.BigFramesHelper = ProcessHelper


plugins = [BigFramesHere]
