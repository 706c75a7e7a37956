// How far to go along a direction: until the strong Wolfe conditions hold,
//   f(a) <= f(0) + c1 a f'(0)  and  |f'(a)| <= c2 |f'(0)|.
#pragma once

#include <limits>

#include "minimizers/minimizer.h"
#include "minimizers/vectors.h"

namespace fallline {

class LineSearch {
 public:
  // Options c1, c2, max_evaluations; counts its evaluations in `evaluations`.
  LineSearch(const Options& options, std::int64_t& evaluations);

  // Goes along p from a point whose value and slope are known, and tries `step` first. False if no point is lower.
  bool run(Function& f, const Vector& from, double start, double slope, const Vector& p, double step);

  // The point found, and f there.
  Vector x, gradient;
  double value = 0;

 private:
  struct Point {
    double step, value, slope;
  };
  static double cubic_minimum(const Point& a, const Point& b);
  static double between(const Point& low, const Point& high);
  static double beyond(const Point& before, const Point& low);
  bool move(const Function& f, const Vector& from, const Vector& p, double step);

  double c1_, c2_;
  int max_evaluations_;
  std::int64_t& evaluations_;
  Vector trial_x_, trial_gradient_;
};

}  // namespace fallline
