#include "network/optimizer.h"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "runtime/dispatch.h"

namespace fallline {
OptimizerSettings::OptimizerSettings(const Spec& optimizer) {
  const KernelTable<float>& table = kernels<float>();
  const auto* row = std::find_if(table.optimizers, table.optimizers + table.optimizer_count,
                                 [&](const auto& each) { return optimizer.text("name") == each.name; });
  if (row == table.optimizers + table.optimizer_count)
    throw std::invalid_argument("Optimizer: name is '" + optimizer.text("name") + "'; expected a known update rule");
  rule = static_cast<int>(row - table.optimizers);
  hyper = optimizer.numbers_of(row->hyper, "Optimizer");
  weight_decay = optimizer.number("weight_decay", 0);
  clip_value = optimizer.number("clip_value", 0);
  clip_norm = optimizer.number("clip_norm", 0);
}

}  // namespace fallline
