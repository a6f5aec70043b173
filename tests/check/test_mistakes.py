"""Typical mistakes, planted in the worked solutions one by one: each fails, and is named what it is."""

from pathlib import Path

import pytest

from scratchser.check.judge.judge import judge

SOLUTIONS = Path(__file__).parent / "solutions"
ACCUMULATE = "missing accumulate"
TIME = "off by one in time"

# exercise: {mistake: (text in the solution -> what the learner wrote, ..., names that have to be recognised)}
PLANTED = {
    "linear_backward": {
        "W transposed": (
            {"dx[b, d] += dy[b, k] * W[d, k]": "dx[b, d] += dy[b, k] * W[k, d]"},
            ["transposed index in W"],
        ),
        "dW transposed": ({"dW[d, k] +=": "dW[k, d] +="}, ["transposed index in dW"]),
        "dW is the last utterance's": ({"dW[d, k] +=": "dW[d, k] ="}, [ACCUMULATE]),
        "db is the last utterance's": ({"db[k] +=": "db[k] ="}, [ACCUMULATE]),
        "dx is the last class's": ({"dx[b, d] +=": "dx[b, d] ="}, [ACCUMULATE]),
        "what was in dW is lost": ({"dx = np": "dW[:] = 0\n    dx = np"}, [ACCUMULATE]),
        "mean": ({"dW[d, k] += x[b, d]": "dW[d, k] += x[b, d] / len(x)"}, ["divided by the batch size"]),
    },
    "softmax_loss": {
        "1/B": ({"weight[b] / B": "weight[b]"}, ["factor 1/B forgotten"]),
        "weights": ({"weight[b] / B": "1 / B"}, ["weights forgotten"]),
        "sum of weights": ({"weight[b] / B": "weight[b] / weight.sum()"}, ["divided by the sum of weights"]),
        "mass": ({"p * target[b].sum() -": "p -"}, ["targets taken for distributions"]),
        "sign": ({"loss += -w": "loss += w"}, ["sign"]),
        "sign of the gradient": ({"p * target[b].sum() - target[b]": "target[b] - p * target[b].sum()"}, ["sign"]),
        "the last row's loss": ({"loss += ": "loss = "}, [ACCUMULATE]),
        "hard": ({"target[b] * log_p": "np.eye(K)[target[b].argmax()] * log_p"}, ["hard targets"]),
    },
    "vtlp": {
        "G": (
            {
                "hinge = alpha * 0.9 * fmax": "hinge = 0.9 * fmax",
                "source = k / alpha": "source = alpha * k",
                "fmax - (fmax - k) / (10 - 9 * alpha)": "fmax - (fmax - k) * (10 - 9 * alpha)",
            },
            ["warp in the wrong direction"],
        ),
        "lower neighbour": ({"(1 - w) * S[t, i] + w * S[t, i + 1]": "S[t, i]"}, ["weight forgotten"]),
        "weights": ({"(1 - w) * S[t, i] + w *": "w * S[t, i] + (1 - w) *"}, ["weights exchanged"]),
        "hinge": ({"hinge = alpha * 0.9": "hinge = 0.9"}, ["hinge in the wrong place"]),
        "fmax": ({"fmax = F - 1": "fmax = F"}, ["off by one in fmax"]),
    },
    "stft": {
        "window": ({" * window": ""}, ["window forgotten"]),
        "amplitude": ({"real**2 + imaginary**2": "np.sqrt(real**2 + imaginary**2)"}, ["square forgotten"]),
        "real": ({"real**2 + imaginary**2": "real**2"}, ["imaginary part forgotten"]),
        "log10": ({"np.log(np.max": "np.log10(np.max"}, ["decimal logarithm"]),
        "floor": ({"np.maximum(power, floor)": "power + floor"}, ["floor added"]),
        "hop": ({"start = t * hop": "start = t"}, ["hop forgotten"]),
        "normalised": ({"real**2 + imaginary**2": "(real**2 + imaginary**2) / N"}, ["divided by the window's length"]),
    },
    "nesterov": {
        "plain": ({"(g + momentum * V[i])": "V[i]"}, ["momentum without looking ahead"]),
        "l2": ({"dW[i] + l2[s] * W[i]": "dW[i]"}, ["L2 forgotten"]),
        "factor 2": ({"l2[s] * W[i]": "2 * l2[s] * W[i]"}, ["factor 2 in L2"]),
        "sign": ({"W[i] -=": "W[i] +="}, ["sign"]),
        "not cleared": ({"            dW[i] = 0\n": ""}, ["gradient not cleared"]),
        "one segment": ({"l2[s]": "l2[0]", "rate[s]": "rate[0]"}, ["segments ignored"]),
        "velocity": ({"momentum * V[i] + g": "g"}, ["momentum forgotten"]),
    },
    "conv2d_forward": {
        "stride": ({"t * st + i": "t + i", "f * sf + j": "f + j"}, ["stride forgotten"]),
        "strides exchanged": ({"t * st + i": "t * sf + i", "f * sf + j": "f * st + j"}, ["strides exchanged"]),
        "flipped": ({"W[i, j, c, d]": "W[I - 1 - i, J - 1 - j, c, d]"}, ["kernel flipped"]),
        "transposed": ({"W[i, j, c, d]": "W[i, j, d, c]"}, ["transposed index in W"]),
        "late": ({"i - pt": "i - pt + 1"}, [TIME]),
        "early": ({"i - pt": "i - pt - 1"}, [TIME]),
        "half": ({"pt, pf = (I - 1) // 2, (J - 1) // 2": "pt, pf = I // 2, J // 2"}, ["off by one in the padding"]),
        "relu": ({"max(total, 0)": "total"}, ["ReLU forgotten"]),
        "bias": ({"total = bias[d]": "total = bias[d] * 0"}, ["bias forgotten"]),
        "padding is read": ({"u < length": "u < T"}, ["length mask forgotten"]),
        "written past the end": ({"frames = -(-length // st)": "frames = -(-T // st)"}, ["writes past the end"]),
        "lengths": ({"length = lengths[b]": "length = T"}, ["lengths ignored"]),
        "last channel of the last tap": ({"total += x": "total = x"}, [ACCUMULATE]),
    },
    "conv2d_backward": {
        "relu": ({"np.where(y[b, t, f] > 0, dy[b, t, f], 0)": "dy[b, t, f]"}, ["ReLU mask forgotten"]),
        "wrong mask": ({"y[b, t, f] > 0": "dy[b, t, f] > 0"}, ["mask of the wrong array"]),
        "stride": ({"t * st + i": "t + i", "f * sf + j": "f + j"}, ["stride forgotten"]),
        "not flipped": ({"W[i, j] @ dz": "W[I - 1 - i, J - 1 - j] @ dz"}, ["kernel not flipped"]),
        "transposed": ({"W[i, j] @ dz": "dz @ W[i, j]"}, ["transposed index in W"]),
        "dW starts again": ({"    dx = np": "    dW[:] = 0\n    dx = np"}, [ACCUMULATE]),
        "dW is the last position's": ({"dW[i, j] +=": "dW[i, j] ="}, [ACCUMULATE]),
        "dx is the last tap's": ({"dx[b, u, v] +=": "dx[b, u, v] ="}, [ACCUMULATE]),
        "sign of dx": ({"dx[b, u, v] +=": "dx[b, u, v] -="}, ["sign"]),
        "dbias is another array": ({"dbias += dz": "dbias = dbias + dz"}, ["never written"]),
        "dbias is the last open position's": ({"dbias += dz": "dbias[dz != 0] = dz[dz != 0]"}, [ACCUMULATE]),
        "dW is the last open position's": (
            {"dW[i, j] += np.outer(x[b, u, v], dz)": "dW[i, j][:, dz != 0] = np.outer(x[b, u, v], dz)[:, dz != 0]"},
            [ACCUMULATE],
        ),
        "dx is the last open product": (
            {
                "dx[b, u, v] += W[i, j] @ dz": "for d in np.flatnonzero(dz):\n"
                "                                dx[b, u, v] = W[i, j, :, d] * dz[d]"
            },
            [ACCUMULATE],
        ),
        "dx is the last product": (
            {"dx[b, u, v] += W[i, j] @ dz": "dx[b, u, v] = W[i, j, :, -1] * dz[-1]"},
            [ACCUMULATE],
        ),
        "W[j, i]": ({"W[i, j] @ dz": "W[j, i] @ dz"}, ["transposed index in W"]),
        "dW[j, i]": ({"dW[i, j] +=": "dW[j, i] +="}, ["transposed index in W"]),
        "strides": ({"t * st + i": "t * sf + i", "f * sf + j": "f * st + j"}, ["strides exchanged"]),
        "strides from the start": ({"st, sf = stride": "sf, st = stride"}, ["strides exchanged"]),
        "dbias is the last position's": ({"dbias += dz": "dbias[:] = dz"}, [ACCUMULATE]),
        "late": ({"i - pt": "i - pt + 1"}, [TIME]),
        "no padding": ({"pt, pf = (I - 1) // 2, (J - 1) // 2": "pt, pf = 0, 0"}, ["padding forgotten"]),
        "dW outer": ({"np.outer(x[b, u, v], dz)": "np.outer(dz, x[b, u, v])"}, ["transposed index in dW"]),
        "dy past the end": ({"frames = -(-length // st)": "frames = dy.shape[1]"}, ["lengths ignored"]),
        "x past the end": ({"u < length": "u < T"}, ["length mask forgotten"]),
        "both": ({"length = lengths[b]": "length = T"}, ["lengths ignored"]),
        "mean": (
            {"dW[i, j] += np.outer(x[b, u, v], dz)": "dW[i, j] += np.outer(x[b, u, v], dz) / B"},
            ["divided by the batch size"],
        ),
    },
    "lstm_cell_forward": {
        "i f o g": (
            {"i, f, g, o = np.split": "i, f, o, g = np.split", "[i, f, g, o]": "[i, f, o, g]"},
            ["swapped gate order"],
        ),
        "f i g o": (
            {"i, f, g, o = np.split": "f, i, g, o = np.split", "[i, f, g, o]": "[f, i, g, o]"},
            ["f and i exchanged"],
        ),
        "no tanh": ({"np.tanh(c_after)": "c_after"}, ["tanh of the cell state forgotten"]),
        "sigmoid g": ({"g = np.tanh(g)": "g = sigmoid(g)"}, ["σ in place of tanh for g"]),
        "old c": ({"np.tanh(c_after)": "np.tanh(c)"}, ["off by one step"]),
        "no memory": ({"f * c + i * g": "i * g"}, [ACCUMULATE]),
        "exchanged": ({"f * c + i * g": "i * c + f * g"}, ["f and i exchanged"]),
    },
    "lstm_backward": {
        "h[n] for h[n-1]": ({"np.outer(h_before, dz)": "np.outer(y[b, t], dz)"}, [TIME]),
        "c[n] for c[n-1]": ({"dc * c_before * f": "dc * c[b, t] * f"}, [TIME]),
        "f[n] for f[n+1]": ({"dc = dc + dh * o": "dc = dc * f + dh * o", "            dc = dc * f\n": ""}, [TIME]),
        "no carry of c": ({"            dc = dc * f\n": "            dc = dc * 0\n"}, ["cell state not carried"]),
        "no forget gate": ({"            dc = dc * f\n": ""}, ["forget gate forgotten"]),
        "no carry of h": ({"dh = dz @ Wh.T": "dh = dh * 0"}, ["state not carried"]),
        "h0": ({"if t > 0 else h0[b]": "if t > 0 else 0 * h0[b]"}, ["initial state forgotten"]),
        "c0": ({"if t > 0 else c0[b]": "if t > 0 else 0 * c0[b]"}, ["initial state forgotten"]),
        "y[-1]": ({"y[b, t - 1] if t > 0 else h0[b]": "y[b, t - 1]"}, ["negative index"]),
        "lengths": ({"range(lengths[b] - 1": "range(T - 1"}, ["length mask forgotten"]),
        "gate order": (
            {"i, f, g, o = gates": "i, f, o, g = gates", "[di, df, dg, do]": "[di, df, do, dg]"},
            ["swapped gate order"],
        ),
        "tanh": ({" * (1 - squashed**2)": ""}, ["derivative of tanh c forgotten"]),
        "dy lost": ({"dc = dc + dh * o": "dc = dh * o"}, [ACCUMULATE]),
        "the last step's dWx": ({"dWx += ": "dWx[:] = "}, [ACCUMULATE]),
        "dWh starts again": ({"    dh0, dc0 = np": "    dWh[:] = 0\n    dh0, dc0 = np"}, [ACCUMULATE]),
        "transposed": ({"dx[b, t] = dz @ Wx.T": "dx[b, t] = dz @ Wx"}, ["transposed index in Wx"]),
    },
    "batch_norm": {
        "constants": ({"s * (g - of_mean - hat * of_variance)": "s * g"}, ["statistics taken for constants"]),
        "mean": ({"g - of_mean -": "g -"}, ["path through the mean forgotten"]),
        "variance": ({" - hat * of_variance": ""}, ["path through the variance forgotten"]),
        "padding": ({"real = np.arange(T) < lengths[:, None]": "real = np.full((B, T), True)"}, ["padding counted"]),
        "B T": ({"n = len(a)": "n = B * T"}, ["padding counted"]),
        "n - 1": (
            {"((a - mean) ** 2).sum(axis=0) / n": "((a - mean) ** 2).sum(axis=0) / max(n - 1, 1)"},
            ["variance divided by n - 1"],
        ),
        "ddof=1": ({"((a - mean) ** 2).sum(axis=0) / n": "a.var(axis=0, ddof=1)"}, ["variance divided by n - 1"]),
        "all n - 1": (
            {
                "((a - mean) ** 2).sum(axis=0) / n": "((a - mean) ** 2).sum(axis=0) / max(n - 1, 1)",
                "g.sum(axis=0) / n": "g.sum(axis=0) / max(n - 1, 1)",
                "(g * hat).sum(axis=0) / n": "(g * hat).sum(axis=0) / max(n - 1, 1)",
            },
            ["variance divided by n - 1"],
        ),
        "layer": (
            {
                "a.sum(axis=0) / n": "a.mean()",
                "((a - mean) ** 2).sum(axis=0) / n": "((a - mean) ** 2).mean()",
                "g.sum(axis=0) / n": "g.mean()",
                "(g * hat).sum(axis=0) / n": "(g * hat).mean()",
            },
            ["statistics of all features together"],
        ),
        "root": ({"1 / np.sqrt(variance + epsilon)": "1 / (variance + epsilon)"}, ["square root forgotten"]),
        "epsilon": ({"np.sqrt(variance + epsilon)": "(np.sqrt(variance) + epsilon)"}, ["ε outside the root"]),
        "gamma": ({"g = gamma * d": "g = d"}, ["γ forgotten"]),
        "x": ({"(d * hat)": "(d * a)"}, ["x in place of x̂"]),
        "accumulate": ({"dgamma += ": "dgamma[:] = ", "dbeta += ": "dbeta[:] = "}, [ACCUMULATE]),
    },
    "cuda_saxpy": {
        "no guard": ({"    if i < x.shape[0]:\n        y": "    if True:\n        y"}, ["index out of range"]),
        "y lost": ({" + y[i]": ""}, [ACCUMULATE]),
        "no block index": ({"cuda.grid(1)": "cuda.threadIdx.x"}, ["race", "block index forgotten"]),
        "exchanged": ({"a * x[i] + y[i]": "a * y[i] + x[i]"}, ["x and y exchanged"]),
        "last": ({"i < x.shape[0]": "i < x.shape[0] - 1"}, ["off by one at the end"]),
    },
    "cuda_block_sum": {
        "no barrier at first": ({"    cuda.syncthreads()  # all numbers are there\n": ""}, ["race", "unwritten read"]),
        "no barrier in the loop": ({"        cuda.syncthreads()  # this halving is done\n": ""}, ["race"]),
        "divergent": (
            {"        cuda.syncthreads()  # this halving is done\n": "            cuda.syncthreads()\n"},
            ["divergent barrier"],
        ),
        "no guard": ({"x[i] if i < x.shape[0] else 0": "x[i]"}, ["index out of range"]),
        "unwritten": (
            {"    part[t] = x[i] if i < x.shape[0] else 0": "    if i < x.shape[0]:\n        part[t] = x[i]"},
            ["unwritten read"],
        ),
        "=": ({"part[t] += part": "part[t] = part"}, [ACCUMULATE]),
        "-=": ({"part[t] += part": "part[t] -= part"}, ["sign"]),
        "one thread too many": ({"if t < half": "if t <= half"}, ["index out of range", "race"]),
        "integers": ({"float32": "int32"}, []),
        "one halving too few": ({"while half > 0": "while half > 1"}, ["one halving too few"]),
        "block index": ({"i = cuda.grid(1)": "i = cuda.threadIdx.x"}, ["block index forgotten"]),
    },
    "cuda_matmul_tiled": {
        "no barrier before": ({"        cuda.syncthreads()  # tiles are complete\n": ""}, ["race", "unwritten read"]),
        "no barrier after": ({"        cuda.syncthreads()  # tiles are used up\n": ""}, ["race"]),
        "total starts again": (
            {"        if i < A.shape[0] and start": "        total = 0\n        if i < A.shape[0] and start"},
            [ACCUMULATE],
        ),
        "=": ({"total += a": "total = a"}, [ACCUMULATE]),
        "transposed": ({"C[i, j] = total": "C[j, i] = total"}, ["index out of range", "transposed index in C"]),
        "no guard": ({"    if i < C.shape[0] and j < C.shape[1]:\n": "    if True:\n"}, ["index out of range"]),
        "integers": ({"float32": "int32"}, []),
        "old tile": ({"        else:\n            a[y, x] = 0\n": ""}, ["unwritten read"]),
        "last tile": ({"range(0, K, TILE)": "range(0, K - K % TILE, TILE)"}, ["last, smaller tile forgotten"]),
    },
    "cuda_conv2d_forward": {
        "past the end": ({" and t < frames": ""}, ["writes past the end"]),
        "padding is read": ({"u < length": "u < x.shape[1]"}, ["length mask forgotten"]),
        "no lower guard": ({"0 <= u and ": ""}, ["index out of range"]),
        "stride": ({"t * st + i": "t + i", "f * sf + j": "f + j"}, ["stride forgotten"]),
        "relu": ({"max(total, 0)": "total"}, ["ReLU forgotten"]),
        "transposed": ({"W[i, j, c, d]": "W[i, j, d, c]"}, ["index out of range", "transposed index in W"]),
    },
}


@pytest.mark.parametrize("exercise", sorted(file.stem for file in SOLUTIONS.glob("*.py")))
def test_a_solution_passes(exercise):
    verdict = judge(SOLUTIONS / f"{exercise}.py")
    assert verdict.passed, verdict.failures
    assert verdict.exercise == exercise and len(verdict.findings) >= 2


def planted(exercise, exchanges, folder):
    """The solution with texts exchanged, each of which must be there; uncompiled, which is faster once."""
    text = (SOLUTIONS / f"{exercise}.py").read_text(encoding="utf-8").replace("@njit\n", "")
    for old, new in exchanges.items():
        assert old in text, f"{old!r} is not in the solution"
        text = text.replace(old, new)
    path = folder / "answer.py"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("exercise", "mistake"), [(exercise, mistake) for exercise, mistakes in PLANTED.items() for mistake in mistakes]
)
def test_a_planted_mistake_fails_and_is_named(exercise, mistake, tmp_path):
    exchanges, names = PLANTED[exercise][mistake]
    verdict = judge(planted(exercise, exchanges, tmp_path))
    assert not verdict.passed
    assert sorted(verdict.mistakes) == sorted(names), verdict.failures
    assert all(finding.hints for finding in verdict.failures if finding.mistakes)


@pytest.mark.parametrize("exercise", ["conv2d_backward", "cuda_conv2d_forward"])
@pytest.mark.parametrize(("mistake", "word"), [("i - pt + 1", "late"), ("i - pt - 1", "early")])
def test_a_shift_in_time_is_told_with_its_direction(exercise, mistake, word, tmp_path):
    verdict = judge(planted(exercise, {"i - pt": mistake}, tmp_path))
    hints = [hint for finding in verdict.failures for hint in finding.hints]
    assert any(f"one frame too {word}" in hint for hint in hints)


def test_two_mistakes_in_one_output_get_no_wrong_name(tmp_path):
    exchanges = {
        "dW[d, k] += x[b, d] * dy": "dW[k, d] += 2 * x[b, d] * dy",
        "db[k] += dy[b, k]": "db[k] = dy[b, k] / 3",
    }
    verdict = judge(planted("linear_backward", exchanges, tmp_path))
    assert not verdict.passed and verdict.mistakes == []
