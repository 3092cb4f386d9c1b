// The potential evaluated for atoms of one species at a time, in one precision, on one instruction set.

#ifndef IONSCAPE_KERNEL_HPP
#define IONSCAPE_KERNEL_HPP

#include "densities.hpp"
#include "product.hpp"
#include "spectrum.hpp"

namespace ionscape {
namespace IONSCAPE_VARIANT {

constexpr int atoms_at_once = 16;

template <class T> class Rower;

template <class T> struct Scratch {
    Environment<T> environment[atoms_at_once];
    Buffer<T> mixed[atoms_at_once];  // d (lm, q)
    Buffer<T> harmonics, gradients[4], own;
    Rower<T> rower;
    Rows<T> rows;
    Buffer<T> densities, flipped, square, back;
    Buffer<T> spectra, gradient, projected;  // (atoms, features or rank)
    T norm[atoms_at_once], energy[atoms_at_once];
};

template <class T> class Model final : public Kernel {
  public:
    explicit Model(const Form& form);
    ~Model() override;
    void* workspace() const override { return new Scratch<T>; }
    void release(void* workspace) const override { delete static_cast<Scratch<T>*>(workspace); }
    void evaluate(const Task& task, void* workspace) const override;
    void rows(const RowsTask& task, void* workspace) const override;

  private:
    bool weights_only(const Form& form, double* weights) const;
    void pack_mixing(const Form& form);
    void pack_energy(const Form& form);
    void reserve(Scratch<T>& s, const Task& task) const;
    // Spectra of atoms first .. first + count of the task, normalised.
    void describe(Scratch<T>& s, const Task& task, int first, int count) const;
    void write_descriptors(const Scratch<T>& s, const Task& task, int first, int count) const;
    void differentiate_energy(Scratch<T>& s, const Task& task, int first, int count) const;
    void given_gradient(Scratch<T>& s, const Task& task, int first, int count) const;
    void forces(Scratch<T>& s, const Task& task, int first, int slot) const;

    template <int L> void densities_of(const Environment<T>& e, Scratch<T>& s) const {
        harmonic_rows<T, L>(e, factors_, s.harmonics);
        densities<T, L>(e, species_, radials_, s.harmonics, s.densities);
    }
    template <int L>
    void forces_of(const Environment<T>& e, const T* h, Scratch<T>& s, const Task& task, int centre) const {
        force_of<T, L>(e, factors_, h, species_, radials_, s.rows, centre, pair_ && !task.gradient, task.forces,
                       task.virial);
    }

    HarmonicFactors<T> factors_;
    int species_, radials_, l_max_, harmonics_, length_, channels_, channels_padded_, Q_, width_, features_, stride_;
    int rank_, rank_stride_;
    T cutoff_, pair_cutoff_, epsilon_;
    bool pair_, diagonal_, linear_given_;
    RadialTable<T> radial_;
    RadialTable<T>* pairs_ = nullptr;    // (species, species)
    Buffer<T>* mix_ = nullptr;           // (species): l, channels, q
    Buffer<T>* unmix_ = nullptr;         // (species): l, q, channels
    Panels<T>* first_ = nullptr;         // (species): spectra to projections, or to the gradient itself
    Panels<T>* second_ = nullptr;        // (species): projections to the gradient
    Buffer<T> linear_, weights_, triangle_;
    double* offset_ = nullptr;
};

template <class T> Model<T>::Model(const Form& f) {
    species_ = f.n_species;
    radials_ = f.n_radial;
    l_max_ = f.l_max;
    harmonics_ = f.harmonics();
    length_ = padded<T>(harmonics_);
    channels_ = species_ * radials_;
    channels_padded_ = padded<T>(channels_);
    Q_ = f.n_mixed;
    width_ = padded<T>(Q_);
    features_ = f.features();
    stride_ = padded<T>(features_) + lanes<T>;
    cutoff_ = T(f.cutoff);
    epsilon_ = T(f.epsilon);
    radial_.pack(f.radial, f.radial_slope, f.n_nodes, radials_, f.cutoff);
    pair_ = f.pair_nodes > 1;
    pair_cutoff_ = T(f.pair_cutoff);
    if (pair_) {
        pairs_ = new RadialTable<T>[species_ * species_];
        for (int k = 0; k < species_ * species_; ++k)
            pairs_[k].pack(f.pair + ptrdiff_t(k) * f.pair_nodes, f.pair_slope + ptrdiff_t(k) * f.pair_nodes,
                           f.pair_nodes, 1, f.pair_cutoff);
    }
    offset_ = new double[species_];
    memcpy(offset_, f.offset, species_ * sizeof(double));
    triangle_factors<T>(Q_, width_, triangle_.reserve(size_t(Q_ + spectrum_rows) * width_));
    pack_mixing(f);
    pack_energy(f);
}

template <class T> Model<T>::~Model() {
    delete[] pairs_;
    delete[] mix_;
    delete[] unmix_;
    delete[] first_;
    delete[] second_;
    delete[] offset_;
}

// Whether mixing does no more than weight the degrees, the same for all species: then the harmonics can do it.
template <class T> bool Model<T>::weights_only(const Form& f, double* weights) const {
    for (int l = 0; l <= l_max_; ++l) weights[l] = f.mixing ? f.mixing[ptrdiff_t(l) * Q_ * channels_] : 1;
    if (!f.mixing) return true;
    const double* u = f.mixing;
    for (int z = 0; z < species_; ++z)
        for (int l = 0; l <= l_max_; ++l)
            for (int q = 0; q < Q_; ++q)
                for (int c = 0; c < channels_; ++c)
                    if (*u++ != (q == c ? weights[l] : 0)) return false;
    for (int l = 0; l <= l_max_; ++l)
        if (weights[l] == 0) return false;
    return Q_ == channels_;
}

template <class T> void Model<T>::pack_mixing(const Form& f) {
    double weights[most_l + 1], none[most_l + 1] = {1, 1, 1, 1, 1, 1, 1};
    const bool plain = weights_only(f, weights);
    factors_.set(plain ? weights : none, l_max_);
    if (plain) return;
    mix_ = new Buffer<T>[species_];
    unmix_ = new Buffer<T>[species_];
    for (int z = 0; z < species_; ++z) {
        T* mix = mix_[z].reserve(size_t(l_max_ + 1) * channels_ * width_);
        T* unmix = unmix_[z].reserve(size_t(l_max_ + 1) * Q_ * channels_padded_);
        const double* u = f.mixing + ptrdiff_t(z) * (l_max_ + 1) * Q_ * channels_;
        for (int l = 0; l <= l_max_; ++l)
            for (int q = 0; q < Q_; ++q)
                for (int c = 0; c < channels_; ++c, ++u) {
                    mix[(ptrdiff_t(l) * channels_ + c) * width_ + q] = T(*u);
                    unmix[(ptrdiff_t(l) * Q_ + q) * channels_padded_ + c] = T(*u);
                }
    }
}

template <class T> void Model<T>::pack_energy(const Form& f) {
    linear_given_ = f.linear != nullptr;
    if (linear_given_) {
        linear_.reserve(size_t(species_) * stride_);
        for (int z = 0; z < species_; ++z)
            for (int k = 0; k < features_; ++k) linear_[z * stride_ + k] = T(f.linear[ptrdiff_t(z) * features_ + k]);
    }
    rank_ = f.rank;
    diagonal_ = f.weights != nullptr;
    rank_stride_ = padded<T>(rank_);
    if (!rank_) return;
    first_ = new Panels<T>[species_];
    if (diagonal_) second_ = new Panels<T>[species_];
    if (diagonal_) weights_.reserve(size_t(species_) * rank_stride_);
    for (int z = 0; z < species_; ++z) {
        const double* matrix = f.quadratic + ptrdiff_t(z) * features_ * rank_;
        first_[z].pack(matrix, features_, rank_, false, diagonal_ ? 1 : 2);
        if (!diagonal_) continue;
        second_[z].pack(matrix, rank_, features_, true);
        for (int k = 0; k < rank_; ++k) weights_[z * rank_stride_ + k] = T(f.weights[z * rank_ + k]);
    }
}

template <class T> void Model<T>::reserve(Scratch<T>& s, const Task& task) const {
    for (int a = 0; a < atoms_at_once && a < task.count; ++a) {
        s.environment[a].reserve(task.most_neighbours, species_, radial_.stride());
        s.mixed[a].reserve(size_t(harmonics_) * width_);
    }
    s.harmonics.reserve(size_t(padded<T>(task.most_neighbours) + lanes<T>) * length_);
    s.rows.reserve(task.most_neighbours, length_);
    s.densities.reserve(size_t(channels_padded_) * length_);
    s.flipped.reserve(size_t(channels_padded_) * length_);
    s.back.reserve(size_t(length_) * (channels_padded_ > width_ ? channels_padded_ : width_));
    s.square.reserve(size_t(width_ + 16) * width_);
    s.spectra.reserve(size_t(atoms_at_once) * stride_);
    s.gradient.reserve(size_t(atoms_at_once) * stride_);
    s.projected.reserve(size_t(atoms_at_once) * rank_stride_);
}

#define IONSCAPE_BY_DEGREE(CALL)       \
    switch (l_max_) {                  \
        case 0: CALL(0); break;        \
        case 1: CALL(1); break;        \
        case 2: CALL(2); break;        \
        case 3: CALL(3); break;        \
        case 4: CALL(4); break;        \
        case 5: CALL(5); break;        \
        default: CALL(6); break;       \
    }

template <class T> void Model<T>::describe(Scratch<T>& s, const Task& task, int first, int count) const {
    for (int a = 0; a < count; ++a) {
        Environment<T>& e = s.environment[a];
        T* const d = s.mixed[a];
        T* const p = s.spectra + ptrdiff_t(a) * stride_;
        e.gather(task, task.atoms[first + a], cutoff_);
        e.radials(radial_);
        s.energy[a] = pair_ ? e.pairs(pairs_ + task.species * species_, species_, pair_cutoff_) : T(0);
#define CALL(L) densities_of<L>(e, s)
        IONSCAPE_BY_DEGREE(CALL)
#undef CALL
        if (mix_)
            for (int l = 0; l <= l_max_; ++l)
                contract_degree<T>(l, s.densities + l * l, length_, 1,
                                   mix_[task.species] + ptrdiff_t(l) * channels_ * width_, channels_, width_,
                                   d + ptrdiff_t(l) * l * width_);
        else {
            transpose<T>(s.densities, channels_padded_, length_, s.flipped);
            memcpy(d, s.flipped, size_t(harmonics_) * width_ * sizeof(T));
        }
        power_spectrum<T>(d, l_max_, Q_, width_, triangle_, p);
        for (int k = features_; k < stride_; ++k) p[k] = 0;
        Vector<T> sum{};
        for (int k = 0; k < features_; k += lanes<T>) sum += load(p + k) * load(p + k);
        s.norm[a] = root(splat<T>(total<T>(sum) + epsilon_ * epsilon_))[0];
        const T over = 1 / s.norm[a];
        for (int k = 0; k < features_; k += lanes<T>) store(p + k, over * load(p + k));
    }
}

template <class T>
void Model<T>::write_descriptors(const Scratch<T>& s, const Task& task, int first, int count) const {
    for (int a = 0; a < count; ++a) {
        const int atom = task.atoms[first + a];
        if (task.norms) task.norms[atom] = s.norm[a];
        if (!task.descriptors) continue;
        double* to = task.descriptors + ptrdiff_t(atom) * features_;
        for (int k = 0; k < features_; ++k) to[k] = s.spectra[ptrdiff_t(a) * stride_ + k];
    }
}

// E and dE/dp of the normalised spectra p: w . p + p W p.
template <class T>
void Model<T>::differentiate_energy(Scratch<T>& s, const Task& task, int first, int count) const {
    const int z = task.species;
    if (rank_ && diagonal_) first_[z].multiply(s.spectra, stride_, count, s.projected, rank_stride_);
    if (rank_ && !diagonal_) first_[z].multiply(s.spectra, stride_, count, s.gradient, stride_);
    for (int a = 0; a < count && rank_ && diagonal_; ++a) {
        Vector<T> sum{};
        for (int k = 0; k < rank_stride_; k += lanes<T>) {
            T* at = s.projected + ptrdiff_t(a) * rank_stride_ + k;
            const Vector<T> weighted = load(weights_ + z * rank_stride_ + k) * load(at);
            sum += weighted * load(at);
            store(at, 2 * weighted);
        }
        s.energy[a] += total<T>(sum);
    }
    if (rank_ && diagonal_) second_[z].multiply(s.projected, rank_stride_, count, s.gradient, stride_);
    for (int a = 0; a < count; ++a) {
        Vector<T> sum{};
        for (int k = 0; k < features_; k += lanes<T>) {
            const Vector<T> p = load(s.spectra + ptrdiff_t(a) * stride_ + k);
            T* at = s.gradient + ptrdiff_t(a) * stride_ + k;
            Vector<T> g = rank_ ? load(at) : Vector<T>{};
            if (rank_ && !diagonal_) sum += T(0.5) * g * p;
            if (linear_given_) {
                const Vector<T> w = load(linear_ + z * stride_ + k);
                sum += w * p;
                g += w;
            }
            store(at, g);
        }
        s.energy[a] += total<T>(sum);
        if (task.atom_energies) task.atom_energies[task.atoms[first + a]] = offset_[z] + double(s.energy[a]);
    }
}

template <class T>
void Model<T>::given_gradient(Scratch<T>& s, const Task& task, int first, int count) const {
    for (int a = 0; a < count; ++a) {
        const double* from = task.gradient + ptrdiff_t(task.atoms[first + a]) * features_;
        T* to = s.gradient + ptrdiff_t(a) * stride_;
        for (int k = 0; k < features_; ++k) to[k] = T(from[k]);
        for (int k = features_; k < stride_; ++k) to[k] = 0;
    }
}

template <class T> void Model<T>::forces(Scratch<T>& s, const Task& task, int first, int a) const {
    const T* p = s.spectra + ptrdiff_t(a) * stride_;
    T* g = s.gradient + ptrdiff_t(a) * stride_;
    Vector<T> sum{};
    for (int k = 0; k < features_; k += lanes<T>) sum += load(p + k) * load(g + k);
    const T along = total<T>(sum), over = 1 / s.norm[a];
    for (int k = 0; k < features_; k += lanes<T>) store(g + k, over * (load(g + k) - along * load(p + k)));
    spectrum_adjoint<T>(g, s.mixed[a], l_max_, Q_, width_, triangle_, s.square, s.back);
    const T* h = s.back;
    if (mix_) {
        for (int l = 0; l <= l_max_; ++l)
            contract_degree<T>(l, s.back + ptrdiff_t(l) * l * width_, 1, width_,
                               unmix_[task.species] + ptrdiff_t(l) * Q_ * channels_padded_, Q_, channels_padded_,
                               s.flipped + ptrdiff_t(l) * l * channels_padded_);
        h = s.flipped;
    }
    transpose<T>(h, length_, channels_padded_, s.densities);
#define CALL(L) forces_of<L>(s.environment[a], s.densities, s, task, task.atoms[first + a])
    IONSCAPE_BY_DEGREE(CALL)
#undef CALL
}

template <class T> void Model<T>::evaluate(const Task& task, void* workspace) const {
    Scratch<T>& s = *static_cast<Scratch<T>*>(workspace);
    reserve(s, task);
    const int blocks = (task.count + atoms_at_once - 1) / atoms_at_once;
    for (int block = 0; block < blocks; ++block) {
        const int first = int(int64_t(task.count) * block / blocks);
        const int count = int(int64_t(task.count) * (block + 1) / blocks) - first;
        describe(s, task, first, count);
        if (task.descriptors || task.norms) write_descriptors(s, task, first, count);
        if (!task.forces && !task.atom_energies) continue;
        if (task.gradient) given_gradient(s, task, first, count);
        else differentiate_energy(s, task, first, count);
        for (int a = 0; a < count && task.forces; ++a) forces(s, task, first, a);
    }
}

}  // namespace IONSCAPE_VARIANT
}  // namespace ionscape

#endif
