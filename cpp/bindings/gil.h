// Into the core and back to Python: who holds the GIL, and whose arithmetic is in force.
#pragma once

#include <Python.h>
#include <cxxabi.h>

#include <utility>

#include "runtime/access_guard.h"
#include "runtime/arithmetic.h"
#include "runtime/signals.h"

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
  OutsideChanges outside_;
  PyGILState_STATE state_;
};

// Waits for the end of the process.
[[noreturn]] void park();

// f(), which runs Python. While the interpreter ends, Python ends a thread that comes for the GIL (up to 3.13) by
// unwinding its stack: one of ours keeps it and waits.
template <class F>
auto call_python(F&& f) {
  const PythonCall call;
  try {
    return std::forward<F>(f)();
  } catch (const abi::__forced_unwind&) {
    park();
  }
}

// f() on plain arrays.
template <class F>
auto without_gil(F&& f) {
  const GilReleased released;
  return std::forward<F>(f)();
}

// Throws what a handler of a signal has raised while C++ ran.
[[noreturn]] void throw_raised();

// f() on a network, while signals are handled. If it throws Interrupted, it has changed nothing.
template <class F>
auto in_network(F&& f) {
  try {
    const GilReleased released;
    const SubnormalsAreZero inside;
    begin_signals();
    return std::forward<F>(f)();
  } catch (const Interrupted&) {
    throw_raised();
  }
}

// Once, as the module is imported.
void prepare_threads();

}  // namespace fallline
