// Nocedal & Wright, Numerical Optimization (2006), algorithms 3.5 and 3.6, as one loop.
#include "minimizers/line_search.h"

#include <utility>

namespace fallline {

LineSearch::LineSearch(const Options& options, std::int64_t& evaluations)
    : c1_(options.number("c1")),
      c2_(options.number("c2")),
      max_evaluations_(static_cast<int>(options.number("max_evaluations"))),
      evaluations_(evaluations) {}

// `low` is the lowest point so far that f(a) <= f(0) + c1 a f'(0) holds for. A minimum lies between it and `high`, once
// there is one; before, the steps grow. While `low` is the start, this is backtracking.
bool LineSearch::run(Function& f, const Vector& from, double start, double slope, const Vector& p, double step) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  x = from;
  Point low{0, start, slope}, high{infinity, infinity, infinity};
  for (int i = 0; i < max_evaluations_ && move(f, from, p, step); ++i) {
    ++evaluations_;
    Point trial{step, f.value_and_gradient(trial_x_.data(), trial_gradient_.data()), 0};
    trial.slope = dot(trial_gradient_, p);
    if (!std::isfinite(trial.value) || !std::isfinite(trial.slope) || trial.value > start + c1_ * step * slope ||
        trial.value >= low.value) {
      high = trial;
      step = between(low, high);
      continue;
    }
    x.swap(trial_x_);
    gradient.swap(trial_gradient_);
    value = trial.value;
    if (std::abs(trial.slope) <= -c2_ * slope) return true;
    const Point before = std::exchange(low, trial);
    if (trial.slope * (high.step - before.step) >= 0) high = before;
    step = std::isfinite(high.step) ? between(low, high) : beyond(before, low);
  }
  return low.step > 0;
}

// Where the cubic with the values and slopes of a and b has its minimum; NaN if it has none.
double LineSearch::cubic_minimum(const Point& a, const Point& b) {
  const double d = a.slope + b.slope - 3 * (a.value - b.value) / (a.step - b.step);
  const double root = std::copysign(std::sqrt(d * d - a.slope * b.slope), b.step - a.step);
  return b.step - (b.step - a.step) * (b.slope + root - d) / (b.slope - a.slope + 2 * root);
}

// At least a tenth of the bracket away from its ends, and at most half-way from the start; in the middle where f was
// not finite.
double LineSearch::between(const Point& low, const Point& high) {
  const double width = high.step - low.step, minimum = cubic_minimum(low, high);
  const auto [first, last] = std::minmax({low.step + 0.1 * width, low.step + (low.step == 0 ? 0.5 : 0.9) * width});
  return std::clamp(std::isfinite(minimum) ? minimum : low.step + 0.5 * width, first, last);
}

double LineSearch::beyond(const Point& before, const Point& low) {
  const double first = low.step + 0.01 * (low.step - before.step), last = 10 * low.step;
  const double minimum = cubic_minimum(before, low);
  return std::isfinite(minimum) ? std::clamp(minimum, first, last) : (first + last) / 2;
}

// The next point to try; false if rounding leaves it where f is known.
bool LineSearch::move(const Function& f, const Vector& from, const Vector& p, double step) {
  trial_x_ = from;
  trial_gradient_.resize(from.size());
  add({0, p.size()}, step, p, trial_x_);
  f.round(trial_x_.data());
  return trial_x_ != from && trial_x_ != x;
}

}  // namespace fallline
