/* Parameters: named tensors that live as long as the model, in the backend's memory, with their gradient, optimiser moments and packed form.
 * A set of parameters belongs to one model. Values are drawn from Philox keyed by (seed, name), so they do not depend on the order of creation.
 *
 * Values that are lent stay in the file's map: kernels read them there, or only the packed form that is made of them, and nothing is copied before a
 * parameter is trained or set. A lent matrix that only products read has no t.data where they read its packed form and the file
 * has other numbers than float. */
#ifndef CAPT_NN_PARAM_H
#define CAPT_NN_PARAM_H
#include "base/mem.h"
#include "op/tape.h"
#include "tensor/safetensors.h"

enum {
    CAPT_P_MATRIX = 1,   /* read by matrix products as (dim[0], the rest): kept packed */
    CAPT_P_DECAY = 2,    /* weight decay applies */
    CAPT_P_BUFFER = 4,   /* saved, never trained (running statistics) */
    CAPT_P_ROWS = 8      /* a matrix whose rows are read too, besides products (a word embedding that is the head) */
};

typedef enum capt_init { CAPT_INIT_ZERO, CAPT_INIT_ONE, CAPT_INIT_NORMAL, CAPT_INIT_UNIFORM /* -a..a */ } capt_init;

typedef struct capt_param {
    char *name;        /* "h.0.attn.c_attn.weight", "encoder.conv1.weight" */
    capt_tensor t;     /* t.grad is allocated when the parameter is trainable */
    capt_real *m, *v;  /* Adam's moments, NULL until the optimiser asks */
    capt_real *mean;   /* running mean of the values, NULL until capt_params_average */
    unsigned flags;
    int trainable;     /* 0 for buffers and frozen ones */
    double lr_scale;   /* 1, or the encoder's share */
    int loaded;        /* a value came from a file */
    int n_lent;        /* tensors of a file whose rows, one behind the other, are the value (0: it is a copy of its own) */
    capt_st_tensor lent[3];
} capt_param;

typedef struct capt_params {
    capt_backend *be;  /* borrowed */
    capt_dtype compute;
    uint64_t seed;
    int blank;         /* 1: new parameters have no memory and no value yet, since the caller is going to load every one */
    int64_t most, made; /* elements all parameters may have together (the file they come from holds no more; 0: any), and have */
    capt_param **v;
    int n, cap;
    CAPT_VEC(capt_st *) files; /* what was lent lies in them */
    capt_err err;      /* sticky: creation of parameters goes on harmlessly after an error */
} capt_params;

void capt_params_init(capt_params *ps, capt_backend *be, capt_dtype compute, uint64_t seed);
void capt_params_free(capt_params *ps); /* frees the parameters, not ps */
/* A new parameter; a is the std or bound. name is a printf format. Returns its tensor (valid as long as ps), or a dummy one after an error. */
capt_tensor *capt_param_new(capt_params *ps, unsigned flags, capt_init init, double a, int ndim, const int64_t *dim, const char *name, ...) CAPT_PRINTF(7, 8);
#define CAPT_DIMS(...) (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (const int64_t[]){__VA_ARGS__}
capt_param *capt_param_find(const capt_params *ps, const char *name);
/* Host values in and out (numel elements). set also refreshes the packed form and marks it loaded. */
void capt_param_set(capt_params *ps, capt_param *p, const capt_real *host);
/* The value is the rows of part[0..n-1] (n: 1 or 3), one behind the other; their memory stays as it is until ps is freed (capt_params_keep). */
void capt_param_lend(capt_params *ps, capt_param *p, int n, const capt_st_tensor *const *part);
void capt_params_keep(capt_params *ps, capt_st *st_take); /* closed with ps */
void capt_param_get(const capt_params *ps, const capt_param *p, capt_real *host);
/* trainable = on for every non-buffer parameter whose name starts with prefix ("" all); allocates or frees gradients. */
int capt_params_train(capt_params *ps, const char *prefix, int on, capt_err *err);
/* mean = decay*mean + (1-decay)*value of every trainable parameter; the first call copies the values. */
int capt_params_average(capt_params *ps, double decay, capt_err *err);
/* Values and their running means change places, packed forms too; parameters without a mean stay. */
void capt_params_swap(capt_params *ps);
void capt_params_zero_grad(capt_params *ps); /* the next gradient overwrites */
int64_t capt_params_count(const capt_params *ps, const char *prefix); /* elements, buffers not counted */
/* 32 hex digits over names, shapes and values (as f32) of the parameters whose name starts with prefix: the content's name, backend independent. May run
 * beside kernels that change none of them. */
void capt_params_hash(const capt_params *ps, const char *prefix, char hex[33]);
#endif
