"""What every sampler promises, driven by the rows of `cases/samplers.py`."""

from __future__ import annotations

import copy
import inspect
import pickle

import numpy as np
import pytest

import fallline as fl
from cases.optimizers import OPTIMIZERS
from cases.samplers import CLASSES, GROUPS, SAMPLERS, VARIANTS, WEIGHTS, N, label
from fallline import samplers
from helpers import assert_same_bits, assert_same_model, refuses, unchanged

every = pytest.mark.parametrize("case", SAMPLERS, ids=label)
variants = pytest.mark.parametrize("case, options", VARIANTS, ids=label)
independent = pytest.mark.parametrize(
    "case, options", [(c, o) for c, o in VARIANTS if c.probability is not None], ids=label
)
START = 1e6


def counter(seed=0):
    """A model whose weight i falls by the factor of row i whenever it is drawn."""
    layer = fl.Dense(1, use_bias=False, kernel_initializer=fl.Constant(START))
    model = fl.Model([fl.Input(N), layer], seed=seed, dtype="float64")
    model.compile(fl.SGD(1.0), fl.MAE("sum"))
    return model


def draws(sampler, epochs=1, batch_size=5, seed=0, y=CLASSES):
    """The sum of the factors of each row's draws."""
    model = counter(seed)
    model.fit(np.eye(N)[: len(y)], y.astype(float), batch_size=batch_size, epochs=epochs, sampler=sampler)
    return START - model.get_weights()[0].ravel()


def factors(case, options):
    """Of each row; 1 where the drawing decides what is minimised."""
    p = case.probability(**options)
    return 1 / (N * p) if options.get("unbiased") else np.ones(N)


def network(optimizer=None, seed=3, dtype="float32"):
    layers = [fl.Dense(8, "tanh"), fl.Dropout(0.2), fl.Dense(2, "softmax")]
    model = fl.Model([fl.Input(3), *layers], seed=seed, dtype=dtype)
    model.compile(optimizer or fl.Adam(0.02), "cross_entropy", metrics=["accuracy"])
    return model


@pytest.fixture
def rows(rng):
    return rng.normal(size=(N, 3)).astype(np.float32) + CLASSES[:, None], CLASSES


def test_every_sampler_has_a_row():
    public = {v for v in vars(samplers).values() if inspect.isclass(v) and issubclass(v, samplers.Sampler)}
    assert public - {samplers.Sampler} == {case.make for case in SAMPLERS}
    assert sorted(samplers.__all__) == sorted(c.__name__ for c in public)


@every
def test_every_argument_has_a_bad_row(case):
    assert set(inspect.signature(case.make).parameters) == {name for bad, _, _ in case.bad for name in bad}


@pytest.mark.parametrize(
    "case, options, exception, match", [(c, *row) for c in SAMPLERS for row in c.bad], ids=label
)
def test_bad_arguments_are_refused(case, options, exception, match):
    with refuses(exception, f"^{case.name}: .*{match}"):
        case.make(**options)


@variants
def test_it_prints_by_its_arguments(case, options):
    sampler = case.make(**options)
    assert repr(sampler).startswith(case.name)
    for name in options:
        with pytest.raises(AttributeError, match="read-only"):
            setattr(sampler, name, None)


def test_an_array_that_was_given_may_change():
    weights = np.ones(N)
    sampler = samplers.Weighted(weights)
    weights[:] = 0
    assert draws(sampler).sum() == N


@pytest.mark.parametrize("case", [c for c in SAMPLERS if c.name != "Weighted"], ids=label)
def test_a_name_will_do(case, rows):
    named, made = network(), network()
    assert named.fit(*rows, sampler=case.make.name).history == made.fit(*rows, sampler=case.make()).history
    assert_same_model(named, made)


def test_shuffle_means_a_sampler(rows):
    for shuffle, kind in ((True, samplers.Shuffled), (False, samplers.Sequential)):
        by_flag, by_object = network(), network()
        by_flag.fit(*rows, batch_size=5, epochs=3, shuffle=shuffle)
        by_object.fit(*rows, batch_size=5, epochs=3, sampler=kind())
        assert_same_model(by_flag, by_object)


@pytest.mark.parametrize("kind", [samplers.Shuffled, samplers.Sequential])
def test_every_row_once(kind):
    np.testing.assert_array_equal(draws(kind(), epochs=7), np.full(N, 7.0))


@independent
def test_rows_are_drawn_as_often_as_they_should(case, options):
    epochs = 1000
    p, of_each = case.probability(**options), factors(case, options)
    counts = draws(case.make(**options), epochs) / of_each
    np.testing.assert_allclose(counts, counts.round(), atol=1e-5)
    assert counts.sum() == pytest.approx(epochs * N)
    deviation = np.abs(counts - p * epochs * N) / np.sqrt(epochs * N * p.clip(1e-9))
    assert deviation.max() < 4
    assert (counts[p == 0] == 0).all()


@independent
def test_draws_follow_from_seed_and_epoch(case, options):
    first, second, third = (draws(case.make(**options), seed=seed) for seed in (0, 0, 1))
    assert_same_bits([first], [second])
    assert (draws(case.make(**options), epochs=2) != 2 * first).any()
    assert (first != third).any()
    for batch_size in (1, 4, N):
        np.testing.assert_allclose(draws(case.make(**options), batch_size=batch_size), first, rtol=1e-6)


@independent
def test_loss_and_update_are_means_over_draws(case, options, rng):
    """With weights s of the rows and factors f: Σ f s loss / (draws · mean s), and its gradient."""
    f = draws(case.make(**options), seed=5) / factors(case, options)  # how often
    f = f.round() * factors(case, options)
    x, s = rng.normal(size=(N, 4)), rng.uniform(0.2, 2, N)
    for weight in (None, s):
        model = fl.Model([fl.Input(4), fl.Dense(1)], seed=5, dtype="float64")
        model.compile(fl.SGD(0.5), "mse")
        before = model.get_weights()
        error = (x @ before[0] + before[1]).ravel() - CLASSES
        history = model.fit(
            x, CLASSES.astype(float), sample_weight=weight, batch_size=N, sampler=case.make(**options)
        )
        w = np.ones(N) if weight is None else s
        share = f * w / (N * w.mean() if options.get("unbiased") else (f * w).sum())
        assert history.history["loss"] == pytest.approx([share @ error**2], rel=1e-12)
        step = -0.5 * 2 * (share * error) @ x
        np.testing.assert_allclose((model.get_weights()[0] - before[0]).ravel(), step, rtol=1e-10)


@independent
@pytest.mark.parametrize("weighted", [False, True])
def test_metrics_are_of_the_rows_as_drawn(case, options, weighted, rows, rng):
    """A row that was drawn twice counts twice, with its factor and its weight."""
    (x, y), own = rows, rng.uniform(0.2, 2, N)
    first = draws(case.make(**options), epochs=1, seed=3)
    second = draws(case.make(**options), epochs=2, seed=3) - first
    model = fl.Model([fl.Input(3), fl.Dense(2, "softmax")], seed=3)
    model.compile(fl.SGD(0.0), "cross_entropy", metrics=["accuracy"])
    right = model.predict(x).argmax(axis=1) == y
    weight = own if weighted else None
    history = model.fit(
        x, y, sample_weight=weight, batch_size=5, epochs=2, sampler=case.make(**options)
    ).history
    expected = [np.average(right, weights=f * (own if weighted else 1)) for f in (first, second)]
    assert history["accuracy"] == pytest.approx(expected, rel=1e-6)


@variants
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_any_number_of_threads_gives_the_same_bits(case, options, dtype, rows):
    x, y = rows
    results = []
    for n in (1, 2, 3, 7):
        with fl.threads(n):
            model, sampler = network(dtype=dtype), case.make(**options)
            history = model.fit(x, y, batch_size=5, epochs=4, sampler=sampler).history
            results.append((model, history, sampler))
    for model, history, sampler in results[1:]:
        assert_same_model(model, results[0][0])
        assert history == results[0][1]
        if case.learns:
            assert_same_bits([sampler.probabilities], [results[0][2].probabilities])
            assert sampler.second_moment == results[0][2].second_moment


@pytest.mark.parametrize(
    "case, options, optimizer",
    [(*row, fl.Adam) for row in VARIANTS]
    + [(case, case.variants[0], o.make) for case in SAMPLERS if case.learns for o in OPTIMIZERS],
    ids=label,
)
def test_a_fit_in_parts_gives_the_same_bits(case, options, optimizer, rows):
    straight, parts = (network(optimizer()) for _ in range(2))
    whole, first = case.make(**options), case.make(**options)
    straight.fit(*rows, batch_size=5, epochs=4, sampler=whole)
    parts.fit(*rows, batch_size=5, epochs=1, sampler=first)
    second, third = pickle.loads(pickle.dumps(first)), copy.deepcopy(first)
    rest = copy.deepcopy(parts)
    parts.fit(*rows, batch_size=5, epochs=3, sampler=second)
    rest.fit(*rows, batch_size=5, epochs=3, sampler=third)
    for model, sampler in ((parts, second), (rest, third)):
        assert_same_model(model, straight)
        assert repr(sampler) == repr(whole)
        if case.learns:
            assert_same_bits([sampler.probabilities], [whole.probabilities])
            assert sampler.second_moment == whole.second_moment


@variants
def test_a_killed_fit_goes_on_as_if_it_never_was(case, options, rows, tmp_path):
    def script(path, fail_at):
        def fail(batch, logs):
            if fail_at and (model.get_state()["epoch"], batch) == fail_at[0]:
                fail_at.pop(0)
                raise InterruptedError

        model, sampler = network(), case.make(**options)
        backup = fl.BackupAndRestore(path, every_batches=1)
        callbacks = [backup, fl.LambdaCallback(on_batch_end=fail)]
        history = model.fit(*rows, batch_size=5, epochs=4, sampler=sampler, callbacks=callbacks)
        return model, history.history, sampler

    straight, killed = script(tmp_path / "a", []), [(0, 1), (1, 2), (2, 0)]
    while killed:
        with pytest.raises(InterruptedError):
            script(tmp_path / "b", killed)
    model, history, sampler = script(tmp_path / "b", killed)
    assert_same_model(model, straight[0])
    assert history == straight[1]
    if case.learns:
        assert_same_bits([sampler.probabilities], [straight[2].probabilities])
        assert_same_bits([sampler.hardest(N)], [straight[2].hardest(N)])


def test_the_backup_of_another_sampler_is_refused(rows, tmp_path):
    def script(sampler):
        fail = fl.LambdaCallback(on_epoch_end=lambda epoch, logs: epoch and 1 / 0)
        backup = fl.BackupAndRestore(tmp_path / "fit")
        network().fit(*rows, epochs=2, sampler=sampler, callbacks=[backup, fail])

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            script(samplers.AWSGD())
    with refuses(ValueError, r"sampler was AWSGD\(\); expected AWSGD\(mix=0.5\)"):
        script(samplers.AWSGD(mix=0.5))


def test_rows_held_out_are_not_drawn():
    """The last third is for validation; weights and groups are told for all rows."""
    sampler = samplers.Weighted(np.arange(1, N + 1))
    model = counter()
    model.fit(np.eye(N), np.ones(N), batch_size=4, epochs=50, validation_split=1 / 3, sampler=sampler)
    drawn = START - model.get_weights()[0].ravel()
    assert drawn[:8].sum() == 400
    assert (drawn[8:] == 0).all()
    for sampler in (samplers.Balanced(GROUPS), samplers.AWSGD(GROUPS), samplers.AWSGD("examples")):
        counter().fit(np.eye(N), np.ones(N), validation_split=1 / 3, sampler=sampler)


OF_OTHER_ROWS = {
    "weights": (samplers.Weighted(np.ones(N + 1)), "weights for 13 rows.*12"),
    "groups": (samplers.Balanced(GROUPS[:-1]), "groups for 11 rows.*12"),
    "learned groups": (samplers.AWSGD(GROUPS[:-1]), "groups for 11 rows.*12"),
    "a class": (samplers.Shuffled, r"write Shuffled\(\)"),
    "no sampler": (3, "sampler is 3"),
    "no name": ("shufled", "did you mean 'shuffled'"),
    "no name of its own": ("weighted", "expected one of 'awsgd', 'balanced'"),
    "nothing left": (samplers.Weighted([0.0] * (N - 1) + [1.0]), "not held out"),
}


@pytest.mark.parametrize("sampler, match", OF_OTHER_ROWS.values(), ids=OF_OTHER_ROWS)
def test_what_does_not_fit_the_rows_is_refused(sampler, match, rows):
    model = network()
    kind = TypeError if match.startswith(("write", "sampler is")) else ValueError
    with unchanged(model), refuses(kind, match):
        model.fit(*rows, sampler=sampler, validation_split=0.25 if match == "not held out" else 0.0)


def test_targets_that_are_no_classes_are_refused(rng):
    x = rng.normal(size=(N, 3))
    one, two = (fl.Model([fl.Input(3), fl.Dense(n)], seed=0) for n in (1, 2))
    for model, y in ((one, rng.normal(size=N)), (two, rng.normal(size=(N, 2))), (two, np.ones((N, 2)))):
        model.compile("sgd", "mse")
        for sampler in (samplers.Balanced(), samplers.AWSGD()):
            with unchanged(model), refuses(ValueError, "sampler draws over classes"):
                model.fit(x, y, sampler=sampler)
        model.fit(x, y, sampler=samplers.AWSGD(GROUPS))
    two.fit(x, np.eye(2)[CLASSES], sampler=samplers.AWSGD())
    one.fit(x, CLASSES, sampler=samplers.AWSGD())
    one.compile("sgd", "hinge")
    one.fit(x, 2 * CLASSES - 1, sampler=samplers.AWSGD())


@every
def test_a_sampler_stands_alone(case, rows):
    """Not beside shuffle=False, batches that come as they are, or a method that sees all rows at once."""
    model, sampler = network(), case.make(**case.variants[0])
    with unchanged(model), refuses(ValueError, "shuffle is False beside sampler"):
        model.fit(*rows, shuffle=False, sampler=sampler)
    with unchanged(model), refuses(ValueError, "sampler is given beside batches"):
        model.fit([rows], sampler=sampler)
    whole = fl.Model([fl.Input(3), fl.Dense(2, "softmax")], seed=0)
    whole.compile(fl.LBFGS(), "cross_entropy")
    with unchanged(whole), refuses(ValueError, "sampler is .* sees all rows at once"):
        whole.fit(*rows, sampler=sampler)
    with refuses(ValueError, "sampler"):
        whole.fit(*rows, epochs=1, sampler=sampler)


@variants
def test_a_chain_goes_on_with_it(case, options, rows):
    models, whole, parts = [], case.make(**options), case.make(**options)
    for optimizer, sampler in ((fl.SGD(0.1), whole), (fl.Chain([(fl.SGD(0.1), 2)] * 2), parts)):
        model = fl.Model([fl.Input(3), fl.Dense(8, "tanh"), fl.Dense(2, "softmax")], seed=3)
        model.compile(optimizer, "cross_entropy")
        model.fit(*rows, batch_size=5, epochs=4, sampler=sampler)
        models.append(model)
    assert_same_bits(models[0].get_weights(), models[1].get_weights())
    if case.learns:
        assert_same_bits([whole.probabilities], [parts.probabilities])


def test_weights_are_those_that_were_asked_for():
    counts = draws(samplers.Weighted(WEIGHTS), epochs=300)
    assert (counts > 0).tolist() == (WEIGHTS > 0).tolist()
