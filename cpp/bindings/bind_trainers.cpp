// Trainers: over arrays, and over batches given one by one.
#include <array>

#include "bindings/closable.h"
#include "bindings/py_sampler.h"

namespace fallline {
namespace {

using Sums = std::array<double, 3>;

LossSums as_sums(const Sums& sums) { return {sums[0], sums[1], sums[2]}; }

class PyTrainer : public Closable<Trainer> {
 public:
  PyTrainer(const py::object& owner, const py::object& x, const py::object& y, const py::object& weight,
            std::int64_t batch_size, const py::object& sampler, const py::object& predictions, bool through_arena)
      : Closable(owner) {
    if (batch_size < 1)
      throw py::value_error("Model.fit: batch_size is " + std::to_string(batch_size) + "; expected at least 1");
    const auto route = through_arena ? GradientRoute::arena : GradientRoute::automatic;
    py::cast<const PyNetwork&>(owner).visit([&]<class T>(Engine<T>& e) {
      auto data =
          std::make_shared<const Data<T>>(PyNetwork::checked<T>(e.network, x, y, weight, "Model.fit", state_->arrays));
      T* kept = PyNetwork::predictions_of<T>(e.network, predictions, data->rows, "Model.fit", state_->arrays);
      const auto rows = static_cast<int>(std::min<std::int64_t>(batch_size, data->rows));
      auto order =
          sampler.is_none() ? make_sampler("shuffled", data->rows) : py::cast<const PySampler&>(sampler).sampler();
      if (order->rows() != data->rows)
        bad_value("Model.fit", "sampler", std::to_string(order->rows()) + " rows",
                  std::to_string(data->rows) + ", as x has");
      state_->held = std::make_unique<Trainer<T>>(e.network, std::move(data), rows, std::move(order), route, kept);
    });
  }

  std::int64_t batches_per_epoch() const {
    return visit([](auto& trainer) { return trainer.batches_per_epoch(); });
  }
  void resume(std::uint64_t epoch, std::int64_t row, const Sums& sums) const {
    visit([&](auto& trainer) { trainer.resume(epoch, row, as_sums(sums)); });
  }

  py::tuple drawn() const {
    return visit([]<class T>(Trainer<T>& trainer) -> py::tuple {
      const auto drawn = trainer.drawn();
      return py::make_tuple(PySampler::as_vector(drawn.rows), PySampler::as_vector(drawn.weights));
    });
  }
  void set_drawn(const std::vector<std::int64_t>& rows, const std::vector<double>& weights) const {
    visit([&]<class T>(Trainer<T>& trainer) { trainer.set_drawn({rows, {weights.begin(), weights.end()}}); });
  }

  py::tuple run(const std::vector<double>& rates, std::int64_t max_epochs, std::int64_t max_batches,
                double max_seconds) {
    if (rates.empty()) throw py::value_error("Trainer.run: learning_rates has length 0; expected at least one");
    losses_ = py::array_t<double>(0);
    std::vector<double> losses;
    const auto keep = [&] { losses_ = py::array_t<double>(std::ssize(losses), losses.data()); };
    std::int64_t batches = 0;
    try {
      batches = visit([&](auto& trainer) {
        return in_network([&] { return trainer.run(rates, {max_epochs, max_batches, max_seconds}, losses); });
      });
    } catch (...) {
      keep();
      throw;
    }
    keep();
    return py::make_tuple(batches, losses_);
  }
  py::array losses() const { return losses_; }

 private:
  py::array losses_ = py::array_t<double>(0);
};

class PyStreamTrainer : public Closable<StreamTrainer> {
 public:
  explicit PyStreamTrainer(const py::object& owner) : Closable(owner) {
    py::cast<const PyNetwork&>(owner).visit(
        [&]<class T>(Engine<T>& e) { state_->held = std::make_unique<StreamTrainer<T>>(e.network); });
  }

  void train(const py::object& x, const py::object& y, const py::object& weight, double learning_rate,
             const py::object& predictions) const {
    visit([&]<class T>(StreamTrainer<T>& trainer) {
      std::vector<py::array> owners;
      const Data<T> data = PyNetwork::checked<T>(trainer.network(), x, y, weight, "Model.fit", owners, Batches::one);
      T* kept = PyNetwork::predictions_of<T>(trainer.network(), predictions, data.rows, "Model.fit", owners);
      in_network([&] { trainer.train(data, learning_rate, kept); });
    });
  }
  double finish_epoch() const {
    return visit([](auto& trainer) { return trainer.finish_epoch(); });
  }
  std::int64_t batch() const {
    return visit([](auto& trainer) { return trainer.batch(); });
  }
  void resume(std::uint64_t epoch, std::int64_t row, std::int64_t batch, const Sums& sums) const {
    visit([&](auto& trainer) { trainer.resume(epoch, row, batch, as_sums(sums)); });
  }
};

}  // namespace

void bind_trainers(py::module_& m, py::class_<PyNetwork>& network) {
  py::class_<PyTrainer>(m, "Trainer")
      .def_property_readonly("batches_per_epoch", &PyTrainer::batches_per_epoch)
      .def_property_readonly("running_loss", &PyTrainer::running_loss)
      .def_property_readonly("sums", &PyTrainer::sums)
      .def("resume", &PyTrainer::resume, py::arg("epoch"), py::arg("row"), py::arg("sums"))
      .def_property_readonly("drawn", &PyTrainer::drawn)
      .def("set_drawn", &PyTrainer::set_drawn, py::arg("rows"), py::arg("weights"))
      .def("run", &PyTrainer::run, py::arg("learning_rates"), py::arg("max_epochs"), py::arg("max_batches"),
           py::arg("max_seconds"))
      .def_property_readonly("losses", &PyTrainer::losses)
      .def("close", &PyTrainer::close);

  py::class_<PyStreamTrainer>(m, "StreamTrainer")
      .def(py::init<const py::object&>(), py::arg("network"))
      .def_property_readonly("batch", &PyStreamTrainer::batch)
      .def_property_readonly("running_loss", &PyStreamTrainer::running_loss)
      .def_property_readonly("sums", &PyStreamTrainer::sums)
      .def("train", &PyStreamTrainer::train, py::arg("x"), py::arg("y"), py::arg("sample_weight"),
           py::arg("learning_rate"), py::arg("predictions") = py::none())
      .def("finish_epoch", &PyStreamTrainer::finish_epoch)
      .def("resume", &PyStreamTrainer::resume, py::arg("epoch"), py::arg("row"), py::arg("batch"), py::arg("sums"))
      .def("close", &PyStreamTrainer::close);

  network.def(
      "trainer",
      [](const py::object& n, const py::object& x, const py::object& y, const py::object& weight,
         std::int64_t batch_size, const py::object& sampler, const py::object& predictions, bool through_arena) {
        return std::make_unique<PyTrainer>(n, x, y, weight, batch_size, sampler, predictions, through_arena);
      },
      py::arg("x"), py::arg("y"), py::arg("sample_weight") = py::none(), py::arg("batch_size") = 32,
      py::arg("sampler") = py::none(), py::arg("predictions") = py::none(), py::arg("through_arena") = false);
}

}  // namespace fallline
