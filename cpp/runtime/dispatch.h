// Which SIMD target this process uses: FALLLINE_TARGET if set, else the widest the CPU has.
#pragma once

#include <string>
#include <vector>

#include "kernels/table.h"

namespace fallline {

struct TargetChoice {
  const Target* target;
  std::string reason;  // in words, for show_config
};

// Chosen at the first call. Throws std::invalid_argument if FALLLINE_TARGET names one that is not built or that this
// CPU cannot run.
const TargetChoice& chosen_target();

std::vector<std::string> built_targets();
std::vector<std::string> usable_targets();

template <class T>
const KernelTable<T>& kernels();

}  // namespace fallline
