// The order of an epoch's rows: a permutation that is a function of (seed, epoch) alone.
#pragma once

#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

#include "kernels/random.h"

namespace fallline {

// Fisher and Yates' shuffle; each number from 0 to i comes from 64 random bits by Lemire's multiplication.
inline void shuffle(std::uint64_t seed, std::uint64_t epoch, std::vector<std::int64_t>& order) {
  __extension__ using Wide = unsigned __int128;
  constexpr int block = 8;
  constexpr std::uint32_t stream = 0;  // layers have the streams above
  std::uint32_t numbers[4][block];
  std::iota(order.begin(), order.end(), 0);
  std::uint32_t used = 0;
  for (std::size_t i = order.size(); i-- > 1; ++used) {
    const std::uint32_t at = used % (2 * block);
    if (at == 0) philox<block>({seed, stream, epoch}, used / 2, numbers);
    const std::uint64_t bits = std::uint64_t{numbers[at / block * 2][at % block]} << 32 | numbers[at / block * 2 + 1][at % block];
    const auto j = static_cast<std::size_t>((static_cast<Wide>(bits) * (i + 1)) >> 64);
    std::swap(order[i], order[j]);
  }
}

}  // namespace fallline
