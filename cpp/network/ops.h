// The kernels on plain row-major matrices, for scripts that have a network of their own.
#pragma once

#include "network/layers/layer.h"

namespace fallline {

// out (m, n) = activation(a (m, k) b (k, n) + bias (n,)); bias may be nullptr; activation as in the kernel tables.
template <class T>
void product(Source a, Source b, const T* bias, int m, int k, int n, Elementwise<T> activation, T* out);

// y (rows, columns) = softmax(z), row by row.
template <class T>
void softmax_rows(Source z, int rows, int columns, T* y);

// y = activation(x), over n elements.
template <class T>
void activate(Elementwise<T> activation, const T* x, std::ptrdiff_t n, T* y);

// delta (rows, columns) = gradient with respect to the activation's input, from dy and its output y. softmax if
// its index is -1.
template <class T>
void activation_delta(Elementwise<T> activation, Source y, Source dy, int rows, int columns, T* delta);

// Mean loss of softmax(logits) against labels, or against rows of probabilities if labels is nullptr, and its gradient
// (rows, columns).
template <class T>
double softmax_cross_entropy(Source logits, const std::int32_t* labels, Source probabilities, int rows, int columns,
                             T* gradient);

}  // namespace fallline
