// Design rows of training: kernel sums of a frame with many inducing environments, and their derivatives.
//
// For centre i, neighbour j and inducing environment m, dk_im/dr_j = kappa'(s_im) Z_j H_m with s = p . q, H_m =
// d(p . q_m)/dc and Z_j = dc/dr_j: a product of matrices whose inner length is that of the densities of one species.
// Inducing environments are the lanes, a panel of them at a time.

#ifndef IONSCAPE_ROWS_HPP
#define IONSCAPE_ROWS_HPP

#include "kernel.hpp"

namespace ionscape {
namespace IONSCAPE_VARIANT {

constexpr int panels_at_once = 4;
constexpr int neighbours_at_once = 8;

// Y and its gradients across the radius over r, a row for each neighbour.
template <class T, int L>
void gradient_rows(const Environment<T>& e, const HarmonicFactors<T>& factors, T* rows, T* dx, T* dy, T* dz) {
    constexpr int W = lanes<T>, length = row_length<T, L>;
    harmonic_rows<T, L>(e, factors, rows);
    for (int k = 0; k < e.count; k += W) {
        Vector<T> d[3][length] = {};
        const Vector<T> x = load(e.x + k), y = load(e.y + k), z = load(e.z + k), over = load(e.inverse + k);
        Harmonics<T, L>(factors, x, y, z).gradients(factors, d[0], d[1], d[2]);
        for (int i = 0; i < (L + 1) * (L + 1); ++i) {
            const Vector<T> along = x * d[0][i] + y * d[1][i] + z * d[2][i];
            d[0][i] = over * (d[0][i] - x * along);
            d[1][i] = over * (d[1][i] - y * along);
            d[2][i] = over * (d[2][i] - z * along);
        }
        T* const to[3] = {dx, dy, dz};
        for (int c = 0; c < 3; ++c)
            for (int block = 0; block < length; block += W) {
                transpose<T>(d[c] + block);
                for (int j = 0; j < W; ++j) store(to[c] + ptrdiff_t(k + j) * length + block, d[c][block + j]);
            }
    }
}

// What the rows of one centre are made from.
template <class T> struct Centre {
    const Environment<T>* environment;
    const T *harmonics, *gradients[3];
    const T* d;      // (lm, q), width apart
    const T* unscaled;  // normalised features over `scale`
    const T* own;    // A(p) d, (lm, q): what p itself would give for `steepness`
    int atom;
    T norm;
};

template <class T> class Rower {
  public:
    static constexpr int C = panel_vectors, width = C * lanes<T>;

    int n_species, radials, l_max, harmonics, length, channels, Q, features;
    ptrdiff_t d_stride;
    const T* unmix;          // l, q, channels
    ptrdiff_t unmix_stride;  // of channels
    Buffer<T> scale;          // of features: 2 on, sqrt 2 off the diagonal
    Buffer<T> inducing;       // panels of (features, width): q, scaled
    Buffer<T> mixed, slopes;  // (q, lm, width), panels of (channel, lm, width)
    Buffer<T> displacement, product;

    void reserve() {
        inducing.reserve(size_t(panels_at_once) * features * width);
        mixed.reserve(size_t(Q) * (harmonics + 1) * width);
        slopes.reserve(size_t(panels_at_once) * channels * harmonics * width);
        displacement.reserve(size_t(3) * neighbours_at_once * radials * harmonics);
        product.reserve(size_t(3) * neighbours_at_once * width);
        scale.reserve(features);
        for (int l = 0, k = 0; l <= l_max; ++l)
            for (int q = 0; q < Q; ++q)
                for (int r = q; r < Q; ++r, ++k) scale[k] = q == r ? T(2) : T(sqrt2);
    }

    // Take in environments first .. first + count, and zeros behind them.
    void take(const RowsTask& task, int first, int count) {
        constexpr int W = lanes<T>;
        const int panels = (count + width - 1) / width;
        for (int m = 0; m < panels * width; m += W)
            for (int k = 0; k < features; k += W) {
                const int columns = features - k < W ? features - k : W;
                Vector<T> block[W] = {};
                for (int i = 0; i < W && m + i < count; ++i) {
                    const double* from = task.inducing + ptrdiff_t(first + m + i) * features + k;
                    for (int j = 0; j < columns; ++j) block[i][j] = T(from[j]);
                }
                transpose<T>(block);
                T* to = inducing + (ptrdiff_t(m / width) * features + k) * width + m % width;
                for (int j = 0; j < columns; ++j) store(to + ptrdiff_t(j) * width, scale[k + j] * block[j]);
            }
    }

    // Kernel values of the panel are added to `energy`; dk/dc goes to `slopes`.
    void differentiate(const Centre<T>& centre, const double* amplitude, int panel, int count, double* energy) {
        const T* q = inducing + ptrdiff_t(panel) * features * width;
        Vector<T> s[C] = {}, steepness[C], pull[C];
        for (int k = 0; k < features; ++k)
#pragma GCC unroll 4
            for (int i = 0; i < C; ++i) s[i] += centre.unscaled[k] * load(q + ptrdiff_t(k) * width + i * lanes<T>);
        const T a1 = T(amplitude[0]), a2 = T(amplitude[1]), a3 = T(amplitude[2]), a4 = T(amplitude[3]);
        for (int i = 0; i < C; ++i) {
            const Vector<T> k = s[i] * (a1 + s[i] * (a2 + s[i] * (a3 + s[i] * a4)));
            for (int j = 0; j < lanes<T> && i * lanes<T> + j < count; ++j) energy[i * lanes<T> + j] += double(k[j]);
            steepness[i] = (a1 + s[i] * (2 * a2 + s[i] * (3 * a3 + s[i] * (4 * a4)))) / centre.norm;
            pull[i] = steepness[i] * s[i];
        }
        T* const whole = slopes + ptrdiff_t(panel) * channels * harmonics * width;
        T* const to = unmix ? mixed : whole;
        // Rows of `mixed` are one panel row longer than they are filled, lest they share the places of a cache.
        const ptrdiff_t step = (harmonics + (unmix ? 1 : 0)) * width;
        const T* g = inducing + ptrdiff_t(panel) * features * width;
        for (int l = 0; l <= l_max; ++l, g += ptrdiff_t(Q) * (Q + 1) / 2 * width) {
            switch (l) {
                case 0: back<1>(centre, l, g, steepness, pull, to, step); break;
                case 1: back<3>(centre, l, g, steepness, pull, to, step); break;
                case 2: back<5>(centre, l, g, steepness, pull, to, step); break;
                case 3: back<7>(centre, l, g, steepness, pull, to, step); break;
                case 4: back<9>(centre, l, g, steepness, pull, to, step); break;
                case 5: back<11>(centre, l, g, steepness, pull, to, step); break;
                default: back<13>(centre, l, g, steepness, pull, to, step); break;
            }
        }
        if (!unmix) return;
        for (int c = 0; c < channels; c += tile_rows)
            for (int l = 0; l <= l_max; ++l)
                for (int lm = l * l; lm < (l + 1) * (l + 1); ++lm) unmix_rows(l, lm, c, step, whole);
    }

    // Add the forces and virials of the panel's kernel sums, from `slopes`.
    void spread(const Centre<T>& centre, const RowsTask& task, int panels, int first, int count) {
        const Environment<T>& e = *centre.environment;
        for (int s = 0; s < n_species; ++s)
            for (int k = e.run[s]; k < e.run[s + 1]; k += neighbours_at_once) {
                const int here = e.run[s + 1] - k < neighbours_at_once ? e.run[s + 1] - k : neighbours_at_once;
                displace(centre, k, here);
                for (int b = 0; b < panels; ++b) {
                    const int inner = radials * harmonics;
                    const T* h = slopes + (ptrdiff_t(b) * channels + s * radials) * harmonics * width;
                    for (int row = 0; row < 3 * here;) {
                        const T* a = displacement + ptrdiff_t(row) * inner;
                        T* c = product + ptrdiff_t(row) * width;
                        if (3 * here - row >= tile_rows) {
                            tile<T, tile_rows, C>(a, inner, h, inner, c, width);
                            row += tile_rows;
                        } else {
                            tile<T, 3, C>(a, inner, h, inner, c, width);
                            row += 3;
                        }
                    }
                    const int left = count - b * width < width ? count - b * width : width;
                    add(centre, task, k, here, first + b * width, left);
                }
            }
    }

  private:
    // (q, lm) of degree l: steepness A(q) d - pull A(p) d.
    template <int M>
    void back(const Centre<T>& centre, int l, const T* g, const Vector<T>* steepness, const Vector<T>* pull, T* to,
              ptrdiff_t step) {
        constexpr int fit = (vector_registers - 4) / M, B = fit >= C ? C : fit >= 2 && C % 2 == 0 ? 2 : 1;
        const T* d = centre.d + ptrdiff_t(l) * l * d_stride;
        const T* own = centre.own + ptrdiff_t(l) * l * d_stride;
        for (int q = 0; q < Q; ++q)
            for (int first = 0; first < C; first += B) {
                Vector<T> sum[M][B] = {};
                ptrdiff_t at = q;
                for (int r = 0; r < Q; ++r) {  // `at` is the place of (r, q) above the diagonal, or (q, r)
                    Vector<T> b[B];
#pragma GCC unroll 4
                    for (int i = 0; i < B; ++i) b[i] = load(g + at * width + (first + i) * lanes<T>);
#pragma GCC unroll 16
                    for (int m = 0; m < M; ++m)
#pragma GCC unroll 4
                        for (int i = 0; i < B; ++i) sum[m][i] += d[m * d_stride + r] * b[i];
                    at += r < q ? Q - r - 1 : 1;
                }
                T* const row = to + q * step + ptrdiff_t(l) * l * width + first * lanes<T>;
#pragma GCC unroll 16
                for (int m = 0; m < M; ++m)
#pragma GCC unroll 4
                    for (int i = 0; i < B; ++i)
                        store(row + m * width + i * lanes<T>,
                              steepness[first + i] * sum[m][i] - pull[first + i] * own[m * d_stride + q]);
            }
    }

    // (channel, lm) of channels c .. c + tile_rows, from (q, lm).
    void unmix_rows(int l, int lm, int c, ptrdiff_t step, T* to) const {
        constexpr int B = tile_rows;
        Vector<T> sum[B][C] = {};
        const T* from = mixed + ptrdiff_t(lm) * width;
        const T* u = unmix + ptrdiff_t(l) * Q * unmix_stride + c;
        for (int q = 0; q < Q; ++q, from += step, u += unmix_stride) {
            Vector<T> b[C];
#pragma GCC unroll 4
            for (int i = 0; i < C; ++i) b[i] = load(from + i * lanes<T>);
#pragma GCC unroll 8
            for (int j = 0; j < B; ++j)
#pragma GCC unroll 4
                for (int i = 0; i < C; ++i) sum[j][i] += u[j] * b[i];
        }
#pragma GCC unroll 8
        for (int j = 0; j < B; ++j) {
            if (c + j >= channels) break;
#pragma GCC unroll 4
            for (int i = 0; i < C; ++i)
                store(to + (ptrdiff_t(c + j) * harmonics + lm) * width + i * lanes<T>, sum[j][i]);
        }
    }

    // dc/dr of `count` neighbours from `first` on: (neighbour, direction, n, lm).
    void displace(const Centre<T>& centre, int first, int count) {
        const Environment<T>& e = *centre.environment;
        const int stride = (radials + 7) / 8 * 8;
        T* to = displacement;
        for (int k = first; k < first + count; ++k) {
            const T* r = e.radial + ptrdiff_t(k) * 2 * stride;
            const T* y = centre.harmonics + ptrdiff_t(k) * length;
            const T unit[3] = {e.x[k], e.y[k], e.z[k]};
            for (int c = 0; c < 3; ++c) {
                const T* dy = centre.gradients[c] + ptrdiff_t(k) * length;
                for (int n = 0; n < radials; ++n, to += harmonics) {
                    const T slope = r[stride + n] * unit[c];
                    for (int i = 0; i < harmonics; i += lanes<T>)
                        store(to + i, slope * load(y + i) + r[n] * load(dy + i));
                }
            }
        }
    }

    // Take `product`, dk/dr of some neighbours, into the rows of forces and virials.
    void add(const Centre<T>& centre, const RowsTask& task, int first_neighbour, int here, int column, int left) {
        const Environment<T>& e = *centre.environment;
        for (int i = 0; i < left; i += lanes<T>) {
            const int whole = left - i < lanes<T> ? left - i : lanes<T>;
            Vector<T> own[3] = {}, w[6] = {};
            for (int j = 0; j < here; ++j) {
                const int k = first_neighbour + j;
                const T* f = product + ptrdiff_t(3 * j) * width + i;
                const Vector<T> fx = load(f), fy = load(f + width), fz = load(f + 2 * width);
                const T rx = e.distance[k] * e.x[k], ry = e.distance[k] * e.y[k], rz = e.distance[k] * e.z[k];
                own[0] += fx;
                own[1] += fy;
                own[2] += fz;
                w[0] += rx * fx;
                w[1] += ry * fy;
                w[2] += rz * fz;
                w[3] += ry * fz;
                w[4] += rx * fz;
                w[5] += rx * fy;
                double* row = task.force_rows + 3 * ptrdiff_t(e.atom[k]) * task.columns + column + i;
                take_from(row, fx, whole);
                take_from(row + task.columns, fy, whole);
                take_from(row + 2 * task.columns, fz, whole);
            }
            double* row = task.force_rows + 3 * ptrdiff_t(centre.atom) * task.columns + column + i;
            for (int c = 0; c < 3; ++c) take_from(row + c * task.columns, -own[c], whole);
            for (int c = 0; c < 6; ++c) take_from(task.virial_rows + c * task.columns + column + i, w[c], whole);
        }
    }

    static INLINE void take_from(double* row, Vector<T> v, int whole) {
        if constexpr (sizeof(T) == sizeof(double)) {
            if (whole == lanes<T>) return store(row, load(row) - v);
        }
        for (int j = 0; j < whole; ++j) row[j] -= double(v[j]);
    }
};

template <class T> void Model<T>::rows(const RowsTask& task, void* workspace) const {
    Scratch<T>& s = *static_cast<Scratch<T>*>(workspace);
    reserve(s, task);
    Rower<T>& r = s.rower;
    r.n_species = species_, r.radials = radials_, r.l_max = l_max_, r.harmonics = harmonics_, r.length = length_;
    r.channels = channels_, r.Q = Q_, r.features = features_, r.d_stride = width_;
    r.unmix = unmix_ ? unmix_[task.species].data : nullptr;
    r.unmix_stride = channels_padded_;
    r.reserve();
    const size_t rows = size_t(padded<T>(task.most_neighbours) + lanes<T>) * length_;
    s.own.reserve(size_t(atoms_at_once) * harmonics_ * width_);
    for (int c = 0; c < 4; ++c) s.gradients[c].reserve(atoms_at_once * rows);
    const int block = panels_at_once * Rower<T>::width;
    for (int first = 0; first < task.count; first += atoms_at_once) {
        const int count = task.count - first < atoms_at_once ? task.count - first : atoms_at_once;
        describe(s, task, first, count);
        Centre<T> centres[atoms_at_once];
        for (int a = 0; a < count; ++a) {
            const T* p = s.spectra + ptrdiff_t(a) * stride_;
            T* own = s.own + ptrdiff_t(a) * harmonics_ * width_;
            spectrum_adjoint<T>(p, s.mixed[a], l_max_, Q_, width_, triangle_, s.square, s.back);
            memcpy(own, s.back, size_t(harmonics_) * width_ * sizeof(T));
            T* y[4];
            for (int c = 0; c < 4; ++c) y[c] = s.gradients[c] + a * rows;
#define CALL(L) gradient_rows<T, L>(s.environment[a], factors_, y[0], y[1], y[2], y[3])
            IONSCAPE_BY_DEGREE(CALL)
#undef CALL
            T* unscaled = s.gradient + ptrdiff_t(a) * stride_;
            for (int k = 0; k < features_; ++k) unscaled[k] = p[k] / r.scale[k];
            centres[a] = {&s.environment[a], y[0], {y[1], y[2], y[3]}, s.mixed[a], unscaled, own, task.atoms[first + a],
                          s.norm[a]};
        }
        for (int m = 0; m < task.n_inducing; m += block) {
            const int here = task.n_inducing - m < block ? task.n_inducing - m : block;
            const int panels = (here + Rower<T>::width - 1) / Rower<T>::width;
            r.take(task, m, here);
            for (int a = 0; a < count; ++a) {
                for (int b = 0; b < panels; ++b)
                    r.differentiate(centres[a], task.amplitude, b, here - b * Rower<T>::width,
                                    task.energy_row + m + b * Rower<T>::width);
                r.spread(centres[a], task, panels, m, here);
            }
        }
    }
}

}  // namespace IONSCAPE_VARIANT
}  // namespace ionscape

#endif
