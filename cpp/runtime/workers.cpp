#include "runtime/workers.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <vector>

#include "runtime/threads.h"

namespace fallline {
namespace {

// Moments of waiting before the CPU is offered to others, and the time after which a thread sleeps.
constexpr std::int64_t offer_after = 100;
constexpr std::chrono::microseconds sleep_after{500};

thread_local std::vector<std::unique_ptr<Worker>> workers;

// A child has none of its parent's threads, so there is nothing to end either.
[[maybe_unused]] const int fork_handler = pthread_atfork(nullptr, nullptr, [] {
  for (auto& worker : workers) static_cast<void>(worker.release());
  workers.clear();
});

// Waits until state is no longer `old`, and returns what it is then: awake at first, since most waits are short and to
// wake up takes tens of microseconds, then asleep.
int await_change(const std::atomic<int>& state, int old) {
  using Clock = std::chrono::steady_clock;
  const auto until = Clock::now() + sleep_after;
  for (std::int64_t moment = 0;; ++moment) {
    if (const int now = state.load(std::memory_order_acquire); now != old) return now;
    if (moment >= offer_after && Clock::now() >= until)
      state.wait(old, std::memory_order_acquire);
    else
      stay_awake(moment, offer_after);
  }
}

}  // namespace

void stay_awake(std::int64_t moment, std::int64_t offer) {
  if (moment >= offer) return std::this_thread::yield();
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

Worker::Worker(int place) : thread_([this, place] { run(place); }) {}

Worker::~Worker() {
  enter(leaving);
  thread_.join();
}

void Worker::enter(State state) {
  state_.store(state, std::memory_order_release);
  state_.notify_one();
}

void Worker::run(int place) {
  bind_to_place(place);
  while (await_change(state_, idle) != leaving) {
    int expected = called;
    if (!state_.compare_exchange_strong(expected, working)) continue;
    work_->take_part(number_);
    enter(idle);
  }
}

void Worker::call(Work& work, int thread) {
  work_ = &work;
  number_ = thread;
  enter(called);
}

void Worker::take_back() {
  int expected = called;
  state_.compare_exchange_strong(expected, idle);
}

void Worker::wait() const {
  for (int now = state_; now != idle;) now = await_change(state_, now);
}

std::span<const std::unique_ptr<Worker>> own_workers(int n) {
  const auto wanted = static_cast<std::size_t>(n);
  try {
    workers.reserve(wanted);
    while (workers.size() < wanted)
      workers.push_back(std::make_unique<Worker>(place_beyond(static_cast<int>(workers.size()) + 1)));
  } catch (...) {
    // Fewer threads do the same work.
  }
  return {workers.data(), std::min(workers.size(), wanted)};
}

}  // namespace fallline
