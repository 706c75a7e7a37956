// Update rules: from the gradient g to new weights w and state s, elementwise.
// prepare() computes a step's scalars once, in double, from the hyper-parameters h (in the order of `hyper`), the
// learning rate and the step number t = 1, 2, ...; the functor then only multiplies and adds.
#pragma once

#include <cmath>

#include "table.h"
#include "type_list.h"
#include "vec.h"

namespace fallline {
namespace {

// w <- w - rate g
struct Sgd {
  static constexpr const char* name = "sgd";
  static constexpr const char* const hyper[] = {nullptr};
  static constexpr const char* const slots[] = {nullptr};
  static void prepare(const double*, double rate, double, double* c) { c[0] = -rate; }

  template <class T>
  static FALLLINE_INLINE void update(const Vec<T>* c, Vec<T> g, Vec<T>& w, Vec<T>*) {
    w = fma(c[0], g, w);
  }
};

// b <- momentum b + (1 - dampening) g, without dampening at t = 1;  w <- w - rate b   (Polyak 1964)
struct Momentum {
  static constexpr const char* name = "momentum";
  static constexpr const char* const hyper[] = {"momentum", "dampening", nullptr};
  static constexpr const char* const slots[] = {"momentum", nullptr};
  static void prepare(const double* h, double rate, double t, double* c) {
    c[0] = -rate;
    c[1] = h[0];
    c[2] = t > 1 ? 1 - h[1] : 1;
  }

  template <class T>
  static FALLLINE_INLINE void update(const Vec<T>* c, Vec<T> g, Vec<T>& w, Vec<T>* s) {
    s[0] = fma(c[1], s[0], c[2] * g);
    w = fma(c[0], s[0], w);
  }
};

// b <- momentum b + g;  w <- w - rate (g + momentum b)   (Nesterov 1983, Sutskever et al. 2013)
struct Nesterov {
  static constexpr const char* name = "nesterov";
  static constexpr const char* const hyper[] = {"momentum", nullptr};
  static constexpr const char* const slots[] = {"momentum", nullptr};
  static void prepare(const double* h, double rate, double, double* c) {
    c[0] = -rate;
    c[1] = h[0];
  }

  template <class T>
  static FALLLINE_INLINE void update(const Vec<T>* c, Vec<T> g, Vec<T>& w, Vec<T>* s) {
    s[0] = fma(c[1], s[0], g);
    w = fma(c[0], fma(c[1], s[0], g), w);
  }
};

// v <- rho v + (1 - rho) g^2;  w <- w - rate g / (sqrt(v) + epsilon)   (Tieleman & Hinton 2012)
struct RmsProp {
  static constexpr const char* name = "rmsprop";
  static constexpr const char* const hyper[] = {"rho", "epsilon", nullptr};
  static constexpr const char* const slots[] = {"v", nullptr};
  static void prepare(const double* h, double rate, double, double* c) {
    c[0] = -rate;
    c[1] = h[0];
    c[2] = 1 - h[0];
    c[3] = h[1];
  }

  template <class T>
  static FALLLINE_INLINE void update(const Vec<T>* c, Vec<T> g, Vec<T>& w, Vec<T>* s) {
    s[0] = fma(c[1], s[0], c[2] * (g * g));
    w = fma(c[0], g / (sqrt(s[0]) + c[3]), w);
  }
};

// m <- beta_1 m + (1 - beta_1) g;  v <- beta_2 v + (1 - beta_2) g^2;
// w <- w - rate m^ / (sqrt(v^) + epsilon),  m^ = m / (1 - beta_1^t),  v^ = v / (1 - beta_2^t)   (Kingma & Ba 2015)
struct Adam {
  static constexpr const char* name = "adam";
  static constexpr const char* const hyper[] = {"beta_1", "beta_2", "epsilon", nullptr};
  static constexpr const char* const slots[] = {"m", "v", nullptr};
  static void prepare(const double* h, double rate, double t, double* c) {
    // The root of 1 - beta_2^t is multiplied through, so that one root and one division an element are left.
    const double root = std::sqrt(1 - std::pow(h[1], t));
    c[0] = -rate * root / (1 - std::pow(h[0], t));
    c[1] = h[0];
    c[2] = 1 - h[0];
    c[3] = h[1];
    c[4] = 1 - h[1];
    c[5] = h[2] * root;
  }

  template <class T>
  static FALLLINE_INLINE void update(const Vec<T>* c, Vec<T> g, Vec<T>& w, Vec<T>* s) {
    s[0] = fma(c[1], s[0], c[2] * g);
    s[1] = fma(c[3], s[1], c[4] * (g * g));
    w = fma(c[0], s[0] / (sqrt(s[1]) + c[5]), w);
  }
};

using Optimizers = TypeList<Sgd, Momentum, Nesterov, RmsProp, Adam>;

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

// Prefetching by hand gained nothing that could be shown on long arrays, and within a step it took cache lines from the
// thread that has the next strip.
template <class T, class Rule>
void update(const Update<T>& u) {
  constexpr int slots = count(Rule::slots);
  constexpr int step = lanes<T>;
  Vec<T> c[max_scalars];
  for (int i = 0; i < max_scalars; ++i) c[i] = broadcast(static_cast<T>(u.scalars[i]));
  const Vec<T> scale = broadcast(static_cast<T>(u.scale)), clip = broadcast(static_cast<T>(u.clip));
  const Vec<T> shrink = broadcast(static_cast<T>(u.shrink));
  const auto apply = [&](Vec<T> g, Vec<T>& w, Vec<T>* s) __attribute__((always_inline)) {
    g = clamp<T>(g, clip) * scale;
    w = w * shrink;
    Rule::template update<T>(c, g, w, s);
  };
  std::ptrdiff_t i = 0;
  for (; i + step <= u.n; i += step) {
    Vec<T> w = load(u.w + i), s[slots + 1];
    for (int k = 0; k < slots; ++k) s[k] = load(u.slots[k] + i);
    apply(load(u.g + i), w, s);
    store(u.w + i, w);
    for (int k = 0; k < slots; ++k) store(u.slots[k] + i, s[k]);
  }
  if (const int rest = static_cast<int>(u.n - i); rest > 0) {
    Vec<T> w = load_partial(u.w + i, rest), s[slots + 1];
    for (int k = 0; k < slots; ++k) s[k] = load_partial(u.slots[k] + i, rest);
    apply(load_partial(u.g + i, rest), w, s);
    store_partial(u.w + i, w, rest);
    for (int k = 0; k < slots; ++k) store_partial(u.slots[k] + i, s[k], rest);
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

// Sum of the squares of g clamped to [-clip, clip], in double, eight partial sums side by side.
template <class T>
double sum_of_squares(const T* g, std::ptrdiff_t n, double clip) {
  double part[8] = {};
  const auto square = [clip](T x) {
    const auto y = static_cast<double>(x);
    const double cut = y > clip ? clip : (y < -clip ? -clip : y);
    return cut * cut;
  };
  std::ptrdiff_t i = 0;
  for (; i + 8 <= n; i += 8)
    for (int j = 0; j < 8; ++j) part[j] += square(g[i + j]);
  for (; i < n; ++i) part[i % 8] += square(g[i]);
  return ((part[0] + part[4]) + (part[2] + part[6])) + ((part[1] + part[5]) + (part[3] + part[7]));
}

}  // namespace
}  // namespace fallline
