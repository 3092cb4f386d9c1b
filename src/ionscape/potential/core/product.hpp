// Products of small matrices: C (rows, columns) = A (rows, depth) B (depth, columns), B packed once in panels.

#ifndef IONSCAPE_PRODUCT_HPP
#define IONSCAPE_PRODUCT_HPP

#include "vector.hpp"

namespace ionscape {
namespace IONSCAPE_VARIANT {

constexpr int panel_vectors = vector_registers == 32 ? 4 : 3;
constexpr int tile_rows = vector_registers == 32 ? 6 : 4;

template <class T, int R, int C>
INLINE void tile(const T* a, ptrdiff_t a_stride, const T* panel, int depth, T* c, ptrdiff_t c_stride) {
    Vector<T> sum[R][C] = {};
    for (int k = 0; k < depth; ++k, panel += C * lanes<T>) {
        Vector<T> b[C];
#pragma GCC unroll 4
        for (int j = 0; j < C; ++j) b[j] = load(panel + j * lanes<T>);
#pragma GCC unroll 8
        for (int i = 0; i < R; ++i)
#pragma GCC unroll 4
            for (int j = 0; j < C; ++j) sum[i][j] += a[i * a_stride + k] * b[j];
    }
#pragma GCC unroll 8
    for (int i = 0; i < R; ++i)
#pragma GCC unroll 4
        for (int j = 0; j < C; ++j) store(c + i * c_stride + j * lanes<T>, sum[i][j]);
}

template <class T, int R>
void rows_of_tiles(const T* a, ptrdiff_t a_stride, const T* panel, int vectors, int depth, T* c, ptrdiff_t c_stride) {
    if constexpr (panel_vectors >= 4)
        if (vectors == 4) tile<T, R, 4>(a, a_stride, panel, depth, c, c_stride);
    if (vectors == 3) tile<T, R, 3>(a, a_stride, panel, depth, c, c_stride);
    if (vectors == 2) tile<T, R, 2>(a, a_stride, panel, depth, c, c_stride);
    if (vectors == 1) tile<T, R, 1>(a, a_stride, panel, depth, c, c_stride);
}

template <class T> class Panels {
  public:
    // `matrix` (depth, columns), or its transpose where told.
    void pack(const double* matrix, int depth, int columns, bool transposed, double factor = 1) {
        depth_ = depth;
        vectors_ = (columns + lanes<T> - 1) / lanes<T>;
        T* to = packed_.reserve(size_t(depth) * vectors_ * lanes<T>);
        for (int first = 0; first < vectors_; first += panel_vectors) {
            const int width = lanes<T> * (vectors_ - first < panel_vectors ? vectors_ - first : panel_vectors);
            for (int k = 0; k < depth; ++k)
                for (int j = 0; j < width; ++j, ++to) {
                    const int column = first * lanes<T> + j;
                    const ptrdiff_t at = transposed ? ptrdiff_t(column) * depth + k : ptrdiff_t(k) * columns + column;
                    *to = column < columns ? T(factor * matrix[at]) : T(0);
                }
        }
    }

    // c (rows, columns padded to whole vectors) = a (rows, depth) times the packed matrix.
    void multiply(const T* a, ptrdiff_t a_stride, int rows, T* c, ptrdiff_t c_stride) const {
        const T* panel = packed_;
        for (int first = 0; first < vectors_; first += panel_vectors) {
            const int vectors = vectors_ - first < panel_vectors ? vectors_ - first : panel_vectors;
            for (int i = 0; i < rows;) i += strip(a + i * a_stride, a_stride, rows - i, panel, vectors,
                                                  c + i * c_stride + first * lanes<T>, c_stride);
            panel += ptrdiff_t(depth_) * vectors * lanes<T>;
        }
    }

  private:
    int strip(const T* a, ptrdiff_t a_stride, int rows, const T* panel, int vectors, T* c, ptrdiff_t c_stride) const {
        // Seven rows are better done as four and three than as six and one.
        const bool two_left = rows > tile_rows && rows < 2 * tile_rows;
        const int r = two_left ? (rows + 1) / 2 : rows < tile_rows ? rows : tile_rows;
        switch (r) {
            case 1: rows_of_tiles<T, 1>(a, a_stride, panel, vectors, depth_, c, c_stride); break;
            case 2: rows_of_tiles<T, 2>(a, a_stride, panel, vectors, depth_, c, c_stride); break;
            case 3: rows_of_tiles<T, 3>(a, a_stride, panel, vectors, depth_, c, c_stride); break;
            case 4: rows_of_tiles<T, 4>(a, a_stride, panel, vectors, depth_, c, c_stride); break;
            case 5: rows_of_tiles<T, 5>(a, a_stride, panel, vectors, depth_, c, c_stride); break;
            default: rows_of_tiles<T, 6>(a, a_stride, panel, vectors, depth_, c, c_stride); break;
        }
        return r;
    }

    Buffer<T> packed_;
    int depth_ = 0, vectors_ = 0;
};

}  // namespace IONSCAPE_VARIANT
}  // namespace ionscape

#endif
