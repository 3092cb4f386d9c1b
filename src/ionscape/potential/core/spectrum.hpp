// Mixing of densities, the power spectrum, and the way back of its gradient.
//
// An atom's coefficients stand as (lm, q), q padded to whole vectors.

#ifndef IONSCAPE_SPECTRUM_HPP
#define IONSCAPE_SPECTRUM_HPP

#include "vector.hpp"

namespace ionscape {
namespace IONSCAPE_VARIANT {

constexpr double sqrt2 = 1.41421356237309504880;

// out[m, v] = sum_k in[k step + m jump] matrix[k, v] for M = 2l + 1 rows, v = 0 .. width.
template <class T, int M>
void contract(const T* in, ptrdiff_t step, ptrdiff_t jump, const T* matrix, int depth, int width, T* out) {
    for (int v = 0; v < width; v += lanes<T>) {
        Vector<T> sum[M] = {};
        for (int k = 0; k < depth; ++k) {
            const Vector<T> b = load(matrix + ptrdiff_t(k) * width + v);
#pragma GCC unroll 16
            for (int m = 0; m < M; ++m) sum[m] += in[k * step + m * jump] * b;
        }
#pragma GCC unroll 16
        for (int m = 0; m < M; ++m) store(out + ptrdiff_t(m) * width + v, sum[m]);
    }
}

template <class T>
void contract_degree(int l, const T* in, ptrdiff_t step, ptrdiff_t jump, const T* matrix, int depth, int width,
                     T* out) {
    switch (l) {
        case 0: return contract<T, 1>(in, step, jump, matrix, depth, width, out);
        case 1: return contract<T, 3>(in, step, jump, matrix, depth, width, out);
        case 2: return contract<T, 5>(in, step, jump, matrix, depth, width, out);
        case 3: return contract<T, 7>(in, step, jump, matrix, depth, width, out);
        case 4: return contract<T, 9>(in, step, jump, matrix, depth, width, out);
        case 5: return contract<T, 11>(in, step, jump, matrix, depth, width, out);
        default: return contract<T, 13>(in, step, jump, matrix, depth, width, out);
    }
}

constexpr int spectrum_rows = 8;  // of the triangle at once

// Factors of row q of the triangle, as a square with zeros below the diagonal: one on it, sqrt 2 above. Rows of zeros
// follow.
template <class T> void triangle_factors(int Q, int width, T* factors) {
    for (int q = 0; q < Q + spectrum_rows; ++q)
        for (int r = 0; r < width; ++r) factors[q * width + r] = T(r < q || r >= Q ? 0 : r == q ? 1 : sqrt2);
}

// p[l, q <= q'] = sum_m d[lm, q] d[lm, q'], times sqrt 2 off the diagonal.
template <class T> void power_spectrum(const T* d, int l_max, int Q, int width, const T* factors, T* p) {
    constexpr int W = lanes<T>, B = spectrum_rows;
    for (int l = 0; l <= l_max; ++l, d += (2 * l - 1) * ptrdiff_t(width), p += Q * (Q + 1) / 2) {
        const int M = 2 * l + 1;
        for (int v = 0; v < width; v += W)
            for (int q = 0; q < v + W && q < Q; q += B) {  // d has a vector of room behind it
                Vector<T> sum[B] = {};
                for (int m = 0; m < M; ++m) {
                    const T* row = d + ptrdiff_t(m) * width;
                    const Vector<T> right = load(row + v);
#pragma GCC unroll 8
                    for (int i = 0; i < B; ++i) sum[i] += row[q + i] * right;
                }
                T* to = p + q * Q - q * (q + 1) / 2 + v;
                const T* factor = factors + ptrdiff_t(q) * width + v;
#pragma GCC unroll 8
                for (int i = 0; i < B; ++i, to += Q - q - i, factor += width) store_chosen<T>(to, sum[i], load(factor));
            }
    }
}

// dE/dd from dE/dp: out[lm, q'] = sum_q S[q, q'] d[lm, q], S of degree l symmetric: 2 g on, sqrt 2 g off the diagonal.
// A vector behind the features in `g` is read, and must be finite; `square` is scratch.
template <class T>
void spectrum_adjoint(const T* g, const T* d, int l_max, int Q, int width, const T* factors, T* square, T* out) {
    constexpr int W = lanes<T>;
    for (int l = 0; l <= l_max; ++l, g += Q * (Q + 1) / 2) {
        for (int a = 0; a < width; a += W)
            for (int b = a; b < width; b += W) {
                Vector<T> block[W], mirror[W];
                const int rows = Q - a < W ? Q - a : W;
                for (int i = 0; i < W; ++i) block[i] = Vector<T>{};
                for (int i = 0; i < rows; ++i) {
                    const int q = a + i;
                    block[i] = load(g + q * Q - q * (q + 1) / 2 + b) * load(factors + ptrdiff_t(q) * width + b);
                }
                for (int i = 0; i < W; ++i) mirror[i] = block[i];
                transpose<T>(mirror);
                for (int i = 0; i < W; ++i) {
                    if (a == b) block[i] += mirror[i];
                    else store(square + ptrdiff_t(b + i) * width + a, mirror[i]);
                    store(square + ptrdiff_t(a + i) * width + b, block[i]);
                }
            }
        contract_degree<T>(l, d, 1, width, square, Q, width, out);
        d += (2 * l + 1) * ptrdiff_t(width);
        out += (2 * l + 1) * ptrdiff_t(width);
    }
}

}  // namespace IONSCAPE_VARIANT
}  // namespace ionscape

#endif
