// NumPy arrays as arguments: what each call may be given, and the sentence it raises with otherwise.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "bindings/gil.h"
#include "kernels/table.h"
#include "network/spec.h"
#include "network/step.h"

namespace fallline {

namespace py = pybind11;

// "(32, 784)"
std::string shape_text(const py::array& a);
std::string dtype_text(const py::array& a);
[[noreturn]] void bad_value(const std::string& operation, const std::string& what, const std::string& got,
                            const std::string& expected);
[[noreturn]] void bad_type(const std::string& operation, const std::string& what, const std::string& got,
                           const std::string& expected);

// Anything array-like, without a copy where it already is an array.
py::array as_array(const py::object& value, const std::string& operation, const std::string& name);

// A matrix whose rows can be read in place, (n, columns); a vector counts as (n, 1) if columns is 1.
Source as_source(const py::array& a, std::int64_t columns, const std::string& operation, const std::string& name);

// An argument that is written: an array already, since a copy would be lost.
py::array in_place(const py::object& value, const std::string& operation, const std::string& name);

// An array to be written in place: this dtype, C-contiguous, writable; anything else raises.
template <class T>
T* writable(const py::array& a, const std::string& operation, const std::string& name) {
  if (!py::isinstance<py::array_t<T>>(a))
    bad_type(operation, name, "dtype " + dtype_text(a), "dtype " + dtype_text(py::array_t<T>(0)));
  if (!(a.flags() & py::array::c_style))
    bad_value(operation, name, "strides that are not row-major", "a C-contiguous array");
  if (!a.writeable()) bad_value(operation, name, "read-only memory", "a writable array");
  return static_cast<T*>(const_cast<void*>(a.data()));
}

template <class T>
const T* readable(const py::array& a, const std::string& operation, const std::string& name) {
  if (!py::isinstance<py::array_t<T>>(a))
    bad_type(operation, name, "dtype " + dtype_text(a), "dtype " + dtype_text(py::array_t<T>(0)));
  if (!(a.flags() & py::array::c_style))
    bad_value(operation, name, "strides that are not row-major", "a C-contiguous array");
  return static_cast<const T*>(a.data());
}

void expect_shape(const py::array& a, const std::vector<py::ssize_t>& shape, const std::string& operation,
                  const std::string& name);

// Integer classes 0 .. classes-1.
std::vector<std::int32_t> as_labels(const py::array& a, std::int64_t rows, int classes, const std::string& operation,
                                    const std::string& name);

// Whether rows become one batch, whose rows the engine counts with an int.
enum class Batches { any, one };

// Rows, targets and weights for a loss, checked; the arrays they lie in are appended to `owners`.
template <class T>
Data<T> as_data(const py::object& x, const py::object& y, const py::object& weight, int inputs, int outputs,
                bool takes_labels, Batches batches, const std::string& operation, std::vector<py::array>& owners);

Spec as_spec(const py::dict& values);

// Calls f with a value of the dtype that `dtype` names.
template <class F>
auto with_dtype(const std::string& dtype, const std::string& operation, F&& f) {
  if (dtype == "float32") return f(float{});
  if (dtype == "float64") return f(double{});
  bad_value(operation, "dtype", "'" + dtype + "'", "'float32' or 'float64'");
}

}  // namespace fallline
