"""What fallline shows, where standard output and error are not what they mostly are."""

from __future__ import annotations

import io
import sys

import numpy as np
import pytest

import fallline as fl


def fit(verbose, **options):
    model = fl.Model([fl.Input(2), fl.Dense(1)], seed=0)
    model.compile("sgd", "mse")
    model.fit(np.ones((4, 2)), np.ones(4), verbose=verbose, **options)
    fl.fit_many([model], np.ones((4, 2)), np.ones(4), verbose=verbose)
    return model


class Writer:
    """All that print() asks of a stream."""

    text = ""

    def write(self, text):
        self.text += text


VERBOSE = ["auto", 0, 1, 2, True, np.True_]


@pytest.mark.parametrize("verbose", VERBOSE)
@pytest.mark.parametrize("stream", [None, io.StringIO()], ids=["none", "closed"])
def test_no_standard_error_will_do(stream, verbose, monkeypatch, capsys):
    expected = fit(0).get_weights()
    if stream is not None:
        stream.close()
    monkeypatch.setattr(sys, "stderr", stream)
    assert (fit(verbose).get_weights()[0] == expected[0]).all()
    assert ("epoch 1/1" in capsys.readouterr().out) == (verbose == 2)


@pytest.mark.parametrize("verbose", VERBOSE)
def test_a_standard_error_that_can_only_write_will_do(verbose, monkeypatch):
    monkeypatch.setattr(sys, "stderr", Writer())
    fit(verbose)
    assert ("samples" in sys.stderr.text) == (verbose in (1, True))


def test_no_standard_output_will_do(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    fit(2).summary()
    fl.show_config()


def test_letters_that_a_terminal_lacks_are_spelt_out(run_script):
    shown = run_script(
        """
        import numpy as np, fallline as fl
        def größe(y_true, y_pred):
            return 1.0
        model = fl.Model([fl.Input(2), fl.Dense(1)], seed=0, name="Häuser")
        model.compile("sgd", "mse", metrics=[größe])
        model.fit(np.ones((4, 2)), np.ones(4), verbose=2)
        model.summary()
        """,
        env={"PYTHONIOENCODING": "ascii"},
    )
    assert r"gr\xf6\xdfe 1" in shown
    assert r"H\xe4user" in shown
