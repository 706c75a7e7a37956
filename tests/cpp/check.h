// A tiny test harness: TEST(name) { CHECK(...); } registers itself, and a failed check prints and lets the test go on.
#pragma once

#include <cmath>
#include <sstream>
#include <string>
#include <vector>

namespace fallline::testing {

struct Test {
  const char* name;
  void (*body)();
};
std::vector<Test>& tests();

struct Register {
  Register(const char* name, void (*body)()) { tests().push_back({name, body}); }
};

template <class... Parts>
std::string text(const Parts&... parts) {
  std::ostringstream out;
  out.precision(17);
  (out << ... << parts);
  return out.str();
}

// Counts a failure of the running test and prints the first few; any thread may call it.
void fail(const char* file, int line, const std::string& what);

// Names the case at hand in the failures of its scope: const Where where("rows ", rows).
class Where {
 public:
  template <class... Parts>
  explicit Where(const Parts&... parts) {
    stack().push_back(text(parts...));
  }
  ~Where() { stack().pop_back(); }
  Where(const Where&) = delete;
  Where& operator=(const Where&) = delete;

  static std::vector<std::string>& stack();
};

// NaN is near NaN, and infinity near itself.
inline bool is_near(double got, double expected, double tolerance) {
  return got == expected || std::abs(got - expected) <= tolerance || (std::isnan(got) && std::isnan(expected));
}

// True in quick mode (FALLLINE_TEST_QUICK is set), where tests take fewer sizes: for emulators.
bool quick();

}  // namespace fallline::testing

#define TEST(name)                                                                \
  static void test_##name();                                                      \
  static const ::fallline::testing::Register register_##name(#name, test_##name); \
  static void test_##name()

#define CHECK(condition)                                                         \
  do {                                                                           \
    if (!(condition)) ::fallline::testing::fail(__FILE__, __LINE__, #condition); \
  } while (false)

#define CHECK_EQUAL(got, expected)                                                                       \
  do {                                                                                                   \
    const auto& got_ = (got);                                                                            \
    const auto& expected_ = (expected);                                                                  \
    if (!(got_ == expected_))                                                                            \
      ::fallline::testing::fail(__FILE__, __LINE__,                                                      \
                                ::fallline::testing::text(#got " is ", got_, "; expected ", expected_)); \
  } while (false)

#define CHECK_NEAR(got, expected, tolerance)                                                               \
  do {                                                                                                     \
    const auto got_ = static_cast<double>(got), expected_ = static_cast<double>(expected);                 \
    if (const auto tolerance_ = static_cast<double>(tolerance);                                            \
        !::fallline::testing::is_near(got_, expected_, tolerance_))                                        \
      ::fallline::testing::fail(                                                                           \
          __FILE__, __LINE__,                                                                              \
          ::fallline::testing::text(#got " is ", got_, "; expected ", expected_, " within ", tolerance_)); \
  } while (false)

#define CHECK_THROWS(Exception, ...)                                                                        \
  do {                                                                                                      \
    bool thrown_ = false;                                                                                   \
    try {                                                                                                   \
      __VA_ARGS__;                                                                                          \
    } catch (const Exception&) {                                                                            \
      thrown_ = true;                                                                                       \
    }                                                                                                       \
    if (!thrown_) ::fallline::testing::fail(__FILE__, __LINE__, #__VA_ARGS__ " did not throw " #Exception); \
  } while (false)
