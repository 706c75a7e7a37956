// Update rules on plain arrays, without a network.
#pragma once

#include <vector>

#include "network/optimizer.h"

namespace fallline {

template <class T>
struct UpdateArrays {
  T* w;
  const T* g;
  std::vector<T*> slots;  // as OptimizerSettings::slot_names
  std::ptrdiff_t n;
};

// The update number t = 1, 2, ... of all arrays together; clip_norm is that of all gradients, clip_layer_norm that of
// each.
template <class T>
void update_arrays(const OptimizerSettings& settings, const std::vector<UpdateArrays<T>>& arrays, double learning_rate,
                   std::int64_t t);

}  // namespace fallline
