// Ctrl-C while C++ runs: a flag that loops can read without asking Python.
#pragma once

namespace fallline {

// While any InterruptScope lives, SIGINT raises a process-wide flag and then calls the handler that was there before
// (Python's). Scopes nest, on one thread or several. The first one starts with the flag down. A SIGINT that is ignored
// or has its default action is left alone.
class InterruptScope {
 public:
  InterruptScope();
  ~InterruptScope();
  InterruptScope(const InterruptScope&) = delete;
  InterruptScope& operator=(const InterruptScope&) = delete;
};

bool interrupt_pending();
void clear_interrupt();

}  // namespace fallline
