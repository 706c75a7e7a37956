// Teams and their barriers, forks, CPU limits.
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <optional>
#include <stdexcept>
#include <thread>

#include "check.h"
#include "runtime/cgroup.h"
#include "runtime/cpu.h"
#include "runtime/dispatch.h"
#include "runtime/team.h"
#include "runtime/threads.h"

namespace fallline::testing {
namespace {

namespace fs = std::filesystem;

// What every thread wrote before a barrier, plainly, all read after it. Returns the size of the team.
int cross_barriers(int threads, int rounds) {
  std::vector<int> written(static_cast<std::size_t>(threads), 0);
  std::atomic<int> wrong{0}, size{0};
  run_team(threads, [&](Team& team, int thread) {
    size = team.size();
    for (int round = 1; round <= rounds; ++round) {
      written[static_cast<std::size_t>(thread)] = round;
      team.barrier(thread);
      for (int other = 0; other < team.size(); ++other) wrong += written[static_cast<std::size_t>(other)] != round;
      team.barrier(thread);
    }
  });
  CHECK_EQUAL(wrong.load(), 0);
  return size;
}

TEST(barriers_wait_for_everyone) {
  for (const int threads : {1, 2, 3, 4, 7, 8, 13}) {
    const Where where("threads ", threads);
    CHECK_EQUAL(cross_barriers(threads, quick() ? 50 : 500), threads);
  }
  CHECK_EQUAL(active_teams(), 0);
}

TEST(every_thread_runs_once) {
  for (const int threads : {1, 5}) {
    std::vector<std::atomic<int>> calls(static_cast<std::size_t>(threads));
    run_team(threads, [&](Team&, int thread) {
      ++calls[static_cast<std::size_t>(thread)];
      CHECK_EQUAL(active_teams(), 1);
    });
    for (const auto& each : calls) CHECK_EQUAL(each.load(), 1);
  }
}

TEST(teams_at_the_same_time) {
  std::thread a([] { cross_barriers(2, 200); }), b([] { cross_barriers(3, 200); });
  a.join();
  b.join();
  CHECK_EQUAL(active_teams(), 0);
}

TEST(within_a_team_nobody_starts_another) {
  set_num_threads(4);
  CHECK_EQUAL(threads_for(100), 4);
  std::atomic<int> together{0}, alone{0};
  run_team(2, [&](Team&, int) { together += threads_for(100); });
  run_team(1, [&](Team&, int) { alone += threads_for(100); });
  CHECK_EQUAL(together.load(), 2);
  CHECK_EQUAL(alone.load(), 2);  // its share beside the team of one
  CHECK_EQUAL(threads_for(100), 4);
  reset_num_threads();
}

TEST(a_team_within_a_team_is_of_one) {
  std::atomic<int> calls{0}, inner{0};
  run_team(3, [&](Team&, int) {
    run_team(3, [&](Team& team, int) {
      ++calls;
      inner += team.size();
    });
  });
  CHECK_EQUAL(calls.load(), 3);
  CHECK_EQUAL(inner.load(), 3);
}

TEST(an_exception_of_any_thread_reaches_the_caller) {
  for (const int threads : {1, 2, 3, 7})
    for (int thrower = 0; thrower < threads; ++thrower) {
      const Where where("threads ", threads, " thrower ", thrower);
      std::atomic<int> returned{0};
      std::string caught;
      try {
        run_team(threads, [&](Team& team, int thread) {
          for (int round = 0; round < 20 && !team.broken(); ++round) {
            if (thread == thrower && round == 10) throw std::runtime_error("boom");
            team.barrier(thread);
          }
          ++returned;
        });
      } catch (const std::runtime_error& error) {
        caught = error.what();
      }
      CHECK_EQUAL(caught, "boom");
      CHECK_EQUAL(returned.load(), threads - 1);
      CHECK_EQUAL(active_teams(), 0);
    }
  CHECK_THROWS(std::invalid_argument, run_team(0, [](Team&, int) {}));
  CHECK_THROWS(std::invalid_argument, run_team(Team::max_size + 1, [](Team&, int) {}));
}

#if !defined(__SANITIZE_THREAD__)  // it does not follow a process with threads into its child
// Exit status of a child that runs body.
template <class Body>
int status_of_child(Body body) {
  std::fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    alarm(60);
    _exit(body() ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  return status;
}

TEST(teams_run_in_a_forked_child) {
  cross_barriers(3, 10);
  CHECK(!forked_child());
  const auto run = [] { return forked_child() && active_teams() == 0 && cross_barriers(3, 50) == 3; };
  CHECK_EQUAL(status_of_child(run), 0);
  CHECK_EQUAL(status_of_child([&] { return run() && status_of_child(run) == 0; }), 0);

  std::atomic<bool> stop{false};
  std::thread other([&] {  // a team under way while the process forks
    while (!stop) cross_barriers(2, 50);
  });
  CHECK_EQUAL(status_of_child(run), 0);
  stop = true;
  other.join();

  run_team(1, [&](Team&, int) { CHECK_EQUAL(status_of_child([] { return active_teams() == 0; }), 0); });
  CHECK(!forked_child());
}
#endif

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (fs::temp_directory_path() / "fallline-XXXXXX").string();
    if (!mkdtemp(name.data())) throw std::runtime_error("no temporary folder");
    path_ = name;
  }
  ~TemporaryFolder() { fs::remove_all(path_); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  void write(const fs::path& file, const std::string& content) const {
    fs::create_directories((path_ / file).parent_path());
    std::ofstream(path_ / file) << content;
  }
  std::optional<double> cpus() const { return cgroup_cpus(path_ / "proc", path_ / "sys"); }

 private:
  fs::path path_;
};

constexpr std::optional<double> unlimited;

void check_cpus(const TemporaryFolder& system, std::optional<double> expected) {
  CHECK_NEAR(system.cpus().value_or(-1), expected.value_or(-1), 1e-9);
}

TEST(cgroup_v2_quotas) {
  const TemporaryFolder system;
  system.write("proc/mountinfo",
               "31 23 0:28 / /sys/fs/cgroup rw,relatime shared:1 master:3 - cgroup2 cgroup2 rw,nsdelegate\n");
  system.write("proc/cgroup", "0::/user.slice/job\n");
  check_cpus(system, unlimited);
  system.write("sys/user.slice/cpu.max", "150000 100000\n");
  system.write("sys/user.slice/job/cpu.max", "400000 100000\n");
  check_cpus(system, 1.5);
  system.write("sys/user.slice/cpu.max", "max 100000\n");
  check_cpus(system, 4);
  system.write("sys/user.slice/job/cpu.max", "max 100000\n");
  check_cpus(system, unlimited);
  system.write("proc/cgroup", "0::/\n");  // as seen in a container
  system.write("sys/cpu.max", "50000 100000\n");
  check_cpus(system, 0.5);
}

TEST(cgroup_v1_quotas) {
  const TemporaryFolder system;
  const auto quota = [&](const std::string& group, const char* microseconds) {
    system.write("sys/cpu,cpuacct" + group + "/cpu.cfs_quota_us", microseconds);
    system.write("sys/cpu,cpuacct" + group + "/cpu.cfs_period_us", "100000\n");
  };
  // The paths are the host's; the mount shows the container's part of them.
  system.write("proc/mountinfo",
               "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
               "32 31 0:29 /docker/abc /sys/fs/cgroup/cpu,cpuacct ro,relatime - cgroup cgroup rw,cpu,cpuacct\n"
               "33 31 0:30 /docker/abc /sys/fs/cgroup/cpuset ro,relatime - cgroup cgroup rw,cpuset\n");
  system.write("proc/cgroup", "9:cpuset:/docker/abc\n8:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n0::/\n");
  quota("", "250000\n");
  check_cpus(system, 2.5);
  system.write("proc/cgroup", "8:cpu,cpuacct:/docker/abc/sub\n");
  quota("/sub", "100000\n");
  check_cpus(system, 1);
  system.write("proc/cgroup", "8:cpu,cpuacct:/elsewhere\n");
  check_cpus(system, 2.5);
  quota("", "-1\n");
  check_cpus(system, unlimited);
}

TEST(no_cgroups_no_quota) { CHECK(!cgroup_cpus("/nonexistent", "/nonexistent")); }

// An environment variable for a scope; nullptr takes it away.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) {
    if (const char* before = std::getenv(name)) before_ = before;
    set(value);
  }
  ~Variable() { set(before_ ? before_->c_str() : nullptr); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  void set(const char* value) const { value ? setenv(name_, value, 1) : unsetenv(name_); }
  const char* name_;
  std::optional<std::string> before_;
};

TEST(limits_of_threads) {
  const Variable openmp("OMP_NUM_THREADS", nullptr);
  {
    const Variable own("FALLLINE_NUM_THREADS", nullptr);
    CHECK(get_num_threads() >= 1 && get_num_threads() <= available_cpus());
    const Variable one("OMP_NUM_THREADS", "1,4");
    CHECK_EQUAL(get_num_threads(), 1);
  }
  for (const auto& [value, threads] : {std::pair{"5", 5}, {" 12 ", 12}, {"1", 1}}) {
    const Variable own("FALLLINE_NUM_THREADS", value);
    CHECK_EQUAL(thread_limit().threads, threads);
    CHECK_EQUAL(thread_limit().reason, "FALLLINE_NUM_THREADS");
  }
  for (const char* value : {"many", "2.5", "3x", "0", "-3", "99999999999999", "5000"}) {
    const Variable own("FALLLINE_NUM_THREADS", value);
    CHECK_THROWS(std::invalid_argument, get_num_threads());
  }
  set_num_threads(3);
  CHECK_EQUAL(get_num_threads(), 3);
  CHECK_THROWS(std::invalid_argument, set_num_threads(0));
  CHECK_THROWS(std::invalid_argument, set_num_threads(Team::max_size + 1));
  CHECK_EQUAL(get_num_threads(), 3);
  reset_num_threads();
}

TEST(targets_from_the_narrowest_to_the_widest) {
  const std::vector<std::string> built = built_targets(), usable = usable_targets();
  CHECK(!usable.empty() && usable.front() == "baseline" && usable.size() <= built.size());
  CHECK(std::find(usable.begin(), usable.end(), chosen_target().target->name) != usable.end());
  CHECK(!cpu_has("nonsense"));
  CHECK(l2_bytes() >= 64 * 1024);
}

}  // namespace
}  // namespace fallline::testing
