// Samplers that know all rows of an epoch when it begins.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>

#include "network/samplers/sampler.h"
#include "network/shuffle.h"

namespace fallline {
namespace {

class Sequential final : public Sampler {
 public:
  Sequential(const Spec&, std::int64_t rows, const std::vector<double>&) : Sampler(rows) {}

  bool repeats() const override { return false; }
  void begin(const Epoch& epoch) override { std::iota(epoch.order, epoch.order + rows(), std::int64_t{0}); }
};

class Shuffled final : public Sampler {
 public:
  Shuffled(const Spec&, std::int64_t rows, const std::vector<double>&) : Sampler(rows) {}

  bool repeats() const override { return false; }
  void begin(const Epoch& epoch) override { shuffle(epoch.seed, epoch.number, epoch.order, rows()); }
};

// Independent draws: each place's row by inversion of one uniform number.
class Independent : public Sampler {
 public:
  using Sampler::Sampler;

  void begin(const Epoch& epoch) final {
    constexpr std::int64_t block = 256;
    Uniform numbers[block];
    for (std::int64_t first = 0; first < rows(); first += block) {
      const std::int64_t n = std::min(block, rows() - first);
      uniform_numbers(epoch.seed, epoch.number, first, n, numbers);
      for (std::int64_t i = 0; i < n; ++i) epoch.order[first + i] = static_cast<std::int64_t>(row(numbers[i].u));
    }
  }

 protected:
  virtual std::size_t row(double u) const = 0;
  std::size_t count() const { return static_cast<std::size_t>(rows()); }
};

class WithReplacement final : public Independent {
 public:
  WithReplacement(const Spec&, std::int64_t rows, const std::vector<double>&) : Independent(rows) {}

 protected:
  std::size_t row(double u) const override { return part(u, count()); }
};

// A group first, all alike, and then one of its rows. values are the groups' numbers.
class Balanced final : public Independent {
 public:
  Balanced(const Spec& spec, std::int64_t rows, const std::vector<double>& values)
      : Independent(rows), weighs_(spec.number("unbiased") != 0) {
    std::map<double, std::size_t> places;
    for (const double value : values) places.emplace(value, 0);
    for (std::size_t next = 0; auto& [value, place] : places) place = next++;
    groups_.resize(places.size());
    for (const double value : values) {
      group_of_.push_back(places[value]);
      groups_[group_of_.back()].push_back(group_of_.size() - 1);
    }
  }

  bool weighs() const override { return weighs_; }
  double factor(std::int64_t row) const override {
    const auto members = groups_[group_of_[static_cast<std::size_t>(row)]].size();
    return static_cast<double>(members * groups_.size()) / static_cast<double>(rows());
  }

 protected:
  std::size_t row(double u) const override {
    const std::size_t group = part(u, groups_.size());
    const double within = u * static_cast<double>(groups_.size()) - static_cast<double>(group);
    return groups_[group][part(within, groups_[group].size())];
  }

 private:
  bool weighs_;
  std::vector<std::size_t> group_of_;
  std::vector<std::vector<std::size_t>> groups_;
};

// Each row as often as its value says.
class Weighted final : public Independent {
 public:
  Weighted(const Spec& spec, std::int64_t rows, const std::vector<double>& values)
      : Independent(rows), weighs_(spec.number("unbiased") != 0), weights_(values), below_(count() + 1) {
    std::partial_sum(values.begin(), values.end(), below_.begin() + 1);
    for (last_ = count() - 1; last_ > 0 && weights_[last_] == 0;) --last_;
    // Searches begin where the numbers of one of n equal parts do (Chen & Asau 1974): a step or two are left.
    for (std::size_t i = 0, row = 0; i < count(); ++i) {
      while (row < last_ && below_[row + 1] <= total() * static_cast<double>(i) / static_cast<double>(rows)) ++row;
      guide_.push_back(row);
    }
  }

  bool weighs() const override { return weighs_; }
  double factor(std::int64_t row) const override {
    return total() / static_cast<double>(rows()) / weights_[static_cast<std::size_t>(row)];
  }

 protected:
  std::size_t row(double u) const override {
    std::size_t row = guide_[part(u, count())];
    while (row < last_ && below_[row + 1] <= u * total()) ++row;
    return row;
  }

 private:
  double total() const { return below_.back(); }

  bool weighs_;
  std::vector<double> weights_, below_;  // below_: sums of the weights before each row, and of all
  std::vector<std::size_t> guide_;
  std::size_t last_;  // row of a positive weight
};

const RegisterSampler<Sequential> sequential("sequential");
const RegisterSampler<Shuffled> shuffled("shuffled");
const RegisterSampler<WithReplacement> with_replacement("with_replacement");
const RegisterSampler<Balanced> balanced("balanced");
const RegisterSampler<Weighted> weighted("weighted");

}  // namespace
}  // namespace fallline
