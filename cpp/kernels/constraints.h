// What is done to weights beside the update itself: soft thresholds and bounds on norms.
#pragma once

#include "vec.h"

namespace fallline {
namespace {

// w <- sgn(w) max(|w| - t, 0), the proximal step of an L1 penalty (Daubechies, Defrise, De Mol 2004); NaN stays.
template <class T>
void soft_threshold(T* w, std::ptrdiff_t n, double t) {
  const Vec<T> threshold = broadcast(static_cast<T>(t));
  for (std::ptrdiff_t i = 0; i < n; i += lanes<T>) {
    const Vec<T> x = load(w + i), size = abs<T>(x) - threshold;
    const Vec<T> left = size <= T(0) ? Vec<T>{} : size;
    store(w + i, x < T(0) ? -left : left);
  }
}

// Each column of a panel w [rows][W] is shortened to the norm `limit` (Srebro, Rennie, Jaakkola 2005).
template <class T>
void bound_norms(T* w, int rows, double limit) {
  constexpr int W = panel_width<T>, V = lanes<T>;
  const Vec<T> most = broadcast(static_cast<T>(limit));
  for (int v = 0; v < W; v += V) {
    Vec<T> square{};
    for (int r = 0; r < rows; ++r) {
      const Vec<T> x = load(w + r * W + v);
      square = fma(x, x, square);
    }
    const Vec<T> norm = sqrt(square);
    const Vec<T> factor = norm > most ? most / norm : broadcast(T(1));
    for (int r = 0; r < rows; ++r) store(w + r * W + v, load(w + r * W + v) * factor);
  }
}

}  // namespace
}  // namespace fallline
