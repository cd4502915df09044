#include <pthread.h>
#include <stdlib.h>
#include "base/mem.h"
#include "data/dataset.h"

typedef struct slot { capt_batch b; capt_err err; int64_t number; int full; } slot;

struct capt_loader {
    const capt_dataset *d;
    int batch, n_slots, n_threads, stop;
    int64_t per_epoch, first, claimed, given; /* batch numbers count from `first`, over epochs */
    slot *slots;
    pthread_t *threads;
    pthread_mutex_t lock;
    pthread_cond_t filled, freed;
};

static void *fill(void *arg)
{
    capt_loader *l = arg;
    pthread_mutex_lock(&l->lock);
    while (!l->stop) {
        int64_t number = l->claimed;
        slot *s = &l->slots[number % l->n_slots];
        if (number >= l->given + l->n_slots - 1 || s->full) { /* one slot is in the caller's hands */
            pthread_cond_wait(&l->freed, &l->lock);
            continue;
        }
        l->claimed++;
        pthread_mutex_unlock(&l->lock);
        int64_t at = l->first + number;
        capt_err err = CAPT_ERR_INIT;
        capt_dataset_batch(l->d, l->batch, at / l->per_epoch, at % l->per_epoch, 1, &s->b, &err);
        pthread_mutex_lock(&l->lock);
        s->err = err;
        s->number = number;
        s->full = 1;
        pthread_cond_broadcast(&l->filled);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

capt_loader *capt_loader_new(const capt_dataset *d, int batch, int64_t epoch, int64_t index, int threads, capt_err *err)
{
    if (capt_dataset_images(d) == 0) {
        capt_fail(err, CAPT_EDATA, "there are no images to train on");
        return NULL;
    }
    capt_loader *l = capt_alloc(sizeof *l);
    l->d = d;
    l->batch = batch;
    l->per_epoch = capt_dataset_batches(d, batch);
    l->first = epoch * l->per_epoch + index;
    l->n_slots = threads + 3;
    l->slots = capt_alloc((size_t)l->n_slots * sizeof *l->slots);
    l->threads = capt_alloc((size_t)threads * sizeof *l->threads);
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->filled, NULL);
    pthread_cond_init(&l->freed, NULL);
    for (; l->n_threads < threads; l->n_threads++)
        if (pthread_create(&l->threads[l->n_threads], NULL, fill, l))
            break;
    if (l->n_threads == 0) {
        capt_fail(err, CAPT_EIO, "no thread could be started to load batches");
        capt_loader_free(l);
        return NULL;
    }
    return l;
}

int capt_loader_next(capt_loader *l, capt_batch **b, capt_err *err)
{
    pthread_mutex_lock(&l->lock);
    if (l->given > 0) {
        l->slots[(l->given - 1) % l->n_slots].full = 0;
        pthread_cond_broadcast(&l->freed);
    }
    slot *s = &l->slots[l->given % l->n_slots];
    while (!s->full || s->number != l->given)
        pthread_cond_wait(&l->filled, &l->lock);
    l->given++;
    pthread_cond_broadcast(&l->freed);
    pthread_mutex_unlock(&l->lock);
    if (s->err.code)
        return capt_fail(err, s->err.code, "%s", s->err.text);
    *b = &s->b;
    return 0;
}

void capt_loader_free(capt_loader *l)
{
    if (!l)
        return;
    pthread_mutex_lock(&l->lock);
    l->stop = 1;
    pthread_cond_broadcast(&l->freed);
    pthread_mutex_unlock(&l->lock);
    for (int i = 0; i < l->n_threads; i++)
        pthread_join(l->threads[i], NULL);
    for (int i = 0; i < l->n_slots; i++)
        capt_batch_free(&l->slots[i].b);
    pthread_mutex_destroy(&l->lock);
    pthread_cond_destroy(&l->filled);
    pthread_cond_destroy(&l->freed);
    free(l->slots);
    free(l->threads);
    free(l);
}
