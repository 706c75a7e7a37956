// Into the core and back to Python: who holds the GIL, and whose arithmetic is in force.
#pragma once

#include <Python.h>

#include <utility>

#include "runtime/arithmetic.h"

namespace fallline {

// Lets the GIL go until the end of a scope.
class GilReleased {
 public:
  GilReleased() : state_(PyEval_SaveThread()) {}
  ~GilReleased();
  GilReleased(const GilReleased&) = delete;
  GilReleased& operator=(const GilReleased&) = delete;

 private:
  PyThreadState* state_;
};

// Python code may run until the end of the scope: called from the core, on any of its threads.
class PythonCall {
 public:
  PythonCall();
  ~PythonCall();
  PythonCall(const PythonCall&) = delete;
  PythonCall& operator=(const PythonCall&) = delete;

 private:
  CallersArithmetic arithmetic_;
  PyGILState_STATE state_;
};

// f() on plain arrays.
template <class F>
auto without_gil(F&& f) {
  const GilReleased released;
  return std::forward<F>(f)();
}

// f() on a network.
template <class F>
auto in_network(F&& f) {
  const GilReleased released;
  const SubnormalsAreZero inside;
  return std::forward<F>(f)();
}

}  // namespace fallline
