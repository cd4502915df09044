#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include "base/hash.h"
#include "base/mem.h"
#include "base/rng.h"
#include "data/toy.h"

enum { N_SHAPE = CAPT_TOY_SHAPES, N_COLOUR = 8, N_GROUND = 6, BLACK = 6 };
enum { SINGLE = CAPT_TOY_SINGLE, PAIR = CAPT_TOY_PAIR, GROUP = CAPT_TOY_GROUP };
static const char *const split_name[CAPT_TOY_SPLITS] = {"train", "restval", "val", "test"};

static const struct shape {
    const char *name, *one, *many; /* category, noun rules */
    int usual; /* colour */
} shape[N_SHAPE] = {
    {"circle", "[7:circle|3:ball]", "[7:circles|3:balls]", 0},
    {"square", "[7:square|3:box]", "[7:squares|3:boxes]", 1},
    {"triangle", "[8:triangle|2:pyramid]", "triangles", 2},
    {"star", "star", "stars", 3},
    {"cross", "[7:cross|3:plus sign]", "crosses", 6},
    {"ring", "[7:ring|3:hoop]", "[7:rings|3:hoops]", 4},
    {"diamond", "diamond", "diamonds", 5},
    {"moon", "[6:moon|4:crescent]", "moons", 7},
};
static const struct colour {
    const char *name, *rule;
    unsigned char rgb[3];
} colour[N_COLOUR] = {
    {"red", "red", {214, 40, 40}},      {"blue", "blue", {40, 80, 225}},
    {"green", "green", {20, 140, 50}},  {"yellow", "yellow", {250, 220, 40}},
    {"orange", "orange", {245, 135, 15}}, {"purple", "[7:purple|3:violet]", {135, 45, 175}},
    {"black", "black", {25, 25, 28}},   {"white", "white", {250, 250, 250}},
};
static const struct ground {
    const char *name, *rule;
    unsigned char rgb[3];
} ground[N_GROUND] = {
    {"grass", "[6:on the grass|4:in a field]", {160, 195, 120}},
    {"sand", "[6:on the sand|4:at the beach]", {226, 206, 160}},
    {"brick", "[5:on a brick wall|3:in front of a brick wall|2:against a wall]", {188, 128, 108}},
    {"tiles", "[6:on a tiled floor|4:on the floor]", {205, 205, 205}},
    {"sky", "[6:in the sky|4:in the blue sky]", {175, 210, 242}},
    {"night", "[6:in the dark|4:at night]", {28, 32, 74}},
};
static const char *const place_name[] = {"middle", "top-left", "top-right", "bottom-left", "bottom-right"};
static const char *const place_rule[] = {"[6:in the middle|4:in the center]", "[6:in the top left corner|4:at the top left]",
    "[6:in the top right corner|4:at the top right]", "[6:in the bottom left corner|4:at the bottom left]",
    "[6:in the bottom right corner|4:at the bottom right]"};
static const char *const order_name[] = {"row", "column", "scattered"};
static const char *const order_rule[] = {"[6:in a row|4:side by side]", "[6:in a column|4:stacked up]",
    "[6:scattered|4:scattered around]"};
static const char *const number_name[] = {"no", "one", "two", "three", "four", "five"};
static const char *const relation_name[] = {"left-of", "above"};
static const char *const relation_rule[2][2] = {
    {"[5:to the left of|3:next to|1:beside]", "[5:to the right of|3:next to|1:beside]"},
    {"[5:above|3:over|2:on top of]", "[5:below|3:under|2:beneath]"}};

static const char *const sentence[] = {
    [SINGLE] = "[30:$A $P $G|20:$A $P|15:$A $G|12:there is $A $P|8:a picture of $A $G|10:$A $V $P|5:one $a]",
    [PAIR] = "[24:$A $R $B $G|26:$A $R $B|14:there is $A $R $B|14:$A $V $R $B $G|7:a picture of $A $R $B|10:$A and $B $G|5:$A with $B $G]",
    [GROUP] = "[25:$N $L $O $G|25:$N $L $O|15:there are $N $L $G|20:a group of $N $L $O|10:$N $L $G|5:some $L $O]",
};

/* Numbers in order from one key. */
struct draw { uint64_t key, i; };
static int below(struct draw *d, int n)
{
    return (int)capt_rng_below(d->key, d->i++, (uint64_t)n);
}
static double around(struct draw *d, double v, double by)
{
    return v + by * (2 * capt_rng_u01(d->key, d->i++) - 1);
}

void capt_toy_describe(const capt_toy_scene *s, capt_str *out)
{
    const char *a_size = s->a.large ? "large " : "small ", *b_size = s->b.large ? "large " : "small ";
    const char *a_colour = colour[s->a.colour].name, *a_shape = shape[s->a.shape].name;
    capt_str_clear(out);
    if (s->kind == SINGLE)
        capt_str_printf(out, "%s%s %s %s", a_size, a_colour, a_shape, place_name[s->how]);
    else if (s->kind == PAIR)
        capt_str_printf(out, "%s%s %s %s %s%s %s", a_size, a_colour, a_shape, relation_name[s->how], b_size, colour[s->b.colour].name,
                        shape[s->b.shape].name);
    else
        capt_str_printf(out, "%d %s %s %s", s->n, a_colour, a_shape, order_name[s->how]);
}

static capt_toy_thing draw_thing(struct draw *d)
{
    capt_toy_thing t;
    t.shape = below(d, N_SHAPE);
    /* as in the world, things have usual colours: half of them wear their shape's own, the rest any */
    t.colour = below(d, 2) ? shape[t.shape].usual : below(d, N_COLOUR);
    t.large = below(d, 2);
    return t;
}

static capt_toy_scene draw_scene(struct draw *d)
{
    capt_toy_scene s = {0};
    int r = below(d, 10);
    s.kind = r < 6 ? PAIR : r < 8 ? SINGLE : GROUP;
    s.a = draw_thing(d);
    s.n = 1;
    if (s.kind == SINGLE)
        s.how = below(d, 5);
    else if (s.kind == PAIR) {
        s.n = 2;
        s.how = below(d, 2);
        do
            s.b = draw_thing(d);
        while (s.b.shape == s.a.shape && s.b.colour == s.a.colour);
    } else {
        s.n = 2 + below(d, 4);
        s.how = below(d, 3);
    }
    s.ground = below(d, N_GROUND);
    return s;
}

static int split_of(uint64_t hash)
{
    uint64_t p = hash % 100;
    return p < 78 ? CAPT_TOY_TRAIN : p < 80 ? CAPT_TOY_RESTVAL : p < 90 ? CAPT_TOY_VAL : CAPT_TOY_TEST;
}

capt_toy_scene *capt_toy_scenes(int64_t n, uint64_t seed, capt_err *err)
{
    int64_t room[CAPT_TOY_SPLITS] = {n - n / 50 - n / 10 - n / 10, n / 50, n / 10, n / 10};
    size_t slots = 64;
    while (slots < (size_t)n * 2)
        slots *= 2;
    uint64_t *seen = capt_alloc(slots * sizeof *seen);
    capt_toy_scene *v = capt_alloc((size_t)n * sizeof *v);
    capt_str text = {0};
    int64_t k = 0;
    for (uint64_t try = 0; k < n && try < (uint64_t)n * 200 + 100000; try++) {
        struct draw d = {capt_rng_key(seed, CAPT_RNG_TOY, 0, try), 0};
        capt_toy_scene s = draw_scene(&d);
        capt_toy_describe(&s, &text);
        uint64_t hash = capt_hash64(text.s, text.n) | 1; /* 0 marks a free slot */
        size_t at = hash >> 8 & (slots - 1);
        while (seen[at] && seen[at] != hash)
            at = (at + 1) & (slots - 1);
        s.split = split_of(hash >> 1);
        if (seen[at] || room[s.split] == 0)
            continue;
        seen[at] = hash;
        room[s.split]--;
        s.key = capt_rng_key(seed, CAPT_RNG_TOY, 1, (uint64_t)k);
        v[k++] = s;
    }
    capt_str_free(&text);
    free(seen);
    if (k < n) {
        free(v);
        capt_fail(err, CAPT_EDATA, "only %lld different scenes were found for %lld images", (long long)k, (long long)n);
        return NULL;
    }
    return v;
}

/* --- pictures --- */

/* Is (u,v), in units of the thing's radius, v downwards, inside the shape? */
static int inside(int s, double u, double v)
{
    static const double star[10][2] = {{0, -1}, {.247, -.34}, {.951, -.309}, {.4, .13}, {.588, .809}, {0, .42}, {-.588, .809}, {-.4, .13},
        {-.951, -.309}, {-.247, -.34}};
    double au = u < 0 ? -u : u, av = v < 0 ? -v : v, rr = u * u + v * v;
    int in = 0;
    switch (s) {
    case 0: return rr <= 1;
    case 1: return au <= .88 && av <= .88;
    case 2: return v <= .8 && au * 1.8 <= v + 1;
    case 3:
        for (int i = 0, j = 9; i < 10; j = i++)
            if ((star[i][1] > v) != (star[j][1] > v) &&
                u < (star[j][0] - star[i][0]) * (v - star[i][1]) / (star[j][1] - star[i][1]) + star[i][0])
                in = !in;
        return in;
    case 4: return (au <= .32 && av <= 1) || (av <= .32 && au <= 1);
    case 5: return rr <= 1 && rr >= .3;
    case 6: return au / .72 + av <= 1;
    default: return rr <= 1 && (u - .55) * (u - .55) + v * v > .64;
    }
}

static void paint_ground(capt_image *im, int g, struct draw *d)
{
    uint64_t key = capt_rng_key(d->key, CAPT_RNG_TOY, 2, 0);
    int px = im->w, cell = px / 8, shift = below(d, cell);
    for (int y = 0; y < px; y++)
        for (int x = 0; x < px; x++) {
            uint64_t r = capt_rng_u64(key, (uint64_t)y * (uint64_t)px + (uint64_t)x);
            int add = 0, gx = x + shift, gy = y + shift;
            switch (g) {
            case 0: add = (int)(r % 50) - 25; break;
            case 1: add = r % 6 ? 0 : -30; break;
            case 2: add = gy % cell < (px + 63) / 64 || (gx + gy / cell % 2 * cell) % (2 * cell) < (px + 63) / 64 ? 45 : 0; break;
            case 3: add = (gx / cell + gy / cell) % 2 ? -35 : 10; break;
            case 4: add = y * 25 / px - 12; break;
            default: add = r % 60 ? 0 : 120; break;
            }
            for (int c = 0; c < 3; c++) {
                int v = ground[g].rgb[c] + add;
                im->rgb[((size_t)y * px + x) * 3 + c] = (unsigned char)(v < 0 ? 0 : v > 255 ? 255 : v);
            }
        }
}

/* Lays the shape of radius r (pixels) over the picture, 4 x 4 samples a pixel; a non-NULL box learns what was covered. */
static void paint_shape(capt_image *im, int s, double cx, double cy, double r, const int rgb[3], capt_toy_box *box)
{
    int x0 = (int)(cx - r) - 1, x1 = (int)(cx + r) + 1, y0 = (int)(cy - r) - 1, y1 = (int)(cy + r) + 1, hits = 0;
    int left = im->w * 4, right = -1, top = im->h * 4, foot = -1;
    for (int y = y0 < 0 ? 0 : y0; y <= y1 && y < im->h; y++)
        for (int x = x0 < 0 ? 0 : x0; x <= x1 && x < im->w; x++) {
            int n = 0;
            for (int k = 0; k < 16; k++) {
                int sx = x * 4 + k % 4, sy = y * 4 + k / 4;
                if (!inside(s, ((sx + .5) / 4 - cx) / r, ((sy + .5) / 4 - cy) / r))
                    continue;
                n++;
                left = sx < left ? sx : left;
                right = sx > right ? sx : right;
                top = sy < top ? sy : top;
                foot = sy > foot ? sy : foot;
            }
            unsigned char *p = im->rgb + ((size_t)y * im->w + x) * 3;
            for (int c = 0; c < 3; c++)
                p[c] = (unsigned char)((p[c] * (16 - n) + rgb[c] * n + 8) / 16);
            hits += n;
        }
    if (box)
        *box = (capt_toy_box){left / 4., top / 4., (right + 1 - left) / 4., (foot + 1 - top) / 4., hits / 16., s};
}

static void paint_thing(capt_image *im, capt_toy_thing t, double x, double y, double r, struct draw *d, capt_toy_box *box)
{
    int fill[3], line[3];
    for (int c = 0; c < 3; c++) {
        int v = (int)around(d, colour[t.colour].rgb[c], 12);
        fill[c] = v < 0 ? 0 : v > 255 ? 255 : v;
        line[c] = t.colour == BLACK ? 225 : 45; /* black things have a light rim */
    }
    paint_shape(im, t.shape, x * im->w, y * im->w, r * im->w * 1.13, line, NULL);
    paint_shape(im, t.shape, x * im->w, y * im->w, r * im->w, fill, box);
}

/* Distances are shares of the picture's side. */
void capt_toy_paint(capt_image *im, const capt_toy_scene *s, capt_toy_box box[CAPT_TOY_THINGS])
{
    struct draw d = {s->key, 0};
    paint_ground(im, s->ground, &d);
    double a_r = around(&d, s->a.large ? .22 : .135, .01), b_r = around(&d, s->b.large ? .22 : .135, .01);
    if (s->kind == SINGLE) {
        double off = s->how ? (s->a.large ? .23 : .3) : 0;
        double x = .5 + (s->how % 2 ? -off : off), y = .5 + (s->how < 3 ? -off : off);
        paint_thing(im, s->a, around(&d, x, .02), around(&d, y, .02), a_r, &d, box);
    } else if (s->kind == PAIR) {
        double near = around(&d, .26, .01), far = around(&d, .74, .01), a_off = around(&d, .5, .1), b_off = around(&d, .5, .1);
        int above = s->how == 1;
        paint_thing(im, s->a, above ? a_off : near, above ? near : a_off, a_r, &d, box);
        paint_thing(im, s->b, above ? b_off : far, above ? far : b_off, b_r, &d, box + 1);
    } else {
        double r = s->how == 2 ? .12 : .34 / (s->n + .6), line = around(&d, .5, .15);
        int used[9] = {0};
        for (int i = 0; i < s->n; i++) {
            double at = (i + .5) / s->n * .94 + .03, x = s->how == 0 ? at : line, y = s->how == 0 ? line : at;
            if (s->how == 2) { /* cells of a 3 x 3 board */
                int cell = below(&d, 9);
                while (used[cell])
                    cell = (cell + 1) % 9;
                used[cell] = 1;
                x = around(&d, (cell % 3 + .5) / 3, .025);
                y = around(&d, (cell / 3 + .5) / 3, .025);
            }
            paint_thing(im, s->a, x, y, r, &d, box + i);
        }
    }
}

/* --- captions --- */

struct speaker {
    struct draw d;
    const capt_toy_scene *s;
    capt_toy_thing first, second;
    int inverse; /* the second thing of a pair is named first */
};

static void say(struct speaker *k, const char *rule, const char *end, capt_str *out);
static void say_all(struct speaker *k, const char *rule, capt_str *out)
{
    say(k, rule, rule + strlen(rule), out);
}

static void say_thing(struct speaker *k, capt_toy_thing t, int many, capt_str *out)
{
    if (k->s->kind != GROUP && below(&k->d, 100) < 46)
        say_all(k, t.large ? "[5:large|4:big|1:huge] " : "[6:small|3:little|1:tiny] ", out);
    if (below(&k->d, 100) < 94) {
        say_all(k, colour[t.colour].rule, out);
        capt_str_putc(out, ' ');
    }
    say_all(k, many ? shape[t.shape].many : shape[t.shape].one, out);
}

static void say_name(struct speaker *k, char name, capt_str *out)
{
    switch (name) {
    case 'A': capt_str_puts(out, "a "); say_thing(k, k->first, 0, out); break;
    case 'a': say_thing(k, k->first, 0, out); break;
    case 'B': capt_str_puts(out, "a "); say_thing(k, k->second, 0, out); break;
    case 'L': say_thing(k, k->first, 1, out); break;
    case 'N': capt_str_puts(out, number_name[k->s->n]); break;
    case 'R': say_all(k, relation_rule[k->s->how][k->inverse], out); break;
    case 'P': say_all(k, place_rule[k->s->how], out); break;
    case 'O': say_all(k, order_rule[k->s->how], out); break;
    case 'G': say_all(k, ground[k->s->ground].rule, out); break;
    case 'V': say_all(k, "[5:is|3:sits|2:sitting]", out); break;
    default: break;
    }
}

/* Speaks a rule: plain text, $X for the parts above, [weight:rule|weight:rule] for a choice. */
static void say(struct speaker *k, const char *rule, const char *end, capt_str *out)
{
    while (rule < end) {
        if (*rule == '$') {
            say_name(k, rule[1], out);
            rule += 2;
        } else if (*rule == '[') {
            const char *from[16], *to[16];
            int weight[16], n = 0, sum = 0;
            do {
                char *text;
                weight[n] = (int)strtol(rule + 1, &text, 10);
                sum += weight[n];
                from[n] = text + 1;
                to[n] = from[n] + strcspn(from[n], "|]"); /* choices do not nest in the text: parts bring their own */
                rule = to[n++];
            } while (*rule == '|');
            rule++;
            int pick = below(&k->d, sum), i = 0;
            while (pick >= weight[i])
                pick -= weight[i++];
            say(k, from[i], to[i], out);
        } else
            capt_str_putc(out, *rule++);
    }
}

void capt_toy_caption(const capt_toy_scene *s, uint64_t i, capt_str *words, capt_str *raw)
{
    struct speaker k = {{capt_rng_key(s->key, CAPT_RNG_TOY, 3, i), 0}, s, s->a, s->b, 0};
    if (s->kind == PAIR) { /* the larger one first, else the left or upper one; mostly */
        int keep = s->a.large == s->b.large ? 75 : s->a.large ? 85 : 15;
        k.inverse = below(&k.d, 100) >= keep;
        k.first = k.inverse ? s->b : s->a;
        k.second = k.inverse ? s->a : s->b;
    }
    capt_str text = {0};
    say_all(&k, sentence[s->kind], &text);
    capt_str_clear(words);
    for (size_t c = 0; c < text.n; c++) {
        capt_str_putc(words, text.s[c]);
        int article = text.s[c] == 'a' && (c == 0 || text.s[c - 1] == ' ') && text.s[c + 1] == ' ';
        if (article && strchr("aeiou", text.s[c + 2]))
            capt_str_putc(words, 'n');
    }
    capt_str_free(&text);
    capt_str_clear(raw);
    capt_str_add(raw, words->s, words->n);
    int habit = below(&k.d, 20);
    if (habit > 0)
        raw->s[0] = (char)toupper((unsigned char)raw->s[0]);
    if (habit > 2)
        capt_str_putc(raw, '.');
}

const char *capt_toy_shape_name(int i)
{
    return i >= 0 && i < N_SHAPE ? shape[i].name : "?";
}

const char *capt_toy_ground_name(const capt_toy_scene *s)
{
    return ground[s->ground].name;
}

const char *capt_toy_split_name(int split)
{
    return split >= 0 && split < CAPT_TOY_SPLITS ? split_name[split] : "?";
}
