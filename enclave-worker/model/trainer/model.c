/** Forward and backward by hand, one sequence at a time. */
#include "model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "gemm.h"

static const double EPSILON = 1e-5;
static const double ROPE_BASE = 10000;

struct layer_state {
  real *input, *normed, *inverse, *query, *key, *value, *chances, *heads_output;
  real *middle, *middle_normed, *middle_inverse, *gate, *up, *hidden;
};

struct workspace {
  struct shape shape;
  int head_width, key_value_width;
  real *cosine, *sine;
  struct layer_state *layers;
  real *output, *output_normed, *output_inverse, *logits;
  /** Gradients of what flows between layers, and inside one. */
  real *d_stream, *d_normed, *d_query, *d_key, *d_value, *d_heads, *d_chances;
  real *d_gate, *d_up, *d_hidden;
  real *scratch;
};

static real *carve(real **at, size_t count) {
  real *start = *at;
  *at += count;
  return start;
}

static size_t key_value_width(const struct shape *s) {
  return (size_t)(s->width / s->heads * s->key_value_heads);
}

struct weights weights_in(const struct shape *s, real *block) {
  size_t width = (size_t)s->width, narrow = key_value_width(s), wide = (size_t)s->feed_forward;
  struct weights w;
  w.layers = calloc((size_t)s->layers, sizeof *w.layers);
  w.embedding = carve(&block, (size_t)s->vocabulary * width);
  w.output_norm = carve(&block, width);
  for (int i = 0; i < s->layers; i++) {
    struct layer *l = &w.layers[i];
    l->attention_norm = carve(&block, width);
    l->query = carve(&block, width * width);
    l->key = carve(&block, narrow * width);
    l->value = carve(&block, narrow * width);
    l->attention_output = carve(&block, width * width);
    l->feed_forward_norm = carve(&block, width);
    l->gate = carve(&block, wide * width);
    l->up = carve(&block, wide * width);
    l->down = carve(&block, width * wide);
  }
  return w;
}

size_t weights_count(const struct shape *s) {
  size_t width = (size_t)s->width, narrow = key_value_width(s), wide = (size_t)s->feed_forward;
  size_t layer = 2 * width + 2 * width * width + 2 * narrow * width + 3 * wide * width;
  return (size_t)s->vocabulary * width + width + (size_t)s->layers * layer;
}

static real *reals(size_t count) {
  void *memory = aligned_alloc(VECTOR_BYTES, (count * sizeof(real) / VECTOR_BYTES + 1) * VECTOR_BYTES);
  if (memory == NULL) abort();
  return memory;
}

static int larger(int a, int b) { return a > b ? a : b; }

struct workspace *workspace_new(const struct shape *s) {
  struct workspace *w = calloc(1, sizeof *w);
  size_t rows = (size_t)s->context, width = (size_t)s->width, wide = (size_t)s->feed_forward;
  size_t narrow = key_value_width(s), scores = (size_t)s->heads * rows * rows;
  w->shape = *s;
  w->head_width = s->width / s->heads;
  w->key_value_width = (int)narrow;
  int half = w->head_width / 2;
  w->cosine = reals(rows * (size_t)half);
  w->sine = reals(rows * (size_t)half);
  for (int t = 0; t < s->context; t++)
    for (int i = 0; i < half; i++) {
      double angle = t * pow(ROPE_BASE, -2.0 * i / w->head_width);
      w->cosine[t * half + i] = (real)cos(angle);
      w->sine[t * half + i] = (real)sin(angle);
    }
  w->layers = calloc((size_t)s->layers, sizeof *w->layers);
  for (int i = 0; i < s->layers; i++) {
    struct layer_state *l = &w->layers[i];
    l->input = reals(rows * width), l->normed = reals(rows * width), l->inverse = reals(rows);
    l->query = reals(rows * width), l->key = reals(rows * narrow), l->value = reals(rows * narrow);
    l->chances = reals(scores), l->heads_output = reals(rows * width);
    l->middle = reals(rows * width), l->middle_normed = reals(rows * width);
    l->middle_inverse = reals(rows);
    l->gate = reals(rows * wide), l->up = reals(rows * wide), l->hidden = reals(rows * wide);
  }
  w->output = reals(rows * width), w->output_normed = reals(rows * width);
  w->output_inverse = reals(rows), w->logits = reals(rows * (size_t)s->vocabulary);
  w->d_stream = reals(rows * width), w->d_normed = reals(rows * width);
  w->d_query = reals(rows * width), w->d_key = reals(rows * narrow), w->d_value = reals(rows * narrow);
  w->d_heads = reals(rows * width), w->d_chances = reals(rows * rows);
  w->d_gate = reals(rows * wide), w->d_up = reals(rows * wide), w->d_hidden = reals(rows * wide);
  int largest = larger(larger(s->vocabulary, s->context), larger(s->feed_forward, s->width));
  w->scratch = reals(gemm_scratch(largest));
  return w;
}

static struct matrix rows_of(const real *start, ptrdiff_t stride) {
  return (struct matrix){start, stride, 1};
}

static struct matrix transposed(const real *start, ptrdiff_t stride) {
  return (struct matrix){start, 1, stride};
}

enum store { SET, ADD };

static void product(struct workspace *w, enum store store, struct product p) {
  if (store == SET) gemm_set(&p, w->scratch);
  else gemm_add(&p, w->scratch);
}

/** to [context, out] = from [context, in] · matrixᵀ */
static void linear(struct workspace *w, enum store store, real *to, const real *from, const real *matrix,
                   int out, int in) {
  product(w, store, (struct product){w->shape.context, out, in, rows_of(from, in), transposed(matrix, in), to, out});
}

/** d_from [context, in] = d_to [context, out] · matrix */
static void linear_input(struct workspace *w, enum store store, real *d_from, const real *d_to,
                         const real *matrix, int out, int in) {
  product(w, store, (struct product){w->shape.context, in, out, rows_of(d_to, out), rows_of(matrix, in), d_from, in});
}

/** d_matrix [out, in] += d_toᵀ · from */
static void linear_matrix(struct workspace *w, real *d_matrix, const real *d_to, const real *from, int out,
                          int in) {
  product(w, ADD, (struct product){out, in, w->shape.context, transposed(d_to, out), rows_of(from, in), d_matrix, in});
}

static void norm(const struct workspace *w, real *to, real *inverse, const real *from, const real *gain) {
  int width = w->shape.width;
  for (int t = 0; t < w->shape.context; t++, to += width, from += width) {
    double sum = 0;
    for (int i = 0; i < width; i++) sum += (double)from[i] * from[i];
    real scale = (real)(1 / sqrt(sum / width + EPSILON));
    inverse[t] = scale;
    for (int i = 0; i < width; i++) to[i] = from[i] * scale * gain[i];
  }
}

/** d_from += */
static void norm_back(const struct workspace *w, real *d_from, real *d_gain, const real *d_to, const real *from,
                      const real *inverse, const real *gain) {
  int width = w->shape.width;
  for (int t = 0; t < w->shape.context; t++, d_from += width, d_to += width, from += width) {
    real scale = inverse[t];
    double dot = 0;
    for (int i = 0; i < width; i++) dot += (double)d_to[i] * gain[i] * from[i];
    real common = (real)(dot * scale * scale * scale / width);
    for (int i = 0; i < width; i++) {
      d_from[i] += d_to[i] * gain[i] * scale - from[i] * common;
      d_gain[i] += d_to[i] * from[i] * scale;
    }
  }
}

enum turn { FORTH = 1, BACK = -1 };

/** Adjacent pairs turn together, as the architecture has it. */
static void rotate(const struct workspace *w, real *rows, int heads, enum turn turn) {
  int half = w->head_width / 2;
  for (int t = 0; t < w->shape.context; t++)
    for (int h = 0; h < heads; h++, rows += w->head_width)
      for (int i = 0; i < half; i++) {
        real c = w->cosine[t * half + i], s = w->sine[t * half + i] * (real)turn;
        real a = rows[2 * i], b = rows[2 * i + 1];
        rows[2 * i] = a * c - b * s;
        rows[2 * i + 1] = a * s + b * c;
      }
}

/** Row t over what is not after it. */
static void softmax_causal(real *scores, int context, real scale) {
  for (int t = 0; t < context; t++) {
    real *row = scores + (size_t)t * (size_t)context;
    real most = row[0];
    for (int i = 1; i <= t; i++) most = row[i] > most ? row[i] : most;
    double sum = 0;
    for (int i = 0; i <= t; i++) {
      row[i] = real_exp((row[i] - most) * scale);
      sum += row[i];
    }
    real inverse = (real)(1 / sum);
    for (int i = 0; i <= t; i++) row[i] *= inverse;
    for (int i = t + 1; i < context; i++) row[i] = 0;
  }
}

struct head {
  const real *query, *key, *value;
  real *chances;
  int offset, key_value_offset;
};

static struct head head_of(const struct workspace *w, const struct layer_state *l, int h) {
  size_t context = (size_t)w->shape.context;
  int group = w->shape.heads / w->shape.key_value_heads;
  int offset = h * w->head_width, shared = h / group * w->head_width;
  return (struct head){l->query + offset, l->key + shared, l->value + shared,
                       l->chances + (size_t)h * context * context, offset, shared};
}

static void attend(struct workspace *w, const struct layer_state *l) {
  int context = w->shape.context, width = w->shape.width, narrow = w->key_value_width, deep = w->head_width;
  for (int h = 0; h < w->shape.heads; h++) {
    struct head a = head_of(w, l, h);
    product(w, SET, (struct product){context, context, deep, rows_of(a.query, width), transposed(a.key, narrow), a.chances, context});
    softmax_causal(a.chances, context, (real)(1 / sqrt(deep)));
    product(w, SET, (struct product){context, deep, context, rows_of(a.chances, context), rows_of(a.value, narrow), l->heads_output + a.offset, width});
  }
}

/** From gradients of chances to those of scores. */
static void softmax_back(real *d, const real *chances, int context, real scale) {
  for (int t = 0; t < context; t++, d += context, chances += context) {
    double dot = 0;
    for (int i = 0; i <= t; i++) dot += (double)d[i] * chances[i];
    for (int i = 0; i < context; i++) d[i] = chances[i] * (d[i] - (real)dot) * scale;
  }
}

static void attend_back(struct workspace *w, const struct layer_state *l) {
  int context = w->shape.context, width = w->shape.width, narrow = w->key_value_width, deep = w->head_width;
  size_t shared = (size_t)context * (size_t)narrow * sizeof(real);
  memset(w->d_key, 0, shared);
  memset(w->d_value, 0, shared);
  for (int h = 0; h < w->shape.heads; h++) {
    struct head a = head_of(w, l, h);
    const real *d_out = w->d_heads + a.offset;
    product(w, SET, (struct product){context, context, deep, rows_of(d_out, width), transposed(a.value, narrow), w->d_chances, context});
    product(w, ADD, (struct product){context, deep, context, transposed(a.chances, context), rows_of(d_out, width), w->d_value + a.key_value_offset, narrow});
    softmax_back(w->d_chances, a.chances, context, (real)(1 / sqrt(deep)));
    product(w, SET, (struct product){context, deep, context, rows_of(w->d_chances, context), rows_of(a.key, narrow), w->d_query + a.offset, width});
    product(w, ADD, (struct product){context, deep, context, transposed(w->d_chances, context), rows_of(a.query, width), w->d_key + a.key_value_offset, narrow});
  }
}

static void copy(const struct workspace *w, real *to, const real *from) {
  memcpy(to, from, (size_t)w->shape.context * (size_t)w->shape.width * sizeof(real));
}

static void layer_forward(struct workspace *w, const struct layer *p, struct layer_state *l, real *next) {
  const struct shape *s = &w->shape;
  int width = s->width, narrow = w->key_value_width, wide = s->feed_forward;
  norm(w, l->normed, l->inverse, l->input, p->attention_norm);
  linear(w, SET, l->query, l->normed, p->query, width, width);
  linear(w, SET, l->key, l->normed, p->key, narrow, width);
  linear(w, SET, l->value, l->normed, p->value, narrow, width);
  rotate(w, l->query, s->heads, FORTH);
  rotate(w, l->key, s->key_value_heads, FORTH);
  attend(w, l);
  copy(w, l->middle, l->input);
  linear(w, ADD, l->middle, l->heads_output, p->attention_output, width, width);
  norm(w, l->middle_normed, l->middle_inverse, l->middle, p->feed_forward_norm);
  linear(w, SET, l->gate, l->middle_normed, p->gate, wide, width);
  linear(w, SET, l->up, l->middle_normed, p->up, wide, width);
  size_t count = (size_t)s->context * (size_t)wide;
#pragma omp simd
  for (size_t i = 0; i < count; i++) l->hidden[i] = l->gate[i] / (1 + real_exp(-l->gate[i])) * l->up[i];
  copy(w, next, l->middle);
  linear(w, ADD, next, l->hidden, p->down, width, wide);
}

/** Chances instead of logits are left behind. */
static double loss_of(struct workspace *w, const struct sequence *s) {
  int size = w->shape.vocabulary;
  double loss = 0;
  for (int t = 0; t < w->shape.context; t++) {
    if (s->weights[t] == 0) continue;
    real *row = w->logits + (size_t)t * (size_t)size;
    real most = row[0];
    for (int i = 1; i < size; i++) most = row[i] > most ? row[i] : most;
    double target = (double)row[s->targets[t]] - (double)most, sum = 0;
#pragma omp simd
    for (int i = 0; i < size; i++) row[i] = real_exp(row[i] - most);
    for (int i = 0; i < size; i++) sum += row[i];
    real inverse = (real)(1 / sum);
    for (int i = 0; i < size; i++) row[i] *= inverse;
    loss += s->weights[t] * (log(sum) - target);
  }
  return loss;
}

double forward(struct workspace *w, const struct weights *p, const struct sequence *s) {
  int width = w->shape.width, layers = w->shape.layers;
  for (int t = 0; t < w->shape.context; t++)
    memcpy(w->layers[0].input + (size_t)t * (size_t)width, p->embedding + (size_t)s->tokens[t] * (size_t)width,
           (size_t)width * sizeof(real));
  for (int i = 0; i < layers; i++)
    layer_forward(w, &p->layers[i], &w->layers[i], i + 1 < layers ? w->layers[i + 1].input : w->output);
  norm(w, w->output_normed, w->output_inverse, w->output, p->output_norm);
  linear(w, SET, w->logits, w->output_normed, p->embedding, w->shape.vocabulary, width);
  return loss_of(w, s);
}

static void layer_backward(struct workspace *w, const struct layer *p, const struct layer_state *l,
                           const struct layer *g) {
  const struct shape *s = &w->shape;
  int width = s->width, narrow = w->key_value_width, wide = s->feed_forward;
  linear_matrix(w, g->down, w->d_stream, l->hidden, width, wide);
  linear_input(w, SET, w->d_hidden, w->d_stream, p->down, width, wide);
  size_t count = (size_t)s->context * (size_t)wide;
#pragma omp simd
  for (size_t i = 0; i < count; i++) {
    real z = l->gate[i], open = 1 / (1 + real_exp(-z));
    w->d_up[i] = w->d_hidden[i] * z * open;
    w->d_gate[i] = w->d_hidden[i] * l->up[i] * open * (1 + z * (1 - open));
  }
  linear_matrix(w, g->gate, w->d_gate, l->middle_normed, wide, width);
  linear_matrix(w, g->up, w->d_up, l->middle_normed, wide, width);
  linear_input(w, SET, w->d_normed, w->d_gate, p->gate, wide, width);
  linear_input(w, ADD, w->d_normed, w->d_up, p->up, wide, width);
  norm_back(w, w->d_stream, g->feed_forward_norm, w->d_normed, l->middle, l->middle_inverse, p->feed_forward_norm);
  linear_matrix(w, g->attention_output, w->d_stream, l->heads_output, width, width);
  linear_input(w, SET, w->d_heads, w->d_stream, p->attention_output, width, width);
  attend_back(w, l);
  rotate(w, w->d_query, s->heads, BACK);
  rotate(w, w->d_key, s->key_value_heads, BACK);
  linear_matrix(w, g->query, w->d_query, l->normed, width, width);
  linear_matrix(w, g->key, w->d_key, l->normed, narrow, width);
  linear_matrix(w, g->value, w->d_value, l->normed, narrow, width);
  linear_input(w, SET, w->d_normed, w->d_query, p->query, width, width);
  linear_input(w, ADD, w->d_normed, w->d_key, p->key, narrow, width);
  linear_input(w, ADD, w->d_normed, w->d_value, p->value, narrow, width);
  norm_back(w, w->d_stream, g->attention_norm, w->d_normed, l->input, l->inverse, p->attention_norm);
}

void backward(struct workspace *w, const struct weights *p, const struct sequence *s, double scale,
              const struct weights *g) {
  int context = w->shape.context, width = w->shape.width, size = w->shape.vocabulary;
  for (int t = 0; t < context; t++) {
    real *row = w->logits + (size_t)t * (size_t)size, share = (real)(scale * s->weights[t]);
    if (s->weights[t] == 0) {
      memset(row, 0, (size_t)size * sizeof(real));
      continue;
    }
    for (int i = 0; i < size; i++) row[i] *= share;
    row[s->targets[t]] -= share;
  }
  linear_matrix(w, g->embedding, w->logits, w->output_normed, size, width);
  linear_input(w, SET, w->d_normed, w->logits, p->embedding, size, width);
  memset(w->d_stream, 0, (size_t)context * (size_t)width * sizeof(real));
  norm_back(w, w->d_stream, g->output_norm, w->d_normed, w->output, w->output_inverse, p->output_norm);
  for (int i = w->shape.layers - 1; i >= 0; i--) layer_backward(w, &p->layers[i], &w->layers[i], &g->layers[i]);
  for (int t = 0; t < context; t++) {
    real *to = g->embedding + (size_t)s->tokens[t] * (size_t)width;
    for (int i = 0; i < width; i++) to[i] += w->d_stream[(size_t)t * (size_t)width + (size_t)i];
  }
}
