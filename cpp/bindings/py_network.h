// Network as Python sees it: one class for both dtypes.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <thread>
#include <variant>

#include "bindings/arrays.h"
#include "bindings/module.h"
#include "minimizers/minimizer.h"
#include "network/trainer.h"
#include "runtime/process.h"

namespace fallline {

template <class T>
struct Engine {
  Network<T> network;
  BatchTrainer<T> batches{network};
  std::vector<Spec> layers;
  // Networks with the average of the weights, for the threads that look at it, and how many these are.
  std::map<std::thread::id, std::unique_ptr<Network<T>>> averages;
  std::atomic<std::size_t> averages_shown{0};

  Engine(int inputs, const std::vector<Spec>& specs, std::uint64_t seed)
      : network(inputs, specs, seed), layers(specs) {}

  // What this thread reads.
  Network<T>& shown() {
    if (averages_shown == 0) return network;
    const std::lock_guard lock(process_mutex());
    const auto own = averages.find(std::this_thread::get_id());
    return own == averages.end() ? network : *own->second;
  }
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

  py::array get_parameter(int index) const {
    return visit([&]<class T>(Engine<T>& e) -> py::array {
      py::array_t<T> a(shape(parameter(e.network, index)));
      T* values = a.mutable_data();
      Network<T>& network = e.shown();
      in_network([&] {
        const AccessGuard::Reading reading(network.guard, "Model.get_weights");
        network.get_parameter(index, values);
      });
      return a;
    });
  }

  void set_parameter(int index, const py::object& value) const {
    visit([&]<class T>(Engine<T>& e) {
      Network<T>& shown = e.shown();
      const py::array_t<T> a = plain<T>(e.network, index, value);
      in_network([&] {
        const AccessGuard::Changing changing(e.network.guard, "Model.set_weights", AccessGuard::Changing::writing);
        give(e.network, shown, index, a.data());
      });
    });
  }

  py::object get_weights() const { return read_state(false)[0]; }

  // All of one step: weights, slots of the optimizer, counters.
  py::tuple get_state() const { return read_state(true); }

  void set_weights(const std::vector<py::object>& weights) const {
    write(weights, {}, [](auto&) {});
  }

  void set_state(const std::vector<py::object>& weights, const std::vector<std::vector<py::object>>& slots,
                 std::uint64_t step, std::uint64_t epoch) const {
    write(weights, slots, [&](auto& network) {
      network.step = step;
      network.epoch = epoch;
      network.row = 0;
    });
  }

  void compile(const py::dict& loss, const py::dict& optimizer, const std::vector<py::dict>& groups) const {
    std::vector<Spec> own;
    for (const py::dict& group : groups) own.push_back(as_spec(group));
    const Spec l = as_spec(loss), o = as_spec(optimizer);
    visit([&](auto& e) {
      in_network([&] {
        const AccessGuard::Fit fit(e.network.guard, "Model.compile");
        const AccessGuard::Changing changing(e.network.guard, "Model.compile");
        e.network.compile(l, o, own);
      });
    });
  }

  // From now on this thread reads the average, as it is now; others go on reading the weights.
  void show_average() const {
    visit([]<class T>(Engine<T>& e) {
      in_network([&] {
        auto average = std::make_unique<Network<T>>(e.network.inputs(), e.layers, e.network.seed());
        {
          const AccessGuard::Reading reading(e.network.guard, "Model.averaged");
          if (!e.network.average())
            throw std::runtime_error("Model.averaged: no average is kept; expected Optimizer(average=...)");
          average->take_average(e.network);
        }
        const std::lock_guard lock(process_mutex());
        std::swap(e.averages[std::this_thread::get_id()], average);  // what was there goes when the lock is free
        e.averages_shown = e.averages.size();
      });
    });
  }
  void hide_average() const {
    visit([]<class T>(Engine<T>& e) {
      std::unique_ptr<Network<T>> average;
      const std::lock_guard lock(process_mutex());
      if (const auto own = e.averages.find(std::this_thread::get_id()); own != e.averages.end()) {
        average = std::move(own->second);
        e.averages.erase(own);
        e.averages_shown = e.averages.size();
      }
    });
  }
  bool shows_average() const {
    return visit([](auto& e) { return &e.shown() != &e.network; });
  }

  py::array predict(const py::object& x, int) const {
    return visit([&]<class T>(Engine<T>& e) -> py::array {
      const py::array rows = as_array(x, "Model.predict", "x");
      const Source source = as_source(rows, e.network.inputs(), "Model.predict", "x");
      const std::int64_t n = rows.shape(0);
      py::array_t<T> out({static_cast<py::ssize_t>(n), static_cast<py::ssize_t>(e.network.outputs())});
      T* target = out.mutable_data();
      Network<T>& network = e.shown();
      if (n > 0) in_network([&] { fallline::predict(network, source, n, target); });
      return out;
    });
  }

  double evaluate(const py::object& x, const py::object& y, const py::object& weight, int,
                  const py::object& predictions) const {
    return visit([&]<class T>(Engine<T>& e) {
      std::vector<py::array> owners;
      const Data<T> data = checked<T>(e.network, x, y, weight, "Model.evaluate", owners);
      T* kept = predictions_of<T>(e.network, predictions, data.rows, "Model.evaluate", owners);
      Network<T>& network = e.shown();
      return in_network([&] { return fallline::evaluate(network, data, kept); });
    });
  }

  py::tuple add_losses(const py::object& x, const py::object& y, const py::object& weight, double loss_sum,
                       double weight_sum, const py::object& predictions) const {
    return visit([&]<class T>(Engine<T>& e) {
      std::vector<py::array> owners;
      const Data<T> data = checked<T>(e.network, x, y, weight, "Model.evaluate", owners);
      T* kept = predictions_of<T>(e.network, predictions, data.rows, "Model.evaluate", owners);
      LossSums sums{loss_sum, weight_sum};
      Network<T>& network = e.shown();
      in_network([&] {
        const AccessGuard::Reading reading(network.guard, "Model.evaluate");
        fallline::add_losses(network, data, kept, sums);
      });
      return py::make_tuple(sums.loss, sums.weight);
    });
  }

  double total_loss(double loss_sum, double weight_sum) const {
    return visit([&](auto& e) {
      auto& network = e.shown();
      return in_network([&] {
        const AccessGuard::Reading reading(network.guard, "Model.evaluate");
        return network.objective().total(loss_sum, weight_sum) + network.penalty();
      });
    });
  }

  py::tuple loss_and_gradients(const py::object& x, const py::object& y, const py::object& weight) const {
    return visit([&]<class T>(Engine<T>& e) {
      std::vector<py::array> owners;
      const Data<T> data = checked<T>(e.network, x, y, weight, "Model.loss_and_gradients", owners, Batches::one);
      Buffer<T> gradient;
      Network<T>& network = e.shown();
      const double loss = in_network([&] { return loss_and_gradient(network, data, gradient); });
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
  static const Parameter& parameter(const Network<T>& network, int index) {
    const auto n = static_cast<int>(network.parameters().size());
    if (index < 0 || index >= n)
      throw py::index_error("Network: parameter " + std::to_string(index) + "; expected one of " + std::to_string(n));
    return network.parameters()[static_cast<std::size_t>(index)];
  }

  // The value as a plain matrix for a parameter.
  template <class T>
  static py::array_t<T> plain(const Network<T>& network, int index, const py::object& value) {
    const Parameter& p = parameter(network, index);
    const auto a = as_array(value, "Model.set_weights", p.name);
    expect_shape(a, shape(p), "Model.set_weights", p.name);
    return py::array_t<T, py::array::c_style | py::array::forcecast>(a);
  }
  template <class T>
  static std::vector<py::array_t<T>> plain(const Network<T>& network, const std::vector<py::object>& values) {
    if (values.size() != network.parameters().size())
      throw py::value_error("Model.set_weights: weights has " + std::to_string(values.size()) + " arrays; expected " +
                            std::to_string(network.parameters().size()));
    std::vector<py::array_t<T>> all;
    for (int i = 0; i < std::ssize(values); ++i) all.push_back(plain(network, i, values[static_cast<std::size_t>(i)]));
    return all;
  }

  template <class T>
  using Pointers = std::vector<T*>;
  template <class T>
  static Pointers<T> pointers(std::vector<py::array_t<T>>& arrays) {
    Pointers<T> all;
    for (auto& each : arrays) all.push_back(each.mutable_data());
    return all;
  }

  // Weights that are given are their own average, also where that is shown.
  template <class T>
  static void give(Network<T>& network, Network<T>& shown, int index, const T* values) {
    network.set_parameter(index, values);
    if (&shown != &network) shown.set_parameter(index, values);
  }

  // Of one step: weights, slots of the optimizer if they are wanted, counters.
  py::tuple read_state(bool with_slots) const {
    return visit([&]<class T>(Engine<T>& e) -> py::tuple {
      const auto arrays = [&] {
        std::vector<py::array_t<T>> all;
        for (const Parameter& p : e.network.parameters()) all.emplace_back(shape(p));
        return all;
      };
      auto weights = arrays();
      std::vector<std::vector<py::array_t<T>>> slots;
      for (std::size_t s = 0; with_slots && s < e.network.slot_names().size(); ++s) slots.push_back(arrays());
      const Pointers<T> to_weights = pointers(weights);
      std::vector<Pointers<T>> to_slots;
      for (auto& each : slots) to_slots.push_back(pointers(each));
      std::int64_t step = 0, epoch = 0, row = 0;
      Network<T>& shown = e.shown();
      in_network([&] {
        const AccessGuard::Reading reading(e.network.guard, "Model.get_state");
        for (int i = 0; i < std::ssize(to_weights); ++i) {
          shown.get_parameter(i, to_weights[static_cast<std::size_t>(i)]);
          for (int s = 0; s < std::ssize(to_slots); ++s)
            e.network.get_slot(s, i, to_slots[static_cast<std::size_t>(s)][static_cast<std::size_t>(i)]);
        }
        step = static_cast<std::int64_t>(e.network.step);
        epoch = static_cast<std::int64_t>(e.network.epoch);
        row = e.network.row;
      });
      return py::make_tuple(weights, slots, step, epoch, row);
    });
  }

  // All weights, slots if there are any, and what and_more(network) writes, as one change.
  template <class F>
  void write(const std::vector<py::object>& weights, const std::vector<std::vector<py::object>>& slots,
             F and_more) const {
    visit([&]<class T>(Engine<T>& e) {
      Network<T>& shown = e.shown();
      const auto values = plain(e.network, weights);
      std::vector<std::vector<py::array_t<T>>> slot_values;
      for (const auto& each : slots) slot_values.push_back(plain(e.network, each));
      if (slots.size() > e.network.slot_names().size())
        throw py::index_error("Network: " + std::to_string(slots.size()) + " slots; expected " +
                              std::to_string(e.network.slot_names().size()));
      in_network([&] {
        const AccessGuard::Changing changing(e.network.guard, "Model.set_weights", AccessGuard::Changing::whole);
        for (int i = 0; i < std::ssize(values); ++i) {
          const auto k = static_cast<std::size_t>(i);
          give(e.network, shown, i, values[k].data());
          for (int s = 0; s < std::ssize(slot_values); ++s)
            e.network.set_slot(s, i, slot_values[static_cast<std::size_t>(s)][k].data());
        }
        and_more(e.network);
      });
    });
  }

  std::string dtype_;
  EitherDtype<Engine> engine_;
};

// The method in a Minimizer of Python's.
Minimizer& minimizer_of(const py::object& minimizer);

// The trainers, which are made by a method of the network's class.
void bind_trainers(py::module_& m, py::class_<PyNetwork>& network);

}  // namespace fallline
