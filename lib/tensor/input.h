/* What a model reads of I images, in host memory: features (I,S,D) with the valid rows of each (NULL: all S), or pixels (I,px,px,3) for an encoder; and the ids of
 * their tags, image i's in tags[tag_at[i]] .. tags[tag_at[i+1]-1] (tag_at NULL: no image has any). */
#ifndef CAPT_TENSOR_INPUT_H
#define CAPT_TENSOR_INPUT_H
#include <stdint.h>
#include "base/dtype.h"

typedef struct capt_input {
    int n_images;
    const capt_real *feat; /* NULL: pixels are given */
    int S, D;
    const int32_t *len;
    const uint8_t *pixels;
    int px;
    const int32_t *tags, *tag_at;
} capt_input;
static inline int capt_input_tags(const capt_input *in, int image)
{
    return in->tag_at ? in->tag_at[image + 1] - in->tag_at[image] : 0;
}
static inline int capt_input_most_tags(const capt_input *in)
{
    int most = 0;
    for (int i = 0; i < in->n_images; i++)
        most = capt_input_tags(in, i) > most ? capt_input_tags(in, i) : most;
    return most;
}
#endif
