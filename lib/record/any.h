/* References and hypotheses in any layout people have, told apart by content, read into the lists of caption.h.
 *
 * References: caption records (one JSON object a line); the official annotations {"images","annotations"}; Karpathy's
 * {"images":[{"sentences"}]} (id: cocoid, else the file name without extension); {"image_id","refs":[..]} one a line or
 * in an array. Images keep the order of "images" (of the lines), captions that of "annotations"; an image may have none.
 * Hypotheses: hypothesis records, or {"image_id","caption"}, one a line or in an array (the official results file).
 * Bytes that are not UTF-8, mixed kinds of ids, an image given twice among the references: an error naming the place. */
#ifndef CAPT_RECORD_ANY_H
#define CAPT_RECORD_ANY_H
#include "record/caption.h"

/* path may be "-". All splits are kept. Freed with capt_captions_free. */
int capt_captions_read_any(const char *path, capt_captions **out, capt_err *err);
/* Two hypotheses for one image: an error naming the first few ids and how many there are; with keep_first the first is
 * kept and the others counted in *n_dropped (may be NULL). Freed with capt_hyps_free. */
int capt_hyps_read_any(const char *path, int keep_first, size_t *n_dropped, capt_hyps **out, capt_err *err);
#endif
