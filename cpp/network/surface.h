// The loss of all rows as a function of the weights that learn: what full-batch methods go down on.
#pragma once

#include <exception>
#include <memory>
#include <optional>

#include "minimizers/function.h"
#include "network/step.h"
#include "runtime/interrupt.h"

namespace fallline {

// An evaluation was given up for a SIGINT.
struct Interrupted : std::exception {};

// Points are the weights that learn, parameter by parameter, each row by row.
template <class T>
class Surface final : public Function {
 public:
  // For who has claimed the network's fits.
  Surface(Network<T>& network, std::shared_ptr<const Data<T>> data);

  std::ptrdiff_t size() const override { return std::ssize(places_); }
  double value(const double* x) override;
  // Where the network is, and the loss is not finite; see Step.
  std::string first_not_finite();
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
  std::unique_ptr<Step<T>> step_;    // made for the first gradient
  std::uint64_t interrupts_ = std::numeric_limits<std::uint64_t>::max();
};

// Runs f, which may evaluate anywhere, and leaves the network at the point that where() gives then; false if f was
// given up for an interrupt. For who has claimed the network.
template <class T, class Where, class F>
bool excursion(Surface<T>& surface, Where where, F f) {
  struct Return {
    Surface<T>& surface;
    Where& where;
    ~Return() { surface.set(where()); }
  };
  const InterruptScope scope;
  surface.stop_beyond(interrupt_count());
  const Return back{surface, where};
  try {
    f();
    return true;
  } catch (const Interrupted&) {
    return false;
  }
}

}  // namespace fallline
