#include "bindings/gil.h"

#include <unistd.h>

namespace fallline {
namespace {

// While the interpreter ends, a daemon thread that asks for the GIL is ended by pthread_exit (up to Python 3.13), which
// unwinds its stack; through a destructor that would end the process. The thread waits instead, until the process ends.
template <class F>
auto or_park(F take_gil) {
  try {
    return take_gil();
  } catch (...) {
    for (;;) ::pause();
  }
}

}  // namespace

GilReleased::~GilReleased() {
  or_park([&] { PyEval_RestoreThread(state_); });
}

PythonCall::PythonCall() : state_(or_park([] { return PyGILState_Ensure(); })) {}

PythonCall::~PythonCall() { PyGILState_Release(state_); }

}  // namespace fallline
