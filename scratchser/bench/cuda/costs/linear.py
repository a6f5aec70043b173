"""The dense layer."""

from scratchser.bench.cuda.costs.launches import Issued, Launch, Needed
from scratchser.kernels import linear


def forward_needed(launch: Launch) -> Needed:
    x, W, b, y = (launch[name] for name in "xWby")
    return Needed(x.nbytes + W.nbytes + b.nbytes + y.nbytes, 2 * x.shape[0] * W.size + y.size)


def forward_issued(launch: Launch) -> Issued:
    y, D = launch["y"], launch["W"].shape[0]
    return Issued(global_reads=y.size * (1 + 2 * D), global_writes=y.size)


def backward_needed(launch: Launch) -> Needed:
    dy, x, W, db = (launch[name] for name in ("dy", "x", "W", "db"))
    bytes = dy.nbytes + 2 * x.nbytes + 3 * W.nbytes + 2 * db.nbytes  # dW and db are added to: read and written
    return Needed(bytes, 4 * x.shape[0] * W.size + dy.size)


def backward_issued(launch: Launch) -> Issued:
    (B, K), D = launch["dy"].shape, launch["W"].shape[0]
    features, biases = B * D * K, B * K
    return Issued(global_reads=5 * features + 2 * biases, global_writes=features + B * D + biases)


FORMULAS = {
    linear.forward_cuda: (forward_needed, forward_issued),
    linear.backward_cuda: (backward_needed, backward_issued),
}
