"""Races, found in the log of a launch after it.

Two accesses to one address, at least one of them a write, race when nothing orders them: in one interval of a block
if they come from different threads, in the whole launch if they come from different blocks.
"""

import numpy as np

from scratchser.tracer.log import Accesses, Log
from scratchser.tracer.report import Fault


def races(log: Log, accesses: Accesses) -> list[Fault]:
    """One for each pair of sites, the first write with the first access that races with it."""
    if not log.sites:
        return []
    accesses = _in_bytes_where_sizes_mix(log, accesses)
    shared = np.array([site.memory.space == "shared" for site in log.sites])[accesses.site]
    outside = Accesses(*(column[~shared] for column in accesses))
    blocks = outside.thread // log.launch.threads
    return [
        *_faults(log, accesses, *_conflicts(log, accesses, accesses.interval, accesses.thread), "no barrier between"),
        *_faults(log, outside, *_conflicts(log, outside, np.zeros_like(blocks), blocks), "and nothing orders blocks"),
    ]


def _conflicts(log: Log, accesses: Accesses, scope: np.ndarray, actor: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Within each scope, addresses that an actor writes and another one touches: positions of the first write and of
    the first access by another actor, (m,) each."""
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
        """In each run of one address; n where there is none."""
        return np.minimum.reduceat(np.where(condition, position, n), starts)

    write = first(writes)
    writer = actor[np.minimum(write, n - 1)]
    other = first(actor != np.repeat(writer, sizes))
    found = (write < n) & (other < n)
    return order[write[found]], order[other[found]]


def _faults(log: Log, accesses: Accesses, write: np.ndarray, other: np.ndarray, why: str) -> list[Fault]:
    pairs = np.stack([accesses.site[write], accesses.site[other]], axis=1)
    _, firsts, times = np.unique(pairs, axis=0, return_index=True, return_counts=True)
    return [
        _fault(log, accesses, int(write[i]), int(other[i]), int(n), why) for i, n in zip(firsts, times, strict=True)
    ]


def _fault(log: Log, accesses: Accesses, write: int, other: int, times: int, why: str) -> Fault:
    launch = log.launch
    blocks = [int(accesses.thread[i]) // launch.threads for i in (write, other)]
    memory = log.sites[accesses.site[write]].memory
    index, name = memory.element_at(int(accesses.address[write]))

    def access(i: int, block: int) -> str:
        site = log.sites[accesses.site[i]]
        where = "" if blocks[0] == blocks[1] else f" of {launch.block_name(block)}"
        return f"{launch.thread_name(int(accesses.thread[i]))}{where} {site.verb} at {site.place}"

    within = f" in {launch.block_name(blocks[0])}" if blocks[0] == blocks[1] else ""
    text = f"race on {name}{within}: {access(write, blocks[0])}, {access(other, blocks[1])}, {why}"
    return Fault("race", text, memory.name, index, times)


def _in_bytes_where_sizes_mix(log: Log, accesses: Accesses) -> Accesses:
    """Accesses meet at one address, unless arrays of different element sizes share memory: theirs are taken apart
    into bytes."""

    def overlap(a, b) -> bool:
        return a.start < b.start + b.data.nbytes and b.start < a.start + a.data.nbytes

    mixed = {
        a.number: a.itemsize
        for a in log.memories
        if any(a.itemsize != b.itemsize and overlap(a, b) for b in log.memories)
    }
    if not mixed:
        return accesses
    sizes = np.array([mixed.get(site.memory.number, 1) for site in log.sites])[accesses.site]
    parts = Accesses(*(np.repeat(column, sizes) for column in accesses))
    byte = np.arange(len(parts.address)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return parts._replace(address=parts.address + byte)
