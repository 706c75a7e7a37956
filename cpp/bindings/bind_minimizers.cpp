// Minimizers, and what they go down on: the loss of a network or a Python function.
#include <chrono>

#include "bindings/closable.h"
#include "minimizers/minimizer.h"
#include "network/surface.h"

namespace fallline {
namespace {

class PySurface : public Closable<Surface> {
 public:
  PySurface(const py::object& owner, const py::object& x, const py::object& y, const py::object& weight)
      : Closable(owner) {
    py::cast<const PyNetwork&>(owner).visit([&]<class T>(Engine<T>& e) {
      auto data = std::make_shared<const Data<T>>(
          PyNetwork::checked<T>(e.network, x, y, weight, "Model.fit", state_->arrays, Batches::one));
      state_->held = std::make_unique<Surface<T>>(e.network, std::move(data));
    });
  }

  std::ptrdiff_t size() const {
    return visit([](auto& surface) { return surface.size(); });
  }
  std::string first_not_finite() const {
    std::string cause;
    claimed([&](auto& surface) { cause = in_network([&] { return surface.first_not_finite(); }); });
    return cause;
  }
  // f(surface), whose network nobody else may touch meanwhile.
  template <class F>
  void claimed(F&& f) const {
    visit([&](auto& surface) {
      const Claim claim(surface.network().users, Claim::writing, "Model.fit");
      f(surface);
    });
  }
};

// function(x) is f(x); function(x, gradient) is f(x) too and writes the gradient.
class PyFunction final : public Function {
 public:
  PyFunction(py::object function, std::ptrdiff_t size) : function_(std::move(function)), size_(size) {}

  std::ptrdiff_t size() const override { return size_; }
  double value(const double* x) override {
    const PythonCall call;
    return py::cast<double>(function_(copy(x)));
  }
  double value_and_gradient(const double* x, double* gradient) override {
    const PythonCall call;
    const py::array_t<double> g(size_);
    const auto value = py::cast<double>(function_(copy(x), g));
    std::copy_n(g.data(), size_, gradient);
    return value;
  }

 private:
  py::array_t<double> copy(const double* x) const { return py::array_t<double>(size_, x); }

  py::object function_;
  std::ptrdiff_t size_;
};

class PyMinimizer {
 public:
  PyMinimizer(const std::string& name, const py::dict& options) {
    const auto kind = minimizer_kinds().find(name);
    if (kind == minimizer_kinds().end())
      throw py::value_error("Minimizer: name is '" + name + "'; expected a known one");
    Options own;
    for (const auto& [key, value] : options)
      if (py::isinstance<py::str>(value))
        own.words[py::cast<std::string>(key)] = py::cast<std::string>(value);
      else
        own.numbers[py::cast<std::string>(key)] = py::cast<double>(value);
    minimizer_ = kind->second(own);
  }

  void begin(const py::object& target, const py::object& start) {
    const Claim claim(users_, Claim::writing, "Minimizer.begin");
    const SubnormalsAreZero inside;
    values_.clear();
    if (!py::isinstance<PySurface>(target)) {
      const auto x = py::cast<py::array_t<double, py::array::c_style | py::array::forcecast>>(start);
      PyFunction function(target, x.size());
      return minimizer_->begin(function, x.data());
    }
    py::cast<const PySurface&>(target).claimed([&](auto& surface) {
      std::vector<double> x(static_cast<std::size_t>(surface.size()));
      surface.get(x.data());
      // A signal whose handler does not raise lets it be done again.
      while (!interruptible(surface, [&] { return x.data(); }, [&] { minimizer_->begin(surface, x.data()); }));
    });
  }

  // Iterations until a limit is reached or a signal arrives; returns the value after each.
  py::array run(const py::object& target, std::int64_t iterations, double seconds) {
    const Claim claim(users_, Claim::writing, "Minimizer.run");
    const SubnormalsAreZero inside;
    values_.clear();
    if (py::isinstance<PySurface>(target)) {
      py::cast<const PySurface&>(target).claimed([&](auto& surface) {
        if (std::ssize(minimizer_->x()) != surface.size())
          throw py::value_error("Minimizer.run: expected begin() first");
        interruptible(surface, [&] { return minimizer_->x().data(); }, [&] { iterate(surface, iterations, seconds); });
      });
    } else {
      PyFunction function(target, std::ssize(minimizer_->x()));
      iterate(function, iterations, seconds);
    }
    return py::array_t<double>(std::ssize(values_), values_.data());
  }

  Minimizer& core() { return *minimizer_; }
  py::array x() const {
    const Claim claim(users_, Claim::reading, "Minimizer.x");
    return py::array_t<double>(std::ssize(minimizer_->x()), minimizer_->x().data());
  }
  double value() const {
    const Claim claim(users_, Claim::reading, "Minimizer.value");
    return minimizer_->value();
  }
  std::string reason() const {
    const Claim claim(users_, Claim::reading, "Minimizer.reason");
    return minimizer_->reason();
  }
  std::int64_t evaluations() const {
    const Claim claim(users_, Claim::reading, "Minimizer.evaluations");
    return minimizer_->evaluations();
  }

  py::array values() const {
    const Claim claim(users_, Claim::reading, "Minimizer.values");
    return py::array_t<double>(std::ssize(values_), values_.data());
  }

  py::dict get_state() const {
    const Claim claim(users_, Claim::reading, "Minimizer.get_state");
    py::dict state;
    for (const auto& [name, values] : minimizer_->get_state())
      state[py::str(name)] = py::array_t<double>(std::ssize(values), values.data());
    return state;
  }
  void set_state(const std::map<std::string, std::vector<double>>& state) {
    const Claim claim(users_, Claim::writing, "Minimizer.set_state");
    minimizer_->set_state(state);
  }

 private:
  // f() without the GIL; false if it was given up for a signal. The network is left where() it should be.
  template <class T, class Where, class F>
  static bool interruptible(Surface<T>& surface, Where where, F f) {
    const bool finished = in_network([&] { return excursion(surface, where, f); });
    const CallersArithmetic outside;
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    return finished;
  }

  void iterate(Function& function, std::int64_t iterations, double seconds) {
    using Clock = std::chrono::steady_clock;
    const auto until = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                          std::chrono::duration<double>(std::min(seconds, 1e8)));
    while (std::ssize(values_) < iterations && minimizer_->reason().empty()) {
      if (minimizer_->iterate(function)) values_.push_back(minimizer_->value());
      if (Clock::now() >= until) return;
    }
  }

  std::unique_ptr<Minimizer> minimizer_;
  std::vector<double> values_;  // of the last run, as far as it went
  mutable std::atomic<int> users_{0};
};

}  // namespace

Minimizer& minimizer_of(const py::object& minimizer) { return py::cast<PyMinimizer&>(minimizer).core(); }

void bind_minimizers(py::module_& m) {
  py::class_<PySurface>(m, "Surface")
      .def(py::init<const py::object&, const py::object&, const py::object&, const py::object&>(), py::arg("network"),
           py::arg("x"), py::arg("y"), py::arg("sample_weight") = py::none())
      .def_property_readonly("size", &PySurface::size)
      .def("first_not_finite", &PySurface::first_not_finite)
      .def("close", &PySurface::close);

  py::class_<PyMinimizer>(m, "Minimizer")
      .def(py::init<const std::string&, const py::dict&>(), py::arg("name"), py::arg("options"))
      .def("begin", &PyMinimizer::begin, py::arg("target"), py::arg("x") = py::none())
      .def("run", &PyMinimizer::run, py::arg("target"), py::arg("iterations"), py::arg("seconds"))
      .def_property_readonly("x", &PyMinimizer::x)
      .def_property_readonly("value", &PyMinimizer::value)
      .def_property_readonly("reason", &PyMinimizer::reason)
      .def_property_readonly("values", &PyMinimizer::values)
      .def_property_readonly("evaluations", &PyMinimizer::evaluations)
      .def("get_state", &PyMinimizer::get_state)
      .def("set_state", &PyMinimizer::set_state, py::arg("state"));
}

}  // namespace fallline
