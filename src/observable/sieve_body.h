/*
 * The kernel of the sieve, compiled once for each instruction set. The file
 * that includes this has defined, for its registers:
 *
 *   LANES, ONE_BEFORE(a, b)  words of a register; the last word of A and all
 *                      but the last of B
 *   classify(p, m, w)  planes of the 64 octets from P on, into word W of M
 *   high_plane(p)      those above 0x7f
 *   count(m)           bits of M
 *   live_words(v)      one bit for each of 8 words that is not zero
 *   put_places(v, at, m)  append AT + i for each bit i of M; new end of list.
 *                      Up to SIEVE_SPARE elements behind it may be spoilt
 *   tail_nh(k, end, n) NH of the last N <= 32 octets before END, folded
 *   head_nh(k, p, n)   NH of the first N <= 32 octets from P on, folded
 *   url_octets(p)      how many of the 32 octets from P on a URL goes on
 *   lf_bits(p)         line feeds among the 64 octets from P on
 *   word_mask(v)       a bit for each word of a comparison
 *   counts(v)          bits of each word
 *   leading(v), mul32(a, b)  of vectors of LANES words: leading zeros of words
 *                      that have one of their upper four bits; products
 *                      of their lower halves
 *   KERNEL, KERNEL_NAME
 */
#include "observable/sieve_int.h"

/* A call for each piece costs nothing, and profiles show where time goes. */
#define STAGE static __attribute__((noinline))

/* The 64 bits of MAP before bit AT of the piece, the last one on top. */
static inline uint64_t
bits_before(const uint64_t *map, size_t at)
{
    size_t last = at + SIEVE_BACK * 64 - 1;
    const uint64_t *w = map + last / 64;

    return w[0] << (63 - (last & 63)) | w[-1] >> 1 >> (last & 63);
}

/* Places of the highest bits of V, counted from above; V goes without. */
static inline unsigned
take_top(uint64_t *v)
{
    unsigned n = (unsigned)__builtin_clzll(*v | 1);

    *v &= ~(UINT64_C(1) << 63 >> n);
    return n;
}

/* --- stage 1: events --- */

/* LANES words at a time, as the registers have them. */
typedef uint64_t lanes __attribute__((vector_size(8 * LANES)));

/* What the words of a piece leave to those of the next. */
struct carry {
    lanes label, digit, colon, slash, both, dot_label, dot_digit, number, third;
    lanes end_dot, colons;
    uint64_t sum; /* of the additions, 0 or 1 */
};

_Static_assert(sizeof(struct carry) <= sizeof(uint64_t[SIEVE_CARRY]), "carry");

static inline lanes
load(const uint64_t *p)
{
    lanes v;

    memcpy(&v, p, sizeof(v));
    return v;
}

static inline void
store(uint64_t *p, lanes v)
{
    memcpy(p, &v, sizeof(v));
}

/* The words one before those of V, whose predecessors stood in *LAST. */
static inline lanes
before(lanes v, lanes *last)
{
    lanes b = ONE_BEFORE(*last, v);

    *last = v;
    return b;
}

/* V moved up by N, B being the words before. */
static inline lanes
up(lanes v, lanes b, int n)
{
    return v << n | b >> (64 - n);
}

/* Places that have one of V 2 to 4 before them. */
static inline lanes
near(lanes v, lanes b)
{
    return up(v, b, 2) | up(v, b, 3) | up(v, b, 4);
}

/* First digits of a number behind three others, with dots between. */
static inline lanes
quad_lasts(lanes dot, lanes digit, struct carry *c)
{
    lanes dots = dot & up(digit, before(digit, &c->digit), 1);
    lanes number = digit & up(dots, before(dots, &c->dot_digit), 1);
    lanes third = number & near(number, before(number, &c->number));

    return number & near(third, before(third, &c->third));
}

/* The first of each aligned group of 16 hex digits. Any 31 in a row have one.
 */
static inline lanes
hex_groups(lanes v)
{
    v &= v >> 1;
    v &= v >> 2;
    v &= v >> 4;
    v &= v >> 8;
    return v & UINT64_C(0x0001000100010001);
}

/* A + B, carrying from word to word. Where a word overflows the next has one
 * more, and so on through those that are all ones: an addition, too. */
static inline lanes
add(lanes a, lanes b, uint64_t *carry)
{
    lanes sum = a + b, place = { 0 };
    uint64_t full = word_mask(sum == ~(lanes){ 0 });
    uint64_t in = full + (word_mask(sum < a) << 1 | *carry);

    *carry = in >> LANES;
    for (size_t i = 0; i < LANES; i++)
        place[i] = i;
    return sum + (((lanes){ 0 } + (in ^ full)) >> place & 1);
}

/*
 * Ends of names: behind a last label that starts with a letter, of which FIRST
 * are; a dot may follow, if no further label does. An addition runs through
 * each label from its start to behind its end.
 */
static inline lanes
name_ends(lanes label, lanes dot, lanes first, lanes no_dot, struct carry *c)
{
    lanes end = add(label, first, &c->sum) & ~label, dots = end & dot;

    return (end & ~dot) | (up(dots, before(dots, &c->end_dot), 1) & no_dot);
}

/* Colons that may be of an IPv6 address, one of each at least: it has "::", or
 * seven colons behind a digit within 39 octets. */
static inline lanes
v6_colons(lanes colons, lanes twice, struct carry *c)
{
    lanes n = counts(colons), both = n + before(n, &c->colons);

    return twice | (colons & (lanes)(both >= 7));
}

/* From planes to events. */
STAGE void
find_events(struct nr_sieve *s, size_t words)
{
    const struct sieve_planes *m = &s->planes;
    struct sieve_events *e = &s->events;
    struct carry c;

    memcpy(&c, s->carry, sizeof(c));
    for (size_t w = 0; w < words; w += LANES) {
        lanes label = load(m->label + w), dot = load(m->dot + w);
        lanes digit = load(m->digit + w), colon = load(m->colon + w);
        lanes hex = load(m->hex + w), slash = load(m->slash + w);
        lanes colon_b = before(colon, &c.colon), both = hex | colon;
        lanes dots = dot & up(label, before(label, &c.label), 1);
        lanes alpha = load(m->alpha + w), colons, first, urls, v6, groups;

        first = alpha & up(dots, before(dots, &c.dot_label), 1);
        colons = colon & up(both, before(both, &c.both), 1);
        store(e->names + w, name_ends(label, dot, first, ~(alpha | digit), &c));
        store(e->quads + w, quad_lasts(dot, digit, &c));
        urls = slash & up(slash, before(slash, &c.slash), 1) &
            up(colon, colon_b, 2);
        v6 = v6_colons(colons, colon & up(colon, colon_b, 1), &c);
        groups = hex_groups(hex);
        store(e->urls + w, urls);
        store(e->v6 + w, v6);
        store(e->hex + w, groups);
        store(e->few + w, urls | v6 | groups | load(m->at + w));
        store(s->stop + SIEVE_BACK + w, ~label);
        store(s->no_digit + SIEVE_BACK + w, ~digit);
        store(s->no_v6 + SIEVE_BACK + w, ~both);
        store(s->colon + SIEVE_BACK + w, colon);
    }
    memcpy(s->carry, &c, sizeof(c));
}

/* The places of the two frequent events. */
STAGE void
list_all(struct nr_sieve *s, size_t words)
{
    uint16_t *names = s->names.v, *quads = s->quads.v;

    for (size_t w = 0; w < words; w++) {
        names = put_places(names, w * 64, s->events.names[w]);
        quads = put_places(quads, w * 64, s->events.quads[w]);
    }
    s->names.n = (size_t)(names - s->names.v);
    s->quads.n = (size_t)(quads - s->quads.v);
}

/* Planes of the piece; nothing stands behind the block. */
STAGE void
classify_all(struct nr_sieve *s, size_t words)
{
    struct sieve_planes *m = &s->planes;
    size_t whole = nr_min(words, (s->n - s->base) / 64);

    for (size_t w = 0; w < whole; w++) {
        const uint8_t *p = s->p + s->base + w * 64;

        __builtin_prefetch(p + SIEVE_WORDS * 64); /* of the next piece */
        classify(p, m, w);
    }
    for (size_t w = whole; w < words; w++) {
        size_t left = s->n - s->base - whole * 64;

        m->label[w] = m->dot[w] = m->alpha[w] = m->digit[w] = m->hex[w] = 0;
        m->colon[w] = m->at[w] = m->slash[w] = 0;
        if (w > whole || left == 0)
            continue;
        classify(s->p + s->base + w * 64, m, w);
        left = (UINT64_C(1) << left) - 1;
        m->label[w] &= left;
        m->dot[w] &= left;
        m->alpha[w] &= left;
        m->digit[w] &= left;
        m->hex[w] &= left;
        m->colon[w] &= left;
        m->at[w] &= left;
        m->slash[w] &= left;
    }
}

static inline void
list_word(struct sieve_list *l, size_t at, uint64_t m)
{
    for (; m; m &= m - 1)
        l->v[l->n++] = (uint16_t)(at + (unsigned)__builtin_ctzll(m));
}

/* The places of events that most words have not. */
STAGE void
list_few(struct nr_sieve *s, size_t words)
{
    const struct sieve_events *e = &s->events;

    s->urls.n = s->mails.n = s->v6.n = s->hex.n = 0;
    for (size_t g = 0; g < words; g += 8)
        for (unsigned live = live_words(e->few + g); live; live &= live - 1) {
            size_t w = g + (size_t)__builtin_ctz(live);

            list_word(&s->urls, w * 64, e->urls[w]);
            list_word(&s->mails, w * 64, s->planes.at[w]);
            list_word(&s->v6, w * 64, e->v6[w]);
            list_word(&s->hex, w * 64, e->hex[w]);
        }
}

/* --- stage 3: looking up --- */

/* The tail of the name that ends at END is listed: hash its suffixes. */
static void
probe_suffixes(struct nr_sieve *s, size_t end)
{
    const uint8_t *e = s->p + end;
    uint64_t stops = bits_before(s->stop, end - s->base);
    uint64_t salt = sieve_salt(NR_KIND_DOMAIN), h;
    const unsigned window = SIEVE_WINDOW;
    unsigned n = take_top(&stops);

    if (e[-1] == '-') {
        nr_sieve_name(s, end);
        return;
    }
    while (e[-(int)n - 1] == '.') {
        n = take_top(&stops);
        if (n >= 63) {
            nr_sieve_name(s, end);
            return;
        }
        h = sieve_chain(&s->keys, 0,
            tail_nh(&s->keys, e, n < window ? n : window), salt);
        if (n > window)
            h = sieve_chain(&s->keys, h,
                tail_nh(&s->keys, e - window, n - window), salt);
        sieve_push_deep(s, h, end - 1);
    }
    if (e[-(int)n - 1] == '%' || e[-(int)n - 1] == '\\' || e[-(int)n] == '-' ||
        e[-(int)n] == '.')
        nr_sieve_name(s, end);
}

/* Digits, 0 to 4, from P on. */
static inline unsigned
digits_at(const uint8_t *p)
{
    uint32_t v, other;

    memcpy(&v, p, sizeof(v));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap32(v);
#endif
    v ^= 0x30303030;
    other = (((v & 0x7f7f7f7f) + 0x76767676) | v) & 0x80808080;
    return other ? (unsigned)__builtin_ctz(other) / 8 : 4;
}

/* The number of N <= 3 digits before END; of one above 255 anything. */
static inline uint32_t
number(const uint8_t *end, unsigned n)
{
    unsigned skip = 8 * (3 - n);
    uint32_t v;

    memcpy(&v, end - 4, sizeof(v));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap32(v);
#endif
    v = ((v >> 8) ^ 0x303030) >> skip << skip;
    return v * 0x640a01 >> 16 & 0xff; /* 100, 10, 1 */
}

/* The address whose last dot is at DOT of the piece. False: it is none. */
static bool
read_quad(const struct nr_sieve *s, size_t dot, uint32_t *addr)
{
    const uint8_t *d = s->p + s->base + dot;
    uint64_t stops = bits_before(s->no_digit, dot);
    unsigned c = take_top(&stops), b = take_top(&stops);
    unsigned a = take_top(&stops), last = digits_at(d + 1);

    if (c > 3 || b - c > 4 || a - b > 4 || last > 3)
        return false;
    *addr = number(d - b - 1, a - b - 1) << 24 |
        number(d - c - 1, b - c - 1) << 16 | number(d, c) << 8 |
        number(d + 1 + last, last);
    return true;
}

/* The probe H of the address with its last dot at AT passed: is it, or the
 * range that H is of, listed? Filters err too often to scan the line for it. */
static void
check_quad(struct nr_sieve *s, uint64_t h, size_t at)
{
    uint32_t addr;

    if (read_quad(s, at - s->base, &addr) &&
        nr_sieve_quad_is_listed(s, h, addr))
        sieve_spot(s, at);
}

STAGE void
look_up(struct nr_sieve *s)
{
    size_t n = 0;

    for (size_t i = 0; i < s->n_probes; i++) {
        s->passed[n] = s->at[i];
        s->hash[n] = s->hash[i];
        n += sieve_in_filter(s, s->hash[n]);
    }
    s->n_probes = 0;
    for (size_t i = 0; i < n; i++) {
        size_t at = s->passed[i] & SIEVE_PLACE;

        switch (s->passed[i] & ~SIEVE_PLACE) {
        case SIEVE_NAME:
            probe_suffixes(s, at);
            break;
        case SIEVE_QUAD:
            check_quad(s, s->hash[i], at);
            break;
        case SIEVE_URL:
            if (nr_sieve_url_is_listed(s, at))
                sieve_spot(s, at);
            break;
        default:
            sieve_spot(s, at);
        }
    }
    nr_sieve_deep(s);
}

/* --- stage 2: probes --- */

static inline void
probe_tail(struct nr_sieve *s, const uint8_t *end, size_t at, unsigned n,
    bool count)
{
    uint64_t h = sieve_mix(&s->keys,
        tail_nh(&s->keys, end, n < SIEVE_WINDOW ? n : SIEVE_WINDOW),
        sieve_salt(SIEVE_TAIL));

    s->hash[s->n_probes] = h;
    s->at[s->n_probes] = (uint32_t)at | SIEVE_NAME;
    s->n_probes += count;
    sieve_fetch(s, h);
}

/* Only names whose last label some listed name ends in: of what looks like a
 * name in a log, half and more are files and words with a dot. A hyphen at the
 * end is not of the name; those are kept. */
STAGE void
keep_ends(struct nr_sieve *s)
{
    size_t n = 0;

    for (size_t i = 0; i < s->names.n; i++) {
        size_t end = s->names.v[i], bit;
        const uint8_t *e = s->p + s->base + end;
        unsigned dot = e[-1] == '.', last;
        uint64_t stops = bits_before(s->stop, end - dot);

        e -= dot;
        last = take_top(&stops);
        bit = sieve_end_bit(sieve_load(e - 8), last);
        s->names.v[n] = (uint16_t)end;
        n += (s->ends[bit / 64] >> (bit & 63) & 1) | (e[-1] == '-');
    }
    s->names.n = n;
}

STAGE void
probe_names(struct nr_sieve *s)
{
    for (size_t i = 0; i < s->names.n; i++) {
        size_t end = s->names.v[i];
        const uint8_t *e = s->p + s->base + end, *start;
        unsigned two, last, tail;
        uint64_t stops;
        bool is_short;

        end -= e[-1] == '.';
        e -= e[-1] == '.';
        stops = bits_before(s->stop, end);
        last = take_top(&stops);
        two = take_top(&stops);
        sieve_make_room(s);
        probe_tail(s, e, s->base + end, two, true);
        is_short = two - last - 1 <= SIEVE_SHORT && e[-(int)two - 1] == '.';
        tail = two;
        if (is_short) {
            tail = take_top(&stops);
            probe_tail(s, e, s->base + end, tail, true);
        }
        start = e - (tail < SIEVE_WINDOW ? tail : SIEVE_WINDOW);
        if (e[-(int)tail - 1] == '%' || e[-(int)tail - 1] == '\\' ||
            *start == '-' || *start == '.' || e[-1] == '-')
            nr_sieve_odd_name(s, s->base + end);
    }
}

/* The numbers that the digits at the top of V are, N of them in each; of one
 * above 255 anything. */
static inline lanes
numbers(lanes v, lanes n)
{
    const lanes zeros = (lanes){ 0 } + 0x303030,
                hundreds = (lanes){ 0 } + 0x640a01; /* 100, 10, 1 */
    lanes skip = (3 - n) * 8;

    v = ((v & 0xffffff) ^ zeros) >> skip << skip;
    return mul32(v, hundreds) >> 16 & 0xff;
}

/* Not zero where an octet of V is '%'. */
static inline lanes
percents(lanes v)
{
    v ^= UINT64_C(0x2525252525252525);
    return (v - UINT64_C(0x0101010101010101)) & ~v &
        UINT64_C(0x8080808080808080);
}

/* Text and stops before the last dots of N quads. */
STAGE void
cut_quads(struct nr_sieve *s, const uint16_t *at, size_t n)
{
    struct sieve_cut *c = &s->cut;

    for (size_t i = 0; i < n; i++) {
        size_t dot = (size_t)at[i] - 1;
        const uint8_t *d = s->p + s->base + dot;

        c->stops[i] = bits_before(s->no_digit, dot);
        c->low[i] = sieve_load(d - 16);
        c->high[i] = sieve_load(d - 8);
    }
}

/* The networks that the first three numbers of N quads are; of what is no
 * address any. True: there is a '%' before one of them. */
STAGE bool
find_nets(struct nr_sieve *s, size_t n)
{
    const lanes fourth = (lanes){ 0 } + (UINT64_C(1) << 60);
    struct sieve_cut *c = &s->cut;
    lanes odd = { 0 };
    uint64_t any = 0;

    for (size_t i = 0; i < n; i += LANES) {
        lanes stops = load(c->stops + i), low = load(c->low + i);
        lanes high = load(c->high + i), middle = low >> 32 | high << 32;
        lanes last, second, first;

        odd |= percents(low) | percents(high);
        last = leading(stops | fourth);
        stops = stops << last << 1;
        second = leading(stops | fourth);
        stops = stops << second << 1;
        first = leading(stops | fourth);
        store(c->net + i,
            numbers(middle >> (56 - 8 * (last + second)), first) << 16 |
                numbers(high >> (32 - 8 * last), second) << 8 |
                numbers(high >> 40, last));
    }
    for (size_t i = 0; i < LANES; i++)
        any |= odd[i];
    return any;
}

/* Octet of an address that stands in an escape, "%3D192.0.2.1". */
static void
find_odd_quads(struct nr_sieve *s, const uint16_t *at, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t dot = (size_t)at[i] - 1;
        const uint8_t *d = s->p + s->base + dot;
        uint64_t stops = bits_before(s->no_digit, dot);
        int a;

        (void)take_top(&stops);
        (void)take_top(&stops);
        a = (int)take_top(&stops);
        if (d[-a - 1] == '%' || d[-a - 2] == '%')
            nr_sieve_odd_quad(s, s->base + dot - (size_t)a,
                s->base + dot + 1 + digits_at(d + 1));
    }
}

STAGE void
probe_quads(struct nr_sieve *s)
{
    for (size_t i = 0, n; i < s->quads.n; i += n) {
        const uint16_t *at = s->quads.v + i;

        n = nr_min(SIEVE_CUT, s->quads.n - i);
        cut_quads(s, at, n);
        if (find_nets(s, n))
            find_odd_quads(s, at, n);
        for (size_t k = 0; k < n; k++)
            sieve_fetch_net(s, (uint32_t)s->cut.net[k]);
        for (size_t k = 0; k < n; k++) {
            uint32_t a;

            if (sieve_in_nets(s, (uint32_t)s->cut.net[k]) &&
                read_quad(s, (size_t)at[k] - 1, &a))
                nr_sieve_quad(s, a, s->base + at[k] - 1);
        }
    }
}

/* The N octets of a URL from P on end in a mark. True: it is known to go on, or
 * the text without it has its probe here. */
static inline bool
take_mark(struct nr_sieve *s, const uint8_t *p, unsigned n, size_t place)
{
    if (n == SIEVE_WINDOW)
        return nr_scan_class[p[n]] & NR_C_ALNUM;
    if (n < 2 || sieve_is_url_mark(p[n - 2]))
        return false;
    sieve_push(s,
        sieve_mix(&s->keys, head_nh(&s->keys, p, n - 1),
            sieve_salt(NR_KIND_URL)),
        place, SIEVE_URL);
    return true;
}

STAGE void
probe_urls(struct nr_sieve *s)
{
    for (size_t i = 0; i < s->urls.n; i++) {
        size_t at = s->base + s->urls.v[i] + 1;
        const uint8_t *p = s->p + at;
        unsigned n;

        sieve_make_room(s);
        if (p[-1] != '/' || p[-2] != '/') {
            if (p[-2] == '\\' && p[0] == '\\' && p[1] == '/')
                nr_sieve_odd_url(s, at + 2, at - 1);
            continue;
        }
        n = url_octets(p);
        if ((n < SIEVE_WINDOW && p[n] == '\\') ||
            (s->options & NR_SIEVE_URL_PREFIX) ||
            (n > 0 && sieve_is_url_mark(p[n - 1]) &&
                !take_mark(s, p, n, at - 1))) {
            nr_sieve_odd_url(s, at, at - 1);
            continue;
        }
        sieve_push(s,
            sieve_mix(&s->keys, head_nh(&s->keys, p, n),
                sieve_salt(NR_KIND_URL)),
            at - 1, SIEVE_URL);
    }
}

/* An e-mail address around each '@': what is hashed of it needs no more than
 * its nearest octets, unless its ends are not where they seem to be. */
STAGE void
probe_mails(struct nr_sieve *s)
{
    for (size_t i = 0; i < s->mails.n; i++) {
        size_t at = s->base + s->mails.v[i];
        const uint8_t *p = s->p + at;
        unsigned left = 0;
        size_t right = 1;
        bool odd;

        /* The part before must not reach into the address before. */
        odd = at - nr_min(at, SIEVE_LOCAL) < s->mail_end;
        while (left < SIEVE_LOCAL &&
            (nr_scan_class[p[-(int)left - 1]] & NR_C_LOCAL))
            left++;
        while (nr_scan_class[p[right]] & NR_C_RUN)
            right++;
        odd = odd || p[-(int)left - 1] == '%' || p[-(int)left - 1] == '\\' ||
            p[right - 1] == '.' || p[right - 1] == '-';
        if (odd) {
            nr_sieve_email(s, at);
        } else if (left > 0 && right > 1) {
            s->mail_end = at + right;
            sieve_make_room(s);
            sieve_push(s,
                sieve_mix(&s->keys,
                    head_nh(&s->keys, p - left,
                        (unsigned)nr_min(left + right, SIEVE_WINDOW)),
                    sieve_salt(NR_KIND_EMAIL)),
                at, 0);
        }
    }
}

/* Not with a wrong number of colons, as other things with colons have. Runs
 * that leave the piece are left to the scanner. */
static bool
may_be_ipv6(struct nr_sieve *s, size_t at, size_t words)
{
    const uint64_t *w = s->no_v6 + SIEVE_BACK + at / 64;
    uint64_t stops = w[0] >> (at & 63) | w[1] << 1 << (63 - (at & 63)), colons;
    unsigned before = (unsigned)__builtin_clzll(bits_before(s->no_v6, at) | 1);
    unsigned behind = stops ? (unsigned)__builtin_ctzll(stops) : 64;
    unsigned n = before + behind;

    if (behind > 48 || before > 48 || at + behind >= words * 64)
        return true;
    s->v6_end = s->base + at + behind;
    if (n > 41) /* eight times four digits, seven colons, one at each end */
        return false;
    colons = bits_before(s->colon, at + behind) >> (64 - n);
    if (!(colons & colons << 1) && (count(colons) < 7 || count(colons) > 9))
        return false;
    s->v6_end = 0; /* the scanner looks itself */
    return true;
}

STAGE void
probe_rare(struct nr_sieve *s, size_t words)
{
    size_t at = s->base;

    s->no_v6[SIEVE_BACK + words] = ~UINT64_C(0);
    for (size_t i = 0; i < s->v6.n; i++)
        if (at + s->v6.v[i] >= s->v6_end && may_be_ipv6(s, s->v6.v[i], words))
            nr_sieve_ipv6(s, at + s->v6.v[i]);
    for (size_t i = 0; i < s->hex.n; i++)
        nr_sieve_hex(s, at + s->hex.v[i]);
    if (s->traits & NR_SIEVE_XN)
        for (size_t w = 0; w < words; w++) {
            uint64_t high = high_plane(s->p + at + w * 64);

            for (; high; high &= high - 1)
                nr_sieve_high(s, at + w * 64 + (size_t)__builtin_ctzll(high));
        }
    if (s->options & NR_SIEVE_FANGS)
        nr_sieve_fangs(s, at, nr_min(s->n, at + words * 64));
}

static void
piece(struct nr_sieve *s, size_t words)
{
    size_t round = (words + 7) / 8 * 8;

    classify_all(s, round);
    find_events(s, round);
    list_all(s, round);
    list_few(s, words);
    keep_ends(s);
    probe_names(s);
    probe_quads(s);
    probe_urls(s);
    probe_mails(s);
    probe_rare(s, words);
    look_up(s);
}

/* --- lines --- */

static size_t
count_lines(const uint8_t *p, size_t n)
{
    size_t lines = 0, i = 0;

    for (; i + 64 <= n; i += 64)
        lines += (size_t)count(lf_bits(p + i));
    for (; i < n; i++)
        lines += p[i] == '\n';
    return lines;
}

static size_t
list_lines(const uint8_t *p, size_t n, uint32_t at, uint32_t *to)
{
    const uint64_t last = UINT64_C(1) << 63;
    size_t i = 0, lines = 0;

    /* Two are put without asking whether they are there: how many there are is
     * what no processor foresees. */
    for (; i + 64 <= n; i += 64) {
        uint64_t m = lf_bits(p + i), second = m & (m - 1);
        uint32_t next = at + (uint32_t)i + 1, *v = to + lines;

        lines += (size_t)count(m);
        v[0] = next + (uint32_t)__builtin_ctzll(m | last);
        v[1] = next + (uint32_t)__builtin_ctzll(second | last);
        for (m = second & (second - 1), v += 2; m; m &= m - 1)
            *v++ = next + (uint32_t)__builtin_ctzll(m);
    }
    for (; i < n; i++)
        if (p[i] == '\n')
            to[lines++] = at + (uint32_t)i + 1;
    return lines;
}

const struct nr_sieve_kernel KERNEL = { KERNEL_NAME, piece, look_up,
    count_lines, list_lines };
