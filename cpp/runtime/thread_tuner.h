// One thread or a team? Cost constants propose a team; what they propose is measured, on the machine as it is now. When
// something else wants the cores, a team waits at its barriers for threads that are not running, and one thread alone
// is many times faster. The bits are the same either way.
#pragma once

#include <atomic>
#include <chrono>

#include "runtime/team.h"

namespace fallline {

// FLOPs below which one more thread costs more than it saves:
inline constexpr double worth_barriers = 1e5;  // in a step, between two barriers
inline constexpr double worth_a_pass = 2e5;    // over long vectors
inline constexpr double worth_a_product = 4e5;
inline constexpr double worth_a_fit = 1e6;     // of very small networks, about a tenth of a millisecond
inline constexpr double worth_a_reader = 1e7;  // of larger ones, likewise

// FLOPs that take one thread a millisecond or more: smaller work begins with one thread. And ten milliseconds: the team
// is not questioned.
inline constexpr double long_work = 1e8, longest_work = 1e9;

// Work that a team can share.
struct Load {
  double flops;
  double pieces;  // at most so many threads
  double between_barriers = flops;
};

// What has been learnt about one kind of work, of every size. Any number of threads may use it at once.
class ThreadTuner {
  class Choice;

 public:
  explicit ThreadTuner(double worth_a_thread) : worth_a_thread_(worth_a_thread) {}

  // Some work under way.
  class Trial {
   public:
    int threads() const { return threads_; }
    // For how long it should go on, if it can be cut.
    double seconds() const;
    // When it is done, with how much of it.
    void end(double flops) const;

   private:
    friend class ThreadTuner;
    using Clock = std::chrono::steady_clock;
    Trial(Choice* choice, int team);

    Choice* choice_;  // nullptr: there is none
    int threads_;
    Clock::time_point begun_;
  };

  // On as many threads as are worth it; within a team that is one.
  Trial begin(const Load& load);

  // The same for one call of run_team().
  void run(const Load& load, TeamBody body) {
    const Trial trial = begin(load);
    run_team(trial.threads(), body);
    trial.end(load.flops);
  }

 private:
  // Between the two, for work of about one size: stays with what was faster, and looks at the other now and then.
  class Choice {
   public:
    enum Size { small, large };
    Choice(Size size);  // NOLINT(google-explicit-constructor)

    bool alone() const;
    bool looking() const { return looking_.load(std::memory_order_relaxed); }
    void record(bool alone, double flops, double seconds);

   private:
    void conclude();

    std::atomic_flag recording_;  // by one thread; what others measure meanwhile is not needed
    std::atomic<bool> fresh_{true}, alone_, looking_;
    bool team_was_used_ = false;
    double cost_[2];                // seconds per FLOP: of the team, of one thread; 0: to be tried, infinite: later
    double flops_ = 0, spent_ = 0;  // of the measurement under way
    double stay_ = 0, left_;        // seconds from one look to the next, and until it
  };

  double worth_a_thread_;
  Choice choices_[4] = {Choice::small, Choice::small, Choice::small, Choice::large};  // from 0, 1e6, 1e7, long_work
};

}  // namespace fallline
