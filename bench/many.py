"""Contestants of the case `many`: 256 small networks on the same rows, with the calls of bench.peers.

fallline and NumPy shuffle the rows for each network by itself, as fits one by one would. JAX runs faster with one
order for all, so that is what it gets.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.cases import Case, Weights


class Fallline:
    """fit_many."""

    def __init__(self, case: Case, x: NDArray, y: NDArray, weights: list[Weights]) -> None:
        import fallline as fl

        self.fit_many, self.adam = fl.fit_many, fl.Adam
        self.case, self.x, self.y, self.weights = case, x, y, weights
        inputs, *hidden, outputs = case.widths
        layers = [fl.Input(inputs), *(fl.Dense(n, activation="relu") for n in hidden), fl.Dense(outputs)]
        self.models = [fl.Model(layers, seed=seed) for seed in range(case.models)]
        self.reset()

    def reset(self) -> None:
        for model, weights in zip(self.models, self.weights, strict=True):
            model.compile(self.adam(self.case.learning_rate), self.case.loss)
            model.set_weights(weights)

    def train(self, epochs: int, shuffle: bool = True) -> NDArray[np.float64]:
        histories = self.fit_many(
            self.models,
            self.x,
            self.y,
            batch_size=self.case.batch,
            epochs=epochs,
            shuffle=shuffle,
            verbose=0,
        )
        return np.mean([history.history["loss"] for history in histories], axis=0)


class Loop(Fallline):
    """Model.fit, one model after the other."""

    def train(self, epochs: int, shuffle: bool = True) -> NDArray[np.float64]:
        options = {"batch_size": self.case.batch, "epochs": epochs, "shuffle": shuffle, "verbose": 0}
        histories = [model.fit(self.x, self.y, **options) for model in self.models]
        return np.mean([history.history["loss"] for history in histories], axis=0)


class Numpy:
    """The hand-written twins, one after the other."""

    def __init__(self, case: Case, x: NDArray, y: NDArray, weights: list[Weights]) -> None:
        from bench.twins import Twin

        self.weights = weights
        self.twins = [Twin(case, x, y, each, seed) for seed, each in enumerate(weights)]

    def reset(self) -> None:
        for twin, weights in zip(self.twins, self.weights, strict=True):
            twin.reset(weights)

    def train(self, epochs: int, shuffle: bool = True) -> NDArray[np.float64]:
        return np.mean([twin.train(epochs, shuffle).mean(axis=1) for twin in self.twins], axis=0)


class Jax:
    """JAX + optax: the step vmapped over the networks, the epoch one jitted scan over it."""

    def __init__(self, case: Case, x: NDArray, y: NDArray, weights: list[Weights]) -> None:
        import jax
        import jax.numpy as jnp
        import optax

        self.jax, self.jnp, self.case = jax, jnp, case
        self.weights = [np.stack(arrays) for arrays in zip(*weights, strict=True)]
        self.x, self.y = jnp.asarray(x), jnp.asarray(y)
        self.optimizer = optax.adam(case.learning_rate)
        self.generator = np.random.default_rng(0)

        def loss_of(weights: list[Any], x: Any, y: Any) -> Any:
            for kernel, bias in zip(weights[:-2:2], weights[1:-2:2], strict=True):
                x = jax.nn.relu(x @ kernel + bias)
            return jnp.mean((x @ weights[-2] + weights[-1] - y) ** 2)

        def step(weights: list[Any], moments: Any, x: Any, y: Any) -> Any:
            loss, gradients = jax.value_and_grad(loss_of)(weights, x, y)
            updates, moments = self.optimizer.update(gradients, moments, weights)
            return optax.apply_updates(weights, updates), moments, loss

        self.step = step
        self.epoch = jax.jit(self.epoch_of, donate_argnums=0)
        self.reset()
        self.train(1)
        self.reset()

    def epoch_of(self, state: Any, order: Any) -> Any:
        """Train all networks on the rows in one order, (rows,); returns their mean loss."""

        def steps(state: Any, rows: Any) -> Any:
            weights, moments, losses = self.jax.vmap(self.step, in_axes=(0, 0, None, None))(
                *state, *self.batch(rows)
            )
            return (weights, moments), losses.mean()

        state, losses = self.jax.lax.scan(steps, state, order.reshape(self.case.steps, self.case.batch))
        return state, losses.mean()

    def batch(self, rows: Any) -> tuple[Any, Any]:
        return tuple(each.at[rows].get(mode="promise_in_bounds") for each in (self.x, self.y))

    def reset(self) -> None:
        weights = [self.jnp.array(array, copy=True) for array in self.weights]
        self.state = weights, self.jax.vmap(self.optimizer.init)(weights)

    def orders(self, shuffle: bool) -> NDArray[np.int32]:
        rows = self.case.rows
        return (self.generator.permutation(rows) if shuffle else np.arange(rows)).astype(np.int32)

    def train(self, epochs: int, shuffle: bool = True) -> NDArray[np.float64]:
        means = []
        for _ in range(epochs):
            self.state, mean = self.epoch(self.state, self.orders(shuffle))
            means.append(mean)
        return np.array(means, dtype=float)


class JaxEach(Jax):
    """The same with an order of its own for each network, as in fits one by one: the whole epoch of one vmapped."""

    def epoch_of(self, state: Any, order: Any) -> Any:
        """Train each network on the rows in its order, (networks, rows); returns their mean loss."""

        def alone(state: Any, order: Any) -> Any:
            def steps(state: Any, rows: Any) -> Any:
                weights, moments, loss = self.step(*state, *self.batch(rows))
                return (weights, moments), loss

            return self.jax.lax.scan(steps, state, order.reshape(self.case.steps, self.case.batch))

        state, losses = self.jax.vmap(alone)(state, order)
        return state, losses.mean()

    def orders(self, shuffle: bool) -> NDArray[np.int32]:
        return np.stack([super(JaxEach, self).orders(shuffle) for _ in range(self.case.models)])


CONTESTANTS: dict[str, Any] = {"fallline": Fallline, "numpy": Numpy, "jax": Jax}
