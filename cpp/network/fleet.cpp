#include "network/fleet.h"

#include <algorithm>
#include <atomic>
#include <chrono>

#include "runtime/signals.h"
#include "runtime/thread_tuner.h"

namespace fallline {
namespace {

// Seconds after which each thread looks whether it should stop.
constexpr double round = 0.05;

}  // namespace

void run_jobs(const std::vector<std::unique_ptr<Job>>& jobs, double seconds) {
  using Clock = std::chrono::steady_clock;
  using Seconds = std::chrono::duration<double>;
  const auto begun = Clock::now();

  std::vector<Job*> open;
  for (const auto& job : jobs)
    if (job->left() > 0) open.push_back(job.get());
  // First what was left half-way, so that few hold memory; then the longest, so that threads end together.
  const auto work = [](const Job* job) { return job->cost() * static_cast<double>(job->left()); };
  std::stable_sort(open.begin(), open.end(), [&](const Job* a, const Job* b) {
    return a->begun() != b->begun() ? a->begun() : work(a) > work(b);
  });

  const auto flops_left = [&] {
    double flops = 0;
    for (const Job* job : open) flops += work(job);
    return flops;
  };
  static ThreadTuner fleet_threads(worth_a_fit);
  const double flops = flops_left();
  const auto trial = fleet_threads.begin({flops, static_cast<double>(open.size())});
  std::atomic<std::size_t> next{0};
  const auto body = [&](Team& team, int) {
    for (std::size_t i; (i = next++) < open.size();) {
      while (open[i]->left() > 0) {
        const double left = seconds - Seconds(Clock::now() - begun).count();
        if (left <= 0 || team.broken()) return;
        open[i]->advance(std::min(left, round));
        handle_signals();
      }
    }
  };
  run_team(trial.threads(), body);
  trial.end(flops - flops_left());
}

}  // namespace fallline
