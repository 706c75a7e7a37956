// What is done to weights beside the update itself: soft thresholds and bounds on norms.
#pragma once

#include "squares.h"
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

// Each column of a panel w [rows][W] is shortened to the norm `limit` (Srebro, Rennie, Jaakkola 2005). Columns whose
// squares overflow, or vanish before a limit as small, are summed again in another unit.
template <class T>
void bound_norms(T* w, int rows, double limit) {
  using Range = SquareRange<T>;
  constexpr int W = panel_width<T>, V = lanes<T>;
  const Vec<T> most = broadcast(static_cast<T>(limit)), one = broadcast(T(1));
  const T tiny = limit * limit < static_cast<double>(Range::tiny) ? Range::tiny : T(0);
  for (int v = 0; v < W; v += V) {
    const auto sum = [&](Vec<T> unit) {
      Vec<T> square{};
      for (int r = 0; r < rows; ++r) {
        const Vec<T> x = load(w + r * W + v) * unit;
        square = fma(x, x, square);
      }
      return square;
    };
    Vec<T> square = sum(one);
    const Vec<T> larger = broadcast(power_of_2<T>(Range::shift)), smaller = broadcast(power_of_2<T>(-Range::shift));
    Vec<T> unit = square > Range::huge ? smaller : (square < tiny ? larger : one);
    bool beyond = false;
    for (int i = 0; i < V; ++i) beyond |= unit[i] != T(1);
    if (beyond) square = sum(unit);
    const Vec<T> norm = sqrt(square);
    const auto longer = norm > most * unit;
    const Vec<T> factor = longer ? most / norm : one;
    unit = longer ? unit : one;
    for (int r = 0; r < rows; ++r) store(w + r * W + v, load(w + r * W + v) * unit * factor);
  }
}

}  // namespace
}  // namespace fallline
