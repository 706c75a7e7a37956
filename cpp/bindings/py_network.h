// Network as Python sees it: one class for both dtypes.
#pragma once

#include <variant>

#include "bindings/arrays.h"
#include "bindings/module.h"
#include "minimizers/minimizer.h"
#include "network/trainer.h"

namespace fallline {

template <class T>
struct Engine {
  Network<T> network;
  BatchTrainer<T> batches{network};

  Engine(int inputs, const std::vector<Spec>& layers, std::uint64_t seed) : network(inputs, layers, seed) {}
};

template <template <class> class Of>
using EitherDtype = std::variant<std::unique_ptr<Of<float>>, std::unique_ptr<Of<double>>>;

class PyNetwork {
 public:
  PyNetwork(int inputs, const std::vector<py::dict>& layers, const std::string& dtype, std::uint64_t seed)
      : dtype_(dtype) {
    const std::vector<Spec> specs = checked_specs(inputs, layers);
    with_dtype(dtype, "Network", [&](auto zero) {
      using T = decltype(zero);
      engine_ = std::make_unique<Engine<T>>(inputs, specs, seed);
    });
  }

  // f(engine) with the engine of this dtype.
  template <class F>
  auto visit(F&& f) const {
    return std::visit([&](const auto& engine) { return f(*engine); }, engine_);
  }

  const std::string& dtype() const { return dtype_; }

  py::list parameters() const {
    return visit([](auto& e) { return told(e.network.parameters()); });
  }

  static py::list planned(int inputs, const std::vector<py::dict>& layers) {
    return told(Network<float>::planned(inputs, checked_specs(inputs, layers)));
  }

  py::array get(int slot, int index) const {
    return visit([&]<class T>(Engine<T>& e) -> py::array {
      const Parameter& p = parameter(e.network, slot, index);
      py::array_t<T> a(shape(p));
      const Claim claim(e.network.users, Claim::reading, "Model.get_weights");
      if (slot < 0)
        e.network.get_parameter(index, a.mutable_data());
      else
        e.network.get_slot(slot, index, a.mutable_data());
      return a;
    });
  }

  void set(int slot, int index, const py::object& value) const {
    visit([&]<class T>(Engine<T>& e) {
      const Parameter& p = parameter(e.network, slot, index);
      const auto a = as_array(value, "Model.set_weights", p.name);
      expect_shape(a, shape(p), "Model.set_weights", p.name);
      const auto contiguous = py::array_t<T, py::array::c_style | py::array::forcecast>(a);
      const Claim claim(e.network.users, Claim::writing, "Model.set_weights");
      if (slot < 0)
        e.network.set_parameter(index, contiguous.data());
      else
        e.network.set_slot(slot, index, contiguous.data());
    });
  }

  void compile(const py::dict& loss, const py::dict& optimizer, const std::vector<py::dict>& groups) const {
    std::vector<Spec> own;
    for (const py::dict& group : groups) own.push_back(as_spec(group));
    const Spec l = as_spec(loss), o = as_spec(optimizer);
    visit([&](auto& e) {
      const Claim fit(e.network.fits, Claim::writing, "Model.compile"),
          claim(e.network.users, Claim::writing, "Model.compile");
      e.network.compile(l, o, own);
    });
  }

  void swap_average() const {
    visit([](auto& e) {
      if (!e.network.average())
        throw std::runtime_error("Model.averaged: no average is kept; expected Optimizer(average=...)");
      const Claim claim(e.network.users, Claim::writing, "Model.averaged");
      e.network.swap_average();
    });
  }

  py::array predict(const py::object& x, int) const {
    return visit([&]<class T>(Engine<T>& e) -> py::array {
      const py::array rows = as_array(x, "Model.predict", "x");
      const Source source = as_source(rows, e.network.inputs(), "Model.predict", "x");
      const std::int64_t n = rows.shape(0);
      py::array_t<T> out({static_cast<py::ssize_t>(n), static_cast<py::ssize_t>(e.network.outputs())});
      T* target = out.mutable_data();
      if (n > 0) in_network([&] { fallline::predict(e.network, source, n, target); });
      return out;
    });
  }

  double evaluate(const py::object& x, const py::object& y, const py::object& weight, int,
                  const py::object& predictions) const {
    return visit([&]<class T>(Engine<T>& e) {
      std::vector<py::array> owners;
      const Data<T> data = checked<T>(e.network, x, y, weight, "Model.evaluate", owners);
      T* kept = predictions_of<T>(e.network, predictions, data.rows, "Model.evaluate", owners);
      return in_network([&] { return fallline::evaluate(e.network, data, kept); });
    });
  }

  py::tuple add_losses(const py::object& x, const py::object& y, const py::object& weight, double loss_sum,
                       double weight_sum, const py::object& predictions) const {
    return visit([&]<class T>(Engine<T>& e) {
      std::vector<py::array> owners;
      const Data<T> data = checked<T>(e.network, x, y, weight, "Model.evaluate", owners);
      T* kept = predictions_of<T>(e.network, predictions, data.rows, "Model.evaluate", owners);
      LossSums sums{loss_sum, weight_sum};
      const Claim claim(e.network.users, Claim::reading, "Model.evaluate");
      in_network([&] { fallline::add_losses(e.network, data, kept, sums); });
      return py::make_tuple(sums.loss, sums.weight);
    });
  }

  double total_loss(double loss_sum, double weight_sum) const {
    return visit([&](auto& e) {
      const Claim claim(e.network.users, Claim::reading, "Model.evaluate");
      const SubnormalsAreZero inside;
      return e.network.objective().total(loss_sum, weight_sum) + e.network.penalty();
    });
  }

  py::tuple loss_and_gradients(const py::object& x, const py::object& y, const py::object& weight) const {
    return visit([&]<class T>(Engine<T>& e) {
      std::vector<py::array> owners;
      const Data<T> data = checked<T>(e.network, x, y, weight, "Model.loss_and_gradients", owners, Batches::one);
      Buffer<T> gradient;
      const double loss = in_network([&] { return loss_and_gradient(e.network, data, gradient); });
      py::list all;
      for (const Parameter& p : e.network.parameters()) {
        py::array_t<T> a(shape(p));
        unpack(p, kernels<T>().panel_width, gradient.data(), a.mutable_data());
        all.append(a);
      }
      return py::make_tuple(loss, all);
    });
  }

  double train_on_batch(const py::object& x, const py::object& y, const py::object& weight,
                        double learning_rate) const {
    return visit([&]<class T>(Engine<T>& e) {
      std::vector<py::array> owners;
      Data<T> data = checked<T>(e.network, x, y, weight, "Model.train_on_batch", owners, Batches::one);
      return in_network([&] { return e.batches.train(std::move(data), learning_rate); });
    });
  }

  template <class T>
  static Data<T> checked(const Network<T>& network, const py::object& x, const py::object& y, const py::object& weight,
                         const char* operation, std::vector<py::array>& owners, Batches batches = Batches::any) {
    if (!network.compiled())
      throw std::runtime_error(std::string(operation) +
                               ": the model has no loss; expected compile() to be called first");
    return as_data<T>(x, y, weight, network.inputs(), network.outputs(), network.objective().takes_labels, batches,
                      operation, owners);
  }

  template <class T>
  static T* predictions_of(const Network<T>& network, const py::object& predictions, std::int64_t rows,
                           const char* operation, std::vector<py::array>& owners) {
    if (predictions.is_none()) return nullptr;
    owners.push_back(in_place(predictions, operation, "predictions"));
    expect_shape(owners.back(), {static_cast<py::ssize_t>(rows), network.outputs()}, operation, "predictions");
    return writable<T>(owners.back(), operation, "predictions");
  }

 private:
  static std::vector<Spec> checked_specs(int inputs, const std::vector<py::dict>& layers) {
    std::vector<Spec> specs;
    for (const py::dict& layer : layers) specs.push_back(as_spec(layer));
    if (inputs < 1) throw py::value_error("Network: inputs is " + std::to_string(inputs) + "; expected at least 1");
    if (specs.empty()) throw py::value_error("Network: layers has length 0; expected at least one layer");
    return specs;
  }

  static py::list told(const std::vector<Parameter>& parameters) {
    py::list all;
    for (const Parameter& p : parameters) all.append(py::make_tuple(p.layer, p.name, py::tuple(py::cast(shape(p)))));
    return all;
  }

  static std::vector<py::ssize_t> shape(const Parameter& p) {
    return p.vector ? std::vector<py::ssize_t>{p.columns} : std::vector<py::ssize_t>{p.rows, p.columns};
  }

  template <class T>
  static const Parameter& parameter(const Network<T>& network, int slot, int index) {
    const auto slots = static_cast<int>(network.slot_names().size()), n = static_cast<int>(network.parameters().size());
    if (index < 0 || index >= n || slot >= slots)
      throw py::index_error("Network: parameter " + std::to_string(index) + ", slot " + std::to_string(slot) +
                            "; expected one of " + std::to_string(n) + " parameters and " + std::to_string(slots) +
                            " slots");
    return network.parameters()[static_cast<std::size_t>(index)];
  }

  std::string dtype_;
  EitherDtype<Engine> engine_;
};

// The method in a Minimizer of Python's.
Minimizer& minimizer_of(const py::object& minimizer);

// The trainers, which are made by a method of the network's class.
void bind_trainers(py::module_& m, py::class_<PyNetwork>& network);

}  // namespace fallline
