"""The LSTM: walks that wait for the stream of Wh, and copies that wait for the memory."""

import numpy as np

from scratchser.bench.cuda.costs.launches import Issued, Launch, Needed
from scratchser.kernels import lstm
from scratchser.kernels.parts import frames as _frames
from scratchser.kernels.parts import stream

# ---- walks: per frame and direction a product of 8 H² operations, and the cell --------------------------------------

CELL, CELL_GRADIENT = 28, 27  # operations of a unit; σ and tanh are four each


def _walks(launch: Launch) -> tuple[int, int, np.ndarray, np.ndarray]:
    """U, H, and of each group of U utterances: members and steps."""
    U, H, lengths = launch["U"], launch["c"].shape[2], launch["walks"][:, 2].astype(np.int64)
    firsts = np.arange(0, len(lengths), U)
    return U, H, np.minimum(U, len(lengths) - firsts), lengths[firsts]


def forward_needed(launch: Launch) -> Needed:
    z, Wh, h0, c0, walks, c = (launch[name] for name in ("z", "Wh", "h0", "c0", "walks", "c"))
    N, H = len(c), c.shape[2]
    bytes = 2 * z.nbytes + Wh.nbytes + h0.nbytes + c0.nbytes + walks.nbytes + 2 * c.nbytes  # y's real frames are as c
    return Needed(bytes, 2 * N * (8 * H * H + CELL * H))


def forward_issued(launch: Launch) -> Issued:
    U, H, members, steps = _walks(launch)
    slices, units = launch["slices"], len(launch["c"]) * H  # that run, all steps of one direction
    held, asked = members.sum() * H, (members * steps).sum() * H  # units of states, and asked whether they run
    reads = 2 * held + len(steps) * launch.threads + 4 * H * H * steps.sum() + 3 * asked + 5 * units
    shared_reads = H * H * U * steps.sum() + 4 * slices * units
    shared_writes = H * U * len(steps) + slices * 4 * H * U * steps.sum() + units
    return _of_both_directions(reads, 6 * units, shared_reads, shared_writes)


def backward_needed(launch: Launch) -> Needed:
    gates, Wt, c0, c, dh0 = (launch[name] for name in ("gates", "Wt", "c0", "c", "dh0"))
    N, H = len(c), c.shape[2]
    bytes = 2 * gates.nbytes + Wt.nbytes + c0.nbytes + 2 * c.nbytes + launch["walks"].nbytes + 2 * dh0.nbytes
    return Needed(bytes, 2 * N * (8 * H * H + CELL_GRADIENT * H))


def backward_issued(launch: Launch) -> Issued:
    U, H, members, steps = _walks(launch)
    slices, units, M = launch["slices"], len(launch["c"]) * H, stream.whole(H)
    held, asked = members.sum() * H, (members * steps).sum() * H
    reads = 2 * held + len(steps) * launch.threads + 4 * H * M * steps.sum() + 3 * asked + 8 * units
    shared_reads = H * M * U * steps.sum() + slices * (units + held)
    shared_writes = (4 * H + slices * M) * U * len(steps) + slices * M * U * steps.sum() + 4 * units
    return _of_both_directions(reads, 2 * held + 5 * units, shared_reads, shared_writes)


def _of_both_directions(*one: int) -> Issued:
    return Issued(*(2 * int(number) for number in one))


# ---- what moves numbers and adds columns ----------------------------------------------------------------------------


def gather_needed(launch: Launch) -> Needed:
    frames, lengths = launch["frames"], launch["lengths"]
    return Needed(2 * frames.nbytes + 2 * lengths.nbytes, 0)


def gather_issued(launch: Launch) -> Issued:
    numbers = launch["frames"].size
    return Issued(_threads(launch) + 2 * numbers, numbers)


def scatter_needed(launch: Launch) -> Needed:
    frames, lengths, x = launch["frames"], launch["lengths"], launch["x"]
    return Needed(frames.nbytes + 2 * lengths.nbytes + x.nbytes, 0)


def scatter_issued(launch: Launch) -> Issued:
    return Issued(_threads(launch) + 2 * launch["frames"].size, launch["x"].size)


def states_before_needed(launch: Launch) -> Needed:
    before, lengths = launch["before"], launch["lengths"]
    return Needed(2 * before.nbytes + 2 * lengths.nbytes, 0)


def states_before_issued(launch: Launch) -> Issued:
    numbers = launch["before"].size
    return Issued(_threads(launch) + 2 * numbers, numbers)


def add_columns_needed(launch: Launch) -> Needed:
    dz, db = launch["dz"], launch["db"]
    return Needed(dz.nbytes + 2 * db.nbytes, dz.size)


def add_columns_issued(launch: Launch) -> Issued:
    dz, M = launch["dz"], launch["db"].size
    return Issued(dz.size + M, M, (_frames.PARTS - 1) * M, _threads(launch))


def transpose_needed(launch: Launch) -> Needed:
    return Needed(launch["W"].nbytes + launch["Wt"].nbytes, 0)


def transpose_issued(launch: Launch) -> Issued:
    W, Wt = launch["W"], launch["Wt"]
    return Issued(W.size, Wt.size, Wt.size, _threads(launch))


def readout_needed(launch: Launch) -> Needed:
    r = launch["r" if "r" in launch.arguments else "dr"]
    return Needed(2 * r.nbytes + launch["lengths"].nbytes, 0)


def readout_issued(launch: Launch) -> Issued:
    r = launch["r" if "r" in launch.arguments else "dr"]
    return Issued(r.size + r.size // 2, r.size)  # half of them ask for the length


def _threads(launch: Launch) -> int:
    return launch.blocks * launch.threads


FORMULAS = {
    lstm.forward_cuda: (forward_needed, forward_issued),
    lstm.backward_cuda: (backward_needed, backward_issued),
    lstm.readout_forward_cuda: (readout_needed, readout_issued),
    lstm.readout_backward_cuda: (readout_needed, readout_issued),
    _frames.gather_cuda: (gather_needed, gather_issued),
    _frames.scatter_cuda: (scatter_needed, scatter_issued),
    _frames.states_before_cuda: (states_before_needed, states_before_issued),
    _frames.add_columns_cuda: (add_columns_needed, add_columns_issued),
    stream.transpose_cuda: (transpose_needed, transpose_issued),
}
