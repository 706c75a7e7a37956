// BFGS with the whole matrix H (Broyden, Fletcher, Goldfarb & Shanno 1970).
#include <stdexcept>
#include <utility>

#include "minimizers/quasi_newton.h"

namespace fallline {
namespace {

class BFGS final : public QuasiNewton {
 public:
  explicit BFGS(const Options& options)
      : QuasiNewton(options), max_params_(static_cast<std::size_t>(options.number("max_params"))) {}

  State get_state() const override { return {{"inverse_hessian", h_}}; }

  void set_state(const State& state) override {
    const auto found = state.find("inverse_hessian");
    if (found == state.end() || state.size() != 1)
      throw std::invalid_argument("BFGS.set_state: state has other names; expected inverse_hessian");
    const Vector& h = found->second;
    const auto n = static_cast<std::size_t>(std::lround(std::sqrt(static_cast<double>(h.size()))));
    if (n * n != h.size() || n > max_params_)
      throw std::invalid_argument("BFGS.set_state: inverse_hessian has " + std::to_string(h.size()) +
                                  " entries; expected a square of at most max_params " + std::to_string(max_params_));
    h_ = h;
  }

 private:
  void take_up(std::size_t n) override {
    if (n > max_params_)
      throw std::invalid_argument("BFGS: the function has " + std::to_string(n) +
                                  " variables; expected at most max_params = " + std::to_string(max_params_) +
                                  ", as H would take " + std::to_string(n * n * sizeof(double) / 1000000) +
                                  " MB; LBFGS does without it");
    if (h_.size() != n * n) forget();
  }

  bool has_learned() const override { return !h_.empty(); }
  void forget() override { h_.clear(); }

  Vector direction(const Vector& g) override { return times(-1, g); }

  // H <- (I - s y^T / sy) H (I - y s^T / sy) + s s^T / sy, row by row:
  //      H + ((1 + y^T z / sy) s - z) s^T / sy - s z^T / sy  with z = H y
  // The first H is the multiple of I that fits the first step best.
  void learn(Vector s, Vector y) override {
    const std::size_t n = s.size();
    const double sy = dot(s, y);
    if (h_.empty()) {
      h_.assign(n * n, 0);
      for (std::size_t i = 0; i < n; ++i) h_[i * n + i] = sy / dot(y, y);
    }
    const Vector z = times(1, y);
    const double factor = 1 + dot(y, z) / sy;
    for_rows(n, [&](std::size_t i) {
      const double by_s = (factor * s[i] - z[i]) / sy, by_z = -s[i] / sy;
      double* row = h_.data() + i * n;
      for (std::size_t j = 0; j < n; ++j) row[j] += by_s * s[j] + by_z * z[j];
    });
  }

  template <class Body>
  static void for_rows(std::size_t n, const Body& body) {
    for_blocks(n, 2.0 * static_cast<double>(n), [&](Range row) { body(row.begin); }, 1);
  }

  // factor H x
  Vector times(double factor, const Vector& x) const {
    const std::size_t n = x.size();
    Vector product(n);
    for_rows(n, [&](std::size_t i) { product[i] = factor * dot(h_.data() + i * n, x.data(), n); });
    return product;
  }

  std::size_t max_params_;
  Vector h_;  // (n, n), or empty before the first step
};

const RegisterMinimizer<BFGS> bfgs("bfgs");

}  // namespace
}  // namespace fallline
