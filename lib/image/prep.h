/* From a decoded picture to the square of u8 pixels an encoder takes, as CLIP's published preprocessing does it, and the same with
 * random crops and mirroring for training. Scaling to floats happens where the encoder runs; capt_prep_normalise is its definition. */
#ifndef CAPT_IMAGE_PREP_H
#define CAPT_IMAGE_PREP_H
#include <jansson.h>
#include <stdint.h>
#include "base/err.h"
#include "image/image.h"

typedef enum capt_prep_mode {
    CAPT_PREP_CLIP,   /* short side to `size` (long side rounded down), bicubic, then the centre (halves to even) */
    CAPT_PREP_STRETCH /* both sides to `size`, bicubic: nothing is cut off */
} capt_prep_mode;

typedef struct capt_prep {
    int size; /* side in pixels, 1..4096 */
    capt_prep_mode mode;
    float mean[3], std[3]; /* of R, G, B on the scale 0..1 */
} capt_prep;

#define CAPT_CLIP_MEAN {0.48145466f, 0.4578275f, 0.40821073f}
#define CAPT_CLIP_STD {0.26862954f, 0.26130258f, 0.27577711f}
#define CAPT_PREP_MODES "clip|stretch" /* the modes' names in order, for option tables */

/* CLIP's own: its means and deviations, mode clip. */
capt_prep capt_prep_clip(int size);

/* out: (size,size,3) u8. */
int capt_prep_run(const capt_prep *p, const capt_image *im, unsigned char *out, capt_err *err);

/* What training may do to a picture. Zeroed: nothing, and capt_prep_augment is capt_prep_run. Captions that speak of left and right
 * do not survive flip. */
typedef struct capt_augment {
    int flip;         /* mirror every other picture */
    int crop;         /* a random part of it, resized to size x size, instead of the mode's own window */
    double min_area;  /* least share of the picture's area that is kept, in (0,1]; 0: 0.5 */
    double max_ratio; /* widest side ratio of the part, >= 1; 0: 4/3 */
} capt_augment;

/* Deterministic: the same key, the same pixels. Give each (seed, epoch, image) a key: capt_rng_key(seed, CAPT_RNG_AUGMENT, epoch, id). */
int capt_prep_augment(const capt_prep *p, const capt_augment *a, uint64_t key, const capt_image *im, unsigned char *out, capt_err *err);

/* u8 (size,size,3) -> float (3,size,size): (v / 255 - mean) / std. */
void capt_prep_normalise(const capt_prep *p, const unsigned char *u8, float *out);

/* {"mode":"clip","size":224,"resample":"bicubic","mean":[..],"std":[..]}: as manifests and checkpoints keep it. New reference. */
json_t *capt_prep_json(const capt_prep *p);
int capt_prep_from_json(const json_t *o, capt_prep *p, const char *where, capt_err *err);
#endif
