#include "train/schedule.h"
#include <math.h>

static double noam(const capt_schedule *s, int64_t step)
{
    double n = (double)step + 1, up = s->warmup > 0 ? n / pow((double)s->warmup, 1.5) : INFINITY;
    return s->lr / sqrt(s->width) * fmin(1 / sqrt(n), up);
}

double capt_schedule_lr(const capt_schedule *s, int64_t step)
{
    if (s->kind == CAPT_SCHEDULE_NOAM)
        return noam(s, step);
    if (step < s->warmup)
        return s->lr * (double)(step + 1) / (double)s->warmup;
    int64_t span = s->total - s->warmup;
    double x = span > 0 ? (double)(step - s->warmup) / (double)span : 1;
    if (x > 1)
        x = 1;
    switch (s->kind) {
    case CAPT_SCHEDULE_LINEAR: return s->lr + (s->lr_end - s->lr) * x;
    case CAPT_SCHEDULE_COSINE: return s->lr_end + (s->lr - s->lr_end) * 0.5 * (1 + cos(3.14159265358979323846 * x));
    case CAPT_SCHEDULE_STEP: return s->lr * pow(s->factor, (double)(s->every > 0 ? step / s->every : 0));
    case CAPT_SCHEDULE_PLATEAU: return s->lr * s->scale;
    default: return s->lr;
    }
}
