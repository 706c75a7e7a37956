// Kernels on NumPy arrays. a and x may be of any strides and of any dtype the engine reads; results have a's dtype.
#include "bindings/arrays.h"
#include "bindings/module.h"
#include "network/layers/layer.h"
#include "network/ops.h"

namespace fallline {
namespace {

std::string float_dtype(const py::array& a, const std::string& operation, const std::string& name) {
  std::string dtype = dtype_text(a);
  if (dtype != "float32" && dtype != "float64") bad_type(operation, name, "dtype " + dtype, "float32 or float64");
  return dtype;
}

void same_dtype(const py::array& a, const py::array& b, const std::string& operation, const std::string& name) {
  if (dtype_text(a) != dtype_text(b)) bad_type(operation, name, "dtype " + dtype_text(b), "dtype " + dtype_text(a));
}

void expect_matrix(const py::array& a, const std::string& operation, const std::string& name) {
  if (a.ndim() != 2) bad_value(operation, name, "shape " + shape_text(a), "two dimensions");
}

Source transposed(Source s) {
  std::swap(s.row_stride, s.column_stride);
  return s;
}

template <class T>
py::array_t<T> result(const py::object& out, const std::vector<py::ssize_t>& shape, const std::string& operation) {
  if (out.is_none()) return py::array_t<T>(shape);
  const auto a = in_place(out, operation, "out");
  writable<T>(a, operation, "out");
  expect_shape(a, shape, operation, "out");
  return a;
}

// By their bounds, which may see an overlap between interleaved views that have none.
bool overlap(const py::array& a, const py::array& b) {
  return py::cast<bool>(py::module_::import("numpy").attr("may_share_memory")(a, b));
}

py::array matmul(const py::array& a, const py::array& b, bool transpose_a, bool transpose_b, const py::object& out) {
  const char* operation = "ops.matmul";
  expect_matrix(a, operation, "a");
  expect_matrix(b, operation, "b");
  same_dtype(a, b, operation, "b");
  Source left = as_source(a, a.shape(1), operation, "a"), right = as_source(b, b.shape(1), operation, "b");
  const auto m = a.shape(transpose_a ? 1 : 0), k = a.shape(transpose_a ? 0 : 1), n = b.shape(transpose_b ? 0 : 1);
  if (b.shape(transpose_b ? 1 : 0) != k)
    bad_value(operation, "b", "shape " + shape_text(b),
              std::to_string(k) + " along the dimension it shares with a " + shape_text(a));
  if (transpose_a) left = transposed(left);
  if (transpose_b) right = transposed(right);
  return with_dtype(float_dtype(a, operation, "a"), operation, [&](auto zero) -> py::array {
    using T = decltype(zero);
    auto c = result<T>(out, {m, n}, operation);
    if (!out.is_none() && (overlap(c, a) || overlap(c, b)))
      bad_value(operation, "out", "memory shared with a or b", "memory of its own");
    T* target = c.mutable_data();
    without_gil([&] {
      product<T>(left, right, nullptr, static_cast<int>(m), static_cast<int>(k), static_cast<int>(n), {}, target);
    });
    return c;
  });
}

py::array activate_array(const std::string& name, const py::array& x, const py::object& out) {
  const std::string operation = "ops." + name;
  return with_dtype(float_dtype(x, operation, "x"), operation, [&](auto zero) -> py::array {
    using T = decltype(zero);
    const std::vector<py::ssize_t> shape(x.shape(), x.shape() + x.ndim());
    auto y = result<T>(out, shape, operation);
    T* target = y.mutable_data();
    if (!out.is_none() && overlap(y, x) && (y.data() != x.data() || !(x.flags() & py::array::c_style)))
      bad_value(operation, "out", "memory shared with x", "x itself or memory of its own");
    if (name == "softmax") {
      if (x.ndim() < 1) bad_value(operation, "x", "shape " + shape_text(x), "at least one dimension");
      if (x.size() == 0) return y;
      const auto contiguous = py::array_t<T, py::array::c_style | py::array::forcecast>(x);
      const auto columns = x.shape(x.ndim() - 1), rows = x.size() / columns;
      const auto stride = static_cast<std::ptrdiff_t>(sizeof(T));
      const Source source{contiguous.data(), sizeof(T) == 4 ? SourceType::float32 : SourceType::float64,
                          columns * stride, stride};
      without_gil([&] { softmax_rows<T>(source, static_cast<int>(rows), static_cast<int>(columns), target); });
    } else {
      const int activation = activation_index(name);
      const auto contiguous = py::array_t<T, py::array::c_style | py::array::forcecast>(x);
      without_gil([&] { activate<T>(elementwise<T>(activation), contiguous.data(), contiguous.size(), target); });
    }
    return y;
  });
}

struct DenseArguments {
  int rows, inputs, units;
  int activation;  // -1 is softmax
};

DenseArguments dense_arguments(const std::string& operation, const py::array& x, const py::array& kernel,
                               const std::string& activation) {
  expect_matrix(kernel, operation, "kernel");
  float_dtype(kernel, operation, "kernel");
  expect_matrix(x, operation, "x");
  same_dtype(kernel, x, operation, "x");
  if (x.shape(1) != kernel.shape(0))
    bad_value(operation, "x", "shape " + shape_text(x),
              "(*, " + std::to_string(kernel.shape(0)) + ") to match kernel " + shape_text(kernel));
  return {static_cast<int>(x.shape(0)), static_cast<int>(x.shape(1)), static_cast<int>(kernel.shape(1)),
          activation == "softmax" ? -1 : activation_index(activation)};
}

py::array dense_forward(const py::array& x, const py::array& kernel, const py::object& bias,
                        const std::string& activation, const py::object& out) {
  const char* operation = "ops.dense_forward";
  const DenseArguments d = dense_arguments(operation, x, kernel, activation);
  return with_dtype(dtype_text(kernel), operation, [&](auto zero) -> py::array {
    using T = decltype(zero);
    const T* b = nullptr;
    if (!bias.is_none()) {
      const auto array = as_array(bias, operation, "bias");
      expect_shape(array, {d.units}, operation, "bias");
      b = readable<T>(array, operation, "bias");
    }
    auto y = result<T>(out, {d.rows, d.units}, operation);
    if (!out.is_none() && (overlap(y, x) || overlap(y, kernel)))
      bad_value(operation, "out", "memory shared with x or kernel", "memory of its own");
    const Source xs = as_source(x, d.inputs, operation, "x"), ks = as_source(kernel, d.units, operation, "kernel");
    const auto stride = static_cast<std::ptrdiff_t>(sizeof(T));
    T* target = y.mutable_data();
    without_gil([&] {
      product<T>(xs, ks, b, d.rows, d.inputs, d.units, elementwise<T>(std::max(d.activation, 0)), target);
      const Source z{target, xs.type, d.units * stride, stride};
      if (d.activation < 0) softmax_rows<T>(z, d.rows, d.units, target);
    });
    return y;
  });
}

py::tuple dense_backward(const py::array& gradient, const py::array& x, const py::array& output,
                         const py::array& kernel, const std::string& activation) {
  const char* operation = "ops.dense_backward";
  const DenseArguments d = dense_arguments(operation, x, kernel, activation);
  if (d.activation >= 0 && kernels<float>().activations[d.activation].from_input)
    bad_value(operation, "activation", "'" + activation + "'",
              "one whose slope follows from its output; use 'linear' and multiply gradient by the slope before");
  for (const auto& [array, name] : {std::pair{gradient, "gradient"}, std::pair{output, "output"}}) {
    expect_shape(array, {d.rows, d.units}, operation, name);
    same_dtype(kernel, array, operation, name);
  }
  return with_dtype(dtype_text(kernel), operation, [&](auto zero) -> py::tuple {
    using T = decltype(zero);
    py::array_t<T> delta({d.rows, d.units}), dx({d.rows, d.inputs}), dkernel({d.inputs, d.units}), dbias({1, d.units});
    const py::array_t<T> ones =
        py::array_t<T>(py::module_::import("numpy").attr("ones")(py::make_tuple(d.rows, 1), kernel.dtype()));
    const Source xs = as_source(x, d.inputs, operation, "x"), ks = as_source(kernel, d.units, operation, "kernel");
    const Source dy = as_source(gradient, d.units, operation, "gradient"),
                 y = as_source(output, d.units, operation, "output");
    const Source ds = as_source(delta, d.units, operation, "delta"), one = as_source(ones, 1, operation, "ones");
    T *delta_out = delta.mutable_data(), *dx_out = dx.mutable_data(), *dk_out = dkernel.mutable_data(),
      *db_out = dbias.mutable_data();
    without_gil([&] {
      activation_delta<T>(d.activation < 0 ? Elementwise<T>{-1} : elementwise<T>(d.activation), y, dy, d.rows, d.units,
                          delta_out);
      product<T>(ds, transposed(ks), nullptr, d.rows, d.units, d.inputs, {}, dx_out);
      product<T>(transposed(xs), ds, nullptr, d.inputs, d.rows, d.units, {}, dk_out);
      product<T>(transposed(one), ds, nullptr, 1, d.rows, d.units, {}, db_out);
    });
    return py::make_tuple(dx, dkernel, dbias.reshape({d.units}));
  });
}

py::tuple cross_entropy(const py::array& logits, const py::object& labels) {
  const char* operation = "ops.softmax_cross_entropy";
  expect_matrix(logits, operation, "logits");
  if (logits.shape(0) == 0 || logits.shape(1) == 0)
    bad_value(operation, "logits", "shape " + shape_text(logits), "at least one row and column");
  const int rows = static_cast<int>(logits.shape(0)), columns = static_cast<int>(logits.shape(1));
  const py::array given = as_array(labels, operation, "labels");
  Source probabilities{};
  std::vector<std::int32_t> classes;
  if (given.ndim() == 2) {
    expect_shape(given, {rows, columns}, operation, "labels");
    probabilities = as_source(given, columns, operation, "labels");
  } else {
    classes = as_labels(given, rows, columns, operation, "labels");
  }
  return with_dtype(float_dtype(logits, operation, "logits"), operation, [&](auto zero) -> py::tuple {
    using T = decltype(zero);
    py::array_t<T> d({rows, columns});
    const Source source = as_source(logits, columns, operation, "logits");
    T* gradient = d.mutable_data();
    const double loss = without_gil([&] {
      return softmax_cross_entropy<T>(source, classes.empty() ? nullptr : classes.data(), probabilities, rows, columns,
                                      gradient);
    });
    return py::make_tuple(loss, d);
  });
}

}  // namespace

void bind_ops(py::module_& m) {
  m.def("matmul", matmul, py::arg("a"), py::arg("b"), py::arg("transpose_a") = false, py::arg("transpose_b") = false,
        py::arg("out") = py::none());
  m.def("activate", activate_array, py::arg("name"), py::arg("x"), py::arg("out") = py::none());
  m.def("dense_forward", dense_forward, py::arg("x"), py::arg("kernel"), py::arg("bias"), py::arg("activation"),
        py::arg("out") = py::none());
  m.def("dense_backward", dense_backward, py::arg("gradient"), py::arg("x"), py::arg("output"), py::arg("kernel"),
        py::arg("activation"));
  m.def("softmax_cross_entropy", cross_entropy, py::arg("logits"), py::arg("labels"));
}

}  // namespace fallline
