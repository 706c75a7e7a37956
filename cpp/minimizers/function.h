// A function of a flat vector, as minimizers see it.
#pragma once

#include <cstddef>

namespace fallline {

class Function {
 public:
  virtual ~Function() = default;

  virtual std::ptrdiff_t size() const = 0;
  // f(x); not finite where it is not defined. May throw, e.g. for an interrupt; so may value_and_gradient.
  virtual double value(const double* x) = 0;
  virtual double value_and_gradient(const double* x, double* gradient) = 0;
  // Moves x to the nearest point that the function tells from others, e.g. of float32 weights.
  virtual void round(double* /*x*/) const {}
};

}  // namespace fallline
