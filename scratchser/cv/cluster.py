"""Folds on many machines: on the workers of a dask.distributed scheduler. The numbers are the same, to the bit.

    this process      describes each fold (foldrun.py) and hands it to the scheduler; reads results from the disk
    the scheduler     gives a fold to a worker that is free, and to another one where that worker is lost
    a worker          runs one fold at a time (cluster_worker.py), and sends its epochs' lines

What lies in the run's folder is the truth: a fold that is done is never run again, and one that was cut off goes on
from its last epoch, whoever died. docs/cluster.md tells how to set this up.

A worker takes a fold for its resource FOLD, or GPU where the device is one, of which it has to have exactly 1: folds
beside each other in a process would share Numba's threads.
"""

import asyncio
import json
import logging
import os
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from scratchser.cv import remote
from scratchser.cv.options import LOCAL
from scratchser.cv.workers import Notify, Task, WorkerError
from scratchser.support.environment import threads
from scratchser.support.errors import UsageError
from scratchser.support.gpu import choose
from scratchser.support.terminal import say

if TYPE_CHECKING:
    from distributed import Client, Future


SECONDS = 10.0  # to reach a scheduler
SHARED = 120.0  # seconds until a file that a worker wrote has to be seen here; network file systems keep old views

GO_ON = "What is done is kept: the same command with --resume --out RUN goes on"


class ClusterError(UsageError):
    """A cluster that cannot be used, and what helps, in one line for the user."""


class Cluster:
    """A connection to a scheduler.

    device     where the workers compute, in the words of --device
    resource   what a worker has to have one of for that
    """

    def __init__(self, client: "Client", device: str) -> None:
        self.client, self.device, self.resource = client, device, resource(device)

    def workers(self) -> int:
        """How many can take a fold now. Raises ClusterError where there are workers, but none for these folds."""
        known = self.client.scheduler_info(n_workers=-1)["workers"]
        offers = {address: worker["resources"].get(self.resource) for address, worker in known.items()}
        how = f"start workers with --resources {self.resource}=1"
        if wrong := [f"{address} offers {offer:g}" for address, offer in offers.items() if offer not in (None, 1)]:
            raise ClusterError(f"a worker runs one fold at a time, but {wrong[0]}: {how}")
        if known and set(offers.values()) == {None}:
            raise ClusterError(f"none of the scheduler's {len(known)} workers takes a fold: {how}")
        return sum(offer == 1 for offer in offers.values())

    def run_folds(self, tasks: Sequence[Task], notify: Notify) -> Iterator[tuple[Task, dict[str, Any]]]:
        """As `workers.run_folds`. Raises WorkerError where the scheduler is gone or a fold's workers die repeatedly.

        An error in one fold, and Ctrl-C, end the other folds too, each after the epoch it is in.
        """
        if self.workers() == 0:
            say(f"the scheduler has no worker yet: folds begin when one comes, with --resources {self.resource}=1")
        topic = f"scratchser-{uuid.uuid4().hex}"
        asked = {f"{topic}-{number}": task for number, task in enumerate(tasks)}
        inbox: SimpleQueue[Callable[[], Any]] = SimpleQueue()
        self.client.subscribe_topic(topic, lambda event: inbox.put(lambda: self._hear(asked, event[1], notify)))
        futures = [
            self.client.submit(
                _work(),
                remote.describe(task, self.device),
                topic,
                key=key,
                resources={self.resource: 1},
            )
            for key, task in asked.items()
        ]
        try:
            for future in futures:
                future.add_done_callback(lambda done: inbox.put(partial(self._done, done)))
            while asked:
                if key := inbox.get()():
                    task = asked.pop(key)
                    yield task, _result(task)
        finally:
            with suppress(OSError, TimeoutError):  # of a scheduler that is gone
                self.client.cancel(futures)
                self.client.unsubscribe_topic(topic)

    def _hear(self, asked: dict[str, Task], line: str, notify: Notify) -> None:
        key, row = json.loads(line)
        if key in asked:  # a fold's last line may come after its end
            notify(asked[key], row)

    def _done(self, future: "Future") -> str:
        """The key of a fold that is done; its error is raised."""
        from distributed import KilledWorker

        if future.status in ("cancelled", "lost"):
            raise WorkerError(f"the scheduler is gone. {GO_ON}, once there is one again")
        try:
            future.result()
        except ImportError as error:
            raise WorkerError(
                f"a worker does not find this program ({error}): install the same version of scratchser on all machines"
                " and start the workers again"
            ) from error
        except KilledWorker as error:
            raise WorkerError(
                f"a fold's workers died one after the other, often for lack of memory. {GO_ON}, perhaps with fewer"
                " workers on each machine"
            ) from error
        return future.key


def resource(device: str) -> str:
    """What a worker needs to have one of."""
    return "GPU" if device.startswith("cuda") else "FOLD"


@contextmanager
def connect(address: str, device: str, count: int) -> Iterator[Cluster]:
    """The cluster of a scheduler's address; of LOCAL, one of `count` workers that ends with the `with`.

    Raises ClusterError where dask.distributed is not installed, the scheduler is not to be reached, or its workers are
    not for folds, DeviceError for a device that no machine has.
    """
    choose(device, lambda number: None)
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # a scheduler that is gone is told below
    try:
        import distributed
    except ImportError as error:
        raise ClusterError("--cluster needs dask.distributed: pip install 'scratchser[cluster]'") from error
    with ExitStack() as stack:
        there: Any = address
        if address == LOCAL:
            local = distributed.LocalCluster(
                n_workers=count,
                threads_per_worker=threads(count),
                resources={resource(device): 1},
                memory_limit=0,  # dask would count the features' mapped pages as each worker's own, and end it
                dashboard_address="127.0.0.1:0",  # any free port: nobody looks at it
                silence_logs=logging.ERROR,  # workers that end slowly are no matter for the user
            )
            there = stack.enter_context(local)
        try:
            if address != LOCAL:  # a client waits for ever for one that takes a connection and says nothing
                asyncio.run(asyncio.wait_for(_identity(address), SECONDS + 1))
            client = stack.enter_context(distributed.Client(there, timeout=SECONDS, set_as_default=False))
        except (OSError, ValueError, TypeError) as error:  # TypeError: tls:// without certificates
            why = str(error) or "something listens there, but says nothing"
            raise ClusterError(
                f"--cluster {address}: no scheduler answers there within {SECONDS:g} s ({why}). Start one by"
                " `dask scheduler` and give the tcp address that it prints"
            ) from error
        if address == LOCAL:
            from scratchser.cv import cluster_worker

            client.run(cluster_worker.ignore_ctrl_c)
        cluster = Cluster(client, device)
        cluster.workers()
        yield cluster


async def _identity(address: str) -> Any:
    """What a scheduler says of itself."""
    from distributed.core import rpc
    from distributed.security import Security

    keys = Security().get_connection_args("client")  # of dask's configuration, as a Client takes them
    async with rpc(address, timeout=SECONDS, connection_args=keys) as scheduler:
        return await scheduler.identity()


def _work() -> Callable[[dict[str, Any], str], None]:
    """What a worker does, sent as code and not as a name: one that lacks the program can then say so, and lives on."""

    def run(description: dict[str, Any], topic: str) -> None:
        from scratchser.cv import cluster_worker

        cluster_worker.run(description, topic)

    return run


def _result(task: Task) -> dict[str, Any]:
    """What the worker has written."""
    until = time.monotonic() + SHARED
    while (result := task.folder.result()) is None:
        if time.monotonic() > until:
            raise WorkerError(
                f"a worker has finished fold {task.fold.number}, but {task.folder.path} does not show it: --out has to"
                " be on storage that all machines share"
            )
        time.sleep(0.5)
        with suppress(OSError):
            os.listdir(task.folder.path)  # makes a network file system look again
    return result
