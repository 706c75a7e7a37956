#include "runtime/interrupt.h"

#include <signal.h>

#include <atomic>
#include <cstdint>
#include <mutex>

namespace fallline {
namespace {

std::atomic<std::uint64_t> interrupts{0};

// What our handler calls next: one of the two kinds that sigaction knows. It may still run on one thread while a scope
// on another thread installs it anew.
std::atomic<void (*)(int)> next_plain{nullptr};
std::atomic<void (*)(int, siginfo_t*, void*)> next_with_info{nullptr};
static_assert(decltype(interrupts)::is_always_lock_free && decltype(next_plain)::is_always_lock_free,
              "a signal handler may not take a lock");

std::mutex mutex;  // guards the two below, which the handler does not touch
int scopes = 0;
struct sigaction previous;

void on_interrupt(int signal, siginfo_t* info, void* context) {
  interrupts.fetch_add(1, std::memory_order_relaxed);
  if (const auto next = next_with_info.load()) {
    next(signal, info, context);
  } else if (const auto plain = next_plain.load()) {
    plain(signal);
  }
}

bool is_ours(const struct sigaction& action) {
  return (action.sa_flags & SA_SIGINFO) && action.sa_sigaction == on_interrupt;
}

bool is_a_handler(const struct sigaction& action) {
  return (action.sa_flags & SA_SIGINFO) || (action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN);
}

}  // namespace

InterruptScope::InterruptScope() {
  const std::lock_guard lock(mutex);
  if (scopes++ > 0) return;
  struct sigaction current;
  if (sigaction(SIGINT, nullptr, &current) != 0 || !is_a_handler(current) || is_ours(current)) return;
  previous = current;
  const bool with_info = current.sa_flags & SA_SIGINFO;
  next_with_info = with_info ? current.sa_sigaction : nullptr;
  next_plain = with_info ? nullptr : current.sa_handler;
  struct sigaction ours = current;
  ours.sa_sigaction = on_interrupt;
  ours.sa_flags |= SA_SIGINFO;
  sigaction(SIGINT, &ours, nullptr);
}

InterruptScope::~InterruptScope() {
  const std::lock_guard lock(mutex);
  if (--scopes > 0) return;
  struct sigaction current;
  if (sigaction(SIGINT, nullptr, &current) == 0 && is_ours(current)) sigaction(SIGINT, &previous, nullptr);
}

std::uint64_t interrupt_count() { return interrupts.load(std::memory_order_relaxed); }

}  // namespace fallline
