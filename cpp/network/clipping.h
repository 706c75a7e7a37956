// Clipping by norm (Pascanu, Mikolov, Bengio 2013) for gradients of any size, whose squares double may not hold. Powers
// of 2 are kept apart, so that whatever double does hold has the same bits.
#pragma once

#include <cmath>
#include <utility>

#include "kernels/table.h"

namespace fallline {

inline Scaled operator+(Scaled a, Scaled b) {
  if (a.exponent < b.exponent) std::swap(a, b);
  if (a.value == 0) return b;
  if (a.exponent > b.exponent) b.value = std::ldexp(b.value, b.exponent - a.exponent);
  return {a.value + b.value, a.exponent};
}

inline Scaled operator*(Scaled a, Scaled b) { return {a.value * b.value, a.exponent + b.exponent}; }

inline Scaled scaled(double x) {
  int exponent = 0;
  const double fraction = std::frexp(x, &exponent);
  return {fraction, exponent};
}

// Whether a norm, given by its square, is beyond the limit; a limit of 0 is none. Exponents of squares are even.
inline bool longer(Scaled square, double limit) {
  return limit > 0 && std::sqrt(square.value) > std::ldexp(limit, -square.exponent / 2);
}

// What shortens a gradient to the limit, if it is longer.
inline Scaled clip_factor(Scaled square, double limit) {
  if (!longer(square, limit)) return {1, 0};
  const auto [fraction, exponent] = scaled(limit);
  return {fraction / std::sqrt(square.value), exponent - square.exponent / 2};
}

// The square of the norm after that.
inline Scaled clipped_square(Scaled square, double limit) {
  return longer(square, limit) ? scaled(limit) * scaled(limit) : square;
}

}  // namespace fallline
