// The CPU quota of a container or a systemd unit: cgroup v1 and v2.
#pragma once

#include <filesystem>
#include <optional>

namespace fallline {

// CPUs' worth of time that this process may use: the smallest quota / period from its own cgroup up to the root of each
// hierarchy. Empty without a quota. `proc` holds the files cgroup and mountinfo; mount points below /sys/fs/cgroup are
// looked up below `cgroup_root` instead.
std::optional<double> cgroup_cpus(const std::filesystem::path& proc = "/proc/self",
                                  const std::filesystem::path& cgroup_root = "/sys/fs/cgroup");

}  // namespace fallline
