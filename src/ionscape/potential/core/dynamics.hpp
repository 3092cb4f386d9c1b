// Molecular dynamics in compiled code: ensembles, equations and order of splitting of the integrators of ASE with the
// degrees of freedom of `ionscape.dynamics.integrators` (3N - 3 of the atoms, six of the cell), so that trajectories
// are the same for the same forces.
//
// Units are those of ASE: eV, Å, amu, time in Å sqrt(amu/eV). Positions are unwrapped.

#ifndef IONSCAPE_DYNAMICS_HPP
#define IONSCAPE_DYNAMICS_HPP

#include <cstdint>
#include <vector>

#include "neighbours.hpp"

extern "C" {
// Energy in eV; fills forces (3 n, eV/Å) and virial (9, eV): minus the derivative by strain, sum of r ⊗ F over pairs,
// so that the pressure is (2 E_kin + trace virial) / 3V. The same arguments and the same list must give the same
// bits, whatever was asked before: a continued run rests on it. `list` is an ionscape::Neighbours that covers the
// positions. The energy is not a number where no memory was left for it.
typedef double (*ionscape_forces)(void* context, void* list, const double* positions, const double* cell,
                                  double* forces, double* virial);

struct ionscape_dynamics_request {
    int32_t ensemble;  // ionscape::Ensemble
    int32_t n_atoms, n_species;
    const int32_t* species;          // n_atoms
    const unsigned char* periodic;   // 3
    const double* masses;            // n_atoms, amu
    const double* closest;           // n_species², Å: a distance below is the end
    double timestep, kT, pressure;   // ASE time, eV, eV/Å³
    double thermostat_time, barostat_time;
    double hottest_kT;               // an instantaneous temperature above is the end, eV
    double cutoff, skin;             // of the list, Å
    uint64_t seed;                   // of Langevin forces
    ionscape_forces forces;
    void* context;
};
}

namespace ionscape {

enum class Ensemble : int { nve = 0, nose_hoover = 1, langevin = 2, full_cell = 3, isotropic = 4 };

// Why `advance` came back.
enum class Halt : int { none = 0, not_finite = 1, too_hot = 2, too_close = 3, no_list = 4 };

// Chain of three Nosé–Hoover thermostats on `degrees` degrees of freedom, integrated with the fourth-order weights of
// Suzuki and Yoshida.
struct Chain {
    static constexpr int length = 3;
    double degrees = 0, kT = 0;
    double mass[length] = {0};
    double* state = nullptr;  // coordinates, then momenta

    // Return the factor of the momenta over a time, given twice their kinetic energy.
    double scale(double twice_kinetic, double time);
    double energy() const;

  private:
    void kick(int j, double twice_kinetic, double time);
};

class Dynamics {
  public:
    // Whatever a checkpoint has to hold, in named arrays that lie in `state`.
    enum Part { positions, momenta, cell, thermostat, barostat, cell_momentum, strain, start_cell, list_positions,
                list_cell, parts };

    explicit Dynamics(const ionscape_dynamics_request& request);

    // Make up to `steps` steps; return how many. `halt` tells why there are fewer, or why the last was one too many.
    long advance(long steps);

    // Prepare for the state that was written into the parts: the list is built from its own places.
    bool settle();

    double* part(int which, int* size);
    double kinetic_energy() const;
    double potential_energy() const { return energy_; }
    double conserved_energy() const;
    double pressure() const;

    Halt halt = Halt::none;
    int close_pair[2] = {0, 0};
    double close_distance = 0;
    uint64_t random[2] = {0, 0};  // seed, and steps that Langevin forces were drawn for: all that fixes the next ones
    Neighbours list;
    std::vector<double> forces;

    // Fill with the standard normal numbers of a step: those of velocities, then those of positions.
    void draw(uint64_t step, double* normals) const;

  private:
    struct Close {
        int i, j, image[3];
        double limit;
    };

    bool evaluate();
    void step();
    void step_plain();
    void step_langevin();
    void step_barostatted();
    void thermalise(double time);
    void kick(double time);
    void drift(double time);
    void kick_strained(double time);
    void drift_strained(double time);
    void kick_isotropic(double time);
    void drift_isotropic(double time);
    void push_cell(double time);
    double twice_cell_energy() const;
    double volume() const;
    Halt look();
    void collect_close_pairs();
    bool too_close();

    Ensemble ensemble_;
    int n_;
    double dt_, kT_, pressure_, friction_, hottest_;
    double barostat_mass_ = 0;
    Chain thermostat_, barostat_;
    ionscape_forces function_;
    void* context_;

    std::vector<double> masses_, closest_, state_, normals_, velocities_;
    double total_mass_ = 0, virial_[9] = {0}, energy_ = 0;
    bool fresh_ = false;  // energy, forces and virial are those of the positions
    long close_builds_ = -1;
    std::vector<Close> close_;
    int offset_[parts + 1];

    double* at(Part which) { return state_.data() + offset_[which]; }
    const double* at(Part which) const { return state_.data() + offset_[which]; }
};

}  // namespace ionscape

extern "C" {
void* ionscape_dynamics_new(const ionscape_dynamics_request* request);
void ionscape_dynamics_free(void* dynamics);
long ionscape_dynamics_advance(void* dynamics, long steps);
int ionscape_dynamics_settle(void* dynamics);
double* ionscape_dynamics_part(void* dynamics, int which, int* size);
uint64_t* ionscape_dynamics_random(void* dynamics);
void* ionscape_dynamics_list(void* dynamics);
int ionscape_dynamics_halt(const void* dynamics, int* pair, double* distance);
// Potential, kinetic and conserved energy (eV), pressure (eV/Å³).
void ionscape_dynamics_observe(const void* dynamics, double* four);
const double* ionscape_dynamics_forces(const void* dynamics);
// The 6 n normal numbers of a step.
void ionscape_dynamics_normals(const void* dynamics, uint64_t step, double* normals);
}

#endif
