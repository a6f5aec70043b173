"""How many global and shared accesses each thread made, and of how many bytes."""

import numpy as np

from scratchser.tracer.log import Accesses, Log
from scratchser.tracer.report import Count, Counts


def counts(log: Log, accesses: Accesses) -> Counts:
    kinds = [(space, verb) for space in ("global", "shared") for verb in ("reads", "writes")]
    return Counts(*(_count(log, accesses, *kind) for kind in kinds))


def _count(log: Log, accesses: Accesses, space: str, verb: str) -> Count:
    wanted = np.array([site.memory.space == space and site.verb == verb for site in log.sites], bool)
    sizes = np.array([site.memory.itemsize for site in log.sites], np.int64)
    mask = wanted[accesses.site]
    thread, size = accesses.thread[mask], sizes[accesses.site[mask]]
    shape = log.blocks, log.launch.threads
    number = np.bincount(thread, minlength=shape[0] * shape[1])
    size = np.bincount(thread, weights=size, minlength=shape[0] * shape[1]).astype(np.int64)
    return Count(number.reshape(shape), size.reshape(shape))
