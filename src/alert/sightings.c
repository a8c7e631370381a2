/*
 * Hits as STIX 2.1: one sighting for each indicator and bundle, with the
 * observables that the lines showed.
 *
 * Nothing of the organisation's own enters a bundle: no client address, user,
 * host or file name, only what the indicator names. Ids are made of what they
 * stand for (UUIDv5), so the same lines give the same objects again.
 */
#include "alert/map.h"
#include "alert/sink.h"
#include "base/hash.h"
#include "base/table.h"
#include "stix/stix.h"
#include "json/json.h"

#include <stdlib.h>

#define BUNDLE_OCTETS ((size_t)256 << 20)
#define SCRATCH       ((size_t)64 << 20) /* octets of each arena */
#define SHOWN_MAX     8u                 /* observables of one sighting */
#define COUNT_MAX     999999999          /* STIX 2.1 section 5.2.1, count */
#define BUCKETS       NR_ALERT_BUNDLE_MAX

/* Of ids made of a value; the same that `noroshi hunt` uses. */
static const uint8_t space[16] = { 0x5e, 0x1b, 0x0a, 0x9c, 0x40, 0x2f, 0x4d,
    0x6a, 0x9d, 0x11, 0x2c, 0x7e, 0x88, 0x03, 0x61, 0xf4 };

struct group {
    struct nr_buf row; /* encoded, of the first hit */
    uint64_t count, denied;
    int64_t first_us, last_us;
    uint8_t first[NR_HIT_ID], last[NR_HIT_ID];
    struct nr_buf shown[SHOWN_MAX]; /* kind as an octet, then the text */
    size_t n_shown;
};

struct sightings {
    struct nr_env env;
    int64_t interval_us; /* 0: only at the end */
    int64_t start_us;    /* of the first hit in the bundle */
    bool saves;          /* somebody saves: bundles are written then */
    struct alert_out *out;
    struct alert_map map; /* of struct group, by kind and key */
    struct nr_buf key, text, name;
    struct nr_arena arena, scratch; /* of a bundle; of one observable */
};

static void
forget(struct sightings *s, struct alert_node *n)
{
    struct group *g = n->value;

    for (size_t i = 0; i < g->n_shown; i++)
        nr_buf_fini(&g->shown[i]);
    nr_buf_fini(&g->row);
    free(g);
    alert_map_remove(&s->map, n);
}

/* --- gathering --- */

/* RFC 3986 section 2: what is no character of a URI is escaped. */
static void
put_uri(struct nr_buf *out, struct nr_bytes url)
{
    static const char marks[] = "-._~:/?#[]@!$&'()*+,;=%";

    for (size_t i = 0; i < url.n; i++) {
        uint8_t c = url.p[i];

        if (nr_is_alpha(c) || nr_is_digit(c) || (c && strchr(marks, c)))
            nr_buf_put_c(out, (char)c);
        else
            nr_buf_printf(out, "%%%02X", (unsigned)c);
    }
}

/* What the line showed, as observables know it: an address of a range, a name
 * below a listed one, a URL with its scheme; else the indicator itself. False:
 * neither is one (a URL without a scheme). */
static bool
shown_of(const struct alert_row *r, struct nr_buf *out)
{
    enum nr_kind kind = r->indicator.kind;
    struct nr_buf key, text;
    struct nr_str observed;
    struct nr_bytes b;

    nr_buf_init(&key, NR_KEY_MAX);
    nr_buf_init(&text, NR_KEY_MAX + 64);
    if (kind == NR_KIND_CIDR4)
        kind = NR_KIND_IPV4;
    if (kind == NR_KIND_CIDR6)
        kind = NR_KIND_IPV6;
    nr_buf_put_c(out, (char)kind);
    if (nr_str_from_utf8(r->observed, &observed) &&
        nr_canon(kind, observed, &key, NULL) == NR_OK)
        nr_canon_print(kind, nr_buf_bytes(&key), &text);
    else
        nr_buf_put_str(&text, r->indicator.value);
    b = nr_buf_bytes(&text);
    if (kind == NR_KIND_URL)
        put_uri(out, b);
    else
        nr_buf_put(out, b);
    nr_buf_fini(&key);
    nr_buf_fini(&text);
    return kind != NR_KIND_URL || out->n < 2 || out->p[1] != '/';
}

static void
add_shown(struct group *g, const struct alert_row *r)
{
    struct nr_buf b;
    bool known = g->n_shown == SHOWN_MAX;

    if (known)
        return;
    nr_buf_init(&b, 3 * NR_KEY_MAX + 64);
    known = !shown_of(r, &b);
    for (size_t i = 0; i < g->n_shown && !known; i++)
        known = nr_bytes_eq(nr_buf_bytes(&g->shown[i]), nr_buf_bytes(&b));
    if (known || b.err != NR_OK)
        nr_buf_fini(&b);
    else
        g->shown[g->n_shown++] = b;
}

static struct group *
group_of(struct sightings *s, const struct alert_row *r)
{
    struct alert_node *n;
    struct group *g;

    nr_buf_reset(&s->key);
    nr_buf_put_c(&s->key, (char)r->indicator.kind);
    nr_buf_put(&s->key, r->indicator.key);
    n = alert_map_find(&s->map, nr_buf_bytes(&s->key));
    if (n)
        return n->value;
    g = calloc(1, sizeof(*g));
    if (!g)
        return NULL;
    nr_buf_init(&g->row, NR_ALERT_ROW_MAX);
    alert_row_encode(r, &g->row);
    if (g->row.err != NR_OK ||
        !alert_map_add(&s->map, nr_buf_bytes(&s->key), g)) {
        nr_buf_fini(&g->row);
        free(g);
        return NULL;
    }
    g->first_us = g->last_us = NR_TIME_NONE;
    memcpy(g->first, r->id, sizeof(g->first));
    return g;
}

static enum nr_err write_bundle(struct sightings *s, struct nr_diag *d);

static enum nr_err
row(void *self, const struct alert_row *r, struct nr_diag *d)
{
    struct sightings *s = self;
    int64_t now = s->env.now_us(s->env.ctx);
    int64_t at = r->time_us == NR_TIME_NONE ? now : r->time_us;
    struct group *g = group_of(s, r);

    if (!g)
        return nr_fail(d, NR_ENOMEM, 0, "alert: out of memory");
    if (s->start_us == NR_TIME_NONE)
        s->start_us = now;
    if (g->first_us == NR_TIME_NONE || at < g->first_us)
        g->first_us = at;
    if (g->last_us == NR_TIME_NONE || at > g->last_us)
        g->last_us = at;
    g->count += r->count;
    g->denied += r->action == NR_ACTION_DENIED ? r->count : 0;
    memcpy(g->last, r->id, sizeof(g->last));
    add_shown(g, r);
    return s->map.n >= NR_ALERT_BUNDLE_MAX ? write_bundle(s, d) : NR_OK;
}

/* --- observables --- */

/* STIX 2.1 section 10.7 (hash algorithms), 6.7 (file). */
static const char *
hash_name(unsigned kind)
{
    return kind == NR_KIND_MD5   ? "MD5"
        : kind == NR_KIND_SHA1   ? "SHA-1"
        : kind == NR_KIND_SHA256 ? "SHA-256"
        : kind == NR_KIND_SHA512 ? "SHA-512"
                                 : NULL;
}

static const char *
type_of(unsigned kind)
{
    switch (kind) {
    case NR_KIND_IPV4:
        return "ipv4-addr";
    case NR_KIND_IPV6:
        return "ipv6-addr";
    case NR_KIND_DOMAIN:
        return "domain-name";
    case NR_KIND_URL:
        return "url";
    case NR_KIND_EMAIL:
        return "email-addr";
    case NR_KIND_FILENAME:
        return "file";
    default:
        return hash_name(kind) ? "file" : NULL;
    }
}

/* The object; ID and REFS may be empty (for the octets that make the id). */
static void
put_observable(struct nr_json_out *o, struct nr_bytes shown, struct nr_str id,
    struct nr_marking marking)
{
    unsigned kind = shown.p[0];
    const char *hash = hash_name(kind);
    struct nr_str value = { (const char *)shown.p + 1, shown.n - 1 };
    struct nr_str refs[2] = { nr_tlp_id(marking.tlp), nr_pap_id(marking.pap) };

    nr_json_open_object(o);
    nr_json_member_str(o, NR_STR("type"), nr_str_of(type_of(kind)));
    nr_json_member_str(o, NR_STR("spec_version"), NR_STR("2.1"));
    if (id.n > 0)
        nr_json_member_str(o, NR_STR("id"), id);
    if (hash) {
        nr_json_key(o, NR_STR("hashes"));
        nr_json_open_object(o);
        nr_json_member_str(o, nr_str_of(hash), value);
        nr_json_close_object(o);
    } else {
        nr_json_member_str(o,
            kind == NR_KIND_FILENAME ? NR_STR("name") : NR_STR("value"), value);
    }
    if (refs[0].n + refs[1].n > 0) {
        nr_json_key(o, NR_STR("object_marking_refs"));
        nr_json_open_array(o);
        for (size_t i = 0; i < 2; i++)
            if (refs[i].n > 0)
                nr_json_put_str(o, refs[i]);
        nr_json_close_array(o);
    }
    nr_json_close_object(o);
}

/* Id of an observable, arena-owned; empty: it has none. */
static struct nr_str
observable_id(struct sightings *s, struct nr_bytes shown)
{
    const struct nr_json *tree = NULL;
    struct nr_json_out o;
    char *id = nr_new(&s->arena, char, NR_STIX_ID_MAX);

    if (!id || shown.n == 0 || !type_of(shown.p[0]))
        return NR_STR("");
    nr_arena_reset(&s->scratch);
    nr_buf_reset(&s->name);
    nr_json_out_init(&o, &s->name);
    put_observable(&o, shown, NR_STR(""), (struct nr_marking){ 0 });
    if (nr_json_out_end(&o) != NR_OK ||
        nr_json_parse(&s->scratch, nr_buf_bytes(&s->name), &tree, NULL) ||
        nr_stix_sco_id(&s->scratch, tree, id, NULL) != NR_OK)
        return NR_STR("");
    return nr_str_of(id);
}

/* --- a bundle --- */

/* An indicator with the ids of its observables. */
struct told {
    struct group *group;
    struct alert_row row;
    struct nr_str ids[SHOWN_MAX];
    size_t n_ids;
};

/* The strictest marking of an observable that several sightings share. */
static enum nr_err
join_markings(struct sightings *s, struct nr_table *marks, struct told *t)
{
    for (size_t i = 0; i < t->group->n_shown; i++) {
        struct nr_str id = observable_id(s, nr_buf_bytes(&t->group->shown[i]));
        struct nr_buf keep;
        uint64_t *mark;

        if (id.n == 0)
            continue;
        mark = nr_table_put(marks, nr_bytes_of(id), 0, NULL);
        if (!mark)
            return NR_ENOMEM;
        if (t->row.indicator.tlp > *mark >> 8)
            *mark = (uint64_t)t->row.indicator.tlp << 8 | (*mark & 0xff);
        if (t->row.indicator.pap > (*mark & 0xff))
            *mark = (*mark & ~UINT64_C(0xff)) | t->row.indicator.pap;
        keep = t->group->shown[i];
        t->group->shown[i] = t->group->shown[t->n_ids];
        t->group->shown[t->n_ids] = keep;
        t->ids[t->n_ids++] = id;
    }
    return NR_OK;
}

static int64_t
us(int64_t s)
{
    return s == NR_TIME_NONE ? s : s * NR_US_PER_S;
}

static struct nr_str
name_of(struct sightings *s, const struct nr_indicator *i)
{
    nr_buf_reset(&s->name);
    nr_buf_printf(&s->name, "%s:", nr_kind_name(i->kind));
    nr_buf_put_str(&s->name, i->value);
    return (struct nr_str){ (const char *)s->name.p, s->name.n };
}

static void
put_indicator(struct sightings *s, struct nr_json_out *o,
    const struct nr_indicator *i, struct nr_str id, int64_t now_us)
{
    struct nr_stix_indicator x = { .head = nr_stix_head_new("indicator", id,
                                       now_us, NR_STR(""),
                                       (struct nr_marking){ i->tlp, i->pap }),
        .name = i->value,
        .pattern_type = NR_STR("stix"),
        .valid_from_us = us(i->valid_from_s),
        .valid_until_us = us(i->valid_until_s),
        .first_seen_us = us(i->first_seen_s),
        .last_seen_us = us(i->last_seen_s) };

    nr_buf_reset(&s->name);
    if (!nr_stix_pattern_of(i->kind, i->value, &s->name))
        nr_buf_printf(&s->name, "[x-noroshi-%s:value = '%.*s']",
            nr_kind_name(i->kind), NR_FMT(i->value));
    x.pattern = (struct nr_str){ (const char *)s->name.p, s->name.n };
    if (x.valid_from_us == NR_TIME_NONE)
        x.valid_from_us = x.first_seen_us == NR_TIME_NONE ? now_us
                                                          : x.first_seen_us;
    nr_stix_indicator_write(o, &x);
}

/* The name that the ids of a sighting and its data are made of: the hits. */
static struct nr_str
sighting_name(struct sightings *s, const struct told *t)
{
    char first[NR_HIT_ID_TEXT], last[NR_HIT_ID_TEXT];

    (void)name_of(s, &t->row.indicator);
    nr_hit_id_print(t->group->first, first);
    nr_hit_id_print(t->group->last, last);
    nr_buf_printf(&s->name, "|%s|%s|%llu", first, last,
        (unsigned long long)t->group->count);
    return (struct nr_str){ (const char *)s->name.p, s->name.n };
}

static int64_t
capped(uint64_t n)
{
    return n < COUNT_MAX ? (int64_t)n : COUNT_MAX;
}

static void
put_sighting(struct sightings *s, struct nr_json_out *o, const struct told *t,
    struct nr_str of, int64_t now_us)
{
    const struct nr_indicator *i = &t->row.indicator;
    const struct group *g = t->group;
    struct nr_marking marking = { i->tlp, i->pap };
    char id[NR_STIX_ID_MAX], data_id[NR_STIX_ID_MAX];
    struct nr_str data = nr_stix_id_named("observed-data", space,
        sighting_name(s, t), data_id);
    struct nr_stix_observed_data seen = {
        .head = nr_stix_head_new("observed-data", data, now_us, NR_STR(""),
            marking),
        .first_observed_us = g->first_us,
        .last_observed_us = g->last_us,
        .number_observed = capped(g->count),
        .object_refs = { t->ids, t->n_ids },
    };
    struct nr_stix_sighting x = {
        .head = nr_stix_head_new("sighting",
            nr_stix_id_named("sighting", space, sighting_name(s, t), id),
            now_us, NR_STR(""), marking),
        .sighting_of_ref = of,
        .first_seen_us = g->first_us,
        .last_seen_us = g->last_us,
        .count = capped(g->count),
        .answer = g->denied < g->count ? NR_STR("seen") : NR_STR("denied"),
        .denied = (int64_t)g->denied,
    };

    if (t->n_ids > 0) {
        nr_stix_observed_data_write(o, &seen);
        x.observed_data_refs = (struct nr_strs){ &data, 1 };
    }
    nr_stix_sighting_write(o, &x);
}

static void
put_told(struct sightings *s, struct nr_json_out *o, struct nr_table *marks,
    const struct told *t, int64_t now_us)
{
    const uint64_t done = UINT64_C(1) << 63; /* this observable was written */
    struct nr_str of = t->row.indicator.said.id;
    char id[NR_STIX_ID_MAX];

    if (!nr_stix_id_is(of, NR_STR("indicator"))) {
        of = nr_stix_id_named("indicator", space, name_of(s, &t->row.indicator),
            id);
        put_indicator(s, o, &t->row.indicator, of, now_us);
    }
    for (size_t i = 0; i < t->n_ids; i++) {
        uint64_t *mark = nr_table_get(marks, nr_bytes_of(t->ids[i]));

        if (!mark || (*mark & done))
            continue;
        put_observable(o, nr_buf_bytes(&t->group->shown[i]), t->ids[i],
            (struct nr_marking){ (enum nr_tlp)(*mark >> 8),
                (enum nr_pap)(*mark & 0xff) });
        *mark |= done;
    }
    put_sighting(s, o, t, of, now_us);
}

static enum nr_err
fill_bundle(struct sightings *s, struct nr_table *marks, struct nr_diag *d)
{
    struct told *v = nr_new(&s->arena, struct told, s->map.n);
    int64_t now = s->env.now_us(s->env.ctx);
    enum nr_err err = v ? NR_OK : NR_ENOMEM;
    struct nr_json_out o;
    char id[NR_STIX_ID_MAX];
    uint8_t random[16];
    size_t n = 0;

    if (s->env.random(s->env.ctx, random, sizeof(random)) != NR_OK)
        return nr_fail(d, NR_ESYS, 0, "alert: no random octets");
    for (struct alert_node *k = s->map.oldest; k && err == NR_OK;
         k = k->newer, n++) {
        v[n] = (struct told){ .group = k->value };
        err = alert_row_decode(nr_buf_bytes(&v[n].group->row), &v[n].row);
        if (err == NR_OK)
            err = join_markings(s, marks, &v[n]);
    }
    nr_json_out_init(&o, &s->text);
    nr_stix_bundle_open(&o, nr_stix_id_random("bundle", random, id));
    for (size_t i = 0; i < n && err == NR_OK; i++)
        put_told(s, &o, marks, &v[i], now);
    nr_stix_bundle_close(&o);
    if (err == NR_OK)
        err = nr_json_out_end(&o);
    nr_buf_put_c(&s->text, '\n');
    return err ? nr_fail(d, err, 0, "alert: the bundle cannot be made") : err;
}

static enum nr_err
write_bundle(struct sightings *s, struct nr_diag *d)
{
    struct nr_table marks;
    uint64_t seed;
    enum nr_err err = NR_OK;

    if (s->map.n == 0)
        return NR_OK;
    if (s->env.random(s->env.ctx, &seed, sizeof(seed)) != NR_OK)
        return nr_fail(d, NR_ESYS, 0, "alert: no random octets");
    nr_table_init(&marks, seed);
    nr_buf_reset(&s->text);
    err = fill_bundle(s, &marks, d);
    if (err == NR_OK)
        err = alert_out_put(s->out, nr_buf_bytes(&s->text), d);
    if (err == NR_OK)
        err = alert_out_flush(s->out, d);
    nr_table_fini(&marks);
    nr_arena_reset(&s->arena);
    while (s->map.oldest)
        forget(s, s->map.oldest);
    s->start_us = NR_TIME_NONE;
    return err;
}

static bool
is_due(const struct sightings *s)
{
    int64_t now = s->env.now_us(s->env.ctx);

    return s->interval_us > 0 && s->start_us != NR_TIME_NONE &&
        (now < s->start_us || now - s->start_us >= s->interval_us);
}

static enum nr_err
tick(void *self, struct nr_diag *d)
{
    struct sightings *s = self;

    /* If states are saved, only then: else one would never find all of the
     * hits written, for new ones come at any time. */
    return is_due(s) && !s->saves ? write_bundle(s, d) : NR_OK;
}

static enum nr_err
finish(void *self, struct nr_diag *d)
{
    struct sightings *s = self;
    enum nr_err err = write_bundle(s, d);

    return err == NR_OK ? alert_out_flush(s->out, d) : err;
}

static enum nr_err
save(void *self, struct nr_buf *state, struct nr_diag *d)
{
    struct sightings *s = self;
    enum nr_err err = is_due(s) ? write_bundle(s, d) : NR_OK;

    s->saves = true;
    if (err != NR_OK)
        return err;
    return s->map.n > 0 ? NR_EBUSY : alert_out_save(s->out, state, d);
}

static enum nr_err
load(void *self, struct nr_bytes state, struct nr_diag *d)
{
    struct sightings *s = self;

    return alert_out_load(s->out, state, d);
}

static bool
is_gone(const void *self)
{
    const struct sightings *s = self;

    return alert_out_is_gone(s->out);
}

static void
destroy(void *self)
{
    struct sightings *s = self;

    while (s->map.oldest)
        forget(s, s->map.oldest);
    alert_map_fini(&s->map);
    alert_out_close(s->out);
    nr_buf_fini(&s->key);
    nr_buf_fini(&s->text);
    nr_buf_fini(&s->name);
    nr_arena_fini(&s->arena);
    nr_arena_fini(&s->scratch);
    free(s);
}

static const struct alert_sink_ops ops = {
    .all = true,
    .row = row,
    .tick = tick,
    .finish = finish,
    .save = save,
    .load = load,
    .is_gone = is_gone,
    .destroy = destroy,
};

enum nr_err
alert_sightings_create(const struct nr_alert_conf *conf, struct alert_out *out,
    struct alert_sink *sink, struct nr_diag *d)
{
    struct sightings *s = calloc(1, sizeof(*s));
    uint64_t seed;
    enum nr_err err;

    if (!s) {
        alert_out_close(out);
        return nr_fail(d, NR_ENOMEM, 0, "alert: out of memory");
    }
    s->env = conf->env;
    s->out = out;
    s->start_us = NR_TIME_NONE;
    if (conf->follow)
        s->interval_us = conf->interval_us > 0 ? conf->interval_us
                                               : NR_ALERT_BUNDLE_US;
    nr_buf_init(&s->key, NR_KEY_MAX + 1);
    nr_buf_init(&s->text, BUNDLE_OCTETS);
    nr_buf_init(&s->name, NR_ALERT_ROW_MAX);
    nr_arena_init(&s->arena, SCRATCH);
    nr_arena_init(&s->scratch, SCRATCH);
    err = conf->env.random(conf->env.ctx, &seed, sizeof(seed));
    if (err == NR_OK)
        err = alert_map_init(&s->map, BUCKETS, seed, d);
    else
        (void)nr_fail(d, err, 0, "alert: no random octets");
    if (err == NR_OK)
        *sink = (struct alert_sink){ &ops, s };
    else
        destroy(s);
    return err;
}
