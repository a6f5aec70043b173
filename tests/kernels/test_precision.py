"""No float64 arithmetic hides in a float32 kernel: it would be slower and, on a GPU, very much so.

A typed constant forgotten is enough (1 / (1 + exp(-z)) is float64 to Numba), and no comparison of results can show it.
So each op is compiled for float32 in a process of its own, without the cache, where code is not readable, and its text
in LLVM's language is searched.
"""

import os
import re
import subprocess
import sys

import numpy as np
import pytest

EXERCISES = {}


def exercise(function):
    EXERCISES[function.__name__] = function
    return function


def ones(*shape):
    return np.ones(shape, np.float32)


@exercise
def linear():
    from scratchser.kernels import linear

    linear.forward(ones(2, 3), ones(3, 4), ones(4))
    linear.backward(ones(2, 4), ones(2, 3), ones(3, 4), ones(3, 4), ones(4))
    return linear


@exercise
def softmax():
    from scratchser.kernels import softmax

    softmax.forward(ones(2, 4))
    softmax.loss(ones(2, 4), ones(2, 4), ones(2))
    return softmax


@exercise
def nesterov():
    from scratchser.kernels import nesterov

    nesterov.step(ones(4), ones(4), ones(4), np.array([4]), np.ones(1), np.ones(1), 0.9)
    return nesterov


@exercise
def matmul():
    from scratchser.kernels import matmul

    for stride, k in ((3, 1), (1, 2)):  # along and across
        A, B = matmul.Operand(ones(6), stride, k), matmul.Operand(ones(12), 4, 1)
        matmul.add_product(A, B, ones(8), 2, 4, 3)
    return matmul


@exercise
def conv2d():
    from scratchser.kernels import conv2d

    x, lengths, W, stride = ones(2, 3, 4, 1), np.array([3, 2]), ones(3, 3, 1, 2), (2, 2)
    y = conv2d.forward(x, lengths, W, ones(2), stride)
    conv2d.backward(y, x, y, lengths, W, stride, ones(*W.shape), ones(2))
    return conv2d


@exercise
def pool():
    from scratchser.kernels import pool

    lengths = np.array([3, 2])
    pool.backward(pool.forward(ones(2, 3, 4, 2), lengths, (2, 3)), ones(2, 3, 4, 2), lengths, (2, 3))
    return pool


@exercise
def lstm():
    from scratchser.kernels import lstm

    Wx, Wh, b = ones(3, 2, 8), ones(2, 2, 8), ones(2, 8)
    y, cache = lstm.forward(ones(2, 3, 3), np.array([3, 2]), Wx, Wh, b)
    lstm.backward(y, cache, Wx, Wh, ones(*Wx.shape), ones(*Wh.shape), ones(*b.shape))
    return lstm


def normalised():
    from scratchser.kernels import batchnorm

    for kind, G in batchnorm.KINDS.items():
        Wx, Wh, gamma, beta = ones(3, 2, 8), ones(2, 2, 8), ones(G, 2, 8), ones(2, 8)
        norm = batchnorm.Norm(kind, gamma, beta, ones(G, 1, 2, 8), ones(G, 1, 2, 8), ones(1))
        x, lengths = ones(2, 3, 3), np.array([3, 2])
        batchnorm.forward(x, lengths, Wx, Wh, norm)
        y, cache = batchnorm.forward(x, lengths, Wx, Wh, norm, training=True)
        batchnorm.backward(y, cache, Wx, Wh, norm, Wx, Wh, gamma, beta)


@exercise
def batchnorm():
    from scratchser.kernels import batchnorm

    normalised()
    return batchnorm


@exercise
def _normed():
    from scratchser.kernels import batchnorm_frame

    normalised()
    return batchnorm_frame


@exercise
def _statistics():
    from scratchser.kernels.parts import statistics

    normalised()
    return statistics


@exercise
def norms():
    from scratchser.kernels import norms

    norms.squares(ones(5), np.array([5]))
    return norms


@exercise
def stft():
    from scratchser.kernels import stft

    stft.forward(ones(64), stft.hann(16), 8, 9, 1e-6)
    return stft


@exercise
def vtlp():
    from scratchser.kernels import vtlp

    vtlp.backward(vtlp.forward(ones(3, 4), 0.95), 0.95)
    vtlp.batch(ones(3, 4), np.array([0]), np.array([3]), np.array([1.05]), 0.5, 2.0, 4)
    return vtlp


# Python's own floats at the border, and the digits of an array's size in the text of Numba's error messages
HARMLESS = re.compile(r"@Py|@llvm\.(log10|floor)\.f64")


def arithmetic(text, kind):
    """The lines of an LLVM text that calculate with this kind of number."""
    pattern = rf"^.*= (?:tail )?(?:fadd|fsub|fmul|fdiv|fneg|call)\b.*\b{kind}\b.*$"
    return [line for line in re.findall(pattern, text, re.MULTILINE) if not HARMLESS.search(line)]


SLOW = "matmul", "conv2d", "lstm", "batchnorm", "_normed", "_statistics"


@pytest.mark.parametrize("op", [pytest.param(op, marks=pytest.mark.slow) if op in SLOW else op for op in EXERCISES])
def test_float32_kernels_do_not_calculate_in_float64(op, tmp_path):
    command = [sys.executable, __file__, op]
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    process = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert process.stdout.splitlines()[-1] == "float64 lines: 0", process.stdout


if __name__ == "__main__":
    module = EXERCISES[sys.argv[1]]()
    kernels = [k for k in vars(module).values() if getattr(k, "signatures", ()) and k.__module__ == module.__name__]
    texts = [(kernel.__name__, text) for kernel in kernels for text in kernel.inspect_llvm().values()]
    assert any(arithmetic(text, "float") for _, text in texts), "this is no readable code of the kernels"
    hidden = [f"{name}: {line.strip()}" for name, text in texts for line in arithmetic(text, "double")]
    print(*hidden, f"float64 lines: {len(hidden)}", sep="\n")
