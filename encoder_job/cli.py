"""The commands: `encoder-job run`, `beam`, `backfill`, `verify`, `register`, `erase`, `sample`."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from encoder_job.assignment import Assignment
from encoder_job.errors import (
    EXIT_SOME_FAILED,
    EXIT_STOPPED,
    Refusal,
    guarded,
)
from encoder_job.progress import FORMATS, Progress
from encoder_job.registry import MODALITIES, STATES, UNIT_NORM_WITHIN, EncoderRow, Registry
from encoder_job.silence import be_silent, quiet_libraries
from encoder_job.storage import shown

if TYPE_CHECKING:
    from encoder_job.readers import Source
    from encoder_job.runner import Runner

# the heavy libraries are imported by the commands that need them, so that --help is quick

_MB = 1_000_000

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    # tracebacks with local variables would print what must not be seen
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Encode protected objects into events for the warehouse. No content is ever shown, "
    "logged or written.\n\n"
    "Exit codes: 0 all is well; 1 unexpected error; 2 refused, the message says how to mend it; "
    "3 finished, but some objects of the source have no vector (rows of encoding_failures); "
    "130 interrupted; 143 stopped by SIGTERM, what had been begun has landed.",
)

LandingOption = Annotated[
    str,
    typer.Option(
        envvar="EMBEDDING_STORE_LANDING",
        help="Folder or fsspec URL of the landing tables, or bigquery://project.dataset.",
    ),
]
ProjectOption = Annotated[
    Path,
    typer.Option(
        envvar="DBT_PROJECT_DIR", help="Folder with seeds/encoders.csv and encoder_job/probes/."
    ),
]
SourceOption = Annotated[
    str,
    typer.Option(
        metavar="MANIFEST",
        help="Objects: Parquet, CSV, JSON lines, or a folder of them (path or fsspec URL); or "
        "sql: and a file with a query, for the database of EMBEDDING_STORE_SOURCE_URL.",
    ),
]
LogOption = Annotated[
    str,
    typer.Option(
        envvar="EMBEDDING_STORE_LOG",
        help="text, or json: one object a line on stderr, every failed row among them.",
    ),
]
WorkersOption = Annotated[
    int | None,
    typer.Option(min=1, help="Objects encoded side by side; by default one a core, at most 8."),
]
MemoryOption = Annotated[
    int,
    typer.Option(
        "--memory-mb",
        envvar="EMBEDDING_STORE_MEMORY_MB",
        min=200,
        help="What contents that are read ahead may take, beside the encoder and three batches "
        "of 16 MB.",
    ),
]
EncoderOption = Annotated[
    str | None, typer.Option(help="Encoder id; by default the active one of the modality.")
]
ModalityOption = Annotated[
    str, typer.Option(help=f"What the objects are ({', '.join(MODALITIES)}), if no encoder says.")
]


@app.command()
@guarded
def run(
    source: SourceOption,
    encoder: EncoderOption = None,
    modality: ModalityOption = MODALITIES[0],
    landing: LandingOption = "landing/",
    workers: WorkersOption = None,
    memory: MemoryOption = 1_000,
    log: LogOption = FORMATS[0],
    project_dir: ProjectOption = Path(),
) -> int:
    """Encode the objects of a source and land the events that are not there yet.

    Run it again after an interruption: it continues, and lands nothing twice. The secret
    EMBEDDING_STORE_CONTENT_KEY, the same in every run, is what finds equal contents later.
    """
    row = _chosen(encoder, modality, project_dir)
    return _encode(
        Assignment(source, row, landing, project_dir, workers, memory * _MB),
        log,
        lambda objects, runner: runner.run(objects),
    )


@app.command(context_settings={"allow_extra_args": True})
@guarded
def beam(
    options: typer.Context,
    source: SourceOption,
    encoder: EncoderOption = None,
    modality: ModalityOption = MODALITIES[0],
    landing: LandingOption = "landing/",
    workers: Annotated[
        int, typer.Option(min=1, help="Objects that each worker encodes side by side.")
    ] = 1,
    memory: MemoryOption = 1_000,
    log: LogOption = FORMATS[0],
    project_dir: ProjectOption = Path(),
) -> int:
    """Do what `run` does on Apache Beam; what follows -- are Beam's own options.

    By default Beam starts a process for each core of this machine. Every worker needs the
    environment, the project folder and the source as they are here.
    """
    try:
        from encoder_job.beam import run_on_beam
    except ImportError:
        raise Refusal(
            "Apache Beam is not installed here; `make .venv-beam/installed` makes an environment "
            "that has it"
        ) from None
    row = _chosen(encoder, modality, project_dir)
    # workers stand elsewhere
    assigned = Assignment(source, row, landing, project_dir.resolve(), workers, memory * _MB)
    return _encode(
        assigned,
        log,
        lambda objects, runner: run_on_beam(assigned, objects, runner, options.args),
    )


@app.command()
@guarded
def backfill(
    source: SourceOption,
    encoder: Annotated[str, typer.Option(help="The new encoder's id.")],
    most_per_second: Annotated[
        float | None, typer.Option(min=0.01, help="Encode no more objects than so many a second.")
    ] = None,
    landing: LandingOption = "landing/",
    workers: WorkersOption = None,
    memory: MemoryOption = 1_000,
    log: LogOption = FORMATS[0],
    project_dir: ProjectOption = Path(),
) -> int:
    """Encode every object with a new encoder beside the old one, the newest objects first.

    It may be stopped and run again at any time. How far it is: published.encoder_coverage.
    """
    row = Registry(project_dir).get(encoder)
    return _encode(
        Assignment(source, row, landing, project_dir, workers, memory * _MB),
        log,
        lambda objects, runner: runner.run(
            objects, newest_first=True, most_per_second=most_per_second or inf
        ),
    )


@app.command()
@guarded
def verify(
    encoder: EncoderOption = None,
    modality: ModalityOption = MODALITIES[0],
    project_dir: ProjectOption = Path(),
) -> int:
    """Load a registered encoder, run its probe, and compare each vector alone and among others."""
    row = _chosen(encoder, modality, project_dir)
    from encoder_job.verification import checked_encoder, compared

    loaded, deviation, tolerance = checked_encoder(row, project_dir)
    alike = compared(loaded, tolerance)
    typer.echo(f"encoder_id           {row.encoder_id} ({row.state})")
    typer.echo(f"location             {row.location}")
    typer.echo(f"encoder_fingerprint  {loaded.fingerprint}")
    typer.echo(f"runtime              {loaded.runtime}")
    typer.echo(f"probe                off by {deviation:.1e} (allowed {tolerance:g})")
    typer.echo(f"alone, among others  {alike}")
    typer.echo("the encoder is the registered one, and computes what it computed then")
    return 0


@app.command()
@guarded
def register(
    encoder_id: Annotated[str, typer.Argument(help="The name that people will use.")],
    location: Annotated[
        str,
        typer.Option(
            help="A folder or checkpoint, package:<module>/<path>, or a hub id "
            "<org>/<name>[@revision]."
        ),
    ],
    loader: Annotated[
        str, typer.Option(help="How to load it; an unknown one is told which are known.")
    ] = "sentence-transformers",
    state: Annotated[
        str | None,
        typer.Option(help=f"{', '.join(STATES)}; by default candidate, or as it is."),
    ] = None,
    project_dir: ProjectOption = Path(),
) -> int:
    """Write an encoder's row in seeds/encoders.csv and its probe."""
    import numpy as np

    from encoder_job.encoders import load_encoder
    from encoder_job.probe import (
        probe_path,
        probe_vectors,
        public_contents,
        read_probe,
        write_probe,
    )

    registry = Registry(project_dir)
    old = registry.find(encoder_id)
    state = state or (old.state if old else "candidate")
    if state not in STATES:
        raise Refusal(f"--state {state}: a state is one of {', '.join(STATES)}")
    loaded = load_encoder(loader, location, project_dir)
    contents = public_contents(loaded.modality)
    vectors = probe_vectors(loaded, contents)
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1)
    row = EncoderRow(
        encoder_id=encoder_id,
        modality=loaded.modality,
        embedding_dim=vectors.shape[1],
        is_unit_norm=bool(np.abs(norms - 1).max() <= UNIT_NORM_WITHIN),
        encoder_fingerprint=loaded.fingerprint,
        loader=loader,
        location=location,
        state=state,
    )
    path = probe_path(project_dir, encoder_id)
    try:
        is_changed = registry.put(row)
        # a probe of this very encoder is kept: it is what later machines are measured against
        if not path.is_file() or read_probe(path, encoder_id).fingerprint != loaded.fingerprint:
            write_probe(path, loaded.fingerprint, contents, vectors)
    except OSError as error:
        raise Refusal(
            f"seeds/encoders.csv or encoder_job/probes/{path.name} cannot be written "
            f"({type(error).__name__}); allow writing and run the same command again"
        ) from None
    typer.echo(
        f"{encoder_id}: fingerprint {row.encoder_fingerprint}, {row.embedding_dim} dimensions, "
        f"{row.state}; {'seeds/encoders.csv written' if is_changed else 'nothing changed'}"
    )
    return 0


@app.command()
@guarded
def erase(landing: LandingOption = "landing/") -> int:
    """Remove the landed rows of the customers and objects that erasure_requests name.

    Requests stay, and keep these objects from being encoded again; `dbt build` removes the rows of
    the warehouse. Run it while no `run` is at work.
    """
    from encoder_job.erasure import requested_erasures
    from encoder_job.landing import open_landing

    target = open_landing(landing)
    # nothing is made where nobody asks for anything
    if not requested_erasures(target):
        raise Refusal(
            f"landing {shown(landing)}: no erasure_requests have landed here that name anybody; "
            "check the landing"
        )
    with target.alone():
        erased = requested_erasures(target)
        if erased.unclear_requests:
            request, told = min(erased.unclear_requests.items())
            raise Refusal(
                f"landing {shown(landing)}: erasure_requests: event_id {request} {told}, and run "
                "the same command again: nothing was erased"
            )
        target.ensure_tables()
        removed = target.erase(erased)
    told = ", ".join(f"{count} of {table}" for table, count in sorted(removed.items()) if count)
    typer.echo(f"erased rows: {told or 'none were left'}")
    return 0


@app.command()
@guarded
def sample(
    modality: ModalityOption = MODALITIES[0],
    review_count: Annotated[
        int | None,
        typer.Option("--reviews", min=1, help="Only the texts of so many reviews, not of all 300."),
    ] = None,
    image_count: Annotated[
        int, typer.Option("--images", min=1, help="At most so many images.")
    ] = 4_000,
    objects: Annotated[
        Path | None,
        typer.Option(
            help="Where the object manifest goes, the demo's protected source; by default "
            "sample/objects.parquet, and of images sample/images.parquet."
        ),
    ] = None,
    landing: LandingOption = "landing/",
    project_dir: ProjectOption = Path(),
) -> int:
    """Fetch the demo's objects with their ratings or labels, and land the business events.

    Contents, ratings and labels are real. SYNTHETIC, made from hashes of the ids: every time, who
    owns an image, and all account events; their event ids say so.
    """
    from encoder_job.landing import open_landing
    from encoder_job.samples import garments, images, reviews

    _check_modality(modality)
    name = "objects" if modality == "text" else "images"
    place = objects or Path("sample", f"{name}.parquet")
    target, cache = open_landing(landing), project_dir / "sample" / "source"
    if modality == "text":
        made = reviews.write_sample(target, place, cache, review_count)
    else:
        try:
            labelled = garments.labelled_images(cache)
        except Refusal as missing:
            from encoder_job.samples import digits

            typer.echo(f"{missing}: handwritten digits are taken instead", err=True)
            labelled = digits.labelled_images()
        made = images.write_sample(target, place, labelled, image_count)
    told = ", ".join(f"{count} {kind}" for kind, count in made.counts.items())
    typer.echo(
        f"{place} and {shown(landing)}: {told}: "
        f"{'written' if made.is_changed else 'already there, nothing changed'}"
    )
    return 0


def _encode(
    assigned: Assignment, log_format: str, work: "Callable[[Source, Runner], object]"
) -> int:
    """Open and check all that a run needs, and have the work done. Returns the exit code."""
    from encoder_job.identity import ContentMac
    from encoder_job.landing import open_landing
    from encoder_job.runner import Runner

    # what is quick to refuse comes first, and nothing is written before all has been checked
    if log_format not in FORMATS:
        raise Refusal(f"--log {log_format}: a log is one of {', '.join(FORMATS)}")
    mac = ContentMac.from_environment()
    objects = assigned.open_source()
    total = objects.check()
    target = open_landing(assigned.landing)
    loaded = assigned.open_encoder()
    with target.alone(), closing(Progress(total, log_format)) as progress:
        target.ensure_tables()
        runner = Runner(loaded, assigned.registered, mac, target, progress.fault, progress.update)
        with _stopping_at_sigterm(runner.stop):
            work(objects, runner)
        progress.finish(assigned.registered.encoder_id, runner.counts, runner.is_stopped)
    if runner.is_stopped:
        return EXIT_STOPPED
    return EXIT_SOME_FAILED if runner.counts["failed"] else 0


@contextmanager
def _stopping_at_sigterm(stop: Callable[[], None]) -> Iterator[None]:
    """Have SIGTERM stop a run in order."""
    previous = signal.signal(signal.SIGTERM, lambda *_: stop())
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def _chosen(encoder: str | None, modality: str, project_dir: Path) -> EncoderRow:
    registry = Registry(project_dir)
    if encoder:
        return registry.get(encoder)
    _check_modality(modality)
    return registry.active(modality)


def _check_modality(modality: str) -> None:
    if modality not in MODALITIES:
        raise Refusal(f"--modality {modality}: a modality is one of {', '.join(MODALITIES)}")


@app.callback()
def _quiet() -> None:
    quiet_libraries()


def main() -> None:
    """Run the command line, in a process that tells nothing but what this project says."""
    be_silent()
    try:
        app()
    except SystemExit as ended:
        # a store that never answers holds a thread, and Python would wait for it
        if threading.active_count() > 1:
            sys.stdout.flush()
            os._exit(ended.code)
        raise
