/* Rules 1 to 30 of the metric tokenizer: words and their clitics, tags, addresses, numbers, money. Notation: ptb_rule.c. */
#include <string.h>
#include "text/ptb_priv.h"

PTB_RULE(1) { return all(h, ptb_lit(p, "c++")); }
PTB_RULE(2)
{
    ptb_pos e = ptb_lit(p, "c#");
    return all(h, e ? e : ptb_lit(p, "f#"));
}
PTB_RULE(3) { return ahead(h, p + 3, ptb_lit(p, "cannot")); }
PTB_RULE(4) { return ahead(h, p + 2, ptb_lit(p, "'twas")); }
PTB_RULE(5) { return ahead(h, p + 2, ptb_lit(p, "'tis")); }
PTB_RULE(6)
{
    static const char *const word[] = {"gonna", "gotta", "lemme", "gimme", "wanna"};
    for (int i = 0; i < 5; i++)
        if (ptb_lit(p, word[i]))
            return ahead(h, p + 3, p + 5);
    return 0;
}
PTB_RULE(7) { return all(h, ptb_sgml(p)); }
PTB_RULE(8)
{
    if (*p == 0x96 || *p == 0x97 || (*p >= 0x2013 && *p <= 0x2015))
        return all(h, p + 1);
    static const char *const name[] = {"&md;", "&mdash;", "&ndash;"};
    ptb_pos e = NULL;
    for (int i = 0; i < 3 && !e; i++)
        e = ptb_lit(p, name[i]);
    return all(h, e);
}
PTB_RULE(9) { return all(h, ptb_lit(p, "&amp;")); }
PTB_RULE(10)
{
    static const char *const name[] = {"&ht;", "&tl;", "&ur;", "&lr;", "&qc;", "&ql;", "&qr;", "&odq;", "&cdq;"};
    ptb_pos e = NULL;
    for (int i = 0; i < 9 && !e; i++)
        e = ptb_lit(p, name[i]);
    if (!e && p[1] == '#' && ptb_is(p[2], C_D)) {
        e = ptb_run(p + 2, C_D);
        e = *e == ';' ? e + 1 : NULL;
    }
    return all(h, e);
}
/* WORD / REDAUX */
PTB_RULE(11)
{
    ptb_pos e = ptb_word(p);
    return e && ahead(h, e, ptb_redaux(e));
}
/* (al or sh)* [letter but n] sh*  /  n Q t */
PTB_RULE(12)
{
    ptb_pos e = p;
    while (al(*e) || *e == PTB_SHY)
        e++;
    if (e - p < 2 || !ptb_lit(e - 1, "n"))
        return 0;
    ptb_pos last = e - 2;
    while (last > p && *last == PTB_SHY)
        last--;
    if (!al(*last) || *last == 'n' || *last == 'N')
        return 0;
    return ahead(h, e - 1, ptb_sredaux(e - 1));
}
PTB_RULE(13) { return all(h, ptb_word(p)); }


/* words with an apostrophe inside or at an end */
PTB_RULE(14)
{
    static const char *const fixed[] = {"'twas", "nor'easter", "c'mon", "e'er", "s'mores", "ev'ry", "li'l", "nat'l"};
    ptb_pos best = NULL, q, r, a = ptb_apos(p);
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        best = longer(best, ptb_lit(p, fixed[i]));
    if (a) {
        q = ptb_lit(a, "n"); /* A n A? */
        if (q) {
            r = ptb_apos(q);
            best = longer(best, r ? r : q);
        }
        best = longer(best, ptb_lit(a, "em"));
        if (*a >= '2' && *a <= '9' && a[1] == '0')
            best = longer(best, ptb_lit(a + 2, "s"));
        q = ptb_lit(a, "til");
        r = q ? ptb_lit(q, "l") : NULL;
        best = longer(best, r ? r : q);
        best = longer(best, ptb_lit(a, "cause"));
    }
    static const char *const stem[] = {"dunkin", "somethin", "ol"};
    for (int i = 0; i < 3; i++) {
        q = ptb_lit(p, stem[i]);
        best = longer(best, q ? ptb_apos(q) : NULL);
    }
    if (ptb_in(*p, "lLdDjJ"))
        best = longer(best, ptb_apos(p + 1));
    q = ptb_quote(p + 1);
    if (q && ((up(*p) && *p != 'I' && *p != 'Y') || *p == 'n') && ptb_is(*q, C_LT) && ptb_is(q[1], C_LT))
        best = longer(best, ptb_run(q, C_LT));
    r = q && ptb_lit(p, "o") ? ptb_lit(q, "o") : NULL; /* o Q o */
    best = longer(best, r);
    q = ptb_run(p, C_LT); /* LT+ vowel Q [aeiouA-Z] LT* */
    if (q - p >= 2 && ptb_in(q[-1], "aeiouyAEIOUY")) {
        r = ptb_quote(q);
        if (r && (up(*r) || ptb_in(*r, "aeiou")))
            best = longer(best, ptb_run(r, C_LT));
    }
    q = ptb_lit(p, "cont'd"); /* cont'd .? */
    if (q)
        best = longer(best, *q == '.' ? q + 1 : q);
    return all(h, best);
}
PTB_RULE(15)
{
    ptb_pos a = ptb_lit(p, "y") ? ptb_apos(p + 1) : NULL;
    return a && ptb_is(*a, C_LT) && ahead(h, a, a + 1);
}

static int url_out(unsigned c, const char *out) /* c cannot be in a URL part */
{
    return c == PTB_END || ptb_in(c, " \t\n\f\r\"<>|(") || ptb_in(c, out);
}
static int url_u(unsigned c) { return !url_out(c, "){}"); }
static int url_v(unsigned c) { return url_u(c) && !ptb_in(c, ".!?,-"); }
static int url_z(unsigned c) { return !url_out(c, ")"); }

/* one or more of in(), then a V: where the last V ends */
static ptb_pos url_tail(ptb_pos p, int (*in)(unsigned))
{
    ptb_pos e = p, best = NULL;
    for (; in(*e); e++)
        if (e > p && url_v(*e))
            best = e + 1;
    return best;
}
PTB_RULE(16)
{
    ptb_pos q = ptb_lit(p, "http");
    if (q && ptb_lit(q, "s"))
        q++;
    q = q ? ptb_lit(q, "://") : NULL;
    return q && all(h, url_tail(q, url_u));
}

static int url_x(unsigned c) { return url_u(c) && !ptb_in(c, ".!?,"); }
/* everything from U+002C to U+005F is out as well */
static int url_y(unsigned c) { return url_x(c) && !ptb_in(c, "`'$") && !(c >= 0x2c && c <= 0x5f); }

static ptb_pos url_path(ptb_pos e)
{
    ptb_pos t = *e == '/' ? url_tail(e + 1, url_z) : NULL;
    return t ? t : e;
}
PTB_RULE(17)
{
    static const char *const top[] = {"com", "net", "org", "edu"};
    ptb_pos best = NULL, q = ptb_lit(p, "www.");
    while (q) { /* (X+ .)+ al{2,4} */
        ptb_pos e = q;
        while (url_x(*e))
            e++;
        if (e == q || *e != '.')
            break;
        q = e + 1;
        for (int n = 1; n <= 4 && al(q[n - 1]); n++)
            if (n >= 2)
                best = longer(best, url_path(q + n));
    }
    for (q = p;;) { /* (Y+ .)+ (com|net|org|edu) */
        ptb_pos e = q;
        while (url_y(*e))
            e++;
        if (e == q || *e != '.')
            break;
        q = e + 1;
        for (int i = 0; i < 4; i++)
            if (ptb_lit(q, top[i]))
                best = longer(best, url_path(q + 3));
    }
    return all(h, best);
}

static int mail_e(unsigned c) { return !url_out(c, "){}") && c != PTB_NBSP; }
static int mail_w(unsigned c) { return mail_e(c) && c != '.'; }
PTB_RULE(18)
{
    ptb_pos q = *p == '<' ? p + 1 : NULL, best = NULL;
    if (!q)
        q = ptb_lit(p, "&lt;");
    if (!q)
        q = p;
    if (!an(*q))
        return 0;
    for (q++; mail_e(*q); q++) {
        if (*q != '@')
            continue;
        ptb_pos e = q + 1;
        while (mail_w(*e)) {
            while (mail_w(*e)) {
                e++;
                ptb_pos close = ptb_lit(e, "&gt;");
                best = longer(best, close);
            }
            best = longer(best, *e == '>' ? e + 1 : e);
            if (*e != '.')
                break;
            e++;
        }
        if (e > q + 1)
            q = e - 1; /* an @ inside what was scanned leads no further */
    }
    return all(h, best);
}
PTB_RULE(19)
{
    ptb_pos q = p + 1;
    if (*p == '@' && (al(*q) || *q == '_')) {
        while (an(*q) || *q == '_')
            q++;
        return all(h, q);
    }
    ptb_pos e = *p == '#' ? ptb_letter(q) : NULL;
    for (; e; e = ptb_letter(e))
        q = e;
    return q > p + 1 && all(h, q);
}
PTB_RULE(20)
{
    ptb_pos e = ptb_redaux(p);
    return e && *e != PTB_END && !al(*e) && ahead(h, e, e + 1);
}
PTB_RULE(21)
{
    ptb_pos e = ptb_sredaux(p);
    return e && *e != PTB_END && !al(*e) && ahead(h, e, e + 1);
}
PTB_RULE(22)
{
    ptb_pos q = ptb_count(p, C_DIG, 1, 2);
    if (!q || !ptb_in(*q, "-/"))
        return 0;
    q = ptb_count(q + 1, C_DIG, 1, 2);
    return q && ptb_in(*q, "-/") && all(h, ptb_count(q + 1, C_DIG, 2, 4));
}
/* [-+]? ( D+ | D* ([.:, sh U+066B U+066C] D+)+ ) */
PTB_RULE(23)
{
    ptb_pos b = *p == '-' || *p == '+' ? p + 1 : p, q = ptb_run(b, C_DIG), e = q > b ? q : NULL;
    while ((ptb_in(*q, ".:,") || *q == PTB_SHY || *q == 0x66b || *q == 0x66c) && ptb_is(q[1], C_DIG))
        q = e = ptb_run(q + 1, C_DIG);
    return all(h, e);
}
/* superscript or subscript number with a sign of either kind */
PTB_RULE(24)
{
    ptb_pos q = *p == 0x207a || *p == 0x207b || *p == 0x208a || *p == 0x208b ? p + 1 : p, e = q;
    while (*e == 0xb2 || *e == 0xb3 || *e == 0xb9 || *e == 0x2070 || (*e >= 0x2074 && *e <= 0x2079))
        e++;
    while (*q >= 0x2080 && *q <= 0x2089)
        q++;
    e = q > e ? q : e;
    return e > p && e[-1] != 0x207a && e[-1] != 0x207b && e[-1] != 0x208a && e[-1] != 0x208b && all(h, e);
}

static ptb_pos fraction(ptb_pos p)
{
    ptb_pos q = ptb_count(p, C_DIG, 1, 4);
    if (!q)
        return NULL;
    if (*q == '\\' && q[1] == '/')
        q += 2;
    else if (*q == '/' || *q == 0x2044)
        q++;
    else
        return NULL;
    return ptb_count(q, C_DIG, 1, 4);
}
PTB_RULE(25)
{
    ptb_pos q = ptb_count(p, C_DIG, 1, 4);
    ptb_pos e = q && (*q == '-' || is_gap(*q)) ? fraction(q + 1) : NULL;
    return all(h, e ? e : fraction(p));
}
PTB_RULE(26) { return ((*p >= 0xbc && *p <= 0xbe) || (*p >= 0x2153 && *p <= 0x215e)) && all(h, p + 1); }
PTB_RULE(27)
{
    static const char *const fixed[] = {"-lrb-", "-rrb-", "-lcb-", "-rcb-", "-lsb-", "-rsb-", "c.d.s", "pro-", "anti-", "s&p-500", "s&ls"};
    ptb_pos best = NULL;
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        best = longer(best, ptb_lit(p, fixed[i]));
    ptb_pos q = ptb_lit(p, "cap");
    q = q ? ptb_apos(q) : NULL;
    best = longer(best, q ? ptb_lit(q, "n") : NULL);
    q = ptb_lit(p, "c") ? ptb_apos(p + 1) : NULL;
    return all(h, longer(best, q ? ptb_lit(q, "est") : NULL));
}

/* an+ (-al+){0,2} */
static ptb_pos part3(ptb_pos p)
{
    ptb_pos q = ptb_run(p, C_AN);
    if (q == p)
        return NULL;
    for (int i = 0; i < 2 && *q == '-' && al(q[1]); i++)
        q = ptb_run(q + 1, C_AL);
    return q;
}
/* part ( (/ or \/) part ){1,2} */
PTB_RULE(28)
{
    ptb_pos q = part3(p), e = NULL;
    for (int i = 0; q && i < 2; i++) {
        q = *q == '/' ? part3(q + 1) : *q == '\\' && q[1] == '/' ? part3(q + 2) : NULL;
        e = q ? q : e;
    }
    return all(h, e);
}
PTB_RULE(29)
{
    ptb_pos q = ptb_run(p, C_UP);
    return *q == '$' ? all(h, q + 1) : *p == '#' && all(h, p + 1);
}
PTB_RULE(30)
{
    static const uint16_t sign[] = {0x80, 0xa2, 0xa3, 0xa4, 0xa5, 0x60b, 0xe3f, 0x20a0, 0x20a4, 0x20ac, 0xffe0, 0xffe1, 0xffe5, 0xffe6};
    for (size_t i = 0; i < sizeof sign / sizeof *sign; i++)
        if (*p == sign[i])
            return all(h, p + 1);
    return 0;
}
