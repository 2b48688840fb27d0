#include "corpus.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *part(FILE *file, size_t size, size_t count) {
  void *to = malloc(size * count + 1);
  if (to == NULL || fread(to, size, count, file) != count) {
    fprintf(stderr, "the corpus is cut\n");
    exit(2);
  }
  return to;
}

struct corpus corpus_read(const char *path, const struct shape *shape) {
  FILE *file = fopen(path, "rb");
  char magic[8];
  struct corpus c;
  if (file == NULL || fread(magic, 1, 8, file) != 8 || memcmp(magic, "VGCORPUS", 8) != 0 ||
      fread(&c.tokens_count, 4, 1, file) != 1 || fread(&c.documents_count, 4, 1, file) != 1) {
    fprintf(stderr, "no corpus at %s\n", path);
    exit(2);
  }
  c.tokens = part(file, sizeof *c.tokens, c.tokens_count);
  c.weights = part(file, sizeof *c.weights, c.tokens_count);
  c.starts = part(file, sizeof *c.starts, c.documents_count);
  fclose(file);
  for (uint32_t i = 0; i < c.tokens_count; i++)
    if (c.tokens[i] >= shape->vocabulary) {
      fprintf(stderr, "a token that the vocabulary does not have\n");
      exit(2);
    }
  for (uint32_t i = 0; i < c.documents_count; i++)
    if (c.starts[i] >= c.tokens_count || (i > 0 && c.starts[i] <= c.starts[i - 1])) {
      fprintf(stderr, "documents out of order\n");
      exit(2);
    }
  return c;
}

uint32_t corpus_documents(const struct corpus *c, const struct shape *shape) {
  uint32_t count = c->documents_count;
  while (count > 0 && (uint64_t)c->starts[count - 1] + (uint64_t)shape->context + 1 > c->tokens_count) count--;
  return count;
}

struct sequence corpus_window(const struct corpus *c, uint32_t document) {
  uint32_t start = c->starts[document];
  return (struct sequence){c->tokens + start, c->tokens + start + 1, c->weights + start + 1};
}

uint64_t random_next(uint64_t *state) {
  uint64_t x = *state;
  x ^= x >> 12;
  x ^= x << 25;
  x ^= x >> 27;
  *state = x;
  return x * 2685821657736338717ULL;
}
