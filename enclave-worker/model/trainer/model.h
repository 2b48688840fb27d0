/** A Llama: RMSNorm, rotary positions, grouped-query attention, SwiGLU, the embedding tied to the output. */
#ifndef MODEL_H
#define MODEL_H

#include <stddef.h>
#include <stdint.h>
#include "real.h"

struct shape {
  int vocabulary, width, layers, heads, key_value_heads, feed_forward, context;
};

/** Each matrix is [out, in] in row-major order. */
struct layer {
  real *attention_norm, *query, *key, *value, *attention_output;
  real *feed_forward_norm, *gate, *up, *down;
};

/** Places inside one block of numbers, in the order of the file. */
struct weights {
  real *embedding, *output_norm;
  struct layer *layers;
};

size_t weights_count(const struct shape *shape);
/** `layers` of the result is allocated. */
struct weights weights_in(const struct shape *shape, real *block);

/** What one sequence needs while it goes forward and back. */
struct workspace;
struct workspace *workspace_new(const struct shape *shape);

struct sequence {
  const uint16_t *tokens;
  /** What comes after each of them, and how much that counts. */
  const uint16_t *targets;
  const uint8_t *weights;
};

/** Sum of -log p over the targets, each as often as it counts. */
double forward(struct workspace *space, const struct weights *w, const struct sequence *s);
/** After `forward`: adds the gradient of the sum times `scale`. */
void backward(struct workspace *space, const struct weights *w, const struct sequence *s, double scale,
              const struct weights *gradient);

#endif
