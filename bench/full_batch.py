"""L-BFGS on 784-128-10 and 10,000 MNIST images, all in a step: fallline, torch, scikit-learn.

All start from the same weights on the same float32 arrays, keep ten pairs, and minimise the mean cross-entropy plus
5e-4 of the squared kernels, so that there is an end that all come to.
"""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

WIDTHS = (784, 128, 10)
ROWS = 10_000
L2 = 1e-3


def weights() -> list[NDArray[np.float32]]:
    """Glorot-uniform kernels and zero biases."""
    generator = np.random.default_rng(0)
    arrays = []
    for n, m in itertools.pairwise(WIDTHS):
        limit = (6 / (n + m)) ** 0.5
        arrays += [generator.uniform(-limit, limit, (n, m)).astype(np.float32), np.zeros(m, np.float32)]
    return arrays


class Fallline:
    """Model.fit with LBFGS."""

    def __init__(self, x: NDArray, y: NDArray, start: list[NDArray]) -> None:
        import fallline as fl

        self.fl, self.x, self.y, self.start = fl, x, y, start
        hidden, output = (
            fl.Dense(width, activation, kernel_regularizer=fl.L2(L2))
            for width, activation in zip(WIDTHS[1:], ("relu", "softmax"), strict=True)
        )
        self.model = fl.Model([fl.Input(WIDTHS[0]), hidden, output], seed=0)

    def train(self, iterations: int) -> float:
        """Iterate from the start; returns the loss reached, penalty included."""
        self.model.compile(self.fl.LBFGS(gtol=0, ftol=0), "cross_entropy")
        self.model.set_weights(self.start)
        return self.model.fit(self.x, self.y, epochs=iterations, verbose=0).history["loss"][-1]


class Torch:
    """torch.optim.LBFGS with its strong Wolfe search."""

    def __init__(self, x: NDArray, y: NDArray, start: list[NDArray]) -> None:
        import torch

        self.torch, self.start = torch, start
        self.x, self.y = torch.from_numpy(x), torch.from_numpy(y)
        inputs, units, classes = WIDTHS
        layers = torch.nn.Linear(inputs, units), torch.nn.ReLU(), torch.nn.Linear(units, classes)
        self.model = torch.nn.Sequential(*layers)

    def train(self, iterations: int) -> float:
        """Iterate from the start; returns the loss reached, penalty included."""
        torch, model = self.torch, self.model
        with torch.no_grad():
            for parameter, array in zip(model.parameters(), self.start, strict=True):
                parameter.copy_(torch.from_numpy(array.T))
        kernels = [parameter for parameter in model.parameters() if parameter.ndim == 2]
        optimizer = torch.optim.LBFGS(
            model.parameters(),
            max_iter=iterations,
            max_eval=25 * iterations,
            tolerance_grad=0,
            tolerance_change=0,
            history_size=10,
            line_search_fn="strong_wolfe",
        )

        def closure() -> Any:
            optimizer.zero_grad()
            penalty = sum((kernel * kernel).sum() for kernel in kernels)
            loss = torch.nn.functional.cross_entropy(model(self.x), self.y) + L2 / 2 * penalty
            loss.backward()
            return loss

        optimizer.step(closure)
        return float(closure().detach())


class Sklearn:
    """MLPClassifier(solver="lbfgs"), which leaves the search to scipy."""

    def __init__(self, x: NDArray, y: NDArray, start: list[NDArray]) -> None:
        from sklearn.neural_network import MLPClassifier

        self.x, self.y, self.start = x, y, start
        self.model = MLPClassifier(WIDTHS[1:-1], alpha=L2 * ROWS, tol=0, max_fun=10**6, random_state=0)
        self.model.partial_fit(x[:100], y[:100], classes=np.arange(WIDTHS[-1]))
        self.model.set_params(solver="lbfgs", warm_start=True)

    def train(self, iterations: int) -> float:
        """Iterate from the start; returns the loss reached, penalty included."""
        self.model.coefs_ = [array.copy() for array in self.start[::2]]
        self.model.intercepts_ = [array.copy() for array in self.start[1::2]]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it was stopped
            self.model.set_params(max_iter=iterations).fit(self.x, self.y)
        return float(self.model.loss_)


CONTESTANTS: dict[str, Any] = {"fallline": Fallline, "torch": Torch, "sklearn": Sklearn}
