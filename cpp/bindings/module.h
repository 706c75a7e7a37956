#pragma once

#include <pybind11/pybind11.h>

namespace py = pybind11;

namespace fallline {

void bind_runtime(py::module_& m);
void bind_network(py::module_& m);
void bind_samplers(py::module_& m);
void bind_minimizers(py::module_& m);
void bind_optimizer(py::module_& m);
void bind_fleet(py::module_& m);
void bind_ops(py::module_& m);

}  // namespace fallline
