"""Softmax and cross-entropy: small enough to be bound by the launch itself."""

from scratchser.bench.cuda.costs.launches import Issued, Launch, Needed
from scratchser.kernels import softmax


def forward_needed(launch: Launch) -> Needed:
    z = launch["z"]
    return Needed(2 * z.nbytes, 5 * z.size)  # maximum, difference, exp, sum, quotient


def forward_issued(launch: Launch) -> Issued:
    B, K = launch["z"].shape
    return Issued(global_reads=B * (2 * K + K), global_writes=B * 2 * K)  # p is divided where it lies


def loss_needed(launch: Launch) -> Needed:
    z, w = launch["z"], launch["w"]
    return Needed(3 * z.nbytes + 2 * w.nbytes, 12 * z.size)


def loss_issued(launch: Launch) -> Issued:
    B, K = launch["z"].shape
    softmax_reads, softmax_writes = 3 * K, 2 * K
    return Issued(global_reads=B * (softmax_reads + 1 + 3 * K + 2 * K), global_writes=B * (softmax_writes + 1 + K))


FORMULAS = {softmax.forward_cuda: (forward_needed, forward_issued), softmax.loss_cuda: (loss_needed, loss_issued)}
