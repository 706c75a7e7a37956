"""Learned sampling on few positives among many: 4000 rows, 2.2 % of them positive, a network 10-16-2, batches of 16.

Means over seeds of the loss of all rows; the norms of plain sampling are those of a sampler that learns nothing.
"""

from __future__ import annotations

import numpy as np
import pytest

import fallline as fl
from fallline.samplers import AWSGD

SEEDS, ROWS = range(5), 4000
EPOCH = ROWS // 16  # updates


def rows(seed):
    rng = np.random.default_rng(100 + seed)
    y = (rng.random(ROWS) < 0.022).astype(int)
    x = rng.normal(size=(ROWS, 10))
    x[y == 1, :3] += 1.2
    return x.astype(np.float32), y


@pytest.fixture(scope="module")
def runs():
    """{rate: {name: (losses (seeds, 8 epochs), second moments of the latter half, last probabilities)}}."""
    kinds = {"plain": lambda: AWSGD(learning_rate=0.0), "learned": AWSGD}
    found = {}
    for rate in (0.1, 0.5):
        for name, make in kinds.items():
            losses, moments, probabilities = [], [], []
            for seed in SEEDS:
                x, y = rows(seed)
                model = fl.Model([fl.Dense(16, "tanh"), fl.Dense(2, "softmax")], seed=seed)
                model.compile(fl.SGD(rate), "cross_entropy")
                sampler, of_epoch = make(), []
                for epoch in range(8):
                    model.fit(x, y, batch_size=16, sampler=sampler)
                    of_epoch.append(model.evaluate(x, y)["loss"])
                    if epoch >= 4:
                        moments.append(sampler.second_moment)
                losses.append(of_epoch)
                probabilities.append(sampler.probabilities)
            found[rate, name] = np.array(losses), np.mean(moments), np.array(probabilities)
    return found


@pytest.mark.parametrize("rate", [0.1, 0.5])
@pytest.mark.parametrize("updates", [500, 2000])
def test_the_loss_is_lower_than_by_plain_sampling(runs, rate, updates):
    plain, learned = (runs[rate, name][0][:, updates // EPOCH - 1] for name in ("plain", "learned"))
    assert learned.mean() < plain.mean()


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_gradients_are_far_less_noisy(runs, rate):
    assert runs[rate, "learned"][1] < 0.6 * runs[rate, "plain"][1]


def test_it_draws_positives_a_third_of_the_time(runs):
    for rate in (0.1, 0.5):
        np.testing.assert_allclose(runs[rate, "learned"][2].mean(axis=0), [0.65, 0.35], atol=0.12)
