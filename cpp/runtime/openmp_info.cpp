#include "runtime/openmp_info.h"

#include <link.h>

#include <string_view>

namespace fallline {
namespace {

// libgomp.so.1, but also libgomp-a34b3233.so.1.0.0 as wheels carry it; not libompd.so, which serves debuggers.
bool is_openmp_runtime(std::string_view path) {
  const std::string_view file = path.substr(path.rfind('/') + 1);
  for (const std::string_view name : {"libgomp", "libomp", "libiomp5"}) {
    if (!file.starts_with(name)) continue;
    const std::string_view rest = file.substr(name.size());
    if (rest.starts_with('.') || rest.starts_with('-')) return true;
  }
  return false;
}

}  // namespace

std::vector<std::string> openmp_runtimes() {
  std::vector<std::string> paths;
  dl_iterate_phdr(
      [](dl_phdr_info* library, std::size_t, void* found) {
        const char* path = library->dlpi_name;
        if (path != nullptr && is_openmp_runtime(path))
          static_cast<std::vector<std::string>*>(found)->emplace_back(path);
        return 0;
      },
      &paths);
  return paths;
}

}  // namespace fallline
