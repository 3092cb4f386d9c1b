// Short vectors of the instruction set that the including source is compiled for.
//
// Everything that is compiled more than once lives in the namespace of its instruction set, and uses nothing of the
// standard library that the linker could merge across instruction sets.

#ifndef IONSCAPE_VECTOR_HPP
#define IONSCAPE_VECTOR_HPP

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <new>

#if defined(__AVX512F__) || defined(__AVX__) || defined(__SSE2__)
#include <immintrin.h>
#endif
#if defined(__ARM_NEON)
#include <arm_neon.h>
#endif

#ifndef IONSCAPE_VARIANT
#error "IONSCAPE_VARIANT names the instruction set"
#endif

#define INLINE inline __attribute__((always_inline))

namespace ionscape {
namespace IONSCAPE_VARIANT {

#if defined(__AVX512F__)
constexpr int vector_bytes = 64, vector_registers = 32;
#elif defined(__AVX__)
constexpr int vector_bytes = 32, vector_registers = 16;
#elif defined(__ARM_NEON)
constexpr int vector_bytes = 16, vector_registers = 32;
#else
constexpr int vector_bytes = 16, vector_registers = 16;
#endif

template <class T> struct Lanes;
template <> struct Lanes<float> {
    typedef float Vector __attribute__((vector_size(vector_bytes)));
    typedef float Loose __attribute__((vector_size(vector_bytes), aligned(4), may_alias));
    typedef float Octet __attribute__((vector_size(32)));
    typedef float Quartet __attribute__((vector_size(16)));
};
template <> struct Lanes<double> {
    typedef double Vector __attribute__((vector_size(vector_bytes)));
    typedef double Loose __attribute__((vector_size(vector_bytes), aligned(8), may_alias));
    typedef double Octet __attribute__((vector_size(64)));
    typedef double Quartet __attribute__((vector_size(32)));
};

typedef double Double4 __attribute__((vector_size(32)));

template <class T> constexpr int lanes = vector_bytes / int(sizeof(T));
template <class T> using Vector = typename Lanes<T>::Vector;

template <class T> constexpr int padded(int n) { return (n + lanes<T> - 1) / lanes<T> * lanes<T>; }

template <class T> INLINE Vector<T> load(const T* p) {
    return *reinterpret_cast<const typename Lanes<T>::Loose*>(p);
}
template <class T> INLINE void store(T* p, Vector<T> v) { *reinterpret_cast<typename Lanes<T>::Loose*>(p) = v; }
template <class T> INLINE Vector<T> splat(T x) { return x - Vector<T>{}; }

// Store the lanes of `v` whose `factor` is not zero, times it.
template <class T> INLINE void store_chosen(T* p, Vector<T> v, Vector<T> factor) {
    const Vector<T> scaled = v * factor;
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4)
        _mm512_mask_storeu_ps(p, _mm512_cmp_ps_mask((__m512)factor, (__m512)Vector<T>{}, _CMP_NEQ_OQ), (__m512)scaled);
    else
        _mm512_mask_storeu_pd(p, _mm512_cmp_pd_mask((__m512d)factor, (__m512d)Vector<T>{}, _CMP_NEQ_OQ),
                              (__m512d)scaled);
#elif defined(__AVX__)
    if constexpr (sizeof(T) == 4) _mm256_maskstore_ps(p, (__m256i)(factor != 0), (__m256)scaled);
    else _mm256_maskstore_pd(p, (__m256i)(factor != 0), (__m256d)scaled);
#else
    for (int i = 0; i < lanes<T>; ++i)
        if (factor[i] != 0) p[i] = scaled[i];
#endif
}

template <class T> INLINE T total(Vector<T> v) {
    T sum = 0;
    for (int i = 0; i < lanes<T>; ++i) sum += v[i];
    return sum;
}

INLINE Vector<float> root(Vector<float> v) {
#if defined(__AVX512F__)
    return (Vector<float>)_mm512_sqrt_ps((__m512)v);
#elif defined(__AVX__)
    return (Vector<float>)_mm256_sqrt_ps((__m256)v);
#elif defined(__SSE2__)
    return (Vector<float>)_mm_sqrt_ps((__m128)v);
#elif defined(__ARM_NEON)
    return (Vector<float>)vsqrtq_f32((float32x4_t)v);
#else
    for (int i = 0; i < lanes<float>; ++i) v[i] = __builtin_sqrtf(v[i]);
    return v;
#endif
}

INLINE Vector<double> root(Vector<double> v) {
#if defined(__AVX512F__)
    return (Vector<double>)_mm512_sqrt_pd((__m512d)v);
#elif defined(__AVX__)
    return (Vector<double>)_mm256_sqrt_pd((__m256d)v);
#elif defined(__SSE2__)
    return (Vector<double>)_mm_sqrt_pd((__m128d)v);
#elif defined(__ARM_NEON)
    return (Vector<double>)vsqrtq_f64((float64x2_t)v);
#else
    for (int i = 0; i < lanes<double>; ++i) v[i] = __builtin_sqrt(v[i]);
    return v;
#endif
}

template <int... I> struct Sequence {};
template <int N, int... I> struct Count : Count<N - 1, N - 1, I...> {};
template <int... I> struct Count<0, I...> { typedef Sequence<I...> type; };

// The two halves of the exchange of lane bit S between rows: lanes with the bit clear, or set, of both.
template <int S, int W, class V, int... I> INLINE V low_lanes(V a, V b, Sequence<I...>) {
    return __builtin_shufflevector(a, b, ((I & S) ? W + I - S : I)...);
}
template <int S, int W, class V, int... I> INLINE V high_lanes(V a, V b, Sequence<I...>) {
    return __builtin_shufflevector(a, b, ((I & S) ? W + I : I + S)...);
}

template <int S, int W, class V> INLINE void exchange(V* rows) {
    typedef typename Count<W>::type All;
#pragma GCC unroll 16
    for (int i = 0; i < W; ++i) {
        if (i & S) continue;
        const V a = rows[i], b = rows[i + S];
        rows[i] = low_lanes<S, W>(a, b, All());
        rows[i + S] = high_lanes<S, W>(a, b, All());
    }
}

// A square block, lanes<T> rows of lanes<T>, becomes its transpose.
template <class T> INLINE void transpose(Vector<T>* rows) {
    constexpr int W = lanes<T>;
    if constexpr (W > 8) exchange<8, W>(rows);
    if constexpr (W > 4) exchange<4, W>(rows);
    if constexpr (W > 2) exchange<2, W>(rows);
    if constexpr (W > 1) exchange<1, W>(rows);
}

// to[c][r] = from[r][c]; rows and columns are multiples of lanes<T>.
template <class T> inline void transpose(const T* from, int rows, int columns, T* to) {
    constexpr int W = lanes<T>;
    for (int r = 0; r < rows; r += W)
        for (int c = 0; c < columns; c += W) {
            Vector<T> block[W];
            for (int i = 0; i < W; ++i) block[i] = load(from + ptrdiff_t(r + i) * columns + c);
            transpose<T>(block);
            for (int i = 0; i < W; ++i) store(to + ptrdiff_t(c + i) * rows + r, block[i]);
        }
}

// Memory that grows and never shrinks, aligned for vectors, with room for one more vector at its end.
template <class T> struct Buffer {
    T* data = nullptr;
    size_t size = 0;

    Buffer() = default;
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    ~Buffer() { free(data); }

    T* reserve(size_t n) {
        if (n > size) {
            free(data);
            size = 0;
            const size_t bytes = (n * sizeof(T) + 2 * 64 + 63) / 64 * 64;
            data = static_cast<T*>(aligned_alloc(64, bytes));
            if (!data) throw std::bad_alloc();
            memset(data, 0, bytes);
            size = n;
        }
        return data;
    }
    operator T*() const { return data; }
};

}  // namespace IONSCAPE_VARIANT
}  // namespace ionscape

#endif
