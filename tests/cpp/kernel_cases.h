// What the kernel tests share: the tables of every target this CPU can run, random numbers, and matrices in panels.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <sstream>
#include <string>
#include <type_traits>
#include <vector>

#include "check.h"
#include "kernels/table.h"
#include "runtime/cpu.h"

namespace fallline::testing {

// f(target) for each row of targets.def whose features the CPU has.
template <class F>
void each_target(F f) {
  const auto visit = [&](const char* features, const Target& (*target)()) {
    std::istringstream names(features);
    for (std::string name; names >> name;)
      if (!cpu_has(name)) return;
    f(target());
  };
#define FALLLINE_TARGET(name, flags, features, vector_bytes) visit(features, table_##name);
#include "kernels/targets.def"
#undef FALLLINE_TARGET
}

// f(table) for each of those targets and both dtypes.
template <class F>
void each_table(F f) {
  each_target([&](const Target& target) {
    {
      const Where where(target.name, " float32");
      f(target.float32);
    }
    const Where where(target.name, " float64");
    f(target.float64);
  });
}

// Steele, Lea, Flood 2014: SplitMix64.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t bits() {
    std::uint64_t z = state_ += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
  }
  double uniform(double low, double high) { return low + (high - low) * static_cast<double>(bits() >> 11) * 0x1p-53; }
  int below(int n) { return static_cast<int>(bits() % static_cast<std::uint64_t>(n)); }

 private:
  std::uint64_t state_;
};

// A matrix in panels that ends exactly where its last row does; `fill` is in all of it, the padding included.
template <class T>
class Matrix {
 public:
  Matrix(int rows, int columns, int width, T fill = T(0))
      : rows_(rows),
        columns_(columns),
        width_(width),
        stride_(static_cast<std::ptrdiff_t>(rows + 1) * width),
        data_(static_cast<std::size_t>((columns - 1) / width * stride_ + static_cast<std::ptrdiff_t>(rows) * width),
              fill) {}

  int rows() const { return rows_; }
  int columns() const { return columns_; }
  int padded() const { return (columns_ + width_ - 1) / width_ * width_; }
  T& operator()(int r, int c) { return data_[place(r, c)]; }
  T operator()(int r, int c) const { return data_[place(r, c)]; }
  operator Panels<T>() { return {data_.data(), stride_}; }
  operator Panels<const T>() const { return {data_.data(), stride_}; }

  Matrix& randomize(Random& random, double low = -1, double high = 1) {
    for (int r = 0; r < rows_; ++r)
      for (int c = 0; c < columns_; ++c) (*this)(r, c) = static_cast<T>(random.uniform(low, high));
    return *this;
  }

 private:
  std::size_t place(int r, int c) const {
    return static_cast<std::size_t>(c / width_ * stride_ + static_cast<std::ptrdiff_t>(r) * width_ + c % width_);
  }

  int rows_, columns_, width_;
  std::ptrdiff_t stride_;
  std::vector<T> data_;
};

// Calls f(r, c) for each element, the padding left out.
template <class F>
void each_element(int rows, int columns, F f) {
  for (int r = 0; r < rows; ++r)
    for (int c = 0; c < columns; ++c) f(r, c);
}

// Columns that a matrix of this panel width can go wrong at.
inline std::vector<int> column_counts(int width) {
  return {1, 2, width / 2 - 1, width / 2, width / 2 + 1, width - 1, width, width + 1, 2 * width + 3, 4 * width + 1};
}

// The kernels' multiplication and addition: one rounding where the target has an FMA unit, else two.
template <class T>
T multiply_add(bool fused, T a, T b, T c) {
  return fused ? std::fma(a, b, c) : a * b + c;
}

inline bool has_fma(int panel_width, std::size_t element) {
#if defined(__x86_64__)
  return static_cast<std::size_t>(panel_width) * element > 32;
#else
  return (void)panel_width, (void)element, true;
#endif
}

// The dtype of a table.
template <class T>
T dtype_of(const KernelTable<T>&);

template <class T>
inline constexpr double epsilon = std::numeric_limits<T>::epsilon();
template <class T>
inline constexpr T nan = std::numeric_limits<T>::quiet_NaN();

}  // namespace fallline::testing
