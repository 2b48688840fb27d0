/**
 * Trains a small Llama on one corpus: AdamW, a cosine rate, a fixed seed. Prints a line of progress now and then, and leaves a
 * checkpoint that it goes on from. The result does not depend on the number of threads: sequences belong to shares, and the
 * shares are added in their order.
 *
 *   train corpus checkpoint identity seed steps batch rate vocabulary width layers heads key-value-heads feed-forward context
 *         [checkpoint whose weights it begins with]
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "checkpoint.h"
#include "corpus.h"

enum { SHARES = 4, WARM_UP_STEPS = 100, TELL_EVERY = 20, SAVE_EVERY = 100, HELD_OUT_EVERY = 100 };
enum { HELD_OUT_WINDOWS = 32 };
static const double MOMENTUM = 0.9, SECOND_MOMENTUM = 0.95, TINY = 1e-8, DECAY = 0.05;
static const double GRADIENT_MAX = 1, RATE_END = 0.02, HELD_OUT_PART = 0.02;
static const double INITIAL_SPREAD = 0.02;

struct settings {
  const char *corpus, *checkpoint;
  uint64_t identity, seed;
  uint32_t steps;
  int batch;
  double rate;
  struct shape shape;
};

/** One share of a batch: its own workspace and its own gradient. */
struct share {
  struct workspace *space;
  real *block;
  struct weights gradient;
  double loss;
};

struct trainer {
  struct settings settings;
  struct corpus corpus;
  struct run run;
  struct weights weights;
  struct share shares[SHARES];
  uint32_t learnt_documents, all_documents;
  uint32_t *batch;
};

static double uniform(uint64_t *state) { return (double)(random_next(state) >> 11) / 9007199254740992.0; }

static double normal(uint64_t *state) {
  double a = uniform(state) + 1e-12, b = uniform(state);
  return sqrt(-2 * log(a)) * cos(2 * acos(-1) * b);
}

static real *zeros(size_t count) {
  real *block = calloc(count, sizeof *block);
  if (block == NULL) abort();
  return block;
}

static void fill(real *to, size_t count, real value) {
  for (size_t i = 0; i < count; i++) to[i] = value;
}

static void scale(real *to, size_t count, double by) {
  for (size_t i = 0; i < count; i++) to[i] *= (real)by;
}

/** Gains are 1; what writes into the stream begins smaller, the more layers do it. */
static void initialise(struct trainer *t) {
  const struct shape *s = &t->settings.shape;
  size_t width = (size_t)s->width;
  for (size_t i = 0; i < t->run.count; i++) t->run.weights[i] = (real)(normal(&t->run.random) * INITIAL_SPREAD);
  fill(t->weights.output_norm, width, 1);
  for (int i = 0; i < s->layers; i++) {
    struct layer *l = &t->weights.layers[i];
    fill(l->attention_norm, width, 1);
    fill(l->feed_forward_norm, width, 1);
    scale(l->attention_output, width * width, 1 / sqrt(2.0 * s->layers));
    scale(l->down, width * (size_t)s->feed_forward, 1 / sqrt(2.0 * s->layers));
  }
}

static struct trainer *trainer_new(const struct settings *settings) {
  struct trainer *t = calloc(1, sizeof *t);
  t->settings = *settings;
  t->corpus = corpus_read(settings->corpus, &settings->shape);
  t->all_documents = corpus_documents(&t->corpus, &settings->shape);
  t->learnt_documents = (uint32_t)((1 - HELD_OUT_PART) * t->all_documents);
  if (t->learnt_documents == 0 || t->learnt_documents == t->all_documents) {
    fprintf(stderr, "the corpus is too small\n");
    exit(2);
  }
  size_t count = weights_count(&settings->shape);
  t->run = (struct run){settings->shape, settings->identity, (settings->seed + 1) * 0x9E3779B97F4A7C15ULL, 0, count, zeros(count), zeros(count), zeros(count)};
  t->weights = weights_in(&settings->shape, t->run.weights);
  for (int i = 0; i < SHARES; i++) {
    t->shares[i].space = workspace_new(&settings->shape);
    t->shares[i].block = zeros(count);
    t->shares[i].gradient = weights_in(&settings->shape, t->shares[i].block);
  }
  t->batch = calloc((size_t)settings->batch, sizeof *t->batch);
  return t;
}

/** What its targets count together. */
static int counted(const struct sequence *s, int context) {
  int sum = 0;
  for (int i = 0; i < context; i++) sum += s->weights[i];
  return sum;
}

/** Mean loss of the batch; its gradient is in the first share. */
static double batch_gradient(struct trainer *t) {
  int batch = t->settings.batch, context = t->settings.shape.context, all = 0;
  for (int i = 0; i < batch; i++) {
    t->batch[i] = (uint32_t)(uniform(&t->run.random) * t->learnt_documents);
    struct sequence s = corpus_window(&t->corpus, t->batch[i]);
    all += counted(&s, context);
  }
  double each = 1.0 / (all > 0 ? all : 1);
#pragma omp parallel for schedule(dynamic, 1)
  for (int k = 0; k < SHARES; k++) {
    struct share *share = &t->shares[k];
    memset(share->block, 0, t->run.count * sizeof(real));
    share->loss = 0;
    for (int i = k; i < batch; i += SHARES) {
      struct sequence s = corpus_window(&t->corpus, t->batch[i]);
      share->loss += forward(share->space, &t->weights, &s);
      backward(share->space, &t->weights, &s, each, &share->gradient);
    }
  }
  double loss = t->shares[0].loss;
  for (int k = 1; k < SHARES; k++) {
    loss += t->shares[k].loss;
    for (size_t i = 0; i < t->run.count; i++) t->shares[0].block[i] += t->shares[k].block[i];
  }
  return loss * each;
}

static double rate_at(const struct settings *s, uint32_t step) {
  if (step < WARM_UP_STEPS) return s->rate * step / WARM_UP_STEPS;
  double part = (double)(step - WARM_UP_STEPS) / (s->steps > WARM_UP_STEPS ? s->steps - WARM_UP_STEPS : 1);
  return s->rate * (RATE_END + (1 - RATE_END) * 0.5 * (1 + cos(acos(-1) * part)));
}

static void update(struct trainer *t) {
  struct run *run = &t->run;
  const real *gradient = t->shares[0].block;
  double squares = 0;
  for (size_t i = 0; i < run->count; i++) squares += (double)gradient[i] * gradient[i];
  double length = sqrt(squares), clip = length > GRADIENT_MAX ? GRADIENT_MAX / length : 1;
  double rate = rate_at(&t->settings, run->step);
  double first = 1 - pow(MOMENTUM, run->step), second = 1 - pow(SECOND_MOMENTUM, run->step);
  for (size_t i = 0; i < run->count; i++) {
    double g = gradient[i] * clip;
    run->first[i] = (real)(MOMENTUM * run->first[i] + (1 - MOMENTUM) * g);
    run->second[i] = (real)(SECOND_MOMENTUM * run->second[i] + (1 - SECOND_MOMENTUM) * g * g);
    double step = run->first[i] / first / (sqrt(run->second[i] / second) + TINY);
    run->weights[i] -= (real)(rate * (step + DECAY * run->weights[i]));
  }
}

static double held_out_loss(struct trainer *t) {
  double loss = 0;
  int all = 0;
  uint32_t count = t->all_documents - t->learnt_documents;
  for (uint32_t i = 0; i < HELD_OUT_WINDOWS && i < count; i++) {
    struct sequence s = corpus_window(&t->corpus, t->learnt_documents + i * (count / HELD_OUT_WINDOWS > 0 ? count / HELD_OUT_WINDOWS : 1));
    loss += forward(t->shares[0].space, &t->weights, &s);
    all += counted(&s, t->settings.shape.context);
  }
  return loss / (all > 0 ? all : 1);
}

static void train(struct trainer *t) {
  const struct settings *s = &t->settings;
  double lately = 0;
  int since = 0;
  while (t->run.step < s->steps) {
    t->run.step++;
    lately += batch_gradient(t);
    update(t);
    since++;
    int last = t->run.step == s->steps;
    if (t->run.step % TELL_EVERY == 0 || last) {
      printf("step %u loss %.5f\n", t->run.step, lately / since);
      lately = since = 0;
    }
    if (t->run.step % HELD_OUT_EVERY == 0 || last) printf("held-out %u loss %.5f\n", t->run.step, held_out_loss(t));
    if (t->run.step % SAVE_EVERY == 0 || last) checkpoint_save(&t->run, s->checkpoint);
    fflush(stdout);
  }
}

enum { ARGUMENTS = 15, WITH_BEGINNING = 16 };

int main(int count, char **argument) {
  if (count != ARGUMENTS && count != WITH_BEGINNING) {
    fprintf(stderr, "%d arguments are wanted, see the source\n", ARGUMENTS - 1);
    return 2;
  }
  struct settings settings = {argument[1],
                              argument[2],
                              strtoull(argument[3], NULL, 16),
                              strtoull(argument[4], NULL, 10),
                              (uint32_t)strtoul(argument[5], NULL, 10),
                              atoi(argument[6]),
                              atof(argument[7]),
                              {atoi(argument[8]), atoi(argument[9]), atoi(argument[10]), atoi(argument[11]),
                               atoi(argument[12]), atoi(argument[13]), atoi(argument[14])}};
  struct trainer *t = trainer_new(&settings);
  if (checkpoint_load(&t->run, settings.checkpoint)) printf("resumed %u\n", t->run.step);
  else initialise(t);
  if (t->run.step == 0 && count == WITH_BEGINNING && !checkpoint_weights(&t->run, argument[ARGUMENTS])) {
    fprintf(stderr, "no weights to begin with\n");
    return 2;
  }
  printf("parameters %zu tokens %u documents %u\n", t->run.count, t->corpus.tokens_count, t->corpus.documents_count);
  fflush(stdout);
  train(t);
  return 0;
}
