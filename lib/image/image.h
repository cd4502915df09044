/* A decoded picture in memory: 8-bit RGB, rows from the top, no padding between rows. rgb belongs to the object: the function that
 * fills one in allocates it, capt_image_free gives it back (and is fine on a zeroed object). No locking: one object a thread. */
#ifndef CAPT_IMAGE_IMAGE_H
#define CAPT_IMAGE_IMAGE_H
#include <stdlib.h>

typedef struct capt_image {
    int w, h;
    unsigned char *rgb; /* (h,w,3), malloc'd */
} capt_image;

static inline void capt_image_free(capt_image *im)
{
    free(im->rgb);
    *im = (capt_image){0, 0, NULL};
}
#endif
