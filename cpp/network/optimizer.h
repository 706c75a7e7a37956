// An optimizer as data: which update rule, with which numbers.
#pragma once

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/table.h"
#include "network/spec.h"

namespace fallline {

struct OptimizerSettings {
  int rule = -1;  // its place in the kernel tables
  std::vector<double> hyper;
  double weight_decay = 0, clip_value = 0, clip_norm = 0;  // 0: none

  OptimizerSettings() = default;
  // From what Python sends; throws std::invalid_argument for an unknown rule or a missing hyper-parameter.
  explicit OptimizerSettings(const Spec& optimizer);

  // Bound on each entry of the gradient.
  double clip() const { return clip_value > 0 ? clip_value : std::numeric_limits<double>::infinity(); }

  // All but the slots of one update; scale multiplies the gradient.
  template <class T>
  Update<T> update_of(T* w, const T* g, std::ptrdiff_t n, const double* scalars, double learning_rate,
                      double scale) const {
    return {w, g, {}, n, scalars, scale, clip(), 1 - learning_rate * weight_decay};
  }

  // min(1, clip_norm / norm): by the global norm of the clamped gradient (Pascanu, Mikolov, Bengio 2013).
  double norm_factor(double sum_of_squares) const {
    const double norm = std::sqrt(sum_of_squares);
    return norm > clip_norm ? clip_norm / norm : 1;
  }
};

}  // namespace fallline
