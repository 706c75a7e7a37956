#include "runtime/team.h"

#include <omp.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "runtime/arithmetic.h"
#include "runtime/process.h"
#include "runtime/threads.h"

namespace fallline {
namespace {

// ThreadSanitizer does not see how OpenMP starts and joins its threads; it does see std::thread.
#if defined(__SANITIZE_THREAD__)
#define FALLLINE_THREAD_SANITIZER true
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define FALLLINE_THREAD_SANITIZER true
#endif
#endif
#ifndef FALLLINE_THREAD_SANITIZER
#define FALLLINE_THREAD_SANITIZER false
#endif

thread_local bool within_team = false;  // of more than one thread
thread_local int openmp_threads = 1;    // of the calling thread's latest team, which OpenMP keeps for the next

std::atomic<int> teams{0};
std::atomic<int> team_threads{0};  // of all teams together

// The parent's teams run on threads that the child does not have.
[[maybe_unused]] const int reset = reset_in_child([] {
  teams = 0;
  team_threads = 0;
});

// Counts a team while it runs; one that forked half-way was already taken off the child's count.
class ActiveTeam {
 public:
  explicit ActiveTeam(int threads) : threads_(threads) {
    ++teams;
    team_threads += threads;
  }
  ~ActiveTeam() {
    if (forks() != forks_) return;
    --teams;
    team_threads -= threads_;
  }
  ActiveTeam(const ActiveTeam&) = delete;
  ActiveTeam& operator=(const ActiveTeam&) = delete;

 private:
  int threads_;
  int forks_ = forks();
};

std::ptrdiff_t counted_threads() {
  std::error_code none;
  return std::distance(std::filesystem::directory_iterator("/proc/self/task", none), {});
}

void pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

Team::Team(int capacity) : size_(capacity) {
  if (capacity == 1) return;
  slots_ = std::make_unique<Slot[]>(static_cast<std::size_t>(capacity));
  cpus_ = available_cpus();
}

void Team::wait(const Signal& signal, std::uint32_t generation) const {
  // A CPU for every thread: spin for some tens of microseconds. Fewer: the awaited thread may need this one's CPU.
  const int spins = team_threads.load(std::memory_order_relaxed) <= cpus_ ? 1000 : 10;
  for (int spin = 0; !reached(signal, generation) && !broken(); ++spin) {
    if (spin < spins) {
      pause();
    } else {
      std::this_thread::yield();
    }
  }
}

// One call of run_team with more than one thread: starts the threads, keeps the first exception.
class TeamRun {
 public:
  TeamRun(int threads, TeamBody body) : threads_(threads), body_(body), team_(threads) {}

  void run() {
    // Threads that are made now outlive the region, and take after who made them.
    const CallersArithmetic outside;
    if (forked_child() || FALLLINE_THREAD_SANITIZER || !openmp_gets_threads()) {
      run_std_threads();
    } else {
      run_openmp();
    }
    if (error_) std::rethrow_exception(error_);
  }

  static void run_alone(TeamBody body) {
    Team team(1);
    body(team, 0);
  }

 private:
  // libgomp ends the process where the system grants no thread, so a team larger than the one before is tried out
  // first.
  bool openmp_gets_threads() const {
    const int more = threads_ - openmp_threads;
    if (more <= 0) return true;
    const auto before = counted_threads();
    bool granted = true;
    {
      std::atomic<bool> over{false};
      std::vector<std::jthread> tried;
      try {
        while (std::ssize(tried) < more) tried.emplace_back([&] { over.wait(false); });
      } catch (const std::exception&) {
        granted = false;
      }
      over = true;
      over.notify_all();
    }
    // The system counts a thread a little longer than it runs.
    for (int i = 0; i < 1000 && counted_threads() > before; ++i) std::this_thread::yield();
    return granted;
  }

  void run_openmp() {
    openmp_threads = threads_;
#pragma omp parallel num_threads(threads_)
    {
      // Every thread stores the same number, which spares an OpenMP barrier.
      team_.size_.store(omp_get_num_threads(), std::memory_order_relaxed);
      run_body(omp_get_thread_num());
    }
  }

  // OpenMP's threads do not survive a fork, and waiting for them would never end. Threads hold back until it is known
  // how many the system granted.
  void run_std_threads() {
    team_.size_.store(0, std::memory_order_relaxed);
    std::vector<std::thread> workers;
    workers.reserve(static_cast<std::size_t>(threads_ - 1));
    try {
      for (int thread = 1; thread < threads_; ++thread) {
        workers.emplace_back([this, thread] {
          team_.size_.wait(0, std::memory_order_acquire);
          run_body(thread);
        });
      }
    } catch (...) {
      // Fewer threads do the same work.
    }
    team_.size_.store(static_cast<int>(workers.size()) + 1, std::memory_order_release);
    team_.size_.notify_all();
    run_body(0);
    for (std::thread& worker : workers) worker.join();
  }

  void run_body(int thread) noexcept {
    const bool before = std::exchange(within_team, team_.size() > 1);
    std::optional<SubnormalsAreZero> inside;
    if (subnormals_are_zero_) inside.emplace();
    try {
      body_(team_, thread);
    } catch (...) {
      if (!team_.broken_.exchange(true, std::memory_order_relaxed)) error_ = std::current_exception();
    }
    within_team = before;
  }

  int threads_;
  TeamBody body_;
  bool subnormals_are_zero_ = subnormals_are_zero();
  Team team_;
  std::exception_ptr error_;
};

void run_team(int threads, TeamBody body) {
  if (threads < 1 || threads > Team::max_size) {
    throw std::invalid_argument("run_team: threads is " + std::to_string(threads) + "; expected 1 to " +
                                std::to_string(Team::max_size));
  }
  if (within_team) threads = 1;
  const ActiveTeam active(threads);
  if (threads == 1) {
    TeamRun::run_alone(body);
  } else {
    TeamRun(threads, body).run();
  }
}

int active_teams() { return teams.load(std::memory_order_relaxed); }

bool forked_child() { return forks() > 0; }

int threads_for(double useful) {
  if (useful < 2 || within_team) return 1;
  const int limit = std::max(1, get_num_threads() / (1 + active_teams()));
  return useful < limit ? static_cast<int>(useful) : limit;
}

}  // namespace fallline
