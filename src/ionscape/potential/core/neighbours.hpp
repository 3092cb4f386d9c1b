// Neighbours of every atom within the cutoff plus a skin, in any cell, periodic in all, some or no directions.
//
// Positions are Cartesian and may lie in any image of the cell ("unwrapped"): pair p of atom i is the vector
//
//     positions[index[p]] + image[3p] a + image[3p+1] b + image[3p+2] c - positions[i],
//
// a, b, c the rows of the cell. Every pair stands twice, once with either atom; an atom is a neighbour of its own
// images, never of itself. Pairs of atom i with neighbours of species s are start[i n_species + s] up to
// start[i n_species + s + 1], in an order that the positions and the cell of the last build fix. `index` and `image`
// may be longer than the pairs: count by `start`.
//
// The list depends on nothing but the positions and the cell it was last built from (`reference_positions`,
// `reference_cell`), never on what came before: `build` with these gives the same list again, bit for bit.

#ifndef IONSCAPE_NEIGHBOURS_HPP
#define IONSCAPE_NEIGHBOURS_HPP

#include <cstddef>
#include <vector>

namespace ionscape {

enum class ListStatus : int {
    kept = 0,
    rebuilt = 1,
    flat_cell = -1,   // lattice vectors of periodic directions are not independent
    not_finite = -2,  // a position or the cell is not finite
    too_many = -3,    // more pairs than can be counted or stored: the cell is far too small
};

struct Neighbours {
    int n_atoms = 0, n_species = 0;
    std::vector<int> start;  // n_atoms * n_species + 1
    std::vector<int> index;  // one a pair
    std::vector<int> image;  // three a pair

    double cutoff = 0, skin = 0;    // Å
    bool periodic[3] = {true, true, true};
    std::vector<int> species;       // one an atom, 0 .. n_species - 1

    std::vector<double> reference_positions;  // of the last build, Å, 3 n_atoms
    double reference_cell[9] = {0};           // of the last build, Å
    bool built = false;
    long builds = 0;  // number of the last build: no two builds of any lists have the same

    Neighbours(int n_atoms, int n_species, const int* species, const unsigned char* periodic, double cutoff,
               double skin);

    // Build the list again if any pair within the cutoff could be missing from it.
    ListStatus update(const double* positions, const double* cell);

    // Build the list.
    ListStatus build(const double* positions, const double* cell);

    // Whether every pair within the cutoff is in the list.
    bool covers(const double* positions, const double* cell) const;

    int pairs() const { return start.empty() ? 0 : start.back(); }

  private:
    struct Bins;
    bool wrap(const double* positions, const double* inverse, double* low, double* high);
    void sort_into(const Bins& bins, const double* cell);
    bool look_around(int atom, const Bins& bins, const double* cell);
    bool store(int atom);

    // Scratch of `build`, kept so that nothing is allocated while atoms move.
    std::vector<double> fractional_, wrapped_, bin_positions_;
    std::vector<int> shift_, bin_of_, bin_start_, bin_atoms_, found_, counts_;
    std::size_t n_found_ = 0;
};

}  // namespace ionscape

extern "C" {
// Species are 0 .. n_species - 1; periodic is three flags. Null if the memory is not there.
void* ionscape_neighbours_new(int n_atoms, int n_species, const int* species, const unsigned char* periodic,
                              double cutoff, double skin);
void ionscape_neighbours_free(void* list);
// These two return a ListStatus.
int ionscape_neighbours_update(void* list, const double* positions, const double* cell);
int ionscape_neighbours_build(void* list, const double* positions, const double* cell);
int ionscape_neighbours_pairs(const void* list);
const int* ionscape_neighbours_start(const void* list);
const int* ionscape_neighbours_index(const void* list);
const int* ionscape_neighbours_image(const void* list);
// Positions (3 n_atoms) and cell (9) of the last build.
const double* ionscape_neighbours_reference_positions(const void* list);
const double* ionscape_neighbours_reference_cell(const void* list);
}

#endif
