// An optimizer as data: which update rule, with which numbers.
#pragma once

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "kernels/table.h"
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
                      double scale) const {
    return {w, g, {}, n, scalars, scale, clip(), 1 - learning_rate * weight_decay, l2};
  }

  // Clipping by norm (Pascanu, Mikolov, Bengio 2013), of each layer's clamped gradient and then of all of them. From
  // the sum of squares of each layer: all of a layer's gradient is multiplied by layer_factor(square) * norm_factor(sum
  // of shortened(square) over all layers).
  bool needs_norms() const { return clip_norm > 0 || clip_layer_norm > 0; }
  double layer_factor(double square) const { return factor(clip_layer_norm, square); }
  double norm_factor(double square) const { return factor(clip_norm, square); }
  double shortened(double square) const {
    const double most = clip_layer_norm * clip_layer_norm;
    return most > 0 && square > most ? most : square;
  }

  // What the weights weigh in their average after update number t, so that its start at 0 leaves no trace.
  double average_share(double t) const { return (1 - average) / (1 - std::pow(average, t)); }

 private:
  static double factor(double limit, double square) {
    const double norm = std::sqrt(square);
    return limit > 0 && norm > limit ? limit / norm : 1;
  }
};

}  // namespace fallline
