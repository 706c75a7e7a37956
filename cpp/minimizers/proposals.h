// The random numbers of annealing: those of proposal number i are a function of (seed, i) alone.
#pragma once

#include <algorithm>
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
        together_(std::clamp<std::ptrdiff_t>(1024 / normals, 1, 64)),
        steps_(static_cast<std::size_t>(together_ * normals)),
        uniforms_(static_cast<std::size_t>(2 * together_)) {}

  // Goes to a proposal: fills the numbers of all that are made together unless they are at hand.
  void seek(std::int64_t proposal) {
    const std::int64_t group = proposal / together_;
    place_ = proposal % together_;
    if (group == group_) return;
    group_ = group;
    const auto position = static_cast<std::uint64_t>(group);
    kernels<double>().normals({seed_, normal_stream, position}, steps_.data(), together_ * normals_);
    for (std::size_t i = 0; i < uniforms_.size(); i += 2) {
      std::uint32_t words[4][1];
      philox<1>({seed_, uniform_stream, position}, static_cast<std::uint32_t>(i / 2), words);
      uniforms_[i] = unit(words[0][0], words[1][0]);
      uniforms_[i + 1] = unit(words[2][0], words[3][0]);
    }
  }

  const double* normals() const { return steps_.data() + place_ * normals_; }
  // In [0, 1): what decides on acceptance.
  double luck() const { return uniforms_[static_cast<std::size_t>(2 * place_)]; }
  // One of 0 .. n - 1.
  std::size_t below(std::size_t n) const {
    return static_cast<std::size_t>(uniforms_[static_cast<std::size_t>(2 * place_ + 1)] * static_cast<double>(n));
  }

 private:
  // Far above those of shuffles and layers, which may share the seed.
  static constexpr std::uint32_t normal_stream = 0xA0000000u, uniform_stream = 0xA0000001u;

  // 53 bits as a number in [0, 1).
  static double unit(std::uint32_t high, std::uint32_t low) {
    return static_cast<double>((std::uint64_t{high} << 32 | low) >> 11) * 0x1p-53;
  }

  std::uint64_t seed_;
  std::ptrdiff_t normals_, together_, place_ = 0;
  std::int64_t group_ = -1;
  std::vector<double> steps_, uniforms_;
};

}  // namespace fallline
