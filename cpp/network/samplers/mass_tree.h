// Masses >= 0 with their sums in a binary tree: one can be changed, and one found by where a number falls among them,
// in the logarithm of their number. Every sum is that of two others, whatever was changed before: no error gathers.
#pragma once

#include <bit>
#include <cstddef>
#include <vector>

namespace fallline {

class MassTree {
 public:
  explicit MassTree(std::size_t leaves) : leaves_(std::bit_ceil(leaves)), sums_(2 * leaves_) {}

  double total() const { return sums_[1]; }
  double operator[](std::size_t leaf) const { return sums_[leaves_ + leaf]; }

  void set(std::size_t leaf, double mass) {
    std::size_t node = leaves_ + leaf;
    sums_[node] = mass;
    while (node /= 2) sums_[node] = sums_[2 * node] + sums_[2 * node + 1];
  }
  // Of all leaves at once: f(leaf) for the first `count`, 0 for the rest.
  template <class F>
  void set_all(std::size_t count, F f) {
    for (std::size_t i = 0; i < count; ++i) sums_[leaves_ + i] = f(i);
    for (std::size_t node = leaves_; --node;) sums_[node] = sums_[2 * node] + sums_[2 * node + 1];
  }

  // The leaf in which `x` falls if each weighs weight(its mass, first leaf, end), a sum over the leaves; x becomes what
  // is left of it there. Never a leaf without weight, if there is one with.
  template <class F>
  std::size_t find(double& x, F weight) const {
    std::size_t node = 1, first = 0;
    for (std::size_t half = leaves_ / 2; half > 0; half /= 2) {
      node *= 2;
      const double left = weight(sums_[node], first, first + half);
      if (x < left || !(weight(sums_[node + 1], first + half, first + 2 * half) > 0)) continue;
      x -= left;
      ++node;
      first += half;
    }
    return first;
  }

 private:
  std::size_t leaves_;
  std::vector<double> sums_;  // node i sums nodes 2i and 2i + 1; the leaves are the last
};

}  // namespace fallline
