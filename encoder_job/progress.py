"""How far a run is: a bar on a terminal, plain lines anywhere else."""

import sys
import time

import typer
from tqdm import tqdm

_LINE_SECONDS = 10.0


class Progress:
    """Shows objects done, the rate and the time left."""

    def __init__(self, total: int) -> None:
        self._total, self._since = total, time.monotonic()
        self._last = self._since
        self._bar = tqdm(total=total, unit="object") if sys.stderr.isatty() else None

    def close(self) -> None:
        """Leave the terminal in order."""
        if self._bar:
            self._bar.close()

    def say(self, line: str) -> None:
        """Print a line, above the bar where there is one."""
        if self._bar:
            self._bar.write(line, file=sys.stderr)
        else:
            typer.echo(line, err=True)

    def update(self, done: int) -> None:
        """Tell how many objects are done."""
        if self._bar:
            self._bar.update(done - self._bar.n)
        elif time.monotonic() - self._last >= _LINE_SECONDS:
            self._last = time.monotonic()
            rate = done / (self._last - self._since)
            left = (self._total - done) / rate
            self.say(f"{done} of {self._total} objects, {rate:.0f}/s, about {left:.0f} s left")
