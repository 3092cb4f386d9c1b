// Integrators. Sources: chains, Martyna, Klein & Tuckerman, doi:10.1063/1.463940; barostats, Martyna, Tobias & Klein,
// doi:10.1063/1.467468; weights, Yoshida, doi:10.1016/0375-9601(90)90092-3; Langevin, Vanden-Eijnden & Ciccotti,
// doi:10.1016/j.cplett.2006.07.086 (eq. 23, the centre of mass held); random numbers, Philox-4x32-10, Salmon et al.,
// doi:10.1145/2063384.2063405.

#include "dynamics.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <new>

namespace ionscape {

namespace {

// (exp(x) - 1) / x
double exprel(double x) { return std::fabs(x) < 1e-16 ? 1 : std::expm1(x) / x; }

double determinant(const double* h) {
    return h[0] * (h[4] * h[8] - h[5] * h[7]) - h[1] * (h[3] * h[8] - h[5] * h[6]) +
           h[2] * (h[3] * h[7] - h[4] * h[6]);
}

double trace(const double* m) { return m[0] + m[4] + m[8]; }

// Rows times a matrix.
void times(const double* row, const double* m, double* out) {
    for (int k = 0; k < 3; ++k) out[k] = row[0] * m[k] + row[1] * m[3 + k] + row[2] * m[6 + k];
}

// Eigenvalues and eigenvectors (columns) of a symmetric matrix, by Jacobi rotations.
struct Eigen {
    double values[3], vectors[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1};

    explicit Eigen(const double* symmetric) {
        double a[9];
        std::memcpy(a, symmetric, sizeof a);
        for (int sweep = 0; sweep < 30; ++sweep) {
            const double off = std::fabs(a[1]) + std::fabs(a[2]) + std::fabs(a[5]);
            if (!(off > 1e-300)) break;
            rotate(a, 0, 1);
            rotate(a, 0, 2);
            rotate(a, 1, 2);
        }
        for (int k = 0; k < 3; ++k) values[k] = a[4 * k];
    }

    // The function of the matrix that has these values for its eigenvalues.
    void function(const double* of_values, double* out) const {
        for (int i = 0; i < 3; ++i)
            for (int j = 0; j < 3; ++j) {
                double sum = 0;
                for (int k = 0; k < 3; ++k) sum += vectors[3 * i + k] * of_values[k] * vectors[3 * j + k];
                out[3 * i + j] = sum;
            }
    }

  private:
    void rotate(double* a, int p, int q) {
        const double apq = a[3 * p + q];
        if (apq == 0) return;
        const double theta = (a[4 * q] - a[4 * p]) / (2 * apq);
        const double t = (theta >= 0 ? 1 : -1) / (std::fabs(theta) + std::sqrt(theta * theta + 1));
        const double c = 1 / std::sqrt(t * t + 1), s = t * c;
        const int r = 3 - p - q;
        const double arp = a[3 * r + p], arq = a[3 * r + q];
        a[4 * p] -= t * apq;
        a[4 * q] += t * apq;
        a[3 * p + q] = a[3 * q + p] = 0;
        a[3 * r + p] = a[3 * p + r] = c * arp - s * arq;
        a[3 * r + q] = a[3 * q + r] = s * arp + c * arq;
        for (int k = 0; k < 3; ++k) {
            const double vp = vectors[3 * k + p], vq = vectors[3 * k + q];
            vectors[3 * k + p] = c * vp - s * vq;
            vectors[3 * k + q] = s * vp + c * vq;
        }
    }
};

void philox(const uint32_t* counter, uint64_t seed, uint32_t* out) {
    uint32_t c[4], key[2] = {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)};
    std::memcpy(c, counter, sizeof c);
    for (int round = 0; round < 10; ++round) {
        const uint64_t a = uint64_t{0xD2511F53} * c[0], b = uint64_t{0xCD9E8D57} * c[2];
        const uint32_t next[4] = {static_cast<uint32_t>(b >> 32) ^ c[1] ^ key[0], static_cast<uint32_t>(b),
                                  static_cast<uint32_t>(a >> 32) ^ c[3] ^ key[1], static_cast<uint32_t>(a)};
        std::memcpy(c, next, sizeof c);
        key[0] += 0x9E3779B9;
        key[1] += 0xBB67AE85;
    }
    std::memcpy(out, c, sizeof c);
}

double uniform(uint32_t high, uint32_t low) {
    return static_cast<double>((uint64_t{high} << 32 | low) >> 11) * 0x1p-53;
}

}  // namespace

void Chain::kick(int j, double twice_kinetic, double time) {
    double* p = state + length;
    const double brake = j < length - 1 ? std::exp(-time / 4 * p[j + 1] / mass[j + 1]) : 1;
    const double force = j == 0 ? twice_kinetic - degrees * kT : p[j - 1] * p[j - 1] / mass[j - 1] - kT;
    p[j] = (p[j] * brake + time / 2 * force) * brake;
}

double Chain::scale(double twice_kinetic, double time) {
    const double outer = 1 / (2 - std::cbrt(2.0)), weights[3] = {outer, 1 - 2 * outer, outer};
    double factor = 1;
    for (const double weight : weights) {
        const double part = weight * time;
        for (int j = length - 1; j >= 0; --j) kick(j, twice_kinetic * factor * factor, part);
        for (int j = 0; j < length; ++j) state[j] += part * state[length + j] / mass[j];
        factor *= std::exp(-part * state[length] / mass[0]);
        for (int j = 0; j < length; ++j) kick(j, twice_kinetic * factor * factor, part);
    }
    return factor;
}

double Chain::energy() const {
    double sum = degrees * kT * state[0];
    for (int j = 1; j < length; ++j) sum += kT * state[j];
    for (int j = 0; j < length; ++j) sum += state[length + j] * state[length + j] / (2 * mass[j]);
    return sum;
}

Dynamics::Dynamics(const ionscape_dynamics_request& r)
    : list(r.n_atoms, r.n_species, r.species, r.periodic, r.cutoff, r.skin),
      ensemble_(static_cast<Ensemble>(r.ensemble)), n_(r.n_atoms), dt_(r.timestep), kT_(r.kT), pressure_(r.pressure),
      friction_(1 / r.thermostat_time), hottest_(r.hottest_kT), function_(r.forces),
      context_(r.context), masses_(r.masses, r.masses + r.n_atoms),
      closest_(r.closest, r.closest + r.n_species * r.n_species) {
    random[0] = r.seed;
    const int sizes[parts] = {3 * n_, 3 * n_, 9, 2 * Chain::length, 2 * Chain::length, 9, 2, 9, 3 * n_, 9};
    offset_[0] = 0;
    for (int k = 0; k < parts; ++k) offset_[k + 1] = offset_[k] + sizes[k];
    state_.assign(offset_[parts], 0.0);
    forces.assign(3 * static_cast<std::size_t>(n_), 0.0);
    for (const double mass : masses_) total_mass_ += mass;

    // The masses count all atoms as those of ASE do; the degrees of freedom leave out the centre of mass.
    const bool full = ensemble_ == Ensemble::full_cell;
    const double thermostat_mass = kT_ * r.thermostat_time * r.thermostat_time;
    const double barostat_mass = kT_ * r.barostat_time * r.barostat_time;
    thermostat_.degrees = 3.0 * (n_ - 1);
    barostat_.degrees = full ? 6 : 1;
    barostat_mass_ = (full ? n_ + 1 : 3 * n_ + 3) * barostat_mass;
    for (int j = 0; j < Chain::length; ++j) {
        thermostat_.mass[j] = (j == 0 ? 3 * n_ : 1) * thermostat_mass;
        barostat_.mass[j] = (j > 0 ? 1 : full ? 6 : 9) * barostat_mass;
    }
    thermostat_.kT = barostat_.kT = kT_;
    thermostat_.state = at(thermostat);
    barostat_.state = at(barostat);
}

double* Dynamics::part(int which, int* size) {
    if (list.built && which == list_positions)
        std::copy(list.reference_positions.begin(), list.reference_positions.end(), at(list_positions));
    if (list.built && which == list_cell) std::copy_n(list.reference_cell, 9, at(list_cell));
    *size = offset_[which + 1] - offset_[which];
    return state_.data() + offset_[which];
}

bool Dynamics::settle() {
    halt = Halt::none;
    fresh_ = false;
    if (static_cast<int>(list.build(at(list_positions), at(list_cell))) < 0 || !evaluate()) return false;
    return true;
}

// The crystal rests: what is left of a net force (rounding, in single precision) must not move it.
bool Dynamics::evaluate() {
    if (static_cast<int>(list.update(at(positions), at(cell))) < 0) {
        halt = Halt::no_list;
        return false;
    }
    energy_ = function_(context_, &list, at(positions), at(cell), forces.data(), virial_);
    double net[3] = {0, 0, 0};
    for (int i = 0; i < 3 * n_; ++i) net[i % 3] += forces[i];
    for (int i = 0; i < 3 * n_; ++i) forces[i] -= net[i % 3] / n_;
    for (int k = 0; k < 3; ++k)
        for (int l = k + 1; l < 3; ++l)
            virial_[3 * k + l] = virial_[3 * l + k] = (virial_[3 * k + l] + virial_[3 * l + k]) / 2;
    return fresh_ = true;
}

long Dynamics::advance(long steps) {
    long made = 0;
    halt = Halt::none;
    if (!fresh_ && !evaluate()) return 0;
    while (made < steps && halt == Halt::none) {
        step();
        ++made;
        if (halt == Halt::none) halt = look();
    }
    return made;
}

void Dynamics::step() {
    if (ensemble_ == Ensemble::langevin) {
        step_langevin();
    } else if (ensemble_ == Ensemble::full_cell || ensemble_ == Ensemble::isotropic) {
        step_barostatted();
    } else {
        step_plain();
    }
}

void Dynamics::step_plain() {
    const bool thermostatted = ensemble_ == Ensemble::nose_hoover;
    if (thermostatted) thermalise(dt_ / 2);
    kick(dt_ / 2);
    drift(dt_);
    if (!evaluate()) return;
    kick(dt_ / 2);
    if (thermostatted) thermalise(dt_ / 2);
}

void Dynamics::thermalise(double time) {
    const double factor = thermostat_.scale(2 * kinetic_energy(), time);
    for (int i = 0; i < 3 * n_; ++i) at(momenta)[i] *= factor;
}

void Dynamics::kick(double time) {
    double* p = at(momenta);
    for (int i = 0; i < 3 * n_; ++i) p[i] += time * forces[i];
}

void Dynamics::drift(double time) {
    double *q = at(positions), *p = at(momenta);
    for (int i = 0; i < n_; ++i)
        for (int k = 3 * i; k < 3 * i + 3; ++k) q[k] += time * p[k] / masses_[i];
}

void Dynamics::step_langevin() {
    const double h = dt_, g = friction_, c1 = h / 2 - h * h * g / 8, c2 = h * g / 2 - h * h * g * g / 8;
    normals_.resize(6 * static_cast<std::size_t>(n_));
    velocities_.resize(3 * static_cast<std::size_t>(n_));
    draw(random[1]++, normals_.data());
    double *q = at(positions), *p = at(momenta), *v = velocities_.data();
    double *in_velocity = normals_.data(), *in_place = in_velocity + 3 * n_, net[3] = {0, 0, 0};
    for (int i = 0; i < n_; ++i) {
        const double m = masses_[i], sigma = std::sqrt(2 * kT_ * g / m);
        const double c3 = std::sqrt(h) * sigma / 2 - h * std::sqrt(h) * g * sigma / 8;
        const double c5 = h * std::sqrt(h) * sigma / (2 * std::sqrt(3.0)), c4 = g / 2 * c5;
        for (int k = 3 * i; k < 3 * i + 3; ++k) {
            in_velocity[k] = c3 * in_velocity[k] - c4 * in_place[k];
            in_place[k] *= c5;
            v[k] = p[k] / m;
            v[k] += c1 * forces[k] / m - c2 * v[k] + in_velocity[k];
            net[k % 3] += m * (h * v[k] + in_place[k]) / total_mass_;
        }
    }
    for (int k = 0; k < 3 * n_; ++k) {
        q[k] += h * v[k] + in_place[k] - net[k % 3];
        v[k] -= net[k % 3] / h;
    }
    if (!evaluate()) return;
    double total[3] = {0, 0, 0};
    for (int i = 0; i < n_; ++i)
        for (int k = 3 * i; k < 3 * i + 3; ++k) {
            v[k] += c1 * forces[k] / masses_[i] - c2 * v[k] + in_velocity[k];
            total[k % 3] += masses_[i] * v[k] / total_mass_;
        }
    for (int i = 0; i < n_; ++i)
        for (int k = 3 * i; k < 3 * i + 3; ++k) p[k] = masses_[i] * (v[k] - total[k % 3]);
}

void Dynamics::draw(uint64_t step, double* normals) const {
    for (uint32_t pair = 0; pair < 3 * static_cast<uint32_t>(n_); ++pair) {
        const uint32_t counter[4] = {static_cast<uint32_t>(step), static_cast<uint32_t>(step >> 32), pair, 0};
        uint32_t bits[4];
        philox(counter, random[0], bits);
        const double radius = std::sqrt(-2 * std::log(1 - uniform(bits[0], bits[1])));
        const double angle = 2 * 3.14159265358979323846 * uniform(bits[2], bits[3]);
        normals[2 * pair] = radius * std::cos(angle);
        normals[2 * pair + 1] = radius * std::sin(angle);
    }
}

void Dynamics::step_barostatted() {
    const bool full = ensemble_ == Ensemble::full_cell;
    double* momentum = full ? at(cell_momentum) : at(strain) + 1;
    const auto thermalise_cell = [&] {
        const double factor = barostat_.scale(twice_cell_energy(), dt_ / 2);
        for (int k = 0; k < (full ? 9 : 1); ++k) momentum[k] *= factor;
    };
    thermalise_cell();
    thermalise(dt_ / 2);
    push_cell(dt_ / 2);
    full ? kick_strained(dt_ / 2) : kick_isotropic(dt_ / 2);
    full ? drift_strained(dt_) : drift_isotropic(dt_);
    if (!evaluate()) return;
    full ? kick_strained(dt_ / 2) : kick_isotropic(dt_ / 2);
    push_cell(dt_ / 2);
    thermalise(dt_ / 2);
    thermalise_cell();
}

double Dynamics::twice_cell_energy() const {
    if (ensemble_ == Ensemble::isotropic) return at(strain)[1] * at(strain)[1] / barostat_mass_;
    double sum = 0;
    for (int k = 0; k < 9; ++k) sum += at(cell_momentum)[k] * at(cell_momentum)[k];
    return sum / barostat_mass_;
}

void Dynamics::push_cell(double time) {
    const double per_degree = 2 * kinetic_energy() / thermostat_.degrees, pressure_volume = pressure_ * volume();
    if (ensemble_ == Ensemble::isotropic) {
        at(strain)[1] += time * (2 * kinetic_energy() + trace(virial_) - 3 * pressure_volume + 3 * per_degree);
        return;
    }
    double push[9];
    std::memcpy(push, virial_, sizeof push);
    for (int i = 0; i < n_; ++i) {
        const double* p = at(momenta) + 3 * i;
        for (int k = 0; k < 9; ++k) push[k] += p[k / 3] * p[k % 3] / masses_[i];
    }
    for (int k = 0; k < 9; k += 4) push[k] += per_degree - pressure_volume;
    for (int k = 0; k < 9; ++k) at(cell_momentum)[k] += time * push[k];
}

void Dynamics::kick_isotropic(double time) {
    const double x = (1 + 3 / thermostat_.degrees) * at(strain)[1] * time / barostat_mass_;
    const double keep = std::exp(-x), gain = time * exprel(-x);
    for (int i = 0; i < 3 * n_; ++i) at(momenta)[i] = at(momenta)[i] * keep + gain * forces[i];
}

void Dynamics::drift_isotropic(double time) {
    const double x = time * at(strain)[1] / barostat_mass_, keep = std::exp(x), gain = time * exprel(x);
    for (int i = 0; i < n_; ++i)
        for (int k = 3 * i; k < 3 * i + 3; ++k)
            at(positions)[k] = at(positions)[k] * keep + at(momenta)[k] / masses_[i] * gain;
    at(strain)[0] += x;
    for (int k = 0; k < 9; ++k) at(cell)[k] = at(start_cell)[k] * std::exp(at(strain)[0]);
}

void Dynamics::kick_strained(double time) {
    const Eigen eigen(at(cell_momentum));
    const double shift = trace(at(cell_momentum)) / thermostat_.degrees;
    double keep[3], gain[3], keeps[9], gains[9], kept[3], gained[3];
    for (int k = 0; k < 3; ++k) {
        const double x = -(eigen.values[k] + shift) * time / barostat_mass_;
        keep[k] = std::exp(x);
        gain[k] = time * exprel(x);
    }
    eigen.function(keep, keeps);
    eigen.function(gain, gains);
    for (int i = 0; i < n_; ++i) {
        double* p = at(momenta) + 3 * i;
        times(p, keeps, kept);
        times(&forces[3 * static_cast<std::size_t>(i)], gains, gained);
        for (int k = 0; k < 3; ++k) p[k] = kept[k] + gained[k];
    }
}

void Dynamics::drift_strained(double time) {
    const Eigen eigen(at(cell_momentum));
    double keep[3], gain[3], keeps[9], gains[9], kept[3], gained[3];
    for (int k = 0; k < 3; ++k) {
        const double x = eigen.values[k] * time / barostat_mass_;
        keep[k] = std::exp(x);
        gain[k] = time * exprel(x);
    }
    eigen.function(keep, keeps);
    eigen.function(gain, gains);
    for (int i = 0; i < n_; ++i) {
        double* q = at(positions) + 3 * i;
        times(q, keeps, kept);
        times(at(momenta) + 3 * i, gains, gained);
        for (int k = 0; k < 3; ++k) q[k] = kept[k] + gained[k] / masses_[i];
    }
    for (int k = 0; k < 3; ++k) {
        times(at(cell) + 3 * k, keeps, kept);
        std::copy_n(kept, 3, at(cell) + 3 * k);
    }
}

double Dynamics::kinetic_energy() const {
    double sum = 0;
    for (int i = 0; i < n_; ++i) {
        const double* p = at(momenta) + 3 * i;
        sum += (p[0] * p[0] + p[1] * p[1] + p[2] * p[2]) / masses_[i];
    }
    return sum / 2;
}

double Dynamics::volume() const { return std::fabs(determinant(at(cell))); }

double Dynamics::pressure() const { return (2 * kinetic_energy() + trace(virial_)) / (3 * volume()); }

double Dynamics::conserved_energy() const {
    double sum = energy_ + kinetic_energy();
    if (ensemble_ != Ensemble::nve && ensemble_ != Ensemble::langevin) sum += thermostat_.energy();
    if (ensemble_ == Ensemble::full_cell || ensemble_ == Ensemble::isotropic)
        sum += barostat_.energy() + twice_cell_energy() / 2 + pressure_ * volume();
    return sum;
}

Halt Dynamics::look() {
    const double kinetic = kinetic_energy();
    if (!std::isfinite(energy_) || !std::isfinite(kinetic)) return Halt::not_finite;
    if (2 * kinetic / thermostat_.degrees > hottest_) return Halt::too_hot;
    return too_close() ? Halt::too_close : Halt::none;
}

// Only pairs that were closer than limit + skin when the list was built can come closer than the limit while it holds.
void Dynamics::collect_close_pairs() {
    const double *x = list.reference_positions.data(), *h = list.reference_cell;
    close_.clear();
    for (int i = 0; i < n_; ++i)
        for (int s = 0; s < list.n_species; ++s) {
            const double limit = closest_[list.species[i] * list.n_species + s], reach = limit + list.skin;
            for (int pair = list.start[i * list.n_species + s]; pair < list.start[i * list.n_species + s + 1]; ++pair) {
                const int j = list.index[pair], *image = &list.image[3 * static_cast<std::size_t>(pair)];
                if (j <= i) continue;
                double square = 0;
                for (int k = 0; k < 3; ++k) {
                    const double d = x[3 * j + k] - x[3 * i + k] + image[0] * h[k] + image[1] * h[3 + k] +
                                     image[2] * h[6 + k];
                    square += d * d;
                }
                if (square < reach * reach) close_.push_back({i, j, {image[0], image[1], image[2]}, limit});
            }
        }
    close_builds_ = list.builds;
}

bool Dynamics::too_close() {
    if (close_builds_ != list.builds) collect_close_pairs();
    const double *x = at(positions), *h = at(cell);
    double worst = 1;
    for (const Close& pair : close_) {
        double square = 0;
        for (int k = 0; k < 3; ++k) {
            const double d = x[3 * pair.j + k] - x[3 * pair.i + k] + pair.image[0] * h[k] + pair.image[1] * h[3 + k] +
                             pair.image[2] * h[6 + k];
            square += d * d;
        }
        const double distance = std::sqrt(square);
        if (distance < worst * pair.limit) {
            worst = distance / pair.limit;
            close_pair[0] = pair.i;
            close_pair[1] = pair.j;
            close_distance = distance;
        }
    }
    return worst < 1;
}

}  // namespace ionscape

using ionscape::Dynamics;

extern "C" {

void* ionscape_dynamics_new(const ionscape_dynamics_request* request) {
    try {
        return new Dynamics(*request);
    } catch (const std::bad_alloc&) {
        return nullptr;
    }
}

void ionscape_dynamics_free(void* dynamics) { delete static_cast<Dynamics*>(dynamics); }

long ionscape_dynamics_advance(void* dynamics, long steps) { return static_cast<Dynamics*>(dynamics)->advance(steps); }

int ionscape_dynamics_settle(void* dynamics) { return static_cast<Dynamics*>(dynamics)->settle(); }

double* ionscape_dynamics_part(void* dynamics, int which, int* size) {
    return static_cast<Dynamics*>(dynamics)->part(which, size);
}

uint64_t* ionscape_dynamics_random(void* dynamics) { return static_cast<Dynamics*>(dynamics)->random; }

void* ionscape_dynamics_list(void* dynamics) { return &static_cast<Dynamics*>(dynamics)->list; }

int ionscape_dynamics_halt(const void* dynamics, int* pair, double* distance) {
    const Dynamics& self = *static_cast<const Dynamics*>(dynamics);
    std::copy_n(self.close_pair, 2, pair);
    *distance = self.close_distance;
    return static_cast<int>(self.halt);
}

void ionscape_dynamics_observe(const void* dynamics, double* four) {
    const Dynamics& self = *static_cast<const Dynamics*>(dynamics);
    four[0] = self.potential_energy();
    four[1] = self.kinetic_energy();
    four[2] = self.conserved_energy();
    four[3] = self.pressure();
}

const double* ionscape_dynamics_forces(const void* dynamics) {
    return static_cast<const Dynamics*>(dynamics)->forces.data();
}

void ionscape_dynamics_normals(const void* dynamics, uint64_t step, double* normals) {
    static_cast<const Dynamics*>(dynamics)->draw(step, normals);
}
}
