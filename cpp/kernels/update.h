// The pass over parameters: a rule of optimizers.h on every element, what is done to gradients before it, and the
// average of the weights after it.
#pragma once

#include <limits>

#include "optimizers.h"
#include "squares.h"
#include "table.h"
#include "vec.h"

namespace fallline {
namespace {

template <class Names>
constexpr int count(const Names& names) {
  int n = 0;
  while (names[n] != nullptr) ++n;
  return n;
}

template <class T>
FALLLINE_INLINE Vec<T> clamp(Vec<T> g, Vec<T> clip) {
  g = g > clip ? clip : g;
  return g < -clip ? -clip : g;
}

// All n elements; plain: the gradient is taken and the weights are kept as they are. The compiler must see that the
// pointers are not among what is stored, so they are copied out of u.
template <class T, class Rule, bool plain>
void update_all(const Update<T>& u) {
  constexpr int slots = count(Rule::slots);
  constexpr int step = lanes<T>;
  Vec<T> c[max_scalars];
  for (int i = 0; i < max_scalars; ++i) c[i] = broadcast(static_cast<T>(u.scalars[i]));
  const Vec<T> scale = broadcast(static_cast<T>(u.scale)), clip = broadcast(static_cast<T>(u.clip));
  const Vec<T> unit = broadcast(static_cast<T>(u.unit));
  const Vec<T> shrink = broadcast(static_cast<T>(u.shrink)), l2 = broadcast(static_cast<T>(u.l2));
  const bool penalized = u.l2 != 0;
  const auto apply = [&](Vec<T> g, Vec<T>& w, Vec<T>* s) __attribute__((always_inline)) {
    if constexpr (!plain) {
      g = clamp<T>(g, clip) * unit * scale;
      if (penalized) g = fma(l2, w, g);
      w = w * shrink;
    }
    Rule::template update<T>(c, g, w, s);
  };
  T *const weights = u.w, *slot[slots + 1];
  const T* const gradient = u.g;
  for (int k = 0; k < slots; ++k) slot[k] = u.slots[k];
  std::ptrdiff_t i = 0;
  for (const std::ptrdiff_t n = u.n; i + step <= n; i += step) {
    Vec<T> w = load(weights + i), s[slots + 1];
    for (int k = 0; k < slots; ++k) s[k] = load(slot[k] + i);
    apply(load(gradient + i), w, s);
    store(weights + i, w);
    for (int k = 0; k < slots; ++k) store(slot[k] + i, s[k]);
  }
  if (const int rest = static_cast<int>(u.n - i); rest > 0) {
    Vec<T> w = load_partial(weights + i, rest), s[slots + 1];
    for (int k = 0; k < slots; ++k) s[k] = load_partial(slot[k] + i, rest);
    apply(load_partial(gradient + i, rest), w, s);
    store_partial(weights + i, w, rest);
    for (int k = 0; k < slots; ++k) store_partial(slot[k] + i, s[k], rest);
  }
}

// Prefetching by hand gained nothing that could be shown on long arrays, and within a step it took cache lines from the
// thread that has the next strip. Neither did starting at the end of a cache line.
template <class T, class Rule>
void update(const Update<T>& u) {
  const bool plain =
      u.scale == 1 && u.unit == 1 && u.clip == std::numeric_limits<double>::infinity() && u.shrink == 1 && u.l2 == 0;
  return plain ? update_all<T, Rule, true>(u) : update_all<T, Rule, false>(u);
}

// average <- average + share (w - average)
template <class T>
void average(T* average, const T* w, std::ptrdiff_t n, double share) {
  const Vec<T> part = broadcast(static_cast<T>(share));
  std::ptrdiff_t i = 0;
  for (; i + lanes<T> <= n; i += lanes<T>) {
    const Vec<T> a = load(average + i);
    store(average + i, fma(part, load(w + i) - a, a));
  }
  if (const int rest = static_cast<int>(n - i); rest > 0) {
    const Vec<T> a = load_partial(average + i, rest);
    store_partial(average + i, fma(part, load_partial(w + i, rest) - a, a), rest);
  }
}

// g <- g + l2 w + l1_slope sgn(w); returns the sum of l1 |w| + l2/2 w^2. The slope is l1, or 0 where a proximal step
// takes its place.
template <class T>
double penalize(T* g, const T* w, std::ptrdiff_t n, double l1, double l2, double l1_slope) {
  const Vec<T> a = broadcast(static_cast<T>(l1)), b = broadcast(static_cast<T>(l2));
  const Vec<T> slope = broadcast(static_cast<T>(l1_slope));
  double total = 0;
  for (std::ptrdiff_t i = 0; i < n; i += lanes<T>) {
    const Vec<T> x = load(w + i);
    const Vec<T> sign = x > T(0) ? slope : (x < T(0) ? -slope : Vec<T>{});
    store(g + i, fma(b, x, load(g + i) + sign));
    total += static_cast<double>(reduce_sum<T>(fma(b * T(0.5), x * x, a * abs<T>(x))));
  }
  return total;
}

// Sum of the squares of g clamped to [-clip, clip], in double, eight partial sums side by side. Where it overflows or
// vanishes it is made again of numbers that are smaller or larger by a power of 2.
template <class T>
Scaled sum_of_squares(const T* g, std::ptrdiff_t n, double clip) {
  using Range = SquareRange<double>;
  const auto sum = [&](auto square) {
    double part[8] = {};
    std::ptrdiff_t i = 0;
    for (; i + 8 <= n; i += 8)
      for (int j = 0; j < 8; ++j) part[j] += square(static_cast<double>(g[i + j]));
    for (; i < n; ++i) part[i % 8] += square(static_cast<double>(g[i]));
    return ((part[0] + part[4]) + (part[2] + part[6])) + ((part[1] + part[5]) + (part[3] + part[7]));
  };
  const auto cut = [clip](double x) { return x > clip ? clip : (x < -clip ? -clip : x); };
  const double plain = sum([&](double x) { return cut(x) * cut(x); });
  if (std::is_same_v<T, float> || (plain >= Range::tiny && plain <= Range::huge)) return {plain, 0};
  const int exponent = plain < Range::tiny ? -Range::shift : Range::shift;
  const double unit = power_of_2<double>(-exponent);
  return {sum([&](double x) { return (cut(x) * unit) * (cut(x) * unit); }), 2 * exponent};
}

}  // namespace
}  // namespace fallline
