// The compiled core as Python sees it. One file per topic; no arithmetic here.
#include "bindings/module.h"

#include "bindings/gil.h"

PYBIND11_MODULE(_core, m, py::mod_gil_not_used()) {
  m.attr("__version__") = FALLLINE_VERSION;
  fallline::prepare_threads();
  fallline::bind_runtime(m);
  fallline::bind_samplers(m);
  fallline::bind_network(m);
  fallline::bind_minimizers(m);
  fallline::bind_optimizer(m);
  fallline::bind_fleet(m);
  fallline::bind_ops(m);
}
