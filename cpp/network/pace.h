// One thread or the whole team? The cost model proposes a team; this measures whether it pays on the machine as it is
// now. When something else wants the cores, a team waits at its barriers for threads that are not running, and one
// thread alone is many times faster. The bits are the same either way.
#pragma once

#include <algorithm>
#include <cstdint>

namespace fallline {

class Pace {
 public:
  Pace(int team, bool steps_are_long) : team_(team), settled_(team == 1 || steps_are_long) {}

  // Threads for the next stretch of batches, and how long it should last.
  int threads() const { return alone_ ? 1 : team_; }
  double seconds() const { return settled_ ? 1e9 : window_ - spent_; }

  // What a stretch took; it may have ended early.
  void record(std::int64_t batches, double seconds) {
    if (settled_) return;
    batches_ += batches;
    spent_ += seconds;
    if (spent_ < window_ || batches_ == 0) return;
    cost_[alone_] = spent_ / static_cast<double>(batches_);
    batches_ = 0;
    spent_ = 0;
    if (!probing_) {  // time to look at the other choice
      alone_ = !alone_;
      window_ = probe;
      probing_ = true;
      return;
    }
    const bool better = cost_[alone_] < cost_[!alone_];
    if (!better) alone_ = !alone_;
    // A choice that is far behind is looked at again less and less often.
    const bool clear = cost_[!alone_] > 2 * cost_[alone_];
    stay_ = better || !clear ? shortest_stay : std::min(2 * stay_, longest_stay);
    window_ = stay_;
    probing_ = false;
  }

 private:
  static constexpr double probe = 1e-3, shortest_stay = 0.05, longest_stay = 1.0;

  int team_;
  bool settled_;  // nothing to choose
  bool alone_ = false, probing_ = false;
  double window_ = probe, stay_ = shortest_stay, spent_ = 0;
  std::int64_t batches_ = 0;
  double cost_[2] = {0, 0};  // seconds a batch: of the team, of one thread
};

}  // namespace fallline
