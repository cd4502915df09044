/* Character classes and shared pieces of the metric tokenizer's rules. */
#include "text/ptb_priv.h"
#include <string.h>
#include <unictype.h>

#define LO (C_AL | C_LT)
#define UP (C_AL | C_LT | C_UP)
#define DI (C_D | C_DIG)
const uint8_t ptb_ascii[128] = {
    ['\t'] = C_S, [' '] = C_S, ['\n'] = C_N, ['\r'] = C_N, ['\v'] = C_N, ['\f'] = C_N,
    ['0'] = DI, DI, DI, DI, DI, DI, DI, DI, DI, DI,
    ['A'] = UP, UP, UP, UP, UP, UP, UP, UP, UP, UP, UP, UP, UP, UP, UP, UP, UP, UP, UP, UP, UP, UP, UP, UP, UP, UP,
    ['a'] = LO, LO, LO, LO, LO, LO, LO, LO, LO, LO, LO, LO, LO, LO, LO, LO, LO, LO, LO, LO, LO, LO, LO, LO, LO, LO,
};

unsigned ptb_class_wide(unsigned c)
{
    if (c == PTB_SHY || (c >= 0x300 && c <= 0x36f))
        return C_MARK;
    if (c == PTB_NBSP || (c >= 0x2000 && c <= 0x200a) || c == 0x3000)
        return C_S;
    if (c == 0x85 || c == 0x2028 || c == 0x2029)
        return C_N;
    if (c >= 0xd800 && c <= 0xdfff)
        return 0;
    if (uc_is_general_category_withtable(c, UC_CATEGORY_MASK_L))
        return C_LT;
    if (uc_is_general_category(c, UC_CATEGORY_Nd))
        return C_DIG;
    return 0;
}

int ptb_in(unsigned c, const char *set)
{
    return c > 0 && c < 128 && strchr(set, (int)c) != NULL;
}

/* ASCII lower case, with the two signs that Unicode folds onto ASCII letters. */
static unsigned fold(unsigned c)
{
    if (c >= 'A' && c <= 'Z')
        return c + 32;
    return c == 0x212a ? 'k' : c == 0x17f ? 's' : c;
}

ptb_pos ptb_lit(ptb_pos p, const char *s)
{
    for (; *s; s++, p++)
        if (fold(*p) != fold((unsigned char)*s))
            return NULL;
    return p;
}

ptb_pos ptb_run(ptb_pos p, unsigned bits)
{
    while (ptb_is(*p, bits))
        p++;
    return p;
}

ptb_pos ptb_count(ptb_pos p, unsigned bits, int lo, int hi)
{
    int n = 0;
    while (n < hi && ptb_is(*p, bits))
        p++, n++;
    return n < lo ? NULL : p;
}

ptb_pos ptb_letter(ptb_pos p)
{
    if (ptb_is(*p, C_LT | C_MARK))
        return p + 1;
    if (*p != '&' || !ptb_in(p[1], "aeiouAEIOU"))
        return NULL;
    static const char *const accent[] = {"acute;", "grave;", "uml;"};
    for (int i = 0; i < 3; i++) {
        ptb_pos q = ptb_lit(p + 2, accent[i]);
        if (q)
            return q;
    }
    return NULL;
}

ptb_pos ptb_apos(ptb_pos p)
{
    if (*p == '\'' || *p == 0x2019 || *p == 0x92)
        return p + 1;
    return *p == '&' ? ptb_lit(p, "&apos;") : NULL;
}

ptb_pos ptb_quote(ptb_pos p)
{
    return *p == '`' || *p == 0x91 || *p == 0x2018 || *p == 0x201b ? p + 1 : ptb_apos(p);
}

ptb_pos ptb_newline(ptb_pos p)
{
    if (*p == '\r' && p[1] == '\n')
        return p + 2;
    return ptb_is(*p, C_N) ? p + 1 : NULL;
}

ptb_pos ptb_sn(ptb_pos p)
{
    return ptb_is(*p, C_S) ? p + 1 : ptb_newline(p);
}

ptb_pos ptb_word(ptb_pos p)
{
    ptb_pos q = ptb_letter(p);
    while (q) {
        p = q;
        while (q) {
            p = q;
            q = ptb_is(*p, C_DIG) ? p + 1 : ptb_letter(p);
        }
        if (!ptb_in(*p, ".!?"))
            return p;
        q = ptb_letter(p + 1);
        if (!q)
            return p;
    }
    return NULL;
}

ptb_pos ptb_redaux(ptb_pos p)
{
    ptb_pos q = ptb_apos(p);
    if (!q)
        return NULL;
    if (ptb_in(*q, "msdMSD"))
        return q + 1;
    ptb_pos r = ptb_lit(q, "re");
    if (!r)
        r = ptb_lit(q, "ve");
    return r ? r : ptb_lit(q, "ll");
}

ptb_pos ptb_sredaux(ptb_pos p)
{
    ptb_pos q = ptb_lit(p, "n");
    q = q ? ptb_quote(q) : NULL;
    return q ? ptb_lit(q, "t") : NULL;
}

/* NAME = al (an | _ : . -)* */
static ptb_pos name(ptb_pos p)
{
    if (!ptb_is(*p, C_AL))
        return NULL;
    while (ptb_is(*p, C_AN) || ptb_in(*p, "_:.-"))
        p++;
    return p;
}

static ptb_pos blanks(ptb_pos p)
{
    while (*p == ' ')
        p++;
    return p;
}

/* A quoted value, or NULL. */
static ptb_pos quoted(ptb_pos p)
{
    unsigned mark = *p;
    if (mark != '"' && mark != '\'')
        return NULL;
    for (p++; *p != PTB_END; p++)
        if (*p == mark)
            return p + 1;
    return NULL;
}

ptb_pos ptb_sgml(ptb_pos p)
{
    if (*p != '<')
        return NULL;
    p++;
    if (*p == '!' || *p == '?') {
        p++;
        if (!ptb_is(*p, C_AL) && *p != '-')
            return NULL;
        while (*p != '>' && *p != '\r' && *p != '\n' && *p != PTB_END)
            p++;
        return *p == '>' ? p + 1 : NULL;
    }
    if (*p == '/') {
        p = name(p + 1);
        if (!p)
            return NULL;
        p = blanks(p);
        return *p == '>' ? p + 1 : NULL;
    }
    p = name(p);
    if (!p)
        return NULL;
    for (;;) { /* blank+ (NAME | NAME blank* = blank* quoted | quoted) */
        ptb_pos q = blanks(p);
        if (q == p)
            break;
        ptb_pos r = name(q);
        if (r) {
            ptb_pos e = blanks(r);
            ptb_pos v = *e == '=' ? quoted(blanks(e + 1)) : NULL;
            p = v ? v : r;
        } else {
            r = quoted(q);
            if (!r)
                break;
            p = r;
        }
    }
    p = blanks(p);
    if (*p == '/')
        p = blanks(p + 1);
    return *p == '>' ? p + 1 : NULL;
}

ptb_pos ptb_acro(ptb_pos p, int min_letters)
{
    static const char *const pair[] = {"canada-u.s", "sino-u.s", "korean-u.s", "eu-u.s", "japan-u.s", "non-u.s", "u.s.-u.s.s.r", "u.s.-u.k"};
    ptb_pos best = NULL;
    if (!ptb_is(*p, C_AL))
        return NULL;
    for (size_t i = 0; i < sizeof pair / sizeof *pair && !best; i++)
        best = ptb_lit(p, pair[i]);
    ptb_pos q = p + 1;
    int n = 1;
    while (*q == '.' && ptb_is(q[1], C_AL))
        q += 2, n++;
    return n >= min_letters && q > (best ? best : p) ? q : best;
}

/* Sorted lists of lower-case words; lookup of the letters [p,e). */
static int in_list(const char *const *list, size_t n, ptb_pos p, ptb_pos e)
{
    char w[16];
    size_t len = (size_t)(e - p);
    if (len == 0 || len >= sizeof w)
        return 0;
    for (size_t i = 0; i < len; i++) {
        unsigned c = fold(p[i]);
        if (c >= 128)
            return 0;
        w[i] = (char)c;
    }
    w[len] = 0;
    size_t lo = 0, hi = n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        int d = strcmp(list[mid], w);
        if (d == 0)
            return 1;
        if (d < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return 0;
}
#define IN_LIST(list, p, e) in_list(list, sizeof(list) / sizeof *(list), p, e)

static ptb_pos letters(ptb_pos p)
{
    while (fold(*p) < 128 && ptb_is(fold(*p), C_AL))
        p++;
    return p;
}

ptb_pos ptb_ab1(ptb_pos p)
{
    static const char *const any[] = {
        "al", "ala", "apr", "ariz", "assn", "aug", "bancorp", "bhd", "bldg", "blvd", "bros", "calif", "co", "colo", "conn", "corp",
        "cos", "ct", "dak", "dec", "esq", "est", "etc", "ext", "feb", "fla", "fri", "ga", "inc", "ind", "intl", "jan", "jr", "jul",
        "jun", "kan", "kans", "ky", "ltd", "mar", "md", "mich", "minn", "mo", "mon", "mont", "neb", "nev", "nov", "oct", "okla",
        "penn", "plc", "rd", "rt", "sep", "sept", "seq", "sq", "sr", "sys", "tel", "tenn", "thu", "thurs", "tue", "tues", "univ",
        "va", "vt", "wed", "wis", "wisc", "wyo"};
    static const char *const capital[] = {"ark", "az", "del", "ill", "la", "mass", "miss", "ore", "pa", "tex", "wash"};
    ptb_pos e = letters(p);
    if (*e != '.' || e == p)
        return NULL;
    if (IN_LIST(any, p, e) || (ptb_is(*p, C_UP) && IN_LIST(capital, p, e)))
        return e + 1;
    ptb_pos q = ptb_lit(p, "ed.d.");
    if (!q)
        q = ptb_lit(p, "ph.d.");
    if (q)
        return q;
    q = ptb_lit(p, "p"); /* P p? t [ye] s? */
    if (!q)
        return NULL;
    ptb_pos r = ptb_lit(q, "p");
    q = ptb_lit(r ? r : q, "t");
    if (!q || !ptb_in(*q, "ye"))
        return NULL;
    r = ptb_lit(q + 1, "s");
    q = r ? r : q + 1;
    return *q == '.' ? q + 1 : NULL;
}

ptb_pos ptb_ab3(ptb_pos p)
{
    static const char *const any[] = {"art", "bldg", "ca", "fig", "figs", "no", "nos", "op", "pp", "prop"};
    ptb_pos e = letters(p);
    return *e == '.' && IN_LIST(any, p, e) ? e + 1 : NULL;
}

ptb_pos ptb_ab4(ptb_pos p)
{
    static const char *const any[] = {
        "adj", "adm", "adv", "alex", "assoc", "asst", "atty", "attys", "ave", "brig", "capt", "cf", "cie", "cmdr", "col", "comdr",
        "cpl", "dept", "det", "dr", "drs", "elec", "ens", "ft", "gen", "gov", "govs", "hon", "insp", "invt", "jos", "lieut", "lt",
        "maj", "messrs", "mfg", "mlle", "mme", "mr", "mrs", "ms", "msgr", "mt", "mtg", "natl", "pfc", "ph", "pres", "prof",
        "profs", "pvt", "rep", "reps", "rev", "sen", "sens", "sfc", "sgt", "spc", "st", "ste", "supt", "supts", "treas", "vs",
        "wm"};
    ptb_pos e = letters(p), a = ptb_acro(p, 1);
    if (e > p && (IN_LIST(any, p, e) || (*p == 'M' && e - p == 4 && ptb_lit(p + 1, "iss"))))
        return a && a > e ? a : e;
    return a;
}

ptb_pos ptb_acw(ptb_pos p)
{
    static const char *const any[] = {
        "a", "about", "according", "additionally", "after", "an", "as", "at", "but", "earlier", "he", "her", "here", "however",
        "if", "in", "it", "last", "many", "more", "now", "once", "one", "other", "our", "she", "since", "so", "some", "such",
        "that", "the", "their", "then", "there", "these", "they", "this", "we", "what", "when", "while", "yet", "you"};
    if (*p == '<')
        return ptb_sgml(p);
    if (!ptb_is(*p, C_UP))
        return NULL;
    ptb_pos e = letters(p);
    if (*e == '.' && (ptb_lit(p, "mr.") || ptb_lit(p, "ms.")))
        return p + 3;
    return IN_LIST(any, p, e) ? e : NULL;
}
