#include "minimizers/annealing.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

namespace fallline {
namespace {

const RegisterMinimizer<SimulatedAnnealing> annealing("simulated_annealing");

// Adaption aims at this share of accepted proposals, the best one for a walk along one coordinate, and changes sigma by
// at most a factor of 1 + gain.
constexpr double target_acceptance = 0.44, gain = 2;

std::int64_t count(const Options& options, const char* name) { return static_cast<std::int64_t>(options.number(name)); }

// As Python prints it.
std::string shortest(double x) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, x).ptr;
  return std::string(text, end);
}

// From first to last, by the same factor from step to step.
double geometric(double first, double last, double progress) {
  return first * std::exp(std::log(last / first) * progress);
}

// A walk that steps over the bound comes back from it, as light from a mirror.
double reflect(double x, double bound) {
  if (std::abs(x) <= bound) return x;
  const double way = std::fmod(std::abs(x) + bound, 4 * bound);  // from -bound up to bound and back
  return std::copysign(1.0, x) * (way <= 2 * bound ? way - bound : 3 * bound - way);
}

}  // namespace

Cooling::Cooling(const Options& options)
    : first_(options.number("temperature")),
      last_(options.number("final_temperature")),
      span_(std::max(options.number("proposals") - 1, 1.0)) {
  const std::map<std::string, Law> laws{{"geometric", Law::geometric},
                                        {"linear", Law::linear},
                                        {"logarithmic", Law::logarithmic},
                                        {"inverse", Law::inverse}};
  law_ = laws.at(options.word("cooling"));
}

double Cooling::operator()(std::int64_t i) const {
  switch (law_) {
    case Law::geometric:
      return geometric(first_, last_, progress(i));
    case Law::linear:
      return first_ + (last_ - first_) * progress(i);
    case Law::inverse:
      return first_ / (1 + (first_ / last_ - 1) * progress(i));
    case Law::logarithmic:
      break;
  }
  return first_ / std::log(static_cast<double>(i + 2));  // proposals are counted from 1 there
}

SimulatedAnnealing::SimulatedAnnealing(const Options& options)
    : temperature_(options),
      schedule_(count(options, "proposals")),
      cycles_(count(options, "cycles")),
      first_sigma_(options.number("sigma")),
      last_sigma_(options.number("final_sigma")),
      bound_(options.number("bound")),
      adaptive_(options.number("adaptive") != 0),
      one_coordinate_(options.number("one_coordinate") != 0),
      greedy_(options.word("acceptance") == "greedy"),
      seed_(std::stoull(options.word("seed"))),
      adapted_sigma_(first_sigma_) {}

// Where f is not defined no proposal is accepted, and any other point is better.
double SimulatedAnnealing::evaluate(Function& f, const std::vector<double>& x) {
  const double value = f.value(x.data());
  ++evaluations_;
  return std::isfinite(value) ? value : std::numeric_limits<double>::infinity();
}

void SimulatedAnnealing::start(Function& f) {
  std::vector<double> limit(x_.size(), bound_);
  f.round(limit.data());
  for (std::size_t i = 0; i < x_.size(); ++i)
    if (!(std::abs(x_[i]) <= limit[i]))
      throw std::invalid_argument("SimulatedAnnealing: bound is " + shortest(bound_) + "; expected at least " +
                                  shortest(std::abs(x_[i])) + ", to hold the start");
  // Who is at the best point goes on with the walk; any other point is a new start.
  const bool goes_on = x_ == best_;
  const double value = evaluate(f, x_), energy = goes_on ? evaluate(f, current_) : value;
  if (x_.size() != best_.size()) proposals_ = 0;  // nothing that was learned is of use
  if (!goes_on) current_ = best_ = x_;
  value_ = value;
  energy_ = energy;
  limit_ = std::move(limit);
  trial_.resize(x_.size());
  random_.emplace(seed_, one_coordinate_ ? 1 : std::ssize(x_));
}

bool SimulatedAnnealing::iterate(Function& f) {
  // The cycle at hand is the one that the next proposal belongs to.
  const std::int64_t place = proposals_ % schedule_, cycle = (cycles_ * (place + 1) + schedule_ - 1) / schedule_ - 1;
  const std::int64_t begin = schedule_ * cycle / cycles_, end = schedule_ * (cycle + 1) / cycles_;
  if (place == 0) {
    adapted_sigma_ = first_sigma_;
    acceptance_.clear();
  }
  if (place == begin) accepted_ = 0;
  for (std::int64_t i = place; i < end; ++i) propose(f, i);
  acceptance_.push_back(static_cast<double>(accepted_) / static_cast<double>(end - begin));
  if (adaptive_) adapt(acceptance_.back());
  if (end == schedule_) stop("the temperature has come to the end of its schedule");
  return true;
}

// If f throws, nothing has changed.
void SimulatedAnnealing::propose(Function& f, std::int64_t i) {
  const double sigma = adaptive_ ? adapted_sigma_ : geometric(first_sigma_, last_sigma_, temperature_.progress(i));
  random_->seek(proposals_);
  trial_ = current_;
  if (one_coordinate_) {
    const std::size_t j = random_->below(trial_.size());
    trial_[j] = reflect(trial_[j] + sigma * random_->normals()[0], limit_[j]);
  } else {
    for (std::size_t j = 0; j < trial_.size(); ++j)
      trial_[j] = reflect(trial_[j] + sigma * random_->normals()[j], limit_[j]);
  }
  f.round(trial_.data());
  const double energy = evaluate(f, trial_);
  ++proposals_;
  if (!accepts(energy - energy_, i)) return;
  ++accepted_;
  std::swap(current_, trial_);
  energy_ = energy;
  if (energy < value_) {
    best_ = current_;
    value_ = energy;
  }
}

bool SimulatedAnnealing::accepts(double rise, std::int64_t i) const {
  if (rise <= 0) return true;
  return !greedy_ && random_->luck() < std::exp(-rise / temperature_(i));
}

// Corana, Marchesi, Martini & Ridella 1987, with one width for all coordinates: sigma follows the share of proposals
// that were accepted in a cycle.
void SimulatedAnnealing::adapt(double acceptance) {
  const double excess = acceptance - target_acceptance;
  if (excess > 0) adapted_sigma_ = std::min(adapted_sigma_ * (1 + gain * excess / (1 - target_acceptance)), bound_);
  if (excess < 0) adapted_sigma_ /= 1 - gain * excess / target_acceptance;
}

Minimizer::State SimulatedAnnealing::get_state() const {
  const auto proposals = static_cast<double>(proposals_), accepted = static_cast<double>(accepted_);
  return {{"best", best_},
          {"current", current_},
          {"acceptance", acceptance_},
          {"progress", {proposals, accepted, adapted_sigma_}}};
}

void SimulatedAnnealing::set_state(const State& state) {
  const auto part = [&](const char* name) -> const std::vector<double>& {
    const auto found = state.find(name);
    if (found == state.end() || state.size() != 4)
      throw std::invalid_argument(
          "SimulatedAnnealing.set_state: state has other names; expected acceptance, best, current, progress");
    return found->second;
  };
  const auto &best = part("best"), &current = part("current"), &acceptance = part("acceptance"),
             &progress = part("progress");
  if (current.size() != best.size())
    throw std::invalid_argument("SimulatedAnnealing.set_state: current has " + std::to_string(current.size()) +
                                " numbers; expected " + std::to_string(best.size()) + " as in best");
  const auto counts = [](double x) { return x >= 0 && x <= 0x1p53; };
  if (progress.size() != 3 || !counts(progress[0]) || !counts(progress[1]) || !(progress[2] > 0))
    throw std::invalid_argument("SimulatedAnnealing.set_state: progress is not two counts and a width");
  best_ = best;
  current_ = current;
  acceptance_ = acceptance;
  proposals_ = static_cast<std::int64_t>(progress[0]);
  accepted_ = static_cast<std::int64_t>(progress[1]);
  adapted_sigma_ = progress[2];
}

}  // namespace fallline
