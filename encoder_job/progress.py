"""What a run tells: a bar on a terminal, plain lines anywhere else, or JSON for a log store.

Whatever the form: places, reasons and numbers, never an id or a content.
"""

import sys
import time

import typer
from tqdm import tqdm

from encoder_job.errors import REASONS, log_json

FORMATS = ("text", "json")
_LINE_SECONDS = 10.0
_FAULTS_SHOWN = 20


class Progress:
    """Tells how far a run is, the rate and the time left, and the first rows that failed."""

    def __init__(self, total: int, log_format: str) -> None:
        self._total, self._since = total, time.monotonic()
        self._last, self._faults = self._since, 0
        self._is_json = log_format == "json"
        is_shown = sys.stderr.isatty() and not self._is_json
        self._bar = tqdm(total=total, unit="object") if is_shown else None

    def close(self) -> None:
        """Leave the terminal in order."""
        if self._bar:
            self._bar.close()

    def fault(self, place: str, reason: str) -> None:
        """Tell of a row that failed: where it stands and why, but not what it is."""
        self._faults += 1
        if self._is_json:
            log_json("row_failed", place=place, reason=reason)
        elif self._faults <= _FAULTS_SHOWN:
            self._say(f"{place}: {reason}: {REASONS[reason]}")

    def update(self, done: int) -> None:
        """Tell how many objects are done."""
        if self._bar:
            self._bar.update(done - self._bar.n)
        elif done and time.monotonic() - self._last >= _LINE_SECONDS:
            self._last = time.monotonic()
            rate = done / (self._last - self._since)
            left = (self._total - done) / rate
            if self._is_json:
                log_json("progress", done=done, total=self._total, seconds_left=round(left))
            else:
                told = f"{done} of {self._total} objects, {rate:.0f}/s, about {left:.0f} s left"
                self._say(told)

    def finish(self, encoder_id: str, counts: dict[str, int], was_stopped: bool) -> None:
        """Tell what a run did; plain lines go to stdout, as what a command gives."""
        seconds = time.monotonic() - self._since
        if self._is_json:
            told = dict(counts) | {"encoder_id": encoder_id, "seconds": round(seconds, 1)}
            log_json("stopped" if was_stopped else "finished", **told)
            return
        if self._faults > _FAULTS_SHOWN:
            self._say(f"... and {self._faults - _FAULTS_SHOWN} more failed rows")
        if not any(counts[table] for table in ("object_events", "embedding_events")):
            typer.echo("nothing new to encode")
        typer.echo(
            f"{encoder_id}: read {counts['read']} objects in {seconds:.0f} s; landed "
            f"{counts['object_events']} object events, {counts['embedding_events']} embedding "
            f"events (texts cut to the encoder's length: {counts['truncated']}), "
            f"{counts['encoding_failures']} failures; {counts['already']} were there already, "
            f"{counts['repeats']} exact repeats, {counts['erased']} erased, "
            f"{counts['failed']} rows failed"
        )
        if was_stopped:
            self._say("stopped before the end of the source; the same command continues")

    def _say(self, line: str) -> None:
        """Print a line, above the bar where there is one."""
        if self._bar:
            self._bar.write(line, file=sys.stderr)
        else:
            typer.echo(line, err=True)
