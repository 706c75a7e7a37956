// Which OpenMP runtimes this process has loaded: two of them compete for the cores.
#pragma once

#include <string>
#include <vector>

namespace fallline {

// Paths of the loaded libgomp, libomp and libiomp5 libraries, in load order.
std::vector<std::string> openmp_runtimes();

}  // namespace fallline
