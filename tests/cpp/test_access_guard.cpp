// Readers and who changes a model, in turns; forks in the middle.
#include "runtime/access_guard.h"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <stdexcept>
#include <thread>
#include <vector>

#include "check.h"
#include "runtime/process.h"
#include "runtime/signals.h"

namespace fallline::testing {
namespace {

using Reading = AccessGuard::Reading;
using Changing = AccessGuard::Changing;

// Threads that read in a loop beside one that changes two numbers together; none sees them differ.
TEST(readers_see_whole_steps) {
  AccessGuard guard("model");
  int first = 0, second = 0;
  std::atomic<bool> over{false};
  std::atomic<int> torn{0}, reads{0};
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i)
    readers.emplace_back([&] {
      while (!over) {
        const Reading reading(guard, "read");
        const Reading nested(guard, "read");
        torn += first != second;
        ++reads;
      }
    });
  {
    Changing changing(guard, "change");
    const int steps = quick() ? 200 : 20000;
    for (int i = 0; i < steps || reads < 10; ++i) {
      ++first;
      ++second;
      changing.gap();
    }
  }
  over = true;
  for (auto& each : readers) each.join();
  CHECK_EQUAL(torn.load(), 0);
}

TEST(a_reader_waits_for_one_gap) {
  AccessGuard guard("model");
  std::atomic<int> steps{0}, seen{0};
  std::atomic<bool> waiting{false};
  Changing changing(guard, "change");
  std::thread reader([&] {
    waiting = true;
    const Reading reading(guard, "read");
    seen = steps.load();
  });
  while (!waiting || !guard.wanted()) std::this_thread::yield();
  for (int i = 0; i < 5; ++i) {
    ++steps;
    changing.gap();
  }
  CHECK_EQUAL(seen.load(), 1);
  reader.join();
}

TEST(calls_from_inside_and_a_second_change_are_refused) {
  AccessGuard guard("model");
  {
    const AccessGuard::Fit fit(guard, "fit");
    const Changing changing(guard, "change");
    CHECK_THROWS(std::runtime_error, Reading(guard, "read"));
    CHECK_THROWS(std::runtime_error, Changing(guard, "again"));
    {
      const BeforeChanges whole;
      const Reading reading(guard, "read");
    }
    std::thread([&] { CHECK_THROWS(std::runtime_error, Changing(guard, "beside", Changing::writing)); }).join();
  }
  {
    const Reading reading(guard, "read");
    CHECK_THROWS(std::runtime_error, Changing(guard, "from a reader"));
  }
  const Changing later(guard, "change");
}

TEST(the_next_step_of_a_fit_waits_for_who_writes) {
  AccessGuard guard("model");
  const AccessGuard::Fit fit(guard, "fit");
  std::atomic<bool> inside{false};
  std::atomic<int> order{0};
  std::thread writer([&] {
    const Changing writing(guard, "set_weights", Changing::writing);
    inside = true;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    order = 1;
  });
  while (!inside) std::this_thread::yield();
  const Changing step(guard, "step");
  CHECK_EQUAL(order.load(), 1);
  writer.join();
}

// In a child of this process.
template <class F>
int status_of_child(F f) {
  const pid_t child = fork();
  if (child == 0) _exit(f());
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

bool can_be_read(AccessGuard& guard) {
  try {
    const Reading reading(guard, "read");
    return true;
  } catch (const std::runtime_error&) {
    return false;
  }
}

TEST(a_fork_meets_a_change_at_its_gap) {
  AccessGuard guard("model");
  std::atomic<bool> over{false};
  int first = 0, second = 0;
  std::atomic<int> steps{0};
  std::thread trainer([&] {
    const AccessGuard::Fit fit(guard, "fit");
    Changing changing(guard, "change");
    while (!over) {
      ++first;
      std::this_thread::sleep_for(std::chrono::microseconds(100));
      ++second;
      ++steps;
      changing.gap();
    }
  });
  while (steps == 0) std::this_thread::yield();
  for (int i = 0; i < (quick() ? 3 : 50); ++i)
    CHECK_EQUAL(status_of_child([&] {
                  if (first != second || !can_be_read(guard)) return 1;
                  const AccessGuard::Fit fit(guard, "fit");
                  Changing changing(guard, "change");
                  changing.gap();
                  return 0;
                }),
                0);
  over = true;
  trainer.join();
}

TEST(a_model_that_a_fork_has_torn_is_refused_until_it_is_written_anew) {
  AccessGuard guard("model");
  std::atomic<bool> inside{false}, over{false};
  std::thread trainer([&] {
    const Changing changing(guard, "change");
    inside = true;
    while (!over) std::this_thread::yield();  // a step that takes longer than a fork waits
  });
  while (!inside) std::this_thread::yield();
  CHECK_EQUAL(status_of_child([&] {
                if (can_be_read(guard)) return 1;
                {
                  const Changing mending(guard, "set_weights", Changing::whole);
                }
                return can_be_read(guard) ? 0 : 2;
              }),
              0);
  over = true;
  trainer.join();
  CHECK(can_be_read(guard));
}

// Python may fork in a layer of the user's own, inside a step; the child goes on with it.
TEST(a_fork_from_inside_a_change_does_not_wait_for_itself) {
  AccessGuard guard("model");
  Changing changing(guard, "change");
  const auto begun = std::chrono::steady_clock::now();
  const OutsideChanges python;
  CHECK_EQUAL(status_of_child([&] { return can_be_read(guard) ? 1 : 0; }), 0);
  CHECK(std::chrono::steady_clock::now() - begun < std::chrono::milliseconds(900));
}

TEST(who_waits_handles_signals) {
  AccessGuard guard("model");
  std::atomic<bool> inside{false}, over{false};
  std::thread trainer([&] {
    const Changing changing(guard, "change");
    inside = true;
    while (!over) std::this_thread::yield();
  });
  while (!inside) std::this_thread::yield();
  handle_signals_by([] { return true; });
  begin_signals();
  CHECK_THROWS(Interrupted, Reading(guard, "read"));
  handle_signals_by(nullptr);
  over = true;
  trainer.join();
  CHECK(can_be_read(guard));
  const Changing changing(guard, "change");
}

}  // namespace
}  // namespace fallline::testing
