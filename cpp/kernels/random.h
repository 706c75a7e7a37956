// Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"): random numbers as a function of a
// key and a counter, so that any thread can make any part of a stream.
#pragma once

#include <array>
#include <cstdint>

namespace fallline {

// (seed, stream, position): e.g. (model seed, layer, step) for a dropout mask, (seed, shuffles, epoch) for an order.
struct RandomKey {
  std::uint64_t seed;
  std::uint32_t stream;
  std::uint64_t position;
};

namespace {

// Four 32-bit numbers for one counter. Plain arithmetic on arrays of counters, which compilers turn into vectors.
template <int N>
inline __attribute__((always_inline)) void philox(RandomKey key, std::uint32_t first, std::uint32_t (&out)[4][N]) {
  std::uint32_t c0[N], c1[N], c2[N], c3[N];
  for (int i = 0; i < N; ++i) {
    c0[i] = first + static_cast<std::uint32_t>(i);
    c1[i] = key.stream;
    c2[i] = static_cast<std::uint32_t>(key.position);
    c3[i] = static_cast<std::uint32_t>(key.position >> 32);
  }
  auto k0 = static_cast<std::uint32_t>(key.seed), k1 = static_cast<std::uint32_t>(key.seed >> 32);
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < N; ++i) {
      const std::uint64_t a = std::uint64_t{0xD2511F53} * c0[i], b = std::uint64_t{0xCD9E8D57} * c2[i];
      const std::uint32_t n0 = static_cast<std::uint32_t>(b >> 32) ^ c1[i] ^ k0;
      const std::uint32_t n2 = static_cast<std::uint32_t>(a >> 32) ^ c3[i] ^ k1;
      c1[i] = static_cast<std::uint32_t>(b);
      c3[i] = static_cast<std::uint32_t>(a);
      c0[i] = n0;
      c2[i] = n2;
    }
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  for (int i = 0; i < N; ++i) {
    out[0][i] = c0[i];
    out[1][i] = c1[i];
    out[2][i] = c2[i];
    out[3][i] = c3[i];
  }
}

}  // namespace
}  // namespace fallline
