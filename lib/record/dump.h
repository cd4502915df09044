/* The lines of capt-store dump: the features of an image, a piece of a tensor, or what is said of all tensors. Numbers are borrowed from the JSON that is read. What no
 * schema says: a section has a dtype that stores keep, a name of at most 12 bytes, as many numbers a row as dim; a line may have 64 MiB. */
#ifndef CAPT_RECORD_DUMP_H
#define CAPT_RECORD_DUMP_H
#include "base/id.h"
#include "record/field.h"

typedef struct capt_dump_section {
    const char *name, *dtype;
    int64_t dim, from; /* from: CAPT_NO_INT when the numbers are here */
    const json_t *rows;
} capt_dump_section;

typedef struct capt_dump_feature {
    capt_id id;
    capt_dump_section *sections;
    int n_sections;
} capt_dump_feature;

typedef struct capt_dump_tensor {
    const char *tensor, *dtype;
    double *shape, *values;
    int n_shape, n_values;
    int64_t from;
} capt_dump_tensor;

typedef struct capt_dump_metadata { const json_t *metadata; } capt_dump_metadata;

extern const capt_kind capt_kind_feature, capt_kind_tensor, capt_kind_metadata;
#endif
