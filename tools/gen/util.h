/*
 * Small things of the generator: random numbers that are the same everywhere,
 * text put octet by octet, a calendar without libc's zones, options. Every
 * put_ function writes at o and returns the new end; nothing is terminated.
 */
#ifndef GEN_UTIL_H
#define GEN_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define USEC   INT64_C(1000000)
#define DAY_US (86400 * USEC)

#define N_OF(a) (uint32_t)(sizeof(a) / sizeof((a)[0]))

/* One of the elements of a, alike likely; by popularity (Zipf). */
#define PICK(r, a)  ((a)[below((r), N_OF(a))])
#define PICKZ(r, a) ((a)[zipf((r), N_OF(a))])

#define LIT(o, s) put_mem((o), (s), sizeof(s) - 1)

/* splitmix64 */
struct rng {
    uint64_t s;
}; /* splitmix64 */

static inline uint64_t
mix64(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static inline uint64_t
rnd(struct rng *r)
{
    return mix64(r->s += 0x9e3779b97f4a7c15u);
}

static inline uint32_t
below(struct rng *r, uint32_t n) /* uniform in [0,n) */
{
    return (uint32_t)(((rnd(r) >> 32) * n) >> 32);
}

static inline bool
chance(struct rng *r, unsigned permille)
{
    return below(r, 1000) < permille;
}

/*
 * Rank in [0,n) with P(rank) close to 1/(rank+1): Zipf, uniform inside each
 * power of two.
 */
static inline uint32_t
zipf(struct rng *r, uint32_t n)
{
    uint64_t x = rnd(r);
    unsigned bits = 32 - (unsigned)__builtin_clz(n | 1);
    unsigned k = (unsigned)(((x & 0xffffffu) * bits) >> 24);
    uint32_t id = ((1u << k) | ((uint32_t)(x >> 32) & ((1u << k) - 1))) - 1;
    return id < n ? id : (uint32_t)(((x >> 32) * n) >> 32);
}

static inline uint64_t
hash_bytes(uint64_t seed, const void *p, size_t n)
{
    const unsigned char *s = p;
    uint64_t h = seed ^ (n * 0x9e3779b97f4a7c15u);
    while (n >= 8) {
        uint64_t w;
        memcpy(&w, s, 8);
        h = mix64(h ^ w) + 0x9e3779b97f4a7c15u;
        s += 8;
        n -= 8;
    }
    uint64_t w = 0;
    memcpy(&w, s, n);
    return mix64(h ^ w ^ 0x5bd1e995u);
}

static inline uint64_t
hash_str(uint64_t seed, const char *s)
{
    return hash_bytes(seed, s, strlen(s));
}

static inline char *
put_mem(char *o, const char *s, size_t n)
{
    memcpy(o, s, n);
    return o + n;
}

static inline char *
put_s(char *o, const char *s)
{
    size_t n = strlen(s);
    memcpy(o, s, n);
    return o + n;
}

static inline char *
put_u(char *o, uint64_t v)
{
    char t[20];
    int n = 0;
    do
        t[n++] = (char)('0' + v % 10);
    while (v /= 10);
    while (n)
        *o++ = t[--n];
    return o;
}

static inline char *
put_0n(char *o, uint32_t v, int width) /* zero padded */
{
    for (int i = width - 1; i >= 0; i--, v /= 10)
        o[i] = (char)('0' + v % 10);
    return o + width;
}

#define HEX_LO "0123456789abcdef"
#define HEX_UP "0123456789ABCDEF"

static inline char *
put_hex(char *o, uint64_t v, int digits, const char *tab)
{
    for (int i = digits - 1; i >= 0; i--, v >>= 4)
        o[i] = tab[v & 15];
    return o + digits;
}

static inline char *
put_ip4(char *o, uint32_t a)
{
    for (int i = 24; i >= 0; i -= 8) {
        o = put_u(o, (a >> i) & 255);
        *o++ = '.';
    }
    return o - 1;
}

/* Says why on standard error and exits with status 1. */
_Noreturn void gen_die(const char *fmt, ...)
    __attribute__((format(printf, 1, 2)));
void *gen_realloc(void *p, size_t n);
char *gen_strndup(const char *s, size_t n);
char *gen_put_rndhex(char *o, struct rng *r, int digits, const char *tab);
char *gen_put_ip6(char *o, const unsigned char a[16], bool expanded);
/* Escape '/' the way EVE writers of the time did. */
char *gen_put_json_slash(char *o, const char *s);
/* Calendar (proleptic Gregorian), no libc time zone involved. */
int64_t gen_days_from_civil(int y, int m, int d);
void gen_civil_from_days(int64_t z, int *y, int *m, int *d);
/*
 * "2016-01-02", "2016-01-02T03:04:05", "2016-01-02 03:04:05Z" or epoch
 * seconds; UTC.
 */
int64_t gen_parse_time(const char *s);
char *gen_put_iso_utc(char *o, int64_t t_us);
uint64_t gen_parse_bytes(const char *s);
void gen_parse_span(const char *s, int64_t *day0, int64_t *day1);
const char *gen_opt(int argc, char **argv, const char *name, const char *dflt);
void gen_check_opts(int argc, char **argv, const char *const *known);
/* Calls fn for each line of a TSV file, its fields split in place. */
void gen_each_tsv(const char *path, void (*fn)(char **f, int n, void *arg),
    void *arg);

#endif
