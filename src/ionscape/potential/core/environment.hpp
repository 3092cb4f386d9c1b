// The neighbours of one atom within the cutoff, sorted by species, and the radial functions at their distances.

#ifndef IONSCAPE_ENVIRONMENT_HPP
#define IONSCAPE_ENVIRONMENT_HPP

#include "form.hpp"
#include "vector.hpp"

namespace ionscape {
namespace IONSCAPE_VARIANT {

// Cubic Hermite interpolants of several functions of the distance on one uniform grid: four coefficients an interval,
// the functions side by side in groups of eight.
template <class T> class RadialTable {
  public:
    void pack(const double* values, const double* slopes, int nodes, int functions, double cutoff) {
        stride_ = (functions + 7) / 8 * 8;
        last_ = nodes - 2;
        const double h = cutoff / (nodes - 1);
        inverse_step_ = T(1 / h);
        T* to = cells_.reserve(size_t(nodes - 1) * 4 * stride_);
        for (int k = 0; k < nodes - 1; ++k, to += 4 * stride_)
            for (int n = 0; n < functions; ++n) {
                const double a = values[k * functions + n], b = values[(k + 1) * functions + n];
                const double da = h * slopes[k * functions + n], db = h * slopes[(k + 1) * functions + n];
                to[n] = T(a);
                to[stride_ + n] = T(da);
                to[2 * stride_ + n] = T(3 * (b - a) - 2 * da - db);
                to[3 * stride_ + n] = T(2 * (a - b) + da + db);
            }
    }

    int stride() const { return stride_; }

    // Values at `distance` in out[0 .. stride), slopes in out[stride .. 2 stride).
    INLINE void look_up(T distance, T* out) const {
        const T place = distance * inverse_step_;
        int k = int(place);
        if (k > last_) k = last_;
        const T t = place - T(k);
        const T* a = cells_ + ptrdiff_t(k) * 4 * stride_;
        for (int n = 0; n < stride_; n += 8, a += 8) {
            const Octet c0 = at(a), c1 = at(a + stride_), c2 = at(a + 2 * stride_), c3 = at(a + 3 * stride_);
            at(out + n) = c0 + t * (c1 + t * (c2 + t * c3));
            at(out + stride_ + n) = inverse_step_ * (c1 + t * (2 * c2 + (3 * t) * c3));
        }
    }

    // The one function of a table of one.
    INLINE T value(T distance, T& slope) const {
        const T place = distance * inverse_step_;
        int k = int(place);
        if (k > last_) k = last_;
        const T t = place - T(k);
        const T* a = cells_ + ptrdiff_t(k) * 4 * stride_;
        slope = inverse_step_ * (a[stride_] + t * (2 * a[2 * stride_] + 3 * t * a[3 * stride_]));
        return a[0] + t * (a[stride_] + t * (a[2 * stride_] + t * a[3 * stride_]));
    }

  private:
    typedef typename Lanes<T>::Octet Octet;
    static INLINE const Octet& at(const T* p) { return *reinterpret_cast<const Octet*>(p); }
    static INLINE Octet& at(T* p) { return *reinterpret_cast<Octet*>(p); }

    Buffer<T> cells_;
    int stride_ = 0, last_ = 0;
    T inverse_step_ = 0;
};

template <class T> struct Environment {
    int count = 0;        // neighbours within the cutoff
    Buffer<int> run;      // first neighbour of every species, and the count
    Buffer<int> atom;
    Buffer<T> x, y, z;    // unit vectors from the centre
    Buffer<T> distance, inverse;
    Buffer<T> radial;     // values and slopes, of every neighbour
    Buffer<T> push;       // dE/dr of the pair potential

    void reserve(int neighbours, int species, int radial_stride) {
        const int n = padded<T>(neighbours) + lanes<T>;
        run.reserve(species + 1);
        atom.reserve(n);
        x.reserve(n);
        y.reserve(n);
        z.reserve(n);
        distance.reserve(n);
        inverse.reserve(n);
        push.reserve(n);
        radial.reserve(size_t(n) * 2 * radial_stride);
    }

    void gather(const Task& task, int centre, T cutoff) {
        const Double4 here = row(task.positions, centre);
        const T limit = cutoff * cutoff;
        int k = 0;
        for (int s = 0; s < task.n_species; ++s) {
            run[s] = k;
            const ptrdiff_t at = ptrdiff_t(centre) * task.n_species + s;
            for (int p = task.start[at]; p < task.start[at + 1]; ++p) {
                const int j = task.index[p];
                const Double4 difference = row(task.positions, j) + row(task.shifts, task.code[p]) - here;
                const Quartet d = __builtin_convertvector(difference, Quartet);
                x[k] = d[0];
                y[k] = d[1];
                z[k] = d[2];
                atom[k] = j;
                k += d[0] * d[0] + d[1] * d[1] + d[2] * d[2] < limit;
            }
        }
        run[task.n_species] = count = k;
        for (; k % lanes<T>; ++k) {
            x[k] = y[k] = 0;
            z[k] = cutoff;
        }
        for (k = 0; k < count; k += lanes<T>) normalise(k);
    }

    void radials(const RadialTable<T>& table) {
        const int width = 2 * table.stride();
        for (int k = 0; k < count; ++k) table.look_up(distance[k], radial + ptrdiff_t(k) * width);
    }

    // The sum of `tables[species]` over the neighbours nearer than `cutoff`, halved; its slopes go to `push`.
    T pairs(const RadialTable<T>* tables, int n_species, T cutoff) {
        T sum = 0;
        for (int s = 0; s < n_species; ++s)
            for (int k = run[s]; k < run[s + 1]; ++k) {
                T slope = 0;
                if (distance[k] < cutoff) sum += T(0.5) * tables[s].value(distance[k], slope);
                push[k] = T(0.5) * slope;
            }
        return sum;
    }

  private:
    typedef typename Lanes<T>::Quartet Quartet;

    static INLINE Double4 row(const double* rows, int i) {
        return *reinterpret_cast<const Double4*>(rows + 4 * ptrdiff_t(i));
    }

    INLINE void normalise(int k) {
        const Vector<T> a = load(x + k), b = load(y + k), c = load(z + k);
        const Vector<T> r = root(a * a + b * b + c * c), over = T(1) / r;
        store(distance + k, r);
        store(inverse + k, over);
        store(x + k, a * over);
        store(y + k, b * over);
        store(z + k, c * over);
    }
};

}  // namespace IONSCAPE_VARIANT
}  // namespace ionscape

#endif
