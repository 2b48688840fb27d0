#include "checkpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char MAGIC[8] = "VGTRAIN1";
enum { SIZES = 8 };

static void sizes_of(const struct run *run, uint32_t to[SIZES]) {
  const struct shape *s = &run->shape;
  const uint32_t sizes[SIZES] = {(uint32_t)s->vocabulary,      (uint32_t)s->width,        (uint32_t)s->layers,
                                 (uint32_t)s->heads,           (uint32_t)s->key_value_heads,
                                 (uint32_t)s->feed_forward,    (uint32_t)s->context,      run->step};
  memcpy(to, sizes, sizeof sizes);
}

void checkpoint_save(const struct run *run, const char *path) {
  char beside[4096];
  snprintf(beside, sizeof beside, "%s.part", path);
  FILE *file = fopen(beside, "wb");
  uint32_t sizes[SIZES];
  sizes_of(run, sizes);
  size_t n = run->count;
  int whole = file != NULL && fwrite(MAGIC, 8, 1, file) == 1 && fwrite(sizes, sizeof sizes, 1, file) == 1 &&
              fwrite(&run->identity, 8, 1, file) == 1 && fwrite(&run->random, 8, 1, file) == 1 &&
              fwrite(run->weights, sizeof(real), n, file) == n && fwrite(run->first, sizeof(real), n, file) == n &&
              fwrite(run->second, sizeof(real), n, file) == n;
  if (file != NULL && fclose(file) != 0) whole = 0;
  if (!whole || rename(beside, path) != 0) {
    fprintf(stderr, "the checkpoint could not be written\n");
    exit(3);
  }
}

struct head {
  uint32_t sizes[SIZES];
  uint64_t identity, random;
};

/** 1: what comes next in the file are the weights of a run of this shape. */
static int read_head(const struct run *run, FILE *file, struct head *head) {
  char magic[8];
  uint32_t wanted[SIZES];
  sizes_of(run, wanted);
  // The last is the step.
  return fread(magic, 8, 1, file) == 1 && memcmp(magic, MAGIC, 8) == 0 &&
         fread(head->sizes, sizeof head->sizes, 1, file) == 1 && fread(&head->identity, 8, 1, file) == 1 &&
         fread(&head->random, 8, 1, file) == 1 && memcmp(head->sizes, wanted, sizeof wanted - sizeof wanted[0]) == 0;
}

int checkpoint_load(struct run *run, const char *path) {
  FILE *file = fopen(path, "rb");
  if (file == NULL) return 0;
  struct head head;
  size_t n = run->count;
  int whole = read_head(run, file, &head) && head.identity == run->identity &&
              fread(run->weights, sizeof(real), n, file) == n && fread(run->first, sizeof(real), n, file) == n &&
              fread(run->second, sizeof(real), n, file) == n;
  fclose(file);
  if (!whole) {
    memset(run->first, 0, n * sizeof(real));
    memset(run->second, 0, n * sizeof(real));
    return 0;
  }
  run->step = head.sizes[SIZES - 1];
  run->random = head.random;
  return 1;
}

int checkpoint_weights(struct run *run, const char *path) {
  FILE *file = fopen(path, "rb");
  if (file == NULL) return 0;
  struct head head;
  int whole = read_head(run, file, &head) && fread(run->weights, sizeof(real), run->count, file) == run->count;
  fclose(file);
  return whole;
}
