"""The CUDA side of batch normalisation against the CPU side; bits, running statistics, planted faults.

The matrix product has its own tests and is slow without a GPU, so a plain one replaces it.
"""

from dataclasses import dataclass

import numpy as np
import pytest
import test_lstm_cuda
from test_lstm_cuda import close, in_small_blocks, plain_product, same_bits

from scratchser.kernels import batchnorm, batchnorm_frame, lstm
from scratchser.kernels.batchnorm import KINDS, Norm
from scratchser.kernels.parts import statistics

PARAMETERS = ("Wx", "Wh", "gamma", "beta")
STATISTICS = ("mean", "variance", "updates")


@dataclass(frozen=True)
class Case(test_lstm_cuda.Case):
    S: int = 3  # steps that have running statistics, frame-wise

    def draw(self, kind, dtype=np.float64, seed=0):
        """Inputs, dy and running statistics; x and dy are NaN past each utterance's end."""
        inputs, rng = super().draw(dtype, seed), np.random.default_rng(seed + 2)
        M, G, S = 4 * self.H, KINDS[kind], self.S if kind.startswith("frame") else 1
        inputs["beta"] = inputs.pop("b")
        more = {
            "gamma": rng.uniform(0.5, 1.5, (G, 2, M)),
            "mean": rng.standard_normal((G, S, 2, M)),
            "variance": rng.uniform(0.5, 2, (G, S, 2, M)),
            "updates": 4.0 * (np.arange(S) < max(1, S - 1)),  # the last step has no statistics yet
        }
        return inputs | {name: array.astype(dtype) for name, array in more.items()}

    def run(self, upload, kind, **inputs):
        """y at inference; then y, all gradients, those of the parameters added to 1, and the statistics of training.

        ε is large, since the rounding of float32 is multiplied by 1/√ε where two utterances hardly differ.
        """
        a = {name: upload(array) for name, array in inputs.items()}
        norm = Norm(kind, *(a[name] for name in ("gamma", "beta", *STATISTICS)), epsilon=0.1)
        given = a["x"], self.frames, a["Wx"], a["Wh"], norm, a["h0"], a["c0"]
        before, _ = batchnorm.forward(*given)
        y, cache = batchnorm.forward(*given, training=True)
        d = {name: upload(np.ones_like(inputs[name])) for name in PARAMETERS}
        d["x"], d["h0"], d["c0"] = batchnorm.backward(a["dy"], cache, a["Wx"], a["Wh"], norm, *d.values())
        results = {"inference": before, "y": y} | {f"d{name}": array for name, array in d.items()}
        return results | {name: a[name] for name in STATISTICS}


CASES = [Case((1,), D=1, H=1), Case((2, 1, 3, 2), D=2, H=2, spare=1)]  # at the last step one of them runs
LARGE = [Case((57, 118, 20, 33, 118, 1, 90, 64, 71, 7, 118, 100, 101, 102, 2, 50), D=1536, H=128, S=256)]
MIXED = CASES[1]
kinds = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture
def small_blocks(on_gpu, monkeypatch):
    """Several blocks for each launch, as large sizes have; small blocks are also faster here."""
    if on_gpu:
        return
    in_small_blocks(monkeypatch)
    monkeypatch.setattr(batchnorm_frame, "product", plain_product)
    for module, sizes in {
        batchnorm: {"THREADS": 4, "COLUMNS": 5, "PARTS": 2},
        batchnorm_frame: {"THREADS": 7},
        statistics: {"THREADS": 7},
    }.items():
        for name, size in sizes.items():
            monkeypatch.setattr(module, name, size)


@kinds
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_agrees_with_the_cpu(device, dtype, small_blocks, kind):
    for case in device.sizes(CASES, LARGE):
        inputs = case.draw(kind, dtype)
        close(device.results(case.run, kind, **inputs), case.run(np.array, kind, **inputs), dtype)


def test_with_the_product_of_the_kernels(device):
    case = Case((2, 1), D=2, H=2)
    inputs = case.draw("frame-9")
    close(device.results(case.run, "frame-9", **inputs), case.run(np.array, "frame-9", **inputs), np.float64)


@pytest.mark.parametrize("kind", ["frame-9", "layer"])
def test_same_bits_for_any_block_size(device, small_blocks, monkeypatch, kind):
    """Except average_cuda's, whose sum is split among the threads of a block."""
    inputs = MIXED.draw(kind, np.float32)
    usual = device.results(MIXED.run, kind, **inputs)
    for module in (batchnorm_frame, statistics, lstm):
        monkeypatch.setattr(module, "THREADS", 32)
    same_bits(device.results(MIXED.run, kind, **inputs), usual)


@kinds
def test_at_inference_an_utterance_has_the_same_bits_alone(device, small_blocks, kind):
    inputs = MIXED.draw(kind, np.float32)
    together = device.results(MIXED.run, kind, **inputs)["inference"]
    for u, length in enumerate(MIXED.lengths):
        own = {name: np.ascontiguousarray(inputs[name][u : u + 1, :length]) for name in ("x", "dy")}
        own |= {name: np.ascontiguousarray(inputs[name][:, u : u + 1]) for name in ("h0", "c0")}
        alone = device.results(Case((length,), D=2, H=2).run, kind, **(inputs | own))["inference"]
        np.testing.assert_array_equal(alone[0], together[u, :length])


FAULTS = [
    ("sequence", "add_products_cuda", "for n in range(p, N, PARTS):", "for n in range(p, N - 1, PARTS):", "result"),
    ("sequence", "add_products_cuda", "cuda.syncthreads()  # all parts are written", "pass", "race"),
    ("sequence", "add_products_cuda", "sums[j] += total", "sums[n] += total", "race"),
    ("layer", "average_cuda", "block_sum(part, i)", "pass", "result"),
    ("layer", "average_cuda", "cuda.syncthreads()  # the sum is written", "pass", "race"),
    ("layer", "average_cuda", "part[i] = total", "part[0] = total", "race"),
    ("layer", "average_cuda", "total += average", "total = average", "result"),
    ("sequence", "centre_cuda", "hat[i] = z[i] - mean[i % mean.size]", "hat[i] = z[i] - mean[i]", "out of range"),
    ("sequence", "scale_cuda", "hat[i] = scaled", "pass", "result"),
    ("sequence", "scale_cuda", "j = i % variance.size", "j = i", "out of range"),
    ("sequence", "gradient_cuda", "j = i % variance.size", "j = 0", "result"),
    ("frame-8", "remember_cuda", "if n >= 2:", "if n >= 1:", "result"),
    ("frame-8", "remember_cuda", "cuda.syncthreads()  # all have read the number of updates", "pass", "race"),
    ("frame-8", "remember_cuda", "updates[s] = k", "updates[s] = n", "result"),
    ("frame-8", "rank_cuda", "if inverse:", "if not inverse:", "result"),
    ("frame-9", "normalise_cuda", "for g in range(G):", "for g in range(1):", "result"),
    ("frame-8", "normalise_cuda", "average /= count", "pass", "result"),
    ("frame-8", "normalise_cuda", "normed[g, at, direction, j] = hat", "normed[g, at, 0, j] = hat", "race"),
    ("frame-8", "cell_cuda", "h[direction, r, u] = next_h", "h[direction, b, u] = next_h", "result"),
    ("frame-8", "cell_cuda", "if direction < 2:", "if True:", "out of range"),
    ("frame-9", "cell_gradient_cuda", "dz[direction, r, H + u] = df", "dz[direction, r, H + u] = di", "result"),
    ("frame-9", "normalise_gradient_cuda", "if g == G - 1:", "if g == 0:", "result"),
    ("frame-9", "normalise_gradient_cuda", "dbeta[direction, j] += total", "dbeta[0, j] += total", "race"),
    ("frame-9", "normalise_gradient_cuda", "total += dz[direction, r, j]", "total = dz[direction, r, j]", "result"),
]  # fmt: skip


def test_a_planted_fault_is_caught(check_fault, fault, small_blocks):
    kind, *_ = fault
    inputs = MIXED.draw(kind)
    check_fault(lambda upload: list(MIXED.run(upload, kind, **inputs).values()), batchnorm, statistics, batchnorm_frame)
