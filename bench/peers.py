"""One class per contestant, all with the same three calls, each library imported only when its turn comes.

Every one trains the same network on the same arrays in float32, gathers shuffled batches from memory, and is
written the way that library runs fastest: torch eager, its optimizers fused where they can be (torch.compile was
slower on small networks), JAX with the whole epoch compiled as one scan.
"""

from __future__ import annotations

import functools
import warnings
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bench.cases import KEPT, Case, Weights


class Contestant(Protocol):
    """A library with one case set up in it."""

    def __init__(self, case: Case, x: NDArray, y: NDArray, weights: Weights) -> None: ...

    def reset(self) -> None:
        """Go back to the starting weights and forget the optimizer's state."""

    def train(self, epochs: int, shuffle: bool = True) -> NDArray[np.float64]:
        """Train; returns the mean loss of each epoch."""


class Fallline:
    """fallline through its public API."""

    def __init__(self, case: Case, x: NDArray, y: NDArray, weights: Weights) -> None:
        import fallline as fl

        self.case, self.x, self.y, self.weights = case, x, y, weights
        hidden = [fl.Dense(width, activation=case.activation) for width in case.widths[1:-1]]
        output = fl.Dense(case.widths[-1], activation="softmax" if case.loss == "cross_entropy" else None)
        self.model = fl.Model([fl.Input(case.widths[0]), *hidden, output], seed=0)
        self.optimizer = {
            "sgd": fl.SGD,
            "momentum": functools.partial(fl.SGD, momentum=KEPT),
            "adam": fl.Adam,
            "rmsprop": functools.partial(fl.RMSProp, rho=KEPT),
        }[case.optimizer]
        self.reset()

    def reset(self) -> None:
        case = self.case
        self.model.compile(self.optimizer(case.learning_rate), loss=case.loss)
        self.model.set_weights(self.weights)

    def train(self, epochs: int, shuffle: bool = True) -> NDArray[np.float64]:
        history = self.model.fit(
            self.x, self.y, batch_size=self.case.batch, epochs=epochs, shuffle=shuffle, verbose=0
        )
        return np.array(history.history["loss"])


class Numpy:
    """The hand-written twin."""

    def __init__(self, case: Case, x: NDArray, y: NDArray, weights: Weights) -> None:
        from bench.twins import Twin

        self.weights = weights
        self.twin = Twin(case, x, y, weights)

    def reset(self) -> None:
        self.twin.reset(self.weights)

    def train(self, epochs: int, shuffle: bool = True) -> NDArray[np.float64]:
        return self.twin.train(epochs, shuffle).mean(axis=1)


class Torch:
    """PyTorch, eager, fused optimizer where there is one."""

    def __init__(self, case: Case, x: NDArray, y: NDArray, weights: Weights) -> None:
        import torch

        self.torch, self.case, self.weights = torch, case, weights
        self.x, self.y = torch.from_numpy(x), torch.from_numpy(y)
        layers: list[Any] = []
        activation = {"relu": torch.nn.ReLU, "sigmoid": torch.nn.Sigmoid}[case.activation]
        for n, m in case.kernels:
            layers += [torch.nn.Linear(n, m), activation()]
        self.model = torch.nn.Sequential(*layers[:-1])
        functional = torch.nn.functional
        self.loss = functional.cross_entropy if case.loss == "cross_entropy" else functional.mse_loss
        self.optimizer_of = {
            "sgd": functools.partial(torch.optim.SGD, fused=True),
            "momentum": functools.partial(torch.optim.SGD, momentum=KEPT, fused=True),
            "adam": functools.partial(torch.optim.Adam, fused=True),
            "rmsprop": functools.partial(torch.optim.RMSprop, alpha=KEPT),
        }[case.optimizer]
        self.reset()

    def reset(self) -> None:
        torch = self.torch
        with torch.no_grad():
            for parameter, array in zip(self.model.parameters(), self.weights, strict=True):
                parameter.copy_(torch.from_numpy(array.T))
        self.optimizer = self.optimizer_of(self.model.parameters(), lr=self.case.learning_rate)

    def train(self, epochs: int, shuffle: bool = True) -> NDArray[np.float64]:
        torch, case, model, loss_of, optimizer = self.torch, self.case, self.model, self.loss, self.optimizer
        means = []
        for _ in range(epochs):
            order = torch.randperm(case.rows) if shuffle else torch.arange(case.rows)
            losses = []
            for rows in order.split(case.batch):
                loss = loss_of(model(self.x[rows]), self.y[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                losses.append(loss.detach())
            means.append(float(torch.stack(losses).mean()))
        return np.array(means)


class Jax:
    """JAX + optax, the epoch one jitted scan over shuffled indices; compiled before the clock starts."""

    def __init__(self, case: Case, x: NDArray, y: NDArray, weights: Weights) -> None:
        import jax
        import jax.numpy as jnp
        import optax

        self.jnp, self.case, self.weights = jnp, case, weights
        self.x, self.y = jnp.asarray(x), jnp.asarray(y)
        self.optimizer = {
            "sgd": optax.sgd,
            "momentum": functools.partial(optax.sgd, momentum=KEPT),
            "adam": optax.adam,
            "rmsprop": functools.partial(optax.rmsprop, decay=KEPT, eps_in_sqrt=False),
        }[case.optimizer](case.learning_rate)
        activate = {"relu": jax.nn.relu, "sigmoid": jax.nn.sigmoid}[case.activation]
        self.generator = np.random.default_rng(0)

        def loss_of(weights: list[Any], x: Any, y: Any) -> Any:
            for kernel, bias in zip(weights[:-2:2], weights[1:-2:2], strict=True):
                x = activate(x @ kernel + bias)
            outputs = x @ weights[-2] + weights[-1]
            if case.loss == "mse":
                return jnp.mean((outputs - y) ** 2)
            return optax.softmax_cross_entropy_with_integer_labels(outputs, y).mean()

        def epoch(state: Any, x: Any, y: Any, order: Any) -> Any:
            def step(state: Any, rows: Any) -> Any:
                weights, moments = state
                batch = x.at[rows].get(mode="promise_in_bounds"), y.at[rows].get(mode="promise_in_bounds")
                loss, gradients = jax.value_and_grad(loss_of)(weights, *batch)
                updates, moments = self.optimizer.update(gradients, moments, weights)
                return (optax.apply_updates(weights, updates), moments), loss

            state, losses = jax.lax.scan(step, state, order.reshape(case.steps, case.batch))
            return state, losses.mean()

        self.epoch = jax.jit(epoch, donate_argnums=0)
        self.reset()
        self.train(1)
        self.reset()

    def reset(self) -> None:
        # Copies, because the epoch recycles the buffers it is given.
        weights = [self.jnp.array(array, copy=True) for array in self.weights]
        self.state = weights, self.optimizer.init(weights)

    def train(self, epochs: int, shuffle: bool = True) -> NDArray[np.float64]:
        means = []
        for _ in range(epochs):
            rows = self.case.rows
            # NumPy's permutation is faster than jax.random's on the CPU.
            order = (self.generator.permutation(rows) if shuffle else np.arange(rows)).astype(np.int32)
            self.state, mean = self.epoch(self.state, self.x, self.y, order)
            means.append(mean)
        return np.array(means, dtype=float)


class Sklearn:
    """scikit-learn's MLPClassifier or MLPRegressor, kept from stopping early."""

    def __init__(self, case: Case, x: NDArray, y: NDArray, weights: Weights) -> None:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.neural_network import MLPClassifier, MLPRegressor

        warnings.simplefilter("ignore", ConvergenceWarning)
        self.case, self.x, self.weights = case, x, weights
        self.y = y if case.loss == "cross_entropy" else y.ravel()
        # Its squared error is half the mean square: same path with twice the learning rate, half the loss.
        self.scale = 1 if case.loss == "cross_entropy" else 2
        rate = case.learning_rate * (self.scale if case.optimizer == "sgd" else 1)
        kind = MLPClassifier if case.loss == "cross_entropy" else MLPRegressor
        self.model = kind(
            hidden_layer_sizes=case.widths[1:-1],
            solver=case.optimizer,
            learning_rate_init=rate,
            batch_size=case.batch,
            alpha=0.0,
            momentum=0.0,
            nesterovs_momentum=False,
            tol=0.0,
            n_iter_no_change=10**9,
            random_state=0,
        )
        classes = {"classes": np.arange(case.widths[-1])} if case.loss == "cross_entropy" else {}
        self.model.partial_fit(x[: case.batch], self.y[: case.batch], **classes)
        self.model.set_params(warm_start=True)
        self.reset()

    def reset(self) -> None:
        self.model.coefs_ = [array.copy() for array in self.weights[::2]]
        self.model.intercepts_ = [array.copy() for array in self.weights[1::2]]
        self.model.loss_curve_ = []

    def train(self, epochs: int, shuffle: bool = True) -> NDArray[np.float64]:
        self.model.set_params(max_iter=epochs, shuffle=shuffle)
        self.model.fit(self.x, self.y)
        return self.scale * np.array(self.model.loss_curve_[-epochs:], dtype=float)


CONTESTANTS: dict[str, type[Contestant]] = {
    "fallline": Fallline,
    "numpy": Numpy,
    "torch": Torch,
    "jax": Jax,
    "sklearn": Sklearn,
}

DISTRIBUTIONS = {
    "fallline": ("fallline",),
    "numpy": ("numpy",),
    "torch": ("torch",),
    "jax": ("jax", "jaxlib", "optax"),
    "sklearn": ("scikit-learn",),
}
"""The packages whose versions a contestant's figures belong to."""
