// Simulated annealing on functions; the walk itself is held against NumPy in tests/test_annealing.py.
#include <algorithm>
#include <stdexcept>

#include "check.h"
#include "minimizers/minimizer.h"

namespace fallline::testing {
namespace {

// Hills and valleys that remember their lowest point, and raise an error every now and then if told to.
class Hills final : public Function {
 public:
  explicit Hills(std::size_t size) : size_(size) {}

  std::ptrdiff_t size() const override { return static_cast<std::ptrdiff_t>(size_); }
  double value(const double* x) override {
    if (calls_until_error-- == 0) throw std::runtime_error("now");
    double sum = 0;
    for (std::size_t i = 0; i < size_; ++i) {
      sum += 0.1 * x[i] * x[i] + 0.2 * std::cos(3 * x[i]);
      farthest = std::max(farthest, std::abs(x[i]));
    }
    lowest = std::min(lowest, sum);
    return sum;
  }
  double value_and_gradient(const double*, double*) override { throw std::logic_error("annealing needs no slopes"); }

  double lowest = 1e300, farthest = 0;
  int calls_until_error = -1;

 private:
  std::size_t size_;
};

std::unique_ptr<Minimizer> annealing(const char* cooling, bool adaptive, bool one_coordinate, double bound = 2) {
  Options options;
  options.words = {{"cooling", cooling}, {"acceptance", "metropolis"}, {"seed", "18446744073709551615"}};
  options.numbers = {
      {"temperature", 0.1}, {"final_temperature", 1e-3}, {"proposals", 500},     {"cycles", 7},
      {"sigma", 1},         {"final_sigma", 0.1},        {"adaptive", adaptive}, {"one_coordinate", one_coordinate},
      {"bound", bound}};
  return minimizer_kinds().at("simulated_annealing")(options);
}

void finish(Minimizer& walk, Function& f) {
  while (walk.reason().empty()) CHECK(walk.iterate(f));
}

TEST(annealing_keeps_the_lowest_point_within_the_bound) {
  for (const char* cooling : {"geometric", "linear", "logarithmic", "inverse"})
    for (const bool adaptive : {false, true})
      for (const bool one_coordinate : {false, true})
        for (const std::size_t size : {1u, 5u, 2000u}) {
          const Where where(cooling, " ", adaptive, one_coordinate, " size ", size);
          Hills hills(size);
          const auto walk = annealing(cooling, adaptive, one_coordinate);
          walk->begin(hills, std::vector<double>(size, -1.5).data());
          const double start = walk->value();
          finish(*walk, hills);
          CHECK_EQUAL(walk->evaluations(), 501);
          CHECK_EQUAL(walk->value(), hills.lowest);
          CHECK_EQUAL(hills.value(walk->x().data()), hills.lowest);
          CHECK(hills.farthest <= 2);
          CHECK(walk->value() < start);
        }
}

TEST(annealing_goes_on_after_an_error_and_from_a_state) {
  Hills hills(3);
  const std::vector<double> start(3, 1.0);
  const auto whole = annealing("geometric", true, false), parts = annealing("geometric", true, false);
  whole->begin(hills, start.data());
  finish(*whole, hills);
  parts->begin(hills, start.data());
  for (int i = 0; i < 3; ++i) parts->iterate(hills);
  hills.calls_until_error = 20;
  bool thrown = false;
  try {
    parts->iterate(hills);
  } catch (const std::runtime_error&) {
    thrown = true;
  }
  CHECK(thrown);
  const auto other = annealing("geometric", true, false);
  other->set_state(parts->get_state());
  other->begin(hills, parts->x().data());
  finish(*parts, hills);
  finish(*other, hills);
  for (const auto* each : {parts.get(), other.get()}) {
    CHECK(each->get_state() == whole->get_state());
    CHECK(each->x() == whole->x());
    CHECK_EQUAL(each->value(), whole->value());
  }
}

TEST(annealing_refuses_a_start_out_of_bounds) {
  Hills hills(2);
  const auto walk = annealing("geometric", false, false, 0.5);
  const double start[] = {0.25, -0.75};
  std::string what;
  try {
    walk->begin(hills, start);
  } catch (const std::invalid_argument& error) {
    what = error.what();
  }
  CHECK_EQUAL(what, "SimulatedAnnealing: bound is 0.5; expected at least 0.75, to hold the start");
}

}  // namespace
}  // namespace fallline::testing
