"""Typical mistakes, planted in the worked solutions one by one: each file fails, and the mistake is recognised."""

from dataclasses import replace
from pathlib import Path

import pytest

from scratchser.check.exercises import load
from scratchser.check.exercises.exercise import CpuExercise
from scratchser.check.judge import judge as steps

SOLUTIONS = Path(__file__).parent / "solutions"
ACCUMULATE = "missing accumulate"
TIME = "off by one in time"

# texts of the solutions that several mistakes replace
PADDING = "pt, pf = (I - 1) // 2, (J - 1) // 2"
ADD_DW, ADD_DX = "dW[i, j] += np.outer(x[b, u, v], dz)", "dx[b, u, v] += W[i, j] @ dz"
LAST_OPEN_DX = "for d in np.flatnonzero(dz):\n                                dx[b, u, v] = W[i, j, :, d] * dz[d]"
VARIANCE = "((a - mean) ** 2).sum(axis=0) / n"
OTHER_MEANS = (
    "g.sum(axis=0) / n",
    "g.sum(axis=0) / max(n - 1, 1)",
    "hat).sum(axis=0) / n",
    "hat).sum(axis=0) / max(n - 1, 1)",
)
HALVED, LOADED = "        cuda.syncthreads()  # this halving is done\n", "part[t] = x[i] if i < x.shape[0] else 0"

# exercise -> (names that must be recognised, text in the solution, text of the mistake, ...)
PLANTED = {
    "linear_backward": [
        ("transposed index in W", "dx[b, d] += dy[b, k] * W[d, k]", "dx[b, d] += dy[b, k] * W[k, d]"),
        ("transposed index in dW", "dW[d, k] +=", "dW[k, d] +="),
        (ACCUMULATE, "dW[d, k] +=", "dW[d, k] ="),
        (ACCUMULATE, "db[k] +=", "db[k] ="),
        (ACCUMULATE, "dx[b, d] +=", "dx[b, d] ="),
        (ACCUMULATE, "dx = np", "dW[:] = 0\n    dx = np"),
        ("divided by the batch size", "dW[d, k] += x[b, d]", "dW[d, k] += x[b, d] / len(x)"),
    ],
    "softmax_loss": [
        ("factor 1/B forgotten", "weight[b] / B", "weight[b]"),
        ("weights forgotten", "weight[b] / B", "1 / B"),
        ("divided by the sum of weights", "weight[b] / B", "weight[b] / weight.sum()"),
        ("targets assumed to sum to 1", "p * target[b].sum() -", "p -"),
        ("sign", "loss += -w", "loss += w"),
        ("sign", "p * target[b].sum() - target[b]", "target[b] - p * target[b].sum()"),
        (ACCUMULATE, "loss += ", "loss = "),
        ("hard targets", "target[b] * log_p", "np.eye(K)[target[b].argmax()] * log_p"),
    ],
    "vtlp": [
        ("warp in the wrong direction", "alpha * 0.9", "0.9", "k / alpha", "alpha * k", ") / (10", ") * (10"),
        ("weight forgotten", "(1 - w) * S[t, i] + w * S[t, i + 1]", "S[t, i]"),
        ("weights exchanged", "(1 - w) * S[t, i] + w *", "w * S[t, i] + (1 - w) *"),
        ("hinge in the wrong place", "hinge = alpha * 0.9", "hinge = 0.9"),
        ("off by one in fmax", "fmax = F - 1", "fmax = F"),
    ],
    "stft": [
        ("window forgotten", " * window", ""),
        ("square forgotten", "real**2 + imaginary**2", "np.sqrt(real**2 + imaginary**2)"),
        ("imaginary part forgotten", "real**2 + imaginary**2", "real**2"),
        ("decimal logarithm", "np.log(np.max", "np.log10(np.max"),
        ("floor added", "np.maximum(power, floor)", "power + floor"),
        ("hop forgotten", "start = t * hop", "start = t"),
        ("divided by the window's length", "real**2 + imaginary**2", "(real**2 + imaginary**2) / N"),
    ],
    "nesterov": [
        ("momentum without looking ahead", "(g + momentum * V[i])", "V[i]"),
        ("L2 forgotten", "dW[i] + l2[s] * W[i]", "dW[i]"),
        ("factor 2 in L2", "l2[s] * W[i]", "2 * l2[s] * W[i]"),
        ("sign", "W[i] -=", "W[i] +="),
        ("gradient not cleared", "            dW[i] = 0\n", ""),
        ("segments ignored", "l2[s]", "l2[0]", "rate[s]", "rate[0]"),
        ("momentum forgotten", "momentum * V[i] + g", "g"),
    ],
    "conv2d_forward": [
        ("stride forgotten", "t * st + i", "t + i", "f * sf + j", "f + j"),
        ("strides exchanged", "t * st + i", "t * sf + i", "f * sf + j", "f * st + j"),
        ("kernel flipped", "W[i, j, c, d]", "W[I - 1 - i, J - 1 - j, c, d]"),
        ("transposed index in W", "W[i, j, c, d]", "W[i, j, d, c]"),
        (TIME, "i - pt", "i - pt + 1"),
        (TIME, "i - pt", "i - pt - 1"),
        ("off by one in the padding", PADDING, "pt, pf = I // 2, J // 2"),
        ("ReLU forgotten", "max(total, 0)", "total"),
        ("bias forgotten", "total = bias[d]", "total = bias[d] * 0"),
        ("length mask forgotten", "u < length", "u < T"),
        ("writes past the end", "frames = -(-length // st)", "frames = -(-T // st)"),
        ("lengths ignored", "length = lengths[b]", "length = T"),
        (ACCUMULATE, "total += x", "total = x"),
    ],
    "conv2d_backward": [
        ("ReLU mask forgotten", "np.where(y[b, t, f] > 0, dy[b, t, f], 0)", "dy[b, t, f]"),
        ("mask of the wrong array", "y[b, t, f] > 0", "dy[b, t, f] > 0"),
        ("stride forgotten", "t * st + i", "t + i", "f * sf + j", "f + j"),
        ("kernel not flipped", "W[i, j] @ dz", "W[I - 1 - i, J - 1 - j] @ dz"),
        ("transposed index in W", "W[i, j] @ dz", "dz @ W[i, j]"),
        (ACCUMULATE, "    dx = np", "    dW[:] = 0\n    dx = np"),
        (ACCUMULATE, "dW[i, j] +=", "dW[i, j] ="),
        (ACCUMULATE, "dx[b, u, v] +=", "dx[b, u, v] ="),
        ("sign", "dx[b, u, v] +=", "dx[b, u, v] -="),
        ("never written", "dbias += dz", "dbias = dbias + dz"),
        (ACCUMULATE, "dbias += dz", "dbias[dz != 0] = dz[dz != 0]"),
        (ACCUMULATE, ADD_DW, "dW[i, j][:, dz != 0] = np.outer(x[b, u, v], dz)[:, dz != 0]"),
        (ACCUMULATE, ADD_DX, LAST_OPEN_DX),
        (ACCUMULATE, ADD_DX, "dx[b, u, v] = W[i, j, :, -1] * dz[-1]"),
        ("transposed index in W", "W[i, j] @ dz", "W[j, i] @ dz"),
        ("transposed index in W", "dW[i, j] +=", "dW[j, i] +="),
        ("strides exchanged", "t * st + i", "t * sf + i", "f * sf + j", "f * st + j"),
        ("strides exchanged", "st, sf = stride", "sf, st = stride"),
        (ACCUMULATE, "dbias += dz", "dbias[:] = dz"),
        (TIME, "i - pt", "i - pt + 1"),
        ("padding forgotten", PADDING, "pt, pf = 0, 0"),
        ("transposed index in dW", "np.outer(x[b, u, v], dz)", "np.outer(dz, x[b, u, v])"),
        ("lengths ignored", "frames = -(-length // st)", "frames = dy.shape[1]"),
        ("length mask forgotten", "u < length", "u < T"),
        ("lengths ignored", "length = lengths[b]", "length = T"),
        ("divided by the batch size", ADD_DW, f"{ADD_DW} / B"),
    ],
    "lstm_cell_forward": [
        ("swapped gate order", "i, f, g, o = np.split", "i, f, o, g = np.split", "[i, f, g, o]", "[i, f, o, g]"),
        ("f and i exchanged", "i, f, g, o = np.split", "f, i, g, o = np.split", "[i, f, g, o]", "[f, i, g, o]"),
        ("tanh of the cell state forgotten", "np.tanh(c_after)", "c_after"),
        ("σ in place of tanh for g", "g = np.tanh(g)", "g = sigmoid(g)"),
        ("off by one step", "np.tanh(c_after)", "np.tanh(c)"),
        (ACCUMULATE, "f * c + i * g", "i * g"),
    ],
    "lstm_backward": [
        (TIME, "np.outer(h_before, dz)", "np.outer(y[b, t], dz)"),
        (TIME, "dc * c_before * f", "dc * c[b, t] * f"),
        (TIME, "dc = dc + dh * o", "dc = dc * f + dh * o", "            dc = dc * f\n", ""),
        ("cell state not carried", "            dc = dc * f\n", "            dc = dc * 0\n"),
        ("forget gate forgotten", "            dc = dc * f\n", ""),
        ("state not carried", "dh = dz @ Wh.T", "dh = dh * 0"),
        ("initial state forgotten", "if t > 0 else h0[b]", "if t > 0 else 0 * h0[b]"),
        ("initial state forgotten", "if t > 0 else c0[b]", "if t > 0 else 0 * c0[b]"),
        ("negative index", "y[b, t - 1] if t > 0 else h0[b]", "y[b, t - 1]"),
        ("length mask forgotten", "range(lengths[b] - 1", "range(T - 1"),
        ("swapped gate order", "i, f, g, o = gates", "i, f, o, g = gates", "[di, df, dg, do]", "[di, df, do, dg]"),
        ("derivative of tanh c forgotten", " * (1 - squashed**2)", ""),
        (ACCUMULATE, "dc = dc + dh * o", "dc = dh * o"),
        (ACCUMULATE, "dWx += ", "dWx[:] = "),
        (ACCUMULATE, "    dh0, dc0 = np", "    dWh[:] = 0\n    dh0, dc0 = np"),
        ("transposed index in Wx", "dx[b, t] = dz @ Wx.T", "dx[b, t] = dz @ Wx"),
    ],
    "batch_norm": [
        ("statistics treated as constants", "s * (g - of_mean - hat * of_variance)", "s * g"),
        ("path through the mean forgotten", "g - of_mean -", "g -"),
        ("path through the variance forgotten", " - hat * of_variance", ""),
        ("padding counted", "real = np.arange(T) < lengths[:, None]", "real = np.full((B, T), True)"),
        ("padding counted", "n = len(a)", "n = B * T"),
        ("variance divided by n - 1", VARIANCE, "((a - mean) ** 2).sum(axis=0) / max(n - 1, 1)"),
        ("variance divided by n - 1", VARIANCE, "a.var(axis=0, ddof=1)"),
        ("variance divided by n - 1", " 2).sum(axis=0) / n", " 2).sum(axis=0) / max(n - 1, 1)", *OTHER_MEANS),
        ("statistics of all features together", "sum(axis=0) / n", "mean()"),
        ("square root forgotten", "1 / np.sqrt(variance + epsilon)", "1 / (variance + epsilon)"),
        ("ε outside the root", "np.sqrt(variance + epsilon)", "(np.sqrt(variance) + epsilon)"),
        ("γ forgotten", "g = gamma * d", "g = d"),
        ("x in place of x̂", "(d * hat)", "(d * a)"),
        (ACCUMULATE, "dgamma += ", "dgamma[:] = ", "dbeta += ", "dbeta[:] = "),
    ],
    "cuda_saxpy": [
        ("index out of range", "    if i < x.shape[0]:\n        y", "    if True:\n        y"),
        (ACCUMULATE, " + y[i]", ""),
        ("block index forgotten, race", "cuda.grid(1)", "cuda.threadIdx.x"),
        ("x and y exchanged", "a * x[i] + y[i]", "a * y[i] + x[i]"),
        ("off by one at the end", "i < x.shape[0]", "i < x.shape[0] - 1"),
    ],
    "cuda_block_sum": [
        ("race, unwritten read", "    cuda.syncthreads()  # all numbers are there\n", ""),
        ("race", HALVED, ""),
        ("divergent barrier", HALVED, "            cuda.syncthreads()\n"),
        ("index out of range", "x[i] if i < x.shape[0] else 0", "x[i]"),
        ("unwritten read", LOADED, "if i < x.shape[0]:\n        part[t] = x[i]"),
        (ACCUMULATE, "part[t] += part", "part[t] = part"),
        ("sign", "part[t] += part", "part[t] -= part"),
        ("index out of range, race", "if t < half", "if t <= half"),
        ("", "float32", "int32"),
        ("one halving too few", "while half > 0", "while half > 1"),
        ("block index forgotten", "i = cuda.grid(1)", "i = cuda.threadIdx.x"),
    ],
    "cuda_matmul_tiled": [
        ("race, unwritten read", "        cuda.syncthreads()  # tiles are complete\n", ""),
        ("race", "        cuda.syncthreads()  # tiles are used up\n", ""),
        (ACCUMULATE, "        if i < A.shape[0] and start", "        total = 0\n        if i < A.shape[0] and start"),
        (ACCUMULATE, "total += a", "total = a"),
        ("index out of range, transposed index in C", "C[i, j] = total", "C[j, i] = total"),
        ("index out of range", "    if i < C.shape[0] and j < C.shape[1]:\n", "    if True:\n"),
        ("", "float32", "int32"),
        ("unwritten read", "        else:\n            a[y, x] = 0\n", ""),
        ("last, smaller tile forgotten", "range(0, K, TILE)", "range(0, K - K % TILE, TILE)"),
    ],
    "cuda_conv2d_forward": [
        ("writes past the end", " and t < frames", ""),
        ("length mask forgotten", "u < length", "u < x.shape[1]"),
        ("index out of range", "0 <= u and ", ""),
        ("stride forgotten", "t * st + i", "t + i", "f * sf + j", "f + j"),
        ("ReLU forgotten", "max(total, 0)", "total"),
        ("index out of range, transposed index in W", "W[i, j, c, d]", "W[i, j, d, c]"),
    ],
}


@pytest.fixture(autouse=True)
def outputs_only(monkeypatch):
    """Mistakes are recognised in the outputs: leave out the finite differences, which take most of the time."""

    def without_gradients(name):
        exercise = load(name)
        return replace(exercise, gradients=list) if isinstance(exercise, CpuExercise) else exercise

    monkeypatch.setattr(steps, "load", without_gradients)


def judged(exercise, exchanges, folder):
    """The verdict on the solution with texts exchanged. It is not compiled: running it once takes less time."""
    text = (SOLUTIONS / f"{exercise}.py").read_text(encoding="utf-8").replace("@njit\n", "")
    for old, new in zip(exchanges[::2], exchanges[1::2], strict=True):
        assert old in text, f"{old!r} is not in the solution"
        text = text.replace(old, new)
    path = folder / "answer.py"
    path.write_text(text, encoding="utf-8")
    return steps.judge(path)


@pytest.mark.parametrize(
    ("exercise", "names", "exchanges"),
    [(exercise, names, exchanges) for exercise, rows in PLANTED.items() for names, *exchanges in rows],
)
def test_a_planted_mistake_fails_and_is_recognised(exercise, names, exchanges, tmp_path):
    verdict = judged(exercise, exchanges, tmp_path)
    assert not verdict.passed
    assert ", ".join(sorted(verdict.mistakes)) == names, verdict.failures
    assert all(finding.hints for finding in verdict.failures if finding.mistakes)


@pytest.mark.parametrize("exercise", ["conv2d_backward", "cuda_conv2d_forward"])
@pytest.mark.parametrize(("mistake", "word"), [("i - pt + 1", "late"), ("i - pt - 1", "early")])
def test_the_hint_tells_the_direction_of_a_shift_in_time(exercise, mistake, word, tmp_path):
    verdict = judged(exercise, ["i - pt", mistake], tmp_path)
    hints = [hint for finding in verdict.failures for hint in finding.hints]
    assert any(f"one frame too {word}" in hint for hint in hints)
