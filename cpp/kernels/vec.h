// Vectors of T as wide as the target's registers. Arithmetic operators, comparisons and ?: are the compiler's own;
// what the language lacks is here. Products and sums are fused only where fma() says so (-ffp-contract=off), so
// that every compiler gives the same bits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#define FALLLINE_INLINE inline __attribute__((always_inline))

namespace fallline {
namespace {

template <class T>
struct VecOf {
  typedef T type __attribute__((vector_size(FALLLINE_VECTOR_BYTES)));
  // The same at any address. Accumulators stored by memcpy would be kept in memory by GCC 12.
  typedef T unaligned __attribute__((vector_size(FALLLINE_VECTOR_BYTES), aligned(alignof(T)), may_alias));
};
template <class T>
using Vec = typename VecOf<T>::type;

// Signed integers as wide as T, one a lane: what comparisons give and what bit tricks need.
template <class T>
struct IntOf;
template <>
struct IntOf<float> {
  using type = std::int32_t;
};
template <>
struct IntOf<double> {
  using type = std::int64_t;
};
template <class T>
using IntVec = Vec<typename IntOf<T>::type>;

template <class T>
inline constexpr int lanes = FALLLINE_VECTOR_BYTES / sizeof(T);

template <class T>
FALLLINE_INLINE Vec<T> broadcast(T x) {
  return x - Vec<T>{};  // x - 0 keeps the sign of zero; x + 0 does not
}

template <class T>
FALLLINE_INLINE Vec<T> load(const T* p) {
  return *reinterpret_cast<const typename VecOf<T>::unaligned*>(p);
}

template <class T>
FALLLINE_INLINE void store(T* p, Vec<T> v) {
  *reinterpret_cast<typename VecOf<T>::unaligned*>(p) = v;
}

// The first n lanes; the others are `rest` and are not read.
template <class T>
FALLLINE_INLINE Vec<T> load_partial(const T* p, int n, T rest = T{}) {
  Vec<T> v = broadcast<T>(rest);
  for (int i = 0; i < n; ++i) v[i] = p[i];
  return v;
}

template <class T>
FALLLINE_INLINE void store_partial(T* p, Vec<T> v, int n) {
  for (int i = 0; i < n; ++i) p[i] = v[i];
}

template <class To, class From>
FALLLINE_INLINE To bit_cast(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  std::memcpy(&to, &from, sizeof to);
  return to;
}

template <class T>
FALLLINE_INLINE Vec<T> select(IntVec<T> mask, Vec<T> yes, Vec<T> no) {
  return mask ? yes : no;
}

// The first n lanes of v, the others `rest`; n may lie outside 0 .. lanes.
template <class T>
FALLLINE_INLINE Vec<T> first_lanes(Vec<T> v, int n, T rest = T{}) {
  IntVec<T> lane;
  for (int i = 0; i < lanes<T>; ++i) lane[i] = i;
  return select<T>(lane < static_cast<typename IntOf<T>::type>(n), v, broadcast(rest));
}

// NaN in either operand gives b, on every target.
template <class T>
FALLLINE_INLINE Vec<T> max(Vec<T> a, Vec<T> b) {
  return a > b ? a : b;
}
template <class T>
FALLLINE_INLINE Vec<T> min(Vec<T> a, Vec<T> b) {
  return a < b ? a : b;
}

template <class T>
FALLLINE_INLINE Vec<T> abs(Vec<T> x) {
  constexpr auto sign = static_cast<typename IntOf<T>::type>(std::uint64_t{1} << (8 * sizeof(T) - 1));
  return bit_cast<Vec<T>>(bit_cast<IntVec<T>>(x) & ~sign);
}

#if defined(__AVX512F__) && FALLLINE_VECTOR_BYTES == 64
FALLLINE_INLINE Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) { return _mm512_fmadd_ps(a, b, c); }
FALLLINE_INLINE Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) { return _mm512_fmadd_pd(a, b, c); }
FALLLINE_INLINE Vec<float> sqrt(Vec<float> x) { return _mm512_sqrt_ps(x); }
FALLLINE_INLINE Vec<double> sqrt(Vec<double> x) { return _mm512_sqrt_pd(x); }
inline constexpr int registers = 32;
#elif defined(__FMA__) && FALLLINE_VECTOR_BYTES == 32
FALLLINE_INLINE Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) { return _mm256_fmadd_ps(a, b, c); }
FALLLINE_INLINE Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) { return _mm256_fmadd_pd(a, b, c); }
FALLLINE_INLINE Vec<float> sqrt(Vec<float> x) { return _mm256_sqrt_ps(x); }
FALLLINE_INLINE Vec<double> sqrt(Vec<double> x) { return _mm256_sqrt_pd(x); }
inline constexpr int registers = 16;
#elif defined(__aarch64__)
FALLLINE_INLINE Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) { return vfmaq_f32(c, a, b); }
FALLLINE_INLINE Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) { return vfmaq_f64(c, a, b); }
FALLLINE_INLINE Vec<float> sqrt(Vec<float> x) { return vsqrtq_f32(x); }
FALLLINE_INLINE Vec<double> sqrt(Vec<double> x) { return vsqrtq_f64(x); }
inline constexpr int registers = 32;
#else
// No FMA unit: a product and a sum, each rounded.
FALLLINE_INLINE Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) { return a * b + c; }
FALLLINE_INLINE Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) { return a * b + c; }
template <class V>
FALLLINE_INLINE V sqrt_lanes(V x) {
  for (std::size_t i = 0; i < sizeof(V) / sizeof(x[0]); ++i)
    x[i] = static_cast<decltype(x[0] + 0)>(__builtin_sqrt(x[i]));
  return x;
}
#if defined(__SSE2__)
FALLLINE_INLINE Vec<float> sqrt(Vec<float> x) { return _mm_sqrt_ps(x); }
FALLLINE_INLINE Vec<double> sqrt(Vec<double> x) { return _mm_sqrt_pd(x); }
#else
FALLLINE_INLINE Vec<float> sqrt(Vec<float> x) { return sqrt_lanes(x); }
FALLLINE_INLINE Vec<double> sqrt(Vec<double> x) { return sqrt_lanes(x); }
#endif
inline constexpr int registers = 16;
#endif

// Sums and maxima across lanes, pairwise: lane i meets lane i + n/2, then i + n/4, ...
template <int HALF, class T, int... I>
FALLLINE_INLINE Vec<T> shift_lanes(Vec<T> v, std::integer_sequence<int, I...>) {
  return __builtin_shufflevector(v, v, ((I + HALF) % lanes<T>)...);
}
template <class T, class Op, int HALF = lanes<T> / 2>
FALLLINE_INLINE T reduce(Vec<T> v, Op op) {
  if constexpr (HALF == 0)
    return v[0];
  else
    return reduce<T, Op, HALF / 2>(op(v, shift_lanes<HALF, T>(v, std::make_integer_sequence<int, lanes<T>>{})), op);
}

template <class T>
FALLLINE_INLINE T reduce_sum(Vec<T> v) {
  return reduce<T>(v, [](Vec<T> a, Vec<T> b) { return a + b; });
}
template <class T>
FALLLINE_INLINE T reduce_max(Vec<T> v) {
  return reduce<T>(v, [](Vec<T> a, Vec<T> b) { return max<T>(a, b); });
}

// Columns are stored in panels of `panel_width` = two registers; weights are packed the same way.
template <class T>
inline constexpr int panel_width = 2 * lanes<T>;

}  // namespace
}  // namespace fallline
