// Learned sampling: groups of rows are drawn with probabilities that descend on the variance of the gradient (Bouchard,
// Trouillon, Perez, Gaidon 2015, "Online learning to sample"). With f the share of a group among the rows, theta what
// is learned, from 0, and r = s / f for s = softmax(log f + theta):
//
//   pi = f (r + mix (1 - r))      a row of the group is uniform within it; its loss gets the factor f / pi
//   theta += learning_rate mean over the batch of min(d^2 / m, clip) (1 - mix) s_c / pi_c (e_c - s)
//
// for rows of groups c whose gradients, factors and all, have the norms d; m is the moving mean of d^2. At theta = 0
// every factor is exactly 1.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>

#include "network/samplers/mass_tree.h"
#include "network/samplers/sampler.h"

namespace fallline {
namespace {

constexpr double never = -1;

class AWSGD final : public LearningSampler {
 public:
  // values: the group of each row, from 0 to spec's "groups" - 1; none: each row is a group.
  AWSGD(const Spec& spec, std::int64_t rows, const std::vector<double>& values)
      : LearningSampler(rows),
        rate_(spec.number("learning_rate")),
        mix_(spec.number("mix")),
        clip_(spec.number("clip", std::numeric_limits<double>::infinity())),
        normalize_(spec.number("normalize") != 0),
        theta_(static_cast<std::size_t>(values.empty() ? rows : static_cast<std::int64_t>(spec.number("groups")))),
        masses_(theta_.size()),
        norms_(static_cast<std::size_t>(rows), static_cast<float>(never)) {
    if (!values.empty()) sort_by_group(values);
    rebuild();
  }

  void begin(const Epoch& epoch) override {
    epoch_ = epoch;
    if (epoch.place == 0) sum_ = drawn_ = 0;  // of an epoch that was cut
    draw();
  }

  double factor(std::int64_t row) const override {
    const std::size_t group = group_of(row);
    return count(group, group + 1) / weight(group);
  }

  void observe(const std::int64_t* index, const double* squares, int n, bool complete) override {
    if (index == epoch_.order + epoch_.place) batch_.clear();  // of a batch that was given up
    for (int i = 0; i < n; ++i) {
      batch_.push_back({group_of(index[i]), squares[i], 0});
      norms_[static_cast<std::size_t>(index[i])] = static_cast<float>(std::sqrt(squares[i]) / factor(index[i]));
    }
    if (!complete) return;
    learn();
    epoch_.place += std::ssize(batch_);
    batch_.clear();
    if (epoch_.place < rows()) return draw();
    second_moment_ = sum_ / drawn_;
    sum_ = drawn_ = 0;
  }

  std::vector<double> probabilities() const override {
    std::vector<double> all(theta_.size());
    for (std::size_t group = 0; group < all.size(); ++group) all[group] = weight(group) / total_rows();
    return all;
  }
  const std::vector<float>& norms() const override { return norms_; }
  double second_moment() const override { return second_moment_; }

  State get_state() const override {
    return {{"theta", theta_},
            {"norms", {norms_.begin(), norms_.end()}},
            {"counters", {origin_, common_, static_cast<double>(waiting_), scale_, sum_, drawn_, second_moment_}}};
  }
  void set_state(const State& state) override {
    const State own = get_state();
    const auto alike = [](const auto& a, const auto& b) {
      return a.first == b.first && a.second.size() == b.second.size();
    };
    if (!std::equal(own.begin(), own.end(), state.begin(), state.end(), alike))
      throw std::invalid_argument("AWSGD: the state is that of another sampler; expected " + std::to_string(rows()) +
                                  " rows in " + std::to_string(theta_.size()) + " groups");
    theta_ = state.at("theta");
    const std::vector<double>&norms = state.at("norms"), &counters = state.at("counters");
    std::transform(norms.begin(), norms.end(), norms_.begin(), [](double norm) { return static_cast<float>(norm); });
    origin_ = counters[0];
    common_ = counters[1];
    waiting_ = static_cast<std::int64_t>(counters[2]);
    scale_ = counters[3];
    sum_ = counters[4];
    drawn_ = counters[5];
    second_moment_ = counters[6];
    refill();
  }

 private:
  struct Drawn {
    std::size_t group;
    double square;  // d^2
    double move;    // of the group's theta
  };

  void sort_by_group(const std::vector<double>& values) {
    first_.resize(theta_.size() + 1);
    for (const double value : values) {
      groups_.push_back(static_cast<std::uint32_t>(value));
      ++first_.at(std::size_t{groups_.back()} + 1);
    }
    std::partial_sum(first_.begin(), first_.end(), first_.begin());
    std::vector<std::size_t> next(first_.begin(), first_.end() - 1);
    members_.resize(groups_.size());
    for (std::size_t row = 0; row < groups_.size(); ++row)
      members_[next[groups_[row]]++] = static_cast<std::int64_t>(row);
  }

  double total_rows() const { return static_cast<double>(rows()); }
  std::size_t group_of(std::int64_t row) const {
    return groups_.empty() ? static_cast<std::size_t>(row) : groups_[static_cast<std::size_t>(row)];
  }
  // Rows of the groups [begin, end), which may end beyond the last.
  double count(std::size_t begin, std::size_t end) const {
    begin = std::min(begin, theta_.size());
    end = std::min(end, theta_.size());
    return static_cast<double>(groups_.empty() ? end - begin : first_[end] - first_[begin]);
  }
  // rows * pi of groups that have n rows and this mass together.
  double weight(double n, double mass) const {
    const double learned = mass * rows_per_mass_;
    return learned + mix_ * (n - learned);
  }
  double weight(std::size_t group) const { return weight(count(group, group + 1), masses_[group]); }

  // theta and what has gathered for all of them, from the batch.
  void learn() {
    double sum = 0;
    for (const Drawn& each : batch_) sum += each.square;
    sum_ += sum;
    drawn_ += static_cast<double>(batch_.size());
    const double mean = sum / static_cast<double>(batch_.size());
    if (!(mean > 0) || !std::isfinite(mean)) return;  // nothing to learn, or beyond the range of numbers
    scale_ = scale_ == 0 ? mean : 0.9 * scale_ + 0.1 * mean;
    const double unit = normalize_ ? scale_ : 1, rate = rate_ * (1 - mix_) / static_cast<double>(batch_.size());
    for (Drawn& each : batch_) {
      const double share = masses_[each.group] * rows_per_mass_ / weight(each.group);  // s / pi
      each.move = rate * std::min(each.square / unit, clip_) * share;
      common_ += each.move;
    }
    // The part of all groups, -s, is a pass over them: with many groups it gathers over some batches.
    constexpr double visits = 4;  // of groups, for each row drawn
    bool all = static_cast<double>(++waiting_) * visits * epoch_.batch_size >= static_cast<double>(theta_.size());
    if (all) {
      for (std::size_t group = 0; group < theta_.size(); ++group)
        theta_[group] -= common_ * masses_[group] / masses_.total();
      common_ = 0;
      waiting_ = 0;
    }
    for (const Drawn& each : batch_) {
      theta_[each.group] += each.move;
      all = all || theta_[each.group] - origin_ > largest_exponent;
    }
    if (all) return rebuild();
    for (const Drawn& each : batch_) masses_.set(each.group, mass(each.group));
    rows_per_mass_ = total_rows() / masses_.total();
  }

  // Masses are rows * e^(theta - origin).
  double mass(std::size_t group) const {
    const double n = count(group, group + 1);
    return n > 0 ? n * std::exp(theta_[group] - origin_) : 0;
  }
  void refill() {
    masses_.set_all(theta_.size(), [&](std::size_t group) { return mass(group); });
    rows_per_mass_ = total_rows() / masses_.total();
  }
  void rebuild() {
    origin_ = *std::max_element(theta_.begin(), theta_.end());
    refill();
  }

  // The rows of the next batch. At theta = 0 both ways lead from a number to the same place among the sorted rows.
  void draw() {
    const std::int64_t n = std::min<std::int64_t>(epoch_.batch_size, rows() - epoch_.place);
    numbers_.resize(static_cast<std::size_t>(n));
    uniform_numbers(epoch_.seed, epoch_.number, epoch_.place, n, numbers_.data());
    for (std::int64_t i = 0; i < n; ++i) {
      const auto& [u, coin] = numbers_[static_cast<std::size_t>(i)];
      const std::size_t place = coin < mix_ ? part(u, static_cast<std::size_t>(rows())) : learned_place(u);
      epoch_.order[epoch_.place + i] = groups_.empty() ? static_cast<std::int64_t>(place) : members_[place];
    }
  }
  std::size_t learned_place(double u) const {
    double x = u * masses_.total();
    const std::size_t group = masses_.find(x);
    return groups_.empty() ? group : first_[group] + part(x / masses_[group], first_[group + 1] - first_[group]);
  }

  static constexpr double largest_exponent = 500;

  double rate_, mix_, clip_;
  bool normalize_;
  std::vector<std::uint32_t> groups_;  // of each row; empty: rows are groups
  std::vector<std::size_t> first_;     // where each group begins in members_
  std::vector<std::int64_t> members_;  // rows, group by group
  std::vector<double> theta_;
  MassTree masses_;
  double rows_per_mass_ = 1;
  double origin_ = 0, common_ = 0;  // common_ s is still to be taken from theta
  std::int64_t waiting_ = 0;        // batches since it was taken
  double scale_ = 0;                // m
  double sum_ = 0, drawn_ = 0;      // of d^2, and rows, of the running epoch
  double second_moment_ = std::numeric_limits<double>::quiet_NaN();
  std::vector<float> norms_;
  Epoch epoch_{};
  std::vector<Drawn> batch_;
  std::vector<Uniform> numbers_;
};

const RegisterSampler<AWSGD> awsgd("awsgd");

}  // namespace
}  // namespace fallline
