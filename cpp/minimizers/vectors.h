// Long vectors, block by block: what is summed is summed in the same order on any number of threads.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "runtime/thread_tuner.h"

namespace fallline {

using Vector = std::vector<double>;

inline constexpr std::size_t block_size = 512;

inline std::size_t block_count(std::size_t n) { return (n + block_size - 1) / block_size; }

struct Range {
  std::size_t begin, end;
};

inline ThreadTuner vector_threads{worth_a_pass};

// Calls body(range) for every block of n elements; `flops` are those for each element.
template <class Body>
void for_blocks(std::size_t n, double flops, const Body& body, std::size_t block = block_size) {
  const std::size_t blocks = (n + block - 1) / block;
  vector_threads.run({static_cast<double>(n) * flops, static_cast<double>(blocks)}, [&](Team& team, int thread) {
    const auto self = static_cast<std::size_t>(thread), size = static_cast<std::size_t>(team.size());
    for (std::size_t i = blocks * self / size; i < blocks * (self + 1) / size; ++i)
      body(Range{i * block, std::min(n, (i + 1) * block)});
  });
}

// Eight sums side by side, which the compiler keeps in vectors.
inline double dot(const double* x, const double* y, std::size_t n) {
  double sums[8] = {};
  std::size_t i = 0;
  for (; i + 8 <= n; i += 8)
    for (std::size_t k = 0; k < 8; ++k) sums[k] += x[i + k] * y[i + k];
  for (std::size_t k = 0; i < n; ++i, ++k) sums[k] += x[i] * y[i];
  return ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7]));
}

inline double dot(Range range, const Vector& x, const Vector& y) {
  return dot(x.data() + range.begin, y.data() + range.begin, range.end - range.begin);
}

inline double dot(const Vector& x, const Vector& y) { return dot(x.data(), y.data(), x.size()); }

// y += a x
inline void add(Range range, double a, const Vector& x, Vector& y) {
  const double* from = x.data();
  double* to = y.data();
  for (std::size_t i = range.begin; i < range.end; ++i) to[i] += a * from[i];
}

inline Vector difference(const Vector& x, const Vector& y) {
  Vector d(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) d[i] = x[i] - y[i];
  return d;
}

inline Vector negative(const Vector& x) {
  Vector y(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) y[i] = -x[i];
  return y;
}

inline double sum_of_magnitudes(const Vector& x) {
  double sum = 0;
  for (const double value : x) sum += std::abs(value);
  return sum;
}

inline double largest_magnitude(const Vector& x) {
  double largest = 0;
  for (const double value : x) largest = std::max(largest, std::abs(value));
  return largest;
}

}  // namespace fallline
