// Fleet: networks that learn at the same time, as Python sees them.
#include <map>
#include <tuple>

#include "bindings/py_network.h"
#include "network/fleet.h"

namespace fallline {
namespace {

std::optional<Patience> as_patience(const std::optional<py::dict>& given) {
  if (!given) return std::nullopt;
  const auto get = [&]<class Value>(const char* name, Value) { return py::cast<Value>((*given)[name]); };
  Patience rule;
  rule.of_validation = get("of_validation", bool());
  rule.higher_is_better = get("higher_is_better", bool());
  rule.restores = get("restores", bool());
  rule.epochs = get("epochs", std::int64_t());
  rule.start_from = get("start_from", std::int64_t());
  rule.min_delta = get("min_delta", double());
  rule.baseline = get("baseline", std::optional<double>());
  return rule;
}

Rates as_rates(const py::object& rate) {
  if (!PyCallable_Check(rate.ptr())) return {py::cast<double>(rate), nullptr};
  return {0, [rate](std::uint64_t step, std::int64_t count) {
            return call_python([&] { return py::cast<std::vector<double>>(rate(step, count)); });
          }};
}

class PyFleet {
 public:
  using Rows = std::tuple<py::object, py::object, py::object>;

  void add_trainer(const py::object& owner, const Rows& rows, const std::optional<Rows>& held_out,
                   const std::optional<py::dict>& patience, std::int64_t batch_size, bool shuffle,
                   const py::object& rate) {
    if (batch_size < 1)
      throw py::value_error("Fleet.add_trainer: batch_size is " + std::to_string(batch_size) + "; expected at least 1");
    add<TrainerJob>(owner, rows, held_out, patience, static_cast<int>(batch_size), shuffle, as_rates(rate));
  }

  void add_minimizer(const py::object& owner, const Rows& rows, const std::optional<Rows>& held_out,
                     const std::optional<py::dict>& patience, const py::object& minimizer) {
    add<MinimizerJob>(owner, rows, held_out, patience, minimizer_of(minimizer));
    owners_.push_back(minimizer);
  }

  void extend(std::size_t i, std::int64_t epochs) {
    const AccessGuard::Fit alone(guard_, "Fleet.extend");
    if (epochs < 0)
      throw py::value_error("Fleet.extend: epochs is " + std::to_string(epochs) + "; expected at least 0");
    job(i).extend(epochs);
  }

  void run(double seconds) {
    const AccessGuard::Fit alone(guard_, "Fleet.run");
    in_network([&] { run_jobs(jobs_, seconds); });
  }

  std::vector<std::int64_t> left() const {
    const AccessGuard::Fit alone(guard_, "Fleet.left");
    std::vector<std::int64_t> epochs;
    for (const auto& each : jobs_) epochs.push_back(each->left());
    return epochs;
  }

  py::tuple take(std::size_t i) {
    const AccessGuard::Fit alone(guard_, "Fleet.take");
    const auto array = [](const std::vector<double>& losses) {
      return py::array_t<double>(std::ssize(losses), losses.data());
    };
    return py::make_tuple(array(job(i).take_losses()), array(job(i).take_held_out_losses()));
  }

  py::tuple end(std::size_t i) const {
    const AccessGuard::Fit alone(guard_, "Fleet.end");
    static constexpr const char* names[] = {"none", "patience", "not_finite", "optimizer"};
    return py::make_tuple(names[static_cast<int>(job(i).end())], job(i).reason());
  }

  void finish() {
    const AccessGuard::Fit alone(guard_, "Fleet.finish");
    in_network([&] {
      for (const auto& each : jobs_) each->finish();
    });
  }

  void close() {
    const AccessGuard::Fit alone(guard_, "Fleet.close");
    jobs_.clear();
    data_.clear();
    arrays_.clear();
    owners_.clear();
  }

 private:
  template <template <class> class Kind, class... Own>
  void add(const py::object& owner, const Rows& rows, const std::optional<Rows>& held_out,
           const std::optional<py::dict>& patience, Own&&... own) {
    const AccessGuard::Fit alone(guard_, "Fleet.add");
    py::cast<const PyNetwork&>(owner).visit([&]<class T>(Engine<T>& e) {
      if (e.network.foreign())
        throw py::value_error("Fleet.add: network has a layer or a loss of the user's own; expected none");
      auto data = shared<T>(e.network, rows);
      auto validation = held_out ? shared<T>(e.network, *held_out) : nullptr;
      jobs_.push_back(std::make_unique<Kind<T>>(e.network, std::move(data), std::move(validation),
                                                as_patience(patience), std::forward<Own>(own)...));
    });
    owners_.push_back(owner);
  }

  Job& job(std::size_t i) const {
    if (i >= jobs_.size())
      throw py::index_error("Fleet: job is " + std::to_string(i) + "; expected below " + std::to_string(jobs_.size()));
    return *jobs_[i];
  }

  // Rows that several networks take in the same way are checked and held once.
  template <class T>
  std::shared_ptr<const Data<T>> shared(const Network<T>& network, const Rows& rows) {
    const auto& [x, y, weight] = rows;
    const Key key{x.ptr(),
                  y.ptr(),
                  weight.ptr(),
                  sizeof(T),
                  network.inputs(),
                  network.outputs(),
                  network.objective().takes_labels};
    std::shared_ptr<const void>& known = data_[key];
    if (!known) {
      std::vector<py::array> arrays;
      known = std::make_shared<const Data<T>>(PyNetwork::checked<T>(network, x, y, weight, "Model.fit", arrays));
      arrays_.insert(arrays_.end(), arrays.begin(), arrays.end());
      owners_.push_back(py::make_tuple(x, y, weight));  // whose addresses must stay theirs
    }
    return std::static_pointer_cast<const Data<T>>(known);
  }

  using Key = std::tuple<PyObject*, PyObject*, PyObject*, std::size_t, int, int, bool>;

  // In the order of their making: the jobs go first.
  std::vector<py::object> owners_;
  std::vector<py::array> arrays_;
  std::map<Key, std::shared_ptr<const void>> data_;
  std::vector<std::unique_ptr<Job>> jobs_;
  mutable AccessGuard guard_{"group of models"};
};

}  // namespace

void bind_fleet(py::module_& m) {
  py::class_<PyFleet>(m, "Fleet")
      .def(py::init<>())
      .def("add_trainer", &PyFleet::add_trainer, py::arg("network"), py::arg("data"), py::arg("held_out"),
           py::arg("patience"), py::arg("batch_size"), py::arg("shuffle"), py::arg("learning_rate"))
      .def("add_minimizer", &PyFleet::add_minimizer, py::arg("network"), py::arg("data"), py::arg("held_out"),
           py::arg("patience"), py::arg("minimizer"))
      .def("extend", &PyFleet::extend, py::arg("job"), py::arg("epochs"))
      .def("run", &PyFleet::run, py::arg("seconds"))
      .def_property_readonly("left", &PyFleet::left)
      .def("take", &PyFleet::take, py::arg("job"))
      .def("end", &PyFleet::end, py::arg("job"))
      .def("finish", &PyFleet::finish)
      .def("close", &PyFleet::close);
}

}  // namespace fallline
