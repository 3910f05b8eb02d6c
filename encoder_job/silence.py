"""What keeps a process from telling anything but what this project says."""

import ctypes
import logging
import os
import resource
import sys
import threading
import warnings
from functools import cache

_PR_SET_DUMPABLE = 4  # of Linux's <sys/prctl.h>


def quiet_libraries() -> None:
    """Have libraries log and warn of nothing: that can quote what they were given."""
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")


@cache
def be_silent() -> None:
    """Have this process tell nothing but what this project says, on `sys.stderr`."""
    # a dump of a crashed process would hold contents, and the key
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        # a handler of dumps that is a program is not bound by the limit
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    # what compiled libraries write to the error output, a panic or a dump, can quote content
    told = os.dup(2)
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 2)
    # a path need not be text in anybody's encoding
    sys.stderr = os.fdopen(
        told, "w", buffering=1, encoding=sys.stderr.encoding, errors="backslashreplace"
    )
    threading.excepthook = sys.unraisablehook = lambda *_: None
