#include "runtime/signals.h"

#include <atomic>
#include <chrono>

namespace fallline {
namespace {

using Clock = std::chrono::steady_clock;

// Between two looks, which need the GIL: where other threads of Python compute, that alone takes 5 ms.
constexpr double interval = 0.05;

std::atomic<bool (*)()> handler{nullptr};
thread_local Clock::time_point last{};  // look of this thread

}  // namespace

void handle_signals_by(bool (*handle)()) { handler = handle; }

void begin_signals() { last = {}; }

bool signals_due(double longer) {
  const auto now = Clock::now();
  if (last == Clock::time_point{}) last = now;
  return std::chrono::duration<double>(now - last).count() >= interval + longer;
}

void handle_signals(double longer) {
  if (!signals_due(longer)) return;
  const auto handle = handler.load();
  if (handle && handle()) throw Interrupted();
  last = Clock::now();
}

}  // namespace fallline
