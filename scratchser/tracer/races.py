"""Find the races of a launch in its log.

Two accesses to one address race if at least one of them is a write and they happen in no fixed order: in one interval
of a block if their threads are different, in the whole launch if their blocks are different.
"""

from itertools import permutations

import numpy as np

from scratchser.tracer.log import Accesses, Log
from scratchser.tracer.report import Fault


def races(log: Log, accesses: Accesses) -> list[Fault]:
    """One fault for each pair of sites: the first write, and the first access that races with it."""
    accesses = _in_bytes_where_sizes_mix(log, accesses)
    outside = _of_global_memory(log, accesses)
    faults = _faults(log, accesses, *_within(log, accesses), "no barrier between")
    return faults + _faults(log, outside, *_between(log, outside), "and blocks run in no fixed order")


def racing(log: Log, accesses: Accesses) -> np.ndarray:
    """Which accesses are to an address with a race, in the interval or between blocks. (n,) booleans."""
    outside = _of_global_memory(log, accesses)
    _, element = np.unique(accesses.address, return_inverse=True)
    place = accesses.interval * len(element) + element
    within, _ = _within(log, accesses)
    between, _ = _between(log, outside)
    return np.isin(place, place[within]) | np.isin(accesses.address, outside.address[between])


def _of_global_memory(log: Log, accesses: Accesses) -> Accesses:
    shared = np.array([site.memory.space == "shared" for site in log.sites], bool)[accesses.site]
    return Accesses(*(column[~shared] for column in accesses))


def _within(log: Log, accesses: Accesses) -> tuple[np.ndarray, np.ndarray]:
    """Conflicts of the threads of a block."""
    return _conflicts(log, accesses, accesses.interval, accesses.thread)


def _between(log: Log, outside: Accesses) -> tuple[np.ndarray, np.ndarray]:
    """Conflicts of blocks in global memory."""
    blocks = outside.thread // log.launch.threads
    return _conflicts(log, outside, np.zeros_like(blocks), blocks)


def _conflicts(log: Log, accesses: Accesses, scope: np.ndarray, actor: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Addresses that one actor (a thread or a block) writes and another one accesses, within each scope.

    Returns the positions of the first write and of the first access by another actor, (m,) each.
    """
    n = len(actor)
    if n == 0:
        return np.zeros(0, int), np.zeros(0, int)
    order = np.lexsort((accesses.address, scope))
    address, scope, actor = accesses.address[order], scope[order], actor[order]
    writes = np.array([site.verb == "writes" for site in log.sites])[accesses.site[order]]
    starts = np.flatnonzero(np.r_[True, (address[1:] != address[:-1]) | (scope[1:] != scope[:-1])])
    sizes = np.diff(starts, append=n)
    position = np.arange(n)

    def first(condition: np.ndarray) -> np.ndarray:
        """The first position for each address; n if there is none."""
        return np.minimum.reduceat(np.where(condition, position, n), starts)

    write = first(writes)
    writer = actor[np.minimum(write, n - 1)]
    other = first(actor != np.repeat(writer, sizes))
    found = (write < n) & (other < n)
    return order[write[found]], order[other[found]]


def _faults(log: Log, accesses: Accesses, write: np.ndarray, other: np.ndarray, why: str) -> list[Fault]:
    pairs = np.stack([accesses.site[write], accesses.site[other]], axis=1)
    _, firsts, times = np.unique(pairs, axis=0, return_index=True, return_counts=True)
    return [_fault(log, accesses, write[i], other[i], int(n), why) for i, n in zip(firsts, times, strict=True)]


def _fault(log: Log, accesses: Accesses, write: int, other: int, times: int, why: str) -> Fault:
    launch = log.launch
    blocks = [int(accesses.thread[i]) // launch.threads for i in (write, other)]
    memory = log.sites[accesses.site[write]].memory
    index, name = memory.element_at(int(accesses.address[write]))

    def access(i: int, block: int) -> str:
        site = log.sites[accesses.site[i]]
        of_block = "" if blocks[0] == blocks[1] else f" of {launch.block_name(block)}"
        return f"{launch.thread_name(int(accesses.thread[i]))}{of_block} {site.verb} at {site.line}"

    within = f" in {launch.block_name(blocks[0])}" if blocks[0] == blocks[1] else ""
    text = f"race on {name}{within}: {access(write, blocks[0])}, {access(other, blocks[1])}, {why}"
    return Fault("race", text, memory.name, index, times)


def _in_bytes_where_sizes_mix(log: Log, accesses: Accesses) -> Accesses:
    """Split accesses into bytes if arrays of different element sizes share memory: only then do two accesses to the
    same bytes have different addresses."""

    mixed = {
        a.number: a.itemsize
        for a, b in permutations(log.memories, 2)
        if a.itemsize != b.itemsize and a.start < b.start + b.data.nbytes and b.start < a.start + a.data.nbytes
    }
    if not mixed:
        return accesses
    sizes = np.array([mixed.get(site.memory.number, 1) for site in log.sites])[accesses.site]
    split = Accesses(*(np.repeat(column, sizes) for column in accesses))
    byte = np.arange(len(split.address)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return split._replace(address=split.address + byte)
