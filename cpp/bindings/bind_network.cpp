// Network and Trainer: one Python class each for both dtypes.
#include <variant>

#include "bindings/arrays.h"
#include "bindings/module.h"
#include "network/trainer.h"

namespace fallline {
namespace {

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
    std::vector<Spec> specs;
    for (const py::dict& layer : layers) specs.push_back(as_spec(layer));
    if (inputs < 1) throw py::value_error("Network: inputs is " + std::to_string(inputs) + "; expected at least 1");
    if (specs.empty()) throw py::value_error("Network: layers has length 0; expected at least one layer");
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
    return visit([](auto& e) {
      py::list all;
      for (const Parameter& p : e.network.parameters())
        all.append(py::make_tuple(p.layer, p.name, py::tuple(py::cast(shape(p)))));
      return all;
    });
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
      if (n > 0) without_gil([&] { fallline::predict(e.network, source, n, target); });
      return out;
    });
  }

  double evaluate(const py::object& x, const py::object& y, const py::object& weight, int,
                  const py::object& predictions) const {
    return visit([&]<class T>(Engine<T>& e) {
      std::vector<py::array> owners;
      const Data<T> data = checked<T>(e.network, x, y, weight, "Model.evaluate", owners);
      T* kept = predictions_of<T>(e.network, predictions, data.rows, "Model.evaluate", owners);
      return without_gil([&] { return fallline::evaluate(e.network, data, kept); });
    });
  }

  py::tuple add_losses(const py::object& x, const py::object& y, const py::object& weight, double loss_sum,
                       double weight_sum, const py::object& predictions) const {
    return visit([&]<class T>(Engine<T>& e) {
      std::vector<py::array> owners;
      const Data<T> data = checked<T>(e.network, x, y, weight, "Model.evaluate", owners);
      T* kept = predictions_of<T>(e.network, predictions, data.rows, "Model.evaluate", owners);
      LossSums sums{loss_sum, weight_sum};
      without_gil([&] { fallline::add_losses(e.network, data, kept, sums); });
      return py::make_tuple(sums.loss, sums.weight);
    });
  }

  double total_loss(double loss_sum, double weight_sum) const {
    return visit([&](auto& e) {
      const Claim claim(e.network.users, Claim::reading, "Model.evaluate");
      return e.network.objective().total(loss_sum, weight_sum) + e.network.penalty();
    });
  }

  py::tuple loss_and_gradients(const py::object& x, const py::object& y, const py::object& weight) const {
    return visit([&]<class T>(Engine<T>& e) {
      std::vector<py::array> owners;
      const Data<T> data = checked<T>(e.network, x, y, weight, "Model.loss_and_gradients", owners);
      Buffer<T> gradient;
      const double loss = without_gil([&] { return loss_and_gradient(e.network, data, gradient); });
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
      Data<T> data = checked<T>(e.network, x, y, weight, "Model.train_on_batch", owners);
      return without_gil([&] { return e.batches.train(std::move(data), learning_rate); });
    });
  }

  template <class T>
  static Data<T> checked(const Network<T>& network, const py::object& x, const py::object& y, const py::object& weight,
                         const char* operation, std::vector<py::array>& owners) {
    if (!network.compiled())
      throw std::runtime_error(std::string(operation) +
                               ": the model has no loss; expected compile() to be called first");
    return as_data<T>(x, y, weight, network.inputs(), network.outputs(), network.objective().takes_labels, operation,
                      owners);
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

// A trainer of either dtype, until it is closed.
template <template <class> class Of>
class Closable {
 public:
  double running_loss() const {
    return visit([](auto& trainer) { return trainer.running_loss(); });
  }
  py::tuple sums() const {
    const LossSums sums = visit([](auto& trainer) { return trainer.sums(); });
    return py::make_tuple(sums.loss, sums.weight);
  }
  // Lets go of the model and the data, once a run on another thread is over.
  void close() { state_.reset(); }

 protected:
  // In the order of their making: the trainer goes first, the network last.
  struct State {
    py::object network;
    std::vector<py::array> arrays;
    EitherDtype<Of> trainer;
  };

  explicit Closable(const py::object& network) : state_(std::make_shared<State>()) { state_->network = network; }

  // f(trainer) with the trainer of this dtype.
  template <class F>
  auto visit(F&& f) const {
    const std::shared_ptr<State> state = state_;
    if (!state) throw std::runtime_error("Trainer: it has been closed; expected an open trainer");
    return std::visit([&](const auto& trainer) { return f(*trainer); }, state->trainer);
  }

  std::shared_ptr<State> state_;
};

class PyTrainer : public Closable<Trainer> {
 public:
  PyTrainer(const py::object& owner, const py::object& x, const py::object& y, const py::object& weight,
            std::int64_t batch_size, bool shuffle, const py::object& predictions, bool through_arena)
      : Closable(owner) {
    if (batch_size < 1)
      throw py::value_error("Model.fit: batch_size is " + std::to_string(batch_size) + "; expected at least 1");
    const auto route = through_arena ? GradientRoute::arena : GradientRoute::automatic;
    py::cast<const PyNetwork&>(owner).visit([&]<class T>(Engine<T>& e) {
      Data<T> data = PyNetwork::checked<T>(e.network, x, y, weight, "Model.fit", state_->arrays);
      T* kept = PyNetwork::predictions_of<T>(e.network, predictions, data.rows, "Model.fit", state_->arrays);
      const auto rows = static_cast<int>(std::min<std::int64_t>(batch_size, data.rows));
      state_->trainer = std::make_unique<Trainer<T>>(e.network, std::move(data), rows, shuffle, route, kept);
    });
  }

  std::int64_t batches_per_epoch() const {
    return visit([](auto& trainer) { return trainer.batches_per_epoch(); });
  }
  void resume(double loss_sum, double weight_sum) const {
    visit([&](auto& trainer) { trainer.resume({loss_sum, weight_sum}); });
  }

  py::tuple run(const std::vector<double>& rates, std::int64_t max_epochs, std::int64_t max_batches,
                double max_seconds) {
    if (rates.empty()) throw py::value_error("Trainer.run: learning_rates has length 0; expected at least one");
    std::vector<double> losses;
    const std::int64_t batches = visit([&](auto& trainer) {
      return without_gil([&] { return trainer.run(rates, {max_epochs, max_batches, max_seconds}, losses); });
    });
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    return py::make_tuple(batches, py::array_t<double>(static_cast<py::ssize_t>(losses.size()), losses.data()));
  }
};

class PyStreamTrainer : public Closable<StreamTrainer> {
 public:
  explicit PyStreamTrainer(const py::object& owner) : Closable(owner) {
    py::cast<const PyNetwork&>(owner).visit(
        [&]<class T>(Engine<T>& e) { state_->trainer = std::make_unique<StreamTrainer<T>>(e.network); });
  }

  void train(const py::object& x, const py::object& y, const py::object& weight, double learning_rate,
             const py::object& predictions) const {
    visit([&]<class T>(StreamTrainer<T>& trainer) {
      std::vector<py::array> owners;
      const Data<T> data = PyNetwork::checked<T>(trainer.network(), x, y, weight, "Model.fit", owners);
      T* kept = PyNetwork::predictions_of<T>(trainer.network(), predictions, data.rows, "Model.fit", owners);
      // A signal whose handler does not raise lets the batch be taken again.
      while (!without_gil([&] { return trainer.train(data, learning_rate, kept); }))
        if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    });
  }
  double finish_epoch() const {
    return visit([](auto& trainer) { return trainer.finish_epoch(); });
  }
  std::int64_t batch() const {
    return visit([](auto& trainer) { return trainer.batch(); });
  }
  void resume(double loss_sum, double weight_sum, std::int64_t batch) const {
    visit([&](auto& trainer) { trainer.resume({loss_sum, weight_sum}, batch); });
  }
};

// Below 0, PyNetwork::get and set mean the parameter itself.
int slot_index(int slot) {
  if (slot < 0) throw py::index_error("Network: slot is " + std::to_string(slot) + "; expected at least 0");
  return slot;
}

// A counter of the network as a read-write property.
template <class Member>
void bind_counter(py::class_<PyNetwork>& c, const char* name, Member member) {
  using Value = std::int64_t;
  c.def_property(
      name,
      [member](const PyNetwork& n) { return n.visit([&](auto& e) { return static_cast<Value>(member(e.network)); }); },
      [member, name](const PyNetwork& n, Value value) {
        if (value < 0)
          throw py::value_error("Network: " + std::string(name) + " is " + std::to_string(value) +
                                "; expected at least 0");
        n.visit([&](auto& e) {
          member(e.network) = static_cast<std::remove_reference_t<decltype(member(e.network))>>(value);
        });
      });
}

}  // namespace

void bind_network(py::module_& m) {
  py::register_exception<NonFiniteLoss>(m, "NonFiniteLoss", PyExc_RuntimeError);

  py::class_<PyTrainer>(m, "Trainer")
      .def_property_readonly("batches_per_epoch", &PyTrainer::batches_per_epoch)
      .def_property_readonly("running_loss", &PyTrainer::running_loss)
      .def_property_readonly("sums", &PyTrainer::sums)
      .def("resume", &PyTrainer::resume, py::arg("loss_sum"), py::arg("weight_sum"))
      .def("run", &PyTrainer::run, py::arg("learning_rates"), py::arg("max_epochs"), py::arg("max_batches"),
           py::arg("max_seconds"))
      .def("close", &PyTrainer::close);

  py::class_<PyStreamTrainer>(m, "StreamTrainer")
      .def(py::init<const py::object&>(), py::arg("network"))
      .def_property_readonly("batch", &PyStreamTrainer::batch)
      .def_property_readonly("running_loss", &PyStreamTrainer::running_loss)
      .def_property_readonly("sums", &PyStreamTrainer::sums)
      .def("train", &PyStreamTrainer::train, py::arg("x"), py::arg("y"), py::arg("sample_weight"),
           py::arg("learning_rate"), py::arg("predictions") = py::none())
      .def("finish_epoch", &PyStreamTrainer::finish_epoch)
      .def("resume", &PyStreamTrainer::resume, py::arg("loss_sum"), py::arg("weight_sum"), py::arg("batch"))
      .def("close", &PyStreamTrainer::close);

  py::class_<PyNetwork> network(m, "Network");
  network
      .def(py::init<int, const std::vector<py::dict>&, const std::string&, std::uint64_t>(), py::arg("inputs"),
           py::arg("layers"), py::arg("dtype"), py::arg("seed"))
      .def_property_readonly("inputs",
                             [](const PyNetwork& n) { return n.visit([](auto& e) { return e.network.inputs(); }); })
      .def_property_readonly("outputs",
                             [](const PyNetwork& n) { return n.visit([](auto& e) { return e.network.outputs(); }); })
      .def_property_readonly("dtype", &PyNetwork::dtype)
      .def_property_readonly("foreign",
                             [](const PyNetwork& n) { return n.visit([](auto& e) { return e.network.foreign(); }); })
      .def_property_readonly("parameters", &PyNetwork::parameters)
      .def_property_readonly("slots",
                             [](const PyNetwork& n) { return n.visit([](auto& e) { return e.network.slot_names(); }); })
      .def(
          "get_parameter", [](const PyNetwork& n, int index) { return n.get(-1, index); }, py::arg("index"))
      .def(
          "set_parameter", [](const PyNetwork& n, int index, const py::object& v) { n.set(-1, index, v); },
          py::arg("index"), py::arg("value"))
      .def(
          "get_slot", [](const PyNetwork& n, int slot, int index) { return n.get(slot_index(slot), index); },
          py::arg("slot"), py::arg("index"))
      .def(
          "set_slot",
          [](const PyNetwork& n, int slot, int index, const py::object& v) { n.set(slot_index(slot), index, v); },
          py::arg("slot"), py::arg("index"), py::arg("value"))
      .def("compile", &PyNetwork::compile, py::arg("loss"), py::arg("optimizer"),
           py::arg("groups") = std::vector<py::dict>())
      .def("swap_average", &PyNetwork::swap_average)
      .def("predict", &PyNetwork::predict, py::arg("x"), py::arg("batch_size") = 0)
      .def("evaluate", &PyNetwork::evaluate, py::arg("x"), py::arg("y"), py::arg("sample_weight") = py::none(),
           py::arg("batch_size") = 0, py::arg("predictions") = py::none())
      .def("add_losses", &PyNetwork::add_losses, py::arg("x"), py::arg("y"), py::arg("sample_weight"),
           py::arg("loss_sum"), py::arg("weight_sum"), py::arg("predictions") = py::none())
      .def("total_loss", &PyNetwork::total_loss, py::arg("loss_sum"), py::arg("weight_sum"))
      .def("loss_and_gradients", &PyNetwork::loss_and_gradients, py::arg("x"), py::arg("y"),
           py::arg("sample_weight") = py::none())
      .def("train_on_batch", &PyNetwork::train_on_batch, py::arg("x"), py::arg("y"), py::arg("sample_weight"),
           py::arg("learning_rate"))
      .def(
          "trainer",
          [](const py::object& n, const py::object& x, const py::object& y, const py::object& weight,
             std::int64_t batch_size, bool shuffle, const py::object& predictions, bool through_arena) {
            return std::make_unique<PyTrainer>(n, x, y, weight, batch_size, shuffle, predictions, through_arena);
          },
          py::arg("x"), py::arg("y"), py::arg("sample_weight") = py::none(), py::arg("batch_size") = 32,
          py::arg("shuffle") = true, py::arg("predictions") = py::none(), py::arg("through_arena") = false);
  bind_counter(network, "step", [](auto& n) -> auto& { return n.step; });
  bind_counter(network, "epoch", [](auto& n) -> auto& { return n.epoch; });
  bind_counter(network, "row", [](auto& n) -> auto& { return n.row; });
}

}  // namespace fallline
