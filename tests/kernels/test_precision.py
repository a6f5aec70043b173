"""No float64 arithmetic hides in a float32 kernel: it would be slower and, on a GPU, very much so.

A forgotten typed constant is enough (1 / (1 + exp(-z)) is float64 to Numba), and no comparison of results can show it.
So the ops are compiled for float32 in a separate process, without the cache, in which code is not readable, and their
LLVM text is searched.
"""

import importlib
import os
import re
import subprocess
import sys

import numpy as np
import pytest


def ones(*shape):
    return np.ones(shape, np.float32)


LENGTHS = np.array([3, 2])


def linear(op):
    op.forward(ones(2, 3), ones(3, 4), ones(4))
    op.backward(ones(2, 4), ones(2, 3), ones(3, 4), ones(3, 4), ones(4))


def softmax(op):
    op.forward(ones(2, 4))
    op.loss(ones(2, 4), ones(2, 4), ones(2))


def nesterov(op):
    op.step(ones(4), ones(4), ones(4), np.array([4]), np.ones(1), np.ones(1), 0.9)


def matmul(op):
    for stride, k in ((3, 1), (1, 2)):  # along and across
        op.add_product(op.Operand(ones(6), stride, k), op.Operand(ones(12), 4, 1), ones(8), 2, 4, 3)


def conv2d(op):
    x, W, stride = ones(2, 3, 4, 1), ones(3, 3, 1, 2), (2, 2)
    y = op.forward(x, LENGTHS, W, ones(2), stride)
    op.backward(y, x, y, LENGTHS, W, stride, ones(*W.shape), ones(2))


def pool(op):
    op.backward(op.forward(ones(2, 3, 4, 2), LENGTHS, (2, 3)), ones(2, 3, 4, 2), LENGTHS, (2, 3))


def lstm(op):
    Wx, Wh, b = ones(3, 2, 8), ones(2, 2, 8), ones(2, 8)
    y, cache = op.forward(ones(2, 3, 3), LENGTHS, Wx, Wh, b)
    op.backward(y, cache, Wx, Wh, ones(*Wx.shape), ones(*Wh.shape), ones(*b.shape))


def batchnorm(op):
    for kind, G in op.KINDS.items():
        Wx, Wh, gamma, beta = ones(3, 2, 8), ones(2, 2, 8), ones(G, 2, 8), ones(2, 8)
        norm = op.Norm(kind, gamma, beta, ones(G, 1, 2, 8), ones(G, 1, 2, 8), ones(1))
        x = ones(2, 3, 3)
        op.forward(x, LENGTHS, Wx, Wh, norm)
        y, cache = op.forward(x, LENGTHS, Wx, Wh, norm, training=True)
        op.backward(y, cache, Wx, Wh, norm, Wx, Wh, gamma, beta)


def statistics_pool(op):
    x = ones(2, 3, 4)
    op.backward(ones(2, 12), x, op.forward(x, LENGTHS), LENGTHS)


def group_norm(op):
    op.backward(ones(2, 3), op.forward(ones(2, 3), np.array([1, 0]))[1])


def mel(op):
    weights = op.triangles(5, 3, 4000)
    op.backward(ones(2, 3), ones(2, 5), op.forward(ones(2, 5), weights), weights)


def mixup(op):
    op.forward(ones(2, 3, 4), np.array([3, 1]), ones(2), np.array([1, 0]), ones(2))


def norms(op):
    op.squares(ones(5), np.array([5]))


def stft(op):
    op.forward(ones(64), op.hann(16), 8, 9, 1e-6)


def vtlp(op):
    op.backward(op.forward(ones(3, 4), 0.95), 0.95)
    op.batch(ones(3, 4), np.array([0]), np.array([3]), np.array([1.05]), 0.5, 2.0, 4)


QUICK = linear, softmax, nesterov, pool, statistics_pool, group_norm, norms, stft, vtlp, mel, mixup
SLOW = matmul, conv2d, lstm, batchnorm
ALSO = "batchnorm_frame", "parts.statistics"  # whose kernels batchnorm compiles too

# conversions of Python's own floats, and the digits of an array's size in the text of Numba's error messages
HARMLESS = re.compile(r"@Py|@llvm\.(log10|floor)\.f64")


def arithmetic(text, kind):
    """The lines of an LLVM text that calculate with this kind of number."""
    pattern = rf"^.*= (?:tail )?(?:fadd|fsub|fmul|fdiv|fneg|call)\b.*\b{kind}\b.*$"
    return [line for line in re.findall(pattern, text, re.MULTILINE) if not HARMLESS.search(line)]


@pytest.mark.parametrize("ops", ["quick", pytest.param("slow", marks=pytest.mark.slow)])
def test_float32_kernels_do_not_calculate_in_float64(ops, tmp_path):
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, __file__, ops]
    process = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert process.stdout.splitlines()[-1] == "float64 lines: 0", process.stdout


def compiled(module):
    """The LLVM texts of a module's own kernels."""
    kernels = [k for k in vars(module).values() if getattr(k, "signatures", ()) and k.__module__ == module.__name__]
    return [(kernel.__name__, text) for kernel in kernels for text in kernel.inspect_llvm().values()]


if __name__ == "__main__":
    slow = sys.argv[1] == "slow"
    names = [op.__name__ for op in (SLOW if slow else QUICK)] + list(ALSO if slow else ())
    modules = {name: importlib.import_module(f"scratchser.kernels.{name}") for name in names}
    for op in SLOW if slow else QUICK:
        op(modules[op.__name__])
    hidden = []
    for name, texts in zip(modules, map(compiled, modules.values()), strict=True):
        assert any(arithmetic(text, "float") for _, text in texts), f"the code of {name} is not readable"
        hidden += [f"{name}.{kernel}: {line.strip()}" for kernel, text in texts for line in arithmetic(text, "double")]
    print(*hidden, f"float64 lines: {len(hidden)}", sep="\n")
