// Compiled once for every instruction set, with IONSCAPE_VARIANT its name.

#ifndef IONSCAPE_VARIANT
#define IONSCAPE_VARIANT generic
#endif

#include "kernel.hpp"
#include "rows.hpp"

namespace ionscape {
namespace IONSCAPE_VARIANT {

Kernel* make_kernel(const Form& form, bool single_precision) {
    if (single_precision) return new Model<float>(form);
    return new Model<double>(form);
}

}  // namespace IONSCAPE_VARIANT
}  // namespace ionscape
