#include "runtime/arithmetic.h"

#include <utility>

namespace fallline {
namespace {

#if defined(__x86_64__)
// MXCSR: denormals are zero, flush to zero.
constexpr std::uint64_t flushing = 0x8040;
std::uint64_t read() { return __builtin_ia32_stmxcsr(); }
void write(std::uint64_t controls) { __builtin_ia32_ldmxcsr(static_cast<unsigned>(controls)); }
#elif defined(__aarch64__)
// FPCR: FZ, for what comes in and what goes out.
constexpr std::uint64_t flushing = 1u << 24;
std::uint64_t read() {
  std::uint64_t controls;
  asm volatile("mrs %0, fpcr" : "=r"(controls));
  return controls;
}
void write(std::uint64_t controls) { asm volatile("msr fpcr, %0" : : "r"(controls)); }
#else
constexpr std::uint64_t flushing = 0;
std::uint64_t read() { return 0; }
void write(std::uint64_t) {}
#endif

thread_local int depth = 0;              // of SubnormalsAreZero
thread_local std::uint64_t callers = 0;  // controls, if depth > 0

}  // namespace

SubnormalsAreZero::SubnormalsAreZero() : before_(read()) {
  if (depth++ == 0) callers = before_;
  write(before_ | flushing);
}

SubnormalsAreZero::~SubnormalsAreZero() {
  --depth;
  write(before_);
}

CallersArithmetic::CallersArithmetic() : before_(read()), depth_(std::exchange(depth, 0)) {
  if (depth_ > 0) write(callers);
}

CallersArithmetic::~CallersArithmetic() {
  depth = depth_;
  write(before_);
}

bool subnormals_are_zero() { return depth > 0; }

}  // namespace fallline
