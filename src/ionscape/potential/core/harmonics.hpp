// Real spherical harmonics Y_lm of unit vectors, many vectors at a time, lm at l (l + 1) + m, and the forces that
// come back through them.
//
// Y_lm = K_lm P_l^(m)(z) {c_m, s_m}(x, y), P_l^(m) the m-th derivative of the Legendre polynomial, c_m + i s_m =
// (x + i y)^m; sum_m Y_lm^2 = (2l + 1) / 4 pi.

#ifndef IONSCAPE_HARMONICS_HPP
#define IONSCAPE_HARMONICS_HPP

#include "vector.hpp"

namespace ionscape {
namespace IONSCAPE_VARIANT {

constexpr int most_l = 6;

// Factors of the recurrence of K_lm P_l^(m): first (l = m), up, down, and K_lm / K_l,m+1 for the slope. Degree l may be
// weighted with a number other than zero.
template <class T> struct HarmonicFactors {
    T first[most_l + 1], up[most_l + 1][most_l + 1], down[most_l + 1][most_l + 1], slope[most_l + 1][most_l + 1];

    void set(const double* weights, int l_max) {
        double k[most_l + 1][most_l + 2] = {};
        for (int l = 0; l <= most_l; ++l)
            for (int m = 0; m <= l; ++m) {
                double ratio = (2 * l + 1) / (4 * 3.14159265358979323846) * (m ? 2 : 1);
                for (int i = l - m + 1; i <= l + m; ++i) ratio /= i;
                k[l][m] = __builtin_sqrt(ratio) * (l <= l_max ? weights[l] : 1);
            }
        double odd = 1;  // (2m - 1)!!
        for (int m = 0; m <= most_l; odd *= 2 * m + 1, ++m) {
            first[m] = T(k[m][m] * odd);
            for (int l = m + 1; l <= most_l; ++l) {
                up[l][m] = T(k[l][m] / k[l - 1][m] * (2 * l - 1) / (l - m));
                down[l][m] = l > m + 1 ? T(k[l][m] / k[l - 2][m] * (l + m - 1) / (l - m)) : T(0);
                slope[l][m] = T(k[l][m] / k[l][m + 1]);
            }
        }
    }
};

template <class T, int L> struct Harmonics {
    typedef Vector<T> V;
    V c[L + 1], s[L + 1];     // (x + i y)^m
    V legendre[L + 1][L + 1];  // K_lm P_l^(m)(z), of l, m

    INLINE Harmonics(const HarmonicFactors<T>& factors, V x, V y, V z) {
        c[0] = splat<T>(1);
        s[0] = V{};
#pragma GCC unroll 8
        for (int m = 1; m <= L; ++m) {
            c[m] = m == 1 ? x : x * c[m - 1] - y * s[m - 1];
            s[m] = m == 1 ? y : x * s[m - 1] + y * c[m - 1];
        }
#pragma GCC unroll 8
        for (int m = 0; m <= L; ++m) {
            legendre[m][m] = splat<T>(factors.first[m]);
#pragma GCC unroll 8
            for (int l = m + 1; l <= L; ++l) {
                legendre[l][m] = factors.up[l][m] * z * legendre[l - 1][m];
                if (l > m + 1) legendre[l][m] -= factors.down[l][m] * legendre[l - 2][m];
            }
        }
    }

    INLINE void values(V* y) const {
#pragma GCC unroll 8
        for (int l = 0; l <= L; ++l) {
            y[l * l + l] = legendre[l][0];
#pragma GCC unroll 8
            for (int m = 1; m <= l; ++m) {
                y[l * l + l + m] = legendre[l][m] * c[m];
                y[l * l + l - m] = legendre[l][m] * s[m];
            }
        }
    }

    // dY_lm/dx, dY_lm/dy, dY_lm/dz of the polynomials, of which only the part across the radius means anything.
    INLINE void gradients(const HarmonicFactors<T>& factors, V* dx, V* dy, V* dz) const {
        for (int l = 0; l <= L; ++l)
            for (int m = 0; m <= l; ++m) {
                const int plus = l * l + l + m, minus = l * l + l - m;
                const V slope = l > m ? factors.slope[l][m] * legendre[l][m + 1] : V{};
                dz[minus] = slope * s[m];
                dz[plus] = slope * c[m];
                dx[minus] = dy[minus] = dx[plus] = dy[plus] = V{};
                if (m == 0) continue;
                const V side = T(m) * legendre[l][m];
                dx[plus] = side * c[m - 1];
                dy[plus] = -side * s[m - 1];
                dx[minus] = side * s[m - 1];
                dy[minus] = side * c[m - 1];
            }
    }

    // With E = sum_lm t_lm Y_lm: along the radius, sum_lm radial_lm Y_lm, and dE/d(unit vector) with the polynomials
    // taken beyond the sphere as they stand: only its part across the radius means anything.
    INLINE void adjoint(const HarmonicFactors<T>& factors, const V* t, const V* radial, V& along, V* across) const {
        along = across[0] = across[1] = across[2] = V{};
#pragma GCC unroll 8
        for (int m = 0; m <= L; ++m) {
            V tc{}, ts{}, zc{}, zs{}, rc{}, rs{};
#pragma GCC unroll 8
            for (int l = m; l <= L; ++l) {
                const int plus = l * l + l + m, minus = l * l + l - m;
                tc += t[plus] * legendre[l][m];
                rc += radial[plus] * legendre[l][m];
                if (m) ts += t[minus] * legendre[l][m];
                if (m) rs += radial[minus] * legendre[l][m];
                if (l > m) {
                    const V slope = factors.slope[l][m] * legendre[l][m + 1];
                    zc += t[plus] * slope;
                    if (m) zs += t[minus] * slope;
                }
            }
            along += rc * c[m];
            across[2] += zc * c[m];
            if (m) {
                along += rs * s[m];
                across[2] += zs * s[m];
                across[0] += T(m) * (tc * c[m - 1] + ts * s[m - 1]);
                across[1] += T(m) * (ts * c[m - 1] - tc * s[m - 1]);
            }
        }
    }
};

}  // namespace IONSCAPE_VARIANT
}  // namespace ionscape

#endif
