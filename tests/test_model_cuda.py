"""A whole training step, from the corpus to the updated weights, on the CUDA side as on the CPU."""

import numpy as np
import pytest

from scratchser.corpus.batches import assemble
from scratchser.corpus.features import Features
from scratchser.corpus.normalisation import Normalisation
from scratchser.kernels import batchnorm, norms, softmax
from scratchser.kernels.machine.device import CPU
from scratchser.model import Model
from scratchser.optim import GradientNorms, Optimiser
from scratchser.presets import Config

POOLED = Config(
    conv_channels=(2,), conv_kernels=((1, 3),), conv_strides=((1, 4),), pool=((2, 2),), lstm_units=2, batchnorm="layer"
)
OURS = Config(
    conv_channels=(3, 2), conv_kernels=((3, 5), (2, 3)), conv_strides=((2, 2), (1, 2)), lstm_units=3,
    readout="statistics", readout_norm="speaker", select_epoch=False,
)  # fmt: skip
BIG = [Config(), Config(batchnorm="sequence")]
LARGE = [(config, 257, (441, 30, 129, 200, 441, 88)) for config in BIG]
SMALL = {  # few: a step takes long
    np.float32: [(OURS, 9, (3, 2, 1, 4, 2))],
    np.float64: [(POOLED, 8, (3, 5))],
}


def step(device, config, bins, lengths, dtype):
    """All that a training step leaves behind, as NumPy arrays by name."""
    rng = np.random.default_rng(3)
    lengths = np.array(lengths)
    values = rng.standard_normal((lengths.sum(), bins)).astype(dtype)
    features = Features(values, np.cumsum(lengths) - lengths, lengths).at(device)
    targets, weights = rng.dirichlet(np.ones(4), len(lengths)), rng.uniform(0.3, 1, len(lengths))
    model = Model(config, bins, 4, seed=3, dtype=dtype, device=device)
    optimiser, measured = Optimiser(model.parameters, config), GradientNorms(model.parameters)

    order = rng.permutation(len(lengths))
    x, batch_lengths = assemble(features, Normalisation(0.1, 0.9), order, rng.uniform(0.9, 1.1, len(lengths)))
    speakers = np.arange(len(order)) % 2
    scores = model.forward(x, batch_lengths, True, speakers)
    loss, dscores = softmax.loss(scores, targets.astype(dtype), weights.astype(dtype))
    model.backward(dscores)
    measured.add()
    gradients = {f"d{name}": device.download(dW) for name, dW in model.parameters.dW.items()}
    optimiser.step(0.5)
    p = model.parameters
    left = {"scores": scores, "W": p.values, "velocity": optimiser.velocity, "gradients after": p.gradients}
    if model.norm:  # what follows the last step
        z = model.embed(x, batch_lengths)
        model.norm.fit(z, speakers)
        left["inference"] = model.classify(z, speakers)
    return (
        {"loss": np.array(loss), "norms": np.array(list(measured.means().values()))}
        | gradients
        | {name: device.download(array) for name, array in left.items()}
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_training_step_is_the_same_as_on_the_cpu(device, dtype, monkeypatch):
    for module in () if device.real else (batchnorm, norms):  # where threads cost more than their work
        monkeypatch.setattr(module, "THREADS", 8)
    for config, bins, lengths in device.sizes(SMALL[dtype], LARGE):
        cuda, cpu = (step(target, config, bins, lengths, dtype) for target in (device.target, CPU))
        assert cuda.keys() == cpu.keys()
        for name, expected in cpu.items():
            tolerance = 1e-4 if dtype == np.float32 else 1e-11
            if dtype == np.float32 and config in BIG and name.startswith(("dconv", "velocity")):
                # rounding moves a few of a million inputs of a ReLU across 0: on the CPU alone, float32 differs from
                # float64 by up to 0.08 here; the test in float64 is strict
                tolerance = 0.1
            atol = tolerance * np.abs(expected).max(initial=1e-30)
            np.testing.assert_allclose(cuda[name], expected, rtol=0, atol=atol, err_msg=name)
        assert all(np.any(cpu[f"d{name}"]) for name in ("conv1.W", "lstm1.Wh", "dense.W"))
