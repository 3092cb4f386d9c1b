// Neighbour lists by bins: the atoms are sorted into bins a third of the reach wide, in the lattice directions, and
// every atom looks into the bins that its reach can touch, through as many images of the cell as that takes. The
// cost is linear in the atoms. A row of bins along the third direction is one contiguous run of atoms.

#include "neighbours.hpp"

#include <algorithm>
#include <atomic>
#include <climits>
#include <cmath>
#include <cstring>
#include <new>

namespace ionscape {

namespace {

std::atomic<long> last_build{0};
constexpr double bins_per_reach = 3;
constexpr std::size_t most_pairs = INT_MAX / 8;
constexpr double most_images = 1e7;
constexpr double farthest = 1e8;  // in lattice vectors: image indices stay integers of 32 bits

struct Vector {
    double x, y, z;
};

Vector cross(const double* a, const double* b) {
    return {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
}

double length(const double* a) { return std::sqrt(a[0] * a[0] + a[1] * a[1] + a[2] * a[2]); }

void set_unit(double* row, const Vector& v) {
    const double norm = std::sqrt(v.x * v.x + v.y * v.y + v.z * v.z);
    row[0] = v.x / norm;
    row[1] = v.y / norm;
    row[2] = v.z / norm;
}

// The cell with lattice vectors of directions that are not periodic replaced by unit vectors at right angles to all
// others: what stands there, zero as often as not, means nothing.
void effective_cell(const double* cell, const bool* periodic, double* out) {
    std::memcpy(out, cell, 9 * sizeof(double));
    const int count = periodic[0] + periodic[1] + periodic[2];
    if (count == 3) return;
    if (count == 0) {
        for (int k = 0; k < 9; ++k) out[k] = k % 4 == 0;
        return;
    }
    if (count == 2) {
        const int free = !periodic[0] ? 0 : !periodic[1] ? 1 : 2;
        set_unit(out + 3 * free, cross(out + 3 * ((free + 1) % 3), out + 3 * ((free + 2) % 3)));
        return;
    }
    const int kept = periodic[0] ? 0 : periodic[1] ? 1 : 2;
    const double* a = out + 3 * kept;
    const int least = std::fabs(a[0]) <= std::fabs(a[1]) ? (std::fabs(a[0]) <= std::fabs(a[2]) ? 0 : 2)
                                                         : (std::fabs(a[1]) <= std::fabs(a[2]) ? 1 : 2);
    double axis[3] = {0, 0, 0};
    axis[least] = 1;
    double* first = out + 3 * ((kept + 1) % 3);
    set_unit(first, cross(a, axis));
    set_unit(out + 3 * ((kept + 2) % 3), cross(a, first));
}

// Inverse of `h`, so that fractional = Cartesian · inverse; false if the rows are not independent.
bool invert(const double* h, double* inverse) {
    const Vector bc = cross(h + 3, h + 6), ca = cross(h + 6, h), ab = cross(h, h + 3);
    const double volume = h[0] * bc.x + h[1] * bc.y + h[2] * bc.z;
    if (!(std::fabs(volume) > 1e-12 * length(h) * length(h + 3) * length(h + 6))) return false;
    const double columns[9] = {bc.x, ca.x, ab.x, bc.y, ca.y, ab.y, bc.z, ca.z, ab.z};
    for (int k = 0; k < 9; ++k) inverse[k] = columns[k] / volume;
    return true;
}

void multiply(const double* a, const double* b, double* out) {
    for (int i = 0; i < 3; ++i)
        for (int j = 0; j < 3; ++j)
            out[3 * i + j] = a[3 * i] * b[j] + a[3 * i + 1] * b[3 + j] + a[3 * i + 2] * b[6 + j];
}

bool finite(const double* values, std::size_t count) {
    double sum = 0;
    for (std::size_t k = 0; k < count; ++k) sum += values[k] * 0.0;
    return sum == 0.0;
}

int floor_divided(int a, int b) { return a >= 0 ? a / b : -((b - 1 - a) / b); }

}  // namespace

Neighbours::Neighbours(int atoms, int kinds, const int* of, const unsigned char* flags, double rc, double margin)
    : n_atoms(atoms), n_species(kinds), cutoff(rc), skin(margin), species(of, of + atoms) {
    for (int k = 0; k < 3; ++k) periodic[k] = flags[k] != 0;
    start.assign(static_cast<std::size_t>(atoms) * kinds + 1, 0);
    reference_positions.assign(3 * static_cast<std::size_t>(atoms), 0.0);
}

// With F the strain that takes the cell of the list to that of now, atoms are where F took them from their places in
// the list, plus u. A pair at d, |d| <= cutoff, was at d0 = (d - u_j + u_i) F^-1, so that it is in the list if
//
//     (cutoff + |u_i| + |u_j|) |F^-1| <= cutoff + skin,
//
// |F^-1| the spectral norm, at most 1 + |F^-1 - 1| in the Frobenius norm; the two largest |u| bound the sum.
bool Neighbours::covers(const double* positions, const double* cell) const {
    if (!built) return false;
    double norm = 1, forward[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
    if (std::memcmp(cell, reference_cell, sizeof reference_cell) != 0) {
        double now[9], then[9], inverse_now[9], inverse_then[9], backward[9];
        effective_cell(cell, periodic, now);
        effective_cell(reference_cell, periodic, then);
        if (!invert(now, inverse_now) || !invert(then, inverse_then)) return false;
        multiply(inverse_then, now, forward);
        multiply(inverse_now, then, backward);
        double square = 0;
        for (int k = 0; k < 9; ++k) square += std::pow(backward[k] - (k % 4 == 0), 2);
        norm = 1 + std::sqrt(square);
    }
    double largest = 0, second = 0;
    for (int i = 0; i < n_atoms; ++i) {
        const double *x = positions + 3 * i, *r = reference_positions.data() + 3 * i;
        double square = 0;
        for (int k = 0; k < 3; ++k) {
            const double u = x[k] - (r[0] * forward[k] + r[1] * forward[3 + k] + r[2] * forward[6 + k]);
            square += u * u;
        }
        if (!(square <= second)) {
            if (!(square < HUGE_VAL)) return false;
            second = std::min(square, largest);
            largest = std::max(square, largest);
        }
    }
    return (cutoff + std::sqrt(largest) + std::sqrt(second)) * norm <= cutoff + skin;
}

ListStatus Neighbours::update(const double* positions, const double* cell) {
    return covers(positions, cell) ? ListStatus::kept : build(positions, cell);
}

// Bins in the three directions, and how many of them the reach touches to either side.
struct Neighbours::Bins {
    int count[3], reach[3];
    double low[3], scale[3];  // bin = (fractional - low) scale

    Bins(const double* inverse, const double* lowest, const double* span, int atoms, double radius) {
        double extent[3], wanted[3];
        for (int k = 0; k < 3; ++k) {
            const double column[3] = {inverse[k], inverse[3 + k], inverse[6 + k]};
            extent[k] = span[k] / length(column);
            wanted[k] = std::max(1.0, bins_per_reach * extent[k] / radius);
        }
        // No more than two bins an atom; the largest number gives way, so that a thin slab keeps useful bins.
        const double limit = std::max(8.0, 2.0 * atoms);
        while (wanted[0] * wanted[1] * wanted[2] > limit) {
            double* most = std::max_element(wanted, wanted + 3);
            *most *= std::max(0.5, limit / (wanted[0] * wanted[1] * wanted[2]) * (1 - 1e-9));
        }
        for (int k = 0; k < 3; ++k) {
            count[k] = std::max(1, static_cast<int>(wanted[k]));
            low[k] = lowest[k];
            scale[k] = count[k] / span[k];
            const double touched = std::ceil(radius * count[k] / extent[k] * (1 + 1e-9));
            reach[k] = static_cast<int>(std::min(touched, 1e8));
        }
    }

    int total() const { return count[0] * count[1] * count[2]; }

    int of(double fractional, int k) const {
        return std::min(std::max(static_cast<int>((fractional - low[k]) * scale[k]), 0), count[k] - 1);
    }

    // Images of the cell that an atom looks into.
    double images(const bool* periodic) const {
        double product = 1;
        for (int k = 0; k < 3; ++k) product *= periodic[k] ? 2.0 * reach[k] / count[k] + 1 : 1.0;
        return product;
    }
};

// Take fractional coordinates of periodic directions into the cell; find the ends of the others.
bool Neighbours::wrap(const double* positions, const double* inverse, double* low, double* high) {
    const std::size_t n = static_cast<std::size_t>(n_atoms);
    fractional_.resize(3 * n);
    shift_.assign(3 * n, 0);
    for (int k = 0; k < 3; ++k) {
        low[k] = periodic[k] ? 0 : HUGE_VAL;
        high[k] = periodic[k] ? 1 : -HUGE_VAL;
    }
    for (std::size_t i = 0; i < n; ++i) {
        const double* x = positions + 3 * i;
        for (int k = 0; k < 3; ++k) {
            double s = x[0] * inverse[k] + x[1] * inverse[3 + k] + x[2] * inverse[6 + k];
            if (periodic[k]) {
                if (!(std::fabs(s) < farthest)) return false;
                shift_[3 * i + k] = static_cast<int>(std::floor(s));
                s -= shift_[3 * i + k];
            }
            low[k] = std::min(low[k], s);
            high[k] = std::max(high[k], s);
            fractional_[3 * i + k] = s;
        }
    }
    return true;
}

// Sort the atoms by bin, with the Cartesian positions of their images in the cell.
void Neighbours::sort_into(const Bins& bins, const double* h) {
    const std::size_t n = static_cast<std::size_t>(n_atoms);
    bin_of_.resize(n);
    bin_atoms_.resize(n);
    bin_positions_.resize(3 * n);
    wrapped_.resize(3 * n);
    bin_start_.assign(bins.total() + 1, 0);
    for (std::size_t i = 0; i < n; ++i) {
        const double* s = &fractional_[3 * i];
        bin_of_[i] = (bins.of(s[0], 0) * bins.count[1] + bins.of(s[1], 1)) * bins.count[2] + bins.of(s[2], 2);
        ++bin_start_[bin_of_[i] + 1];
        for (int k = 0; k < 3; ++k) wrapped_[3 * i + k] = s[0] * h[k] + s[1] * h[3 + k] + s[2] * h[6 + k];
    }
    for (int b = 0; b < bins.total(); ++b) bin_start_[b + 1] += bin_start_[b];
    counts_.assign(bin_start_.begin(), bin_start_.end());
    for (std::size_t i = 0; i < n; ++i) {
        const std::size_t place = counts_[bin_of_[i]]++;
        bin_atoms_[place] = static_cast<int>(i);
        std::copy_n(&wrapped_[3 * i], 3, &bin_positions_[3 * place]);
    }
}

// Fill the first of `found_` with the neighbours of an atom: index and image of each. False if there are too many.
bool Neighbours::look_around(int atom, const Bins& bins, const double* h) {
    const double reach2 = (cutoff + skin) * (cutoff + skin);
    const double* x = &wrapped_[3 * static_cast<std::size_t>(atom)];
    const int* shift = &shift_[3 * static_cast<std::size_t>(atom)];
    const int *count = bins.count, nz = count[2];
    const int own[3] = {bin_of_[atom] / (nz * count[1]), bin_of_[atom] / nz % count[1], bin_of_[atom] % nz};
    int first[3], last[3];
    for (int k = 0; k < 3; ++k) {
        first[k] = periodic[k] ? own[k] - bins.reach[k] : std::max(own[k] - bins.reach[k], 0);
        last[k] = periodic[k] ? own[k] + bins.reach[k] : std::min(own[k] + bins.reach[k], count[k] - 1);
    }
    n_found_ = 0;
    for (int a = first[0]; a <= last[0]; ++a) {
        const int na = floor_divided(a, count[0]);
        for (int b = first[1]; b <= last[1]; ++b) {
            const int nb = floor_divided(b, count[1]);
            const int row = ((a - na * count[0]) * count[1] + b - nb * count[1]) * nz;
            for (int c = first[2], end; c <= last[2]; c = end + 1) {
                const int nc = floor_divided(c, nz), base = row - nc * nz;
                end = std::min(last[2], nc * nz + nz - 1);
                const double tx = na * h[0] + nb * h[3] + nc * h[6] - x[0];
                const double ty = na * h[1] + nb * h[4] + nc * h[7] - x[1];
                const double tz = na * h[2] + nb * h[5] + nc * h[8] - x[2];
                const bool home = na == 0 && nb == 0 && nc == 0;
                const std::size_t begin = bin_start_[base + c], stop = bin_start_[base + end + 1];
                if (found_.size() < 4 * (n_found_ + stop - begin)) found_.resize(2 * 4 * (n_found_ + stop - begin));
                int* entry = found_.data() + 4 * n_found_;
                for (std::size_t place = begin; place < stop; ++place) {  // without a branch: every other one is near
                    const double* y = &bin_positions_[3 * place];
                    const double dx = y[0] + tx, dy = y[1] + ty, dz = y[2] + tz;
                    const int j = bin_atoms_[place];
                    const int* other = &shift_[3 * static_cast<std::size_t>(j)];
                    entry[0] = j;
                    entry[1] = na + shift[0] - other[0];
                    entry[2] = nb + shift[1] - other[1];
                    entry[3] = nc + shift[2] - other[2];
                    const bool near = dx * dx + dy * dy + dz * dz < reach2, itself = home & (j == atom);
                    entry += 4 * (near & !itself);
                }
                n_found_ = (entry - found_.data()) / 4;
            }
        }
        if (n_found_ > most_pairs) return false;
    }
    return true;
}

// Write the neighbours found for `atom` behind those of the atoms before, by species. False if there are too many.
bool Neighbours::store(int atom) {
    int* ends = &start[static_cast<std::size_t>(atom) * n_species];
    const std::size_t count = n_found_, before = ends[0];
    if (before + count > most_pairs) return false;
    if (index.size() < before + count) {
        index.resize(before + count + (before + count) / 2);
        image.resize(3 * index.size());
    }
    counts_.assign(n_species, 0);
    for (std::size_t f = 0; f < count; ++f) ++counts_[species[found_[4 * f]]];
    for (int s = 0; s < n_species; ++s) {
        ends[s + 1] = ends[s] + counts_[s];
        counts_[s] = ends[s];
    }
    for (std::size_t f = 0; f < count; ++f) {
        const int* entry = &found_[4 * f];
        const std::size_t pair = counts_[species[entry[0]]]++;
        index[pair] = entry[0];
        std::copy_n(entry + 1, 3, &image[3 * pair]);
    }
    return true;
}

ListStatus Neighbours::build(const double* positions, const double* cell) try {
    built = false;
    const std::size_t n = static_cast<std::size_t>(n_atoms);
    if (!finite(positions, 3 * n) || !finite(cell, 9)) return ListStatus::not_finite;
    double h[9], inverse[9], low[3], high[3], span[3];
    effective_cell(cell, periodic, h);
    if (!finite(h, 9) || !invert(h, inverse)) return ListStatus::flat_cell;
    if (!wrap(positions, inverse, low, high)) return ListStatus::not_finite;
    for (int k = 0; k < 3; ++k) span[k] = periodic[k] ? 1.0 : std::max(high[k] - low[k], 1e-3 * cutoff);

    const Bins bins(inverse, low, span, n_atoms, cutoff + skin);
    if (bins.images(periodic) > most_images) return ListStatus::too_many;
    sort_into(bins, h);
    start[0] = 0;
    for (int atom = 0; atom < n_atoms; ++atom)
        if (!look_around(atom, bins, h) || !store(atom)) return ListStatus::too_many;

    std::copy_n(positions, 3 * n, reference_positions.begin());
    std::copy_n(cell, 9, reference_cell);
    built = true;
    builds = ++last_build;
    return ListStatus::rebuilt;
} catch (const std::bad_alloc&) {
    return ListStatus::too_many;
}

}  // namespace ionscape

using ionscape::Neighbours;

extern "C" {

void* ionscape_neighbours_new(int n_atoms, int n_species, const int* species, const unsigned char* periodic,
                              double cutoff, double skin) {
    try {
        return new Neighbours(n_atoms, n_species, species, periodic, cutoff, skin);
    } catch (const std::bad_alloc&) {
        return nullptr;
    }
}

void ionscape_neighbours_free(void* list) { delete static_cast<Neighbours*>(list); }

int ionscape_neighbours_update(void* list, const double* positions, const double* cell) {
    return static_cast<int>(static_cast<Neighbours*>(list)->update(positions, cell));
}

int ionscape_neighbours_build(void* list, const double* positions, const double* cell) {
    return static_cast<int>(static_cast<Neighbours*>(list)->build(positions, cell));
}

int ionscape_neighbours_pairs(const void* list) { return static_cast<const Neighbours*>(list)->pairs(); }

const int* ionscape_neighbours_start(const void* list) { return static_cast<const Neighbours*>(list)->start.data(); }

const int* ionscape_neighbours_index(const void* list) { return static_cast<const Neighbours*>(list)->index.data(); }

const int* ionscape_neighbours_image(const void* list) { return static_cast<const Neighbours*>(list)->image.data(); }

const double* ionscape_neighbours_reference_positions(const void* list) {
    return static_cast<const Neighbours*>(list)->reference_positions.data();
}

const double* ionscape_neighbours_reference_cell(const void* list) {
    return static_cast<const Neighbours*>(list)->reference_cell;
}
}
