// Where sums of squares neither overflow nor lose what counts, and by what to multiply numbers beyond.
#pragma once

#include <limits>

namespace fallline {
namespace {

template <class T>
constexpr T power_of_2(int exponent) {
  return static_cast<T>(__builtin_ldexp(1.0, exponent));
}

// A sum from tiny to huge is as good as any; others are made of numbers that are 2^shift times larger or smaller.
template <class T>
struct SquareRange {
  static constexpr int shift = std::numeric_limits<T>::max_exponent / 8 * 5;
  static constexpr T tiny = power_of_2<T>(-shift);
  static constexpr T huge = power_of_2<T>(std::numeric_limits<T>::max_exponent - 24);
};

}  // namespace
}  // namespace fallline
