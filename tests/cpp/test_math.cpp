// exp, log, tanh and their kin of all targets against libm in long double, reached through the kernels that use them:
// elu(x) is e^x - 1 below 0, gelu(x) / x the normal distribution, and the loss of a logit z > 0 with target 1 is
// ln(1 + e^-z).
#include <algorithm>
#include <bit>
#include <stdexcept>

#include "activation_formulas.h"
#include "kernel_cases.h"

namespace fallline::testing {
namespace {

// The distance in units of the last place of the exact value.
template <class T>
double ulps(T got, long double exact) {
  const T rounded = static_cast<T>(exact);
  if (got == rounded || (std::isnan(got) && std::isnan(rounded))) return 0;
  int exponent = 0;
  std::frexp(exact, &exponent);
  using Limits = std::numeric_limits<T>;
  const long double unit = std::ldexp(1.0L, std::max(exponent, Limits::min_exponent) - Limits::digits);
  return static_cast<double>(std::abs(static_cast<long double>(got) - exact) / unit);
}

// Numbers of every sign and magnitude up to `limit`, subnormals included.
template <class T>
std::vector<T> magnitudes(double limit) {
  using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  std::vector<T> all;
  const Bits count = quick() ? 5000 : 100000, last = std::bit_cast<Bits>(static_cast<T>(limit)), step = last / count;
  for (Bits bits = 0, i = 0; i < count; ++i, bits += step) {
    const T x = std::bit_cast<T>(bits);
    all.push_back(x);
    all.push_back(-x);
  }
  return all;
}

template <class T>
std::vector<T> evenly(double low, double high) {
  const int count = quick() ? 5000 : 100000;
  std::vector<T> all;
  for (int i = 0; i < count; ++i) all.push_back(static_cast<T>(low + (high - low) * i / count));
  return all;
}

// The activation's value kernel on an array: one panel, its end filled up.
template <class T>
std::vector<T> values(const KernelTable<T>& table, const std::string& activation, const std::vector<T>& x) {
  const auto width = static_cast<std::size_t>(table.panel_width);
  std::vector<T> y((x.size() + width - 1) / width * width);
  std::copy(x.begin(), x.end(), y.begin());
  for (int i = 0; i < table.activation_count; ++i)
    if (activation == table.activations[i].name)
      table.activations[i].value({y.data(), 0}, {y.data(), 0}, table.panel_width,
                                 static_cast<T>(table.activations[i].parameter), 0, static_cast<int>(y.size() / width));
  y.resize(x.size());
  return y;
}

// The largest error, and where it is.
template <class T, class Exact>
void check_ulps(const char* what, const std::vector<T>& x, const std::vector<T>& got, Exact exact, double bound) {
  double worst = 0;
  T at = 0;
  for (std::size_t i = 0; i < x.size(); ++i)
    if (const double error = ulps(got[i], exact(static_cast<long double>(x[i]))); !(error <= worst))
      worst = error, at = x[i];
  if (!(worst <= bound))
    fail(__FILE__, __LINE__, text(what, "(", at, ") is ", worst, " ulp off; expected at most ", bound));
}

TEST(sigmoid_and_tanh_within_a_few_ulp) {
  each_table([]<class T>(const KernelTable<T>& table) {
    const auto tanh = [](long double x) { return std::tanh(x); };
    for (const std::vector<T>& x : {magnitudes<T>(sizeof(T) == 4 ? 1e38 : 1e308), evenly<T>(-30, 30)}) {
      check_ulps("tanh", x, values(table, "tanh", x), tanh, 3);
      check_ulps("sigmoid", x, values(table, "sigmoid", x), [](long double z) { return sigmoid(z); }, 4);
    }
  });
}

TEST(exp_within_a_few_ulp) {
  each_table([]<class T>(const KernelTable<T>& table) {
    const auto exp = [](long double x) { return std::exp(x); };
    const std::vector<T> x = sizeof(T) == 4 ? evenly<T>(-110, 88.7) : evenly<T>(-760, 709.7);
    check_ulps("exp", x, values(table, "exponential", x), exp, 2);
  });
}

TEST(expm1_within_a_few_ulp) {
  each_table([]<class T>(const KernelTable<T>& table) {
    std::vector<T> x = magnitudes<T>(100);
    std::erase_if(x, [](T each) { return each > 0; });
    check_ulps("expm1", x, values(table, "elu", x), [](long double z) { return std::expm1(z); }, 3);
  });
}

TEST(softplus_within_a_few_ulp) {
  each_table([]<class T>(const KernelTable<T>& table) {
    const std::vector<T> x = sizeof(T) == 4 ? evenly<T>(-103, 103) : evenly<T>(-745, 745);
    check_ulps("softplus", x, values(table, "softplus", x), [](long double z) { return softplus(z); }, 3);
  });
}

// Far out the square of x is rounded; where there is an FMA unit what that lost is made good.
TEST(normal_distribution_within_a_few_ulp) {
  each_table([]<class T>(const KernelTable<T>& table) {
    const auto gelu = [](long double z) { return z * normal_below(z); };
    for (const std::vector<T>& x : {magnitudes<T>(2), evenly<T>(-2, 50)})
      check_ulps("gelu", x, values(table, "gelu", x), gelu, 6);
    const std::vector<T> far = sizeof(T) == 4 ? evenly<T>(-12.5, -2) : evenly<T>(-37, -2);
    const double square = static_cast<double>(far.front() * far.front());
    check_ulps("gelu", far, values(table, "gelu", far), gelu, has_fma(table.panel_width, sizeof(T)) ? 8 : square / 2);
  });
}

TEST(sigmoid_and_tanh_of_special_values) {
  each_table([]<class T>(const KernelTable<T>& table) {
    const T infinity = std::numeric_limits<T>::infinity(), tiny = std::numeric_limits<T>::denorm_min();
    const std::vector<T> x{T(0),
                           T(-0.0),
                           infinity,
                           -infinity,
                           nan<T>,
                           T(1000),
                           T(-1000),
                           tiny,
                           -tiny,
                           std::numeric_limits<T>::min(),
                           std::numeric_limits<T>::max(),
                           std::numeric_limits<T>::lowest()};
    const std::vector<T> tanh{
        T(0), T(-0.0), T(1), T(-1), nan<T>, T(1), T(-1), tiny, -tiny, std::numeric_limits<T>::min(), T(1), T(-1)};
    const std::vector<T> sigmoids{T(0.5), T(0.5), T(1), T(0), nan<T>, T(1), T(0), T(0.5), T(0.5), T(0.5), T(1), T(0)};
    const std::vector<T> relu{T(0),
                              T(0),
                              infinity,
                              T(0),
                              nan<T>,
                              T(1000),
                              T(0),
                              tiny,
                              T(0),
                              std::numeric_limits<T>::min(),
                              std::numeric_limits<T>::max(),
                              T(0)};
    const auto check = [&](const char* name, const std::vector<T>& expected) {
      const std::vector<T> y = values(table, name, x);
      for (std::size_t i = 0; i < x.size(); ++i) {
        const Where where(name, " of ", x[i]);
        CHECK_NEAR(y[i], expected[i], 0);
      }
    };
    check("tanh", tanh);
    check("sigmoid", sigmoids);
    check("relu", relu);
    check("linear", x);
  });
}

template <class T>
const LossKernel<T>& loss_named(const KernelTable<T>& table, const std::string& name) {
  for (int i = 0; i < table.loss_count; ++i)
    if (name == table.losses[i].name) return table.losses[i];
  throw std::invalid_argument("no loss " + name);
}

constexpr double no_smoothing = 0;

TEST(log1p_within_a_few_ulp) {
  each_table([]<class T>(const KernelTable<T>& table) {
    std::vector<T> z = sizeof(T) == 4 ? evenly<T>(1e-6, 100) : evenly<T>(1e-6, 700);
    const int rows = static_cast<int>(z.size());
    Matrix<T> y(rows, 1, table.panel_width), target(rows, 1, table.panel_width, T(1));
    for (int r = 0; r < rows; ++r) y(r, 0) = z[static_cast<std::size_t>(r)];
    std::vector<double> loss(z.size());
    loss_named(table, "binary_cross_entropy")
        .rows({y, {}, target, nullptr, nullptr, T(1), 1, loss.data(), &no_smoothing}, 0, rows);
    const std::vector<T> got(loss.begin(), loss.end());
    check_ulps("log1p(exp(-z))", z, got, [](long double x) { return std::log1p(std::exp(-x)); }, 4);
  });
}

// The cross-entropy of k equal logits is ln(k).
TEST(log_within_a_few_ulp) {
  each_table([]<class T>(const KernelTable<T>& table) {
    for (int k = 2; k < 3000; k += k < 100 ? 1 : 37) {
      Matrix<T> y(1, k, table.panel_width);
      const std::int32_t label = k / 2;
      double loss = 0;
      loss_named(table, "cross_entropy").rows({y, {}, {}, &label, nullptr, T(1), k, &loss, &no_smoothing}, 0, 1);
      const Where where("k ", k);
      CHECK(ulps(static_cast<T>(loss), std::log(static_cast<long double>(k))) <= 2);
    }
  });
}

}  // namespace
}  // namespace fallline::testing
