// The loss of all rows as a function of the weights that learn: what full-batch methods go down on.
#pragma once

#include <memory>
#include <optional>

#include "minimizers/function.h"
#include "network/step.h"

namespace fallline {

// An evaluation was given up for a SIGINT.
struct Interrupted {};

// Points are the weights that learn, parameter by parameter, each row by row.
template <class T>
class Surface final : public Function {
 public:
  // For who has claimed the network's fits.
  Surface(Network<T>& network, std::shared_ptr<const Data<T>> data);

  std::ptrdiff_t size() const override { return std::ssize(places_); }
  double value(const double* x) override;
  double value_and_gradient(const double* x, double* gradient) override;
  void round(double* x) const override;

  Network<T>& network() { return network_; }
  // Where the network is, and to put it elsewhere; evaluations leave it at their point.
  void get(double* x) const;
  void set(const double* x);
  // Give evaluations up once interrupts are counted beyond this.
  void stop_beyond(std::uint64_t interrupts);

 private:
  Network<T>& network_;
  std::shared_ptr<const Data<T>> data_;
  std::vector<std::ptrdiff_t> places_;  // of each variable in the arena
  std::vector<std::int64_t> order_;
  std::optional<Workspace<T>> few_;  // where the rows stay if they are one block, made for the first value
  std::optional<Step<T>> step_;      // made for the first gradient
  std::uint64_t interrupts_ = std::numeric_limits<std::uint64_t>::max();
};

}  // namespace fallline
