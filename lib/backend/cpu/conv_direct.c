/* Direct convolution, without patches: conv.c says how it works. */
#include "backend/cpu/conv_priv.h"

#ifndef CAPT_REAL64
#include <string.h>

/* bytes of scratch for a slab of the image; of a left operand's row in one product, so that a group of panels stays in L2; panels of a group */
enum { SLAB = 128 << 10, STEP = 3072, GROUP = 4 };

struct sweep {
    capt_backend *be;
    const struct cpu_gemm *g;
    const capt_conv *c;
    const float *x;
    int fmt, backward;
    int taps;       /* of a window's row in one product */
    int rows;       /* of output in a task */
    int width;      /* pixels of a row of the slab */
    int64_t pitch;  /* numbers from a pixel to the next */
    int chunk;      /* pixels of a tile */
};

/* rows iy0 on of an image with its border, in the left operand's format */
static void fill_slab(const struct sweep *s, char *slab, int64_t image, int iy0, int rows)
{
    const capt_conv *c = s->c;
    const struct cpu_isa *isa = isa_of(s->be);
    int64_t esz = fmt_size(s->fmt), pixel = s->pitch * esz;
    int left = MIN(c->pad, s->width), inside = MAX(0, MIN(c->W, s->width - left));
    for (int r = 0; r < rows; r++, slab += s->width * pixel) {
        int iy = iy0 + r;
        if (iy < 0 || iy >= c->H) {
            memset(slab, 0, (size_t)(s->width * pixel));
            continue;
        }
        const float *x = s->x + ((image * c->H + iy) * c->W) * c->C;
        memset(slab, 0, (size_t)(left * pixel));
        if (s->pitch == c->C)
            isa->convert(s->fmt, slab + left * pixel, x, (int64_t)inside * c->C);
        else
            for (int j = 0; j < inside; j++)
                isa->convert(s->fmt, slab + (left + j) * pixel, x + (int64_t)j * c->C, c->C);
        memset(slab + (left + inside) * pixel, 0, (size_t)((s->width - left - inside) * pixel));
    }
}

static void sweep_task(void *arg, int64_t task, int worker)
{
    const struct sweep *s = arg;
    const struct cpu_gemm *g = s->g;
    const capt_conv *c = s->c;
    int64_t parts = (c->OH + s->rows - 1) / s->rows, image = task / parts;
    int y0 = (int)(task % parts) * s->rows, rows = MIN(s->rows, c->OH - y0), in_rows = (rows - 1) * c->stride + c->kh, steps = (c->kw + s->taps - 1) / s->taps;
    int64_t esz = fmt_size(g->fmt), lsz = fmt_size(s->fmt), n_panel = (g->N + PANEL - 1) / PANEL, m0 = (image * c->OH + y0) * c->OW;
    char *slab = capt_cpu_work(s->be, worker, (size_t)(in_rows * s->width * s->pitch * lsz));
    if (!slab)
        return;
    fill_slab(s, slab, image, y0 * c->stride - c->pad, in_rows);
    /* forward a panel holds all taps of its columns, one after the other; backward there are N/PANEL panels a tap */
    int64_t panel = pad_k(s->backward ? c->C : (int64_t)c->kh * c->kw * c->C, g->fmt) * PANEL * esz;
    for (int64_t q = 0; q < n_panel; q += GROUP) {
        int64_t q1 = MIN(q + GROUP, n_panel);
        for (int t = 0; t < c->kh * steps; t++) {
            int ky = t / steps, kx = t % steps * s->taps, k = MIN(s->taps, c->kw - kx) * c->C, tap = ky * c->kw + kx;
            const char *a = slab + (int64_t)(ky * s->width + kx) * s->pitch * lsz;
            const char *b = (const char *)g->b + (s->backward ? (c->kh * c->kw - 1 - tap) * n_panel * panel : (int64_t)tap * c->C * PANEL * esz);
            int64_t to_next = q + GROUP < n_panel ? GROUP * panel : 0, quarter = (int64_t)k * PANEL * esz / 4;
            int n_tile = 0;
            for (int oy = 0; oy < rows; oy++)
                for (int ox = 0; ox < c->OW; ox += s->chunk, n_tile++) {
                    int64_t at = ((int64_t)oy * c->stride * s->width + ox * c->stride) * s->pitch;
                    for (int64_t p = q; p < q1; p++)
                        cpu_tile(g->c, g->fmt, MIN(s->chunk, c->OW - ox), a + at * lsz, c->stride * s->pitch, b + p * panel, k,
                                 g->y + (m0 + oy * c->OW + ox) * g->ldy + p * PANEL, g->ldy, g->add || t > 0, (int)MIN(PANEL, g->N - p * PANEL),
                                 b + p * panel + to_next + n_tile % 4 * quarter);
                }
        }
        capt_cpu_gemm_finish(g, m0, m0 + (int64_t)rows * c->OW, q * PANEL, MIN(q1 * PANEL, g->N) - q * PANEL);
    }
}

int capt_cpu_sweeps(capt_backend *be, const capt_conv *c, int fmt)
{
    if (c->stride >= c->kw || (fmt == F_BF16 && c->C % 2) || c->pad >= c->kh || c->pad < 0)
        return 0;
    return c->OW >= tile_rows(cpu_of(be), fmt) || c->N <= 256;
}

void capt_cpu_conv_sweep(capt_backend *be, const struct cpu_gemm *g, const float *x, const capt_conv *c, int backward)
{
    struct sweep s = {be, g, c, x, .fmt = left_of(g->fmt), .backward = backward, .taps = 1};
    int64_t lsz = fmt_size(s.fmt);
    int mr = tile_rows(cpu_of(be), s.fmt), chunks = (c->OW + mr - 1) / mr;
    if (!backward && !g->c->sgemm) /* BLAS knows no overlapping rows */
        s.taps = (int)MAX(1, MIN(c->kw, STEP / (c->C * lsz)));
    /* pixels further apart, where tiles would have few sets of L1: where several taps go into a product they are one stretch */
    s.pitch = c->C + (s.taps == 1 && capt_cpu_crowded(g->c, s.fmt, c->stride * c->C * lsz) ? 64 / lsz : 0);
    s.chunk = (c->OW + chunks - 1) / chunks;
    s.width = (c->OW - 1) * c->stride + c->kw;
    int64_t line = s.width * s.pitch * lsz;
    s.rows = (int)MAX((SLAB / line - c->kh) / c->stride + 1, (8 * mr + c->OW - 1) / c->OW);
    s.rows = MAX(1, MIN(s.rows, c->OH));
    capt_cpu_run(be, c->B * ((c->OH + s.rows - 1) / s.rows), (double)c->B * c->OH * c->OW * c->kh * c->kw * c->C * c->N > 1e6, sweep_task, &s);
}

/* dw: images in chunks of about CHUNK_K pixels. Of an image with its border a row is W + pad pixels long, the border to the right being that to the left of the next row, so that
 * pixel (y,x) moved by a tap (ky,kx) is that at y*row + x + ky*row + kx; dy^T has zeros where a row of output is shorter than that. */
enum { CHUNK_K = 1536, K_STEP = 384, ROWS = 32, NB = 56 };
struct shift {
    capt_backend *be;
    const capt_conv *c;
    const float *x, *dy;
    float *dw;
    int add, fmt, nb, tile; /* columns of dy of a task, of a tile */
    int64_t row, seq, span; /* pixels of a row and of an image with their border; of an image that a product goes over */
    int blocks, copies;    /* panels of an image; their number of copies: pairs of bf16 that begin at even pixels, and at odd */
    int64_t panel;         /* bytes */
    int64_t b0, images;    /* the chunk's */
    char *panels;          /* (images, blocks, copies) */
};

static void shift_pack(void *arg, int64_t task, int worker)
{
    const struct shift *s = arg;
    const capt_conv *c = s->c;
    const struct cpu_isa *isa = isa_of(s->be);
    int64_t esz = fmt_size(s->fmt), b = s->b0 + task / s->blocks;
    int c0 = (int)(task % s->blocks) * PANEL, n = MIN(PANEL, c->C - c0);
    char *to = s->panels + task * s->copies * s->panel, *t = s->fmt < F_HALF ? to : capt_cpu_work(s->be, worker, (size_t)(s->seq * PANEL * esz)); /* floats: a panel is the pixels */
    if (!t)
        return;
    memset(t, 0, (size_t)(s->seq * PANEL * esz));
    for (int y = 0; y < c->H; y++)
        for (int x = 0; x < c->W; x++)
            isa->convert(s->fmt, t + ((y + c->pad) * s->row + x + c->pad) * PANEL * esz, s->x + ((b * c->H + y) * c->W + x) * c->C + c0, n);
    for (int i = 0; t != to && i < s->copies; i++)
        isa->pack_rows(s->fmt, to + i * s->panel, 0, t + i * PANEL * esz, PANEL, (int)s->seq - i, PANEL, 0);
}

/* a (nb,span) of an image: dy^T with zeros behind each row of pixels */
static void shift_left(const struct shift *s, char *a, int64_t lda, int64_t b, int n0, int nb)
{
    const capt_conv *c = s->c;
    const struct cpu_isa *isa = isa_of(s->be);
    int fmt = left_of(s->fmt);
    int64_t esz = fmt_size(fmt);
    _Alignas(64) char block[ROWS * NB * 4];
    int y = 0, x = 0;
    for (int64_t p0 = 0; p0 < s->span; p0 += ROWS) {
        int rows = (int)MIN(ROWS, s->span - p0);
        for (int i = 0; i < rows; i++) {
            if (x < c->OW && y < c->OH)
                isa->convert(fmt, block + i * NB * esz, s->dy + ((b * c->OH + y) * c->OW + x) * c->N + n0, nb);
            else
                memset(block + i * NB * esz, 0, (size_t)(NB * esz));
            if (++x == s->row) {
                x = 0;
                y++;
            }
        }
        isa->transpose((int)esz, a + p0 * esz, lda, block, NB, rows, nb);
    }
}

static void shift_task(void *arg, int64_t task, int worker)
{
    const struct shift *s = arg;
    const capt_conv *c = s->c;
    const struct cpu *cpu = cpu_of(s->be);
    int fmt = left_of(s->fmt), n0 = (int)task * s->nb, nb = MIN(s->nb, c->N - n0), KK = c->kh * c->kw * c->C;
    int64_t esz = fmt_size(fmt), psz = fmt_size(s->fmt), lda = capt_cpu_ld(cpu, fmt, ROUND_UP(s->span, 32));
    char *a = capt_cpu_work(s->be, worker, (size_t)(nb * lda * esz));
    if (!a)
        return;
    for (int64_t b = 0; b < s->images; b++) {
        shift_left(s, a, lda, s->b0 + b, n0, nb);
        for (int64_t k0 = 0; k0 < s->span; k0 += K_STEP)
            for (int block = 0; block < s->blocks; block++)
                for (int tap = 0; tap < c->kh * c->kw; tap++) {
                    int64_t off = tap / c->kw * s->row + tap % c->kw, odd = s->copies > 1 ? off & 1 : 0;
                    int k = (int)MIN(K_STEP, s->span - k0);
                    const char *p = s->panels + ((b * s->blocks + block) * s->copies + odd) * s->panel + (off - odd + k0) * PANEL * psz;
                    for (int i = 0; i < nb; i += s->tile)
                        cpu_tile(cpu, s->fmt, MIN(s->tile, nb - i), a + (i * lda + k0) * esz, lda, p, k, s->dw + (int64_t)(n0 + i) * KK + tap * c->C + block * PANEL, KK,
                                 s->add || s->b0 + b > 0 || k0 > 0, MIN(PANEL, c->C - block * PANEL), p);
                }
    }
}

int capt_cpu_shifts(const capt_conv *c)
{
    return c->stride == 1 && c->kw > 1 && 8 * c->pad <= c->OW;
}

void capt_cpu_conv_shift(capt_backend *be, float *dw, int add, const float *dy, const float *x, const capt_conv *c, int fmt)
{
    struct shift s = {be, c, x, dy, dw, add, fmt, .row = c->W + c->pad, .blocks = (c->C + PANEL - 1) / PANEL, .copies = fmt == F_BF16 ? 2 : 1};
    s.span = pad_k((c->OH - 1) * s.row + c->OW, left_of(fmt));
    s.seq = s.span + (c->kh - 1) * s.row + c->kw; /* below 2^31: no encoder reads so large an image */
    s.panel = pad_k(s.seq, fmt) * PANEL * fmt_size(fmt);
    int mr = MIN(tile_rows(cpu_of(be), fmt), NB), tiles = (c->N + mr - 1) / mr;
    s.tile = (c->N + tiles - 1) / tiles;
    s.nb = s.tile * MAX(1, NB / mr);
    while (s.nb > s.tile && (c->N + s.nb - 1) / s.nb < 4 * cpu_of(be)->n_worker)
        s.nb -= s.tile;
    int64_t images = MAX(1, CHUNK_K / s.span);
    int big = (double)c->B * c->OH * c->OW * c->kh * c->kw * c->C * c->N > 1e6;
    s.panels = capt_cpu_buf(be, BUF_B, (size_t)(MIN(images, c->B) * s.blocks * s.copies * s.panel));
    for (; s.panels && s.b0 < c->B; s.b0 += images) {
        s.images = MIN(images, c->B - s.b0);
        capt_cpu_run(be, s.images * s.blocks, big, shift_pack, &s);
        capt_cpu_run(be, (c->N + s.nb - 1) / s.nb, big, shift_task, &s);
    }
}
#endif
