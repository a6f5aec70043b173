"""What a worker of a cluster does: a fold at a time, an epoch's line after the other, until nobody waits for it."""

import json
import signal
import threading
from typing import Any

import numba
from distributed import get_worker
from numba.core import config

from scratchser.cv import remote
from scratchser.cv.workers import Row

_alone = threading.Lock()  # a fold at a time, even where another one that nobody waits for is still in its last epoch


class Stopped(Exception):
    """Nobody waits for this fold any more."""


def run(description: dict[str, Any], topic: str) -> None:
    """Run the fold of `foldrun.describe`; its result is on the disk, its epochs' lines are events of `topic`.

    The kernels get as many threads as the worker was started with.
    """
    worker = get_worker()
    key = worker.get_current_task()

    def check() -> None:
        task = worker.state.tasks.get(key)
        if task is None or task.state == "cancelled":  # by the process that asked for it, or because that is gone
            raise Stopped

    def notify(row: Row) -> None:
        check()
        worker.log_event(topic, json.dumps([key, row]))

    with _alone:
        check()
        numba.set_num_threads(min(worker.state.nthreads, config.NUMBA_NUM_THREADS))
        remote.run(description, notify, check)


def ignore_ctrl_c() -> None:
    """For workers that share a terminal with the process that started them: that one ends them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
