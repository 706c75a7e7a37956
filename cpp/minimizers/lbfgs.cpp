// L-BFGS: H is made of the last steps and the changes of the gradient along them (Nocedal 1980; Liu & Nocedal 1989).
#include <stdexcept>
#include <utility>

#include "minimizers/quasi_newton.h"

namespace fallline {
namespace {

class LBFGS final : public QuasiNewton {
 public:
  explicit LBFGS(const Options& options)
      : QuasiNewton(options), history_(static_cast<std::size_t>(options.number("history"))) {}

  State get_state() const override {
    State state{{"pairs", {static_cast<double>(pairs_.size())}}, {"steps", {}}, {"changes", {}}};
    for (const Pair& pair : pairs_) {
      state["steps"].insert(state["steps"].end(), pair.s.begin(), pair.s.end());
      state["changes"].insert(state["changes"].end(), pair.y.begin(), pair.y.end());
    }
    return state;
  }

  void set_state(const State& state) override {
    const auto part = [&](const char* name) -> const Vector& {
      const auto found = state.find(name);
      if (found == state.end() || state.size() != 3)
        throw std::invalid_argument("LBFGS.set_state: state has other names; expected pairs, steps, changes");
      return found->second;
    };
    const Vector &count = part("pairs"), &steps = part("steps"), &changes = part("changes");
    const double pairs = count.size() == 1 ? count[0] : -1;
    const bool counts = pairs >= 0 && pairs <= static_cast<double>(history_) && pairs == std::floor(pairs);
    if (!counts)
      throw std::invalid_argument("LBFGS.set_state: pairs is not a count up to history " + std::to_string(history_));
    const auto m = static_cast<std::size_t>(pairs);
    if (steps.size() != changes.size() || (m == 0 ? !steps.empty() : steps.size() % m != 0))
      throw std::invalid_argument("LBFGS.set_state: steps or changes have a wrong length");
    forget();
    for (std::size_t k = 0; k < m; ++k) {
      const auto n = static_cast<std::ptrdiff_t>(steps.size() / m), begin = static_cast<std::ptrdiff_t>(k) * n;
      const auto cut = [&](const Vector& all) { return Vector(all.begin() + begin, all.begin() + begin + n); };
      learn(cut(steps), cut(changes));
      products_with_steps(pairs_.back().y);
    }
  }

 private:
  struct Pair {
    Vector s, y;
    double yy;
    Vector sy;  // products of s with the y of this pair and of the newer ones
  };

  void take_up(std::size_t n) override {
    if (!pairs_.empty() && pairs_.front().s.size() != n) forget();
  }

  bool has_learned() const override { return !pairs_.empty(); }
  void forget() override { pairs_.clear(); }

  void learn(Vector s, Vector y) override {
    if (pairs_.size() == history_) pairs_.erase(pairs_.begin());
    const double yy = dot(y, y);
    pairs_.push_back({std::move(s), std::move(y), yy, {}});
    for (Pair& pair : pairs_) pair.sy.push_back(0);
  }

  // s_i^T g; on the way, the products with the newest y find their places.
  Vector products_with_steps(const Vector& g) {
    const std::size_t m = pairs_.size();
    const Vector products = products_with_pairs(2, [&](Range r, double* product) {
      for (const Pair& pair : pairs_) {
        *product++ = dot(r, pair.s, g);
        *product++ = dot(r, pair.s, pairs_.back().y);
      }
    });
    Vector sg(m);
    for (std::size_t i = 0; i < m; ++i) {
      sg[i] = products[2 * i];
      pairs_[i].sy.back() = products[2 * i + 1];
    }
    return sg;
  }

  // So many numbers for each pair, summed over the blocks, of which part(range, numbers) makes them.
  template <class Part>
  Vector products_with_pairs(std::size_t each, const Part& part) const {
    const std::size_t n = pairs_.front().s.size(), m = each * pairs_.size();
    Vector parts(block_count(n) * m), sums(m);
    for_blocks(n, 2.0 * static_cast<double>(m), [&](Range r) { part(r, parts.data() + r.begin / block_size * m); });
    for (std::size_t k = 0; k < parts.size(); ++k) sums[k % m] += parts[k];
    return sums;
  }

  // r = H g by two loops over the pairs, newest to oldest and back:
  //   q = g;         a_i = s_i^T q / s_i^T y_i,  q -= a_i y_i
  //   r = gamma q;   b_i = y_i^T r / s_i^T y_i,  r += (a_i - b_i) s_i
  // What a_i and b_i see of the pairs before them follows from the products of the pairs, so that three passes over
  // memory do.
  Vector direction(const Vector& g) override {
    const std::size_t m = pairs_.size();
    Vector a = products_with_steps(g);
    const double gamma = pairs_.back().sy[0] / pairs_.back().yy;
    for (std::size_t i = m; i-- > 0;) {
      for (std::size_t j = i + 1; j < m; ++j) a[i] -= a[j] * pairs_[i].sy[j - i];
      a[i] /= pairs_[i].sy[0];
    }
    Vector q = g;
    const Vector yq = products_with_pairs(1, [&](Range r, double* product) {
      for (std::size_t i = m; i-- > 0;) add(r, -a[i], pairs_[i].y, q);
      for (const Pair& pair : pairs_) *product++ = dot(r, pair.y, q);
    });
    Vector& c = a;  // a - b
    for (std::size_t i = 0; i < m; ++i) {
      double b = gamma * yq[i];
      for (std::size_t j = 0; j < i; ++j) b += c[j] * pairs_[j].sy[i - j];
      c[i] = a[i] - b / pairs_[i].sy[0];
    }
    Vector& p = q;
    for_blocks(p.size(), 2.0 * static_cast<double>(m), [&](Range r) {
      for (std::size_t k = r.begin; k < r.end; ++k) p[k] *= -gamma;
      for (std::size_t i = 0; i < m; ++i) add(r, -c[i], pairs_[i].s, p);
    });
    return p;
  }

  std::size_t history_;
  std::vector<Pair> pairs_;  // oldest first
};

const RegisterMinimizer<LBFGS> lbfgs("lbfgs");

}  // namespace
}  // namespace fallline
