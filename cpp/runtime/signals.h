// Signals that arrive while C++ runs. Their handlers are Python's, which only its main thread runs: loops ask for them
// every now and then, between two steps where they can.
#pragma once

#include <exception>

namespace fallline {

// A clock is read once in this many FLOPs of work, a few microseconds.
inline constexpr double flops_between_looks = 2e5;

// A handler has raised: whoever can gives up, having changed nothing.
struct Interrupted : std::exception {};

// Runs handlers that are pending; true if one has raised. Set once, by who knows Python.
void handle_signals_by(bool (*handle)());

// A call begins on this thread: signals that came before it have been handled.
void begin_signals();
// It is time to look for signals, or has been for `longer` seconds.
bool signals_due(double longer = 0);
// Looks for signals if it is time to. Throws Interrupted if a handler has raised.
void handle_signals(double longer = 0);

}  // namespace fallline
