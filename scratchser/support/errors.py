"""Errors that end a command with one line on stderr, and the exit codes: 0 done, 1 failed, 2 a wrong command line."""

import sys
from argparse import Namespace
from collections.abc import Callable


class UsageError(ValueError):
    """The command cannot do what its arguments say. The message says why and what to change."""


class ProcessingError(Exception):
    """The command was right, but something failed. The message says what failed and how to continue."""


def exit_code(run: Callable[[Namespace], int], args: Namespace, interrupted: str = "interrupted") -> int:
    """Returns what `run(args)` returns; prints an error and returns 1 or 2 if it fails."""
    try:
        return run(args)
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except (ProcessingError, MemoryError) as error:
        print(f"error: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print(interrupted, file=sys.stderr)
    return 1
