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

  // The leaf in which x falls if they lie one after the other, each as long as its mass; x becomes where in it. Never
  // one without mass, if there is any.
  std::size_t find(double& x) const {
    std::size_t node = 1;
    while (node < leaves_) {
      node *= 2;
      if (x < sums_[node] || !(sums_[node + 1] > 0)) continue;
      x -= sums_[node];
      ++node;
    }
    return node - leaves_;
  }

 private:
  std::size_t leaves_;
  std::vector<double> sums_;  // node i sums nodes 2i and 2i + 1; the leaves are the last
};

}  // namespace fallline
