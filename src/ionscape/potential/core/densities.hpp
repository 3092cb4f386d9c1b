// Densities c[s n, lm] = sum_j R_n(r_j) Y_lm(r_j) of an environment, and the forces that dE/dc puts on its atoms.
//
// Rows of lm are padded to whole vectors: `row_length`.

#ifndef IONSCAPE_DENSITIES_HPP
#define IONSCAPE_DENSITIES_HPP

#include "environment.hpp"
#include "harmonics.hpp"

namespace ionscape {
namespace IONSCAPE_VARIANT {

template <class T, int L> constexpr int row_length = padded<T>((L + 1) * (L + 1));

// As many radial functions at once as there are registers for.
template <class T, int L> constexpr int functions_at_once() {
    const int fit = (vector_registers * 3 / 4) / (row_length<T, L> / lanes<T>);
    return fit > 8 ? 8 : fit > 1 ? fit : 1;
}

template <class T> struct Rows {
    Buffer<T> harmonics, tangent, slope;

    void reserve(int neighbours, int length) {
        const size_t n = size_t(padded<T>(neighbours) + lanes<T>) * length;
        harmonics.reserve(n);
        tangent.reserve(n);
        slope.reserve(n);
    }
};

template <class T, int L> void harmonic_rows(const Environment<T>& e, const HarmonicFactors<T>& factors, T* rows) {
    constexpr int W = lanes<T>, length = row_length<T, L>;
    for (int k = 0; k < e.count; k += W) {
        Vector<T> y[length] = {};
        Harmonics<T, L>(factors, load(e.x + k), load(e.y + k), load(e.z + k)).values(y);
#pragma GCC unroll 16
        for (int block = 0; block < length; block += W) {
            transpose<T>(y + block);
#pragma GCC unroll 16
            for (int j = 0; j < W; ++j) store(rows + ptrdiff_t(k + j) * length + block, y[block + j]);
        }
    }
}

// c[n] = sum_j radial[j, n] rows[j] for B radial functions and neighbours begin .. end.
template <class T, int L, int B>
INLINE void accumulate(const T* radial, int width, const T* rows, int begin, int end, T* c) {
    constexpr int length = row_length<T, L>, C = length / lanes<T>;
    Vector<T> sum[B][C] = {};
    for (int j = begin; j < end; ++j) {
        const T* r = radial + ptrdiff_t(j) * width;
        Vector<T> y[C];
#pragma GCC unroll 16
        for (int i = 0; i < C; ++i) y[i] = load(rows + ptrdiff_t(j) * length + i * lanes<T>);
#pragma GCC unroll 8
        for (int n = 0; n < B; ++n)
#pragma GCC unroll 16
            for (int i = 0; i < C; ++i) sum[n][i] += r[n] * y[i];
    }
#pragma GCC unroll 8
    for (int n = 0; n < B; ++n)
#pragma GCC unroll 16
        for (int i = 0; i < C; ++i) store(c + n * length + i * lanes<T>, sum[n][i]);
}

// tangent[j] (+)= sum_n radial[j, n] h[n] and slope[j] the same with the slopes, for B radial functions.
template <class T, int L, int B, bool first>
INLINE void spread(const T* radial, int width, const T* h, int begin, int end, const Rows<T>& rows) {
    constexpr int length = row_length<T, L>, C = length / lanes<T>;
    Vector<T> hold[B][C];
#pragma GCC unroll 8
    for (int n = 0; n < B; ++n)
#pragma GCC unroll 16
        for (int i = 0; i < C; ++i) hold[n][i] = load(h + n * length + i * lanes<T>);
    for (int j = begin; j < end; ++j) {
        const T* r = radial + ptrdiff_t(j) * width;
        const T* dr = r + width / 2;
        T* const tangent = rows.tangent + ptrdiff_t(j) * length;
        T* const slope = rows.slope + ptrdiff_t(j) * length;
#pragma GCC unroll 16
        for (int i = 0; i < C; ++i) {
            Vector<T> t = first ? Vector<T>{} : load(tangent + i * lanes<T>);
            Vector<T> dt = first ? Vector<T>{} : load(slope + i * lanes<T>);
#pragma GCC unroll 8
            for (int n = 0; n < B; ++n) {
                t += r[n] * hold[n][i];
                dt += dr[n] * hold[n][i];
            }
            store(tangent + i * lanes<T>, t);
            store(slope + i * lanes<T>, dt);
        }
    }
}

template <class T, int L, int B> struct Groups {
    // The largest group of at most B functions that is left, down to one.
    static void accumulate_up_to(int left, const T* radial, int width, const T* rows, int begin, int end, T* c) {
        if (left == B) accumulate<T, L, B>(radial, width, rows, begin, end, c);
        else if constexpr (B > 1) Groups<T, L, B - 1>::accumulate_up_to(left, radial, width, rows, begin, end, c);
    }
    static void spread_up_to(int left, bool first, const T* radial, int width, const T* h, int begin, int end,
                             const Rows<T>& rows) {
        if (left == B && first) spread<T, L, B, true>(radial, width, h, begin, end, rows);
        else if (left == B) spread<T, L, B, false>(radial, width, h, begin, end, rows);
        else if constexpr (B > 1) Groups<T, L, B - 1>::spread_up_to(left, first, radial, width, h, begin, end, rows);
    }
};

// c (species n, row length).
template <class T, int L>
void densities(const Environment<T>& e, int n_species, int n_radial, const T* rows, T* c) {
    constexpr int most = functions_at_once<T, L>();
    const int width = 2 * ((n_radial + 7) / 8 * 8);
    for (int s = 0; s < n_species; ++s)
        for (int n = 0; n < n_radial; n += most) {
            const int group = n_radial - n < most ? n_radial - n : most;
            Groups<T, L, most>::accumulate_up_to(group, e.radial + n, width, rows, e.run[s], e.run[s + 1],
                                                 c + ptrdiff_t(s * n_radial + n) * row_length<T, L>);
        }
}

// Add the forces of dE/dc = h (species n, row length) to `forces`, and sum r (x) F to `virial` (xx yy zz yz xz xy).
template <class T, int L>
void force_of(const Environment<T>& e, const HarmonicFactors<T>& factors, const T* h, int n_species, int n_radial,
              const Rows<T>& rows, int centre, bool pairs, double* forces, double* virial) {
    constexpr int W = lanes<T>, length = row_length<T, L>, most = functions_at_once<T, L>();
    const int width = 2 * ((n_radial + 7) / 8 * 8);
    for (int s = 0; s < n_species; ++s)
        for (int n = 0; n < n_radial; n += most) {
            const int group = n_radial - n < most ? n_radial - n : most;
            Groups<T, L, most>::spread_up_to(group, n == 0, e.radial + n, width,
                                             h + ptrdiff_t(s * n_radial + n) * length, e.run[s], e.run[s + 1], rows);
        }
    const ptrdiff_t end = padded<T>(e.count);
    memset(rows.tangent + ptrdiff_t(e.count) * length, 0, (end - e.count) * length * sizeof(T));
    memset(rows.slope + ptrdiff_t(e.count) * length, 0, (end - e.count) * length * sizeof(T));
    for (int k = e.count; k < end; ++k) e.push[k] = 0;

    Vector<T> w[6] = {};
    Double4 own = {};
    for (int k = 0; k < e.count; k += W) {
        Vector<T> t[length], dt[length];
#pragma GCC unroll 16
        for (int block = 0; block < length; block += W) {
#pragma GCC unroll 16
            for (int j = 0; j < W; ++j) t[block + j] = load(rows.tangent + ptrdiff_t(k + j) * length + block);
            transpose<T>(t + block);
#pragma GCC unroll 16
            for (int j = 0; j < W; ++j) dt[block + j] = load(rows.slope + ptrdiff_t(k + j) * length + block);
            transpose<T>(dt + block);
        }
        const Vector<T> x = load(e.x + k), y = load(e.y + k), z = load(e.z + k);
        const Vector<T> r = load(e.distance + k), over = load(e.inverse + k);
        Vector<T> along, across[3];
        Harmonics<T, L>(factors, x, y, z).adjoint(factors, t, dt, along, across);
        if (pairs) along += load(e.push + k);
        const Vector<T> radial = along - over * (x * across[0] + y * across[1] + z * across[2]);
        const Vector<T> fx = radial * x + over * across[0];
        const Vector<T> fy = radial * y + over * across[1];
        const Vector<T> fz = radial * z + over * across[2];
        const Vector<T> rx = r * x, ry = r * y, rz = r * z;
        w[0] += rx * fx;
        w[1] += ry * fy;
        w[2] += rz * fz;
        w[3] += ry * fz;
        w[4] += rx * fz;
        w[5] += rx * fy;
        const int here = e.count - k < W ? e.count - k : W;
        T f[3][W];
        store(f[0], fx);
        store(f[1], fy);
        store(f[2], fz);
        for (int j = 0; j < here; ++j) {
            const Double4 pull = {double(f[0][j]), double(f[1][j]), double(f[2][j]), 0};
            own += pull;
            *reinterpret_cast<Double4*>(forces + 4 * ptrdiff_t(e.atom[k + j])) -= pull;
        }
    }
    *reinterpret_cast<Double4*>(forces + 4 * ptrdiff_t(centre)) += own;
    for (int i = 0; i < 6; ++i) virial[i] -= total<T>(w[i]);
}

}  // namespace IONSCAPE_VARIANT
}  // namespace ionscape

#endif
