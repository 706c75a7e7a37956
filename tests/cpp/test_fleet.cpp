// Many networks at once: the bits of one alone, whatever thread takes it and however often all are stopped.
#include "check.h"
#include "engine_cases.h"
#include "network/fleet.h"

namespace fallline::testing {
namespace {

constexpr int inputs = 7, outputs = 3;

// Networks of different widths with a job each.
struct Fleet {
  Rows<float> rows{90, inputs, outputs, true, 51};
  std::shared_ptr<const Data<float>> data = rows.shared();
  std::vector<std::unique_ptr<Network<float>>> networks;
  std::vector<std::unique_ptr<Job>> jobs;

  explicit Fleet(const std::optional<Patience>& patience = {}) {
    for (int i = 0; i < 6; ++i) {
      networks.push_back(
          network<float>(inputs, {dense(3 + 9 * i, "relu"), dense(outputs, "softmax")}, loss("cross_entropy"), adam()));
      // Each rate is asked for once.
      const Rates falling{0, [](std::uint64_t step, std::int64_t count) {
                            std::vector<double> rates;
                            for (std::int64_t k = 0; k < count; ++k)
                              rates.push_back(0.1 / (1.0 + static_cast<double>(step) + static_cast<double>(k)));
                            return rates;
                          }};
      jobs.push_back(std::make_unique<TrainerJob<float>>(*networks.back(), data, data, patience, 16 + i, true,
                                                         i % 2 ? falling : Rates{0.01, nullptr}));
    }
  }

  // A state and the losses of each.
  std::vector<std::vector<float>> outcome() {
    std::vector<std::vector<float>> all;
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      all.push_back(state(*networks[i]));
      for (const double each : jobs[i]->take_losses()) all.back().push_back(static_cast<float>(each));
      for (const double each : jobs[i]->take_held_out_losses()) all.back().push_back(static_cast<float>(each));
    }
    return all;
  }
};

TEST(a_fleet_gives_the_bits_of_one_thread) {
  std::optional<std::vector<std::vector<float>>> expected;
  for (const int threads : {1, 2, 5}) {
    const Where where("threads ", threads);
    const Threads limit(threads);
    Fleet whole, in_rounds;
    for (const auto& job : whole.jobs) job->extend(4);
    run_jobs(whole.jobs, 1e9);
    for (int round = 0; round < 4; ++round) {
      for (const auto& job : in_rounds.jobs) job->extend(1);
      run_jobs(in_rounds.jobs, 1e9);
    }
    for (const auto& job : whole.jobs) CHECK_EQUAL(job->left(), 0);
    const auto outcome = whole.outcome();
    CHECK(in_rounds.outcome() == outcome);
    CHECK(outcome == expected.value_or(outcome));
    expected = outcome;
  }
}

TEST(a_fleet_without_time_does_nothing_and_goes_on_later) {
  Fleet fleet, straight;
  for (Fleet* each : {&fleet, &straight})
    for (const auto& job : each->jobs) job->extend(2);
  run_jobs(fleet.jobs, 0);
  for (const auto& job : fleet.jobs) CHECK_EQUAL(job->left(), 2);
  for (int cuts = 0; cuts < 5; ++cuts) run_jobs(fleet.jobs, 1e-5);  // within epochs, wherever it may be
  run_jobs(fleet.jobs, 1e9);
  run_jobs(straight.jobs, 1e9);
  CHECK(fleet.outcome() == straight.outcome());
}

TEST(patience_ends_a_job_and_puts_the_best_weights_back) {
  Patience rule;
  rule.epochs = 2;
  rule.higher_is_better = true;  // so that the first epoch is the best
  Fleet stopped(rule), one_epoch;
  for (const auto& job : stopped.jobs) job->extend(50);
  for (const auto& job : one_epoch.jobs) job->extend(1);
  run_jobs(stopped.jobs, 1e9);
  run_jobs(one_epoch.jobs, 1e9);
  for (std::size_t i = 0; i < stopped.jobs.size(); ++i) {
    CHECK(stopped.jobs[i]->end() == Job::End::patience);
    CHECK_EQUAL(stopped.jobs[i]->left(), 0);
    CHECK_EQUAL(stopped.jobs[i]->take_losses().size(), 3u);
    CHECK(weights(*stopped.networks[i]) == weights(*one_epoch.networks[i]));
  }
}

TEST(what_one_job_throws_ends_the_run) {
  const Threads limit(2);
  const auto net = network<float>(inputs, {dense(outputs, "softmax")}, loss("cross_entropy"), adam());
  Fleet fleet;
  const Rates torn{0, [](std::uint64_t, std::int64_t) -> std::vector<double> { throw std::out_of_range("torn"); }};
  fleet.jobs.push_back(std::make_unique<TrainerJob<float>>(*net, fleet.data, nullptr, std::nullopt, 10, true, torn));
  for (const auto& job : fleet.jobs) job->extend(1000000);
  fleet.jobs.back()->extend(1000000000);  // the most work, so that it is the first
  CHECK_THROWS(std::out_of_range, run_jobs(fleet.jobs, 1e9));
  CHECK_EQUAL(fleet.jobs.back()->left(), 1001000000);
}

}  // namespace
}  // namespace fallline::testing
