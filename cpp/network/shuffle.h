// The order of an epoch's rows: a permutation that is a function of (seed, epoch) alone.
#pragma once

#include <cstdint>
#include <numeric>
#include <utility>

#include "kernels/random.h"

namespace fallline {

// Fisher and Yates' shuffle; each number from 0 to i comes from 64 bits by Lemire's multiplication. The bits are those
// of SplitMix64 (Steele, Lea, Flood 2014), started at a Philox number of (seed, epoch).
inline void shuffle(std::uint64_t seed, std::uint64_t epoch, std::int64_t* order, std::int64_t rows) {
  __extension__ using Wide = unsigned __int128;
  constexpr std::uint32_t stream = 0;  // layers have the streams above
  std::uint32_t start[4][1];
  philox<1>({seed, stream, epoch}, 0, start);
  std::uint64_t state = std::uint64_t{start[0][0]} << 32 | start[1][0];
  std::iota(order, order + rows, std::int64_t{0});
  for (auto i = static_cast<std::uint64_t>(rows); i-- > 1;) {
    std::uint64_t bits = state += 0x9E3779B97F4A7C15u;
    bits = (bits ^ bits >> 30) * 0xBF58476D1CE4E5B9u;
    bits = (bits ^ bits >> 27) * 0x94D049BB133111EBu;
    bits ^= bits >> 31;
    std::swap(order[i], order[static_cast<std::uint64_t>((static_cast<Wide>(bits) * (i + 1)) >> 64)]);
  }
}

}  // namespace fallline
