/* Sums and rows. Vector sums have a fixed shape (four accumulators, then halves), so a row's result depends on nothing but the row. */

static float dot(const float *x, const float *y, int64_t n)
{
    vf a = vset(0), b = a, c = a, d = a;
    int64_t i = 0;
    for (; i + 4 * VL <= n; i += 4 * VL) {
        a = vfma(vload(x + i), vload(y + i), a);
        b = vfma(vload(x + i + VL), vload(y + i + VL), b);
        c = vfma(vload(x + i + 2 * VL), vload(y + i + 2 * VL), c);
        d = vfma(vload(x + i + 3 * VL), vload(y + i + 3 * VL), d);
    }
    for (; i < n; i += VL)
        a = vfma(vloadn(x + i, (int)MIN(VL, n - i)), vloadn(y + i, (int)MIN(VL, n - i)), a);
    return vsum((a + b) + (c + d));
}

/* p[t] = q . k[t], n keys of dh numbers, each `at` behind its pointer */
static void dots(float *restrict p, const float *restrict q, const float *const *k, int64_t at, int n, int dh)
{
    enum { USUAL = 64 }; /* q stays in registers */
    if (dh == USUAL)
        for (int t = 0; t < n; t++)
            p[t] = dot(q, k[t] + at, USUAL);
    else
        for (int t = 0; t < n; t++)
            p[t] = dot(q, k[t] + at, dh);
}

/* o = sum over t, rising, of p[t]*mul * v[t], n values of dh numbers, each `at` behind its pointer */
static void weigh(float *restrict o, const float *p, float mul, const float *const *v, int64_t at, int n, int dh)
{
    for (int j = 0; j < dh; j += 4 * VL, at += 4 * VL) {
        vf s[4] = {vset(0), vset(0), vset(0), vset(0)};
        int m = dh - j;
        if (m >= 4 * VL) {
            for (int t = 0; t < n; t++) {
                vf w = vset(p[t] * mul);
                for (int i = 0; i < 4; i++)
                    s[i] = vfma(w, vload(v[t] + at + i * VL), s[i]);
            }
            for (int i = 0; i < 4; i++)
                vstore(o + j + i * VL, s[i]);
            continue;
        }
        for (int t = 0; t < n; t++) {
            vf w = vset(p[t] * mul);
            for (int i = 0; i < 4 && i * VL < m; i++)
                s[i] = vfma(w, vloadn(v[t] + at + i * VL, m - i * VL), s[i]);
        }
        for (int i = 0; i < 4 && i * VL < m; i++)
            vstoren(o + j + i * VL, s[i], m - i * VL);
    }
}

static float row_sum(const float *x, int64_t n)
{
    vf a = vset(0), b = a;
    int64_t i = 0;
    for (; i + 2 * VL <= n; i += 2 * VL) {
        a = a + vload(x + i);
        b = b + vload(x + i + VL);
    }
    for (; i < n; i += VL)
        a = a + vloadn(x + i, (int)MIN(VL, n - i));
    return vsum(a + b);
}

/* a NaN anywhere makes the result of a later exp_sum NaN: the maximum itself may lose it */
static float row_max(const float *x, int64_t n)
{
    float m = -INFINITY, t[VL];
    int64_t i = 0;
    if (n >= VL) {
        vf v = vload(x), u = v;
        for (; i + 2 * VL <= n; i += 2 * VL) {
            v = vmax(v, vload(x + i));
            u = vmax(u, vload(x + i + VL));
        }
        vstore(t, vmax(v, u));
        for (int j = 0; j < VL; j++)
            m = t[j] > m ? t[j] : m;
    }
    for (; i < n; i++)
        m = x[i] > m ? x[i] : m;
    return m;
}

/* 20 operations an element in cache: about 1 cycle on AVX-512 */
static float exp_sum(float *y, const float *x, float mul_, float sub, int64_t n)
{
    enum { B = 256 };
    vf a = vset(0), b = a;
    for (int64_t i0 = 0; i0 < n; i0 += B) {
        int m = (int)MIN(B, n - i0), j = 0;
        float *yi = y + i0;
        const float *xi = x + i0;
#pragma GCC ivdep
        for (int i = 0; i < m; i++)
            yi[i] = s_exp(xi[i] * mul_ - sub);
        for (; j + 2 * VL <= m; j += 2 * VL) {
            a = a + vload(yi + j);
            b = b + vload(yi + j + VL);
        }
        for (; j < m; j += VL)
            a = a + vloadn(yi + j, MIN(VL, m - j));
    }
    return vsum(a + b);
}

/* s[j] = sum over rows of x[r*ldx + j], rising, for j < n */
static void col_sum(float *s, const float *x, int64_t ldx, int rows, int n)
{
    for (int j = 0; j < n; j += 2 * VL) {
        int n0 = MIN(VL, n - j), n1 = MIN(VL, n - j - VL);
        vf a = vset(0), b = a;
        for (int r = 0; r < rows; r++) {
            a = a + vloadn(x + r * ldx + j, n0);
            if (n1 > 0)
                b = b + vloadn(x + r * ldx + j + VL, n1);
        }
        vstoren(s + j, a, n0);
        if (n1 > 0)
            vstoren(s + j + VL, b, n1);
    }
}

static double sumsq(const float *x, int64_t n)
{
    double s[2 * VL] = {0};
    int64_t i = 0;
    for (; i + 2 * VL <= n; i += 2 * VL)
        for (int j = 0; j < 2 * VL; j++)
            s[j] += (double)x[i + j] * x[i + j];
    for (; i < n; i++)
        s[0] += (double)x[i] * x[i];
    for (int h = VL; h > 0; h /= 2)
        for (int j = 0; j < h; j++)
            s[j] += s[j + h];
    return s[0];
}

/* two passes over a row in L1: mean, then centred squares. 8 bytes an element, about 8 operations */
static void ln_fwd(float *y, float *mean, float *rstd, const float *x, const float *g, const float *b, int64_t rows, int D, float eps)
{
    for (int64_t r = 0; r < rows; r++, x += D, y += D) {
        vf s = vset(0), q = s;
        int i = 0;
        for (; i + VL <= D; i += VL)
            s = s + vload(x + i);
        if (i < D)
            s = s + vloadn(x + i, D - i);
        float m = vsum(s) / (float)D;
        for (i = 0; i + VL <= D; i += VL) {
            vf d = vload(x + i) - vset(m);
            q = vfma(d, d, q);
        }
        float var = vsum(q);
        for (; i < D; i++)
            var += (x[i] - m) * (x[i] - m);
        float rs = 1 / sqrtf(var / (float)D + eps);
        mean[r] = m;
        rstd[r] = rs;
#pragma GCC ivdep
        for (i = 0; i < D; i++)
            y[i] = (x[i] - m) * rs * g[i] + b[i];
    }
}

/* with h = (x-mean)*rstd: dx = rstd*(dy*g - mean(dy*g) - h*mean(dy*g*h)); dg += dy*h and db += dy over these rows, when not NULL */
static void ln_bwd(float *dx, float beta, float *dg, float *db, const float *dy, const float *x, const float *mean, const float *rstd, const float *g, int64_t rows, int D)
{
    for (int64_t r = 0; r < rows; r++, x += D, dy += D) {
        float m = mean[r], rs = rstd[r];
        if (dx) {
            vf s = vset(0), q = s, mv = vset(m), rv = vset(rs);
            for (int i = 0; i < D; i += VL) {
                vf t = vloadn(dy + i, D - i) * vloadn(g + i, D - i);
                s = s + t;
                q = vfma(t, (vloadn(x + i, D - i) - mv) * rv, q); /* past the end t is 0 and x - mean finite */
            }
            float a = vsum(s) / (float)D, c = vsum(q) / (float)D;
            float *d = dx + r * D;
            if (beta == 0) {
#pragma GCC ivdep
                for (int i = 0; i < D; i++)
                    d[i] = rs * (dy[i] * g[i] - a - (x[i] - m) * rs * c);
            } else {
#pragma GCC ivdep
                for (int i = 0; i < D; i++)
                    d[i] = beta * d[i] + rs * (dy[i] * g[i] - a - (x[i] - m) * rs * c);
            }
        }
        if (dg)
#pragma GCC ivdep
            for (int i = 0; i < D; i++)
                dg[i] += dy[i] * ((x[i] - m) * rs);
        if (db)
#pragma GCC ivdep
            for (int i = 0; i < D; i++)
                db[i] += dy[i];
    }
}

static void xent_grad(int fmt, void *g, const float *e, float inv, float soft, float hot, int target, float weight, int64_t n)
{
    enum { B = 256 };
    float t[B];
    for (int64_t i0 = 0; i0 < n; i0 += B) {
        int m = (int)MIN(B, n - i0);
        for (int i = 0; i < m; i++)
            t[i] = weight * (e[i0 + i] * inv - soft);
        if (target >= i0 && target < i0 + m)
            t[target - i0] -= weight * hot;
        convert(fmt, (char *)g + i0 * fmt_size(fmt), t, m);
    }
}
