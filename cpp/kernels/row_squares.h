// Squared norms of what single rows contribute to gradients (Goodfellow 2015), added to squares[r].
#pragma once

#include "normalization.h"

namespace fallline {
namespace {

// f(x, z, column) for each register of row r of both; lanes beyond the last column count for nothing in its results,
// which are summed with their squares.
template <class T, class F>
FALLLINE_INLINE void sum_row(Panels<const T> x, Panels<const T> z, int columns, int r, T& sum, T& square, F f) {
  Vec<T> sums{}, squares{};
  each_register<T>(columns, x.stride, r, [&](std::ptrdiff_t i, int c, int n) {
    const std::ptrdiff_t shift = c / panel_width<T> * (z.stride - x.stride);
    const Vec<T> g = first_lanes<T>(f(load(x.data + i), load(z.data + i + shift)), n);
    sums = sums + g;
    squares = fma(g, g, squares);
  });
  sum = reduce_sum<T>(sums);
  square = reduce_sum<T>(squares);
}

// Sums over columns of x^2, for `block_rows` rows at most; panel by panel, as they lie in memory.
inline constexpr int block_rows = 8;

template <class T>
FALLLINE_INLINE void block_squares(Panels<const T> x, int columns, int begin, int end, double* squares) {
  constexpr int W = panel_width<T>;
  Vec<T> sum[block_rows]{};
  int c = 0;
  for (const T* p = x.data + at<T>(begin); c + W <= columns; c += W, p += x.stride)
    for (int r = begin; r < end; ++r) {
      const Vec<T> low = load(p + at<T>(r - begin)), high = load(p + at<T>(r - begin) + lanes<T>);
      sum[r - begin] = fma(low, low, fma(high, high, sum[r - begin]));
    }
  if (c < columns)
    for (int r = begin; r < end; ++r) {
      const Columns<T> v(x, c, columns, r, T(0));
      sum[r - begin] = fma(v.low, v.low, fma(v.high, v.high, sum[r - begin]));
    }
  for (int r = begin; r < end; ++r) squares[r - begin] = static_cast<double>(reduce_sum<T>(sum[r - begin]));
}

// By a kernel (inputs, units), x delta', and by a bias if there is one: |delta|^2 (|x|^2 + 1).
template <class T>
void add_dense_squares(Panels<const T> x, int inputs, Panels<const T> delta, int units, bool bias, double* squares,
                       int begin, int end) {
  for (int r = begin; r < end; r += block_rows) {
    const int last = std::min(r + block_rows, end);
    double of_x[block_rows], of_delta[block_rows];
    block_squares<T>(x, inputs, r, last, of_x);
    block_squares<T>(delta, units, r, last, of_delta);
    for (int i = 0; i < last - r; ++i) squares[r + i] += of_delta[i] * (of_x[i] + (bias ? 1 : 0));
  }
}

// By an offset of each column.
template <class T>
void add_offset_squares(Panels<const T> delta, int columns, double* squares, int begin, int end) {
  for (int r = begin; r < end; r += block_rows) {
    const int last = std::min(r + block_rows, end);
    double of_delta[block_rows];
    block_squares<T>(delta, columns, r, last, of_delta);
    for (int i = 0; i < last - r; ++i) squares[r + i] += of_delta[i];
  }
}

// By the slope of each column below 0, or by one that all share.
template <class T>
void add_prelu_squares(Panels<const T> x, Panels<const T> delta, int columns, bool shared, double* squares, int begin,
                       int end) {
  for (int r = begin; r < end; ++r) {
    T sum, square;
    sum_row<T>(x, delta, columns, r, sum, square, [](Vec<T> z, Vec<T> d) { return z < T(0) ? d * z : Vec<T>{}; });
    const auto total = static_cast<double>(sum);
    squares[r] += shared ? total * total : static_cast<double>(square);
  }
}

// By the scale of each normalised column, (x - mean) root.
template <class T>
void add_layer_norm_squares(Panels<const T> x, const T* moments, Panels<const T> delta, int columns, double* squares,
                            int begin, int end) {
  for (int r = begin; r < end; ++r) {
    const T mean = moments[2 * r], root = moments[2 * r + 1];
    T sum, square;
    sum_row<T>(x, delta, columns, r, sum, square, [=](Vec<T> z, Vec<T> d) { return d * ((z - mean) * root); });
    squares[r] += static_cast<double>(square);
  }
}

}  // namespace
}  // namespace fallline
