"""What each CUDA kernel costs, in two formulas that know nothing of each other, one file per op.

    needed    bytes and operations that any implementation needs: every input is read once, every result written once;
              a multiplication, an addition, a comparison or a call of exp are one operation each
    issued    reads and writes of global and shared memory that our kernel issues, element by element

Both are asked with a launch, so they see its grid, its block and its arguments, lengths included. The second is held
against the tracer's counts in every traced launch of the tests (tests/conftest.py); out of the first come the times
that a GPU's memory or arithmetic allow at best (docs/kernels.md).
"""

from scratchser.bench.cuda.costs import (
    batchnorm,
    conv2d,
    linear,
    lstm,
    matmul,
    mean_variance,
    nesterov,
    norms,
    pool,
    softmax,
    stft,
    vtlp,
)
from scratchser.bench.cuda.costs.launches import Issued, Launch, Needed, name_of, recorded

__all__ = ["Issued", "Launch", "Needed", "issued", "kernels", "name_of", "needed", "recorded"]

OPS = batchnorm, conv2d, linear, lstm, matmul, mean_variance, nesterov, norms, pool, softmax, stft, vtlp
_FORMULAS = {kernel: formulas for op in OPS for kernel, formulas in op.FORMULAS.items()}


def kernels() -> list:
    """All CUDA kernels."""
    return list(_FORMULAS)


def needed(launch: Launch) -> Needed:
    """What any implementation of this launch needs. Raises KeyError for a kernel without formulas."""
    return _FORMULAS[launch.kernel][0](launch)


def issued(launch: Launch) -> Issued:
    """What ours issues. Raises KeyError for a kernel without formulas."""
    return _FORMULAS[launch.kernel][1](launch)
