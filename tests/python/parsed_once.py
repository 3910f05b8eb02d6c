"""Imported by the process that commands are forked from: the project of a test's store is parsed in it once.

dbt makes what reads, writes and checks each of its classes when it first meets the class, and compiles a macro
when it first calls it. A process that is forked has it all, and a new store begins with what was parsed here.
"""

import contextlib
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from dbt.cli.main import dbtRunner
from dbt_common.clients.jinja import template_cache
from store import Store

from encoder_job.encoders import torch_libraries

torch_libraries.sentence_transformers()

# removed when the process ends
_FOLDER = TemporaryDirectory()
_STORE = Store(Path(_FOLDER.name))
PARSED = _STORE.target / "partial_parse.msgpack"

with patch.dict(os.environ, _STORE.environment), contextlib.chdir(_STORE.project):
    parsed = dbtRunner().invoke(["--quiet", "--no-static-parser", "parse"])
assert parsed.success, parsed.exception
for macro in parsed.result.macros.values():
    template_cache.get_node_template(macro)
