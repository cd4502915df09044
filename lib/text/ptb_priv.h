/* Inside the metric tokenizer: text is an array of UTF-16 units ended by PTB_END, as the official lexer sees it.
 * A matcher takes a position and returns where its longest match ends, or NULL. Notation: spec of the rules in ptb_rule.c. */
#ifndef CAPT_TEXT_PTB_PRIV_H
#define CAPT_TEXT_PTB_PRIV_H
#include <stddef.h>
#include <stdint.h>

typedef const uint16_t *ptb_pos;
enum { PTB_END = 0xffff, PTB_SHY = 0xad, PTB_NBSP = 0xa0 };

/* Bits of ptb_class. */
enum {
    C_AL = 1,    /* ASCII letter */
    C_D = 2,     /* ASCII digit */
    C_UP = 4,    /* ASCII capital */
    C_LT = 8,    /* Unicode letter */
    C_DIG = 16,  /* Unicode digit */
    C_MARK = 32, /* joins words like a letter: soft hyphen, combining marks */
    C_S = 64,    /* blank */
    C_N = 128,   /* line break */
    C_AN = C_AL | C_D,
    C_SN = C_S | C_N
};
extern const uint8_t ptb_ascii[128];
unsigned ptb_class_wide(unsigned c);
static inline unsigned ptb_class(unsigned c) { return c < 128 ? ptb_ascii[c] : ptb_class_wide(c); }
static inline int ptb_is(unsigned c, unsigned bits) { return (ptb_class(c) & bits) != 0; }
int ptb_is_capital(unsigned c); /* of any script */
/* c is one of the ASCII characters of set (never PTB_END). */
int ptb_in(unsigned c, const char *set);

ptb_pos ptb_lit(ptb_pos p, const char *s);   /* literal, any case */
ptb_pos ptb_run(ptb_pos p, unsigned bits);   /* zero or more of a class; never NULL */
ptb_pos ptb_count(ptb_pos p, unsigned bits, int lo, int hi); /* lo..hi of a class, as many as there are; NULL if fewer */
ptb_pos ptb_letter(ptb_pos p);               /* L: one letter, mark or accented entity */
ptb_pos ptb_apos(ptb_pos p);                 /* A */
ptb_pos ptb_quote(ptb_pos p);                /* Q */
ptb_pos ptb_newline(ptb_pos p);              /* N, CR LF as one */
ptb_pos ptb_sn(ptb_pos p);                   /* S or N */
ptb_pos ptb_word(ptb_pos p);                 /* WORD */
ptb_pos ptb_redaux(ptb_pos p);               /* 's 're ... */
ptb_pos ptb_sredaux(ptb_pos p);              /* n't */
ptb_pos ptb_sgml(ptb_pos p);                 /* a tag */
ptb_pos ptb_acro(ptb_pos p, int min_letters); /* al (. al)*, no final dot; ACRO takes 1 letter or more, ACRO2 2 */
ptb_pos ptb_acro_pair(ptb_pos p);            /* the other form of both: Canada-U.S and the like */
ptb_pos ptb_ab1(ptb_pos p);                  /* abbreviations that can end a sentence, with the dot */
ptb_pos ptb_ab3(ptb_pos p);                  /* those of numbers, with the dot */
ptb_pos ptb_ab4(ptb_pos p);                  /* titles, without the dot; ACRO counts as one too but is not looked for here */
ptb_pos ptb_acw(ptb_pos p);                  /* capitalised word that starts a sentence, without what follows */

/* What a rule found: the token is [p,end), lexing goes on at next, and the rule competes with the length to total. */
typedef struct ptb_hit { ptb_pos end, next, total; } ptb_hit;
typedef enum ptb_act {
    ACT_KEEP, ACT_TEXT, ACT_SHY /* delete soft hyphens */, ACT_NBSP /* blank -> U+00A0 */, ACT_AMP /* &amp; -> & */,
    ACT_QUOTE /* quotes to ASCII */, ACT_PAREN /* ( ) -> -LRB- -RRB- */, ACT_PHONE /* ACT_PAREN, ACT_NBSP */,
    ACT_FRACTION, ACT_MONEY, ACT_SKIP, ACT_NEWLINE
} ptb_act;
typedef struct ptb_rule {
    int id;             /* its number in the order of priority */
    unsigned first;     /* kinds of first characters it can start with */
    int (*match)(ptb_pos p, ptb_hit *h); /* 1 and h filled in, or 0 */
    ptb_act act;
    const char *text;   /* of ACT_TEXT; of ACT_QUOTE: what a straight double quote becomes, NULL: '' */
} ptb_rule;
#define PTB_RULE(n) int ptb_r##n(ptb_pos p, ptb_hit *h)
PTB_RULE(1); PTB_RULE(2); PTB_RULE(3); PTB_RULE(4); PTB_RULE(5); PTB_RULE(6); PTB_RULE(7); PTB_RULE(8); PTB_RULE(9);
PTB_RULE(10); PTB_RULE(11); PTB_RULE(12); PTB_RULE(13); PTB_RULE(14); PTB_RULE(15); PTB_RULE(16); PTB_RULE(17); PTB_RULE(18);
PTB_RULE(19); PTB_RULE(20); PTB_RULE(21); PTB_RULE(22); PTB_RULE(23); PTB_RULE(24); PTB_RULE(25); PTB_RULE(26); PTB_RULE(27);
PTB_RULE(28); PTB_RULE(29); PTB_RULE(30); PTB_RULE(31); PTB_RULE(32); PTB_RULE(33); PTB_RULE(34); PTB_RULE(35); PTB_RULE(36);
PTB_RULE(37); PTB_RULE(38); PTB_RULE(39); PTB_RULE(40); PTB_RULE(41); PTB_RULE(42); PTB_RULE(43); PTB_RULE(44); PTB_RULE(45);
PTB_RULE(46); PTB_RULE(47); PTB_RULE(48); PTB_RULE(49); PTB_RULE(50); PTB_RULE(51); PTB_RULE(52); PTB_RULE(53); PTB_RULE(54);
PTB_RULE(55); PTB_RULE(56); PTB_RULE(57); PTB_RULE(58); PTB_RULE(59); PTB_RULE(60); PTB_RULE(61); PTB_RULE(62); PTB_RULE(63);
PTB_RULE(64); PTB_RULE(65); PTB_RULE(66); PTB_RULE(67); PTB_RULE(68); PTB_RULE(69); PTB_RULE(70); PTB_RULE(71); PTB_RULE(72);
PTB_RULE(73); PTB_RULE(74); PTB_RULE(75); PTB_RULE(76); PTB_RULE(77); PTB_RULE(78); PTB_RULE(79); PTB_RULE(80); PTB_RULE(81);

/* token [p,e), no look-ahead */
static inline int all(ptb_hit *h, ptb_pos e)
{
    h->end = h->next = h->total = e;
    return e != NULL;
}

/* token [p,e), look-ahead to total */
static inline int ahead(ptb_hit *h, ptb_pos e, ptb_pos total)
{
    h->end = h->next = e;
    h->total = total;
    return e != NULL && total != NULL;
}

static inline int is_ins(unsigned c) { return c == ',' || c == ';' || c == ':' || c == 0x3001; }
static inline int is_hyphen(unsigned c) { return c == '-' || c == '_' || c == 0x58a || c == 0x2010 || c == 0x2011; }
static inline int is_gap(unsigned c) { return c == ' ' || c == PTB_NBSP; }
static inline int al(unsigned c) { return ptb_is(c, C_AL); }
static inline int an(unsigned c) { return ptb_is(c, C_AN); }
static inline int up(unsigned c) { return ptb_is(c, C_UP); }

static inline ptb_pos longer(ptb_pos a, ptb_pos b) { return !a || (b && b > a) ? b : a; }

/* The winning rule at p (there always is one before the end). */
const ptb_rule *ptb_match(ptb_pos p, ptb_hit *h);
#endif
