"""Max pooling: every real number is compared once, and the maximum is looked for again on the way back."""

from scratchser.bench.cuda.costs.launches import Issued, Launch, Needed
from scratchser.kernels import pool
from scratchser.kernels.machine.device import blocks


def real(launch: Launch) -> tuple[int, int]:
    """Numbers of x and of y up to the utterances' ends."""
    lengths, F, C, I, J = launch["lengths"].astype(int), *(launch[size] for size in "FCIJ")
    return int(lengths.sum()) * F * C, int((-(-lengths // I)).sum()) * blocks(F, J) * C


def threads(launch: Launch) -> int:
    """Those that have a number of y or dy, padding included: each reads its utterance's length."""
    T, F, C, I, J = (launch[size] for size in "TFCIJ")
    return len(launch["lengths"]) * blocks(T, I) * blocks(F, J) * C


def forward_needed(launch: Launch) -> Needed:
    y, (numbers, maxima) = launch["y"], real(launch)
    return Needed((numbers + y.size) * y.itemsize + launch["lengths"].nbytes, numbers - maxima)


def forward_issued(launch: Launch) -> Issued:
    numbers, maxima = real(launch)  # a window's first number is read twice
    return Issued(global_reads=threads(launch) + numbers + maxima, global_writes=launch["y"].size)


def backward_needed(launch: Launch) -> Needed:
    dx, (numbers, maxima) = launch["dx"], real(launch)
    return Needed((numbers + maxima + dx.size) * dx.itemsize + launch["lengths"].nbytes, numbers - maxima)


def backward_issued(launch: Launch) -> Issued:
    numbers, maxima = real(launch)
    return Issued(global_reads=threads(launch) + numbers + 2 * maxima, global_writes=launch["dx"].size)


FORMULAS = {
    pool.forward_cuda: (forward_needed, forward_issued),
    pool.backward_cuda: (backward_needed, backward_issued),
}
