"""What can go wrong, as words and codes that never carry an object's content."""

import json
import os
import sys
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path

import typer

_PACKAGE = Path(__file__).parent

EXIT_UNEXPECTED = 1
EXIT_REFUSED = 2
EXIT_SOME_FAILED = 3
EXIT_INTERRUPTED = 130
EXIT_STOPPED = 143
INTERRUPTED = "interrupted; the same command continues"

# reason code -> what it means and what to do; the codes are rows of `encoding_failures`
REASONS = {
    "malformed_row": "the row is no record with the columns of the header; mend the row",
    "invalid_utf8": "a value is not valid UTF-8; export the source again as UTF-8",
    "missing_object_id": "every object needs its id",
    "missing_customer_id": "every object needs the id of its customer",
    "missing_source_reference": "every object needs the place where an authorised person opens it",
    "missing_object_created_at": "every object needs the time of its creation",
    "missing_content": "neither `content` nor `content_uri` has a value",
    "invalid_object_id": "an id is a text or a whole number",
    "invalid_object_version": "a version is a text or a whole number",
    "invalid_customer_id": "an id is a text or a whole number",
    "invalid_source_reference": "a source reference is a text or a whole number",
    "invalid_object_created_at": "a time is ISO 8601, UTC where it names no zone",
    "invalid_landed_at": "a time is ISO 8601, UTC where it names no zone",
    "known_before_it_happened": "`landed_at` is before `object_created_at`; mend the one that is "
    "wrong (a time without a zone is UTC)",
    "in_the_future": "the time lies more than a day ahead of this machine's clock; mend it",
    "invalid_content": "`content` holds a text, or an image's bytes; `content_uri` is a text",
    "empty_content": "there is nothing to encode; what is there later needs a new "
    "`object_version` with a time of its own",
    "content_missing": "there is nothing at `content_uri`",
    "content_unreadable": "what is at `content_uri` could not be opened, nor given by a database",
    "content_too_large": "a content has at most 100 MB; keep it out of the source, or cut it",
    "image_too_large": "an image has at most 100 million pixels; make it smaller, as a new "
    "`object_version` with a time of its own",
    "image_unreadable": "this is no whole JPEG, PNG or WebP image; export it again, as a new "
    "`object_version` with a time of its own",
    "content_changed": "other content under the same version; give it a new `object_version` with "
    "a time of its own",
    "version_without_time": "another version came into being at that very time, so nobody can tell "
    "which is the newer; give each version its own `object_created_at`",
    "duplicate_object": "the same id and version with other metadata; keep one of the two",
    "encoder_error": "the encoder failed on this content",
    "vector_not_finite": "the encoder gave a vector with NaN or infinity",
    "vector_not_unit_norm": "the encoder gave a vector of another length than 1, as of a text "
    "without a token",
}


class Refusal(Exception):  # noqa: N818 - a refusal is not an error of the program
    """The job does not start, or stops: the message names the place, the rule and the remedy."""


class Unexpected(Exception):  # noqa: N818 - what it tells of has been caught elsewhere
    """An unexpected error of a worker, told as `withheld` tells of one."""


def guarded(command: Callable) -> Callable:
    """Turn every way in which a command can end into one line on stderr and an exit code.

    Nothing of an unexpected exception is shown but its type and place: the messages of
    libraries can quote what they were given, which here is an object's content.
    """

    @wraps(command)
    def run(*args: object, **options: object) -> None:
        def tell(event: str, message: str) -> None:
            if options.get("log") == "json":
                log_json(event, message=message)
            else:
                typer.echo(f"encoder-job: {message}", err=True)

        try:
            code = command(*args, **options)
        except Refusal as refusal:
            tell("refused", str(refusal))
            code = EXIT_REFUSED
        except KeyboardInterrupt:
            tell("interrupted", INTERRUPTED)
            code = EXIT_INTERRUPTED
        except BrokenPipeError:
            # the reader of our output went away; Python's flush at exit must not complain too
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            code = EXIT_UNEXPECTED
        except (SystemExit, typer.Exit):
            raise
        except Unexpected as error:
            tell("failed", str(error))
            code = EXIT_UNEXPECTED
        except BaseException as error:
            # a panic of a library in Rust is no Exception
            tell("failed", withheld(error))
            code = EXIT_UNEXPECTED
        raise typer.Exit(code or 0)

    return run


def withheld(error: BaseException) -> str:
    """Tell of an unexpected error by its type and place."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if Path(frame.filename).parent.is_relative_to(_PACKAGE)]
    places = dict.fromkeys(_place(frame) for frame in (*ours[-1:], frames[-1]))
    return (
        f"unexpected {type(error).__name__} at {', in '.join(reversed(places))} (its message is "
        "withheld, it may quote content); what has landed is whole, run again"
    )


def _place(frame: traceback.FrameSummary) -> str:
    return f"{Path(frame.filename).name}:{frame.lineno}"


def log_json(event: str, **fields: object) -> None:
    """Write one JSON object as a line of the error output."""
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    typer.echo(json.dumps({"at": at, "event": event} | fields), err=True)
