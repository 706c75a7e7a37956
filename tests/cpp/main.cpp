// Runs all tests, or those whose name contains one of the arguments.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <mutex>

#include "check.h"
#include "runtime/dispatch.h"

namespace fallline::testing {
namespace {

std::mutex mutex;  // guards the count
int failures = 0;  // of the running test

bool run(const Test& test) {
  failures = 0;
  const auto start = std::chrono::steady_clock::now();
  try {
    test.body();
  } catch (const std::exception& error) {
    fail(test.name, 0, text("threw ", error.what()));
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  std::printf("%-6s %s (%.2f s)\n", failures ? "FAILED" : "ok", test.name, took.count());
  std::fflush(stdout);
  return failures == 0;
}

}  // namespace

std::vector<Test>& tests() {
  static std::vector<Test> all;
  return all;
}

std::vector<std::string>& Where::stack() {
  thread_local std::vector<std::string> cases;
  return cases;
}

void fail(const char* file, int line, const std::string& what) {
  constexpr int shown = 10;
  const std::lock_guard lock(mutex);
  if (++failures > shown) return;
  std::string where;
  for (const std::string& each : Where::stack()) where += (where.empty() ? "" : ", ") + each;
  std::printf("%s:%d: %s%s%s\n", file, line, where.c_str(), where.empty() ? "" : ": ", what.c_str());
}

bool quick() { return std::getenv("FALLLINE_TEST_QUICK") != nullptr; }

}  // namespace fallline::testing

int main(int argc, char** argv) {
  using namespace fallline;
  std::printf("targets:");
  for (const std::string& name : usable_targets()) std::printf(" %s", name.c_str());
  std::printf("; the engine runs on %s\n", chosen_target().target->name);
  int passed = 0, failed = 0;
  for (const testing::Test& test : testing::tests()) {
    const auto asked_for = [&](const char* part) { return std::strstr(test.name, part) != nullptr; };
    if (argc > 1 && std::none_of(argv + 1, argv + argc, asked_for)) continue;
    ++(testing::run(test) ? passed : failed);
  }
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed == 0 && passed > 0 ? 0 : 1;
}
