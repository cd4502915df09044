/* CLIPScore for a program: the pictures and references of some images embedded once, then any number of captions of them. */
#ifndef CAPT_COMMON_CLIP_H
#define CAPT_COMMON_CLIP_H
#include "base/thread.h"
#include "common/prog.h"
#include "metric/metric.h"
#include "record/caption.h"

typedef struct prog_clip prog_clip;
/* images: folder of the pictures; weights, merges as in eval/clipscore.h; image (n): records with file and captions, borrowed. references: embed the
 * captions, too; else there is no RefCLIPScore. */
prog_clip *prog_clip_open(capt_prog *p, capt_pool *pool, const char *images, const char *weights, const char *merges, const capt_caption *const *image, size_t n, int references);
void prog_clip_close(prog_clip *c); /* NULL is fine */
const char *prog_clip_id(const prog_clip *c);
/* "CLIPScore" and "RefCLIPScore" of captions (n), one an image. */
int prog_clip_score(prog_clip *c, const char *const *captions, capt_metric_out *out);
/* CLIPScores of n captions, caption i of image[i], counted in the order given to open. */
int prog_clip_rate(prog_clip *c, const size_t *image, const char *const *captions, size_t n, double *out);
#endif
