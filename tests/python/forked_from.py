"""Imported by the process that commands are forked from: what none of them needs to do again, or at all.

dbt makes what reads, writes and checks each of its classes when it first meets the class, and compiles a macro
when it first calls it. A process that is forked has it all, and a new store begins with what was parsed here.
"""

import contextlib
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from dbt.cli.main import dbtRunner
from dbt.contracts.graph.manifest import ManifestStateCheck
from dbt.parser import manifest
from dbt_common.clients.jinja import template_cache
from dbt_common.events.base_types import BaseEvent, DebugLevel, EventLevel
from dbt_common.events.event_manager import EventManager
from store import Store

from encoder_job.encoders import torch_libraries

_fire_event = EventManager.fire_event
_state_check = manifest.ManifestLoader.build_manifest_state_check


def fire_event(
    manager: EventManager, event: BaseEvent, level: EventLevel | None = None, **options: object
) -> None:
    """Pass over what nobody reads."""
    if (level or event.level_tag()) != EventLevel.DEBUG:
        _fire_event(manager, event, level, **options)


def state_check(loader: manifest.ManifestLoader) -> ManifestStateCheck:
    """Leave out variables that are read when models are built: for any other one dbt parses everything anew."""
    variables = loader.root_project.cli_vars
    with patch.dict(variables):
        for name in ("as_of", "split_salt"):
            variables.pop(name, None)
        return _state_check(loader)


EventManager.fire_event = fire_event
# nor are such messages made
DebugLevel.__init__ = lambda *_, **__: None
manifest.ManifestLoader.build_manifest_state_check = state_check
# dbt writes its manifest before a command and after it, a fifth of the time of most: once will do
manifest.write_manifest = lambda *_: None

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
