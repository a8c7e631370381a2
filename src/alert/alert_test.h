/* The world of this room's tests: a clock, random octets, hits, files. */
#ifndef NR_ALERT_TEST_H
#define NR_ALERT_TEST_H

#include "alert/sink.h"
#include "base/file.h"
#include "base/test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define ROOM ((size_t)16 << 20)
#define T0   INT64_C(1503273600) /* 2017-08-21T00:00:00Z */

/* --- a world of our own --- */

struct world {
    int64_t now_us;
    uint64_t state;
    char said[4096];
};

static inline int64_t
world_now(void *ctx)
{
    return ((struct world *)ctx)->now_us;
}

/* xorshift: the same octets in every run */
static inline enum nr_err
world_random(void *ctx, void *p, size_t n)
{
    struct world *w = ctx;
    uint8_t *out = p;

    for (size_t i = 0; i < n; i++) {
        w->state ^= w->state << 13;
        w->state ^= w->state >> 7;
        w->state ^= w->state << 17;
        out[i] = (uint8_t)w->state;
    }
    return NR_OK;
}

static inline void
world_say(void *ctx, const char *text)
{
    struct world *w = ctx;
    size_t n = strlen(w->said);

    (void)snprintf(w->said + n, sizeof(w->said) - n, "%s\n", text);
}

static inline struct nr_alert_conf
conf_in(struct world *w)
{
    *w = (struct world){ .now_us = T0 * NR_US_PER_S, .state = 88172645463 };
    return (struct nr_alert_conf){
        .env = { world_now, world_random, w },
        .actions = NR_ALERT_ALL,
        .host = "sensor",
        .pid = 7,
        .environ = (char *const[]){ NULL },
        .say = world_say,
        .ctx = w,
    };
}

static const uint8_t ip_key[] = { 192, 0, 2, 7 };
static const uint8_t net_key[] = { 192, 0, 2, 0, 24 };

static inline struct nr_indicator
indicator(enum nr_kind kind)
{
    struct nr_bytes key = kind == NR_KIND_IPV4 ? (struct nr_bytes){ ip_key, 4 }
        : kind == NR_KIND_CIDR4                ? (struct nr_bytes){ net_key, 5 }
                                               : NR_BYTES("evil.example");
    struct nr_indicator i = nr_indicator_of(kind, key);

    i.value = kind == NR_KIND_IPV4 ? NR_STR("192.0.2.7")
        : kind == NR_KIND_CIDR4    ? NR_STR("192.0.2.0/24")
                                   : NR_STR("evil.example");
    i.n_claims = 1;
    return i;
}

struct sample {
    struct nr_record record;
    struct nr_hit hit;
};

/* Hit number N of the input; S holds what it points to. */
static const struct nr_hit *
hit_at(struct sample *s, uint64_t n, enum nr_kind kind, enum nr_action action)
{
    *s = (struct sample){ 0 };
    s->record.time_us = (T0 + (int64_t)n) * NR_US_PER_S;
    s->record.action = action;
    s->record.source = NR_SOURCE_SQUID;
    s->hit.line = n;
    s->hit.file_line = n;
    s->hit.file = "access.log";
    s->hit.indicator = indicator(kind);
    s->hit.observed = kind == NR_KIND_DOMAIN ? NR_BYTES("WWW.evil.example")
                                             : NR_BYTES("192.0.2.7");
    s->hit.record = &s->record;
    for (size_t i = 0; i < NR_HIT_ID; i++)
        s->hit.id[i] = (uint8_t)(n >> 8 * (i % 8));
    return &s->hit;
}

/* A file of this test, its descriptor for reading and appending. */
static inline int
open_temp(char path[64])
{
    int fd;

    (void)snprintf(path, 64, "/tmp/nr_alert_test.XXXXXX");
    fd = mkostemp(path, O_CLOEXEC | O_APPEND);
    assert_true(fd >= 0);
    return fd;
}

static inline struct nr_str
read_all(struct nr_arena *a, const char *path)
{
    struct nr_bytes in;
    struct nr_str s;

    assert_int_equal(nr_file_read(a, path, ROOM, &in, NULL), NR_OK);
    assert_true(nr_str_from_utf8(in, &s));
    return s;
}

static inline void
assert_text(struct nr_str got, const char *want)
{
    if (!nr_str_eq(got, nr_str_of(want)))
        fail_msg("got\n%.*s\nwanted\n%s", NR_FMT(got), want);
}

static inline struct nr_alert *
alert_to(const struct nr_alert_conf *conf, enum nr_alert_form form,
    const char *path)
{
    struct nr_alert *a = NULL;

    assert_int_equal(nr_alert_create(conf, &a, NULL), NR_OK);
    assert_int_equal(nr_alert_add_file(a, form, path, NULL), NR_OK);
    return a;
}

static inline void
hits(struct nr_alert *a, uint64_t from, uint64_t to)
{
    struct sample s;

    for (uint64_t n = from; n <= to; n++)
        assert_int_equal(nr_alert_hit(a,
                             hit_at(&s, n, NR_KIND_IPV4, NR_ACTION_ALLOWED),
                             NULL),
            NR_OK);
}

#endif
