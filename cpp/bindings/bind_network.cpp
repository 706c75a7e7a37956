// Network, and the errors of training.
#include "bindings/py_network.h"

namespace fallline {
namespace {

// A counter of the network as a read-write property.
template <class Member>
void bind_counter(py::class_<PyNetwork>& c, const char* name, Member member) {
  using Value = std::int64_t;
  c.def_property(
      name,
      [member](const PyNetwork& n) { return n.visit([&](auto& e) { return static_cast<Value>(member(e.network)); }); },
      [member, name](const PyNetwork& n, Value value) {
        if (value < 0)
          throw py::value_error("Network: " + std::string(name) + " is " + std::to_string(value) +
                                "; expected at least 0");
        n.visit([&](auto& e) {
          member(e.network) = static_cast<std::remove_reference_t<decltype(member(e.network))>>(value);
        });
      });
}

// with network.reading(): what is read meanwhile, by this thread, is of one step.
class PyReading {
 public:
  explicit PyReading(const py::object& network) : network_(network) {}

  void enter() {
    py::cast<const PyNetwork&>(network_).visit(
        [&](auto& e) { in_network([&] { reading_.emplace(e.network.guard, "Model.get_state"); }); });
  }
  void exit(const py::args&) { reading_.reset(); }

 private:
  py::object network_;
  std::optional<AccessGuard::Reading> reading_;
};

}  // namespace

void bind_network(py::module_& m) {
  py::register_exception<NonFiniteLoss>(m, "NonFiniteLoss", PyExc_RuntimeError);

  py::class_<PyReading>(m, "Reading").def("__enter__", &PyReading::enter).def("__exit__", &PyReading::exit);

  py::class_<PyNetwork> network(m, "Network");
  network
      .def(py::init<int, const std::vector<py::dict>&, const std::string&, std::uint64_t>(), py::arg("inputs"),
           py::arg("layers"), py::arg("dtype"), py::arg("seed"))
      .def_property_readonly("inputs",
                             [](const PyNetwork& n) { return n.visit([](auto& e) { return e.network.inputs(); }); })
      .def_property_readonly("outputs",
                             [](const PyNetwork& n) { return n.visit([](auto& e) { return e.network.outputs(); }); })
      .def_property_readonly("dtype", &PyNetwork::dtype)
      .def_property_readonly("foreign",
                             [](const PyNetwork& n) { return n.visit([](auto& e) { return e.network.foreign(); }); })
      .def_property_readonly("no_row_squares",
                             [](const PyNetwork& n) {
                               return n.visit([](auto& e) -> py::object {
                                 const auto [layer, reason] = e.network.no_row_squares();
                                 return reason ? py::object(py::make_tuple(layer, reason)) : py::none();
                               });
                             })
      .def_property_readonly("parameters", &PyNetwork::parameters)
      .def_static("planned", &PyNetwork::planned, py::arg("inputs"), py::arg("layers"))
      .def_property_readonly("slots",
                             [](const PyNetwork& n) { return n.visit([](auto& e) { return e.network.slot_names(); }); })
      .def("get_parameter", &PyNetwork::get_parameter, py::arg("index"))
      .def("set_parameter", &PyNetwork::set_parameter, py::arg("index"), py::arg("value"))
      .def("get_weights", &PyNetwork::get_weights)
      .def("get_state", &PyNetwork::get_state)
      .def("set_weights", &PyNetwork::set_weights, py::arg("weights"))
      .def("set_state", &PyNetwork::set_state, py::arg("weights"), py::arg("slots"), py::arg("step"), py::arg("epoch"))
      .def("reading", [](const py::object& n) { return std::make_unique<PyReading>(n); })
      .def("compile", &PyNetwork::compile, py::arg("loss"), py::arg("optimizer"),
           py::arg("groups") = std::vector<py::dict>())
      .def("show_average", &PyNetwork::show_average)
      .def("hide_average", &PyNetwork::hide_average)
      .def_property_readonly("shows_average", &PyNetwork::shows_average)
      .def("predict", &PyNetwork::predict, py::arg("x"), py::arg("batch_size") = 0)
      .def("evaluate", &PyNetwork::evaluate, py::arg("x"), py::arg("y"), py::arg("sample_weight") = py::none(),
           py::arg("batch_size") = 0, py::arg("predictions") = py::none())
      .def("add_losses", &PyNetwork::add_losses, py::arg("x"), py::arg("y"), py::arg("sample_weight"),
           py::arg("loss_sum"), py::arg("weight_sum"), py::arg("predictions") = py::none())
      .def("total_loss", &PyNetwork::total_loss, py::arg("loss_sum"), py::arg("weight_sum"))
      .def("loss_and_gradients", &PyNetwork::loss_and_gradients, py::arg("x"), py::arg("y"),
           py::arg("sample_weight") = py::none())
      .def("train_on_batch", &PyNetwork::train_on_batch, py::arg("x"), py::arg("y"), py::arg("sample_weight"),
           py::arg("learning_rate"));
  bind_trainers(m, network);
  bind_counter(network, "step", [](auto& n) -> auto& { return n.step; });
  bind_counter(network, "epoch", [](auto& n) -> auto& { return n.epoch; });
  bind_counter(network, "row", [](auto& n) -> auto& { return n.row; });
}

}  // namespace fallline
