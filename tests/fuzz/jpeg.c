/* Fuzz target of the JPEG decoder and of preprocessing behind it: any bytes either give a picture or an error. */
#include <stdio.h>
#include <stdlib.h>
#include "fuzz.h"
#include "base/file.h"
#include "image/jpeg.h"
#include "image/prep.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static const capt_jpeg_limits limits[2] = {
        {.max_pixels = 1 << 18, .max_scans = 20, .max_memory = 16 << 20, .exif_rotate = 1},
        {.max_pixels = 1 << 18, .max_scans = 20, .max_memory = 16 << 20, .tolerate_warnings = 1, .exif_rotate = 1}};
    for (int i = 0; i < 2; i++) {
        capt_err err = CAPT_ERR_INIT;
        capt_image im;
        int ret = capt_jpeg_decode(p, n, &limits[i], "fuzz", &im, &err);
        if ((ret == 0) != (err.code == CAPT_OK) || (ret == 0) != (im.rgb != NULL))
            abort();
        if (ret != 0)
            continue;
        unsigned char out[24 * 24 * 3];
        for (capt_prep_mode m = CAPT_PREP_CLIP; m <= CAPT_PREP_STRETCH; m++) {
            capt_prep prep = capt_prep_clip(24);
            prep.mode = m;
            if (capt_prep_run(&prep, &im, out, &err) != 0)
                abort();
        }
        capt_image_free(&im);
    }
    return 0;
}
