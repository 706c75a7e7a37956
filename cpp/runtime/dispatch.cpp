#include "runtime/dispatch.h"

#include <cstdlib>
#include <sstream>
#include <stdexcept>

#include "runtime/cpu.h"

namespace fallline {
namespace {

struct Row {
  const char* name;
  const char* features;
  const Target& (*table)();
};

// From the narrowest to the widest.
constexpr Row rows[] = {
#define FALLLINE_TARGET(name, flags, features, vector_bytes) {#name, features, table_##name},
#include "kernels/targets.def"
#undef FALLLINE_TARGET
};

bool usable(const Row& row) {
  std::istringstream features(row.features);
  for (std::string feature; features >> feature;)
    if (!cpu_has(feature)) return false;
  return true;
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

TargetChoice choose() {
  if (const char* wanted = std::getenv("FALLLINE_TARGET"); wanted && *wanted) {
    for (const Row& row : rows)
      if (wanted == std::string(row.name) && usable(row)) return {&row.table(), "FALLLINE_TARGET"};
    throw std::invalid_argument("fallline: FALLLINE_TARGET is '" + std::string(wanted) +
                                "'; expected one that this CPU can run: " + joined(usable_targets()));
  }
  const Row* widest = &rows[0];
  for (const Row& row : rows)
    if (usable(row)) widest = &row;
  return {&widest->table(), "the widest this CPU can run"};
}

}  // namespace

const TargetChoice& chosen_target() {
  static const TargetChoice choice = choose();
  return choice;
}

std::vector<std::string> built_targets() {
  std::vector<std::string> names;
  for (const Row& row : rows) names.emplace_back(row.name);
  return names;
}

std::vector<std::string> usable_targets() {
  std::vector<std::string> names;
  for (const Row& row : rows)
    if (usable(row)) names.emplace_back(row.name);
  return names;
}

template <>
const KernelTable<float>& kernels() {
  return chosen_target().target->float32;
}

template <>
const KernelTable<double>& kernels() {
  return chosen_target().target->float64;
}

}  // namespace fallline
