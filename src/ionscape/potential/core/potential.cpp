#include "potential.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <map>

namespace ionscape {

Kernel::~Kernel() = default;

namespace {

enum class Instructions { basic, avx2, avx512 };

// The best that this machine has, or less where IONSCAPE_INSTRUCTIONS asks for it.
Instructions available() {
#if defined(__x86_64__)
    const char* asked = std::getenv("IONSCAPE_INSTRUCTIONS");
    const bool basic = asked && !std::strcmp(asked, "sse4");
    const bool avx2 = asked && !std::strcmp(asked, "avx2");
    __builtin_cpu_init();
    if (!basic && !avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd"))
        return Instructions::avx512;
    if (!basic && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2"))
        return Instructions::avx2;
#endif
    return Instructions::basic;
}

Kernel* make_kernel(const Form& form, bool single_precision) {
#if defined(__x86_64__)
    if (available() == Instructions::avx512) return avx512::make_kernel(form, single_precision);
    if (available() == Instructions::avx2) return avx2::make_kernel(form, single_precision);
    return sse4::make_kernel(form, single_precision);
#else
    return generic::make_kernel(form, single_precision);
#endif
}

// The first place in `numbers` that is aligned for vectors of four.
double* aligned(std::vector<double>& numbers) {
    const auto address = reinterpret_cast<std::uintptr_t>(numbers.data());
    return numbers.data() + (64 - address % 64) % 64 / sizeof(double);
}

double* aligned_room(std::vector<double>& numbers, std::size_t n) {
    if (numbers.size() < n + 8) numbers.resize(n + 8);
    return aligned(numbers);
}

}  // namespace

const char* Potential::instructions() {
#if defined(__x86_64__)
    if (available() == Instructions::avx512) return "avx512";
    if (available() == Instructions::avx2) return "avx2";
    return "sse4";
#else
    return "generic";
#endif
}

Potential::Potential(const Form& form, bool single_precision, int threads)
    : n_species_(form.n_species),
      n_features_(form.features()),
      cutoff_(form.cutoff),
      kernel_(make_kernel(form, single_precision)),
      pool_(threads),
      shares_(threads) {
    for (int k = 0; k < threads; ++k) workspaces_.push_back(kernel_->workspace());
}

Potential::~Potential() {
    for (void* workspace : workspaces_) kernel_->release(workspace);
}

bool Potential::Seen::same(const Neighbours& list) const {
    return pairs == list.pairs() && cutoff == list.cutoff && skin == list.skin && species == list.species &&
           std::equal(periodic, periodic + 3, list.periodic) && std::equal(cell, cell + 9, list.reference_cell) &&
           positions == list.reference_positions;
}

void Potential::Seen::remember(const Neighbours& list) {
    species = list.species;
    positions = list.reference_positions;
    cutoff = list.cutoff;
    skin = list.skin;
    std::copy(list.periodic, list.periodic + 3, periodic);
    std::copy(list.reference_cell, list.reference_cell + 9, cell);
    pairs = list.pairs();
}

// Number the lattice translations that pairs of the list need, and share the atoms out.
void Potential::look_at(const Neighbours& list) {
    if (seen_.same(list)) return;
    seen_.pairs = -1;  // nothing was seen until all is done: memory may run out on the way
    const int pairs = list.pairs();
    code_.resize(pairs);
    images_.clear();
    std::map<std::array<int, 3>, int> known;
    std::array<int, 3> last{};
    int code = -1;
    for (int p = 0; p < pairs; ++p) {
        const std::array<int, 3> image{list.image[3 * p], list.image[3 * p + 1], list.image[3 * p + 2]};
        if (code < 0 || image != last) {
            const auto [place, fresh] = known.try_emplace(image, int(known.size()));
            code = place->second;
            last = image;
            if (fresh) images_.insert(images_.end(), image.begin(), image.end());
        }
        code_[p] = code;
    }
    share_out(list);
    seen_.remember(list);
}

// Atoms go to threads in runs of even cost, species by species; the cost is that of the neighbours and a constant.
void Potential::share_out(const Neighbours& list) {
    constexpr double own_cost = 40;  // of an atom, in neighbours
    const int threads = pool_.threads();
    const auto neighbours = [&](int i) { return list.start[(i + 1) * n_species_] - list.start[i * n_species_]; };
    for (Share& share : shares_) share.atoms.assign(n_species_, {});
    most_neighbours_ = 0;
    double all = 0, done = 0;
    for (int i = 0; i < list.n_atoms; ++i) {
        most_neighbours_ = std::max(most_neighbours_, neighbours(i));
        all += neighbours(i) + own_cost;
    }
    for (int z = 0; z < n_species_; ++z)
        for (int i = 0; i < list.n_atoms; ++i)
            if (list.species[i] == z) {
                const int thread = std::min(threads - 1, int(threads * (done + own_cost / 2) / all));
                shares_[thread].atoms[z].push_back(i);
                done += neighbours(i) + own_cost;
            }
}

Task Potential::prepare(const double* positions, const double* cell, const Neighbours& list) {
    look_at(list);
    double* x = aligned_room(positions_, 4 * std::size_t(list.n_atoms));
    for (int i = 0; i < list.n_atoms; ++i)
        for (int c = 0; c < 3; ++c) x[4 * i + c] = positions[3 * i + c];
    double* t = aligned_room(shifts_, 4 * images_.size() / 3);
    for (std::size_t k = 0; k < images_.size() / 3; ++k)
        for (int c = 0; c < 3; ++c) {
            t[4 * k + c] = 0;
            for (int v = 0; v < 3; ++v)
                if (images_[3 * k + v]) t[4 * k + c] += images_[3 * k + v] * cell[3 * v + c];
        }
    Task task{};
    task.n_species = n_species_;
    task.start = list.start.data();
    task.index = list.index.data();
    task.code = code_.data();
    task.positions = x;
    task.shifts = t;
    task.most_neighbours = most_neighbours_;
    return task;
}

void Potential::run(const Task& common, double* forces, double* virial) {
    const int n = int(seen_.species.size());
    const bool wanted = forces || virial;
    pool_.run([&](int thread) {
        Share& share = shares_[thread];
        Task task = common;
        task.forces = nullptr;
        task.virial = share.virial;
        std::memset(share.virial, 0, sizeof share.virial);
        if (wanted) {
            task.forces = aligned_room(share.forces, 4 * std::size_t(n));
            std::memset(task.forces, 0, 4 * std::size_t(n) * sizeof(double));
        }
        for (int z = 0; z < n_species_; ++z) {
            task.species = z;
            task.atoms = share.atoms[z].data();
            task.count = int(share.atoms[z].size());
            if (task.count) kernel_->evaluate(task, workspaces_[thread]);
        }
    });
    if (forces) std::memset(forces, 0, 3 * std::size_t(n) * sizeof(double));
    if (virial) std::memset(virial, 0, 9 * sizeof(double));
    for (Share& share : shares_) {
        const double* f = aligned(share.forces);
        for (int i = 0; forces && i < n; ++i)
            for (int c = 0; c < 3; ++c) forces[3 * i + c] += f[4 * i + c];
        static constexpr int place[9] = {0, 5, 4, 5, 1, 3, 4, 3, 2};
        for (int k = 0; virial && k < 9; ++k) virial[k] += share.virial[place[k]];
    }
}

double Potential::evaluate(const double* positions, const double* cell, const Neighbours& list, double* forces,
                           double* virial, double* atom_energies) {
    Task task = prepare(positions, cell, list);
    energies_.resize(list.n_atoms);
    task.atom_energies = energies_.data();
    run(task, forces, virial);
    double energy = 0;
    for (int i = 0; i < list.n_atoms; ++i) energy += energies_[i];
    if (atom_energies) std::copy(energies_.begin(), energies_.end(), atom_energies);
    return energy;
}

void Potential::descriptors(const double* positions, const double* cell, const Neighbours& list, double* features,
                            double* norms) {
    Task task = prepare(positions, cell, list);
    task.descriptors = features;
    task.norms = norms;
    run(task, nullptr, nullptr);
}

void Potential::adjoint(const double* positions, const double* cell, const Neighbours& list, const double* gradient,
                        double* forces, double* virial) {
    Task task = prepare(positions, cell, list);
    task.gradient = gradient;
    run(task, forces, virial);
}

// Threads take ranges of inducing environments, so that no two add to the same columns.
void Potential::rows(const double* positions, const double* cell, const Neighbours& list, const double* inducing,
                     const int* counts, const double* amplitudes, double* energy_row, double* force_rows,
                     double* virial_rows) {
    const Task common = prepare(positions, cell, list);
    long columns = 0;
    for (int z = 0; z < n_species_; ++z) columns += counts[z];
    std::memset(energy_row, 0, columns * sizeof(double));
    std::memset(force_rows, 0, 3 * columns * list.n_atoms * sizeof(double));
    std::memset(virial_rows, 0, 6 * columns * sizeof(double));
    std::vector<std::vector<int>> atoms(n_species_);
    for (int i = 0; i < list.n_atoms; ++i) atoms[list.species[i]].push_back(i);
    const int threads = pool_.threads();
    pool_.run([&](int thread) {
        RowsTask task{};
        static_cast<Task&>(task) = common;
        std::copy(amplitudes, amplitudes + 4, task.amplitude);
        task.columns = columns;
        long before = 0;
        for (int z = 0; z < n_species_; before += counts[z], ++z) {
            const long first = long(counts[z]) * thread / threads, end = long(counts[z]) * (thread + 1) / threads;
            task.species = z;
            task.atoms = atoms[z].data();
            task.count = int(atoms[z].size());
            task.n_inducing = int(end - first);
            task.inducing = inducing + (before + first) * n_features_;
            task.energy_row = energy_row + before + first;
            task.force_rows = force_rows + before + first;
            task.virial_rows = virial_rows + before + first;
            if (task.count && task.n_inducing) kernel_->rows(task, workspaces_[thread]);
        }
    });
}

}  // namespace ionscape

namespace {

// Nothing that is thrown may pass the C interface.
template <class Work> bool ended(const Work& work) noexcept {
    try {
        work();
        return true;
    } catch (...) {
        return false;
    }
}

}  // namespace

extern "C" {

using ionscape::Form;
using ionscape::Neighbours;
using ionscape::Potential;

const char* ionscape_instructions() { return Potential::instructions(); }

void* ionscape_potential_new(const Form* form, int single_precision, int threads) {
    try {
        return new Potential(*form, single_precision != 0, threads);
    } catch (...) {
        return nullptr;
    }
}

void ionscape_potential_free(void* potential) { delete static_cast<Potential*>(potential); }

// Those that return int return whether they came to their end: they do not where no memory or no thread is left.
int ionscape_potential_evaluate(void* potential, const void* list, const double* positions, const double* cell,
                                double* forces, double* virial, double* atom_energies) {
    return ended([&] {
        static_cast<Potential*>(potential)->evaluate(positions, cell, *static_cast<const Neighbours*>(list), forces,
                                                     virial, atom_energies);
    });
}

// The same as an `ionscape_forces` of dynamics.hpp, the potential as its context.
double ionscape_potential_forces(void* potential, void* list, const double* positions, const double* cell,
                                 double* forces, double* virial) {
    double energy = std::numeric_limits<double>::quiet_NaN();
    ended([&] {
        energy = static_cast<Potential*>(potential)->evaluate(positions, cell, *static_cast<const Neighbours*>(list),
                                                              forces, virial, nullptr);
    });
    return energy;
}

int ionscape_potential_descriptors(void* potential, const void* list, const double* positions, const double* cell,
                                   double* features, double* norms) {
    return ended([&] {
        static_cast<Potential*>(potential)->descriptors(positions, cell, *static_cast<const Neighbours*>(list),
                                                        features, norms);
    });
}

int ionscape_potential_adjoint(void* potential, const void* list, const double* positions, const double* cell,
                               const double* gradient, double* forces, double* virial) {
    return ended([&] {
        static_cast<Potential*>(potential)->adjoint(positions, cell, *static_cast<const Neighbours*>(list), gradient,
                                                    forces, virial);
    });
}

int ionscape_potential_rows(void* potential, const void* list, const double* positions, const double* cell,
                            const double* inducing, const int* counts, const double* amplitudes, double* energy_row,
                            double* force_rows, double* virial_rows) {
    return ended([&] {
        static_cast<Potential*>(potential)->rows(positions, cell, *static_cast<const Neighbours*>(list), inducing,
                                                 counts, amplitudes, energy_row, force_rows, virial_rows);
    });
}
}
