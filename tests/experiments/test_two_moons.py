"""Two moons: batches against the whole data set, and what penalties, dropout and stopping do."""

from __future__ import annotations

import numpy as np
import pytest

import fallline as fl
from minibatch_or_full import RUNS, data, network
from moons import moons
from regularisation import cross_entropy


def test_moons():
    x, y = moons(2001, 0.0, 0)
    assert (x.shape, y.sum()) == ((2001, 2), 1000)
    centre = np.where(y[:, None] == 1, [1, 0.5], [0, 0])
    np.testing.assert_allclose(np.linalg.norm(x - centre, axis=1), 1, rtol=1e-14)
    assert ((x[:, 1] - centre[:, 1] >= 0) == (y == 0)).all()
    blurred, same = moons(2001, 0.2, 0), moons(2001, 0.2, 0)
    np.testing.assert_array_equal(blurred[0], same[0])
    assert (blurred[0] - x).std() == pytest.approx(0.2, abs=4 * 0.2 / np.sqrt(2 * x.size))


@pytest.fixture(scope="module")
def runs(printed):
    """name -> (updates, points looked at, training loss, accuracy on training and test points)."""
    return printed("minibatch_or_full").rows


@pytest.mark.slow
def test_a_batch_brings_as_much_as_all_points(runs):
    """At the same number of updates the losses agree, for a fifth of the work at most."""
    full, batches = runs["all points, 0.01"], runs["batches, 0.01"]
    assert full[0] == batches[0] == 5000
    assert abs(full[2] - batches[2]) < 0.01
    assert batches[1] < full[1] / 5


@pytest.mark.slow
def test_a_larger_rate_and_momentum_do_more(runs):
    slow, fast, momentum = (runs[f"batches, {name}"] for name in ("0.01", "0.1", "0.1, momentum"))
    assert max(fast[2], momentum[2]) < slow[2] / 2
    assert min(fast[4], momentum[4]) > 0.93


@pytest.mark.slow
def test_adaptive_rates_need_a_fifth_of_the_updates(runs):
    for name in ("batches, RMSProp", "batches, Adam"):
        assert runs[name][0] == 1000
        assert runs[name][2] < runs["batches, 0.01"][2] - 0.05
        assert min(runs[name][3:]) > 0.9


@pytest.mark.slow
def test_one_batch_for_ever_is_not_mini_batch_training(runs):
    """It learns those 64 points by heart."""
    x, y, *_ = data()
    model = network(RUNS[1].optimizer())
    model.fit(x[:64], y[:64], batch_size=64, epochs=5000)
    assert model.evaluate(x, y)["loss"] > runs["batches, 0.01"][2] + 0.01


@pytest.fixture(scope="module")
def variants(printed):
    """name -> (train loss, validation loss, its lowest, at epoch, test accuracy, norm, share near 0)."""
    return printed("regularisation").rows


@pytest.mark.slow
def test_without_help_the_network_learns_by_heart(variants):
    train, at_end, lowest, epoch, *_ = variants["none"]
    assert train < 0.05
    assert at_end > 2 * lowest
    assert epoch < 100


@pytest.mark.slow
def test_an_l2_penalty_keeps_the_validation_loss_low(variants):
    none, l2 = variants["none"], variants["L2 0.01"]
    assert l2[1] < none[1] / 3
    assert l2[4] > none[4]
    assert l2[5] < none[5] / 3


@pytest.mark.slow
def test_an_l1_penalty_brings_weights_to_zero(variants):
    assert variants["L1 0.001"][6] > 0.3
    assert variants["none"][6] < 0.05


@pytest.mark.slow
def test_dropout_fits_less_and_generalises_more(variants):
    none, dropout = variants["none"], variants["dropout 0.5"]
    assert dropout[0] > none[0]
    assert dropout[1] < none[1]


@pytest.mark.slow
def test_early_stopping_gives_the_best_weights_back(variants):
    """Prechelt 1998."""
    _, at_end, lowest, epoch, *_ = variants["stopped early"]
    assert at_end <= 1.001 * lowest
    assert epoch == variants["none"][3]
    assert variants["stopped early"][4] > variants["none"][4]


def test_the_metric_of_the_example_is_the_loss():
    x, y = moons(50, 0.2, 3)
    model = fl.Model([fl.Input(2), fl.Dense(1, "sigmoid")], seed=0, dtype="float64")
    model.compile("sgd", "binary_cross_entropy", metrics=[cross_entropy])
    found = model.evaluate(x, y)
    assert found["cross_entropy"] == pytest.approx(found["loss"], rel=1e-12)
