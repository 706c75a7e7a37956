#include "runtime/team.h"

#include <pthread.h>

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "runtime/arithmetic.h"
#include "runtime/threads.h"
#include "runtime/workers.h"

namespace fallline {
namespace {

thread_local bool within_team = false;  // of more than one thread

std::atomic<int> forks{0};  // between the first process that loaded us and this one
std::atomic<int> teams{0};
std::atomic<int> team_threads{0};  // of all teams together

// The parent's teams run on threads that the child does not have.
[[maybe_unused]] const int fork_handler = pthread_atfork(nullptr, nullptr, [] {
  ++forks;
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
    if (forks != forks_) return;
    --teams;
    team_threads -= threads_;
  }
  ActiveTeam(const ActiveTeam&) = delete;
  ActiveTeam& operator=(const ActiveTeam&) = delete;

 private:
  int threads_;
  int forks_ = forks;
};

}  // namespace

Team::Team(int capacity) : size_(capacity) {
  if (capacity == 1) return;
  slots_ = std::make_unique<Slot[]>(static_cast<std::size_t>(capacity));
  cpus_ = available_cpus();
}

void Team::wait(const Signal& signal, std::uint32_t generation) const {
  // A CPU for every thread: keep it for some tens of microseconds. Fewer: the awaited thread may need this one's CPU.
  const int moments = team_threads.load(std::memory_order_relaxed) <= cpus_ ? 1000 : 10;
  for (std::int64_t moment = 0; !reached(signal, generation) && !broken(); ++moment) stay_awake(moment, moments);
}

// One call of run_team with more than one thread: calls the workers, keeps the first exception.
class TeamRun final : public Work {
 public:
  TeamRun(std::span<const std::unique_ptr<Worker>> workers, TeamBody body)
      : workers_(workers), body_(body), team_(1 + static_cast<int>(workers.size())) {}

  void run(Begin begin) {
    for (std::size_t i = 0; i < workers_.size(); ++i) workers_[i]->call(*this, static_cast<int>(i) + 1);
    run_body(0);
    for (const auto& worker : workers_) {
      if (begin == Begin::separately) worker->take_back();
      worker->wait();
    }
    if (error_) std::rethrow_exception(error_);
  }

  void take_part(int thread) noexcept override { run_body(thread); }

  static void run_alone(TeamBody body) {
    Team team(1);
    body(team, 0);
  }

 private:
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

  std::span<const std::unique_ptr<Worker>> workers_;
  TeamBody body_;
  bool subnormals_are_zero_ = subnormals_are_zero();
  Team team_;
  std::exception_ptr error_;
};

void run_team(int threads, TeamBody body, Begin begin) {
  if (threads < 1 || threads > Team::max_size) {
    throw std::invalid_argument("run_team: threads is " + std::to_string(threads) + "; expected 1 to " +
                                std::to_string(Team::max_size));
  }
  // Within a team the workers, if there are any, are at work.
  const auto workers = own_workers(within_team ? 0 : threads - 1);
  const ActiveTeam active(1 + static_cast<int>(workers.size()));
  if (workers.empty()) {
    TeamRun::run_alone(body);
  } else {
    TeamRun(workers, body).run(begin);
  }
}

int active_teams() { return teams.load(std::memory_order_relaxed); }

bool forked_child() { return forks.load(std::memory_order_relaxed) > 0; }

int threads_for(double useful) {
  if (useful < 2 || within_team) return 1;
  const int limit = std::max(1, get_num_threads() / (1 + active_teams()));
  return useful < limit ? static_cast<int>(useful) : limit;
}

}  // namespace fallline
