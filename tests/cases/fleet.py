"""Models that fit_many() takes: each kind in its own way."""

from __future__ import annotations

import fallline as fl


def classifier(width=8, optimizer="adam", *between, **options):
    layers = [fl.Dense(width, "relu"), *between, fl.Dense(4, "softmax")]
    model = fl.Model(layers, **{"seed": width, **options})
    model.compile(optimizer, "cross_entropy")
    return model


def regressor(width=5, optimizer="adam", loss="mse", **options):
    model = fl.Model([fl.Dense(width, "tanh"), fl.Dense(1)], **{"seed": width, **options})
    model.compile(optimizer, loss)
    return model


# Models of four classes, their batch sizes and epochs.
KINDS = {
    "narrow": (lambda: classifier(1, fl.SGD(0.1)), 32, 3),
    "wide": (lambda: classifier(70, fl.Adam(0.01)), 64, 2),
    "momentum": (lambda: classifier(8, fl.SGD(0.05, momentum=0.9, nesterov=True)), 7, 4),
    "a batch of all": (lambda: classifier(8, fl.RMSProp(0.01)), 500, 3),
    "float64": (lambda: classifier(9, fl.AdamW(0.01, weight_decay=0.1), dtype="float64"), 32, 1),
    "schedule": (lambda: classifier(8, fl.Adam(fl.schedules.CosineDecay(0.1, 30))), 20, 3),
    "more rates than are asked for at once": (lambda: classifier(2, fl.SGD(lambda t: 0.1 / (1 + t))), 1, 6),
    "dropout": (lambda: classifier(16, "adam", fl.Dropout(0.5)), 16, 2),
    "batch normalisation": (lambda: classifier(8, "adam", fl.BatchNormalization()), 32, 3),
    "average": (lambda: classifier(8, fl.Adam(0.02, average=0.9)), 32, 3),
    "no epochs": (lambda: classifier(8, "adam"), 32, 0),
    "clipped": (lambda: classifier(8, fl.SGD(0.5, clip_norm=0.1)), 32, 3),
    "constrained": (lambda: classifier(8, "adam", BOUNDED), 32, 2),
    "other seed": (lambda: classifier(8, "adam", seed=77), 32, 2),
    "L-BFGS": (lambda: classifier(6, fl.LBFGS(), dtype="float64"), None, 8),
    "L-BFGS to its end": (lambda: classifier(2, fl.LBFGS(gtol=0.05)), None, None),
    "BFGS": (lambda: classifier(3, fl.BFGS()), None, 4),
    "annealing": (lambda: classifier(2, fl.SimulatedAnnealing()), None, 5),
}
BOUNDED = fl.Dense(5, kernel_regularizer=fl.L2(0.01), kernel_constraint=fl.MaxNorm(1))


def made():
    """One of each kind, their batch sizes and epochs."""
    makes, sizes, epochs = zip(*KINDS.values(), strict=True)
    return [make() for make in makes], list(sizes), list(epochs)
