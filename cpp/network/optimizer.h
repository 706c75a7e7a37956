// An optimizer as data: which update rule, with which numbers.
#pragma once

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "network/clipping.h"
#include "network/spec.h"

namespace fallline {

// What updating one weight costs, in FLOPs of matrix product.
inline constexpr double flops_of_update = 60;

struct OptimizerSettings {
  int rule = -1;  // its place in the kernel tables
  std::vector<double> hyper;
  double weight_decay = 0, l2 = 0, clip_value = 0, clip_layer_norm = 0, clip_norm = 0;  // 0: none
  double average = 0;  // share of the average of the weights that is kept a step; 0: there is none

  OptimizerSettings() = default;
  // From what Python sends, which may name no rule; throws std::invalid_argument for an unknown one or a missing
  // hyper-parameter.
  explicit OptimizerSettings(const Spec& optimizer);

  // Names of the state arrays of each parameter: the rule's own, then "average" if there is one.
  std::vector<std::string> slot_names() const;

  // Bound on each entry of the gradient.
  double clip() const { return clip_value > 0 ? clip_value : std::numeric_limits<double>::infinity(); }

  // All but the slots of one update; scale multiplies the gradient.
  template <class T>
  Update<T> update_of(T* w, const T* g, std::ptrdiff_t n, const double* scalars, double learning_rate,
                      Scaled scale) const {
    constexpr T smallest = std::numeric_limits<T>::min();
    const double shrink = 1 - learning_rate * weight_decay;
    const double whole = scale.exponent == 0 ? scale.value : std::ldexp(scale.value, scale.exponent);
    if (whole >= smallest) return {w, g, {}, n, scalars, whole, clip(), shrink, l2};
    const double rest = std::ldexp(scale.value, scale.exponent + 1 - std::numeric_limits<T>::min_exponent);
    return {w, g, {}, n, scalars, rest, clip(), shrink, l2, smallest};
  }

  // Of each layer's clamped gradient and then of all of them. From the sum of squares of each layer: all of a layer's
  // gradient is multiplied by layer_factor(square) * norm_factor(sum of shortened(square) over all layers).
  bool needs_norms() const { return clip_norm > 0 || clip_layer_norm > 0; }
  Scaled layer_factor(Scaled square) const { return clip_factor(square, clip_layer_norm); }
  Scaled norm_factor(Scaled square) const { return clip_factor(square, clip_norm); }
  Scaled shortened(Scaled square) const { return clipped_square(square, clip_layer_norm); }

  // What the weights weigh in their average after update number t, so that its start at 0 leaves no trace.
  double average_share(double t) const { return (1 - average) / (1 - std::pow(average, t)); }
};

}  // namespace fallline
