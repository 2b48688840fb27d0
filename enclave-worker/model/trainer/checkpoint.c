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

int checkpoint_load(struct run *run, const char *path) {
  FILE *file = fopen(path, "rb");
  if (file == NULL) return 0;
  char magic[8];
  uint32_t sizes[SIZES], wanted[SIZES];
  uint64_t identity, state;
  sizes_of(run, wanted);
  size_t n = run->count;
  int whole = fread(magic, 8, 1, file) == 1 && memcmp(magic, MAGIC, 8) == 0 &&
              fread(sizes, sizeof sizes, 1, file) == 1 && fread(&identity, 8, 1, file) == 1 &&
              fread(&state, 8, 1, file) == 1 && identity == run->identity &&
              memcmp(sizes, wanted, sizeof sizes - sizeof sizes[0]) == 0 &&
              fread(run->weights, sizeof(real), n, file) == n && fread(run->first, sizeof(real), n, file) == n &&
              fread(run->second, sizeof(real), n, file) == n;
  fclose(file);
  if (!whole) {
    memset(run->first, 0, n * sizeof(real));
    memset(run->second, 0, n * sizeof(real));
    return 0;
  }
  run->step = sizes[SIZES - 1];
  run->random = state;
  return 1;
}
