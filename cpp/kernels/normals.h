// Standard normal random numbers: Box & Muller 1958, on the numbers of Philox.
#pragma once

#include <algorithm>

#include "math.h"
#include "random.h"

namespace fallline {
namespace {

// N numbers from those of Philox at w and v: with u = (w + 1/2) / 2^32 and t = v / 2^32, the two coordinates of the
// point at distance sqrt(-2 ln u) in the direction 2 pi t.
template <class T, int N>
FALLLINE_INLINE void box_muller(const std::uint32_t* w, const std::uint32_t* v, T* out) {
  static_assert(N % lanes<T> == 0);
  T u[N], t[N];
  for (int i = 0; i < N; ++i) {
    u[i] = (static_cast<T>(w[i]) + T(0.5)) * T(0x1p-32);
    t[i] = static_cast<T>(v[i]) * T(0x1p-32);
  }
  for (int i = 0; i < N; i += lanes<T>) {
    const Vec<T> distance = sqrt(T(-2) * log<T>(load(u + i)));
    const Circle<T> direction(load(t + i));
    store(out + i, distance * direction.cos);
    store(out + N + i, distance * direction.sin);
  }
}

// The first n normals of the key. Each block of 64 comes from the four numbers of 16 counters, on any target.
template <class T>
void normals(RandomKey key, T* out, std::ptrdiff_t n) {
  constexpr int counters = 16, block = 4 * counters;
  std::uint32_t first = 0;
  for (std::ptrdiff_t left = n; left > 0; left -= block, out += block, first += counters) {
    std::uint32_t numbers[4][counters];
    philox<counters>(key, first, numbers);
    T end[block];
    T* whole = left >= block ? out : end;
    box_muller<T, counters>(numbers[0], numbers[1], whole);
    box_muller<T, counters>(numbers[2], numbers[3], whole + 2 * counters);
    if (whole == end) std::copy_n(end, left, out);
  }
}

}  // namespace
}  // namespace fallline
