/** Both factors are copied into panels that the inner loop reads in order; tiles of the result stay in registers. */
#include "gemm.h"

#include <string.h>

enum { TILE_ROWS = 12, TILE_VECTORS = 2 };
#define TILE_COLUMNS (TILE_VECTORS * LANES)

static int panels(int size, int width) { return (size + width - 1) / width; }

size_t gemm_scratch(int largest) {
  size_t rows = (size_t)panels(largest, TILE_ROWS) * TILE_ROWS;
  size_t columns = (size_t)panels(largest, TILE_COLUMNS) * TILE_COLUMNS;
  return (rows + columns) * (size_t)largest + 2 * LANES;
}

/** `size` lines of `k` elements, in panels of `width` lines; missing lines are zeros. */
static void pack(real *to, int size, int width, int k, const real *from, ptrdiff_t line, ptrdiff_t step) {
  for (int first = 0; first < size; first += width) {
    int count = size - first < width ? size - first : width;
    const real *panel = from + first * line;
    for (int at = 0; at < k; at++, to += width) {
      const real *source = panel + at * step;
      if (line == 1)
        memcpy(to, source, (size_t)count * sizeof(real));
      else
        for (int i = 0; i < count; i++) to[i] = source[i * line];
      for (int i = count; i < width; i++) to[i] = 0;
    }
  }
}

static void tile(int k, const real *restrict rows, const real *restrict columns,
                 vector result[TILE_ROWS][TILE_VECTORS]) {
  vector sum[TILE_ROWS][TILE_VECTORS] = {{{0}}};
  for (int at = 0; at < k; at++, rows += TILE_ROWS, columns += TILE_COLUMNS) {
    const vector *b = (const vector *)columns;
    vector left = b[0], right = b[1];
#pragma GCC unroll 12
    for (int i = 0; i < TILE_ROWS; i++) {
      sum[i][0] += rows[i] * left;
      sum[i][1] += rows[i] * right;
    }
  }
  for (int i = 0; i < TILE_ROWS; i++)
    for (int j = 0; j < TILE_VECTORS; j++) result[i][j] = sum[i][j];
}

static real *aligned(real *scratch) {
  size_t past = (size_t)scratch % VECTOR_BYTES;
  return past == 0 ? scratch : scratch + (VECTOR_BYTES - past) / sizeof(real);
}

static void multiply(const struct product *p, real *scratch, int keep) {
  real *columns = aligned(scratch);
  real *rows = columns + (size_t)panels(p->n, TILE_COLUMNS) * TILE_COLUMNS * (size_t)p->k;
  pack(columns, p->n, TILE_COLUMNS, p->k, p->b.start, p->b.column, p->b.row);
  pack(rows, p->m, TILE_ROWS, p->k, p->a.start, p->a.row, p->a.column);
  vector result[TILE_ROWS][TILE_VECTORS];
  for (int j = 0; j < p->n; j += TILE_COLUMNS) {
    int width = p->n - j < TILE_COLUMNS ? p->n - j : TILE_COLUMNS;
    for (int i = 0; i < p->m; i += TILE_ROWS) {
      int height = p->m - i < TILE_ROWS ? p->m - i : TILE_ROWS;
      tile(p->k, rows + (size_t)i * (size_t)p->k, columns + (size_t)j * (size_t)p->k, result);
      for (int r = 0; r < height; r++) {
        real *to = p->c + (i + r) * p->stride + j;
        const real *from = (const real *)result[r];
        if (keep)
          for (int c = 0; c < width; c++) to[c] += from[c];
        else
          for (int c = 0; c < width; c++) to[c] = from[c];
      }
    }
  }
}

void gemm_set(const struct product *p, real *scratch) { multiply(p, scratch, 0); }
void gemm_add(const struct product *p, real *scratch) { multiply(p, scratch, 1); }
