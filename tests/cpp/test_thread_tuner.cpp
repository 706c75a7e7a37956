// One thread or a team: what is begun with, what is learnt, and that it is kept with the network.
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <stdexcept>
#include <thread>

#include "check.h"
#include "engine_cases.h"
#include "runtime/thread_tuner.h"

namespace fallline::testing {
namespace {

constexpr Load load_of(double flops) { return {flops, 100}; }
const Load tiny = load_of(5e5), small = load_of(5e7), large = load_of(5e8), largest = load_of(5e9);

// Work that takes a millisecond and tells that a team does a thousand times as much as one thread, or as little.
// Returns how many of the trials were the team's.
int teams_among(int trials, ThreadTuner& tuner, const Load& load, bool team_pays) {
  int teams = 0;
  for (int i = 0; i < trials; ++i) {
    const auto trial = tuner.begin(load);
    const bool team = trial.threads() > 1;
    teams += team;
    usleep(1100);
    trial.end(!team ? 1e6 : team_pays ? 1e9 : 1e3);
  }
  return teams;
}

// Until one thread is at work, and no look at a team has just begun.
void teach_that_one_is_faster(ThreadTuner& tuner, const Load& load) {
  for (int i = 0; i < 100 && (i < 3 || tuner.begin(load).threads() > 1); ++i) teams_among(10, tuner, load, false);
}

// True if the default lets several threads work; many a machine has one CPU.
bool several_by_default() { return get_num_threads() > 1 && !threads_are_chosen(); }

TEST(small_work_begins_with_one_thread_unless_a_number_is_asked_for) {
  if (several_by_default()) {
    ThreadTuner tuner(1e5);
    CHECK_EQUAL(tuner.begin(small).threads(), 1);
    CHECK_EQUAL(tuner.begin(large).threads(), get_num_threads());
    CHECK_EQUAL(tuner.begin(largest).threads(), get_num_threads());
  }
  const Threads asked(5);
  ThreadTuner tuner(1e5);
  CHECK_EQUAL(tuner.begin(small).threads(), 5);
  CHECK_EQUAL(tuner.begin(large).threads(), 5);
  CHECK_EQUAL(tuner.begin({2e5, 100}).threads(), 2);       // no more than are worth it
  CHECK_EQUAL(tuner.begin({1e9, 100, 3e5}).threads(), 3);  // which barriers decide
  CHECK_EQUAL(tuner.begin({5e7, 4}).threads(), 4);         // or pieces
  CHECK_EQUAL(tuner.begin({1e5, 100}).threads(), 1);
}

TEST(a_tuner_stays_with_what_is_faster_and_follows_when_that_changes) {
  const Threads asked(4);
  ThreadTuner tuner(1e5);
  teams_among(5, tuner, small, true);
  CHECK(teams_among(100, tuner, small, true) > 90);
  teams_among(50, tuner, small, false);  // a measurement lasts twenty of them
  CHECK(teams_among(100, tuner, small, false) < 10);
  int to_come = 2000;  // a look comes once a second at least
  while (teams_among(5, tuner, small, true) == 0 && to_come > 0) to_come -= 5;
  CHECK(to_come > 0);
  CHECK(teams_among(100, tuner, small, true) > 90);
}

TEST(each_size_of_work_is_learnt_by_itself) {
  const Threads asked(4);
  ThreadTuner tuner(1e5);
  teach_that_one_is_faster(tuner, small);
  CHECK_EQUAL(tuner.begin(small).threads(), 1);
  CHECK_EQUAL(tuner.begin(tiny).threads(), 4);
  CHECK_EQUAL(tuner.begin(large).threads(), 4);
  CHECK_EQUAL(teams_among(300, tuner, largest, false), 300);
  CHECK(teams_among(300, tuner, large, false) < 300);
}

TEST(a_tuner_used_by_many_threads_and_left_by_exceptions) {
  const Threads asked(3);
  ThreadTuner tuner(1e5);
  std::atomic<int> pieces{0};
  std::vector<std::thread> users;
  for (int i = 0; i < 4; ++i)
    users.emplace_back([&] {
      for (int round = 0; round < (quick() ? 50 : 300); ++round) {
        tuner.run(load_of(1e6), [&](Team& team, int thread) { pieces += thread == 0 ? 1 : team.size() > 3; });
        CHECK_THROWS(std::runtime_error, tuner.run(small, [](Team&, int) { throw std::runtime_error("boom"); }));
      }
    });
  for (std::thread& user : users) user.join();
  CHECK_EQUAL(pieces.load(), 4 * (quick() ? 50 : 300));
}

#if !defined(__SANITIZE_THREAD__)  // there threads end with their team
// Whether f() on a new thread, which has no team yet, starts threads for one.
template <class F>
bool starts_threads(F f) {
  const auto running = [] {
    return std::distance(std::filesystem::directory_iterator("/proc/self/task"), std::filesystem::directory_iterator());
  };
  bool more = false;
  std::thread([&] {
    const auto before = running();
    f();
    more = running() > before;
  }).join();
  for (auto last = running(); last > 1; last = running()) {  // those that ended are counted a little longer
    usleep(2000);
    if (running() == last) break;
  }
  return more;
}

TEST(what_a_network_has_learnt_is_used_by_every_call) {
  const Threads asked(2);
  const Rows<float> rows(4000, 64, 10, false, 5);
  const auto made = [] {
    return network<float>(64, {dense(128, "relu"), dense(10, "softmax")}, loss("cross_entropy"), adam());
  };
  const auto predicts = [&](Network<float>& net) {
    std::vector<float> out(static_cast<std::size_t>(rows.n) * 10);
    predict(net, rows.data(true).x, rows.n, out.data());
  };
  const auto evaluates = [&](Network<float>& net) { evaluate(net, rows.data(true), static_cast<float*>(nullptr)); };
  const auto fits = [&](Network<float>& net) {
    Trainer<float> trainer(net, rows.shared(), 64, make_sampler("shuffled", rows.n), GradientRoute::automatic, nullptr);
    std::vector<double> losses;
    trainer.run({1e-3}, batches(10), losses);
  };
  const auto updates = [&](Network<float>& net) { BatchTrainer<float>(net).train(rows.data(true, 0, 64), 1e-3); };
  const auto derives = [&](Network<float>& net) {
    Buffer<float> gradient;
    loss_and_gradient(net, rows.data(true, 0, 64), gradient);
  };
  const auto check = [&](ThreadTuner Network<float>::* tuner, double flops, const auto& call) {
    const auto fresh = made(), taught = made();
    CHECK(starts_threads([&] { call(*fresh); }));
    teach_that_one_is_faster((*taught).*tuner, {flops, 100});
    CHECK(!starts_threads([&] { call(*taught); }));
  };
  const double flops = made()->flops_per_row();
  check(&Network<float>::forward_threads, flops / 3 * 4000, predicts);
  check(&Network<float>::forward_threads, flops / 3 * 4000, evaluates);
  check(&Network<float>::step_threads, flops * 64, fits);
  check(&Network<float>::step_threads, flops * 64, updates);
  check(&Network<float>::step_threads, flops * 64, derives);
}
#endif

}  // namespace
}  // namespace fallline::testing
