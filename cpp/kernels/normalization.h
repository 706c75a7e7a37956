// Means, variances and what follows from them: by columns for batches, by rows for layers.
#pragma once

#include "rows.h"

namespace fallline {
namespace {

// sums[c] = sum over rows of (x - s[c]) (z - t[c]), for one panel; s and t may be nullptr for zeros.
template <class T>
void column_products(const T* x, const T* s, const T* z, const T* t, int rows, T* sums) {
  constexpr int W = panel_width<T>, V = lanes<T>;
  for (int v = 0; v < W; v += V) {
    const Vec<T> left = s ? load(s + v) : Vec<T>{}, right = t ? load(t + v) : Vec<T>{};
    Vec<T> sum{};
    for (int r = 0; r < rows; ++r) sum = fma(load(x + r * W + v) - left, load(z + r * W + v) - right, sum);
    store(sums + v, sum);
  }
}

// y = x a[c] + z b[c] + d[c], for one panel.
template <class T>
void column_combine(const T* x, const T* a, const T* z, const T* b, const T* d, int rows, T* y) {
  constexpr int W = panel_width<T>, V = lanes<T>;
  for (int v = 0; v < W; v += V) {
    const Vec<T> p = load(a + v), q = load(b + v), r0 = load(d + v);
    for (int r = 0; r < rows; ++r) store(y + r * W + v, fma(load(x + r * W + v), p, fma(load(z + r * W + v), q, r0)));
  }
}

// f(offset of a register in its row's panel, in a vector of columns, lanes that count) for each register of a row.
template <class T, class F>
FALLLINE_INLINE void each_register(int columns, std::ptrdiff_t stride, int row, F f) {
  constexpr int W = panel_width<T>, V = lanes<T>;
  for (int c = 0; c < columns; c += W)
    for (int v = 0; v < W; v += V)
      if (columns - c - v > 0) f(c / W * stride + at<T>(row) + v, c + v, columns - c - v);
}

// y = (x - mean) / sqrt(variance + epsilon) gamma + beta, row by row (Ba, Kiros, Hinton 2016). moments [rows][2] gets
// the mean and the reciprocal root; it may be nullptr.
template <class T>
void layer_norm(Panels<const T> x, const T* gamma, const T* beta, double epsilon, Panels<T> y, int columns, T* moments,
                int begin, int end) {
  for (int r = begin; r < end; ++r) {
    Vec<T> sum{}, square{};
    each_register<T>(columns, x.stride, r,
                     [&](std::ptrdiff_t i, int, int n) { sum = sum + first_lanes<T>(load(x.data + i), n); });
    const T mean = reduce_sum<T>(sum) / static_cast<T>(columns);
    each_register<T>(columns, x.stride, r, [&](std::ptrdiff_t i, int, int n) {
      const Vec<T> d = first_lanes<T>(load(x.data + i) - mean, n);
      square = fma(d, d, square);
    });
    const T variance = reduce_sum<T>(square) / static_cast<T>(columns);
    const T root = T(1) / sqrt(broadcast(variance + static_cast<T>(epsilon)))[0];
    if (moments) moments[2 * r] = mean, moments[2 * r + 1] = root;
    each_register<T>(columns, x.stride, r, [&](std::ptrdiff_t i, int c, int) {
      const std::ptrdiff_t o = i + c / panel_width<T> * (y.stride - x.stride);
      store(y.data + o, fma((load(x.data + i) - mean) * root, load(gamma + c), load(beta + c)));
    });
  }
}

// dx from dy, with g = dy gamma and n = (x - mean) root: root (g - mean(g) - n mean(g n)).
template <class T>
void layer_norm_gradient(Panels<const T> x, const T* moments, const T* gamma, Panels<const T> dy, Panels<T> dx,
                         int columns, int begin, int end) {
  constexpr int W = panel_width<T>;
  for (int r = begin; r < end; ++r) {
    const T mean = moments[2 * r], root = moments[2 * r + 1];
    Vec<T> sum{}, dot{};
    each_register<T>(columns, x.stride, r, [&](std::ptrdiff_t i, int c, int n) {
      const Vec<T> g = first_lanes<T>(load(dy.data + i + c / W * (dy.stride - x.stride)) * load(gamma + c), n);
      sum = sum + g;
      dot = fma(g, first_lanes<T>((load(x.data + i) - mean) * root, n), dot);
    });
    const T g_mean = reduce_sum<T>(sum) / static_cast<T>(columns),
            gn_mean = reduce_sum<T>(dot) / static_cast<T>(columns);
    each_register<T>(columns, x.stride, r, [&](std::ptrdiff_t i, int c, int n) {
      const Vec<T> g = load(dy.data + i + c / W * (dy.stride - x.stride)) * load(gamma + c);
      const Vec<T> d = (g - g_mean - (load(x.data + i) - mean) * root * gn_mean) * root;
      store(dx.data + i + c / W * (dx.stride - x.stride), first_lanes<T>(d, n));
    });
  }
}

// sums[c] = sum over rows of dy (x - mean) root, for one panel.
template <class T>
void layer_norm_scale_gradient(const T* x, const T* moments, const T* dy, int rows, T* sums) {
  constexpr int W = panel_width<T>, V = lanes<T>;
  for (int v = 0; v < W; v += V) {
    Vec<T> sum{};
    for (int r = 0; r < rows; ++r)
      sum = fma(load(dy + r * W + v), (load(x + r * W + v) - moments[2 * r]) * moments[2 * r + 1], sum);
    store(sums + v, sum);
  }
}

}  // namespace
}  // namespace fallline
