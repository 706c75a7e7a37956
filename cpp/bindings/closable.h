// What works on a network and its data until it is closed: trainers and surfaces.
#pragma once

#include <optional>

#include "bindings/py_network.h"

namespace fallline {

// Of either dtype.
template <template <class> class Of>
class Closable {
 public:
  double running_loss() const {
    return visit([](auto& trainer) { return trainer.running_loss(); });
  }
  py::tuple sums() const {
    const LossSums sums = visit([](auto& trainer) { return trainer.sums(); });
    return py::make_tuple(sums.loss, sums.weight, sums.penalty);
  }
  // Lets go of the model and the data, once a run on another thread is over.
  void close() { state_.reset(); }

 protected:
  // In the order of their making: the trainer goes first, the network last.
  struct State {
    py::object network;
    std::optional<AccessGuard::Fit> fit;
    std::vector<py::array> arrays;
    EitherDtype<Of> held;
  };

  explicit Closable(const py::object& network) : state_(std::make_shared<State>()) {
    state_->network = network;
    py::cast<const PyNetwork&>(network).visit([&](auto& e) { state_->fit.emplace(e.network.guard, "Model.fit"); });
  }

  // f(trainer) with the trainer of this dtype.
  template <class F>
  auto visit(F&& f) const {
    const std::shared_ptr<State> state = state_;
    if (!state) throw std::runtime_error("Model.fit: its trainer or surface has been closed; expected an open one");
    return std::visit([&](const auto& trainer) { return f(*trainer); }, state->held);
  }

  std::shared_ptr<State> state_;
};

}  // namespace fallline
