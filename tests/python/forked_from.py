"""Imported by the process that commands are forked from: what none of them needs to do again, or at all.

dbt makes what reads, writes and checks each of its classes when it first meets the class, and compiles a macro
when it first calls it. A process that is forked has it all, and a new store begins with what was parsed here.
"""

import contextlib
import functools
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import parsedatetime
from dbt.cli.main import dbtRunner
from dbt.compilation import Compiler, Linker
from dbt.context.macros import MacroNamespace
from dbt.context.manifest import ManifestContext
from dbt.contracts.graph.manifest import Manifest, ManifestStateCheck
from dbt.parser import manifest
from dbt_common.behavior_flags import BehaviorFlagRendered
from dbt_common.clients.jinja import MacroFuzzEnvironment, template_cache
from dbt_common.events.base_types import BaseEvent, DebugLevel, EventLevel
from dbt_common.events.event_manager import EventManager
from store import Store

from encoder_job.encoders import torch_libraries

_fire_event = EventManager.fire_event
_state_check = manifest.ManifestLoader.build_manifest_state_check
_from_msgpack = Manifest.from_msgpack
_context = ManifestContext.to_dict
_compile = MacroFuzzEnvironment.compile
_templates: dict = {}


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


def from_msgpack(content: bytes, **options: object) -> Manifest:
    """Hand out what was read here already; whoever is forked has a copy of its own."""
    return _READ if content == _CONTENT else _from_msgpack(content, **options)


def context(found: ManifestContext) -> dict:
    """Name the macros of all places at once, those found first last, rather than look each up."""
    if not isinstance(found.namespace, MacroNamespace):
        return _context(found)
    named = super(ManifestContext, found).to_dict()
    for macros in reversed([*found.namespace._search_order()]):
        named.update(macros)
    return named


def compile_template(
    environment: MacroFuzzEnvironment, source: str, *place: object, **options: object
) -> object:
    """Compile a text once: hundreds of data tests differ only in what it is rendered with."""
    if place or options:
        return _compile(environment, source, *place, **options)
    key = type(environment), source
    if key not in _templates:
        _templates[key] = _compile(environment, source)
    return _templates[key]


EventManager.fire_event = fire_event
ManifestContext.to_dict = context
MacroFuzzEnvironment.compile = compile_template
# nor are messages made that nobody reads
DebugLevel.__init__ = lambda *_, **__: None
manifest.ManifestLoader.build_manifest_state_check = state_check
# dbt writes its manifest before a command and after it, a fifth of the time of most: once will do
manifest.write_manifest = lambda *_: None
# nobody reads a picture of its graph, or where a flag was declared
Compiler.write_graph_file = lambda *_: None
Linker.get_graph_summary = lambda *_: {}
BehaviorFlagRendered._default_source = staticmethod(lambda: "")
# made for every answer to a query
parsedatetime.Constants = functools.cache(parsedatetime.Constants)

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
# what writes a manifest is made when the first one is written
parsed.result.write(str(_STORE.target / "manifest.json"))
_CONTENT = PARSED.read_bytes()
_READ = _from_msgpack(_CONTENT, decoder=manifest.extended_mashumuro_decoder)
Manifest.from_msgpack = from_msgpack
