"""Python in another process, for what is read when a module is imported, and a command's main function in this one."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path


def python(*arguments: object, code: int = 0, cwd: Path | str | None = None, **environment: str):
    """A process that has ended with this exit code, as subprocess.run returns it; `environment` has what differs."""
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, env=os.environ | environment, capture_output=True, text=True)
    assert done.returncode == code, done.stdout + done.stderr
    return done


def exit_code(main: Callable[[list[str]], int], *arguments: object) -> int:
    """Of a command's main function; of argparse if it refuses the arguments."""
    try:
        return main([str(argument) for argument in arguments])
    except SystemExit as exit:
        return exit.code
