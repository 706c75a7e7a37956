// exp, log, tanh, sin, cos and their kin on vectors, within a few units in the last place. Coefficients from the Cephes
// library (S. L. Moshier) but for the normal distribution; the reductions use fma, so that every target with an FMA
// unit gives the same bits.
#pragma once

#include <limits>

#include "vec.h"

namespace fallline {
namespace {

// NaN passes through both.
template <class T>
FALLLINE_INLINE Vec<T> at_least(Vec<T> x, T least) {
  return x < least ? broadcast(least) : x;
}
template <class T>
FALLLINE_INLINE Vec<T> cut(Vec<T> x, T least, T most) {
  const Vec<T> low = broadcast(least), high = broadcast(most);
  return x < low ? low : (x > high ? high : x);
}

// c[0] x^n + c[1] x^(n-1) + ... + c[n], by Horner's rule.
template <class T, std::size_t N>
FALLLINE_INLINE Vec<T> polynomial(Vec<T> x, const T (&c)[N]) {
  Vec<T> y = broadcast(c[0]);
  for (std::size_t i = 1; i < N; ++i) y = fma(y, x, broadcast(c[i]));
  return y;
}

template <class T>
struct FloatBits;
template <>
struct FloatBits<float> {
  static constexpr int mantissa = 23, bias = 127;
  static constexpr float exp_low = -104.0f, exp_high = 89.0f;
  static constexpr float ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
  static constexpr float round_to_int = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer in the low bits
};
template <>
struct FloatBits<double> {
  static constexpr int mantissa = 52, bias = 1023;
  static constexpr double exp_low = -746.0, exp_high = 710.0;
  static constexpr double ln2_high = 0.693145751953125, ln2_low = 1.42860682030941723212e-6;
  static constexpr double round_to_int = 6755399441055744.0;  // 1.5 * 2^52
};

// 2^n for integers n in the range of normal numbers.
template <class T>
FALLLINE_INLINE Vec<T> power_of_two(IntVec<T> n) {
  return bit_cast<Vec<T>>((n + FloatBits<T>::bias) << FloatBits<T>::mantissa);
}

// e^r - 1 on |r| <= ln(2)/2.
FALLLINE_INLINE Vec<float> expm1_reduced(Vec<float> r) {
  constexpr float c[] = {1.9875691500e-4f, 1.3981999507e-3f, 8.3334519073e-3f,
                         4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f};
  return fma(polynomial(r, c), r * r, r);
}
FALLLINE_INLINE Vec<double> expm1_reduced(Vec<double> r) {
  constexpr double p[] = {1.26177193074810590878e-4, 3.02994407707441961300e-2, 9.99999999999999999910e-1};
  constexpr double q[] = {3.00198505138664455042e-6, 2.52448340349684104192e-3, 2.27265548208155028766e-1, 2.0};
  const Vec<double> square = r * r;
  const Vec<double> odd = r * polynomial(square, p);
  return 2.0 * (odd / (polynomial(square, q) - odd));
}

// x = n ln(2) + r with n an integer and |r| <= ln(2)/2, for x cut to [low, high]; NaN passes through as r.
template <class T>
struct ExpReduction {
  Vec<T> r;
  IntVec<T> n;

  FALLLINE_INLINE ExpReduction(Vec<T> x, T least, T most) {
    using Bits = FloatBits<T>;
    const Vec<T> clamped = cut<T>(x, least, most);
    const Vec<T> shifted = fma(clamped, broadcast(T(1.4426950408889634074)), broadcast(Bits::round_to_int));
    const Vec<T> whole = shifted - Bits::round_to_int;
    r = fma(whole, broadcast(-Bits::ln2_low), fma(whole, broadcast(-Bits::ln2_high), clamped));
    n = bit_cast<IntVec<T>>(shifted) - bit_cast<IntVec<T>>(broadcast(Bits::round_to_int));
  }

  // x 2^n, in two halves, since 2^n alone may leave the range where the result still fits.
  FALLLINE_INLINE Vec<T> scaled(Vec<T> x) const {
    const IntVec<T> half = n >> 1;
    return x * power_of_two<T>(half) * power_of_two<T>(n - half);
  }
};

template <class T>
FALLLINE_INLINE Vec<T> exp(Vec<T> x) {
  const ExpReduction<T> e(x, FloatBits<T>::exp_low, FloatBits<T>::exp_high);
  return e.scaled(expm1_reduced(e.r) + T(1));
}

// e^x - 1, exact near 0.
template <class T>
FALLLINE_INLINE Vec<T> expm1(Vec<T> x) {
  constexpr T least = -64;  // below, the result is -1
  const ExpReduction<T> e(x, least, FloatBits<T>::exp_high);
  const IntVec<T> zero{}, most = zero + 64;  // 2^-64 is nothing beside 1
  return e.scaled(expm1_reduced(e.r) + (T(1) - power_of_two<T>(zero - (e.n < most ? e.n : most))));
}

// ln(1 + f) - f + f^2/2 on sqrt(1/2) - 1 <= f <= sqrt(2) - 1.
FALLLINE_INLINE Vec<float> log_tail(Vec<float> f) {
  constexpr float c[] = {7.0376836292e-2f,  -1.1514610310e-1f, 1.1676998740e-1f,  -1.2420140846e-1f, 1.4249322787e-1f,
                         -1.6668057665e-1f, 2.0000714765e-1f,  -2.4999993993e-1f, 3.3333331174e-1f};
  return f * f * f * polynomial(f, c);
}
FALLLINE_INLINE Vec<double> log_tail(Vec<double> f) {
  constexpr double p[] = {1.01875663804580931796e-4, 4.97494994976747001425e-1, 4.70579119878881725854e0,
                          1.44989225341610930846e1,  1.79368678507819816313e1,  7.70838733755885391666e0};
  constexpr double q[] = {1.0,
                          1.12873587189167450590e1,
                          4.52279145837532221105e1,
                          8.29875266912776603211e1,
                          7.11544750618563894466e1,
                          2.31251620126765340583e1};
  return f * f * f * (polynomial(f, p) / polynomial(f, q));
}

// Natural logarithm; 0 gives -inf, negative numbers NaN.
template <class T>
FALLLINE_INLINE Vec<T> log(Vec<T> x) {
  using Int = typename IntOf<T>::type;
  using Bits = FloatBits<T>;
  constexpr T infinity = std::numeric_limits<T>::infinity();
  // Subnormal numbers are brought into the normal range first.
  const IntVec<T> tiny = x < std::numeric_limits<T>::min();
  const Vec<T> scale = broadcast(static_cast<T>(Int{1} << (Bits::mantissa + 1)));
  const Vec<T> scaled = select<T>(tiny, x * scale, x);
  const IntVec<T> bits = bit_cast<IntVec<T>>(abs<T>(scaled));  // without a sign, nothing below overflows
  // x = m 2^e with sqrt(1/2) <= m < sqrt(2).
  constexpr Int root_half = sizeof(T) == 4 ? Int{0x3f3504f3} : static_cast<Int>(0x3fe6a09e667f3bcd);
  const IntVec<T> e_int = (bits - root_half) >> Bits::mantissa;
  const Vec<T> m = bit_cast<Vec<T>>(bits - (e_int << Bits::mantissa));
  Vec<T> e = __builtin_convertvector(e_int, Vec<T>);
  e = select<T>(tiny, e - static_cast<T>(Bits::mantissa + 1), e);
  const Vec<T> f = m - T(1);
  // ln(2) = 0.693359375 - 2.12194440e-4, the first exact in few bits.
  Vec<T> y = fma(e, broadcast(T(-2.121944400546905827679e-4)), log_tail(f));
  y = fma(f * f, broadcast(T(-0.5)), y) + f;
  y = fma(e, broadcast(T(0.693359375)), y);
  const Vec<T> nan = broadcast(std::numeric_limits<T>::quiet_NaN());
  y = x == T(0) ? broadcast(-infinity) : y;
  y = x < T(0) ? nan : y;
  return x == infinity ? x : (x != x ? x : y);
}

// ln(1 + u) for u >= 0, exact where 1 + u rounds.
template <class T>
FALLLINE_INLINE Vec<T> log1p(Vec<T> u) {
  const Vec<T> w = u + T(1);
  return log<T>(w) - ((w - T(1)) - u) / w;
}

FALLLINE_INLINE Vec<float> tanh_small(Vec<float> x) {
  constexpr float c[] = {-5.70498872745e-3f, 2.06390887954e-2f, -5.37397155531e-2f, 1.33314422036e-1f,
                         -3.33332819422e-1f};
  const Vec<float> square = x * x;
  return fma(polynomial(square, c) * square, x, x);
}
FALLLINE_INLINE Vec<double> tanh_small(Vec<double> x) {
  constexpr double p[] = {-9.64399179425052238628e-1, -9.92877231001918586564e1, -1.61468768441708447952e3};
  constexpr double q[] = {1.0, 1.12811678491632931402e2, 2.23548839060100448583e3, 4.84406305325125486048e3};
  const Vec<double> square = x * x;
  return fma(square * (polynomial(square, p) / polynomial(square, q)), x, x);
}

template <class T>
FALLLINE_INLINE Vec<T> tanh(Vec<T> x) {
  const Vec<T> size = abs<T>(x);
  const Vec<T> large = T(1) - T(2) / (exp<T>(size + size) + T(1));
  const Vec<T> signed_large = x < T(0) ? -large : large;
  return select<T>(size < T(0.625), tanh_small(x), signed_large);
}

// sin(r) and cos(r) on |r| <= pi/4, from r^2.
FALLLINE_INLINE Vec<float> sin_small(Vec<float> r, Vec<float> square) {
  constexpr float c[] = {-1.9515295891e-4f, 8.3321608736e-3f, -1.6666654611e-1f};
  return fma(polynomial(square, c) * square, r, r);
}
FALLLINE_INLINE Vec<double> sin_small(Vec<double> r, Vec<double> square) {
  constexpr double c[] = {1.58962301576546568060e-10, -2.50507477628578072866e-8, 2.75573136213857245213e-6,
                          -1.98412698295895385996e-4, 8.33333333332211858878e-3,  -1.66666666666666307295e-1};
  return fma(polynomial(square, c) * square, r, r);
}
FALLLINE_INLINE Vec<float> cos_small(Vec<float> square) {
  constexpr float c[] = {2.443315711809948e-5f, -1.388731625493765e-3f, 4.166664568298827e-2f, -0.5f, 1.0f};
  return polynomial(square, c);
}
FALLLINE_INLINE Vec<double> cos_small(Vec<double> square) {
  constexpr double c[] = {-1.13585365213876817300e-11,
                          2.08757008419747316778e-9,
                          -2.75573141792967388112e-7,
                          2.48015872888517045348e-5,
                          -1.38888888888730564116e-3,
                          4.16666666666665929218e-2,
                          -0.5,
                          1.0};
  return polynomial(square, c);
}

// sin and cos of 2 pi t, for |t| <= 2^20.
template <class T>
struct Circle {
  Vec<T> sin, cos;

  explicit FALLLINE_INLINE Circle(Vec<T> t) {
    const Vec<T> quarters = T(4) * t, shifted = quarters + FloatBits<T>::round_to_int;
    const Vec<T> r = (quarters - (shifted - FloatBits<T>::round_to_int)) * T(1.5707963267948966192);
    const IntVec<T> quadrant = bit_cast<IntVec<T>>(shifted);
    const Vec<T> s = sin_small(r, r * r), c = cos_small(r * r);
    const IntVec<T> odd = (quadrant & 1) != 0;
    const Vec<T> up = select<T>(odd, c, s), along = select<T>(odd, s, c);
    sin = select<T>((quadrant & 2) != 0, -up, up);
    cos = select<T>(((quadrant + 1) & 2) != 0, -along, along);
  }
};

// 1 / (1 + e^-x), from e^-|x| so that nothing overflows.
template <class T>
FALLLINE_INLINE Vec<T> sigmoid(Vec<T> x) {
  const Vec<T> decay = exp<T>(-abs<T>(x));
  const Vec<T> numerator = x < T(0) ? decay : broadcast(T(1));
  return numerator / (T(1) + decay);
}

// ln(1 + e^x)
template <class T>
FALLLINE_INLINE Vec<T> softplus(Vec<T> x) {
  const Vec<T> positive = x < T(0) ? Vec<T>{} : x;
  return positive + log1p<T>(exp<T>(-abs<T>(x)));
}

// (u + 5) e^(u^2/2) P(X > u) for a standard normal X, as a polynomial in (u - 5) / (u + 5): interpolated at Chebyshev
// nodes, u up to 15 and to 40.
FALLLINE_INLINE Vec<float> normal_tail(Vec<float> s) {
  constexpr float c[] = {3.950648572e-4f, -9.888279504e-4f, -2.960996177e-3f, 2.088904463e-2f,  -6.911326651e-2f,
                         1.650039256e-1f, -3.135345257e-1f, 4.953066195e-1f,  -6.653824588e-1f, 7.691930396e-1f};
  return polynomial(s, c);
}
FALLLINE_INLINE Vec<double> normal_tail(Vec<double> s) {
  constexpr double c[] = {
      2.20618608579568861e-9,  7.57370245695260291e-9,  -1.0623937439932971e-8,  -6.65400740125251116e-8,
      4.38523607919232902e-8,  4.34312430010471835e-7,  -3.37631879564460744e-7, -2.77026489468599207e-6,
      3.98127492314160308e-6,  1.66816944466908831e-5,  -4.97628886802980786e-5, -5.93758678021216966e-5,
      5.44899070773315855e-4,  -7.97869373946913757e-4, -2.99337677015935331e-3, 2.07950667974165969e-2,
      -6.91186387064043669e-2, 1.65020366170511145e-1,  -3.13533156671299527e-1, 4.95305615969973883e-1,
      -6.65382502890056764e-1, 7.69193049750062967e-1};
  return polynomial(s, c);
}

// The standard normal distribution, exact in its tail: e^(-x^2/2), and P(X <= x) = (1 + erf(x / sqrt(2))) / 2.
template <class T>
struct Normal {
  Vec<T> bell, below;

  explicit FALLLINE_INLINE Normal(Vec<T> x) {
    const Vec<T> u = min<T>(abs<T>(x), broadcast(T(40)));  // where both are 0
    const Vec<T> square = u * u, lost = fma(u, u, -square);
    const Vec<T> rounded = exp<T>(T(-0.5) * square);
    bell = fma(rounded, T(-0.5) * lost, rounded);
    const Vec<T> tail = bell * (normal_tail((u - T(5)) / (u + T(5))) / (u + T(5)));
    below = x < T(0) ? tail : T(1) - tail;
  }
};

}  // namespace
}  // namespace fallline
