#include "runtime/cpu.h"

#include <unistd.h>

#if defined(__x86_64__)
#include <cpuid.h>

#include <cstdint>
#endif

namespace fallline {

#if defined(__x86_64__)
namespace {

enum Register { ebx, ecx };

// Bits of XCR0: register state that the operating system saves when it switches threads.
enum Saved : std::uint32_t { general = 0, ymm = 0x06, zmm = 0xe6 };

struct Feature {
  std::string_view name;
  unsigned leaf;
  Register in;
  unsigned bit;
  Saved saved;
};

constexpr Feature features[] = {
    {"avx", 1, ecx, 28, ymm},      {"f16c", 1, ecx, 29, ymm},     {"fma", 1, ecx, 12, ymm},
    {"bmi", 7, ebx, 3, general},   {"avx2", 7, ebx, 5, ymm},      {"bmi2", 7, ebx, 8, general},
    {"avx512f", 7, ebx, 16, zmm},  {"avx512dq", 7, ebx, 17, zmm}, {"avx512bw", 7, ebx, 30, zmm},
    {"avx512vl", 7, ebx, 31, zmm},
};

std::uint32_t saved_state() {
  constexpr unsigned osxsave = 1u << 27;
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & osxsave)) return general;
  std::uint32_t low = 0, high = 0;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

}  // namespace

bool cpu_has(std::string_view feature) {
  for (const Feature& row : features) {
    if (row.name != feature) continue;
    unsigned a = 0, b = 0, c = 0, d = 0;
    if (!__get_cpuid_count(row.leaf, 0, &a, &b, &c, &d)) return false;
    const unsigned word = row.in == ebx ? b : c;
    return (word >> row.bit & 1u) != 0 && (saved_state() & row.saved) == row.saved;
  }
  return false;
}
#else
bool cpu_has(std::string_view) { return false; }
#endif

std::size_t l2_bytes() {
#if defined(_SC_LEVEL2_CACHE_SIZE)
  if (const long bytes = sysconf(_SC_LEVEL2_CACHE_SIZE); bytes > 0) return static_cast<std::size_t>(bytes);
#endif
  return 512 * 1024;
}

}  // namespace fallline
