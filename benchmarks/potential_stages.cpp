// Time of the stages of a force call of the sparse-GP potential, and the machine's peak of multiply-adds.
//
// Compiled and fed by potential_scaling.py: the sources of the core are included, its loops over atoms are written again
// with a clock between the stages. Arguments: file, precision, radial functions, l_max, rank, repeats.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "densities.hpp"
#include "product.hpp"
#include "spectrum.hpp"

using namespace ionscape;
using namespace ionscape::IONSCAPE_VARIANT;

static double now() {
    return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

static FILE* input;

template <class U> static std::vector<U> array_of(size_t size) {
    std::vector<U> values(size);
    if (fread(values.data(), sizeof(U), size, input) != size) exit(2);
    return values;
}

// Multiply-adds that depend on nothing but those of their own chain; GFlop/s.
template <class T> double peak() {
    constexpr int chains = 12;
    Vector<T> sum[chains];
    for (int i = 0; i < chains; ++i) sum[i] = splat<T>(T(0.5) + T(i));
    volatile T factor = T(0.999), term = T(0.001);
    const Vector<T> a = splat<T>(factor), b = splat<T>(term);
    double best = 0;
    const long turns = 2000000;
    for (int repeat = 0; repeat < 15; ++repeat) {
        const double began = now();
        for (long k = 0; k < turns; ++k)
#pragma GCC unroll 16
            for (int i = 0; i < chains; ++i) sum[i] = sum[i] * a + b;
        const double rate = 2.0 * lanes<T> * chains * turns / (now() - began);
        best = std::max(best, rate);
    }
    T kept = 0;
    for (int i = 0; i < chains; ++i) kept += total<T>(sum[i]);
    if (kept == T(12345)) puts("");
    return best;
}

enum { gather, radials, pairs, harmonics, density, spectrum, quadratic, spectrum_back, density_back, stages };
static const char* const names[stages] = {"gather", "radial functions", "pair repulsion", "spherical harmonics",
                                          "densities", "power spectrum", "quadratic form", "spectrum, backwards",
                                          "densities and forces, backwards"};

static std::vector<double> random_numbers(size_t size) {
    std::vector<double> numbers(size);
    unsigned state = 12345;
    for (double& one : numbers) one = ((state = state * 1664525u + 1013904223u) >> 8) / 16777216.0 - 0.5;
    return numbers;
}

template <class T, int L> void measure(int N, int R, int repeats) {
    constexpr int at_once = 16, length = row_length<T, L>;
    const std::vector<int> sizes = array_of<int>(4);  // atoms, species, pairs, shifts
    const std::vector<double> cutoffs = array_of<double>(2);
    const int atoms = sizes[0], S = sizes[1];
    const std::vector<double> positions = array_of<double>(4 * size_t(atoms));
    const std::vector<double> shifts = array_of<double>(4 * size_t(sizes[3]));
    const std::vector<int> species = array_of<int>(atoms), start = array_of<int>(size_t(atoms) * S + 1);
    const std::vector<int> index = array_of<int>(sizes[2]), code = array_of<int>(sizes[2]);
    const int Q = S * N, width = padded<T>(Q), D = (L + 1) * Q * (Q + 1) / 2, stride = padded<T>(D) + lanes<T>;
    const int rank_stride = padded<T>(R), channels_padded = padded<T>(Q);
    int most = 0;
    for (int i = 0; i < atoms; ++i) most = std::max(most, start[(i + 1) * S] - start[i * S]);

    HarmonicFactors<T> factors;
    const double ones[most_l + 1] = {1, 1, 1, 1, 1, 1, 1};
    factors.set(ones, L);
    const int nodes = 1000;
    const std::vector<double> noise = random_numbers(size_t(nodes) * N + size_t(D) * (R + 1));
    RadialTable<T> table;
    table.pack(noise.data(), noise.data(), nodes, N, cutoffs[0]);
    RadialTable<T>* const tables = new RadialTable<T>[S];
    for (int s = 0; s < S; ++s) tables[s].pack(noise.data(), noise.data(), nodes, 1, cutoffs[1]);
    std::vector<Panels<T>> first(S), second(S);
    for (int s = 0; s < S; ++s) {
        first[s].pack(noise.data() + s, D, R, false);
        second[s].pack(noise.data() + s, R, D, true);
    }
    Buffer<T> triangle, square, back, spectra, gradient, projected, weights;
    triangle_factors<T>(Q, width, triangle.reserve(size_t(Q + spectrum_rows) * width));
    square.reserve(size_t(width + 16) * width);
    back.reserve(size_t(length) * std::max(channels_padded, width));
    spectra.reserve(size_t(at_once) * stride);
    gradient.reserve(size_t(at_once) * stride);
    projected.reserve(size_t(at_once) * rank_stride);
    memset(spectra, 0, sizeof(T) * at_once * stride);
    memset(gradient, 0, sizeof(T) * at_once * stride);
    Environment<T> environments[at_once];
    Buffer<T> rows[at_once], mixed[at_once], c[at_once];
    Rows<T> scratch;
    Buffer<T> flipped;
    for (int a = 0; a < at_once; ++a) {
        environments[a].reserve(most, S, table.stride());
        rows[a].reserve(size_t(padded<T>(most) + lanes<T>) * length);
        mixed[a].reserve(size_t(length + 1) * width + lanes<T>);
        c[a].reserve(size_t(channels_padded) * length);
        memset(c[a], 0, sizeof(T) * channels_padded * length);
    }
    flipped.reserve(size_t(channels_padded) * length);
    scratch.reserve(most, length);
    std::vector<double> forces_memory(4 * size_t(atoms) + 8);
    double* forces = forces_memory.data();
    while (reinterpret_cast<uintptr_t>(forces) % 32) ++forces;
    std::vector<double> aligned(4 * size_t(atoms + sizes[3]) + 8);
    double* places = aligned.data();
    while (reinterpret_cast<uintptr_t>(places) % 32) ++places;
    memcpy(places, positions.data(), 32 * size_t(atoms));
    memcpy(places + 4 * size_t(atoms), shifts.data(), 32 * size_t(sizes[3]));
    Task task = {};
    task.n_species = S;
    task.start = start.data();
    task.index = index.data();
    task.code = code.data();
    task.positions = places;
    task.shifts = places + 4 * size_t(atoms);
    double virial[6] = {};

    std::vector<double> times[stages];
    double neighbours = 0;
    for (int repeat = 0; repeat < repeats; ++repeat) {
        double spent[stages] = {};
        neighbours = 0;
        for (int z = 0; z < S; ++z) {
            std::vector<int> mine;
            for (int i = 0; i < atoms; ++i)
                if (species[i] == z) mine.push_back(i);
            const int blocks = (int(mine.size()) + at_once - 1) / at_once;
            for (int block = 0; block < blocks; ++block) {
                const int begin = int(mine.size()) * block / blocks;
                const int count = int(mine.size()) * (block + 1) / blocks - begin;
                double clock = now();
                auto lap = [&](int stage) {
                    const double then = clock;
                    spent[stage] += (clock = now()) - then;
                };
                for (int a = 0; a < count; ++a) environments[a].gather(task, mine[begin + a], T(cutoffs[0]));
                lap(gather);
                for (int a = 0; a < count; ++a) environments[a].radials(table);
                lap(radials);
                T energy = 0;
                for (int a = 0; a < count; ++a) energy += environments[a].pairs(tables, S, T(cutoffs[1]));
                lap(pairs);
                for (int a = 0; a < count; ++a) harmonic_rows<T, L>(environments[a], factors, rows[a]);
                lap(harmonics);
                for (int a = 0; a < count; ++a) densities<T, L>(environments[a], S, N, rows[a], c[a]);
                lap(density);
                for (int a = 0; a < count; ++a) {
                    T* const p = spectra + ptrdiff_t(a) * stride;
                    transpose<T>(c[a], channels_padded, length, flipped);
                    memcpy(mixed[a], flipped, size_t((L + 1) * (L + 1)) * width * sizeof(T));
                    power_spectrum<T>(mixed[a], L, Q, width, triangle, p);
                    Vector<T> sum{};
                    for (int k = D; k < stride; ++k) p[k] = 0;
                    for (int k = 0; k < D; k += lanes<T>) sum += load(p + k) * load(p + k);
                    const T over = 1 / root(splat<T>(total<T>(sum) + T(1e-12)))[0];
                    for (int k = 0; k < D; k += lanes<T>) store(p + k, over * load(p + k));
                }
                lap(spectrum);
                first[z].multiply(spectra, stride, count, projected, rank_stride);
                second[z].multiply(projected, rank_stride, count, gradient, stride);
                lap(quadratic);
                for (int a = 0; a < count; ++a) {
                    const T* p = spectra + ptrdiff_t(a) * stride;
                    T* g = gradient + ptrdiff_t(a) * stride;
                    Vector<T> sum{};
                    for (int k = 0; k < D; k += lanes<T>) sum += load(p + k) * load(g + k);
                    const T along = total<T>(sum);
                    for (int k = 0; k < D; k += lanes<T>) store(g + k, load(g + k) - along * load(p + k));
                    spectrum_adjoint<T>(g, mixed[a], L, Q, width, triangle, square, back);
                    transpose<T>(back, length, channels_padded, c[a]);
                }
                lap(spectrum_back);
                for (int a = 0; a < count; ++a)
                    force_of<T, L>(environments[a], factors, c[a], S, N, scratch, mine[begin + a], true, forces, virial);
                lap(density_back);
                for (int a = 0; a < count; ++a) neighbours += environments[a].count;
                if (energy == T(12345)) puts("");
            }
        }
        for (int stage = 0; stage < stages; ++stage) times[stage].push_back(spent[stage]);
    }
    printf("{\"peak_GFlop_per_s\": %.2f, \"neighbours\": %.3f, \"listed\": %.3f, \"ns\": {", peak<T>(),
           neighbours / atoms, double(sizes[2]) / atoms);
    for (int stage = 0; stage < stages; ++stage) {
        std::sort(times[stage].begin(), times[stage].end());
        printf("%s\"%s\": %.0f", stage ? ", " : "", names[stage], times[stage][times[stage].size() / 10]);
    }
    printf("}}\n");
    delete[] tables;
}

template <class T> void by_degree(int N, int l_max, int R, int repeats) {
    switch (l_max) {
        case 2: return measure<T, 2>(N, R, repeats);
        case 3: return measure<T, 3>(N, R, repeats);
        case 4: return measure<T, 4>(N, R, repeats);
        default: exit(3);
    }
}

int main(int count, char** words) {
    if (count != 7 || !(input = fopen(words[1], "rb"))) return 1;
    const int N = atoi(words[3]), l_max = atoi(words[4]), R = atoi(words[5]), repeats = atoi(words[6]);
    if (!strcmp(words[2], "single")) by_degree<float>(N, l_max, R, repeats);
    else by_degree<double>(N, l_max, R, repeats);
    return 0;
}
