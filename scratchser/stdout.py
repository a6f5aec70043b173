"""Standard output that may lead into `head`."""

import os
import sys


def write(text: str) -> None:
    """Print a text, ending with a newline. Where its reader has gone, the program ends quietly, with exit code 1."""
    try:
        print(text.removesuffix("\n"))
        sys.stdout.flush()  # here and not at exit, where the error could not be caught
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what the interpreter still flushes
        sys.exit(1)
