"""The fused update: every number is read once, and the memory is all that counts."""

from scratchser.bench.cuda.costs.launches import Issued, Launch, Needed
from scratchser.kernels import nesterov


def step_needed(launch: Launch) -> Needed:
    return Needed(6 * launch["W"].nbytes, 8 * launch["W"].size)


def step_issued(launch: Launch) -> Issued:
    n, threads = launch["W"].size, launch.blocks * launch.threads
    return Issued(global_reads=3 * n + 5 * threads, global_writes=3 * n)  # a thread's piece, its segment and the rates


FORMULAS = {nesterov.step_cuda: (step_needed, step_issued)}
