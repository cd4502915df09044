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

static const uint16_t marks[][2] = { /* join words like letters: soft hyphen, combining marks, vowel signs, some modifiers */
    {0xad, 0xad}, {0x2c2, 0x2c5}, {0x2d2, 0x2df}, {0x2e5, 0x2eb}, {0x2ed, 0x2ed}, {0x2ef, 0x36f}, {0x375, 0x375},
    {0x378, 0x379}, {0x384, 0x385}, {0x3f6, 0x3f6}, {0x483, 0x487}, {0x55a, 0x55f}, {0x591, 0x5bd}, {0x5bf, 0x5bf},
    {0x5c1, 0x5c2}, {0x5c4, 0x5c5}, {0x5c7, 0x5c7}, {0x615, 0x61a}, {0x64b, 0x65e}, {0x670, 0x670}, {0x6d6, 0x6e4},
    {0x6e7, 0x6ed}, {0x6fd, 0x6fe}, {0x70f, 0x70f}, {0x711, 0x711}, {0x730, 0x74c}, {0x7a6, 0x7b0}, {0x7eb, 0x7f3},
    {0x900, 0x903}, {0x93c, 0x93c}, {0x93e, 0x94e}, {0x951, 0x955}, {0x962, 0x963}, {0x981, 0x983}, {0x9bc, 0x9bc},
    {0x9be, 0x9c4}, {0x9c7, 0x9c8}, {0x9cb, 0x9cd}, {0x9d7, 0x9d7}, {0x9e2, 0x9e3}, {0xa01, 0xa03}, {0xa3c, 0xa3c},
    {0xa3e, 0xa4f}, {0xa81, 0xa83}, {0xabc, 0xabc}, {0xabe, 0xacf}, {0xb82, 0xb82}, {0xbbe, 0xbc2}, {0xbc6, 0xbc8},
    {0xbca, 0xbcd}, {0xc01, 0xc03}, {0xc3e, 0xc56}, {0xd3e, 0xd44}, {0xd46, 0xd48}, {0xe31, 0xe31}, {0xe34, 0xe3a},
    {0xe47, 0xe4e}, {0xeb1, 0xeb1}, {0xeb4, 0xebc}, {0xec8, 0xecd},
};
static const uint16_t newer[][2] = { /* letters and digits younger than the Unicode version of the official lexer, unknown to it */
    {0x37f, 0x37f}, {0x528, 0x52f}, {0x560, 0x560}, {0x588, 0x588}, {0x5ef, 0x5ef}, {0x860, 0x86a}, {0x870, 0x887},
    {0x889, 0x88e}, {0x8a1, 0x8a1}, {0x8ad, 0x8c9}, {0x978, 0x978}, {0x980, 0x980}, {0x9fc, 0x9fc}, {0xaf9, 0xaf9},
    {0xc34, 0xc34}, {0xc5a, 0xc5a}, {0xc5d, 0xc5d}, {0xc80, 0xc80}, {0xcdd, 0xcdd}, {0xd04, 0xd04}, {0xd54, 0xd56},
    {0xd5f, 0xd5f}, {0xde6, 0xdef}, {0xe86, 0xe86}, {0xe89, 0xe89}, {0xe8c, 0xe8c}, {0xe8e, 0xe93}, {0xe98, 0xe98},
    {0xea0, 0xea0}, {0xea8, 0xea9}, {0xeac, 0xeac}, {0x13f5, 0x13f5}, {0x13f8, 0x13fd}, {0x16f1, 0x16f8},
    {0x170d, 0x170d}, {0x171f, 0x171f}, {0x1878, 0x1878}, {0x191d, 0x191e}, {0x19b0, 0x19c0}, {0x19c8, 0x19c9},
    {0x1b4c, 0x1b4c}, {0x1c80, 0x1c88}, {0x1c90, 0x1cba}, {0x1cbd, 0x1cbf}, {0x1cf2, 0x1cf3}, {0x1cfa, 0x1cfa},
    {0x2c2f, 0x2c2f}, {0x2c5f, 0x2c5f}, {0x312e, 0x312f}, {0x31bb, 0x31bf}, {0x4db6, 0x4dbf}, {0x9fcd, 0x9fff},
    {0xa698, 0xa69d}, {0xa78f, 0xa78f}, {0xa794, 0xa79f}, {0xa7ab, 0xa7ca}, {0xa7d0, 0xa7d1}, {0xa7d3, 0xa7d3},
    {0xa7d5, 0xa7d9}, {0xa7f2, 0xa7f7}, {0xa8fd, 0xa8fe}, {0xa9e0, 0xa9e4}, {0xa9e6, 0xa9fe}, {0xaa7e, 0xaa7f},
    {0xab30, 0xab5a}, {0xab5c, 0xab69}, {0xab70, 0xabbf},
};

static int in_ranges(const uint16_t (*r)[2], size_t n, unsigned c)
{
    size_t lo = 0, hi = n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (c > r[mid][1])
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < n && c >= r[lo][0];
}
#define IN_RANGES(r, c) in_ranges(r, sizeof(r) / sizeof *(r), c)

unsigned ptb_class_wide(unsigned c)
{
    if (c == PTB_NBSP || (c >= 0x2000 && c <= 0x200a) || c == 0x3000)
        return C_S;
    if (c == 0x85 || c == 0x2028 || c == 0x2029)
        return C_N;
    if (c >= 0xd800 && c <= 0xdfff)
        return 0; /* characters above U+FFFF are two units to the lexer, neither of them a letter */
    if (IN_RANGES(marks, c))
        return C_MARK;
    if (IN_RANGES(newer, c))
        return 0;
    if (c == 0x1885 || c == 0x1886)
        return C_LT; /* letters then, marks since Unicode 9 */
    if (uc_is_general_category_withtable(c, UC_CATEGORY_MASK_L))
        return C_LT;
    if (uc_is_general_category(c, UC_CATEGORY_Nd))
        return C_DIG;
    return 0;
}

int ptb_is_capital(unsigned c)
{
    if (c < 128)
        return ptb_is(c, C_UP);
    return c != PTB_END && !(c >= 0x13a0 && c <= 0x13f5) /* Cherokee had no case then */ && !IN_RANGES(newer, c) &&
           uc_is_property_uppercase(c);
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

/* A quoted value; it may span lines. */
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
    for (;;) { /* blank+ (NAME | NAME blank* = blank* quoted) */
        ptb_pos q = blanks(p), r = q > p ? name(q) : NULL;
        if (!r)
            break;
        ptb_pos e = blanks(r), v = *e == '=' ? quoted(blanks(e + 1)) : NULL;
        p = v ? v : r;
    }
    p = blanks(p);
    if (*p == '/')
        p = blanks(p + 1);
    return *p == '>' ? p + 1 : NULL;
}

ptb_pos ptb_acro(ptb_pos p, int min_letters)
{
    if (!ptb_is(*p, C_AL))
        return NULL;
    int n = 1;
    for (p++; *p == '.' && ptb_is(p[1], C_AL); p += 2)
        n++;
    return n >= min_letters ? p : NULL;
}

ptb_pos ptb_acro_pair(ptb_pos p)
{
    static const char *const pair[] = {"canada-u.s", "sino-u.s", "korean-u.s", "eu-u.s", "japan-u.s", "non-u.s", "u.s.-u.s.s.r", "u.s.-u.k"};
    ptb_pos e = NULL;
    for (size_t i = 0; i < sizeof pair / sizeof *pair && !e; i++)
        e = ptb_lit(p, pair[i]);
    return e;
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
        "maj", "messrs", "mlle", "mme", "mr", "mrs", "ms", "msgr", "mt", "natl", "pfc", "ph", "pres", "prof",
        "profs", "pvt", "rep", "reps", "rev", "sen", "sens", "sfc", "sgt", "spc", "st", "ste", "supt", "supts", "treas", "vs",
        "wm"};
    ptb_pos e = letters(p);
    if (e - p == 3 && ptb_lit(p, "m") && ptb_in(p[1], "ft") && ptb_lit(p + 2, "g"))
        return e;
    return e > p && (IN_LIST(any, p, e) || (*p == 'M' && e - p == 4 && ptb_lit(p + 1, "iss"))) ? e : NULL;
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
