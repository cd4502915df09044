/* The metric tokenizer's 81 rules in order of priority (ptb_word.c matches 1 to 30). Every rule competes with the length of
 * its match including what it looks ahead at; the earlier rule wins a tie; the token is only the part before the look-ahead.
 *
 * Notation of the comments: al ASCII letter, an ASCII letter or digit, d 0-9, L letter, LT Unicode letter, D Unicode digit,
 * LD LT or D, sh soft hyphen, A apostrophe, Q A or a single quote, H hyphen, S blank, N line break, SN either, INS [,;:] */
#include "text/ptb_priv.h"

/* Where an ACRO ends: its two forms, i = 0 and 1. */
static ptb_pos acro(ptb_pos p, int i) { return i ? ptb_acro_pair(p) : ptb_acro(p, 1); }

/* ACRO "." / SN+ ACW SN; a single letter loses its dot */
PTB_RULE(31)
{
    for (int i = 1; i >= 0; i--) {
        ptb_pos e = acro(p, i);
        if (!e || *e != '.')
            continue;
        ptb_pos q = e + 1;
        for (ptb_pos s = ptb_sn(q); s; s = ptb_sn(s))
            q = s;
        ptb_pos w = q > e + 1 ? ptb_acw(q) : NULL, t = w ? ptb_sn(w) : NULL;
        if (!t)
            continue;
        h->end = e - p == 1 ? e : e + 1;
        h->next = e;
        h->total = t;
        return 1;
    }
    return 0;
}
PTB_RULE(32)
{
    ptb_pos e = ptb_ab3(p), q = e ? ptb_sn(e) : NULL;
    if (q && ptb_is(*q, C_DIG))
        return ahead(h, e, q + 1);
    return e && ptb_is(*e, C_DIG) && ahead(h, e, e + 1);
}
PTB_RULE(33)
{
    ptb_pos q = ptb_lit(p, "pt");
    q = q && ptb_in(*q, "eyEY") && q[1] == '.' ? q + 2 : ptb_lit(p, "co.");
    if (!q || !ptb_is(*q, C_S))
        return 0;
    ptb_pos t = ptb_lit(q + 1, "ltd");
    return ahead(h, q, t ? t : ptb_lit(q + 1, "lim"));
}
/* AB1 / SN (SN | capital | SGML); the dot comes again as a token */
PTB_RULE(34)
{
    ptb_pos e = ptb_ab1(p), q = e ? ptb_sn(e) : NULL;
    if (!q)
        return 0;
    ptb_pos t = q - e == 2 ? q : NULL; /* CR LF can be two breaks */
    t = longer(longer(t, ptb_sn(q)), longer(ptb_is_capital(*q) ? q + 1 : NULL, ptb_sgml(q)));
    h->end = e;
    h->next = e - 1;
    h->total = t;
    return t != NULL;
}
PTB_RULE(35)
{
    ptb_pos e = ptb_ab1(p);
    return e && *e != PTB_END && e[1] != PTB_END && ahead(h, e, e + 2);
}
PTB_RULE(36)
{
    ptb_pos e = ptb_ab1(p);
    h->end = h->total = e;
    h->next = e ? e - 1 : NULL;
    return e != NULL;
}
/* AB4 "." */
PTB_RULE(37)
{
    ptb_pos end[3] = {ptb_acro_pair(p), ptb_acro(p, 1), ptb_ab4(p)}, best = NULL;
    for (int i = 0; i < 3; i++)
        if (end[i] && *end[i] == '.')
            best = longer(best, end[i] + 1);
    return all(h, best);
}
PTB_RULE(38)
{
    ptb_pos end[3] = {ptb_acro_pair(p), ptb_acro(p, 1), ptb_ab4(p)}, best = NULL;
    for (int i = 0; i < 3; i++)
        if (end[i] && ptb_is(*end[i], C_S))
            best = longer(best, end[i]);
    return best && ahead(h, best, best + 1);
}
PTB_RULE(39)
{
    for (int i = 1; i >= 0; i--) {
        ptb_pos e = acro(p, i), t = e ? ptb_sn(e) : NULL;
        if (t)
            return ahead(h, e, t);
    }
    return 0;
}
PTB_RULE(40)
{
    ptb_pos a = ptb_apos(p);
    a = a ? ptb_count(a, C_D, 2, 2) : NULL;
    return a && ahead(h, a, ptb_sn(a));
}
/* (L|D)+ (. (L|D)+)* . ext / (SN or . ? ! ,) */
PTB_RULE(41)
{
    static const char *const ext[] = {
        "bat", "bmp", "c", "class", "cgi", "cpp", "dll", "doc", "docx", "exe", "gif", "gz", "h", "htm", "html", "jar", "java", "jpeg",
        "jpg", "mov", "mp3", "pdf", "php", "pl", "png", "ppt", "ps", "py", "sql", "tar", "txt", "wav", "x", "xml", "zip"};
    ptb_pos q = p, best = NULL, total = NULL;
    for (;;) {
        ptb_pos e = q, s = q;
        for (; s; s = ptb_is(*e, C_DIG) ? e + 1 : ptb_letter(e))
            e = s;
        if (e == q || *e != '.')
            break;
        q = e + 1;
        for (size_t i = 0; i < sizeof ext / sizeof *ext; i++) {
            ptb_pos x = ptb_lit(q, ext[i]);
            ptb_pos t = !x ? NULL : ptb_in(*x, ".?!,") ? x + 1 : ptb_sn(x);
            if (t && (!total || t > total)) {
                total = t;
                best = x;
            }
        }
    }
    return best && ahead(h, best, total);
}
PTB_RULE(42)
{
    ptb_pos e = ptb_word(p);
    return e && *e == '.' && is_ins(e[1]) && ahead(h, e + 1, e + 2);
}

/* d{3,4} sep? d{3,5}, sep a dot, or a gap or hyphen that may be absent */
static ptb_pos phone_tail(ptb_pos p, int dotted)
{
    ptb_pos best = NULL;
    for (int n = 3; n <= 4; n++) {
        ptb_pos q = ptb_count(p, C_D, n, n);
        if (!q)
            break;
        if (dotted ? *q == '.' : *q == '-' || is_gap(*q))
            best = longer(best, ptb_count(q + 1, C_D, 3, 5));
        if (!dotted)
            best = longer(best, ptb_count(q, C_D, 3, 5));
    }
    return best;
}
PTB_RULE(43)
{
    ptb_pos best = NULL, q, r;
    if (*p == '(') {
        q = ptb_count(p + 1, C_D, 2, 3);
        if (!q || *q != ')')
            return 0;
        return all(h, longer(phone_tail(q + 1, 0), is_gap(q[1]) ? phone_tail(q + 2, 0) : NULL));
    }
    q = p;
    if (*q == '+')
        q += q[1] == '+' ? 2 : 1;
    for (int dotted = 0; dotted < 2; dotted++) { /* (d{2,4} sep)? d{2,4} sep tail */
        r = q;
        for (int n = 0; n < 2; n++) {
            r = ptb_count(r, C_D, 2, 4);
            if (!r || !(dotted ? *r == '.' : *r == '-' || is_gap(*r)))
                break;
            r++;
            if (dotted && n == 0 && q > p)
                continue; /* here the plus goes with the first of four groups only */
            best = longer(best, phone_tail(r, dotted));
        }
    }
    return all(h, best);
}

static ptb_pos dquote(ptb_pos p) { return *p == '"' ? p + 1 : ptb_lit(p, "&quot;"); }
PTB_RULE(44)
{
    ptb_pos e = dquote(p);
    return e && (an(*e) || *e == '$') && ahead(h, e, e + 1);
}
PTB_RULE(45) { return all(h, dquote(p)); }
PTB_RULE(46) { return *p == 0x7f && all(h, p + 1); }
PTB_RULE(47) { return all(h, *p == '<' ? p + 1 : ptb_lit(p, "&lt;")); }
PTB_RULE(48) { return all(h, *p == '>' ? p + 1 : ptb_lit(p, "&gt;")); }
PTB_RULE(49)
{
    ptb_pos q = *p == '<' || *p == '>' ? p + 1 : p;
    if (!ptb_in(*q, ":;="))
        return 0;
    q++;
    if (ptb_in(*q, "-o*'") && ptb_in(q[1], "()DPdpO\\{@|[]") && q[2] != PTB_END && !an(q[2]))
        return ahead(h, q + 2, q + 3);
    return ptb_in(*q, "()DPdpO\\{@|[]") && q[1] != PTB_END && !an(q[1]) && ahead(h, q + 1, q + 2);
}
PTB_RULE(50)
{
    const char *f = "^x=~<>'", *e = "-^x=~<>'";
    if (ptb_in(*p, e) && p[1] == '_' && ptb_in(p[2], e))
        return all(h, p + 3);
    if (*p != '(')
        return 0;
    ptb_pos q = p + 2;
    if (ptb_in(p[1], e)) {
        if ((*q == '_' || *q == '.') && ptb_in(q[1], e) && q[2] == ')')
            return all(h, q + 3);
        if (ptb_in(*q, e) && q[1] == ')')
            return all(h, q + 2);
    }
    return ptb_in(p[1], f) && *q == '-' && (ptb_in(q[1], f) || q[1] == '`') && q[2] == ')' && all(h, q + 3);
}
PTB_RULE(51) { return *p == '{' && all(h, p + 1); }
PTB_RULE(52) { return *p == '}' && all(h, p + 1); }
PTB_RULE(53) { return *p == '[' && all(h, p + 1); }
PTB_RULE(54) { return *p == ']' && all(h, p + 1); }
PTB_RULE(55) { return *p == '(' && all(h, p + 1); }
PTB_RULE(56) { return *p == ')' && all(h, p + 1); }

static ptb_pos same(ptb_pos p, unsigned c)
{
    while (*p == c)
        p++;
    return p;
}
PTB_RULE(57) { return *p == '-' && all(h, same(p, '-')); }
PTB_RULE(58)
{
    if (*p == 0x85 || *p == 0x2026)
        return all(h, p + 1);
    if (*p != '.')
        return 0;
    ptb_pos e = same(p, '.'), q = p, best = e - p < 3 ? NULL : e - p > 5 ? p + 5 : e;
    for (int n = 1; n <= 5 && *q == '.'; n++, q += 2) { /* (. gap){2,4} . */
        if (n >= 3)
            best = longer(best, q + 1);
        if (!is_gap(q[1]))
            break;
    }
    return all(h, best);
}
PTB_RULE(59) { return ptb_in(*p, "@#_") && all(h, same(p, *p)); }
PTB_RULE(60)
{
    ptb_pos e = same(p, '*');
    for (int n = 0; e == p + 2 * n && n < 3 && *e == '\\' && e[1] == '*'; n++)
        e += 2;
    return e > p && all(h, e);
}
PTB_RULE(61) { return is_ins(*p) && all(h, p + 1); }
PTB_RULE(62)
{
    ptb_pos e = p;
    while (*e == '?' || *e == '!')
        e++;
    return e > p && all(h, e);
}
PTB_RULE(63)
{
    static const uint16_t mark[] = {'.', 0xa1, 0xbf, 0x37e, 0x589, 0x61f, 0x6d4, 0x700, 0x701, 0x702, 0x7fa, 0x3002};
    for (size_t i = 0; i < sizeof mark / sizeof *mark; i++)
        if (*p == mark[i])
            return all(h, p + 1);
    return 0;
}
PTB_RULE(64) { return *p == '=' && all(h, p + 1); }
PTB_RULE(65) { return *p == '/' && all(h, p + 1); }

/* an (an . , sh)* ( - ( (an|sh)+ | ACRO2 . ) )+ ; dot: the longest one that a dot and an INS follow */
static ptb_pos hthing(ptb_pos p, int dot)
{
    if (!an(*p))
        return NULL;
    ptb_pos best = NULL, at = p;
    while (an(*at) || *at == '.' || *at == ',' || *at == PTB_SHY)
        at++;
    while (at && *at == '-') {
        ptb_pos q = at + 1, run = q, word = ptb_acro(q, 2), pair = ptb_acro_pair(q);
        while (an(*run) || *run == PTB_SHY)
            run++;
        while (word && *word != '.') /* the last letter that has a dot behind it */
            word = word - 2 > q + 2 ? word - 2 : NULL;
        ptb_pos end[3] = {run > q ? run : NULL, word ? word + 1 : NULL, pair && *pair == '.' ? pair + 1 : NULL};
        at = NULL;
        for (int i = 0; i < 3; i++) {
            ptb_pos e = end[i];
            if (e && (!dot || (*e == '.' && is_ins(e[1]))))
                best = longer(best, e);
            if (e && *e == '-')
                at = longer(at, e);
        }
    }
    return best;
}
PTB_RULE(66)
{
    ptb_pos e = hthing(p, 1);
    return e && ahead(h, e + 1, e + 2);
}
PTB_RULE(67) { return all(h, hthing(p, 0)); }

/* ([dDoOlL] Q LD)? LD+ */
static ptb_pos thing_part(ptb_pos p)
{
    ptb_pos q = ptb_in(*p, "dDoOlL") ? ptb_quote(p + 1) : NULL;
    if (q && ptb_is(*q, C_LT | C_DIG) && ptb_is(q[1], C_LT | C_DIG))
        p = q;
    q = ptb_run(p, C_LT | C_DIG);
    return q > p ? q : NULL;
}
static ptb_pos thing(ptb_pos p)
{
    ptb_pos e = thing_part(p);
    for (ptb_pos q = e; q; q = is_hyphen(*q) ? thing_part(q + 1) : NULL)
        e = q;
    return e;
}
PTB_RULE(68)
{
    ptb_pos e = thing(p);
    return e && *e == '.' && is_ins(e[1]) && ahead(h, e + 1, e + 2);
}
PTB_RULE(69) { return all(h, thing(p)); }

/* [A-Z]+ ( (+ | & | &amp;) [A-Z]+ )+ */
static ptb_pos thinga(ptb_pos p)
{
    ptb_pos q = ptb_run(p, C_UP), e = NULL;
    while (q > p && (*q == '+' || *q == '&')) {
        ptb_pos r = ptb_lit(q, "&amp;");
        r = r && up(*r) ? r : q + 1;
        if (!up(*r))
            break;
        q = e = ptb_run(r, C_UP);
    }
    return e;
}
PTB_RULE(70)
{
    ptb_pos e = thinga(p);
    return e && *e == '.' && is_ins(e[1]) && ahead(h, e + 1, e + 2);
}
PTB_RULE(71) { return all(h, thinga(p)); }
PTB_RULE(72)
{
    return *p == '\'' && al(p[1]) && p[2] != PTB_END && !ptb_in(p[2], " \t\n\r") && p[2] != PTB_NBSP && ahead(h, p + 1, p + 3);
}
PTB_RULE(73) { return all(h, ptb_redaux(p)); }
PTB_RULE(74) { return all(h, ptb_sredaux(p)); }

static int curly(unsigned c)
{
    return c == '`' || (c >= 0x2018 && c <= 0x201f) || c == 0x2039 || c == 0x203a || c == 0xab || c == 0xbb || (c >= 0x91 && c <= 0x94);
}
PTB_RULE(75)
{
    if (*p == '\'' && p[1] == '\'')
        return all(h, p + 2);
    return all(h, longer(ptb_apos(p), !curly(*p) ? NULL : curly(p[1]) ? p + 2 : p + 1));
}
PTB_RULE(76)
{
    return ((*p == '<' && p[1] == '<') || (*p == '>' && p[1] == '>')) && all(h, p + 2);
}
PTB_RULE(77)
{
    static const uint16_t range[][2] = {
        {0xa6, 0xa9}, {0xac, 0xac}, {0xae, 0xba}, {0xd7, 0xd7}, {0xf7, 0xf7}, {0x387, 0x387},
        {0x5be, 0x5be}, {0x5c0, 0x5c0}, {0x5c3, 0x5c3}, {0x5c6, 0x5c6}, {0x5f3, 0x5f4}, {0x600, 0x603}, {0x606, 0x60a}, {0x60c, 0x60c},
        {0x614, 0x614}, {0x61b, 0x61b}, {0x61e, 0x61e}, {0x66a, 0x66a}, {0x66d, 0x66d}, {0x703, 0x70d}, {0x7f6, 0x7f8}, {0x964, 0x965},
        {0xe4f, 0xe4f}, {0x1fbd, 0x1fbd}, {0x2016, 0x2017}, {0x2020, 0x2023},
        {0x2030, 0x2038}, {0x203b, 0x203b}, {0x203e, 0x2042}, {0x2044, 0x2044}, {0x207a, 0x207f}, {0x208a, 0x208e}, {0x2100, 0x214f},
        {0x2190, 0x21ff}, {0x2200, 0x2bff}, {0x3012, 0x3012}, {0x30fb, 0x30fb}, {0xff01, 0xff0f}, {0xff1a, 0xff20}, {0xff3b, 0xff40},
        {0xff5b, 0xff65}};
    if (ptb_in(*p, "+%&~^|\\"))
        return all(h, p + 1);
    for (size_t i = 0; *p >= 0x80 && i < sizeof range / sizeof *range; i++)
        if (*p >= range[i][0] && *p <= range[i][1])
            return all(h, p + 1);
    return 0;
}
PTB_RULE(78)
{
    ptb_pos e = ptb_run(p, C_S);
    return all(h, e > p ? e : *p == 0 || *p == 0x200b || *p == 0x200e || *p == 0x200f || *p == 0xfeff ? p + 1 : NULL);
}
PTB_RULE(79) { return all(h, ptb_newline(p)); }
PTB_RULE(80) { return all(h, ptb_lit(p, "&nbsp;")); }
PTB_RULE(81) { return all(h, p + 1); }

/* Kinds of first characters. */
enum { AL = 1, DG = 2, WIDE = 4, AMP = 8, SQ = 16, DASH = 32, PLUS = 64, DOT = 128, LT = 256, PAR = 512, OTHER = 1024, ANY = 2047 };
static unsigned kind(unsigned c)
{
    if (c >= 128)
        return WIDE;
    if (al(c))
        return AL;
    if (ptb_is(c, C_D))
        return DG;
    switch (c) {
    case '&': return AMP;
    case '\'': case '`': return SQ;
    case '-': return DASH;
    case '+': return PLUS;
    case '.': return DOT;
    case '<': return LT;
    case '(': return PAR;
    default: return OTHER;
    }
}

#define W (AL | WIDE)
#define K(n, first) {n, first, ptb_r##n, ACT_KEEP, NULL}
#define T(n, first, text) {n, first, ptb_r##n, ACT_TEXT, text}
#define X(n, first, act) {n, first, ptb_r##n, ACT_##act, NULL}
static const ptb_rule rules[] = {
    K(1, AL), K(2, AL), K(3, AL), K(4, SQ), K(5, SQ), K(6, AL), X(7, LT, NBSP),
    T(8, WIDE | AMP, "--"), T(9, AMP, "&"), K(10, AMP), X(11, W | AMP, SHY), X(12, W, SHY), X(13, W | AMP, SHY),
    K(14, W | SQ | AMP), K(15, AL), K(16, AL), K(17, ANY), K(18, AL | DG | LT | AMP), K(19, OTHER), X(20, SQ | WIDE | AMP, QUOTE),
    X(21, AL, QUOTE), K(22, DG | WIDE), X(23, DG | WIDE | DASH | PLUS | DOT | OTHER, SHY), K(24, WIDE), X(25, DG | WIDE, NBSP),
    X(26, WIDE, FRACTION), K(27, AL | DASH), K(28, AL | DG), K(29, AL | OTHER), X(30, WIDE, MONEY), K(31, AL), K(32, W), K(33, AL),
    K(34, W), K(35, W), K(36, W), K(37, W), K(38, W), K(39, AL), K(40, SQ | WIDE | AMP), K(41, W | DG | AMP), X(42, W | AMP, SHY),
    X(43, DG | PLUS | PAR, PHONE), {44, OTHER | AMP, ptb_r44, ACT_QUOTE, "``"}, X(45, OTHER | AMP, QUOTE), X(46, OTHER, SKIP), T(47, LT | AMP, "<"),
    T(48, OTHER | AMP, ">"), X(49, LT | OTHER, PAREN), X(50, AL | SQ | DASH | LT | PAR | OTHER, PAREN), T(51, OTHER, "-LCB-"),
    T(52, OTHER, "-RCB-"), T(53, OTHER, "-LSB-"), T(54, OTHER, "-RSB-"), T(55, PAR, "-LRB-"), T(56, OTHER, "-RRB-"), K(57, DASH),
    T(58, DOT | WIDE, "..."), K(59, OTHER), K(60, OTHER), K(61, OTHER | WIDE), K(62, OTHER), K(63, DOT | WIDE), K(64, OTHER),
    K(65, OTHER), X(66, AL | DG, SHY), X(67, AL | DG, SHY), K(68, W | DG), K(69, W | DG), X(70, AL, AMP), X(71, AL, AMP),
    T(72, SQ, "`"), X(73, SQ | WIDE | AMP, QUOTE), X(74, AL, QUOTE), X(75, SQ | WIDE | AMP, QUOTE), K(76, LT | OTHER), K(77, ANY),
    X(78, OTHER | WIDE, SKIP), X(79, OTHER | WIDE, NEWLINE), X(80, AMP, SKIP), X(81, ANY, SKIP),
};

const ptb_rule *ptb_match(ptb_pos p, ptb_hit *h)
{
    const ptb_rule *won = NULL;
    unsigned k = kind(*p);
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        ptb_hit t;
        if ((rules[i].first & k) && rules[i].match(p, &t) && (!won || t.total > h->total)) {
            *h = t;
            won = &rules[i];
        }
    }
    return won;
}
