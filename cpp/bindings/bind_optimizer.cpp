// Update rules on NumPy arrays, and what schedules of their rates need.
#include <algorithm>
#include <cmath>

#include "bindings/arrays.h"
#include "bindings/module.h"
#include "network/update.h"

namespace fallline {
namespace {

constexpr const char* operation = "Optimizer.step";

// Memory of one argument, e.g. "grads[0]", to see that no two that are written overlap.
struct Extent {
  const char* begin;
  const char* end;
  std::string name;
};

// What a step touches; holds the arrays while the GIL is let go.
struct Arguments {
  std::vector<UpdateArrays<float>> singles;
  std::vector<UpdateArrays<double>> doubles;
  std::vector<py::array> held;
  std::vector<Extent> written, read;
};

const char* const expected_apart = "memory of its own";

bool overlap(const Extent& a, const Extent& b) { return a.begin < b.end && b.begin < a.end; }

template <class T>
void append(Arguments& all, std::vector<UpdateArrays<T>>& updates, const py::array& w, const py::array& g,
            const std::vector<py::list>& slots, std::size_t i) {
  const auto where = [&](const char* name) { return std::string(name) + "[" + std::to_string(i) + "]"; };
  const std::vector<py::ssize_t> shape(w.shape(), w.shape() + w.ndim());
  const auto keep = [&](const py::array& a, std::vector<Extent>& extents, const std::string& name) {
    const auto* begin = static_cast<const char*>(a.data());
    extents.push_back({begin, begin + a.nbytes(), name});
    all.held.push_back(a);
  };
  expect_shape(g, shape, operation, where("grads"));
  UpdateArrays<T> update{
      writable<T>(w, operation, where("params")), readable<T>(g, operation, where("grads")), {}, w.size()};
  keep(w, all.written, where("params"));
  keep(g, all.read, where("grads"));
  for (const py::list& slot : slots) {
    if (i >= slot.size())
      bad_value(operation, "slots", std::to_string(slot.size()) + " arrays", "one for each of params");
    const py::array s = in_place(slot[i], operation, where("slots"));
    expect_shape(s, shape, operation, where("slots"));
    update.slots.push_back(writable<T>(s, operation, where("slots")));
    keep(s, all.written, where("slots"));
  }
  updates.push_back(std::move(update));
}

// A gradient may be its own parameter, element by element: a step on x^2/2 needs no other.
void refuse_overlaps(Arguments& all) {
  auto& written = all.written;
  std::sort(written.begin(), written.end(), [](const Extent& a, const Extent& b) { return a.begin < b.begin; });
  for (std::size_t i = 1; i < written.size(); ++i)
    if (overlap(written[i - 1], written[i]))
      bad_value(operation, written[i].name, "memory shared with " + written[i - 1].name, expected_apart);
  for (const Extent& g : all.read) {
    auto next = std::lower_bound(written.begin(), written.end(), g.end,
                                 [](const Extent& w, const char* end) { return w.begin < end; });
    if (next == written.begin()) continue;
    --next;
    const bool own_param = next->begin == g.begin && next->end == g.end && next->name == "params" + g.name.substr(5);
    if (overlap(*next, g) && !own_param)
      bad_value(operation, g.name, "memory shared with " + next->name, expected_apart);
  }
}

void optimizer_step(const py::dict& optimizer, double learning_rate, std::int64_t step, const py::list& params,
                    const py::list& grads, const std::vector<py::list>& slots) {
  const OptimizerSettings settings(as_spec(optimizer));
  const std::size_t needed = settings.slot_names().size();
  if (slots.size() != needed)
    bad_value(operation, "slots", std::to_string(slots.size()) + " lists",
              std::to_string(needed) + ", as the optimizer keeps");
  if (grads.size() != params.size())
    bad_value(operation, "grads", std::to_string(grads.size()) + " arrays",
              std::to_string(params.size()) + ", one for each of params");
  Arguments all;
  for (std::size_t i = 0; i < params.size(); ++i) {
    const py::array w = in_place(params[i], operation, "params[" + std::to_string(i) + "]");
    const py::array g = as_array(grads[i], operation, "grads[" + std::to_string(i) + "]");
    if (py::isinstance<py::array_t<double>>(w))
      append(all, all.doubles, w, g, slots, i);
    else
      append(all, all.singles, w, g, slots, i);
  }
  refuse_overlaps(all);
  // clip_norm looks at all gradients together, so one call must see them all.
  if (settings.clip_norm > 0 && !all.singles.empty() && !all.doubles.empty())
    bad_type(operation, "params", "arrays of float32 and of float64", "one dtype when clip_norm is set");
  in_network([&] {
    if (!all.singles.empty()) update_arrays(settings, all.singles, learning_rate, step);
    if (!all.doubles.empty()) update_arrays(settings, all.doubles, learning_rate, step);
  });
}

}  // namespace

void bind_optimizer(py::module_& m) {
  m.def(
      "optimizer_slots", [](const py::dict& optimizer) { return OptimizerSettings(as_spec(optimizer)).slot_names(); },
      py::arg("optimizer"));
  m.def("optimizer_step", optimizer_step, py::arg("optimizer"), py::arg("learning_rate"), py::arg("step"),
        py::arg("params"), py::arg("grads"), py::arg("slots"));
  // NumPy's have other bits for one number than for many, and on another CPU.
  m.def("power", py::vectorize([](double base, double exponent) { return std::pow(base, exponent); }), py::arg("base"),
        py::arg("exponent"));
  m.def("cosine", py::vectorize([](double angle) { return std::cos(angle); }), py::arg("angle"));
}

}  // namespace fallline
