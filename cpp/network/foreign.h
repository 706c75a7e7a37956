// Layers and losses that users write themselves, as the engine sees them: functions of plain row-major matrices. They
// run on one thread, and so does the network around them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace fallline {

template <class T>
struct Matrix {
  T* data;  // nullptr: nobody wants it
  int rows, columns;
};

struct ForeignParameter {
  std::string name;
  int rows, columns;
  bool vector, trainable;
};

class ForeignLayer {
 public:
  virtual ~ForeignLayer() = default;
  virtual std::vector<ForeignParameter> parameters() const = 0;

  // y = f(x).
  virtual void forward(bool training, Matrix<const float> x, const std::vector<Matrix<const float>>& parameters,
                       Matrix<float> y) const = 0;
  virtual void forward(bool training, Matrix<const double> x, const std::vector<Matrix<const double>>& parameters,
                       Matrix<double> y) const = 0;
  // After the forward pass over the same rows: dx and the gradients of the parameters, from dy.
  virtual void backward(Matrix<const float> dy, const std::vector<Matrix<float>>& gradients,
                        Matrix<float> dx) const = 0;
  virtual void backward(Matrix<const double> dy, const std::vector<Matrix<double>>& gradients,
                        Matrix<double> dx) const = 0;
};

class ForeignLoss {
 public:
  virtual ~ForeignLoss() = default;
  // The loss of each row, and its gradient with respect to y. Targets are labels, or a matrix if labels is nullptr.
  virtual void rows(Matrix<const float> y, Matrix<const float> target, const std::int32_t* labels, double* loss,
                    Matrix<float> gradient) const = 0;
  virtual void rows(Matrix<const double> y, Matrix<const double> target, const std::int32_t* labels, double* loss,
                    Matrix<double> gradient) const = 0;
};

}  // namespace fallline
