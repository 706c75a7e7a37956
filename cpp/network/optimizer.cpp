#include "network/optimizer.h"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "runtime/dispatch.h"

namespace fallline {
namespace {

std::string names_of(const char* const* names) {
  std::string all;
  for (; *names; ++names) all += (all.empty() ? "" : ", ") + std::string(*names);
  return all;
}

}  // namespace

OptimizerSettings::OptimizerSettings(const Spec& optimizer) {
  const KernelTable<float>& table = kernels<float>();
  const auto* row = std::find_if(table.optimizers, table.optimizers + table.optimizer_count,
                                 [&](const auto& each) { return optimizer.text("name") == each.name; });
  if (row == table.optimizers + table.optimizer_count)
    throw std::invalid_argument("Optimizer: name is '" + optimizer.text("name") + "'; expected a known update rule");
  rule = static_cast<int>(row - table.optimizers);
  for (const char* const* name = row->hyper; *name; ++name) {
    if (!optimizer.has(*name))
      throw std::invalid_argument("Optimizer: '" + std::string(row->name) + "' lacks " + *name + "; expected " +
                                  names_of(row->hyper));
    hyper.push_back(optimizer.number(*name));
  }
  weight_decay = optimizer.number("weight_decay", 0);
  clip_value = optimizer.number("clip_value", 0);
  clip_norm = optimizer.number("clip_norm", 0);
}

}  // namespace fallline
