// A collapsed sparse-GP potential: energies, forces and virials of structures, on one or more threads.

#ifndef IONSCAPE_POTENTIAL_HPP
#define IONSCAPE_POTENTIAL_HPP

#include <memory>
#include <vector>

#include "form.hpp"
#include "neighbours.hpp"
#include "pool.hpp"

namespace ionscape {

class Potential {
  public:
    Potential(const Form& form, bool single_precision, int threads);
    ~Potential();

    // Energy, eV. Fills forces (3 an atom, eV/Å), virial (9, eV: minus the derivative with respect to strain, the sum
    // over pairs of r (x) F) and energies of atoms (eV); any of them may be null. `list` must cover the positions.
    // The same positions, cell and list give the same bits.
    double evaluate(const double* positions, const double* cell, const Neighbours& list, double* forces, double* virial,
                    double* atom_energies);

    // Normalised features (atoms, features) and the norms they had (atoms).
    void descriptors(const double* positions, const double* cell, const Neighbours& list, double* features,
                     double* norms);

    // Forces and virial of an energy whose derivative by the normalised features is given (atoms, features).
    void adjoint(const double* positions, const double* cell, const Neighbours& list, const double* gradient,
                 double* forces, double* virial);

    // Kernel sums with `counts[z]` inducing environments of species z: see RowsTask.
    void rows(const double* positions, const double* cell, const Neighbours& list, const double* inducing,
              const int* counts, const double* amplitudes, double* energy_row, double* force_rows, double* virial_rows);

    double cutoff() const { return cutoff_; }
    int n_species() const { return n_species_; }

    // Name of the instruction set in use.
    static const char* instructions();

  private:
    struct Share {  // of a thread
        std::vector<std::vector<int>> atoms;  // of every species
        std::vector<double> forces;           // aligned by `aligned`
        double virial[6];
    };

    void look_at(const Neighbours& list);
    Task prepare(const double* positions, const double* cell, const Neighbours& list);
    void share_out(const Neighbours& list);
    void run(const Task& task, double* forces, double* virial);

    int n_species_, n_features_;
    double cutoff_;
    std::unique_ptr<Kernel> kernel_;
    Pool pool_;
    std::vector<void*> workspaces_;
    std::vector<Share> shares_;

    // What fixes the list that was looked at last; another list may come to lie at the same address.
    struct Seen {
        int pairs = -1;
        double cutoff = 0, skin = 0, cell[9] = {0};
        bool periodic[3] = {false, false, false};
        std::vector<int> species;
        std::vector<double> positions;

        bool same(const Neighbours& list) const;
        void remember(const Neighbours& list);
    };

    Seen seen_;
    int most_neighbours_ = 0;
    std::vector<int> code_, images_;  // images: three of each code
    std::vector<double> positions_, shifts_, energies_;
};

}  // namespace ionscape

#endif
