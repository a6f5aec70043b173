"""The Bi-LSTM: time loops that read Wh again in each step, and copies around them."""

import numpy as np

from scratchser.bench.cuda.costs.launches import Cost, Issued, Needed, costs_of
from scratchser.kernels import lstm
from scratchser.kernels.parts import frames as frame_copies
from scratchser.kernels.parts import stream

CELL, CELL_GRADIENT = 28, 27  # operations of a unit; σ and tanh are four each


class TimeLoop:
    """Counts of one direction, in which groups of U utterances share a block."""

    def __init__(self, sequences, U, c) -> None:
        self.H, lengths = c.shape[2], sequences[:, 2].astype(np.int64)  # by falling length
        firsts = np.arange(0, len(lengths), U)
        members, steps = np.minimum(U, len(lengths) - firsts), lengths[firsts]
        self.groups, self.steps = len(firsts), int(steps.sum())
        self.units = len(c) * self.H  # in all steps of all utterances
        self.states = int(members.sum()) * self.H
        self.checks = int((members * steps).sum()) * self.H  # of whether an utterance still runs


@costs_of(lstm.forward_cuda)
def forward(launch, z, Wh, h0, c0, sequences, U, slices, c) -> Cost:
    s = TimeLoop(sequences, U, c)
    H, units = s.H, s.units
    bytes = 2 * z.nbytes + Wh.nbytes + h0.nbytes + c0.nbytes + sequences.nbytes + 2 * c.nbytes  # y is as large as c
    reads = 2 * s.states + s.groups * launch.threads + 4 * H * H * s.steps + 3 * s.checks + 5 * units
    shared_reads = H * H * U * s.steps + 4 * slices * units
    shared_writes = H * U * s.groups + slices * 4 * H * U * s.steps + units
    needed = Needed(bytes, 2 * units * (8 * H + CELL))
    return needed, Issued(2 * reads, 2 * 6 * units, 2 * shared_reads, 2 * shared_writes)


@costs_of(lstm.backward_cuda)
def backward(launch, gates, Wt, c0, c, sequences, U, slices, dh0) -> Cost:
    s = TimeLoop(sequences, U, c)
    H, M, units = s.H, stream.padded_width(s.H), s.units
    bytes = 2 * gates.nbytes + Wt.nbytes + c0.nbytes + 2 * c.nbytes + sequences.nbytes + 2 * dh0.nbytes
    reads = 2 * s.states + s.groups * launch.threads + 4 * H * M * s.steps + 3 * s.checks + 8 * units
    shared_reads = H * M * U * s.steps + slices * (units + s.states)
    shared_writes = (4 * H + slices * M) * U * s.groups + slices * M * U * s.steps + 4 * units
    needed = Needed(bytes, 2 * units * (8 * H + CELL_GRADIENT))
    return needed, Issued(2 * reads, 2 * (2 * s.states + 5 * units), 2 * shared_reads, 2 * shared_writes)


@costs_of(lstm.readout_forward_cuda)
def readout(lengths, r) -> Cost:
    """Half of the elements need the length."""
    return Needed(2 * r.nbytes + lengths.nbytes, 0), Issued(r.size + r.size // 2, r.size)


@costs_of(lstm.readout_backward_cuda)
def readout_backward(lengths, dr) -> Cost:
    return readout(lengths, dr)


@costs_of(frame_copies.gather_cuda)
def gather(launch, lengths, frames) -> Cost:
    """Every thread reads a length; those of a real frame also a start and their element."""
    needed = Needed(2 * frames.nbytes + 2 * lengths.nbytes, 0)
    return needed, Issued(launch.all_threads + 2 * frames.size, frames.size)


@costs_of(frame_copies.scatter_cuda)
def scatter(launch, frames, lengths, x) -> Cost:
    needed = Needed(frames.nbytes + 2 * lengths.nbytes + x.nbytes, 0)
    return needed, Issued(launch.all_threads + 2 * frames.size, x.size)


@costs_of(frame_copies.states_before_cuda)
def states_before(launch, lengths, before) -> Cost:
    return gather(launch, lengths, before)


@costs_of(frame_copies.add_columns_cuda)
def add_columns(launch, dz, db) -> Cost:
    M = db.size
    needed = Needed(dz.nbytes + 2 * db.nbytes, dz.size)
    return needed, Issued(dz.size + M, M, (frame_copies.PARTS - 1) * M, launch.all_threads)


@costs_of(stream.transpose_cuda)
def transpose(launch, W, Wt) -> Cost:
    return Needed(W.nbytes + Wt.nbytes, 0), Issued(W.size, Wt.size, Wt.size, launch.all_threads)
