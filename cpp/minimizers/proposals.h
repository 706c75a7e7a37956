// The random numbers of annealing: those of proposal number i are a function of (seed, i) alone.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "runtime/dispatch.h"

namespace fallline {

class Proposals {
 public:
  // `normals` of them a proposal.
  Proposals(std::uint64_t seed, std::ptrdiff_t normals)
      : seed_(seed),
        normals_(normals),
        together_(std::clamp<std::ptrdiff_t>(1024 / normals, 1, most_together)),
        steps_(static_cast<std::size_t>(together_ * normals)) {}

  // Goes to a proposal: fills the numbers of all that are made together unless they are at hand.
  void seek(std::int64_t proposal) {
    const std::int64_t group = proposal / together_;
    place_ = proposal % together_;
    if (group == group_) return;
    group_ = group;
    const auto position = static_cast<std::uint64_t>(group);
    kernels<double>().normals({seed_, normal_stream, position}, steps_.data(), together_ * normals_);
    for (std::size_t first = 0; first < luck_.size(); first += counters) {
      std::uint32_t words[4][counters];
      philox<counters>({seed_, uniform_stream, position}, static_cast<std::uint32_t>(first), words);
      for (std::size_t i = 0; i < counters; ++i) {
        luck_[first + i] = unit(words[0][i], words[1][i]);
        choice_[first + i] = unit(words[2][i], words[3][i]);
      }
    }
  }

  const double* normals() const { return steps_.data() + place_ * normals_; }
  // In [0, 1): what decides on acceptance.
  double luck() const { return luck_[static_cast<std::size_t>(place_)]; }
  // One of 0 .. n - 1.
  std::size_t below(std::size_t n) const {
    return static_cast<std::size_t>(choice_[static_cast<std::size_t>(place_)] * static_cast<double>(n));
  }

 private:
  // Far above those of shuffles and layers, which may share the seed.
  static constexpr std::uint32_t normal_stream = 0xA0000000u, uniform_stream = 0xA0000001u;

  static constexpr std::size_t counters = 16, most_together = 64;

  // 53 bits as a number in [0, 1).
  static double unit(std::uint32_t high, std::uint32_t low) {
    return static_cast<double>((std::uint64_t{high} << 32 | low) >> 11) * 0x1p-53;
  }

  std::uint64_t seed_;
  std::ptrdiff_t normals_, together_, place_ = 0;
  std::int64_t group_ = -1;
  std::vector<double> steps_;
  std::array<double, most_together> luck_, choice_;
};

}  // namespace fallline
