// What a collapsed sparse-GP potential is made of, as plain arrays, and what a kernel is asked to do with it.
//
// Feature (l, q <= q') of an environment stands at l Q (Q + 1) / 2 + (its place in the upper triangle, row by row).

#ifndef IONSCAPE_FORM_HPP
#define IONSCAPE_FORM_HPP

namespace ionscape {

struct Form {
    int n_species;
    int n_radial;
    int l_max;
    int n_mixed;       // Q; n_species * n_radial without mixing
    int n_nodes;       // of the radial tables
    int rank;          // columns of `quadratic`; 0 without it
    int pair_nodes;    // of the pair tables; 0 without them
    double cutoff;     // Å
    double pair_cutoff;  // Å
    double epsilon;
    const double* radial;        // (nodes, n) at r = k cutoff / (nodes - 1)
    const double* radial_slope;  // d/dr, 1/Å
    const double* mixing;        // (species, l, q, species n), or null
    const double* offset;        // (species), eV
    const double* linear;        // (species, features), eV, or null
    const double* quadratic;     // (species, features, rank): V, or W itself where `weights` is null
    const double* weights;       // (species, rank): E = sum_k weights_k (V_k . p)^2, eV, or null
    const double* pair;          // (species, species, pair nodes), eV
    const double* pair_slope;    // eV/Å

    int harmonics() const { return (l_max + 1) * (l_max + 1); }
    int features() const { return (l_max + 1) * n_mixed * (n_mixed + 1) / 2; }
};

// Atoms of one species, and where to put what is found about them.
struct Task {
    int n_species;
    const int* start;         // of the neighbour list
    const int* index;
    const int* code;          // which of `shifts` belongs to the pair
    const double* positions;  // four an atom, the last 0, Å
    const double* shifts;     // lattice translations, four each, Å

    const int* atoms;
    int count;
    int species;
    int most_neighbours;      // of any atom, in the list

    // Null where not wanted. Forces and virial are added to what is there.
    double* forces;           // four an atom, eV/Å
    double* virial;           // nine, sum over pairs of r (x) F, eV
    double* atom_energies;    // eV
    double* descriptors;      // (atoms, features)
    double* norms;            // (atoms)
    const double* gradient;   // dE/d(normalised features), (atoms, features): used in place of the model's own
};

// Sums over the atoms of `atoms` of k(p, q_m) = sum_z a_z (p . q_m)^z, and their derivatives.
struct RowsTask : Task {
    const double* inducing;   // (inducing, features)
    int n_inducing;
    double amplitude[4];      // a_1 .. a_4
    long columns;             // of the arrays below, from one row to the next
    double* energy_row;       // (columns)
    double* force_rows;       // (3 atoms, columns): minus the derivative with respect to positions
    double* virial_rows;      // (9, columns): minus the derivative with respect to strain
};

class Kernel {
  public:
    virtual ~Kernel();
    virtual void* workspace() const = 0;
    virtual void release(void* workspace) const = 0;
    virtual void evaluate(const Task& task, void* workspace) const = 0;
    virtual void rows(const RowsTask& task, void* workspace) const = 0;
};

// The kernels of the instruction sets that the build compiles `kernel.cpp` for.
#if defined(__x86_64__)
namespace sse4 {
Kernel* make_kernel(const Form& form, bool single_precision);
}
namespace avx2 {
Kernel* make_kernel(const Form& form, bool single_precision);
}
namespace avx512 {
Kernel* make_kernel(const Form& form, bool single_precision);
}
#else
namespace generic {
Kernel* make_kernel(const Form& form, bool single_precision);
}
#endif

}  // namespace ionscape

#endif
