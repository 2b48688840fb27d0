/**
 * Holds every gradient against a difference of losses, in double precision: prints the largest relative difference of each
 * matrix, and the number of entries compared. Built with CHECK_IN_DOUBLE.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "corpus.h"
#include "model.h"

static const double STEP = 1e-5;
enum { ENTRIES_EACH = 40 };

struct checked {
  const char *name;
  real *weights, *gradient;
  size_t count;
};

static uint64_t state = 88172645463325252ULL;

static double noise(void) { return (double)(random_next(&state) >> 11) / 9007199254740992.0 - 0.5; }

static double loss_at(struct workspace *space, const struct weights *w, const struct sequence *s, real *weight,
                      double change) {
  real before = *weight;
  *weight = before + change;
  double loss = forward(space, w, s);
  *weight = before;
  return loss;
}

int main(void) {
  struct shape shape = {64, 32, 2, 4, 2, 48, 24};
  size_t count = weights_count(&shape);
  real *block = calloc(count, sizeof *block), *gradients = calloc(count, sizeof *gradients);
  struct weights w = weights_in(&shape, block), g = weights_in(&shape, gradients);
  struct workspace *space = workspace_new(&shape);
  for (size_t i = 0; i < count; i++) block[i] = noise();
  uint16_t tokens[25];
  uint8_t weights[25];
  for (int i = 0; i < 25; i++) {
    tokens[i] = (uint16_t)(random_next(&state) >> 40) % 64;
    weights[i] = (uint8_t)(i % 3);
  }
  struct sequence s = {tokens, tokens + 1, weights};
  double scale = 0.25;
  forward(space, &w, &s);
  backward(space, &w, &s, scale, &g);
  size_t square = 32 * 32, narrow = 16 * 32, wide = 48 * 32;
  const struct layer *l = &w.layers[0], *d = &g.layers[0];
  const struct checked all[] = {{"embedding", w.embedding, g.embedding, 64 * 32},
                                {"output_norm", w.output_norm, g.output_norm, 32},
                                {"attention_norm", l->attention_norm, d->attention_norm, 32},
                                {"query", l->query, d->query, square},
                                {"key", l->key, d->key, narrow},
                                {"value", l->value, d->value, narrow},
                                {"attention_output", l->attention_output, d->attention_output, square},
                                {"feed_forward_norm", l->feed_forward_norm, d->feed_forward_norm, 32},
                                {"gate", l->gate, d->gate, wide},
                                {"up", l->up, d->up, wide},
                                {"down", l->down, d->down, wide}};
  for (size_t k = 0; k < sizeof all / sizeof all[0]; k++) {
    const struct checked *c = &all[k];
    double worst = 0;
    for (int i = 0; i < ENTRIES_EACH; i++) {
      size_t at = random_next(&state) % c->count;
      double difference = loss_at(space, &w, &s, &c->weights[at], STEP) - loss_at(space, &w, &s, &c->weights[at], -STEP);
      double wanted = difference / (2 * STEP) * scale, got = c->gradient[at];
      double apart = fabs(wanted - got) / fmax(1e-4, fabs(wanted) + fabs(got));
      worst = fmax(worst, apart);
    }
    printf("%s %.3e %d\n", c->name, worst, ENTRIES_EACH);
  }
  return 0;
}
