"""Every entry point refuses arrays that do not fit together: its compiled kernels check no index."""

import numpy as np
import pytest

from scratchser.kernels import batchnorm, conv2d, group_norm, linear, lstm, nesterov, pool, softmax, statistics_pool
from scratchser.kernels.batchnorm import Norm

LENGTHS, STRIDE, WINDOW = np.array([5, 1]), (2, 3), (2, 2)


def ones(*shape):
    return np.ones(shape)


IMAGE = {"x": ones(2, 5, 4, 3), "lengths": LENGTHS}
KERNEL = {"W": ones(3, 3, 3, 2), "b": ones(2)}
GRADIENTS = {"dy": ones(2, 3, 2, 2), "y": ones(2, 3, 2, 2), "dW": KERNEL["W"].copy(), "db": ones(2)}
SEQUENCE = {"x": ones(2, 5, 3), "lengths": LENGTHS, "Wx": ones(3, 2, 8), "Wh": ones(2, 2, 8)}
STATES = {"h0": ones(2, 2, 2), "c0": ones(2, 2, 2)}
NORM = {"gamma": ones(2, 2, 8), "beta": ones(2, 8), "mean": ones(2, 5, 2, 8), "variance": ones(2, 5, 2, 8)}
NORM["updates"] = ones(5)
DY = ones(2, 5, 4)
TRAINED = Norm("frame-9", **NORM)
CACHE = lstm.forward(*SEQUENCE.values(), ones(2, 8))[1]
NORMED_CACHE = batchnorm.forward(*SEQUENCE.values(), TRAINED, training=True)[1]


def conv2d_forward(x, lengths, W, b):
    conv2d.forward(x, lengths, W, b, STRIDE)


def conv2d_backward(x, lengths, W, dy, y, dW, db):
    conv2d.backward(dy, x, y, lengths, W, STRIDE, dW, db)


def batchnorm_forward(x, lengths, Wx, Wh, h0, c0, **norm):
    batchnorm.forward(x, lengths, Wx, Wh, Norm("frame-9", **norm), h0, c0)


def lstm_backward(dy, **arrays):
    lstm.backward(dy, CACHE, **arrays)


def batchnorm_backward(dy, Wx, Wh, **gradients):
    batchnorm.backward(dy, NORMED_CACHE, Wx, Wh, TRAINED, **gradients)


WEIGHTS = {"Wx": ones(3, 2, 8), "Wh": ones(2, 2, 8), "dWx": ones(3, 2, 8), "dWh": ones(2, 2, 8)}
DENSE = {"x": ones(2, 3), "W": ones(3, 4), "b": ones(4)}
SCORES = {"logits": ones(2, 4), "target": ones(2, 4), "weight": ones(2)}
POOLED = {"x": ones(2, 5, 3), "lengths": LENGTHS}
ROWS, GROUPED = {"x": ones(2, 3), "groups": np.array([1, 0])}, group_norm.forward(ones(2, 3), np.array([1, 0]))[1]
UPDATE = {"W": ones(5), "V": ones(5), "dW": ones(5), "ends": np.array([3, 5]), "learning_rate": ones(2), "l2": ones(2)}
CALLS = [
    (conv2d_forward, IMAGE | KERNEL),
    (conv2d_backward, IMAGE | {"W": KERNEL["W"]} | GRADIENTS),
    (lambda x, lengths, out: pool.forward(x, lengths, WINDOW, out=out), IMAGE | {"out": ones(2, 3, 2, 3)}),
    (lambda dy, x, lengths: pool.backward(dy, x, lengths, WINDOW), IMAGE | {"dy": ones(2, 3, 2, 3)}),
    (lstm.forward, SEQUENCE | {"b": ones(2, 8)} | STATES),
    (lstm_backward, WEIGHTS | {"dy": DY, "db": ones(2, 8)}),
    (batchnorm_forward, SEQUENCE | STATES | NORM),
    (batchnorm_backward, WEIGHTS | {"dy": DY, "dgamma": ones(2, 2, 8), "dbeta": ones(2, 8)}),
    (linear.forward, DENSE),
    (linear.backward, {"dy": ones(2, 4), "x": ones(2, 3), "W": ones(3, 4), "dW": ones(3, 4), "db": ones(4)}),
    (softmax.loss, SCORES),
    (lambda lengths: statistics_pool.forward(POOLED["x"], lengths), {"lengths": LENGTHS}),
    (statistics_pool.backward, POOLED | {"dy": ones(2, 9), "y": ones(2, 9)}),
    (lambda groups: group_norm.forward(ROWS["x"], groups), {"groups": ROWS["groups"]}),
    (group_norm.apply, ROWS | {"mean": ones(2, 3), "variance": ones(2, 3)}),
    (lambda dy: group_norm.backward(dy, GROUPED), {"dy": ones(2, 3)}),
    (lambda **arrays: nesterov.step(**arrays, momentum=0.9), UPDATE),
]


def wrong(function, name, array):
    """Arrays that do not fit where this one does."""
    if name == "lengths":
        return [np.array([5, 0]), np.array([6, 1]), np.array([5])]
    if name == "ends":
        return [np.array(ends) for ends in ([3, 4], [3, 6], [-1, 5], [4, 3, 5])]
    found = [array[..., :-1].copy()]
    if name not in ("learning_rate", "l2"):  # these are converted
        found.append(array.astype(np.float32))
    if array.ndim > 1 and function not in (linear.forward, linear.backward, softmax.loss):  # these take any layout
        found.append(np.asfortranarray(array))
    return found


@pytest.mark.parametrize(("function", "arrays"), CALLS)
def test_what_does_not_fit_is_refused(function, arrays):
    function(**arrays)
    for name, array in arrays.items():
        for other in wrong(function, name, array):
            with pytest.raises(ValueError, match=r"expected|contiguous|lengths|cover"):
                function(**(arrays | {name: other}))
