// When training no longer helps: the rule of the callback EarlyStopping.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>

namespace fallline {

struct Patience {
  bool of_validation = true;  // which of the losses it looks at
  bool higher_is_better = false;
  bool restores = true;  // the best weights come back at the end
  std::int64_t epochs = 10, start_from = 0;
  double min_delta = 0;
  std::optional<double> baseline;
};

class EarlyStopping {
 public:
  explicit EarlyStopping(const Patience& rule) : rule_(rule) {}

  const Patience& rule() const { return rule_; }

  enum class Verdict { wait, improved, stop };

  // What to make of the value of one epoch more; nullopt for one that is not looked at.
  std::optional<Verdict> judge(double value) {
    if (++seen_ <= rule_.start_from) return std::nullopt;
    const bool improved = better(value, best_);
    if (improved) best_ = value;
    ++waited_;
    if (improved && (!rule_.baseline || better(best_, *rule_.baseline))) waited_ = 0;
    if (improved) return Verdict::improved;
    return waited_ >= rule_.epochs ? Verdict::stop : Verdict::wait;
  }

 private:
  // By more than min_delta; anything is better than NaN.
  bool better(double value, double other) const {
    const double sign = rule_.higher_is_better ? -1 : 1;
    return !std::isnan(value) && !(sign * value >= sign * other - rule_.min_delta);
  }

  Patience rule_;
  double best_ = std::numeric_limits<double>::quiet_NaN();
  std::int64_t seen_ = 0, waited_ = 0;
};

}  // namespace fallline
