/** The text to learn from, as tokens in documents. */
#ifndef CORPUS_H
#define CORPUS_H

#include <stdint.h>
#include "model.h"

struct corpus {
  uint32_t tokens_count, documents_count;
  uint16_t *tokens;
  /** How much each token counts; nothing where it is not to be learnt. */
  uint8_t *weights;
  uint32_t *starts;
};

/**
 * "VGCORPUS", tokens u32, documents u32, tokens u16…, weights u8…, starts u32…, little-endian. Ends the program where the
 * file is anything else.
 */
struct corpus corpus_read(const char *path, const struct shape *shape);

/** A window of one context that begins with a document; it fits. */
struct sequence corpus_window(const struct corpus *corpus, uint32_t document);

/** Documents from 0 to below this have a whole window behind them. */
uint32_t corpus_documents(const struct corpus *corpus, const struct shape *shape);

/** xorshift64* */
uint64_t random_next(uint64_t *state);

#endif
