"""The kernels on NumPy arrays, over lengths around the vector widths, strides and misalignments."""

from __future__ import annotations

import numpy as np
import pytest

import fallline as fl
from helpers import assert_same_bits, refuses
from twins import activations, losses

N = 32  # a panel; vectors are 4 to 16 wide
LENGTHS = [0, 1, 3, 7, N // 2, N - 1, N, N + 1, 4 * N // 3, 2 * N, 8 * N + 2]
lengths = pytest.mark.parametrize("n", LENGTHS)
dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])
NAMES = sorted(activations.VALUE)
WITH_BACKWARD = sorted(activations.BACKWARD)


def tolerance(dtype, scale=1):
    return {
        "rtol": 2e-5 if dtype is np.float32 else 1e-12,
        "atol": scale * (1e-5 if dtype is np.float32 else 1e-13),
    }


def layouts(array):
    """The same numbers laid out in memory in every way that NumPy knows."""
    raw = np.zeros(array.nbytes + 8, dtype=np.uint8)
    unaligned = raw[1 : 1 + array.nbytes].view(array.dtype).reshape(array.shape)
    unaligned[...] = array
    yield "contiguous", array
    yield "unaligned", unaligned
    yield "offset", np.pad(array, 1)[tuple(slice(1, -1) for _ in array.shape)]
    yield "repeated", np.repeat(array, 3, axis=-1)[..., ::3]
    yield "backwards", np.ascontiguousarray(array[::-1])[::-1]
    yield "fortran", np.asfortranarray(array)


@lengths
@dtypes
@pytest.mark.parametrize("name", NAMES)
def test_activations(name, n, dtype, rng):
    x = rng.normal(scale=3, size=(3, n)).astype(dtype)
    kept = x.copy()
    expected = activations.VALUE[name](x.astype(np.float64)) if n else x
    first = fl.ops.activate(name, x)
    assert first.dtype == dtype
    np.testing.assert_allclose(first, expected, **tolerance(dtype))
    for layout, array in layouts(x):
        got = fl.ops.activate(name, array)
        assert got.tobytes() == first.tobytes(), layout
    assert_same_bits([x], [kept])


@dtypes
@pytest.mark.parametrize("name", NAMES)
def test_activations_write_where_told(name, dtype, rng):
    x = rng.normal(size=(5, 37)).astype(dtype)
    expected = fl.ops.activate(name, x)
    out = np.empty_like(x)
    assert fl.ops.activate(name, x, out=out) is out
    assert_same_bits([out], [expected])
    fl.ops.activate(name, x, out=x)
    assert_same_bits([x], [expected])


@pytest.mark.parametrize("name", NAMES)
def test_activations_of_every_rank(name, rng):
    x = rng.normal(size=(2, 3, 4, 5))
    np.testing.assert_allclose(fl.ops.activate(name, x), activations.VALUE[name](x), rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(
        fl.ops.activate(name, x[0, 0, 0]), activations.VALUE[name](x[0, 0, 0]), rtol=1e-13
    )


@dtypes
@pytest.mark.parametrize("transpose_a", [False, True])
@pytest.mark.parametrize("transpose_b", [False, True])
def test_matmul(transpose_a, transpose_b, dtype, rng):
    sizes = [
        (m, k, n) for m in (1, 5, 14, 15, 33) for k in (0, 1, 7, 64, 130) for n in (1, 3, 31, 32, 33, 70)
    ]
    for m, k, n in [*sizes, (0, 3, 4), (4, 3, 0), (300, 1100, 90)]:
        a, b = rng.normal(size=(m, k)).astype(dtype), rng.normal(size=(k, n)).astype(dtype)
        left = np.ascontiguousarray(a.T) if transpose_a else a
        right = np.ascontiguousarray(b.T) if transpose_b else b
        got = fl.ops.matmul(left, right, transpose_a=transpose_a, transpose_b=transpose_b)
        expected = a.astype(np.float64) @ b.astype(np.float64)
        np.testing.assert_allclose(got, expected, **tolerance(dtype, scale=1 + k**0.5), err_msg=f"{m, k, n}")
        assert got.dtype == dtype


@dtypes
def test_matmul_reads_any_layout(dtype, rng):
    a, b = rng.normal(size=(19, 45)).astype(dtype), rng.normal(size=(45, 37)).astype(dtype)
    expected = fl.ops.matmul(a, b)
    for left_layout, left in layouts(a):
        for right_layout, right in layouts(b):
            got = fl.ops.matmul(left, right)
            assert got.tobytes() == expected.tobytes(), (left_layout, right_layout)
    out = np.empty((19, 37), dtype=dtype)
    assert fl.ops.matmul(a, b, out=out) is out
    assert_same_bits([out], [expected])


@dtypes
def test_matmul_on_threads(dtype, rng):
    a, b = rng.normal(size=(333, 257)).astype(dtype), rng.normal(size=(257, 411)).astype(dtype)
    results = []
    for n in (1, 2, 3, 7):
        with fl.threads(n):
            results.append(fl.ops.matmul(a, b))
    for other in results[1:]:
        assert_same_bits([other], results[:1])


@dtypes
@pytest.mark.parametrize("name", WITH_BACKWARD)
def test_dense_forward_and_backward(name, dtype, rng):
    for rows in (0, 1, 13, 15, 66):
        for inputs, units in ((1, 1), (7, 3), (33, 32), (64, 65)):
            x, kernel = (
                rng.normal(size=(rows, inputs)).astype(dtype),
                rng.normal(size=(inputs, units)).astype(dtype),
            )
            bias, gradient = (
                rng.normal(size=units).astype(dtype),
                rng.normal(size=(rows, units)).astype(dtype),
            )
            kernel /= np.sqrt(inputs).astype(dtype)
            output = fl.ops.dense_forward(x, kernel, bias, name)
            wide = activations.VALUE[name](x.astype(float) @ kernel + bias) if rows else output
            np.testing.assert_allclose(output, wide, **tolerance(dtype, scale=10))
            dx, dkernel, dbias = fl.ops.dense_backward(gradient, x, output, kernel, name)
            delta = activations.BACKWARD[name](gradient.astype(float), output.astype(float))
            np.testing.assert_allclose(dx, delta @ kernel.T, **tolerance(dtype, scale=20))
            np.testing.assert_allclose(dkernel, x.T.astype(float) @ delta, **tolerance(dtype, scale=20))
            np.testing.assert_allclose(dbias, delta.sum(axis=0), **tolerance(dtype, scale=20))
            assert (dx.shape, dkernel.shape, dbias.shape) == (x.shape, kernel.shape, bias.shape)


@dtypes
def test_dense_without_bias(dtype, rng):
    x, kernel = rng.normal(size=(6, 5)).astype(dtype), rng.normal(size=(5, 4)).astype(dtype)
    zero = np.zeros(4, dtype=dtype)
    assert_same_bits([fl.ops.dense_forward(x, kernel, None)], [fl.ops.dense_forward(x, kernel, zero)])


@lengths
@dtypes
def test_softmax_cross_entropy(n, dtype, rng):
    if n == 0:
        return_of_nothing = np.zeros((4, 0), dtype=dtype)
        with refuses(ValueError, r"\(4, 0\)"):
            fl.ops.softmax_cross_entropy(return_of_nothing, np.zeros(4, int))
        return
    logits, labels = rng.normal(scale=5, size=(9, n)).astype(dtype), rng.integers(0, n, 9)
    target = losses.one_hot(labels, n)
    value, gradient = losses.reduced(losses.cross_entropy_from_logits, logits.astype(float), target)
    for y in (labels, target.astype(dtype)):
        loss, dlogits = fl.ops.softmax_cross_entropy(logits, y)
        assert loss == pytest.approx(value, rel=1e-5 if dtype is np.float32 else 1e-12, abs=1e-7)
        np.testing.assert_allclose(dlogits, gradient, **tolerance(dtype))


def test_softmax_cross_entropy_of_huge_logits():
    loss, gradient = fl.ops.softmax_cross_entropy(np.array([[1000.0, -1000.0]]), np.array([1]))
    assert loss == 2000.0
    np.testing.assert_array_equal(gradient, [[1.0, -1.0]])


@lengths
@dtypes
def test_optimizers_over_lengths(n, dtype, rng):
    """A tail is updated like a body: every element as if it were alone."""
    p, g = rng.normal(size=n).astype(dtype), rng.normal(size=n).astype(dtype)
    for make in (lambda: fl.SGD(0.1, momentum=0.9), lambda: fl.RMSProp(0.01), lambda: fl.Adam(0.01)):
        whole, optimizer = p.copy(), make()
        for _ in range(2):
            optimizer.step([whole], [g])
        single = [p[i : i + 1].copy() for i in range(n)]
        apart = make()
        for _ in range(2):
            apart.step(single, [g[i : i + 1] for i in range(n)])
        assert whole.tobytes() == b"".join(s.tobytes() for s in single)


X, K, B = np.ones((4, 3)), np.ones((3, 2)), np.ones(2)
BAD = [
    (lambda: fl.ops.matmul(X, X), ValueError, r"\(4, 3\)"),
    (lambda: fl.ops.matmul(X, K, transpose_a=True), ValueError, r"\(4, 3\).*\(3, 2\)|\(3, 2\).*\(4, 3\)"),
    (lambda: fl.ops.matmul(X[0], K), ValueError, r"\(3,\)"),
    (lambda: fl.ops.matmul(X, K.astype(np.float32)), TypeError, "float32"),
    (lambda: fl.ops.matmul(X, K, out=np.empty((4, 3))), ValueError, r"out .*\(4, 3\).*\(4, 2\)"),
    (lambda: fl.ops.matmul(X, K, out=np.empty((4, 2), np.float32)), TypeError, "out .*float32"),
    (lambda: fl.ops.matmul(X, K, out=np.empty((4, 4))[:, ::2]), ValueError, "out"),
    (lambda: fl.ops.matmul(X, K, out=frozen((4, 2))), ValueError, "out"),
    (lambda: fl.ops.dense_forward(X, X, None), ValueError, r"\(4, 3\)"),
    (lambda: fl.ops.dense_forward(X, K, np.ones(3)), ValueError, r"\(3,\)"),
    (lambda: fl.ops.dense_forward(X, K, B, "rleu"), ValueError, "rleu"),
    (lambda: fl.ops.dense_backward(X, X, X, K), ValueError, r"\(4, 3\)"),
    (lambda: fl.ops.dense_backward(np.ones((4, 2)), X[:3], np.ones((4, 2)), K), ValueError, r"\(3, [23]\)"),
    (lambda: fl.ops.activate("softplusplus", X), ValueError, "softplusplus"),
    (lambda: fl.ops.activate("relu", X, out=np.empty((3, 4))), ValueError, r"out .*\(3, 4\)"),
    (lambda: fl.ops.activate("relu", X.astype(complex)), TypeError, "complex"),
    (lambda: fl.ops.softmax_cross_entropy(X, np.array([0, 1, 2, 3])), ValueError, "3"),
    (lambda: fl.ops.softmax_cross_entropy(X, np.array([0, 1, -1, 2])), ValueError, "-1"),
    (lambda: fl.ops.softmax_cross_entropy(X, np.array([0, 1])), ValueError, r"\(2,\)"),
    (lambda: fl.ops.softmax_cross_entropy(X, np.ones((4, 2))), ValueError, r"\(4, 2\)"),
]


def frozen(shape):
    array = np.zeros(shape)
    array.flags.writeable = False
    return array


@pytest.mark.parametrize("call, exception, match", BAD, ids=range(len(BAD)))
def test_bad_arguments(call, exception, match):
    with refuses(exception, match):
        call()


def test_out_may_not_be_an_operand(rng):
    a = rng.normal(size=(20, 20))
    kept = a.copy()
    with refuses(ValueError, "out"):
        fl.ops.matmul(a, a, out=a)
    assert_same_bits([a], [kept])
