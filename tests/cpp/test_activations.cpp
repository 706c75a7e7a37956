// Activations of all targets against their formulas in long double, and where numbers end.
#include "activation_formulas.h"
#include "kernel_cases.h"

namespace fallline::testing {
namespace {

constexpr double parameter = 0.375;

TEST(activation_values_and_gradients) {
  each_table([]<class T>(const KernelTable<T>& table) {
    const int width = table.panel_width, rows = 5;
    const T fill = T(-77), p = static_cast<T>(parameter);
    Random random(3);
    for (const int n : column_counts(width)) {
      const Matrix<T> x = Matrix<T>(rows, n, width).randomize(random, -4, 4),
                      dy = Matrix<T>(rows, n, width).randomize(random);
      for (int i = 0; i < table.activation_count; ++i) {
        const ActivationKernels<T>& kernel = table.activations[i];
        const Where where(kernel.name, " columns ", n);
        const Formula f = formula(kernel.name);
        CHECK_EQUAL(kernel.from_input, f.from_input);
        Matrix<T> y(rows, n, width, fill), dz = dy;
        kernel.value(x, y, n, p, 1, 4);
        kernel.gradient(f.from_input ? x : y, dz, n, p, 1, 4);
        each_element(rows, n, [&](int r, int c) {
          if (r < 1 || r >= 4) {
            CHECK_EQUAL(y(r, c), fill);
            CHECK_EQUAL(dz(r, c), dy(r, c));
            return;
          }
          const long double value = f.value(x(r, c), parameter);
          CHECK_NEAR(y(r, c), value, 8 * epsilon<T> * std::max(1.0, std::abs(static_cast<double>(value))));
          const long double slope = f.slope(f.from_input ? x(r, c) : y(r, c), parameter);
          CHECK_NEAR(dz(r, c), dy(r, c) * slope, 16 * epsilon<T> * std::max(1.0, std::abs(static_cast<double>(slope))));
        });
        Matrix<T> same = x;
        kernel.value(same, same, n, p, 1, 4);
        for (int c = 0; c < n; ++c) CHECK_EQUAL(same(2, c), y(2, c));
      }
    }
  });
}

// Value and slope at -infinity, 0 and infinity.
struct Ends {
  double value[3], slope[3];
};

Ends ends(const std::string& activation) {
  constexpr double infinity = std::numeric_limits<double>::infinity(), p = parameter;
  constexpr double scale = 1.0507009873554804934, selu = 1.7580993408473768599;
  static const std::map<std::string, Ends> all{
      {"linear", {{-infinity, 0, infinity}, {1, 1, 1}}},
      {"relu", {{0, 0, infinity}, {0, 0, 1}}},
      {"sigmoid", {{0, 0.5, 1}, {0, 0.25, 0}}},
      {"tanh", {{-1, 0, 1}, {0, 1, 0}}},
      {"exponential", {{0, 1, infinity}, {0, 1, infinity}}},
      {"softplus", {{0, 0.69314718055994530942, infinity}, {0, 0.5, 1}}},
      {"softsign", {{-1, 0, 1}, {0, 1, 0}}},
      {"hard_sigmoid", {{0, 0.5, 1}, {0, 1 / 6.0, 0}}},
      {"leaky_relu", {{-infinity, 0, infinity}, {p, p, 1}}},
      {"elu", {{-p, 0, infinity}, {0, p, 1}}},
      {"selu", {{-selu, 0, infinity}, {0, selu, scale}}},
      {"gelu", {{0, 0, infinity}, {0, 0.5, 1}}},
      {"gelu_tanh", {{0, 0, infinity}, {0, 0.5, 1}}},
      {"silu", {{0, 0, infinity}, {0, 0.5, 1}}},
      {"hard_swish", {{0, 0, infinity}, {0, 0.5, 1}}},
      {"mish", {{0, 0, infinity}, {0, 0.6, 1}}},
  };
  return all.at(activation);
}

TEST(activations_at_the_ends) {
  each_table([]<class T>(const KernelTable<T>& table) {
    const int width = table.panel_width;
    const T infinity = std::numeric_limits<T>::infinity(), most = std::numeric_limits<T>::max() / 2;
    const std::vector<T> points{-infinity, T(0), infinity, -most, T(-1000), T(1000), most, nan<T>};
    const int n = static_cast<int>(points.size());
    for (int i = 0; i < table.activation_count; ++i) {
      const ActivationKernels<T>& kernel = table.activations[i];
      const Formula f = formula(kernel.name);
      const Ends expected = ends(kernel.name);
      Matrix<T> z(1, n, width), y(1, n, width), slope(1, n, width, T(1));
      for (int c = 0; c < n; ++c) z(0, c) = points[static_cast<std::size_t>(c)];
      kernel.value(z, y, n, static_cast<T>(parameter), 0, 1);
      kernel.gradient(kernel.from_input ? z : y, slope, n, static_cast<T>(parameter), 0, 1);
      for (int c = 0; c < 3; ++c) {
        const Where where(kernel.name, " of ", z(0, c));
        CHECK_NEAR(y(0, c), expected.value[c], 2 * epsilon<T>);
        CHECK_NEAR(slope(0, c), expected.slope[c], 2 * epsilon<T>);
      }
      for (int c = 3; c < n - 1; ++c) {
        const Where where(kernel.name, " of ", z(0, c));
        const auto value = static_cast<T>(f.value(z(0, c), parameter));
        CHECK_NEAR(y(0, c), value, 2 * epsilon<T> * std::max(T(1), std::abs(value)));
        CHECK_NEAR(slope(0, c), static_cast<T>(f.slope(f.from_input ? z(0, c) : y(0, c), parameter)), 2 * epsilon<T>);
      }
      const Where where(kernel.name, " of NaN");
      CHECK(std::isnan(y(0, n - 1)));
    }
  });
}

}  // namespace
}  // namespace fallline::testing
