#include "bindings/gil.h"

#include <pybind11/pybind11.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <exception>

#include "runtime/process.h"

namespace fallline {
namespace {

// Through a destructor the unwinding would end the process.
template <class F>
auto or_park(F take_gil) {
  try {
    return take_gil();
  } catch (const abi::__forced_unwind&) {
    park();
  }
}

// What a handler has raised, on the main thread.
std::exception_ptr raised;

bool handle() {
  if (syscall(SYS_gettid) != getpid()) return false;  // Python runs handlers on the main thread alone
  return call_python([] {
    if (PyErr_CheckSignals() == 0) return false;
    raised = std::make_exception_ptr(pybind11::error_already_set());
    return true;
  });
}

}  // namespace

void park() {
  for (;;) ::pause();
}

void throw_raised() { std::rethrow_exception(std::exchange(raised, nullptr)); }

void prepare_threads() {
  handle_signals_by(handle);
  // Daemon threads go on while the interpreter ends.
  pybind11::module_::import("atexit").attr("register")(pybind11::cpp_function([] {
    const GilReleased released;
    close_gate_for_good();
  }));
}

GilReleased::~GilReleased() {
  or_park([&] { PyEval_RestoreThread(state_); });
}

PythonCall::PythonCall() : state_(or_park([] { return PyGILState_Ensure(); })) {}

PythonCall::~PythonCall() { PyGILState_Release(state_); }

}  // namespace fallline
