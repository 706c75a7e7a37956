#include "bindings/arrays.h"

#include <bit>
#include <limits>

#include "bindings/foreign.h"

namespace fallline {

std::string shape_text(const py::array& a) { return py::str(a.attr("shape")); }
std::string dtype_text(const py::array& a) { return py::str(a.dtype()); }

void bad_value(const std::string& operation, const std::string& what, const std::string& got,
               const std::string& expected) {
  throw py::value_error(operation + ": " + what + " has " + got + "; expected " + expected);
}

void bad_type(const std::string& operation, const std::string& what, const std::string& got,
              const std::string& expected) {
  throw py::type_error(operation + ": " + what + " has " + got + "; expected " + expected);
}

py::array as_array(const py::object& value, const std::string& operation, const std::string& name) {
  py::array a = py::array::ensure(value);
  if (!a) {
    PyErr_Clear();
    bad_type(operation, name, "type " + std::string(py::str(py::type::of(value).attr("__name__"))), "an array");
  }
  return a;
}

py::array in_place(const py::object& value, const std::string& operation, const std::string& name) {
  if (!py::isinstance<py::array>(value))
    bad_type(operation, name, "type " + std::string(py::str(py::type::of(value).attr("__name__"))),
             "a NumPy array, written in place");
  return py::reinterpret_borrow<py::array>(value);
}

Source as_source(const py::array& a, std::int64_t columns, const std::string& operation, const std::string& name) {
  const auto expected = "(*, " + std::to_string(columns) + ")";
  const bool vector = a.ndim() == 1 && columns == 1;
  if (!vector && (a.ndim() != 2 || a.shape(1) != columns))
    bad_value(operation, name, "shape " + shape_text(a), expected);
  Source source{a.data(), SourceType::float32, a.strides(0), vector ? 0 : a.strides(1)};
  const py::dtype dtype = a.dtype();
  const char kind = dtype.kind();
  const auto size = dtype.itemsize();
  const char order = dtype.byteorder();  // native order may be spelt out
  const bool native = order == '=' || order == '|' || order == (std::endian::native == std::endian::little ? '<' : '>');
  if (native && kind == 'f' && size == 4)
    source.type = SourceType::float32;
  else if (native && kind == 'f' && size == 8)
    source.type = SourceType::float64;
  else if (kind == 'b' || (kind == 'u' && size == 1))
    source.type = SourceType::uint8;
  else if (native && kind == 'i' && size == 4)
    source.type = SourceType::int32;
  else if (native && kind == 'i' && size == 8)
    source.type = SourceType::int64;
  else
    bad_type(operation, name, "dtype " + dtype_text(a),
             "float32, float64, uint8, int32, int64 or bool in native byte order");
  return source;
}

void expect_shape(const py::array& a, const std::vector<py::ssize_t>& shape, const std::string& operation,
                  const std::string& name) {
  if (std::vector<py::ssize_t>(a.shape(), a.shape() + a.ndim()) != shape)
    bad_value(operation, name, "shape " + shape_text(a), std::string(py::str(py::tuple(py::cast(shape)))));
}

std::vector<std::int32_t> as_labels(const py::array& a, std::int64_t rows, int classes, const std::string& operation,
                                    const std::string& name) {
  if (a.dtype().kind() != 'i' && a.dtype().kind() != 'u' && a.dtype().kind() != 'b')
    bad_type(operation, name, "dtype " + dtype_text(a),
             "integer classes, or targets of shape (*, " + std::to_string(classes) + ")");
  expect_shape(a, {rows}, operation, name);
  const auto values = py::array_t<std::int64_t, py::array::forcecast>(a);
  std::vector<std::int32_t> labels(static_cast<std::size_t>(rows));
  for (std::int64_t i = 0; i < rows; ++i) {
    const std::int64_t label = values.at(i);
    if (label < 0 || label >= classes)
      bad_value(operation, name, "label " + std::to_string(label) + " in row " + std::to_string(i),
                "classes 0 to " + std::to_string(classes - 1));
    labels[static_cast<std::size_t>(i)] = static_cast<std::int32_t>(label);
  }
  return labels;
}

template <class T>
Data<T> as_data(const py::object& x, const py::object& y, const py::object& weight, int inputs, int outputs,
                bool takes_labels, Batches batches, const std::string& operation, std::vector<py::array>& owners) {
  const py::array xs = as_array(x, operation, "x"), ys = as_array(y, operation, "y");
  Data<T> data{as_source(xs, inputs, operation, "x"), xs.shape(0), {}, {}, {}};
  if (data.rows == 0) bad_value(operation, "x", "shape " + shape_text(xs), "at least one row");
  if (constexpr int most = std::numeric_limits<int>::max(); batches == Batches::one && data.rows > most)
    bad_value(operation, "x", std::to_string(data.rows) + " rows",
              "at most " + std::to_string(most) + " rows in one batch");
  if (takes_labels && outputs > 1 && ys.ndim() == 1) {
    data.labels = as_labels(ys, data.rows, outputs, operation, "y");
  } else {
    data.y = as_source(ys, outputs, operation, "y");
    if (ys.shape(0) != data.rows)
      bad_value(operation, "y", "shape " + shape_text(ys), std::to_string(data.rows) + " rows, as x has");
  }
  if (!weight.is_none()) {
    const auto values = py::array_t<double, py::array::forcecast>(as_array(weight, operation, "sample_weight"));
    expect_shape(values, {data.rows}, operation, "sample_weight");
    for (std::int64_t i = 0; i < data.rows; ++i) {
      const double w = values.at(i);
      if (!(w >= 0) || !std::isfinite(w))
        bad_value(operation, "sample_weight", "the value " + std::to_string(w) + " in row " + std::to_string(i),
                  "finite numbers of at least 0");
      data.weights.push_back(static_cast<T>(w));
    }
  }
  owners.push_back(xs);
  owners.push_back(ys);
  return data;
}

template Data<float> as_data(const py::object&, const py::object&, const py::object&, int, int, bool, Batches,
                             const std::string&, std::vector<py::array>&);
template Data<double> as_data(const py::object&, const py::object&, const py::object&, int, int, bool, Batches,
                              const std::string&, std::vector<py::array>&);

Spec as_spec(const py::dict& values) {
  Spec spec;
  for (const auto& [key, value] : values) {
    const auto name = py::cast<std::string>(key);
    if (value.is_none()) continue;
    if (py::isinstance<py::str>(value))
      spec.set(name, py::cast<std::string>(value));
    else if (py::isinstance<py::float_>(value) || py::isinstance<py::int_>(value))
      spec.set(name, py::cast<double>(value));
    else if (name == "layer")
      spec.set(name, foreign_layer(py::reinterpret_borrow<py::object>(value)));
    else if (name == "loss")
      spec.set(name, foreign_loss(py::reinterpret_borrow<py::object>(value)));
    else
      spec.set(name, py::cast<std::vector<double>>(value));
  }
  return spec;
}

}  // namespace fallline
