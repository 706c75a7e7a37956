// L-BFGS and BFGS on functions whose minima are known.
#include <functional>
#include <limits>
#include <memory>

#include "check.h"
#include "minimizers/minimizer.h"
#include "runtime/threads.h"

namespace fallline::testing {
namespace {

using Vector = std::vector<double>;

class Formula final : public Function {
 public:
  using Body = std::function<double(const Vector& x, Vector& gradient)>;
  Formula(std::size_t size, Body body) : size_(size), body_(std::move(body)) {}

  std::ptrdiff_t size() const override { return static_cast<std::ptrdiff_t>(size_); }
  double value(const double* x) override {
    Vector gradient(size_);
    return value_and_gradient(x, gradient.data());
  }
  double value_and_gradient(const double* x, double* gradient) override {
    Vector g(size_);
    const double value = body_(Vector(x, x + size_), g);
    std::copy(g.begin(), g.end(), gradient);
    return value;
  }
  void round(double* x) const override {
    for (std::size_t i = 0; i < size_ && single; ++i) x[i] = static_cast<float>(x[i]);
  }

  bool single = false;  // points have float32 coordinates

 private:
  std::size_t size_;
  Body body_;
};

double rosenbrock(const Vector& x, Vector& g) {
  double value = 0;
  for (std::size_t i = 0; i + 1 < x.size(); ++i) {
    const double a = x[i + 1] - x[i] * x[i], b = 1 - x[i];
    value += 100 * a * a + b * b;
    g[i] += -400 * a * x[i] - 2 * b;
    g[i + 1] += 200 * a;
  }
  return value;
}

// (x - 1)^T A (x - 1) / 2 with A = 1 / (i + j + 1) + diag(i + 1)
constexpr std::size_t order = 6;
double entry(std::size_t i, std::size_t j) {
  return 1.0 / static_cast<double>(i + j + 1) + (i == j ? static_cast<double>(i + 1) : 0);
}
double bowl(const Vector& x, Vector& g) {
  double value = 0;
  for (std::size_t i = 0; i < order; ++i) {
    for (std::size_t j = 0; j < order; ++j) g[i] += entry(i, j) * (x[j] - 1);
    value += g[i] * (x[i] - 1) / 2;
  }
  return value;
}

constexpr double exact = 1e-6;  // c2 that makes line searches interpolate, which on a parabola is exact

std::unique_ptr<Minimizer> make(const char* kind, std::map<std::string, double> numbers = {}) {
  Options options;
  options.numbers = std::move(numbers);
  options.numbers.merge(std::map<std::string, double>{{"gtol", 1e-8},
                                                      {"ftol", 0},
                                                      {"c1", 1e-4},
                                                      {"c2", 0.9},
                                                      {"max_evaluations", 25},
                                                      {"history", 10},
                                                      {"max_params", 50}});
  return minimizer_kinds().at(kind)(options);
}

double largest(const Vector& x) {
  double found = 0;
  for (const double value : x) found = std::max(found, std::abs(value));
  return found;
}

Vector gradient_at(Function& f, const Vector& x) {
  Vector g(x.size());
  f.value_and_gradient(x.data(), g.data());
  return g;
}

// Iterations made until it stops.
int run(Minimizer& minimizer, Function& f, int limit = 1000) {
  int made = 0;
  while (made < limit && minimizer.reason().empty() && minimizer.iterate(f)) ++made;
  return made;
}

Vector tiled(std::size_t n) {
  Vector x(n);
  for (std::size_t i = 0; i < n; ++i) x[i] = i % 2 ? 1 : -1.2;
  return x;
}

const char* const kinds[] = {"bfgs", "lbfgs"};

TEST(quasi_newton_ends_on_a_quadratic_after_n_steps) {
  for (const char* kind : kinds) {
    const Where where(kind);
    Formula f(order, bowl);
    const auto minimizer = make(kind, {{"c2", exact}, {"gtol", 0}});
    const Vector start(order, -1);
    minimizer->begin(f, start.data());
    const double before = largest(gradient_at(f, start));
    CHECK_EQUAL(run(*minimizer, f, order), static_cast<int>(order));
    CHECK(largest(gradient_at(f, minimizer->x())) < 1e-12 * before);
    for (const double x : minimizer->x()) CHECK_NEAR(x, 1, 1e-13);
  }
}

TEST(bfgs_learns_the_inverse_of_the_curvature) {
  Formula f(order, bowl);
  const auto minimizer = make("bfgs", {{"c2", exact}, {"gtol", 0}});
  minimizer->begin(f, Vector(order, -1).data());
  run(*minimizer, f, order);
  const Vector h = minimizer->get_state().at("inverse_hessian");
  for (std::size_t i = 0; i < order; ++i)
    for (std::size_t j = 0; j < order; ++j) {
      double product = 0;
      for (std::size_t k = 0; k < order; ++k) product += h[i * order + k] * entry(k, j);
      CHECK_NEAR(product, i == j, 1e-11);
    }
}

// With exact line searches on a quadratic the steps are those of conjugate gradients (Nazareth 1979).
TEST(quasi_newton_steps_are_those_of_conjugate_gradients) {
  Formula f(order, bowl);
  Vector x(order, -1), g = gradient_at(f, x), d(order);
  std::vector<Vector> points;
  double square = 0;
  for (std::size_t t = 0; t < order; ++t) {
    double now = 0, curvature = 0, along = 0;
    for (const double value : g) now += value * value;
    for (std::size_t i = 0; i < order; ++i) d[i] = (t ? now / square * d[i] : 0) - g[i];
    for (std::size_t i = 0; i < order; ++i) {
      along -= g[i] * d[i];
      for (std::size_t j = 0; j < order; ++j) curvature += d[i] * entry(i, j) * d[j];
    }
    for (std::size_t i = 0; i < order; ++i) x[i] += along / curvature * d[i];
    points.push_back(x);
    square = now;
    g = gradient_at(f, x);
  }
  for (const char* kind : kinds) {
    const auto minimizer = make(kind, {{"c2", exact}, {"gtol", 0}});
    minimizer->begin(f, Vector(order, -1).data());
    for (std::size_t t = 0; t < order; ++t) {
      const Where where(kind, ", iteration ", t);
      CHECK(minimizer->iterate(f));
      for (std::size_t i = 0; i < order; ++i) CHECK_NEAR(minimizer->x()[i], points[t][i], 1e-9);
    }
  }
}

TEST(quasi_newton_on_rosenbrock) {
  struct Case {
    const char* kind;
    std::size_t n;
    double history;
    int iterations, evaluations;  // at most
  };
  for (const auto& [kind, n, history, iterations, evaluations] :
       {Case{"bfgs", 2, 1, 45, 60}, Case{"lbfgs", 2, 10, 45, 60}, Case{"bfgs", 10, 1, 110, 130},
        Case{"lbfgs", 10, 1, 400, 600}, Case{"lbfgs", 10, 3, 150, 180}, Case{"lbfgs", 10, 5, 120, 140},
        Case{"lbfgs", 10, 10, 95, 115}, Case{"lbfgs", 10, 100, 90, 110}}) {
    const Where where(kind, " in ", n, " dimensions, history ", history);
    Formula f(n, rosenbrock);
    const auto minimizer = make(kind, {{"history", history}});
    minimizer->begin(f, tiled(n).data());
    CHECK(run(*minimizer, f) <= iterations);
    CHECK(minimizer->evaluations() <= evaluations);
    CHECK_EQUAL(minimizer->reason(), "the gradient is below gtol");
    const double other = 3.986579;  // the other minimum in ten dimensions, x[0] near -1
    CHECK(minimizer->value() < 1e-15 || (n == 10 && std::abs(minimizer->value() - other) < 1e-5));
    Vector g(n);
    CHECK_EQUAL(minimizer->value(), rosenbrock(minimizer->x(), g));
  }
}

// A long vector, so that several threads and blocks take part.
TEST(quasi_newton_gives_the_same_bits_on_any_number_of_threads) {
  constexpr std::size_t n = 30011;
  Formula f(n, [](const Vector& x, Vector& g) {
    double value = 0;
    for (std::size_t i = 0; i < n; ++i) {
      const double curvature = 1 + static_cast<double>(i % 97), away = x[i] - std::sin(static_cast<double>(i));
      g[i] = curvature * away + away * away * away;
      value += curvature * away * away / 2 + away * away * away * away / 4;
    }
    return value;
  });
  const auto after = [&](int threads) {
    set_num_threads(threads);
    const auto minimizer = make("lbfgs");
    minimizer->begin(f, Vector(n).data());
    run(*minimizer, f, 25);
    return minimizer->x();
  };
  const Vector alone = after(1);
  CHECK(after(2) == alone);
  CHECK(after(3) == alone);
  reset_num_threads();
}

TEST(quasi_newton_goes_on_bit_for_bit) {
  for (const char* kind : kinds)
    for (const bool single : {false, true}) {
      const Where where(kind, ", float32 ", single);
      Formula f(10, rosenbrock);
      f.single = single;
      const auto whole = make(kind, {{"history", 5}});
      whole->begin(f, tiled(10).data());
      for (int t = 0; t < 40; ++t) {
        const auto other = make(kind, {{"history", 5}});
        other->set_state(whole->get_state());
        other->begin(f, whole->x().data());
        CHECK(whole->iterate(f) && other->iterate(f));
        CHECK(whole->x() == other->x());
        CHECK(whole->get_state() == other->get_state());
      }
    }
}

TEST(quasi_newton_points_are_rounded) {
  for (const char* kind : kinds) {
    Formula f(10, rosenbrock);
    f.single = true;
    const auto minimizer = make(kind, {{"gtol", 0}});
    minimizer->begin(f, tiled(10).data());
    run(*minimizer, f);
    for (const double x : minimizer->x()) CHECK_EQUAL(x, static_cast<double>(static_cast<float>(x)));
    CHECK(minimizer->value() < 1e-10);
    CHECK(!minimizer->reason().empty());
  }
}

// Steps across the kink show no curvature, or a negative one.
TEST(quasi_newton_goes_over_kinks) {
  for (const char* kind : kinds) {
    Formula f(3, [](const Vector& x, Vector& g) {
      double value = 0;
      for (std::size_t i = 0; i < 3; ++i) {
        value += std::abs(x[i]) * static_cast<double>(i + 1) + x[i] * x[i] / 100;
        g[i] = (x[i] > 0 ? 1 : -1) * static_cast<double>(i + 1) + x[i] / 50;
      }
      return value;
    });
    const auto minimizer = make(kind);
    minimizer->begin(f, Vector{3, -2, 1.7}.data());
    run(*minimizer, f, 200);
    CHECK(minimizer->value() < 1e-3);
  }
}

TEST(a_line_search_steps_back_from_where_the_function_is_not_defined) {
  for (const char* kind : kinds)
    for (const double undefined : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(),
                                   -std::numeric_limits<double>::infinity()}) {
      const Where where(kind, " f ", undefined);
      // x - log x, far from its minimum
      Formula f(1, [&](const Vector& x, Vector& g) {
        g[0] = 1 - 1 / x[0];
        return x[0] > 0 ? x[0] - std::log(x[0]) : undefined;
      });
      const auto minimizer = make(kind);
      minimizer->begin(f, Vector{20}.data());
      run(*minimizer, f);
      CHECK_NEAR(minimizer->x()[0], 1, 1e-7);
    }
}

TEST(quasi_newton_says_why_it_stops) {
  const auto reason = [](Formula f, const Vector& start, std::map<std::string, double> numbers = {}) {
    std::string said;
    for (const char* kind : kinds) {
      const auto minimizer = make(kind, numbers);
      minimizer->begin(f, start.data());
      run(*minimizer, f);
      CHECK(said.empty() || said == minimizer->reason());
      said = minimizer->reason();
      CHECK(!minimizer->iterate(f) || said.find("ftol") != said.npos);
    }
    return said;
  };
  CHECK_EQUAL(reason({order, bowl}, Vector(order, 1)), "the gradient is below gtol");
  CHECK_EQUAL(reason({2, rosenbrock}, tiled(2), {{"ftol", 1e-3}}), "the value changes by less than ftol");
  const auto nan = [](const Vector&, Vector&) { return std::numeric_limits<double>::quiet_NaN(); };
  CHECK_EQUAL(reason({1, nan}, {1}), "the value or the gradient is not finite");
  const auto wrong = [](const Vector& x, Vector& g) { return g[0] = 1, -x[0]; };  // a gradient that points uphill
  CHECK_EQUAL(reason({1, wrong}, {1}), "the line search finds no lower value");
}

// An evaluation that throws leaves everything where it was.
TEST(quasi_newton_survives_an_interrupt) {
  for (const char* kind : kinds) {
    int left = 0;
    Formula f(10, [&](const Vector& x, Vector& g) {
      if (left-- == 0) throw std::runtime_error("interrupted");
      return rosenbrock(x, g);
    });
    Formula undisturbed(10, rosenbrock);
    const auto minimizer = make(kind), other = make(kind);
    minimizer->begin(undisturbed, tiled(10).data());
    other->begin(undisturbed, tiled(10).data());
    for (int t = 0; t < 30; ++t) {
      bool made = false;
      for (int allowed = 0; allowed < 2 && !made; ++allowed) {
        const Vector x = minimizer->x();
        left = allowed;
        try {
          made = minimizer->iterate(f);
        } catch (const std::runtime_error&) {
          CHECK(minimizer->x() == x);
        }
      }
      if (!made) minimizer->iterate(undisturbed);
      other->iterate(undisturbed);
      CHECK(minimizer->x() == other->x());
    }
    left = 0;
    CHECK_THROWS(std::runtime_error, minimizer->begin(f, tiled(10).data()));
    CHECK(!minimizer->iterate(undisturbed));
  }
}

TEST(quasi_newton_takes_up_another_function) {
  for (const char* kind : kinds) {
    Formula small(order, bowl), large(10, rosenbrock);
    const auto minimizer = make(kind);
    minimizer->begin(small, Vector(order, -1).data());
    run(*minimizer, small);
    minimizer->begin(large, tiled(10).data());
    CHECK(minimizer->reason().empty());
    const auto fresh = make(kind);
    fresh->begin(large, tiled(10).data());
    run(*minimizer, large);
    run(*fresh, large);
    CHECK(minimizer->x() == fresh->x());
  }
}

TEST(bfgs_refuses_a_matrix_that_is_too_large) {
  Formula f(51, rosenbrock);
  const auto minimizer = make("bfgs");
  CHECK_THROWS(std::invalid_argument, minimizer->begin(f, tiled(51).data()));
  CHECK(!minimizer->iterate(f));
}

TEST(quasi_newton_refuses_the_state_of_others) {
  using State = Minimizer::State;
  Formula f(10, rosenbrock);
  for (const char* kind : kinds) {
    const auto minimizer = make(kind, {{"history", 3}});
    minimizer->begin(f, tiled(10).data());
    run(*minimizer, f, 5);
    const State before = minimizer->get_state();
    for (const State& state :
         {State{}, State{{"inverse_hessian", Vector(5)}}, State{{"inverse_hessian", Vector(51 * 51)}},
          State{{"pairs", {1}}, {"steps", {1}}}, State{{"pairs", {4}}, {"steps", Vector(4)}, {"changes", Vector(4)}},
          State{{"pairs", {0.5}}, {"steps", {}}, {"changes", {}}}, State{{"pairs", {}}, {"steps", {}}, {"changes", {}}},
          State{{"pairs", {0}}, {"steps", {1}}, {"changes", {1}}},
          State{{"pairs", {2}}, {"steps", Vector(3)}, {"changes", Vector(3)}},
          State{{"pairs", {1}}, {"steps", Vector(3)}, {"changes", Vector(2)}}}) {
      CHECK_THROWS(std::invalid_argument, minimizer->set_state(state));
      CHECK(minimizer->get_state() == before);
    }
  }
}

}  // namespace
}  // namespace fallline::testing
