// Subnormal numbers: zero inside a network, and nowhere else.
#include "runtime/arithmetic.h"

#include <atomic>

#include "check.h"
#include "runtime/team.h"

namespace fallline::testing {
namespace {

bool flushed() {
  volatile float tiny = 1e-42f, two = 2;
  return tiny * two == 0;
}

TEST(subnormals_are_zero_within_their_scope_alone) {
  CHECK(!flushed());
  {
    const SubnormalsAreZero outer;
    CHECK(flushed());
    {
      const SubnormalsAreZero inner;
      CHECK(flushed());
      const CallersArithmetic outside;
      CHECK(!flushed());
      const SubnormalsAreZero again;
      CHECK(flushed());
    }
    CHECK(flushed());
  }
  CHECK(!flushed());
}

TEST(a_team_computes_as_who_started_it) {
  for (const int threads : {1, 2, 5}) {
    std::atomic<int> flushing{0};
    const auto count = [&] { run_team(threads, [&](Team&, int) { flushing += flushed(); }); };
    count();
    CHECK_EQUAL(flushing.load(), 0);
    {
      const SubnormalsAreZero inside;
      count();
      CHECK(flushed());
    }
    CHECK_EQUAL(flushing.load(), threads);
    count();
    CHECK_EQUAL(flushing.load(), threads);
  }
}

}  // namespace
}  // namespace fallline::testing
