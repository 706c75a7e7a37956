#include "runtime/cgroup.h"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace fallline {
namespace {

namespace fs = std::filesystem;
enum class Version { v1, v2 };
using enum Version;

// A mounted hierarchy that can limit CPU time; `root` is the cgroup that is seen at `mount_point`.
struct Hierarchy {
  Version version;
  fs::path root;
  fs::path mount_point;
};

bool has_item(const std::string& list, std::string_view item) {
  std::istringstream items(list);
  for (std::string each; std::getline(items, each, ',');) {
    if (each == item) return true;
  }
  return false;
}

bool is_below(const fs::path& path, const fs::path& folder) {
  const fs::path relative = path.lexically_relative(folder);
  return !relative.empty() && *relative.begin() != "..";
}

fs::path rebased(const fs::path& path, const fs::path& from, const fs::path& to) {
  return is_below(path, from) ? (to / path.lexically_relative(from)).lexically_normal() : path;
}

// A line of mountinfo: id parent device root mount_point options [tags...] - type source super_options
std::vector<Hierarchy> mounted_hierarchies(const fs::path& mountinfo, const fs::path& cgroup_root) {
  std::vector<Hierarchy> found;
  std::ifstream file(mountinfo);
  for (std::string line; std::getline(file, line);) {
    const auto separator = line.find(" - ");
    if (separator == line.npos) continue;
    std::istringstream before(line.substr(0, separator)), after(line.substr(separator + 3));
    std::string id, parent, device, root, mount_point, type, source, options;
    before >> id >> parent >> device >> root >> mount_point;
    after >> type >> source >> options;
    mount_point = rebased(mount_point, "/sys/fs/cgroup", cgroup_root);
    if (type == "cgroup2") found.push_back({v2, root, mount_point});
    if (type == "cgroup" && has_item(options, "cpu")) found.push_back({v1, root, mount_point});
  }
  return found;
}

// The process's cgroup in a hierarchy, from lines id:controllers:path, where v2 has no controllers.
std::optional<fs::path> own_cgroup(const fs::path& cgroup_file, Version version) {
  std::ifstream file(cgroup_file);
  for (std::string line; std::getline(file, line);) {
    const auto first = line.find(':');
    const auto second = line.find(':', first + 1);
    if (first == line.npos || second == line.npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    if (version == v2 ? controllers.empty() : has_item(controllers, "cpu")) return line.substr(second + 1);
  }
  return std::nullopt;
}

// quota / period of one cgroup; no quota is spelled "max" in v2 and -1 in v1.
std::optional<double> quota_of(const fs::path& folder, Version version) {
  double quota = 0, period = 0;
  if (version == v2) {
    std::ifstream(folder / "cpu.max") >> quota >> period;
  } else {
    std::ifstream(folder / "cpu.cfs_quota_us") >> quota;
    std::ifstream(folder / "cpu.cfs_period_us") >> period;
  }
  if (quota <= 0 || period <= 0) return std::nullopt;
  return quota / period;
}

}  // namespace

std::optional<double> cgroup_cpus(const fs::path& proc, const fs::path& cgroup_root) {
  std::optional<double> smallest;
  for (const auto& [version, root, mount_point] : mounted_hierarchies(proc / "mountinfo", cgroup_root)) {
    const auto cgroup = own_cgroup(proc / "cgroup", version);
    if (!cgroup) continue;
    // In a container the mount may show less than the path names: then its top is the nearest we can see.
    fs::path folder = is_below(*cgroup, root) ? rebased(*cgroup, root, mount_point) : mount_point;
    for (; is_below(folder, mount_point); folder = folder.parent_path()) {
      if (const auto cpus = quota_of(folder, version)) smallest = std::min(smallest.value_or(*cpus), *cpus);
      if (folder == folder.parent_path()) break;
    }
  }
  return smallest;
}

}  // namespace fallline
