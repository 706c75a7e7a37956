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
    change([&](auto& surface, AccessGuard::Changing&) { cause = surface.first_not_finite(); });
    return cause;
  }
  // f(surface, what it does) for who changes the network.
  template <class F>
  void change(F&& f) const {
    visit([&](auto& surface) {
      in_network([&] {
        AccessGuard::Changing changing(surface.network().guard, "Model.fit");
        f(surface, changing);
      });
    });
  }
};

// function(x) is f(x); function(x, gradient) is f(x) too and writes the gradient.
class PyFunction final : public Function {
 public:
  PyFunction(py::object function, std::ptrdiff_t size) : function_(std::move(function)), size_(size) {}

  std::ptrdiff_t size() const override { return size_; }
  double value(const double* x) override {
    return call_python([&] { return py::cast<double>(function_(copy(x))); });
  }
  double value_and_gradient(const double* x, double* gradient) override {
    return call_python([&] {
      const py::array_t<double> g(size_);
      const auto value = py::cast<double>(function_(copy(x), g));
      std::copy_n(g.data(), size_, gradient);
      return value;
    });
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
    values_.clear();
    if (!py::isinstance<PySurface>(target)) {
      const auto x = py::cast<py::array_t<double, py::array::c_style | py::array::forcecast>>(start);
      PyFunction function(target, x.size());
      std::optional<AccessGuard::Changing> changing;
      in_network([&] { changing.emplace(minimizer_->guard, "minimize"); });
      const SubnormalsAreZero inside;
      return minimizer_->begin(function, x.data());
    }
    py::cast<const PySurface&>(target).change([&](auto& surface, AccessGuard::Changing&) {
      const AccessGuard::Changing learning(minimizer_->guard, "Model.fit");
      std::vector<double> x(static_cast<std::size_t>(surface.size()));
      surface.get(x.data());
      excursion(surface, [&] { return x.data(); }, [&] { minimizer_->begin(surface, x.data()); });
    });
  }

  // Iterations until a limit is reached; returns the value after each.
  py::array run(const py::object& target, std::int64_t iterations, double seconds) {
    using Clock = std::chrono::steady_clock;
    values_.clear();
    const auto until = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                          std::chrono::duration<double>(std::min(seconds, 1e8)));
    const auto over = [&] {
      return std::ssize(values_) >= iterations || !minimizer_->reason().empty() || Clock::now() >= until;
    };
    // At least one iteration, unless there is none to make.
    const auto iterate = [&](Function& function, auto wanted) {
      do {
        if (std::ssize(values_) >= iterations || !minimizer_->reason().empty()) return;
        if (minimizer_->iterate(function)) values_.push_back(minimizer_->value());
      } while (!over() && !wanted());
    };
    if (!py::isinstance<PySurface>(target)) {
      PyFunction function(target, std::ssize(minimizer_->x()));
      std::optional<AccessGuard::Changing> changing;
      in_network([&] { changing.emplace(minimizer_->guard, "minimize"); });
      const SubnormalsAreZero inside;
      iterate(function, [] { return false; });
      return as_vector(values_);
    }
    py::cast<const PySurface&>(target).change([&](auto& surface, AccessGuard::Changing& changing) {
      const auto wanted = [&] { return surface.network().guard.wanted() || signals_due(); };
      do {
        {
          const AccessGuard::Changing learning(minimizer_->guard, "Model.fit");
          if (std::ssize(minimizer_->x()) != surface.size())
            throw py::value_error("Minimizer.run: expected begin() first");
          excursion(surface, [&] { return minimizer_->x().data(); }, [&] { iterate(surface, wanted); });
        }
        changing.gap();
      } while (!over());
    });
    return as_vector(values_);
  }

  // f(method) without the GIL; what it returns are copies.
  template <class F>
  auto read(F&& f) const {
    return in_network([&] {
      const AccessGuard::Reading reading(minimizer_->guard, "Minimizer");
      return f(std::as_const(*minimizer_));
    });
  }

  Minimizer& core() { return *minimizer_; }
  py::array x() const {
    return as_vector(read([](auto& own) { return own.x(); }));
  }
  double value() const {
    return read([](auto& own) { return own.value(); });
  }
  std::string reason() const {
    return read([](auto& own) { return own.reason(); });
  }
  std::int64_t evaluations() const {
    return read([](auto& own) { return own.evaluations(); });
  }
  // Of the last run, as far as it went.
  py::array values() const {
    return as_vector(read([&](auto&) { return values_; }));
  }

  py::dict get_state() const {
    py::dict state;
    for (const auto& [name, values] : read([](auto& own) { return own.get_state(); }))
      state[py::str(name)] = as_vector(values);
    return state;
  }
  void set_state(const std::map<std::string, std::vector<double>>& state) {
    in_network([&] {
      const AccessGuard::Changing changing(minimizer_->guard, "Minimizer.set_state", AccessGuard::Changing::whole);
      minimizer_->set_state(state);
    });
  }

 private:
  static py::array_t<double> as_vector(const std::vector<double>& values) {
    return py::array_t<double>(std::ssize(values), values.data());
  }

  std::unique_ptr<Minimizer> minimizer_;
  std::vector<double> values_;
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
