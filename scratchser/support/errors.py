"""Errors that end a command with one line on stderr, and the exit codes: 0 done, 1 failed, 2 a wrong command line."""

import io
import os
import re
import sys
from argparse import Namespace
from collections.abc import Callable

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")  # characters that a message or a file name must not have
LONGEST = 1000  # characters of a line


class UsageError(ValueError):
    """The command cannot do what its arguments say. The message says why and what to change."""


class ProcessingError(Exception):
    """The command was right, but something failed. The message says what failed and how to continue."""


def one_line(text: str) -> str:
    """The text without control characters, and without the middle of a very long one."""
    text = CONTROL.sub("?", text)
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]} ... {text[-LONGEST // 2 :]}"


def exit_code(run: Callable[[Namespace], int], args: Namespace) -> int:
    """Returns what `run(args)` returns; prints an error and returns 1 or 2 if it fails.

    Ctrl-C prints the message of the KeyboardInterrupt, if `run` raises one with a message.
    """
    _open_streams()
    try:
        return run(args)
    except UsageError as error:
        print(f"error: {one_line(str(error))}", file=sys.stderr)
        return 2
    except (ProcessingError, MemoryError) as error:
        print(f"error: {error}", file=sys.stderr)
    except UnicodeEncodeError as error:  # the name of a file, in a manifest
        print(
            f"error: {error.object!r} cannot be written in the encoding {error.encoding}: set PYTHONUTF8=1",
            file=sys.stderr,
        )
    except KeyboardInterrupt as interrupt:
        print(str(interrupt) or "interrupted", file=sys.stderr)
    return 1


def _open_streams() -> None:
    """Let any name be printed, as \\u.... where the encoding of stdout lacks a letter, and replace closed streams."""
    sys.stdout = sys.stdout or os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8")
    sys.stderr = sys.stderr or os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8")
    if isinstance(sys.stdout, io.TextIOWrapper):  # a notebook has another stream
        sys.stdout.reconfigure(errors="backslashreplace")
