"""One row per metric: class, arguments to try, the same in loops over rows, scikit-learn's, bad arguments."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fallline import metrics

NAN = float("nan")


@dataclass(frozen=True)
class MetricCase:
    make: type
    variants: tuple[dict, ...]
    problems: tuple[str, ...]  # names in PROBLEMS
    twin: Callable  # (y_true rows, y_pred rows, weights, **options) -> float, in plain Python
    sklearn: Callable  # (sklearn.metrics, y_true, y_pred, weights, **options) -> float
    number: tuple[list, list, float]  # y_true, y_pred, the value by hand
    bad: tuple[tuple[dict, type, str], ...]

    @property
    def name(self):
        return self.make.name


def _scores(rng, n, k):
    """Outputs with many ties, in steps of 1/8."""
    return np.round(rng.uniform(size=(n, k)) * 8) / 8


def _classes(k):
    def draw(rng, n):
        return rng.integers(0, k, n), _scores(rng, n, k)

    return draw


def _one_hot(rng, n):
    return np.eye(4)[rng.integers(0, 4, n)], _scores(rng, n, 4)


def _labels(rng, n):
    return rng.integers(0, 2, (n, 4)).astype(np.float64), _scores(rng, n, 4)


def _single(rng, n):
    return rng.integers(0, 2, (n, 1)).astype(np.float64), _scores(rng, n, 1)


def _logits(rng, n):
    """Without ties, which a softmax may part."""
    return rng.integers(0, 5, n), rng.normal(size=(n, 5)) + 2 * rng.normal(size=(n, 1))


def _numbers(k):
    def draw(rng, n):
        y = rng.normal(size=(n, k))
        return y, y + 0.5 * rng.normal(size=(n, k))

    return draw


# name: (generator, rows) -> labels, outputs
PROBLEMS = {
    "single": _single,
    "two": _classes(2),
    "seven": _classes(7),
    "one-hot": _one_hot,
    "labels": _labels,
    "logits": _logits,
    "a number": _numbers(1),
    "numbers": _numbers(3),
}
CLASSES = ("single", "two", "seven", "one-hot")
NUMBERS = ("a number", "numbers")


def label_of(y):
    """The class of a row's label, which is a class, a number in a list, or a one-hot row."""
    if np.ndim(y) == 0:
        return int(y)
    return int(y[0]) if len(y) == 1 else list(y).index(max(y))


def guess_of(p, threshold):
    """The class of a row's outputs; the first of equal ones."""
    return int(p[0] > threshold) if len(p) == 1 else list(p).index(max(p))


def mean(values, weights):
    return math.fsum(v * w for v, w in zip(values, weights, strict=True)) / math.fsum(weights)


def accuracy(true, predicted, weights, threshold=0.5):
    pairs = zip(true, predicted, strict=True)
    return mean([label_of(y) == guess_of(p, threshold) for y, p in pairs], weights)


def labels(judged):
    """The twin of what is judged row by row from whether each label is right."""

    def twin(true, predicted, weights, threshold=0.5):
        rows = zip(true, predicted, strict=True)
        return mean(
            [judged([(a > 0.5) == (b > threshold) for a, b in zip(*r, strict=True)]) for r in rows], weights
        )

    return twin


def top_k(true, predicted, weights, k=5):
    hits = []
    for y, p in zip(true, predicted, strict=True):
        ranked = sorted(range(len(p)), key=lambda c: (-p[c], c))
        hits.append(label_of(y) in ranked[:k])
    return mean(hits, weights)


def share(numerator, denominator):
    """The twin of precision, recall or F1: which rows of a class count how often above and below the line."""

    def twin(true, predicted, weights, average="auto", zero_division=0.0, threshold=0.5):
        truth, guesses = [label_of(y) for y in true], [guess_of(p, threshold) for p in predicted]
        classes = max(2, len(predicted[0]))
        average = average if average != "auto" else "binary" if classes == 2 else "macro"

        def counts(c):
            rows = list(zip(truth, guesses, weights, strict=True))
            above = math.fsum(w * numerator for y, g, w in rows if y == g == c)
            return above, math.fsum(w * denominator(y == c, g == c) for y, g, w in rows)

        def ratio(above, below):
            return above / below if below else zero_division

        if average == "binary":
            return ratio(*counts(1))
        if average == "micro":
            return ratio(*map(math.fsum, zip(*map(counts, range(classes)), strict=True)))
        kept = [c for c in range(classes) if c in truth or c in guesses]
        values = {c: ratio(*counts(c)) for c in kept}
        kept = [c for c in kept if not math.isnan(values[c])]
        by = [math.fsum(w for y, w in zip(truth, weights, strict=True) if y == c) for c in kept]
        return mean([values[c] for c in kept], by if average == "weighted" else [1.0] * len(kept))

    return twin


def area(belongs, scores, weights):
    """Over all pairs of a row of the class and another."""
    won = total = 0.0
    for mine, s, w in zip(belongs, scores, weights, strict=True):
        for other, t, v in zip(belongs, scores, weights, strict=True):
            if mine and not other:
                total += w * v
                won += w * v * (1.0 if s > t else 0.5 if s == t else 0.0)
    return won / total if total else NAN


def auc(true, predicted, weights, from_logits=False):
    rows = [list(p) for p in predicted]
    if from_logits and len(rows[0]) > 1:
        rows = [[math.exp(z) / math.fsum(map(math.exp, p)) for z in p] for p in rows]
    if len(rows[0]) == 1:
        return area([label_of(y) == 1 for y in true], [p[0] for p in rows], weights)
    areas = [
        area([label_of(y) == c for y in true], [p[c] for p in rows], weights) for c in range(len(rows[0]))
    ]
    areas = [a for a in areas if not math.isnan(a)]
    return sum(areas) / len(areas) if areas else NAN


def errors(power):
    def twin(true, predicted, weights):
        rows = [
            sum(abs(a - b) ** power for a, b in zip(y, p, strict=True)) / len(p)
            for y, p in zip(true, predicted, strict=True)
        ]
        return mean(rows, weights)

    return twin


def r2(true, predicted, weights):
    scores = []
    for y, p in zip(zip(*true, strict=True), zip(*predicted, strict=True), strict=True):
        centre = mean(y, weights)
        left = math.fsum(w * (a - b) ** 2 for a, b, w in zip(y, p, weights, strict=True))
        scores.append(1 - left / math.fsum(w * (a - centre) ** 2 for a, w in zip(y, weights, strict=True)))
    return sum(scores) / len(scores)


def sk_labels(y, p, threshold=0.5):
    """Labels and guesses as scikit-learn reads them."""
    return [label_of(row) for row in y], [guess_of(row, threshold) for row in p]


def sk_of_labels(function):
    def call(sk, y, p, weights, threshold=0.5):
        guesses = (p > threshold).astype(int)
        return getattr(sk, function)(y.astype(int), guesses, sample_weight=weights)

    return call


def sk_share(function):
    def call(sk, y, p, weights, average="auto", zero_division=0.0, threshold=0.5):
        average = average if average != "auto" else "binary" if p.shape[1] <= 2 else "macro"
        options = {"average": average, "zero_division": zero_division, "sample_weight": weights}
        return getattr(sk, function)(*sk_labels(y, p, threshold), **options)

    return call


def sk_top_k(sk, y, p, weights, k=5):
    # of equal outputs scikit-learn takes the last first
    flipped = [p.shape[1] - 1 - label_of(row) for row in y]
    return sk.top_k_accuracy_score(flipped, p[:, ::-1], k=k, sample_weight=weights, labels=range(p.shape[1]))


def sk_auc(sk, y, p, weights, from_logits=False):
    if from_logits and p.shape[1] > 1:
        p = np.exp(p) / np.exp(p).sum(axis=1, keepdims=True)
    labels = np.array([label_of(row) for row in y])
    columns = [(labels == c, p[:, c]) for c in range(p.shape[1])] if p.shape[1] > 1 else [(labels, p[:, 0])]
    return np.mean([sk.roc_auc_score(mine, s, sample_weight=weights) for mine, s in columns])


def sk_regression(function):
    def call(sk, y, p, weights):
        return getattr(sk, function)(y, p, sample_weight=weights)

    return call


BAD_THRESHOLD = (
    ({"threshold": "half"}, TypeError, "threshold"),
    ({"threshold": NAN}, ValueError, "threshold"),
)
BAD_DECISION = (*BAD_THRESHOLD, ({"labels": 1}, TypeError, "labels"))
BAD_SHARE = (
    *BAD_DECISION,
    ({"average": "mean"}, ValueError, "macro"),
    ({"average": 1}, TypeError, "average"),
    ({"zero_division": "warn"}, TypeError, "zero_division"),
    ({"zero_division": 2.0}, ValueError, "zero_division"),
)
SHARES = (
    {},
    {"average": "macro"},
    {"average": "micro"},
    {"average": "weighted"},
    {"average": "macro", "zero_division": 1.0, "threshold": 0.2},
    {"average": "weighted", "zero_division": NAN},
)

METRICS = [
    MetricCase(
        metrics.Accuracy,
        variants=({}, {"threshold": 0.25}),
        problems=CLASSES,
        twin=accuracy,
        sklearn=lambda sk, y, p, weights, threshold=0.5: sk.accuracy_score(
            *sk_labels(y, p, threshold), sample_weight=weights
        ),
        number=([0, 1, 2], [[0.5, 0.5, 0], [0.5, 0.5, 0], [0, 0, 1]], 2 / 3),
        bad=BAD_DECISION,
    ),
    MetricCase(
        metrics.SubsetAccuracy,
        variants=({}, {"threshold": 0.25}),
        problems=("labels", "one-hot"),
        twin=labels(all),
        sklearn=sk_of_labels("accuracy_score"),
        number=([[1, 0], [1, 1], [0, 0]], [[0.9, 0.1], [0.9, 0.1], [0.9, 0.6]], 1 / 3),
        bad=BAD_THRESHOLD,
    ),
    MetricCase(
        metrics.HammingLoss,
        variants=({}, {"threshold": 0.25}),
        problems=("labels", "one-hot"),
        twin=labels(lambda right: 1 - sum(right) / len(right)),
        sklearn=sk_of_labels("hamming_loss"),
        number=([[1, 0], [1, 1], [0, 0]], [[0.9, 0.1], [0.9, 0.1], [0.9, 0.6]], 1 / 2),
        bad=BAD_THRESHOLD,
    ),
    MetricCase(
        metrics.TopK,
        variants=({"k": 1}, {"k": 3}),
        problems=("seven", "one-hot"),
        twin=top_k,
        sklearn=sk_top_k,
        number=([0, 5, 6], [[6, 5, 4, 3, 2, 1, 0]] * 3, 1 / 3),
        bad=(
            ({"k": 0}, ValueError, "k"),
            ({"k": 2.5}, TypeError, "k"),
        ),
    ),
    MetricCase(
        metrics.Precision,
        variants=SHARES,
        problems=CLASSES,
        twin=share(1, lambda actual, predicted: predicted),
        sklearn=sk_share("precision_score"),
        number=([0, 0, 1, 1, 1], [[0.9], [0.1], [0.8], [0.2], [0.7]], 2 / 3),
        bad=BAD_SHARE,
    ),
    MetricCase(
        metrics.Recall,
        variants=SHARES,
        problems=CLASSES,
        twin=share(1, lambda actual, predicted: actual),
        sklearn=sk_share("recall_score"),
        number=([0, 0, 1, 1, 1, 1], [[0.9], [0.1], [0.8], [0.2], [0.7], [0.6]], 3 / 4),
        bad=BAD_SHARE,
    ),
    MetricCase(
        metrics.F1,
        variants=SHARES,
        problems=CLASSES,
        twin=share(2, lambda actual, predicted: actual + predicted),
        sklearn=sk_share("f1_score"),
        number=([0, 0, 1, 1, 1, 1], [[0.9], [0.9], [0.8], [0.2], [0.7], [0.6]], 2 / 3),
        bad=BAD_SHARE,
    ),
    MetricCase(
        metrics.AUC,
        variants=({},),
        problems=CLASSES,
        twin=auc,
        sklearn=sk_auc,
        # of six pairs three are in order, one is a tie
        number=([0, 1, 0, 1, 0], [[0.1], [0.4], [0.4], [0.2], [0.3]], 3.5 / 6),
        bad=(({"from_logits": 1}, TypeError, "from_logits"),),
    ),
    MetricCase(
        metrics.AUC,
        variants=({"from_logits": True},),
        problems=("logits", "single"),
        twin=auc,
        sklearn=sk_auc,
        number=([0, 1], [[3.0], [-2.0]], 0.0),
        bad=(({"from_logits": "yes"}, TypeError, "from_logits"),),
    ),
    MetricCase(
        metrics.MeanSquaredError,
        variants=({},),
        problems=(*NUMBERS, "one-hot"),
        twin=errors(2),
        sklearn=sk_regression("mean_squared_error"),
        number=([1, 2], [[1], [5]], 4.5),
        bad=(),
    ),
    MetricCase(
        metrics.RMSE,
        variants=({},),
        problems=NUMBERS,
        twin=lambda *rows: math.sqrt(errors(2)(*rows)),
        # scikit-learn's own means the roots of the outputs
        sklearn=lambda sk, y, p, weights: math.sqrt(sk.mean_squared_error(y, p, sample_weight=weights)),
        number=([1, 2], [[1], [5]], math.sqrt(4.5)),
        bad=(),
    ),
    MetricCase(
        metrics.MeanAbsoluteError,
        variants=({},),
        problems=(*NUMBERS, "one-hot"),
        twin=errors(1),
        sklearn=sk_regression("mean_absolute_error"),
        number=([1, 2], [[1], [5]], 1.5),
        bad=(),
    ),
    MetricCase(
        metrics.R2,
        variants=({},),
        problems=(*NUMBERS, "one-hot"),
        twin=r2,
        sklearn=sk_regression("r2_score"),
        number=([1, 2, 3, 4], [[1], [2], [3], [2]], 0.2),
        bad=(),
    ),
]

VARIANTS = [
    (case, options, problem) for case in METRICS for options in case.variants for problem in case.problems
]


def label(value):
    """A short id of a row for pytest."""
    if isinstance(value, MetricCase):
        return value.name
    if isinstance(value, dict):
        return ",".join(f"{k}={v}" for k, v in value.items()) or "defaults"
    return value if isinstance(value, str) else None
