// Simulated annealing: Metropolis et al. 1953; Kirkpatrick, Gelatt & Vecchi 1983. A random walk goes downhill always
// and uphill by dE with probability exp(-dE / T), while the temperature T falls from proposal to proposal.
#pragma once

#include <optional>

#include "minimizers/minimizer.h"
#include "minimizers/proposals.h"

namespace fallline {

// The temperature of proposal i = 0, 1, ... of n.
class Cooling {
 public:
  explicit Cooling(const Options& options);
  double operator()(std::int64_t i) const;
  // From 0 to 1.
  double progress(std::int64_t i) const { return static_cast<double>(i) / span_; }

 private:
  enum class Law { geometric, linear, logarithmic, inverse };

  Law law_;
  double first_, last_, span_;  // n - 1
};

// The walk stays within |x| <= bound by reflection. An iteration is a cycle of proposals; after the last cycle of the
// schedule it stops, and the schedule begins again when it is taken up again, with random numbers of its own.
class SimulatedAnnealing final : public Minimizer {
 public:
  explicit SimulatedAnnealing(const Options& options);

  bool iterate(Function& f) override;
  const std::vector<double>& x() const override { return best_; }
  State get_state() const override;
  void set_state(const State& state) override;

 protected:
  void start(Function& f) override;

 private:
  // Proposal i of the schedule.
  void propose(Function& f, std::int64_t i);
  bool accepts(double rise, std::int64_t i) const;
  void adapt(double acceptance);
  double evaluate(Function& f, const std::vector<double>& x);

  const Cooling temperature_;
  const std::int64_t schedule_, cycles_;  // proposals and cycles of a schedule
  const double first_sigma_, last_sigma_, bound_;
  const bool adaptive_, one_coordinate_, greedy_;
  const std::uint64_t seed_;

  std::vector<double> current_, trial_, best_;
  std::vector<double> limit_;  // the bound, as f tells it from other numbers
  double energy_ = 0;          // of the current point
  double adapted_sigma_;
  std::int64_t proposals_ = 0, accepted_ = 0;  // of all schedules; of the cycle at hand or the last one
  std::vector<double> acceptance_;             // the share accepted in each cycle of the schedule
  std::optional<Proposals> random_;
};

}  // namespace fallline
