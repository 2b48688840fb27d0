/** Products of matrices with any strides, on one thread. */
#ifndef GEMM_H
#define GEMM_H

#include <stddef.h>
#include "real.h"

/** Element (i, j) is at start[i * row + j * column]. */
struct matrix {
  const real *start;
  ptrdiff_t row;
  ptrdiff_t column;
};

struct product {
  /** m × k times k × n. */
  int m, n, k;
  struct matrix a, b;
  /** m × n, rows apart by `stride`. */
  real *c;
  ptrdiff_t stride;
};

/** So many reals of scratch does a product need whose sizes are each at most `largest`, k included. */
size_t gemm_scratch(int largest);

/** c = a b */
void gemm_set(const struct product *p, real *scratch);
/** c += a b */
void gemm_add(const struct product *p, real *scratch);

#endif
