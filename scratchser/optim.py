"""Nesterov SGD with layer-wise learning rates and L2 (sections 3 and 3.2), over the flat buffers."""

import numpy as np

from scratchser.kernels import nesterov, norms
from scratchser.layers import Parameters
from scratchser.presets import Config


class Optimiser:
    """Updates the parameters in place; `velocity` (n,) is its only state."""

    def __init__(self, parameters: Parameters, config: Config) -> None:
        self.parameters, self.momentum, self.limit = parameters, config.momentum, config.clip_norm
        self.velocity = parameters.device.zeros(parameters.values.shape, parameters.values.dtype)
        learning_rates = {"conv": config.conv_learning_rate, "rest": config.learning_rate, "statistics": 0.0}
        decays = {"conv": config.conv_l2, "rest": config.l2}
        self.learning_rate = np.array([learning_rates[spec.group] for spec in parameters.specs])
        self.l2 = np.array([decays[spec.group] if spec.decays else 0.0 for spec in parameters.specs])

    def step(self, factor: float) -> None:
        """One update from the gradients, then they are set to 0. `factor` (Config.factor) scales all learning rates."""
        p = self.parameters
        if self.limit:
            norms.clip(p.gradients, p.ends, self.limit)
        nesterov.step(p.values, self.velocity, p.gradients, p.ends, self.learning_rate * factor, self.l2, self.momentum)


class GradientNorms:
    """||dW|| / sqrt(n) of the weights of each layer without L2, mean over the updates of an epoch (figure 4)."""

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters
        self.layers = list(dict.fromkeys(spec.layer for spec in parameters.specs if spec.decays))
        self.total = dict.fromkeys(self.layers, 0.0)
        self.updates = 0

    def add(self) -> None:
        """Add the current gradients: call it after backward and before the update."""
        p = self.parameters
        squares = p.device.download(norms.squares(p.gradients, p.ends))
        for layer in self.layers:
            weights = [g for g, spec in enumerate(p.specs) if spec.layer == layer and spec.decays]
            count = sum(p.W[p.specs[g].name].size for g in weights)
            self.total[layer] += float(np.sqrt(sum(float(squares[g]) for g in weights) / count))
        self.updates += 1

    def means(self) -> dict[str, float]:
        return {layer: total / max(1, self.updates) for layer, total in self.total.items()}
