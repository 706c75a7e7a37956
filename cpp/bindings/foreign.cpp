#include "bindings/foreign.h"

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <algorithm>

#include "bindings/gil.h"

namespace fallline {
namespace {

namespace py = pybind11;

// Copies, since Python may keep what it is given.
template <class T>
py::array matrix(Matrix<const T> m, bool vector = false) {
  if (vector) return py::array_t<T>(m.columns, m.data);
  return py::array_t<T>({m.rows, m.columns}, m.data);
}

// Python has checked the shape.
template <class T>
void take(const py::handle& value, Matrix<T> m) {
  if (!m.data) return;
  const auto array = py::array_t<T, py::array::c_style | py::array::forcecast>::ensure(value);
  if (!array) throw py::error_already_set();
  std::copy_n(array.data(), array.size(), m.data);
}

class PyLayer final : public ForeignLayer {
 public:
  explicit PyLayer(const py::object& layer) : layer_(layer), parameters_(declared(layer)) {}
  PyLayer(const PyLayer&) = delete;
  PyLayer& operator=(const PyLayer&) = delete;
  ~PyLayer() override {
    const PythonCall call;
    layer_.release().dec_ref();
  }

  std::vector<ForeignParameter> parameters() const override { return parameters_; }

  void forward(bool training, Matrix<const float> x, const std::vector<Matrix<const float>>& parameters,
               Matrix<float> y) const override {
    forward_of(training, x, parameters, y);
  }
  void forward(bool training, Matrix<const double> x, const std::vector<Matrix<const double>>& parameters,
               Matrix<double> y) const override {
    forward_of(training, x, parameters, y);
  }
  void backward(Matrix<const float> dy, const std::vector<Matrix<float>>& gradients, Matrix<float> dx) const override {
    backward_of(dy, gradients, dx);
  }
  void backward(Matrix<const double> dy, const std::vector<Matrix<double>>& gradients,
                Matrix<double> dx) const override {
    backward_of(dy, gradients, dx);
  }

 private:
  static std::vector<ForeignParameter> declared(const py::object& layer) {
    std::vector<ForeignParameter> all;
    for (const py::handle item : layer.attr("declared_parameters")()) {
      const auto [name, shape, trainable] = py::cast<std::tuple<std::string, std::vector<int>, bool>>(item);
      const bool vector = shape.size() == 1;
      all.push_back({name, vector ? 1 : shape[0], shape.back(), vector, trainable});
    }
    return all;
  }

  template <class T>
  void forward_of(bool training, Matrix<const T> x, const std::vector<Matrix<const T>>& parameters, Matrix<T> y) const {
    call_python([&] {
      py::list values;
      for (std::size_t i = 0; i < parameters.size(); ++i) values.append(matrix(parameters[i], parameters_[i].vector));
      take(layer().attr("run_forward")(matrix(x), values, training, y.columns), y);
    });
  }

  template <class T>
  void backward_of(Matrix<const T> dy, const std::vector<Matrix<T>>& gradients, Matrix<T> dx) const {
    call_python([&] {
      const py::tuple result = layer().attr("run_backward")(matrix(dy), dx.columns);
      take(result[0], dx);
      const py::list values = result[1];
      for (std::size_t i = 0; i < gradients.size(); ++i) take(values[i], gradients[i]);
    });
  }

  py::object layer() const {
    py::object layer = layer_();
    if (layer.is_none()) throw std::runtime_error("Layer: its model is gone; expected it to live during the call");
    return layer;
  }

  py::weakref layer_;
  std::vector<ForeignParameter> parameters_;
};

class PyLoss final : public ForeignLoss {
 public:
  explicit PyLoss(py::object loss) : loss_(std::move(loss)) {}
  PyLoss(const PyLoss&) = delete;
  PyLoss& operator=(const PyLoss&) = delete;
  ~PyLoss() override {
    const PythonCall call;
    loss_.release().dec_ref();
  }

  void rows(Matrix<const float> y, Matrix<const float> target, const std::int32_t* labels, double* loss,
            Matrix<float> gradient) const override {
    rows_of(y, target, labels, loss, gradient);
  }
  void rows(Matrix<const double> y, Matrix<const double> target, const std::int32_t* labels, double* loss,
            Matrix<double> gradient) const override {
    rows_of(y, target, labels, loss, gradient);
  }

 private:
  template <class T>
  void rows_of(Matrix<const T> y, Matrix<const T> target, const std::int32_t* labels, double* loss,
               Matrix<T> gradient) const {
    call_python([&] {
      const py::array truth = labels ? py::array(py::array_t<std::int32_t>(y.rows, labels)) : matrix(target);
      const py::tuple result = loss_.attr("run")(truth, matrix(y));
      take(result[0], Matrix<double>{loss, 1, y.rows});
      take(result[1], gradient);
    });
  }

  py::object loss_;
};

}  // namespace

std::shared_ptr<ForeignLayer> foreign_layer(const py::object& layer) { return std::make_shared<PyLayer>(layer); }
std::shared_ptr<ForeignLoss> foreign_loss(const py::object& loss) { return std::make_shared<PyLoss>(loss); }

}  // namespace fallline
