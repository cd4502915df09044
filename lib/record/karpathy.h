/* The COCO ids of the 5,000 test images of Karpathy's split, ascending: what no captioner that is compared on it may have trained on. */
#ifndef CAPT_RECORD_KARPATHY_H
#define CAPT_RECORD_KARPATHY_H
#include <stdint.h>

enum { CAPT_KARPATHY_TEST = 5000 };
void capt_karpathy_test(uint32_t id[CAPT_KARPATHY_TEST]);
#endif
