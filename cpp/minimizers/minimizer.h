// Methods that look for the minimum of a deterministic function, one iteration at a time. Each kind lives in one file
// of this folder and registers itself under the name that Python sends.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "minimizers/function.h"
#include "runtime/access_guard.h"

namespace fallline {

// Named numbers and words: what a minimizer is told.
class Options {
 public:
  std::map<std::string, double> numbers;
  std::map<std::string, std::string> words;

  double number(const std::string& name) const { return find(numbers, name); }
  const std::string& word(const std::string& name) const { return find(words, name); }

 private:
  template <class Value>
  static const Value& find(const std::map<std::string, Value>& map, const std::string& name) {
    const auto found = map.find(name);
    if (found == map.end()) throw std::invalid_argument("Minimizer: the option " + name + " is missing");
    return found->second;
  }
};

class Minimizer {
 public:
  virtual ~Minimizer() = default;

  // Takes up f at x (n numbers) and evaluates it there. What was learned of a function of as many variables is kept.
  void begin(Function& f, const double* x) {
    x_.assign(x, x + f.size());
    reason_.clear();
    start(f);
  }

  // One iteration; false if it could make none. Nothing is left to do once there is a reason(), which an iteration that
  // got somewhere may leave too. If f throws, the minimizer is as it was before the iteration, or in a state between
  // two of its evaluations from which it can go on.
  virtual bool iterate(Function& f) = 0;

  // The best point so far and f there.
  virtual const std::vector<double>& x() const { return x_; }
  virtual double value() const { return value_; }
  // Why it has stopped, in words; empty before.
  const std::string& reason() const { return reason_; }
  // Calls of value() and value_and_gradient() in its life.
  std::int64_t evaluations() const { return evaluations_; }

  // What iterations to come depend on beside x: named vectors. set_state() throws std::invalid_argument, with nothing
  // changed, if they are not those of its kind.
  using State = std::map<std::string, std::vector<double>>;
  virtual State get_state() const = 0;
  virtual void set_state(const State& state) = 0;

  mutable AccessGuard guard{"optimizer"};  // for who goes down, or looks

 protected:
  // x_ is set.
  virtual void start(Function& f) = 0;
  bool stop(const char* reason) {
    reason_ = reason;
    return false;
  }

  std::vector<double> x_;
  double value_ = 0;
  std::int64_t evaluations_ = 0;

 private:
  std::string reason_;
};

using MakeMinimizer = std::function<std::unique_ptr<Minimizer>(const Options&)>;

inline std::map<std::string, MakeMinimizer>& minimizer_kinds() {
  static std::map<std::string, MakeMinimizer> kinds;
  return kinds;
}

// static const RegisterMinimizer<LBFGS> lbfgs("lbfgs");
template <class Kind>
struct RegisterMinimizer {
  explicit RegisterMinimizer(const char* name) {
    minimizer_kinds()[name] = [](const Options& options) { return std::make_unique<Kind>(options); };
  }
};

}  // namespace fallline
