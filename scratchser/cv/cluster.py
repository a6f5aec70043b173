"""Folds on many machines: on the workers of a dask.distributed scheduler. The numbers are the same, to the bit.

    this process      submits a fold job for each fold (fold_job.py) and reads the results from the disk
    the scheduler     gives a fold to a free worker, and to another one if that worker is lost
    a worker          runs one fold at a time and sends a row after each epoch

A finished fold is never run again; an interrupted one continues after its last epoch. docs/cluster.md tells how to set
this up. A worker takes a fold for its resource FOLD, or GPU, of which it has exactly 1.
"""

import asyncio
import json
import logging
import os
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from importlib import import_module
from queue import SimpleQueue
from typing import Any

from scratchser.cv import fold_job
from scratchser.cv.options import LOCAL
from scratchser.cv.workers import Notify, Task, WorkerError
from scratchser.support.environment import threads
from scratchser.support.errors import UsageError
from scratchser.support.gpu import choose
from scratchser.support.terminal import say

CONNECT_SECONDS = 10.0  # to reach a scheduler
STORAGE_SECONDS = 120  # until a worker's file is visible here: network file systems cache what they show

RESUME = "What is finished is kept: continue with the same command and --resume --out RUN"


class ClusterError(UsageError):
    """A cluster that cannot be used. The message says what to do."""


class Cluster:
    """A connection to a scheduler: a dask Client, and the device of the workers, as --device has it."""

    def __init__(self, client: Any, device: str) -> None:
        self.client, self.device, self.resource = client, device, resource(device)

    def count_workers(self) -> int:
        """How many workers can take a fold. Raises ClusterError if there are workers, but none for these folds."""
        known = self.client.scheduler_info(n_workers=-1)["workers"]
        offers = {address: worker["resources"].get(self.resource) for address, worker in known.items()}
        advice = f"start workers with --resources {self.resource}=1"
        if wrong := [f"{address} offers {offer:g}" for address, offer in offers.items() if offer not in (None, 1)]:
            raise ClusterError(f"a worker runs one fold at a time, but {wrong[0]}: {advice}")
        if known and set(offers.values()) == {None}:
            raise ClusterError(f"none of the scheduler's {len(known)} workers takes a fold: {advice}")
        return sum(offer == 1 for offer in offers.values())

    def run_folds(self, tasks: Sequence[Task], notify: Notify) -> Iterator[tuple[Task, dict[str, Any]]]:
        """As `workers.run_folds`. Raises WorkerError if the scheduler is gone or a fold's workers die repeatedly.

        An error in one fold, and Ctrl-C, end the other folds too, each after its current epoch.
        """
        if self.count_workers() == 0:
            say(f"the scheduler has no worker yet: folds start when one joins, with --resources {self.resource}=1")
        topic = f"scratchser-{uuid.uuid4().hex}"
        waiting = {f"{topic}-{number}": task for number, task in enumerate(tasks)}
        events: SimpleQueue[tuple[str, Any]] = SimpleQueue()  # (key, row or finished future), from dask's thread
        self.client.subscribe_topic(topic, lambda event: events.put(json.loads(event[1])))
        jobs = {key: fold_job.serialise(task, self.device) for key, task in waiting.items()}
        needs = {self.resource: 1}
        futures = [self.client.submit(_work(), job, topic, key=key, resources=needs) for key, job in jobs.items()]
        try:
            for future in futures:
                future.add_done_callback(lambda done: events.put((done.key, done)))
            while waiting:
                key, event = events.get()
                if key not in waiting:  # the last row of a fold may come after its end
                    continue
                if isinstance(event, dict):
                    notify(waiting[key], event)
                else:
                    _raise_error(event)
                    task = waiting.pop(key)
                    yield task, _read_result(task)
        finally:
            with suppress(OSError, TimeoutError):  # the scheduler may be gone
                self.client.cancel(futures)
                self.client.unsubscribe_topic(topic)


def resource(device: str) -> str:
    """A worker needs exactly one of this resource."""
    return "GPU" if device.startswith("cuda") else "FOLD"


@contextmanager
def connect(address: str, device: str, workers: int) -> Iterator[Cluster]:
    """The cluster of a scheduler's address; for LOCAL, one of `workers` workers that ends with the `with`.

    Raises ClusterError if dask.distributed is missing, no scheduler answers, or its workers are not for folds, and
    DeviceError for an unknown device.
    """
    choose(device, lambda number: None)
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # `_raise_error` reports a lost scheduler
    try:
        import distributed
    except ImportError as error:
        raise ClusterError("--cluster needs dask.distributed: pip install -e '.[cluster]'") from error
    with ExitStack() as stack:
        local = address == LOCAL
        if local:
            servers = distributed.LocalCluster(
                n_workers=workers,
                threads_per_worker=threads(workers),
                resources={resource(device): 1},
                memory_limit=0,  # dask would count the shared, mapped features as each worker's own memory and stop it
                dashboard_address="127.0.0.1:0",  # any free port
                silence_logs=logging.ERROR,
            )
            address = stack.enter_context(servers).scheduler_address
        try:  # a Client alone waits for ever for an address that accepts a connection and never answers
            asyncio.run(asyncio.wait_for(_identity(address), CONNECT_SECONDS + 1))
            client = stack.enter_context(distributed.Client(address, timeout=CONNECT_SECONDS, set_as_default=False))
        except (OSError, ValueError, TypeError) as error:  # TypeError: tls:// without certificates
            reason = str(error) or "something accepts connections there, but does not answer"
            raise ClusterError(
                f"--cluster {address}: no scheduler answers within {CONNECT_SECONDS:g} s ({reason}). Start one with"
                " `dask scheduler` and give the tcp address that it prints"
            ) from error
        if local:  # Ctrl-C reaches the workers too; the cluster's end stops them
            client.run(fold_job.ignore_ctrl_c)
        cluster = Cluster(client, device)
        cluster.count_workers()
        yield cluster


async def _identity(address: str) -> Any:
    from distributed.core import rpc
    from distributed.security import Security

    tls = Security().get_connection_args("client")  # of dask's configuration, as a Client uses it
    async with rpc(address, timeout=CONNECT_SECONDS, connection_args=tls) as scheduler:
        return await scheduler.identity()


def _work() -> Callable[[dict[str, Any], str], None]:
    """What a worker runs. A lambda is sent as code, so a worker without scratchser can report that."""
    return lambda job, topic: import_module("scratchser.cv.fold_job").run_on_worker(job, topic)


def _raise_error(future: Any) -> None:
    """Raise the error of a future that is done, if it has one."""
    from distributed import KilledWorker

    if future.status in ("cancelled", "lost"):
        raise WorkerError(f"the scheduler is gone. {RESUME}, once there is one again")
    try:
        future.result()
    except ImportError as error:
        raise WorkerError(
            f"a worker cannot import this program ({error}): install the same version of scratchser on all machines"
            " and start the workers again"
        ) from error
    except KilledWorker as error:
        raise WorkerError(
            f"several workers died in the same fold, often for lack of memory. {RESUME}, perhaps with fewer workers on"
            " each machine"
        ) from error


def _read_result(task: Task) -> dict[str, Any]:
    """The result of a finished fold, once this machine sees it."""
    for _ in range(2 * STORAGE_SECONDS):
        if (result := task.folder.result()) is not None:
            return result
        time.sleep(0.5)
        with suppress(OSError):
            os.listdir(task.folder.path)  # makes a network file system look again
    raise WorkerError(
        f"a worker has finished fold {task.fold.number}, but {task.folder.path} does not show it: --out has to be on"
        " storage that all machines share"
    )
