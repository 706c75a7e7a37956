// Normal random numbers of all targets against Box & Muller in long double.
#include <numbers>

#include "kernel_cases.h"

namespace fallline::testing {
namespace {

// Number i: of each block of 64, 16 cosines and 16 sines of the first two numbers of a counter, then of the others.
long double normal(RandomKey key, int i) {
  std::uint32_t words[4][1];
  philox<1>(key, static_cast<std::uint32_t>(i / 64 * 16 + i % 16), words);
  const int pair = i % 64 / 32 * 2;
  const long double distance = std::sqrt(-2 * std::log((words[pair][0] + 0.5L) / 0x1p32L));
  const long double angle = 2 * std::numbers::pi_v<long double> * words[pair + 1][0] / 0x1p32L;
  return distance * (i % 32 < 16 ? std::cos(angle) : std::sin(angle));
}

TEST(normals_are_those_of_box_and_muller) {
  each_table([]<class T>(const KernelTable<T>& table) {
    const RandomKey key{0x123456789abcdefu, 7, 0xfedcba987654321u};
    const int most = quick() ? 300 : 20000;
    std::vector<T> whole(static_cast<std::size_t>(most));
    table.normals(key, whole.data(), most);
    for (int i = 0; i < most; ++i)
      CHECK_NEAR(whole[static_cast<std::size_t>(i)], normal(key, i), (sizeof(T) == 4 ? 16 : 8) * epsilon<T>);
    for (const int n : {0, 1, 63, 64, 65, 200}) {
      std::vector<T> part(static_cast<std::size_t>(n) + 1, T(-99));
      table.normals(key, part.data(), n);
      CHECK(std::equal(part.begin(), part.end() - 1, whole.begin()));
      CHECK_EQUAL(part.back(), T(-99));
    }
  });
}

}  // namespace
}  // namespace fallline::testing
