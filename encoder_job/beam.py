"""A run on Apache Beam: workers read, encode and land parts of the source, each by itself.

What goes through Beam is where rows are, and counts. Contents do not: an engine writes what it
shuffles, retries and logs to places of its own. That a part may be worked on twice does no harm,
since rows and parts of the landing are named by what they say.
"""

import os
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import apache_beam
import joblib
import typer
from apache_beam.metrics import Metrics, MetricsFilter
from apache_beam.options.pipeline_options import PipelineOptions

from encoder_job.assignment import Assignment
from encoder_job.errors import (
    EXIT_INTERRUPTED,
    EXIT_REFUSED,
    INTERRUPTED,
    Refusal,
    Unexpected,
    withheld,
)
from encoder_job.identity import KEY_VARIABLE, ContentMac
from encoder_job.landing import open_landing
from encoder_job.readers import Source
from encoder_job.runner import Runner
from encoder_job.silence import be_silent, quiet_libraries
from encoder_job.storage import shown

_NAMESPACE = "encoder-job"
# a worker's error comes back as text, amid that of Beam: what of it may be shown is marked
_KINDS = {kind.__name__: kind for kind in (Refusal, Unexpected)}
_MARKED = "<encoder-job {}>{}</encoder-job>"
_MARK = re.compile(r"<encoder-job (\w+)>(.*?)</encoder-job>", re.DOTALL)
_LOCAL_WORKER = "run_worker"  # the name that Beam gives the thread of a local worker process
_LAST_SECONDS = 20.0
_LOST = (
    "a worker process ended before its time, killed or out of memory; what has landed is whole, "
    "and the same command continues"
)
# in Python all through: the default local runner looks for a binary to download
_HERE = (
    "--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner",
    "--direct_running_mode=multi_processing",
    f"--direct_num_workers={joblib.cpu_count()}",
)

# what this process has opened, for all parts that it is given of one run; one at a time
_lock = threading.Lock()
_opened: dict[str, tuple[Source, Runner]] = {}


class EncodeShard(apache_beam.DoFn):
    """Encodes and lands what is new of a part of the source, and counts it."""

    def __init__(self, assigned: Assignment, run_id: str, key_id: str) -> None:
        self._assigned, self._run_id, self._key_id = assigned, run_id, key_id

    def process(self, shard: object) -> Iterator[None]:
        """Land a part, or raise an error that quotes no content."""
        quiet_libraries()
        be_silent()
        with _lock:
            try:
                source, runner = self._open()
                before = runner.counts.copy()
                runner.land(source.rows_of(shard, runner.is_wanted))
            except BaseException as error:
                # what the runner believes to be landed may not be: the next attempt looks again
                _opened.clear()
                if not isinstance(error, Refusal):
                    error = Unexpected(withheld(error))
                raise RuntimeError(_MARKED.format(type(error).__name__, error)) from None
            for name, count in (runner.counts - before).items():
                Metrics.counter(_NAMESPACE, name).inc(count)
        yield from ()

    def _open(self) -> tuple[Source, Runner]:
        if self._run_id not in _opened:
            landing = open_landing(self._assigned.landing)
            if not landing.has_tables():
                raise Refusal(
                    f"landing {shown(self._assigned.landing)}: a worker finds no tables there; "
                    "give a --landing that every worker reaches"
                )
            mac = ContentMac.from_environment()
            if mac.key_id != self._key_id:
                raise Refusal(
                    f"{KEY_VARIABLE} differs between a worker and whoever started the run; give "
                    "both the same"
                )
            runner = Runner(
                self._assigned.open_encoder(),
                self._assigned.registered,
                mac,
                landing,
                run_id=self._run_id,
            )
            _opened[self._run_id] = (self._assigned.open_source(), runner)
        return _opened[self._run_id]


@contextmanager
def _can_end(is_here: bool) -> Iterator[None]:
    """Have SIGTERM interrupt, and wait for no worker of this machine for ever, as Beam would."""
    is_lost = threading.Event()
    # Beam stops its workers on the way out, and may wait for those that do not answer
    last_resort = threading.Timer(_LAST_SECONDS, _exit, [is_lost])
    last_resort.daemon = True

    def interrupt(*_: object) -> None:
        if (is_here or is_lost.is_set()) and not last_resort.is_alive():
            last_resort.start()
        raise KeyboardInterrupt

    def ended(problem: threading.ExceptHookArgs) -> None:
        # of an interruption that a terminal or `timeout` tells them, too, workers end as well
        is_first = not (is_lost.is_set() or last_resort.is_alive())
        if is_first and problem.thread and problem.thread.name == _LOCAL_WORKER:
            is_lost.set()
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    previous, threading.excepthook = threading.excepthook, ended
    signals = (signal.SIGINT, signal.SIGTERM)
    handlers = {number: signal.signal(number, interrupt) for number in signals}
    try:
        yield
    except Exception as error:
        # of whichever runner
        found = _MARK.search(str(error))
        if not found:
            raise
        raise _KINDS[found[1]](found[2]) from None
    except KeyboardInterrupt:
        if not is_lost.is_set():
            raise
        raise Refusal(_LOST) from None
    finally:
        last_resort.cancel()
        threading.excepthook = previous
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _exit(is_lost: threading.Event) -> None:
    told, code = (_LOST, EXIT_REFUSED) if is_lost.is_set() else (INTERRUPTED, EXIT_INTERRUPTED)
    typer.echo(f"encoder-job: {told}", err=True)
    os._exit(code)


def run_on_beam(assigned: Assignment, source: Source, runner: Runner, options: list[str]) -> None:
    """Land what is new of a source on workers, and count it in the runner.

    `options` are Beam's own; without a `--runner` among them, processes of this machine work.
    """
    is_here = not any(option.startswith("--runner") for option in options)
    flags = [*_HERE, *options] if is_here else options
    encode = EncodeShard(assigned, runner.run_id, runner.mac.key_id)
    pipeline = apache_beam.Pipeline(options=PipelineOptions(flags))
    with runner.recorded(), _can_end(is_here):
        _ = (
            pipeline
            | "Shards" >> apache_beam.Create(list(source.shards()))
            | "Spread" >> apache_beam.Reshuffle()
            | "Encode" >> apache_beam.ParDo(encode)
        )
        result = pipeline.run()
        try:
            result.wait_until_finish()
        except KeyboardInterrupt:
            result.cancel()
            raise
        found = result.metrics().query(MetricsFilter().with_namespace(_NAMESPACE))
        for counter in found["counters"]:
            runner.counts[counter.key.metric.name] += counter.result
