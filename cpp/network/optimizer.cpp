#include "network/optimizer.h"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "runtime/dispatch.h"

namespace fallline {

OptimizerSettings::OptimizerSettings(const Spec& optimizer) {
  if (!optimizer.has("name")) return;
  const KernelTable<float>& table = kernels<float>();
  const auto* row = std::find_if(table.optimizers, table.optimizers + table.optimizer_count,
                                 [&](const auto& each) { return optimizer.text("name") == each.name; });
  if (row == table.optimizers + table.optimizer_count)
    throw std::invalid_argument("Optimizer: name is '" + optimizer.text("name") + "'; expected a known update rule");
  rule = static_cast<int>(row - table.optimizers);
  hyper = optimizer.numbers_of(row->hyper, "Optimizer");
  weight_decay = optimizer.number("weight_decay", 0);
  l2 = optimizer.number("l2", 0);
  clip_value = optimizer.number("clip_value", 0);
  clip_layer_norm = optimizer.number("clip_layer_norm", 0);
  clip_norm = optimizer.number("clip_norm", 0);
  average = optimizer.number("average", 0);
}

std::vector<std::string> OptimizerSettings::slot_names() const {
  std::vector<std::string> names;
  if (rule < 0) return names;
  for (const char* const* name = kernels<float>().optimizers[rule].slots; *name; ++name) names.emplace_back(*name);
  if (average > 0) names.emplace_back("average");
  return names;
}

}  // namespace fallline
