// Nocedal & Wright, Numerical Optimization (2006), chapters 6 and 7.
#include "minimizers/quasi_newton.h"

#include <utility>

namespace fallline {

static constexpr const char* flat = "the gradient is below gtol";

QuasiNewton::QuasiNewton(const Options& options)
    : gtol_(options.number("gtol")), ftol_(options.number("ftol")), line_(options, evaluations_) {}

void QuasiNewton::start(Function& f) {
  value_ = std::numeric_limits<double>::quiet_NaN();  // if f or take_up throws
  gradient_.assign(x_.size(), 0);
  take_up(x_.size());
  f.round(x_.data());
  ++evaluations_;
  value_ = f.value_and_gradient(x_.data(), gradient_.data());
}

bool QuasiNewton::iterate(Function& f) {
  if (!std::isfinite(value_) || !std::isfinite(sum_of_magnitudes(gradient_)))
    return stop("the value or the gradient is not finite");
  if (largest_magnitude(gradient_) <= gtol_) return stop(flat);
  if (!search(f)) return stop("the line search finds no lower value");

  Vector s = difference(line_.x, x_), y = difference(line_.gradient, gradient_);
  const double change = std::abs(line_.value - value_);
  x_.swap(line_.x);
  gradient_.swap(line_.gradient);
  value_ = line_.value;
  // Where the curvature is not positive, e.g. across the kink of a ReLU, H would not be either.
  if (dot(s, y) > 1e-10 * std::sqrt(dot(s, s) * dot(y, y))) learn(std::move(s), std::move(y));

  if (largest_magnitude(gradient_) <= gtol_)
    stop(flat);
  else if (change <= ftol_ * std::max(1.0, std::abs(value_)))
    stop("the value changes by less than ftol");
  return true;
}

// Along -H g, or along -g where H has led astray.
bool QuasiNewton::search(Function& f) {
  if (has_learned()) {
    const Vector p = direction(gradient_);
    const double slope = dot(p, gradient_);
    if (slope < 0 && line_.run(f, x_, value_, slope, p, 1)) return true;
    forget();
  }
  const Vector p = negative(gradient_);
  return line_.run(f, x_, value_, dot(p, gradient_), p, std::min(1.0, 1 / sum_of_magnitudes(gradient_)));
}

}  // namespace fallline
