// Subnormal numbers count as zero inside a network: an operation on one costs a hundred others, and in a real fit the
// moments of weights that no longer learn decay until they are subnormal, and stay there. The rule is a thread's own,
// and what calls us never notices: it ends with the call, and is set aside for calls into Python and for other threads.
#pragma once

#include <cstdint>

namespace fallline {

// Inside a network, on this thread, until the end of a scope.
class SubnormalsAreZero {
 public:
  SubnormalsAreZero();
  ~SubnormalsAreZero();
  SubnormalsAreZero(const SubnormalsAreZero&) = delete;
  SubnormalsAreZero& operator=(const SubnormalsAreZero&) = delete;

 private:
  std::uint64_t before_;
};

// Outside again: the floating-point controls that this thread had before the outermost SubnormalsAreZero.
class CallersArithmetic {
 public:
  CallersArithmetic();
  ~CallersArithmetic();
  CallersArithmetic(const CallersArithmetic&) = delete;
  CallersArithmetic& operator=(const CallersArithmetic&) = delete;

 private:
  std::uint64_t before_;
  int depth_;
};

// True between the beginning of a SubnormalsAreZero and its end, or a CallersArithmetic.
bool subnormals_are_zero();

}  // namespace fallline
