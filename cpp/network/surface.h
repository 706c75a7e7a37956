// The loss of all rows as a function of the weights that learn: what full-batch methods go down on.
#pragma once

#include <exception>
#include <memory>
#include <optional>

#include "minimizers/function.h"
#include "network/step.h"
#include "runtime/signals.h"

namespace fallline {

// Points are the weights that learn, parameter by parameter, each row by row.
template <class T>
class Surface final : public Function {
 public:
  // For whose fit of the network it is. Evaluations throw Interrupted.
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

 private:
  Network<T>& network_;
  std::shared_ptr<const Data<T>> data_;
  std::vector<std::ptrdiff_t> places_;  // of each variable in the arena
  std::vector<std::int64_t> order_;
  std::optional<Workspace<T>> few_;  // where the rows stay if they are one block, made for the first value
  std::unique_ptr<Step<T>> step_;    // made for the first gradient
  std::int64_t look_every_;          // evaluations between two looks for signals
  std::int64_t until_look_ = 1;
};

// Runs f, which may evaluate anywhere, and leaves the network at the point that where() gives then, also where f
// throws. For who changes the network.
template <class T, class Where, class F>
void excursion(Surface<T>& surface, Where where, F f) {
  struct Return {
    Surface<T>& surface;
    Where& where;
    ~Return() { surface.set(where()); }
  };
  const Return back{surface, where};
  f();
}

}  // namespace fallline
