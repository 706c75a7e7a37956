#include "runtime/thread_tuner.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "runtime/threads.h"

namespace fallline {
namespace {

constexpr double infinite = std::numeric_limits<double>::infinity();

// Seconds of work: of a look at the other choice; of a measurement of the one at work; between two looks.
constexpr double look = 1e-3, measurement = 0.02, shortest_stay = 0.05, longest_stay = 1.0;
// Before long work by the team looks at one thread for the first time.
constexpr double first_stay = 0.25;
// What a look cost is made up for by as many times that without one.
constexpr double rarity = 50;

}  // namespace

ThreadTuner::Choice::Choice(Size size)
    : alone_(size == small), looking_(size == small), cost_{0, size == small ? 0 : infinite}, left_(first_stay) {}

bool ThreadTuner::Choice::alone() const {
  // Who asks for a number of threads gets them at first.
  return alone_.load(std::memory_order_relaxed) && !(fresh_.load(std::memory_order_relaxed) && threads_are_chosen());
}

void ThreadTuner::Choice::record(bool alone, double flops, double seconds) {
  if (recording_.test_and_set(std::memory_order_acquire)) return;
  if (fresh_) {
    alone_ = alone;
    fresh_ = false;
  }
  // Threads may have been started for the first team, which does not count.
  const bool counts = alone || std::exchange(team_was_used_, true);
  if (counts && alone == alone_) {
    flops_ += flops;
    spent_ += seconds;
    left_ -= seconds;
    if (flops_ > 0 && spent_ >= (looking_ ? look : measurement)) conclude();
  }
  recording_.clear(std::memory_order_release);
}

void ThreadTuner::Choice::conclude() {
  const bool alone = alone_;
  const double other = cost_[!alone];
  cost_[alone] = spent_ / flops_;
  const bool worse = cost_[alone] > other;
  if (looking_) {
    const double lost = spent_ - flops_ * other;
    stay_ = worse ? std::clamp(std::max(2 * stay_, rarity * lost), shortest_stay, longest_stay) : shortest_stay;
    left_ = stay_;
    looking_ = other == 0;
    alone_ = alone != worse;
  } else if (worse || left_ <= 0) {
    looking_ = true;
    alone_ = !alone;
  }
  flops_ = spent_ = 0;
}

ThreadTuner::Trial::Trial(Choice* choice, int team) : choice_(choice), threads_(choice && choice->alone() ? 1 : team) {
  if (choice_) begun_ = Clock::now();
}

double ThreadTuner::Trial::seconds() const { return !choice_ ? infinite : choice_->looking() ? look : measurement; }

void ThreadTuner::Trial::end(double flops) const {
  if (choice_) choice_->record(threads_ == 1, flops, std::chrono::duration<double>(Clock::now() - begun_).count());
}

ThreadTuner::Trial ThreadTuner::begin(const Load& load) {
  const double flops = load.between_barriers;
  const int team = threads_for(std::min(flops / worth_a_thread_, load.pieces));
  if (team == 1 || flops >= longest_work) return {nullptr, team};
  return {&choices_[flops < 1e6 ? 0 : flops < 1e7 ? 1 : flops < long_work ? 2 : 3], team};
}

}  // namespace fallline
