/**
 * The numbers that everything is computed in: float to train, double where gradients are held against differences.
 * Vectors have one width on every machine, so that sums have one order.
 */
#ifndef REAL_H
#define REAL_H

#ifdef CHECK_IN_DOUBLE
typedef double real;
#define real_sqrt sqrt
#define real_exp exp
#else
typedef float real;
#define real_sqrt sqrtf
#define real_exp expf
#endif

#define VECTOR_BYTES 64
#define LANES ((int)(VECTOR_BYTES / sizeof(real)))
typedef real vector __attribute__((vector_size(VECTOR_BYTES)));

#endif
