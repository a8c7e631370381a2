/* What the courier brought, and what is asked again when logs were added. */
#include "member/agent.h"
#include "member/private.h"
#include "observable/observable.h"
#include "stix/stix.h"
#include "watchlist/watchlist.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAME_DIGITS 12 /* of an inbox file, before "-COLLECTION.json" */
#define SEED        UINT64_C(0x6e6f726f736869)

/* "HOME/DIR/NAME", arena-owned: four kilobytes each are too much for a stack
 * that a hunt stands on. */
static enum nr_err
path_of(struct nr_arena *a, const char *home, const char *dir, const char *name,
    const char **out, struct nr_diag *d)
{
    size_t n = strlen(home) + strlen(dir) + strlen(name) + 3;
    char *p = nr_new(a, char, n);

    if (!p)
        return nr_fail(d, NR_ENOMEM, 0, "inbox: no memory");
    (void)snprintf(p, n, "%s/%s/%s", home, dir, name);
    *out = p;
    return NR_OK;
}

/* --- the indicators of a bundle --- */

struct intake {
    struct nr_agent *ag;
    struct nr_answer_log *log;
    struct nr_arena *a;
    struct nr_str collection;
    struct nr_table ids; /* id -> index of cases */
    struct nr_batch b;
    size_t entry_cap;
    struct nr_warnlists *warn; /* NULL: nothing is flagged */
};

static enum nr_err
take_object(struct intake *in, const struct nr_json *o)
{
    const struct nr_json *revoked = nr_json_get(o, NR_STR("revoked"));
    struct nr_str type, id, version;
    const struct nr_known *old;
    struct nr_case *k;
    uint64_t *at;
    int64_t us;

    if (!nr_json_get_str(o, NR_STR("type"), &type) ||
        !nr_str_eq(type, NR_STR("indicator")) ||
        !nr_json_get_str(o, NR_STR("id"), &id) || id.n == 0 ||
        id.n > NR_ANSWER_ID_MAX ||
        !nr_json_get_str(o, NR_STR("modified"), &version) ||
        nr_rfc3339_parse(nr_bytes_of(version), &us, NULL) != NR_OK)
        return NR_OK;
    /* A page that came twice finds its answers given. */
    old = nr_answer_log_find(in->log, id);
    if (old && old->version_us >= us)
        return NR_OK;
    at = nr_table_put(&in->ids, nr_bytes_of(id), in->b.n_cases, NULL);
    if (!at)
        return NR_ENOMEM;
    k = &in->b.cases[*at];
    if (*at == in->b.n_cases) {
        in->b.n_cases++;
    } else if (k->version_us >= us) {
        return NR_OK;
    }
    *k = (struct nr_case){ .id = id,
        .version = version,
        .collection = in->collection,
        .object = o,
        .version_us = us,
        .revoked = nr_json_is(revoked, NR_JSON_BOOL) && revoked->truth };
    return NR_OK;
}

static enum nr_err
take_objects(struct intake *in, const struct nr_json *objects,
    struct nr_diag *d)
{
    in->b.cases = nr_new(in->a, struct nr_case, (objects ? objects->n : 0) + 1);
    if (!in->b.cases)
        return nr_fail(d, NR_ENOMEM, 0, "inbox: no memory");
    if (!nr_json_is(objects, NR_JSON_ARRAY))
        return NR_OK;
    for (const struct nr_json *o = objects->child; o; o = o->next)
        if (take_object(in, o))
            return nr_fail(d, NR_ENOMEM, 0, "inbox: no memory");
    return NR_OK;
}

/* --- the values of an indicator --- */

static int64_t
seconds_of(const struct nr_json *o, struct nr_str name)
{
    struct nr_str text;
    int64_t us;

    if (!nr_json_get_str(o, name, &text) ||
        nr_rfc3339_parse(nr_bytes_of(text), &us, NULL) != NR_OK)
        return NR_TIME_NONE;
    return us / NR_US_PER_S - (us % NR_US_PER_S < 0);
}

/* A key and its text, arena-owned; NULL: no memory. */
static struct nr_indicator *
make_entry(struct nr_arena *a, enum nr_kind kind, struct nr_bytes key)
{
    struct nr_indicator *x = nr_new(a, struct nr_indicator, 1);
    uint8_t *copy = nr_new(a, uint8_t, key.n + 1);

    if (!x || !copy)
        return NULL;
    memcpy(copy, key.p, key.n);
    *x = nr_indicator_of(kind, (struct nr_bytes){ copy, key.n });
    return x;
}

/* A range stands in the property of an address, and the other way. */
static struct nr_str
name_of(enum nr_kind kind)
{
    return kind <= NR_KIND_IPV6 ? NR_STR("ip") : nr_str_of(nr_kind_name(kind));
}

static void
flag(const struct intake *in, struct nr_indicator *x)
{
    struct nr_warn_hit hit;
    struct nr_buf b;
    char *text;

    if (!nr_warn_check(in->warn, x->kind, x->key, &hit))
        return;
    nr_buf_init(&b, NR_WATCHLIST_TEXT_MAX);
    nr_buf_put_str(&b, hit.list);
    nr_buf_put_str(&b, NR_STR(": "));
    nr_buf_put_str(&b, hit.entry);
    text = nr_arena_text(in->a, (struct nr_str){ (const char *)b.p, b.n });
    if (text)
        x->warn = (struct nr_str){ text, b.n };
    nr_buf_fini(&b);
}

static enum nr_err
add_entry(struct intake *in, struct nr_case *k, const struct nr_stix_atom *atom)
{
    struct nr_marking m = nr_stix_marking(k->object, NULL, NULL, NULL);
    struct nr_indicator *x = NULL;
    enum nr_kind kind;
    struct nr_buf key;
    enum nr_err err;

    if (in->b.n_entries == in->entry_cap) {
        size_t cap = in->entry_cap ? in->entry_cap * 2 : 64;
        const struct nr_indicator **v = nr_new(in->a,
            const struct nr_indicator *, cap);

        if (!v)
            return NR_ENOMEM;
        if (in->b.n_entries > 0)
            memcpy(v, in->b.entries, in->b.n_entries * sizeof(*v));
        in->b.entries = v;
        in->entry_cap = cap;
    }
    nr_buf_init(&key, NR_KEY_MAX);
    err = nr_canon_named(name_of(atom->kind), atom->value, &kind, &key, NULL);
    if (!err)
        x = make_entry(in->a, kind, nr_buf_bytes(&key));
    nr_buf_fini(&key);
    if (err)
        return err == NR_ENOMEM ? err : NR_OK; /* counted: n stays */
    if (!x)
        return NR_ENOMEM;
    x->tlp = (uint8_t)m.tlp;
    x->pap = (uint8_t)m.pap;
    x->said.id = k->id;
    (void)nr_json_get_str(k->object, NR_STR("created_by_ref"), &x->said.source);
    x->said.date_s = seconds_of(k->object, NR_STR("created"));
    x->valid_from_s = seconds_of(k->object, NR_STR("valid_from"));
    x->valid_until_s = seconds_of(k->object, NR_STR("valid_until"));
    x->first_seen_s = seconds_of(k->object, NR_STR("x_noroshi_first_seen"));
    x->last_seen_s = seconds_of(k->object, NR_STR("x_noroshi_last_seen"));
    flag(in, x);
    in->b.entries[in->b.n_entries++] = x;
    k->n++;
    return NR_OK;
}

/* What of the pattern a log line can answer. What cannot be answered leaves
 * the case with fewer values, or with none: "cannot say". */
static enum nr_err
read_values(struct intake *in, struct nr_case *k)
{
    const struct nr_stix_node *tree = NULL;
    struct nr_stix_atoms atoms = { 0 };
    struct nr_str pattern, type;
    enum nr_err err;

    k->first = in->b.n_entries;
    if (k->revoked ||
        !nr_json_get_str(k->object, NR_STR("pattern"), &pattern) ||
        (nr_json_get_str(k->object, NR_STR("pattern_type"), &type) &&
            !nr_str_eq(type, NR_STR("stix"))))
        return NR_OK;
    err = nr_stix_pattern_parse(in->a, pattern, &tree, NULL);
    if (!err)
        err = nr_stix_pattern_atoms(in->a, tree, &atoms, NULL);
    for (size_t i = 0; !err && i < atoms.n; i++)
        err = add_entry(in, k, &atoms.v[i]);
    if (k->n == 0)
        nr_agent_log(in->ag, "%.*s: no value that logs can answer",
            NR_FMT(k->id));
    return err == NR_ENOMEM ? err : NR_OK;
}

/* --- the compiled watchlist: what stood, without what changed, and the new */

static enum nr_err
keep_old(const struct intake *in, const char *path,
    struct nr_watchlist_builder *b, struct nr_diag *d)
{
    struct nr_watchlist *w = NULL;
    enum nr_err err = nr_watchlist_open(path, &w, d);
    bool judge;

    if (err == NR_ENOTFOUND) {
        if (d)
            *d = (struct nr_diag){ 0 };
        return NR_OK;
    }
    judge = !err && nr_watchlist_warn_version(w) != nr_warn_version(in->warn);
    if (judge)
        nr_agent_log(in->ag,
            "%s: was judged by other warninglists than those installed; its "
            "values are judged anew",
            path);
    for (size_t i = 0; !err && i < nr_watchlist_count(w); i++) {
        struct nr_indicator x = nr_watchlist_get(w, i);

        if (judge) {
            x.warn = NR_STR("");
            flag(in, &x);
        }
        for (size_t c = 0; !err && c < x.n_claims; c++) {
            struct nr_indicator one = x;

            one.said = nr_watchlist_claim(w, i, c);
            if (!one.said.id.n ||
                !nr_table_get(&in->ids, nr_bytes_of(one.said.id)))
                err = nr_watchlist_add(b, &one, d);
        }
    }
    nr_watchlist_close(w);
    return err;
}

static enum nr_err
write_watchlist(const struct intake *in, struct nr_diag *d)
{
    const char *path = NULL;
    struct nr_watchlist_builder *b = NULL;
    uint64_t key[2];
    enum nr_err err = path_of(in->a, in->ag->home, NR_HOME_WATCHLIST, "hub.nrw",
        &path, d);

    if (!err && in->ag->env->random(in->ag->env->ctx, key, sizeof(key)))
        err = nr_fail(d, NR_ESYS, 0, "watchlist: no random octets");
    if (!err)
        b = nr_watchlist_builder_create(key);
    if (!err && !b)
        err = nr_fail(d, NR_ENOMEM, 0, "watchlist: no memory");
    if (!err) {
        nr_watchlist_judged_by(b, nr_warn_version(in->warn));
        err = keep_old(in, path, b, d);
    }
    for (size_t i = 0; !err && i < in->b.n_entries; i++)
        err = nr_watchlist_add(b, in->b.entries[i], d);
    if (!err)
        err = nr_watchlist_write(b, path, nr_env_now_s(in->ag->env), d);
    nr_watchlist_builder_destroy(b);
    return err;
}

/* --- one file --- */

static enum nr_err
load_warnlists(const struct nr_agent *ag, struct nr_arena *a,
    struct nr_warnlists **out, struct nr_diag *d)
{
    struct nr_str dir, what;
    const char *path;
    size_t at = 0;
    enum nr_err err;

    *out = NULL;
    if (!nr_config_get(&ag->config, NR_STR("warninglists"), &dir))
        return NR_OK;
    path = nr_arena_text(a, dir);
    err = path ? nr_warn_load(path, out, d)
               : nr_fail(d, NR_ENOMEM, 0, "warninglists: no memory");
    while (!err && nr_config_next(&ag->config, NR_STR("allow"), &at, &what))
        err = nr_warn_allow(*out, what, d);
    return err;
}

static enum nr_err
answer_bundle(struct intake *in, const char *name, bool *sent,
    struct nr_diag *d)
{
    struct nr_diag why = { 0 };
    enum nr_err err = NR_OK;

    if (in->b.n_cases == 0)
        return NR_OK;
    /* A list that cannot be read takes the flags, not the answers. */
    if (load_warnlists(in->ag, in->a, &in->warn, &why))
        nr_agent_log_diag(in->ag, &why);
    for (size_t i = 0; !err && i < in->b.n_cases; i++)
        err = read_values(in, &in->b.cases[i]);
    if (err)
        err = nr_fail(d, err, 0, "inbox: no memory");
    if (!err)
        err = write_watchlist(in, d);
    if (!err)
        err = nr_answer_batch(in->ag, in->log, in->a, &in->b, sent, d);
    if (!err)
        nr_agent_log(in->ag, "%s: %zu indicators, %zu values answered", name,
            in->b.n_cases, in->b.n_entries);
    nr_warn_destroy(in->warn);
    return err;
}

static struct nr_str
collection_of(const char *name)
{
    struct nr_str s = nr_str_of(name);
    const size_t tail = sizeof(".json") - 1;

    if (s.n <= NAME_DIGITS + 1 + tail)
        return (struct nr_str){ "", 0 };
    return (
        struct nr_str){ s.p + NAME_DIGITS + 1, s.n - NAME_DIGITS - 1 - tail };
}

static enum nr_err
put_away(const struct nr_agent *ag, struct nr_arena *a, const char *name,
    struct nr_diag *d)
{
    const char *from = NULL, *to = NULL;
    enum nr_err err = path_of(a, ag->home, NR_HOME_INBOX, name, &from, d);

    if (!err)
        err = path_of(a, ag->home, NR_HOME_DONE, name, &to, d);
    if (!err && rename(from, to) != 0)
        err = nr_fail_file(d, "inbox: cannot be put away", from);
    return err;
}

enum nr_err
nr_intake_file(struct nr_agent *ag, struct nr_answer_log *log, const char *name,
    bool *sent, struct nr_diag *d)
{
    const char *path = NULL;
    struct nr_arena a;
    struct intake in = { .ag = ag,
        .log = log,
        .a = &a,
        .collection = collection_of(name) };
    const struct nr_json *j = NULL;
    struct nr_bytes text = { 0 };
    enum nr_err err;

    nr_arena_init(&a, NR_WORK_MEMORY);
    nr_table_init(&in.ids, SEED);
    err = path_of(&a, ag->home, NR_HOME_INBOX, name, &path, d);
    if (!err)
        err = nr_file_read(&a, path, NR_BUNDLE_MAX, &text, d);
    if (!err)
        err = nr_json_parse(&a, text, &j, d);
    if (!err)
        err = take_objects(&in, nr_json_get(j, NR_STR("objects")), d);
    if (!err)
        err = answer_bundle(&in, name, sent, d);
    if (err == NR_EFORMAT || err == NR_ETRUNC) {
        /* Not JSON: it cannot become it. Named, and out of the way. */
        nr_diag_add_name(d, path);
        nr_agent_log_diag(ag, d);
        *d = (struct nr_diag){ 0 };
        err = NR_OK;
    }
    if (!err)
        err = put_away(ag, &a, name, d);
    nr_table_fini(&in.ids);
    nr_arena_fini(&a);
    return err;
}

/* --- asking again --- */

static int64_t
time_or_none(const struct nr_json *j, struct nr_str name)
{
    int64_t v = NR_TIME_NONE;

    (void)nr_json_get_i64(j, name, &v);
    return v;
}

/* A value of an answer line as an indicator; NULL: none (or no memory). */
static const struct nr_indicator *
read_value(struct nr_arena *a, const struct nr_json *j)
{
    struct nr_indicator *x = NULL;
    struct nr_str kind, value;
    enum nr_kind k;
    struct nr_buf key;

    if (!nr_json_get_str(j, NR_STR("kind"), &kind) ||
        !nr_json_get_str(j, NR_STR("value"), &value))
        return NULL;
    nr_buf_init(&key, NR_KEY_MAX);
    if (nr_canon_named(kind, value, &k, &key, NULL) == NR_OK)
        x = make_entry(a, k, nr_buf_bytes(&key));
    nr_buf_fini(&key);
    if (x) {
        x->valid_from_s = time_or_none(j, NR_STR("valid_from"));
        x->valid_until_s = time_or_none(j, NR_STR("valid_until"));
        x->first_seen_s = time_or_none(j, NR_STR("first_seen"));
        x->last_seen_s = time_or_none(j, NR_STR("last_seen"));
        (void)nr_json_get_str(j, NR_STR("warn"), &x->warn);
    }
    return x;
}

static enum nr_err
add_known(const struct nr_answer_log *log, struct nr_arena *a,
    const struct nr_known *k, struct nr_batch *b, size_t cap, struct nr_diag *d)
{
    struct nr_case *c = &b->cases[b->n_cases];
    const struct nr_json *j = NULL, *values;
    struct nr_bytes line;
    enum nr_err err = nr_answer_log_text(log, a, k->at, k->len, &line, d);

    if (!err)
        err = nr_json_parse(a, line, &j, d);
    if (err)
        return err;
    *c = (struct nr_case){ .id = k->id,
        .version_us = k->version_us,
        .first = b->n_entries };
    (void)nr_json_get_str(j, NR_STR("version"), &c->version);
    (void)nr_json_get_str(j, NR_STR("collection"), &c->collection);
    values = nr_json_get(j, NR_STR("values"));
    for (const struct nr_json *v = values ? values->child : NULL;
         v && b->n_entries < cap; v = v->next) {
        const struct nr_indicator *x = read_value(a, v);

        if (!x)
            continue;
        b->entries[b->n_entries++] = x;
        c->n++;
    }
    b->n_cases++;
    return NR_OK;
}

enum nr_err
nr_intake_again(struct nr_agent *ag, struct nr_answer_log *log, bool *sent,
    struct nr_diag *d)
{
    const size_t cap = NR_BATCH_MAX * 64;
    size_t n = log->n; /* answering appends to the log, not to its index */
    struct nr_diag why = { 0 };
    enum nr_err err = nr_stand_begin(ag, d), end;

    for (size_t i = 0; !err && i < n;) {
        struct nr_batch b = { .only_changes = true };
        struct nr_arena a;

        nr_arena_init(&a, NR_WORK_MEMORY);
        b.cases = nr_new(&a, struct nr_case, NR_BATCH_MAX);
        b.entries = nr_new(&a, const struct nr_indicator *, cap);
        if (!b.cases || !b.entries)
            err = nr_fail(d, NR_ENOMEM, 0, "agent: no memory to ask again");
        for (; !err && i < n && b.n_cases < NR_BATCH_MAX; i++)
            if (strcmp(nr_answer_word(log->v[i].word), "revoked") != 0)
                err = add_known(log, &a, &log->v[i], &b, cap, d);
        if (!err)
            err = nr_answer_batch(ag, log, &a, &b, sent, d);
        nr_arena_fini(&a);
    }
    end = nr_stand_end(ag, err == NR_OK, &why);
    if (end) /* what stands no longer costs a little, nothing else */
        nr_agent_log_diag(ag, &why);
    return err;
}
