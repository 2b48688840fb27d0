/** All that a training run is between two steps, in one file that is replaced at once. */
#ifndef CHECKPOINT_H
#define CHECKPOINT_H

#include <stdint.h>
#include "model.h"

struct run {
  struct shape shape;
  /** Of the corpus and the settings: a checkpoint of others is not gone on with. */
  uint64_t identity;
  uint64_t random;
  uint32_t step;
  /** `count` numbers each: weights, and the two averages of the optimizer. */
  size_t count;
  real *weights, *first, *second;
};

/** "VGTRAIN1", seven sizes u32, step u32, identity u64, random u64, then the three blocks, little-endian. */
void checkpoint_save(const struct run *run, const char *path);
/** 1: read into `run`, whose shape, identity and blocks are set. 0: there is none of this run, and the weights may hold anything. */
int checkpoint_load(struct run *run, const char *path);
/** 1: only the weights, of whatever run of this shape. 0: there are none, and the weights may hold anything. */
int checkpoint_weights(struct run *run, const char *path);

#endif
