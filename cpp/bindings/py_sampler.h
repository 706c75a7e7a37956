// Sampler as Python sees it; it travels with what it was made of.
#pragma once

#include "bindings/arrays.h"
#include "network/samplers/sampler.h"

namespace fallline {

class PySampler {
 public:
  PySampler(py::dict spec, std::int64_t rows, py::object values) : spec_(std::move(spec)), values_(std::move(values)) {
    if (rows < 1) throw py::value_error("Sampler: rows is " + std::to_string(rows) + "; expected at least 1");
    std::vector<double> numbers;
    if (!values_.is_none()) {
      numbers = numbers_of(values_, "values");
      if (std::ssize(numbers) != rows)
        bad_value("Sampler", "values", std::to_string(numbers.size()) + " numbers", std::to_string(rows));
    }
    sampler_ = make_sampler(as_spec(spec_), rows, numbers);
  }

  const std::shared_ptr<Sampler>& sampler() const { return sampler_; }

  // f(sampler), which must be one that learns, without the GIL.
  template <class F>
  auto read(F&& f) const {
    return in_network([&, own = learning()] {
      const AccessGuard::Reading reading(own->guard, "Sampler");
      return f(std::as_const(*own));
    });
  }

  // Empty for one that does not learn.
  py::dict get_state() const {
    py::dict state;
    if (!sampler_->learning()) return state;
    for (const auto& [name, values] : read([](const LearningSampler& own) { return own.get_state(); }))
      state[py::str(name)] = as_vector(values);
    return state;
  }
  void set_state(const py::dict& state) const {
    if (state.empty() && !sampler_->learning()) return;
    LearningSampler::State named;
    for (const auto& [name, values] : state)
      named[py::cast<std::string>(name)] = numbers_of(py::reinterpret_borrow<py::object>(values), "state");
    in_network([&, own = learning()] {
      const AccessGuard::Changing changing(own->guard, "Sampler", AccessGuard::Changing::whole);
      own->set_state(named);
    });
  }

  py::tuple pickled() const { return py::make_tuple(spec_, sampler_->rows(), values_, get_state()); }
  static PySampler unpickled(const py::tuple& t) {
    PySampler made(t[0], py::cast<std::int64_t>(t[1]), t[2]);
    made.set_state(t[3]);
    return made;
  }

  template <class Number>
  static py::array_t<Number> as_vector(const std::vector<Number>& values) {
    return py::array_t<Number>(static_cast<py::ssize_t>(values.size()), values.data());
  }

 private:
  LearningSampler* learning() const {
    LearningSampler* own = sampler_->learning();
    if (!own) throw py::attribute_error("Sampler: it does not learn; expected one that does");
    return own;
  }

  static std::vector<double> numbers_of(const py::object& values, const char* name) {
    const auto array =
        py::array_t<double, py::array::c_style | py::array::forcecast>(as_array(values, "Sampler", name));
    return {array.data(), array.data() + array.size()};
  }

  py::dict spec_;
  py::object values_;
  std::shared_ptr<Sampler> sampler_;
};

}  // namespace fallline
