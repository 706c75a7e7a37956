// Ctrl-C while C++ runs: a count that loops can read without asking Python.
#pragma once

#include <cstdint>

namespace fallline {

// While any InterruptScope lives, SIGINT is counted and then calls the handler that was there before
// (Python's). Scopes nest, on one thread or several. A SIGINT that is ignored
// or has its default action is left alone.
class InterruptScope {
 public:
  InterruptScope();
  ~InterruptScope();
  InterruptScope(const InterruptScope&) = delete;
  InterruptScope& operator=(const InterruptScope&) = delete;
};

// SIGINTs counted so far. Who wants to stop for one remembers the count from before; nobody takes it from others.
std::uint64_t interrupt_count();

}  // namespace fallline
