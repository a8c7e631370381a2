/*
 * The scalar scanner: the definition of what stands in a line.
 *
 * One pass over the block. Three things start work: the end of a run (names,
 * IPv4, hashes), a ':' (IPv6, URL) and an '@' (e-mail). Whatever is looked at
 * left of a ':' or '@' is bounded by where the last one of its kind ended, so
 * the whole is linear. A line feed belongs to no class: nothing crosses it.
 *
 * The rules are those of tests/refmatch.py, and those of the options are those
 * of tests/refrules.py; the comments name their parts. Where they would yield
 * a text that no canonical indicator can equal (a run without a dot, a last
 * label that is no top-level domain, an over-long label), no token is made:
 * that is what makes the index small and changes no answer.
 */
#include "observable/scan.h"

#include "base/cpu.h"
#include "base/num.h"
#include "observable/observable.h"
#include "observable/rules.h"
#include "observable/scan_kernels.h"

#include <stdlib.h>
#include <string.h>

/* The worst block, "::1" and a space all over, has 4 octets of key for each of
 * its own; every URL and name has at most 3, and each reading of an option at
 * most as much again. */
#define KEYS_MAX (8 * NR_SCAN_BLOCK_MAX - 1)

void
nr_tokens_init(struct nr_tokens *t, unsigned flags)
{
    *t = (struct nr_tokens){ .flags = flags };
    nr_buf_init(&t->keys, flags & ~NR_SCAN_MORE ? 3 * KEYS_MAX : KEYS_MAX);
    nr_buf_init(&t->plain, NR_SCAN_BLOCK_MAX);
    nr_buf_init(&t->edits, 8 * NR_SCAN_BLOCK_MAX);
}

void
nr_tokens_fini(struct nr_tokens *t)
{
    free(t->v);
    free(t->line_at);
    nr_buf_fini(&t->keys);
    nr_buf_fini(&t->plain);
    nr_buf_fini(&t->edits);
    *t = (struct nr_tokens){ 0 };
}

/* V, or a longer copy of it when all CAP elements are in use; NULL, with the
 * error kept and V as it was, when refused. */
static void *
roomy(void *v, size_t n, size_t *cap, size_t size, struct nr_buf *errors)
{
    size_t want = *cap ? *cap * 2 : 1024, octets;
    void *p;

    if (n < *cap)
        return v;
    p = nr_mul(want, size, &octets) ? realloc(v, octets) : NULL;
    if (p)
        *cap = want;
    else
        errors->err = NR_ENOMEM;
    return p;
}

uint8_t *
nr_tokens_put(struct nr_tokens *out, enum nr_kind kind, uint32_t line,
    size_t at, size_t len, const uint8_t *key, size_t n)
{
    size_t key_at = out->keys.n;
    struct nr_token *v = roomy(out->v, out->n, &out->cap, sizeof(*v),
        &out->keys);
    uint8_t *room;

    if (!v)
        return NULL;
    out->v = v;
    room = nr_buf_extend(&out->keys, n);
    if (!room)
        return NULL;
    if (key)
        memcpy(room, key, n);
    v[out->n++] = (struct nr_token){
        .line = line,
        .at = (uint32_t)at,
        .len = (uint32_t)len,
        .key_at = (uint32_t)key_at,
        .key_n = (uint32_t)n,
        .kind = (uint32_t)kind,
    };
    return room;
}

void
nr_tokens_put_shared(struct nr_tokens *out, struct nr_token k)
{
    struct nr_token *v = roomy(out->v, out->n, &out->cap, sizeof(*v),
        &out->keys);

    if (!v)
        return;
    out->v = v;
    v[out->n++] = k;
}

void
nr_scan_new_line(struct nr_scan *s, size_t at)
{
    struct nr_tokens *t = s->out;
    uint32_t *v = roomy(t->line_at, t->n_lines, &t->cap_lines, sizeof(*v),
        &t->keys);

    if (!v)
        return;
    t->line_at = v;
    v[t->n_lines++] = (uint32_t)at;
    s->line = (uint32_t)t->n_lines - 1;
}

/* An octet that is part of no run. LINE_AT: start of its line. */
static void
event(struct nr_scan *s, size_t at, size_t *line_at)
{
    switch (s->p[at]) {
    case '@':
        nr_scan_email(s, at);
        break;
    case ':':
        nr_scan_url(s, at);
        nr_scan_ipv6(s, at);
        break;
    case '\n':
        if (s->flags & NR_SCAN_BY_LINE)
            nr_scan_line(s, *line_at, at);
        *line_at = at + 1;
        if (at + 1 < s->n)
            nr_scan_new_line(s, at + 1);
        break;
    default:
        if (s->flags & NR_SCAN_IDN)
            nr_scan_idn(s, at);
    }
}

void
nr_scan_octets(struct nr_scan *s)
{
    size_t i = 0, line_at = 0;

    while (i < s->n) {
        uint8_t c = nr_scan_class[s->p[i]];

        if (c & NR_C_RUN) {
            size_t at = i;

            while (i < s->n && (nr_scan_class[s->p[i]] & NR_C_RUN))
                i++;
            nr_scan_run(s, at, i);
            continue;
        }
        if (c & NR_C_EVENT)
            event(s, i, &line_at);
        i++;
    }
    if ((s->flags & NR_SCAN_BY_LINE) && line_at < s->n)
        nr_scan_line(s, line_at, s->n);
}

enum nr_err
nr_scan(struct nr_bytes block, struct nr_tokens *out)
{
    struct nr_scan s = {
        .p = block.p,
        .n = block.n,
        .out = out,
        .flags = out->flags,
    };

    out->n = 0;
    out->n_lines = 0;
    nr_buf_reset(&out->keys);
    if (block.n > NR_SCAN_BLOCK_MAX)
        return NR_ELIMIT;
    if (block.n > 0)
        nr_scan_new_line(&s, 0);
    nr_scan_octets(&s);
    return out->keys.err;
}

struct nr_scanner
nr_scanner_choose(unsigned cpu)
{
    cpu &= nr_cpu_flags();
#if defined(__x86_64__)
    if (cpu & NR_CPU_AVX512)
        return (struct nr_scanner){ "avx512", nr_scan_avx512 };
    if (cpu & NR_CPU_AVX2)
        return (struct nr_scanner){ "avx2", nr_scan_avx2 };
#elif defined(__aarch64__)
    if (cpu & NR_CPU_NEON)
        return (struct nr_scanner){ "neon", nr_scan_neon };
#endif
    return (struct nr_scanner){ "scalar", nr_scan };
}

unsigned
nr_scan_flags_of(uint32_t kinds, bool has_idn)
{
    static const uint32_t more = 1u << NR_KIND_SHA512 |
        1u << NR_KIND_WALLET_BTC | 1u << NR_KIND_WALLET_ETH |
        1u << NR_KIND_JA4 | 1u << NR_KIND_CVE | 1u << NR_KIND_ASN;

    return (kinds & more ? NR_SCAN_MORE : 0) |
        (kinds >> NR_KIND_JA3 & 1 ? NR_SCAN_JA3 : 0) |
        (kinds >> NR_KIND_FILENAME & 1 ? NR_SCAN_FILES : 0) |
        (has_idn ? NR_SCAN_IDN : 0);
}
