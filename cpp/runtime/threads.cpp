#include "runtime/threads.h"

#include <omp.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <stdexcept>
#include <string_view>

#include "runtime/cgroup.h"
#include "runtime/team.h"

namespace fallline {
namespace {

std::atomic<int> chosen{0};  // by set_num_threads; 0: the default

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view blank = " \t\n\r";
  const auto first = text.find_first_not_of(blank);
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(blank) - first + 1);
}

std::optional<int> whole_number(std::string_view text) {
  text = trimmed(text);
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<int> from_own_variable() {
  const char* text = std::getenv("FALLLINE_NUM_THREADS");
  if (text == nullptr || trimmed(text).empty()) return std::nullopt;
  const auto threads = whole_number(text);
  if (!threads || *threads < 1 || *threads > Team::max_size) {
    throw std::invalid_argument("fallline: FALLLINE_NUM_THREADS is '" + std::string(text) +
                                "'; expected a whole number from 1 to " + std::to_string(Team::max_size));
  }
  return threads;
}

// "4" or "4,2", one number for each level of nesting. OpenMP itself complains about anything else.
std::optional<int> from_openmp_variable() {
  const char* text = std::getenv("OMP_NUM_THREADS");
  if (text == nullptr) return std::nullopt;
  const std::string_view list = text;
  const auto threads = whole_number(list.substr(0, list.find(',')));
  return threads && *threads >= 1 ? threads : std::nullopt;
}

// The files do not change while a process runs, or hardly ever.
std::optional<double> cgroup_quota() {
  static const std::optional<double> cpus = cgroup_cpus();
  return cpus;
}

std::string plural(int n, const char* noun) { return std::to_string(n) + " " + noun + (n == 1 ? "" : "s"); }

std::string two_decimals(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f", value);
  return text;
}

}  // namespace

int available_cpus() {
  // With OMP_PROC_BIND the OpenMP runtime ties the first thread to one CPU, and remembers what was there before.
  if (omp_get_proc_bind() != omp_proc_bind_false) return omp_get_num_procs();
  cpu_set_t cpus;
  if (sched_getaffinity(0, sizeof cpus, &cpus) == 0) return std::max(1, CPU_COUNT(&cpus));
  return omp_get_num_procs();  // more CPUs than a cpu_set_t has room for
}

ThreadLimit default_threads() {
  if (const auto threads = from_own_variable()) return {*threads, "FALLLINE_NUM_THREADS"};

  const int cpus = available_cpus();
  ThreadLimit limit{cpus, plural(cpus, "CPU") + " in the affinity mask"};
  if (const auto quota = cgroup_quota(); quota && *quota <= limit.threads - 1) {
    const int threads = std::max(1, static_cast<int>(std::ceil(*quota)));
    limit = {threads, "cgroup quota of " + two_decimals(*quota) + " CPUs"};
  }
  if (const auto threads = from_openmp_variable(); threads && *threads < limit.threads) {
    limit = {*threads, "OMP_NUM_THREADS"};
  }
  if (const int threads = omp_get_max_threads(); threads < limit.threads) {
    limit = {std::max(1, threads), "omp_set_num_threads, called for this thread"};
  }
  limit.threads = std::min(limit.threads, Team::max_size);
  return limit;
}

ThreadLimit thread_limit() {
  const int threads = chosen.load(std::memory_order_relaxed);
  return threads > 0 ? ThreadLimit{threads, "set_num_threads"} : default_threads();
}

bool threads_are_chosen() { return chosen.load(std::memory_order_relaxed) > 0 || from_own_variable().has_value(); }

int get_num_threads() { return thread_limit().threads; }

void set_num_threads(int n) {
  if (n < 1 || n > Team::max_size) {
    throw std::invalid_argument("set_num_threads: n is " + std::to_string(n) + "; expected 1 to " +
                                std::to_string(Team::max_size));
  }
  chosen.store(n, std::memory_order_relaxed);
}

void reset_num_threads() { chosen.store(0, std::memory_order_relaxed); }

}  // namespace fallline
