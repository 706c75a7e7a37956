// Which rows make the batches of an epoch. Each kind lives in one file of this folder and registers itself under the
// name that Python sends.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "network/spec.h"
#include "runtime/access_guard.h"

namespace fallline {

// Where the rows of an epoch go: order[place] is the row that is used at a place, counted from 0.
struct Epoch {
  std::uint64_t seed, number;
  std::int64_t* order;
  std::int64_t place;  // the first that is still to be used
  int batch_size;
};

class LearningSampler;

class Sampler {
 public:
  explicit Sampler(std::int64_t rows) : rows_(rows) {}
  virtual ~Sampler() = default;

  // Of the data, and places of an epoch.
  std::int64_t rows() const { return rows_; }
  // Fills all places of an epoch, as a function of its seed and number alone; one that learns, those of the next batch.
  virtual void begin(const Epoch& epoch) = 0;
  // True if an epoch may use a row several times, or never.
  virtual bool repeats() const { return true; }
  // True if the loss of a row is multiplied by factor(row), so that its mean over draws is the mean over all rows.
  virtual bool weighs() const { return false; }
  virtual double factor(std::int64_t /*row*/) const { return 1; }
  // Itself, if it learns.
  virtual LearningSampler* learning() { return nullptr; }

 private:
  std::int64_t rows_;
};

// One that draws each batch by what the gradients of the batches before have taught it.
class LearningSampler : public Sampler {
 public:
  using Sampler::Sampler;

  bool weighs() const final { return true; }
  LearningSampler* learning() final { return this; }

  // Rows index[0 .. n) of a batch have gradients, factors and all, of these squared norms. Once all rows of the batch
  // have been told it learns from them, and fills the places of the next batch.
  virtual void observe(const std::int64_t* index, const double* squares, int n, bool complete) = 0;

  // Of each group to draw from.
  virtual std::vector<double> probabilities() const = 0;
  // Of each row's gradient, without its factor, when it was last drawn; -1: never.
  virtual const std::vector<float>& norms() const = 0;
  // Mean of the squared norms, factors and all, of the last whole epoch; NaN before.
  virtual double second_moment() const = 0;

  // All that draws to come depend on, and what is told of those before: named vectors. set_state() throws
  // std::invalid_argument, with nothing changed, if they are those of another sampler.
  using State = std::map<std::string, std::vector<double>>;
  virtual State get_state() const = 0;
  virtual void set_state(const State& state) = 0;

  mutable AccessGuard guard{"sampler"};  // for who trains, or looks
};

// From its spec, for so many rows; `values` has a number for each row where the kind asks for it.
using MakeSampler =
    std::function<std::shared_ptr<Sampler>(const Spec&, std::int64_t rows, const std::vector<double>& values)>;

inline std::map<std::string, MakeSampler>& sampler_kinds() {
  static std::map<std::string, MakeSampler> kinds;
  return kinds;
}

// static const RegisterSampler<Shuffled> shuffled("shuffled");
template <class Kind>
struct RegisterSampler {
  explicit RegisterSampler(const char* name) {
    sampler_kinds()[name] = [](const Spec& spec, std::int64_t rows, const std::vector<double>& values) {
      return std::make_shared<Kind>(spec, rows, values);
    };
  }
};

// The kind that spec names as "name".
std::shared_ptr<Sampler> make_sampler(const Spec& spec, std::int64_t rows, const std::vector<double>& values = {});
// Of a kind that needs no more than its name.
std::shared_ptr<Sampler> make_sampler(const std::string& name, std::int64_t rows);

// Two independent numbers, >= 0 and < 1.
struct Uniform {
  double u, coin;
};

// For n places of an epoch from `first` on, as a function of (seed, epoch, place).
void uniform_numbers(std::uint64_t seed, std::uint64_t epoch, std::int64_t first, std::int64_t n, Uniform* numbers);

// floor(u n), below n in spite of rounding.
inline std::size_t part(double u, std::size_t n) {
  return std::min(static_cast<std::size_t>(u * static_cast<double>(n)), n - 1);
}

}  // namespace fallline
