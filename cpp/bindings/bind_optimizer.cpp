// Update rules on NumPy arrays.
#include "bindings/arrays.h"
#include "bindings/module.h"
#include "network/update.h"

namespace fallline {
namespace {

constexpr const char* operation = "Optimizer.step";

template <class T>
UpdateArrays<T> as_update(const py::list& params, const py::list& grads, const py::list& slots, std::size_t i) {
  const auto where = [&](const char* name) { return std::string(name) + "[" + std::to_string(i) + "]"; };
  const auto w = py::cast<py::array>(params[i]);
  const auto g = as_array(grads[i], operation, where("grads"));
  const std::vector<py::ssize_t> shape(w.shape(), w.shape() + w.ndim());
  expect_shape(g, shape, operation, where("grads"));
  UpdateArrays<T> arrays{
      writable<T>(w, operation, where("params")), readable<T>(g, operation, where("grads")), {}, w.size()};
  for (const auto& slot : slots) {
    const auto s = py::cast<py::array>(py::cast<py::list>(slot)[i]);
    expect_shape(s, shape, operation, where("slots"));
    arrays.slots.push_back(writable<T>(s, operation, where("slots")));
  }
  return arrays;
}

void optimizer_step(const py::dict& optimizer, double learning_rate, std::int64_t step, const py::list& params,
                    const py::list& grads, const py::list& slots) {
  const OptimizerSettings settings(as_spec(optimizer));
  if (params.size() != grads.size())
    bad_value(operation, "grads", std::to_string(grads.size()) + " arrays",
              std::to_string(params.size()) + ", one for each of params");
  std::vector<UpdateArrays<float>> singles;
  std::vector<UpdateArrays<double>> doubles;
  for (std::size_t i = 0; i < params.size(); ++i) {
    if (!py::isinstance<py::array>(params[i]))
      bad_type(operation, "params[" + std::to_string(i) + "]",
               "type " + std::string(py::str(py::type::of(params[i]).attr("__name__"))),
               "a NumPy array, updated in place");
    if (py::isinstance<py::array_t<double>>(params[i]))
      doubles.push_back(as_update<double>(params, grads, slots, i));
    else
      singles.push_back(as_update<float>(params, grads, slots, i));
  }
  // clip_norm looks at all gradients together, so one call must see them all.
  if (settings.clip_norm > 0 && !singles.empty() && !doubles.empty())
    bad_type(operation, "params", "arrays of float32 and of float64", "one dtype when clip_norm is set");
  without_gil([&] {
    if (!singles.empty()) update_arrays(settings, singles, learning_rate, step);
    if (!doubles.empty()) update_arrays(settings, doubles, learning_rate, step);
  });
}

}  // namespace

void bind_optimizer(py::module_& m) {
  m.def("optimizer_step", optimizer_step, py::arg("optimizer"), py::arg("learning_rate"), py::arg("step"),
        py::arg("params"), py::arg("grads"), py::arg("slots"));
}

}  // namespace fallline
