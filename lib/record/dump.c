#include "record/dump.h"

#define AT(m) offsetof(capt_dump_section, m)
static const capt_field section_fields[] = {
    {"name", CAPT_T_STR, 1, AT(name), 0, 12, 0, NULL, "global, grid, regions, boxes or another name."},
    {"dtype", CAPT_T_STR, 1, AT(dtype), 0, 8, 0, NULL, "f32, f16 or bf16: how the store keeps the numbers."},
    {"dim", CAPT_T_INT, 1, AT(dim), 0, 0, 0, NULL, "Numbers a row."},
    {"from", CAPT_T_INT, 0, AT(from), 0, 0, 0, NULL, "The first row in the section's .npy file, where the numbers are beside."},
    {"rows", CAPT_T_ROWS, 1, AT(rows), 0, 0, 1 << 20, NULL, "The numbers, row by row; or how many rows, where they are beside."},
    {0}};
static const capt_kind section_kind = {"section", "One section of an image's features.", sizeof(capt_dump_section), section_fields};
#undef AT

#define AT(m) offsetof(capt_dump_feature, m)
static const capt_field feature_fields[] = {
    {"id", CAPT_T_ID, 1, AT(id), 0, 0, 0, NULL, "The image's id."},
    {"sections", CAPT_T_OBJS, 1, AT(sections), AT(n_sections), 0, 8, &section_kind, "One at least; in each line the same."},
    {0}};
const capt_kind capt_kind_feature = {"feature", "The features of one image, as capt-store dump writes a store and load reads it.", sizeof(capt_dump_feature), feature_fields};
#undef AT

#define AT(m) offsetof(capt_dump_tensor, m)
static const capt_field tensor_fields[] = {
    {"tensor", CAPT_T_STR, 1, AT(tensor), 0, 1000, 0, NULL, "Its name."},
    {"dtype", CAPT_T_STR, 0, AT(dtype), 0, 8, 0, NULL, "f32, f16, bf16 or another; in its first line."},
    {"shape", CAPT_T_NUMS, 0, AT(shape), AT(n_shape), 0, 8, NULL, "In its first line."},
    {"from", CAPT_T_INT, 0, AT(from), 0, 0, 0, NULL, "Index of the line's first number, in further lines."},
    {"values", CAPT_T_NUMS, 1, AT(values), AT(n_values), 0, 1 << 20, NULL, "The numbers, row by row."},
    {0}};
const capt_kind capt_kind_tensor = {"tensor", "Numbers of one tensor, as capt-store dump writes weights.", sizeof(capt_dump_tensor), tensor_fields};
#undef AT

static const capt_field metadata_fields[] = {
    {"metadata", CAPT_T_MAP, 1, offsetof(capt_dump_metadata, metadata), 0, 1 << 26, 0, NULL, "Text under any names: of a checkpoint its options, vocabulary and provenance."},
    {0}};
const capt_kind capt_kind_metadata = {"metadata", "What a file of weights says of itself: the first line of capt-store dump, where there is such.", sizeof(capt_dump_metadata), metadata_fields};
