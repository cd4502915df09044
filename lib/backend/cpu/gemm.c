/* The packed matrix product. 2*M*N*K operations against (M*K + N*K)*size + 4*M*N bytes: for M above about 30 the multiply-add pipe is the
 * bound, below it the bytes of the panels, which are then read once, in order.
 * Blocking: a part of some 112 rows x 4 panels is a task; in it K runs in blocks of about 768 (bf16) or 384 (float), so that a tile's rows
 * (14 x 1.5 KiB; of 32 rows 0.75) stay in L1 and the 4 panels (200 KiB) in L2; a part of one tile reads each panel once, whole, as it lies in memory. Memory cannot
 * bring a panel as fast as one tile reads it, so the tiles of a block ask for the next one, four of them for all of it. The order of sums
 * over K is the same for every row, block and task. */
#include "backend/cpu/cpu_priv.h"

#ifndef CAPT_REAL64
#include "base/bf16.h"

enum { GROUP = 4, PART_ROWS = 112, KC = 1536, KC_TILE = 24 << 10 }; /* KC in bytes, of a row and of a tile's rows */

void capt_cpu_gemm_finish(const struct cpu_gemm *g, int64_t i0, int64_t i1, int64_t c0, int64_t n)
{
    const struct cpu_isa *isa = g->c->isa;
    for (int64_t i = i0; (g->norm || g->bias || g->pre || g->act) && i < i1; i++) {
        float *y = g->y + i * g->ldy + c0;
        if (g->norm) {
            const struct cpu_norm *m = g->norm;
            isa->norm(y, m->mean + c0, m->rstd + c0, m->g + c0, m->b + c0, g->plus ? g->plus + i * g->ldy + c0 : NULL, g->relu, n);
            continue;
        }
        if (g->bias)
            isa->add(y, y, g->bias + c0, n);
        if (g->pre)
            isa->away(g->pre + i * g->ldy + c0, y, n); /* for the backward pass */
        if (g->act)
            isa->map_fwd[g->act](y, y, n);
    }
}

void capt_cpu_gemm_part(const struct cpu_gemm *g, int64_t i0, int64_t i1, int64_t p0, int64_t p1)
{
    int esz = fmt_size(g->fmt), lsz = fmt_size(left_of(g->fmt)), mr = tile_rows(g->c, g->fmt);
    int step = (g->c->sgemm ? KC : MIN(KC, KC_TILE / mr)) / lsz; /* BLAS blocks its rows itself */
    int n_block = i1 - i0 <= mr ? 1 : MAX(1, (g->K + step / 2) / step);
    int64_t panel = pad_k(g->K, g->fmt) * PANEL * esz, n_panel = (g->N + PANEL - 1) / PANEL;
    step = MAX(32, ROUND_UP((g->K + n_block - 1) / n_block, 32)); /* without rows to sum over, K is 0 and the result too */
    for (int64_t q = p0; q < p1; q += GROUP) {
        int64_t q1 = MIN(q + GROUP, p1), c0 = q * PANEL, cols = MIN(q1 * PANEL, g->N) - c0;
        for (int k0 = 0; k0 == 0 || k0 < g->K; k0 += step) {
            int k = MIN(step, g->K - k0);
            /* meanwhile each tile asks for a quarter of the block that is next in its panel, or of the first one of the panel GROUP further on */
            int64_t quarter = (int64_t)k * PANEL * esz / 4;
            int64_t to_next = k0 + step < g->K               ? (int64_t)step * PANEL * esz
                              : q + GROUP + GROUP <= n_panel ? GROUP * panel - (int64_t)k0 * PANEL * esz
                                                             : 0;
            for (int64_t i = i0; i < i1; i += mr) {
                int rows = (int)MIN(mr, i1 - i);
                for (int64_t p = q; p < q1; p++) {
                    const char *b = (const char *)g->b + p * panel + (int64_t)k0 * PANEL * esz;
                    cpu_tile(g->c, g->fmt, rows, (const char *)g->a + (i * g->lda + k0) * lsz, g->lda, b, k,
                             g->y + i * g->ldy + p * PANEL, g->ldy, g->add || k0 > 0, (int)MIN(PANEL, g->N - p * PANEL),
                             b + to_next + (i - i0) / mr % 4 * quarter);
                }
                if (k0 + step >= g->K)
                    capt_cpu_gemm_finish(g, i, i + rows, c0, cols);
            }
        }
    }
}

struct run {
    const struct cpu_gemm *g;
    int64_t n_rows;
    int64_t part_rows;
};

static void part(void *arg, int64_t task, int worker)
{
    const struct run *r = arg;
    const struct cpu_gemm *g = r->g;
    (void)worker;
    int64_t i = task % r->n_rows * r->part_rows, p = task / r->n_rows * GROUP;
    capt_cpu_gemm_part(g, i, MIN(i + r->part_rows, g->M), p, MIN(p + GROUP, (g->N + PANEL - 1) / PANEL));
}

void capt_cpu_gemm(capt_backend *be, const struct cpu_gemm *g)
{
    if (g->M <= 0 || g->N <= 0)
        return;
    int64_t rows = ROUND_UP(PART_ROWS, tile_rows(g->c, g->fmt)), groups = (g->N + GROUP * PANEL - 1) / (GROUP * PANEL);
    struct run r = {g, (g->M + rows - 1) / rows, rows};
    capt_cpu_run(be, r.n_rows * groups, (double)g->M * g->N * g->K > 1e6, part, &r);
}

struct left {
    const struct cpu_isa *isa;
    int fmt, K;
    int64_t M, lda;
    const float *x;
    char *y;
    int64_t rows;
};

static void left_rows(void *arg, int64_t task, int worker)
{
    const struct left *l = arg;
    (void)worker;
    int esz = fmt_size(l->fmt);
    for (int64_t i = task * l->rows; i < MIN(l->M, (task + 1) * l->rows); i++) {
        l->isa->convert(l->fmt, l->y + i * l->lda * esz, l->x + i * l->K, l->K);
        if (l->fmt == F_BF16 && (l->K & 1))
            ((uint16_t *)l->y)[i * l->lda + l->K] = 0;
    }
}

int capt_cpu_crowded(const struct cpu *c, int fmt, int64_t bytes)
{
    int64_t apart = 4096;
    while (bytes % apart != 0)
        apart /= 2;
    return !c->sgemm && tile_rows(c, fmt) * apart > 8 * 4096;
}

int64_t capt_cpu_ld(const struct cpu *c, int fmt, int64_t n)
{
    int64_t esz = fmt_size(fmt), line = 64 / esz, ld = ROUND_UP(n, line);
    return ld + (capt_cpu_crowded(c, fmt, ld * esz) ? line : 0);
}

const void *capt_cpu_left(capt_backend *be, int which, int fmt, const float *x, int64_t M, int K, int64_t *lda)
{
    *lda = K;
    int esz = fmt_size(fmt);
    if (fmt == F_F32 && !(M > 64 && capt_cpu_crowded(cpu_of(be), fmt, (int64_t)K * esz))) /* a copy is a pass over memory */
        return x;
    int64_t ld = capt_cpu_ld(cpu_of(be), fmt, K);
    char *y = capt_cpu_buf(be, which, (size_t)(M * ld * esz));
    if (!y)
        return NULL;
    struct left l = {isa_of(be), fmt, K, M, ld, x, y, MAX(1, CHUNK / MAX(K, 1))};
    capt_cpu_run(be, (M + l.rows - 1) / l.rows, M * K > SMALL, left_rows, &l);
    *lda = ld;
    return y;
}

static void flat_chunk(void *arg, int64_t task, int worker)
{
    const struct left *l = arg;
    (void)worker;
    int64_t i = task * CHUNK;
    l->isa->convert(l->fmt, l->y + i * fmt_size(l->fmt), l->x + i, MIN(CHUNK, l->M - i));
}

const void *capt_cpu_flat(capt_backend *be, int which, int fmt, const float *x, int64_t n)
{
    if (fmt == F_F32)
        return x;
    struct left l = {
        .isa = isa_of(be), .fmt = fmt, .M = n, .x = x, .y = capt_cpu_buf(be, which, (size_t)n * (size_t)fmt_size(fmt))};
    if (l.y)
        capt_cpu_run(be, (n + CHUNK - 1) / CHUNK, n > 2 * SMALL, flat_chunk, &l);
    return l.y;
}

/* dw = dy^T x. The sum is over M, so M takes the place of K: in chunks of MC rows x is packed into panels (shared), then each
 * task transposes its columns of dy (its own scratch, in L2) and multiplies. 2*M*N*K operations; the packing moves
 * 6 bytes an element of dy and x: 5 to 15 % of the time. db is summed over groups of 32 rows, these in double, in order. */
enum { MC = 1536, ROWS = 32, NB = 64 };
struct tn {
    const struct cpu_gemm_tn *t;
    capt_backend *be;
    void *panels;
    int64_t m0, mc, mp; /* first row, rows, rows padded as the panels' are */
    int nb;             /* columns of dy of a task, NB at most */
    int last;
};

static void tn_pack(void *arg, int64_t task, int worker)
{
    const struct tn *s = arg;
    const struct cpu_gemm_tn *t = s->t;
    int esz = fmt_size(t->fmt), rows = (int)MIN(ROWS, s->mc - task * ROWS);
    int64_t r0 = s->m0 + task * ROWS;
    void *tmp = capt_cpu_work(s->be, worker, (size_t)ROWS * (size_t)t->K * (size_t)esz);
    if (!tmp)
        return;
    t->rows(t->arg, tmp, t->K, r0, r0 + rows);
    isa_of(s->be)->pack_rows(t->fmt, (char *)s->panels + task * ROWS * PANEL * esz, s->mp * PANEL, tmp, t->K, rows,
                             t->K, 0);
}

static void tn_part(void *arg, int64_t task, int worker)
{
    const struct tn *s = arg;
    const struct cpu_gemm_tn *t = s->t;
    const struct cpu_isa *isa = isa_of(s->be);
    int fmt = left_of(t->fmt), esz = fmt_size(fmt), n0 = (int)task * s->nb, nb = MIN(s->nb, t->N - n0);
    int64_t ld = capt_cpu_ld(cpu_of(s->be), fmt, ROUND_UP(s->mp, 32));
    char *a = t->dw ? capt_cpu_work(s->be, worker, (size_t)(nb * ld * esz)) : NULL;
    if (t->dw && !a)
        return;
    double total[NB] = {0};
    for (int64_t r = 0; r < s->mc; r += ROWS) {
        _Alignas(64) float sum[NB] = {0};
        _Alignas(64) char block[ROWS * NB * 4];
        int rows = (int)MIN(ROWS, s->mc - r);
        int64_t at = (s->m0 + r) * t->lddy + n0;
        if (t->db && (t->dyf || fmt != F_BF16))
            isa->col_sum(sum, (t->dyf ? t->dyf : (const float *)t->dyh) + at, t->lddy, rows, nb);
        else if (t->db)
            for (int i = 0; i < rows; i++)
                for (int j = 0; j < nb; j++)
                    sum[j] += capt_bf16_to_f32(((const uint16_t *)t->dyh)[at + i * t->lddy + j]);
        for (int j = 0; j < nb; j++)
            total[j] += sum[j];
        if (!a)
            continue;
        const void *src = (const char *)t->dyh + at * esz;
        int64_t lds = t->lddy;
        if (t->dyf) {
            for (int i = 0; i < rows; i++)
                isa->convert(fmt, block + i * NB * esz, t->dyf + at + i * t->lddy, nb);
            src = block;
            lds = NB;
        }
        isa->transpose(esz, a + r * esz, ld, src, lds, rows, nb);
    }
    if (t->db)
        for (int j = 0; j < nb; j++)
            t->db[n0 + j] = (t->add_b || s->m0 ? t->db[n0 + j] : 0) + (float)total[j];
    if (a) {
        struct cpu_gemm g = {.c = cpu_of(s->be),
                             .fmt = t->fmt,
                             .N = t->K,
                             .K = (int)pad_k(s->mc, fmt),
                             .M = nb,
                             .a = a,
                             .lda = ld,
                             .b = s->panels,
                             .y = t->dw + (int64_t)n0 * t->K,
                             .ldy = t->K,
                             .add = t->add_w || s->m0};
        capt_cpu_gemm_part(&g, 0, nb, 0, (t->K + PANEL - 1) / PANEL);
    }
}

void capt_cpu_gemm_tn(capt_backend *be, const struct cpu_gemm_tn *t)
{
    if (t->N <= 0 || (!t->dw && !t->db))
        return;
    int mr = MIN(tile_rows(cpu_of(be), t->fmt), NB);
    int nb = NB / mr * mr;
    while (nb > mr && (t->N + nb - 1) / nb < 4 * cpu_of(be)->n_worker)
        nb -= mr;
    for (int64_t m0 = 0; m0 == 0 || m0 < t->M; m0 += MC) {
        int64_t mc = MIN(MC, t->M - m0);
        struct tn s = {.t = t, .be = be, .m0 = m0, .mc = mc, .mp = pad_k(mc, t->fmt), .nb = nb};
        int big = (double)mc * t->N * t->K > 1e6;
        if (t->dw) {
            s.panels = capt_cpu_buf(be, BUF_B, MAX((size_t)64, panel_bytes(t->K, mc, t->fmt)));
            if (!s.panels)
                return;
            capt_cpu_run(be, (mc + ROWS - 1) / ROWS, big, tn_pack, &s);
        }
        capt_cpu_run(be, (t->N + nb - 1) / nb, big, tn_part, &s);
    }
}
#endif
