#include "hunt_stix.h"

#include "logline/logline.h"
#include "stix/stix.h"
#include "watchlist/watchlist.h"
#include "json/json.h"

#include <stdio.h>

#define BUNDLE_MAX ((size_t)1 << 31) /* octets of a bundle */
#define COUNT_MAX  999999999         /* STIX 2.1 section 5.2.1, count */

/* Of ids made of a value: the namespace is a version 4 UUID of our own. */
static const uint8_t space[16] = { 0x5e, 0x1b, 0x0a, 0x9c, 0x40, 0x2f, 0x4d,
    0x6a, 0x9d, 0x11, 0x2c, 0x7e, 0x88, 0x03, 0x61, 0xf4 };

struct out {
    struct nr_json_out json;
    struct nr_buf text, name;
    int64_t now_us;
};

static int64_t
us(int64_t s)
{
    return s == NR_TIME_NONE ? s : s * NR_US_PER_S;
}

/* "kind:value", what ids are made of. */
static struct nr_str
name_of(struct out *o, const struct nr_indicator *i)
{
    nr_buf_reset(&o->name);
    nr_buf_printf(&o->name, "%s:", nr_kind_name(i->kind));
    nr_buf_put_str(&o->name, i->value);
    return (struct nr_str){ (const char *)o->name.p, o->name.n };
}

static void
put_indicator(struct out *o, const struct nr_indicator *i, struct nr_str id)
{
    struct nr_stix_indicator s = { .head = nr_stix_head_new("indicator", id,
                                       o->now_us, NR_STR(""),
                                       (struct nr_marking){ i->tlp, i->pap }),
        .name = i->value,
        .pattern_type = NR_STR("stix"),
        .valid_from_us = us(i->valid_from_s),
        .valid_until_us = us(i->valid_until_s),
        .first_seen_us = us(i->first_seen_s),
        .last_seen_us = us(i->last_seen_s) };

    nr_buf_reset(&o->name);
    if (!nr_stix_pattern_of(i->kind, i->value, &o->name))
        nr_buf_printf(&o->name, "[x-noroshi-%s:value = '%.*s']",
            nr_kind_name(i->kind), NR_FMT(i->value));
    s.pattern = (struct nr_str){ (const char *)o->name.p, o->name.n };
    if (s.valid_from_us == NR_TIME_NONE)
        s.valid_from_us = s.first_seen_us == NR_TIME_NONE ? o->now_us
                                                          : s.first_seen_us;
    nr_stix_indicator_write(&o->json, &s);
}

static void
put_sighting(struct out *o, const struct nr_indicator *i, struct nr_str of,
    const struct nr_answer *a, struct nr_arena *arena)
{
    char id[NR_STIX_ID_MAX];
    struct nr_str kinds[NR_LOG_KINDS];
    struct nr_stix_sighting s = {
        .head = nr_stix_head_new("sighting",
            nr_stix_id_named("sighting", space, name_of(o, i), id), o->now_us,
            NR_STR(""), (struct nr_marking){ i->tlp, i->pap }),
        .sighting_of_ref = of,
        .first_seen_us = us(a->first_s),
        .last_seen_us = us(a->last_s),
        .count = a->lines < COUNT_MAX ? (int64_t)a->lines : COUNT_MAX,
        .answer = nr_str_of(nr_answer_name(a->answer)),
        .denied = (int64_t)a->denied,
        .coverage = { .present = true, .coverage = a->coverage },
    };
    int64_t(*gaps)[2] = nr_arena_alloc(arena, sizeof(*gaps), a->n_gaps + 1,
        _Alignof(int64_t));

    for (unsigned k = 0; k < NR_LOG_KINDS; k++)
        if (a->kinds >> k & 1)
            kinds[s.coverage.kinds.n++] = nr_str_of(nr_log_kind_name(k));
    s.coverage.kinds.v = kinds;
    s.coverage.from_us = us(a->window.from * NR_S_PER_DAY);
    s.coverage.to_us = us((a->window.to + 1) * NR_S_PER_DAY);
    for (size_t g = 0; gaps && g < a->n_gaps; g++) {
        gaps[g][0] = us(a->gaps[g].from * NR_S_PER_DAY);
        gaps[g][1] = us((a->gaps[g].to + 1) * NR_S_PER_DAY);
    }
    s.coverage.gaps_us = (const int64_t(*)[2])gaps;
    s.coverage.n_gaps = gaps ? a->n_gaps : 0;
    nr_stix_sighting_write(&o->json, &s);
}

static void
put_answer(struct out *o, const struct nr_indicator *i,
    const struct nr_answer *a, struct nr_arena *arena)
{
    char id[NR_STIX_ID_MAX];
    struct nr_str of = i->said.id;

    if (of.n == 0) {
        of = nr_stix_id_named("indicator", space, name_of(o, i), id);
        put_indicator(o, i, of);
    }
    put_sighting(o, i, of, a, arena);
}

enum nr_err
hunt_stix(const struct nr_env *env, const struct nr_indicator *const *v,
    const struct nr_answer *answers, size_t n, bool all, struct nr_diag *d)
{
    struct out o = { .now_us = env->now_us(env->ctx) };
    char id[NR_STIX_ID_MAX];
    uint8_t random[16];
    struct nr_arena arena;
    size_t rows = 0;
    enum nr_err err;

    for (size_t i = 0; i < n; i++)
        rows += all || answers[i].lines > 0;
    if (rows == 0)
        return NR_OK;
    if (env->random(env->ctx, random, sizeof(random)))
        return nr_fail(d, NR_ESYS, 0, "hunt: no random octets for an id");
    nr_arena_init(&arena, BUNDLE_MAX);
    nr_buf_init(&o.text, BUNDLE_MAX);
    nr_buf_init(&o.name, BUNDLE_MAX);
    nr_json_out_init(&o.json, &o.text);
    nr_stix_bundle_open(&o.json, nr_stix_id_random("bundle", random, id));
    for (size_t i = 0; i < n; i++)
        if (all || answers[i].lines > 0)
            put_answer(&o, v[i], &answers[i], &arena);
    nr_stix_bundle_close(&o.json);
    err = nr_json_out_end(&o.json);
    nr_buf_put_c(&o.text, '\n');
    if (!err && fwrite(o.text.p, 1, o.text.n, stdout) != o.text.n)
        err = NR_ESYS;
    nr_buf_fini(&o.text);
    nr_buf_fini(&o.name);
    nr_arena_fini(&arena);
    return err ? nr_fail(d, err, 0, "hunt: the bundle cannot be written") : err;
}
