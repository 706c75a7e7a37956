// Samplers: plain ones, and those that learn.
#include "bindings/module.h"
#include "bindings/py_sampler.h"

namespace fallline {

void bind_samplers(py::module_& m) {
  py::class_<PySampler>(m, "Sampler")
      .def(py::init<py::dict, std::int64_t, py::object>(), py::arg("spec"), py::arg("rows"),
           py::arg("values") = py::none())
      .def_property_readonly("rows", [](const PySampler& s) { return s.sampler()->rows(); })
      .def_property_readonly("repeats", [](const PySampler& s) { return s.sampler()->repeats(); })
      .def_property_readonly("probabilities",
                             [](const PySampler& s) {
                               return PySampler::as_vector(s.read([](auto& own) { return own.probabilities(); }));
                             })
      .def_property_readonly(
          "norms",
          [](const PySampler& s) {
            return PySampler::as_vector(s.read([](auto& own) { return std::vector<float>(own.norms()); }));
          })
      .def_property_readonly("second_moment",
                             [](const PySampler& s) { return s.read([](auto& own) { return own.second_moment(); }); })
      .def("get_state", &PySampler::get_state)
      .def("set_state", &PySampler::set_state, py::arg("state"))
      .def(py::pickle([](const PySampler& s) { return s.pickled(); }, &PySampler::unpickled));
}

}  // namespace fallline
