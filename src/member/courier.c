/* The courier: events in, bundles to the inbox, the outbox out. */
#include "member/agent.h"

#include "member/private.h"
#include "sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PAGE         1000 /* objects asked for at once */
#define COLLECTIONS  64   /* of one member */
#define ID_MAX       ((size_t)64)
#define QUIET_MS     INT64_C(20)  /* events of one report come together */
#define PATIENCE_MS  INT64_C(200) /* but a stream of them does not wait */
#define RETRY_MIN_MS INT64_C(250)
#define RETRY_MAX_MS INT64_C(30000)
#define REFUSED_MS   INT64_C(300000) /* the key is refused: ask rarely */
#define RERESOLVE_MS INT64_C(60000)  /* unreached that long: other address? */
#define PULL_MEMORY  ((size_t)512 << 20)
#define TAXII        "application/taxii+json;version=2.1"
/* Sightings of others are not for a member's watchlist. */
#define TYPES "match%5Btype%5D=indicator,report,marking-definition"

struct shelf { /* a collection and how far it was read */
    char id[ID_MAX];
    char after[NR_HTTP_HEADER_MAX]; /* X-TAXII-Date-Added-Last; "": nothing */
    bool dirty, readable;
};

struct courier {
    struct nr_agent *ag;
    struct nr_http *http;
    struct shelf shelves[COLLECTIONS];
    size_t n;
    uint64_t files; /* inbox files written so far */
    bool streaming, hello, outbox;
    int64_t first_event_ms, last_event_ms; /* of what was not pulled yet */
    int64_t next_connect_ms, next_send_ms, backoff_ms, unreached_ms;
};

/* --- what is remembered: HOME/hub/state --- */

static struct shelf *
shelf_of(struct courier *c, struct nr_str id, bool add)
{
    for (size_t i = 0; i < c->n; i++)
        if (nr_str_eq(nr_str_of(c->shelves[i].id), id))
            return &c->shelves[i];
    if (!add || c->n == COLLECTIONS || id.n == 0 || id.n >= ID_MAX)
        return NULL;
    for (size_t i = 0; i < id.n; i++)
        if (!nr_is_alpha((uint8_t)id.p[i]) && !nr_is_digit((uint8_t)id.p[i]) &&
            id.p[i] != '-')
            return NULL; /* it becomes part of a path */
    c->shelves[c->n] = (struct shelf){ 0 };
    nr_copy_cut(c->shelves[c->n].id, ID_MAX, id);
    return &c->shelves[c->n++];
}

static enum nr_err
write_state(const struct courier *c, struct nr_diag *d)
{
    char path[NR_PATH_MAX];
    struct nr_buf b;
    enum nr_err err = nr_path_join(path, c->ag->home, NR_HOME_HUB "/state", d);

    nr_buf_init(&b, NR_SMALL_FILE);
    nr_buf_printf(&b, "files\t%llu\n", (unsigned long long)c->files);
    for (size_t i = 0; i < c->n; i++)
        if (c->shelves[i].after[0])
            nr_buf_printf(&b, "%s\t%s\n", c->shelves[i].id,
                c->shelves[i].after);
    if (!err)
        err = b.err ? nr_fail(d, b.err, 0, "courier: no memory")
                    : nr_file_replace(path, nr_buf_bytes(&b), 0600, d);
    nr_buf_fini(&b);
    return err;
}

/* A state that is lost or damaged costs a second pull, nothing else. */
static void
read_state(struct courier *c)
{
    char path[NR_PATH_MAX];
    struct nr_arena a;
    struct nr_bytes in;
    struct nr_str rest;

    nr_arena_init(&a, NR_SMALL_MEMORY);
    if (nr_path_join(path, c->ag->home, NR_HOME_HUB "/state", NULL) == NR_OK &&
        nr_file_read(&a, path, NR_SMALL_FILE, &in, NULL) == NR_OK &&
        nr_str_from_utf8(in, &rest)) {
        while (rest.n > 0) {
            struct nr_str line = nr_str_cut(rest, '\n', &rest), value;
            struct nr_str key = nr_str_cut(line, '\t', &value);
            struct shelf *s;

            if (nr_str_eq(key, NR_STR("files"))) {
                if (!nr_str_to_u64(value, &c->files))
                    c->files = 0;
                continue;
            }
            s = shelf_of(c, key, true);
            if (s)
                nr_copy_cut(s->after, sizeof(s->after), value);
        }
    }
    nr_arena_fini(&a);
}

/* --- pulling --- */

/* The page's objects as a bundle, published under the next number. */
static enum nr_err
put_inbox(struct courier *c, const struct shelf *s, struct nr_bytes objects,
    struct nr_diag *d)
{
    char name[NR_PATH_MAX], path[NR_PATH_MAX], uuid[NR_UUID_MAX];
    uint8_t random[16];
    struct nr_buf b;
    enum nr_err err = c->ag->env->random(c->ag->env->ctx, random,
        sizeof(random));

    if (err)
        return nr_fail_sys(d, "courier: no randomness");
    nr_uuid4(random, uuid);
    nr_text_cut(name, sizeof(name), NR_HOME_INBOX "/%012llu-%s.json",
        (unsigned long long)c->files + 1, s->id);
    err = nr_path_join(path, c->ag->home, name, d);
    nr_buf_init(&b, NR_BUNDLE_MAX + (size_t)256);
    nr_buf_printf(&b,
        "{\"type\":\"bundle\",\"id\":\"bundle--%s\",\"objects\":", uuid);
    nr_buf_put(&b, objects);
    nr_buf_put_str(&b, NR_STR("}\n"));
    if (!err)
        err = b.err ? nr_fail(d, b.err, 0, "courier: no memory for a page")
                    : nr_file_replace(path, nr_buf_bytes(&b), 0600, d);
    nr_buf_fini(&b);
    if (!err)
        c->files++;
    return err;
}

/* One page; *MORE: another follows. The bundle is on disk before the place is
 * remembered: a crash between reads a page twice, never none. */
static enum nr_err
pull_page(struct courier *c, struct shelf *s, bool *more, struct nr_diag *d)
{
    char path[512];
    struct nr_http_response r = { 0 };
    const struct nr_json *j = NULL, *objects, *m;
    struct nr_arena a;
    struct nr_bytes in;
    enum nr_err err;

    *more = false;
    nr_arena_init(&a, PULL_MEMORY);
    nr_text_cut(path, sizeof(path),
        "/taxii2/root/collections/%s/objects/?limit=%d&%s%s%s", s->id, PAGE,
        TYPES, s->after[0] ? "&added_after=" : "", s->after);
    err = nr_http_exchange(c->http,
        &(struct nr_http_request){ "GET", path, .accept = TAXII,
            .max = NR_BUNDLE_MAX },
        &r, d);
    if (!err)
        err = nr_http_check(&r, d);
    in = nr_buf_bytes(&r.body);
    if (!err && in.n > 0)
        err = nr_json_parse(&a, in, &j, d);
    objects = nr_json_get(j, NR_STR("objects"));
    if (!err && nr_json_is(objects, NR_JSON_ARRAY) && objects->n > 0) {
        m = nr_json_get(j, NR_STR("more"));
        *more = nr_json_is(m, NR_JSON_BOOL) && m->truth && r.added_last[0] &&
            strcmp(r.added_last, s->after) != 0;
        err = put_inbox(c, s, nr_json_span(in, objects), d);
        if (!err) {
            nr_copy_cut(s->after, sizeof(s->after), nr_str_of(r.added_last));
            err = write_state(c, d);
            nr_agent_wake(c->ag->to_keeper[1]);
        }
    }
    nr_http_response_fini(&r);
    nr_arena_fini(&a);
    return err;
}

static enum nr_err
pull_dirty(struct courier *c, struct nr_diag *d)
{
    for (size_t i = 0; i < c->n; i++) {
        struct shelf *s = &c->shelves[i];
        bool more = s->dirty && s->readable;

        while (more) {
            enum nr_err err = pull_page(c, s, &more, d);

            /* A collection that was taken from us must not stop the rest. */
            if (err == NR_ENOTFOUND || err == NR_EDENIED) {
                nr_agent_log_diag(c->ag, d);
                *d = (struct nr_diag){ 0 };
                s->readable = false;
                break;
            }
            if (err)
                return err;
        }
        s->dirty = false;
    }
    c->first_event_ms = 0;
    return NR_OK;
}

/* Which collections there are for us now; all of them are looked into. */
static enum nr_err
ask_collections(struct courier *c, struct nr_diag *d)
{
    struct nr_http_response r = { 0 };
    const struct nr_json *j = NULL, *list;
    struct nr_arena a;
    enum nr_err err;

    nr_arena_init(&a, NR_SMALL_MEMORY);
    err = nr_http_exchange(c->http,
        &(struct nr_http_request){ "GET", "/taxii2/root/collections/",
            .accept = TAXII, .max = NR_SMALL_FILE },
        &r, d);
    if (!err)
        err = nr_http_check(&r, d);
    if (!err)
        err = nr_json_parse(&a, nr_buf_bytes(&r.body), &j, d);
    list = nr_json_get(j, NR_STR("collections"));
    for (size_t i = 0; !err && i < c->n; i++)
        c->shelves[i].readable = false;
    if (!err && nr_json_is(list, NR_JSON_ARRAY)) {
        for (const struct nr_json *i = list->child; i; i = i->next) {
            const struct nr_json *may = nr_json_get(i, NR_STR("can_read"));
            struct nr_str id = { "", 0 };
            struct shelf *s;

            (void)nr_json_get_str(i, NR_STR("id"), &id);
            s = shelf_of(c, id, true);
            if (s)
                s->dirty = s->readable = nr_json_is(may, NR_JSON_BOOL) &&
                    may->truth;
        }
    }
    nr_http_response_fini(&r);
    nr_arena_fini(&a);
    return err;
}

/* --- sending --- */

enum outcome { SENT, LATER, REFUSED, GONE };

static enum outcome
outcome_of(enum nr_err err)
{
    if (!err)
        return SENT;
    return err == NR_ESYS || err == NR_EBUSY || err == NR_EDENIED ? LATER
                                                                  : REFUSED;
}

/* *WAIT_MS: when LATER, how long at least. */
static enum outcome
send_item(struct courier *c, const char *id, int64_t *wait_ms,
    struct nr_diag *d)
{
    char path[512];
    struct nr_http_response r = { 0 };
    struct nr_item item;
    struct nr_arena a;
    enum nr_err err;
    enum outcome o;

    nr_arena_init(&a, PULL_MEMORY);
    *wait_ms = RETRY_MIN_MS;
    err = nr_outbox_read(&a, c->ag->home, NR_BOX_PENDING, id, &item, d);
    if (err) {
        /* Not there: `outbox drop` was faster. Damaged: nothing to send. */
        o = err == NR_ENOTFOUND ? GONE : REFUSED;
        goto out;
    }
    nr_copy_cut(path, sizeof(path), item.path);
    err = nr_http_exchange(c->http,
        &(struct nr_http_request){ "POST", path, .body = item.body,
            .max = NR_SMALL_FILE },
        &r, d);
    if (!err)
        err = nr_http_check(&r, d);
    o = outcome_of(err);
    if (err == NR_EDENIED)
        *wait_ms = REFUSED_MS;
    else if (r.retry_after_s > 0)
        *wait_ms = r.retry_after_s * 1000;
out:
    nr_http_response_fini(&r);
    nr_arena_fini(&a);
    return o;
}

/* Everything pending, oldest id first. Acknowledged: to the box "sent". What
 * the hub refuses for good is held for its owner to see. */
static void
send_outbox(struct courier *c)
{
    struct nr_names names = { 0 };
    struct nr_diag d = { 0 };
    struct nr_arena a;

    c->outbox = false;
    if (c->ag->dry_run)
        return;
    nr_arena_init(&a, PULL_MEMORY);
    if (nr_outbox_list(&a, c->ag->home, NR_BOX_PENDING, &names, &d))
        nr_agent_log_diag(c->ag, &d);
    for (size_t i = 0; i < names.n; i++) {
        struct nr_diag why = { 0 };
        int64_t wait_ms;
        enum outcome o = send_item(c, names.v[i], &wait_ms, &why);

        if (o == GONE)
            continue;
        if (o != SENT)
            nr_agent_log_diag(c->ag, &why);
        if (o == LATER) {
            c->outbox = true;
            c->next_send_ms = nr_agent_clock_ms() + wait_ms;
            break;
        }
        why = (struct nr_diag){ 0 };
        if (nr_outbox_move(c->ag->home, names.v[i], NR_BOX_PENDING,
                o == SENT ? NR_BOX_SENT : NR_BOX_HELD, &why))
            nr_agent_log_diag(c->ag, &why);
    }
    nr_arena_fini(&a);
}

/* --- the stream --- */

static void
on_event(void *ctx, const struct nr_http_event *ev)
{
    struct courier *c = ctx;
    struct nr_str id = { "", 0 }, type = { "", 0 };
    const struct nr_json *j = NULL;
    struct nr_arena a;
    struct shelf *s;

    if (nr_str_eq(ev->event, NR_STR("hello"))) {
        c->hello = true;
        return;
    }
    nr_arena_init(&a, NR_SMALL_MEMORY);
    if (nr_json_parse(&a, nr_bytes_of(ev->data), &j, NULL) == NR_OK) {
        (void)nr_json_get_str(j, NR_STR("collection"), &id);
        (void)nr_json_get_str(j, NR_STR("type"), &type);
        s = shelf_of(c, id, true);
        if (s &&
            (nr_str_eq(type, NR_STR("indicator")) ||
                nr_str_eq(type, NR_STR("report")))) {
            s->dirty = s->readable = true;
            c->last_event_ms = nr_agent_clock_ms();
            if (!c->first_event_ms)
                c->first_event_ms = c->last_event_ms;
        }
    }
    nr_arena_fini(&a);
}

/* Half to one and a half of MS: many agents shall not return as one. */
static int64_t
jitter(const struct courier *c, int64_t ms)
{
    uint32_t r = 0;

    if (c->ag->env->random(c->ag->env->ctx, &r, sizeof(r)) != NR_OK)
        r = 0;
    return ms / 2 + (int64_t)(r % (uint32_t)(ms + 1));
}

static void
lost(struct courier *c, const struct nr_diag *d)
{
    int64_t now = nr_agent_clock_ms();

    if (c->hello || c->backoff_ms == 0 || d->err == NR_EDENIED)
        nr_agent_log_diag(c->ag, d);
    nr_http_stream_stop(c->http);
    c->streaming = c->hello = false;
    c->backoff_ms = c->backoff_ms ? c->backoff_ms * 2 : RETRY_MIN_MS;
    if (c->backoff_ms > RETRY_MAX_MS)
        c->backoff_ms = RETRY_MAX_MS;
    c->next_connect_ms = now +
        jitter(c, d->err == NR_EDENIED ? REFUSED_MS : c->backoff_ms);
    if (!c->unreached_ms)
        c->unreached_ms = now;
}

static int
timeout_of(const struct courier *c)
{
    int64_t now = nr_agent_clock_ms(), at = now + 10000;

    if (!c->streaming && c->next_connect_ms < at)
        at = c->next_connect_ms;
    if (c->first_event_ms && c->last_event_ms + QUIET_MS < at)
        at = c->last_event_ms + QUIET_MS;
    if (c->outbox && c->hello && c->next_send_ms < at)
        at = c->next_send_ms;
    return at > now ? (int)(at - now) : 0;
}

/* Connected: whatever was missed is read, whatever waits is sent. */
static enum nr_err
work(struct courier *c, bool welcome, struct nr_diag *d)
{
    int64_t now = nr_agent_clock_ms();
    enum nr_err err = NR_OK;

    if (welcome) {
        nr_agent_log(c->ag, "connected to %s", c->ag->m.address.base);
        err = ask_collections(c, d);
        if (!err)
            err = pull_dirty(c, d);
        if (!err) {
            c->backoff_ms = c->unreached_ms = 0;
            c->outbox = true;
            c->next_send_ms = 0;
        }
    } else if (c->first_event_ms &&
        (now - c->last_event_ms >= QUIET_MS ||
            now - c->first_event_ms >= PATIENCE_MS)) {
        err = pull_dirty(c, d);
    }
    if (!err && c->outbox && nr_agent_clock_ms() >= c->next_send_ms)
        send_outbox(c);
    return err;
}

static int
run(struct courier *c)
{
    for (;;) {
        struct nr_diag d = { 0 };
        bool readable = false, greeted = c->hello;
        int64_t now = nr_agent_clock_ms();
        enum nr_err err = NR_OK;

        if (!c->streaming && now >= c->next_connect_ms) {
            err = nr_http_stream_start(c->http, "/v1/events", on_event, c, &d);
            c->streaming = !err;
        }
        if (!err)
            err = nr_http_wait(c->http, c->ag->to_courier[0], timeout_of(c),
                &readable, &d);
        if (readable) {
            nr_agent_drain(c->ag->to_courier[0]);
            c->outbox = true;
            c->next_send_ms = 0;
        }
        if (!err && c->hello)
            err = work(c, !greeted, &d);
        if (err)
            lost(c, &d);
        if (c->unreached_ms && !c->ag->literal &&
            nr_agent_clock_ms() - c->unreached_ms > RERESOLVE_MS)
            return NR_EXIT_AGAIN;
    }
}

static enum nr_err
confine(const struct nr_agent *ag, struct nr_diag *d)
{
    char inbox[NR_PATH_MAX], outbox[NR_PATH_MAX], hub[NR_PATH_MAX];
    const char *const write[] = { inbox, outbox, hub, NULL };
    const struct nr_sandbox sb = { .promises = NR_SANDBOX_COURIER,
        .write = write,
        .without_landlock = ag->without_landlock };
    enum nr_err err = nr_path_join(inbox, ag->home, NR_HOME_INBOX, d);

    if (!err)
        err = nr_path_join(outbox, ag->home, NR_HOME_OUTBOX, d);
    if (!err)
        err = nr_path_join(hub, ag->home, NR_HOME_HUB, d);
    return err ? err : nr_sandbox_enter(&sb, d);
}

int
nr_courier_main(struct nr_agent *ag)
{
    struct courier *c = calloc(1, sizeof(*c));
    struct nr_diag d = { 0 };
    int status = 1;

    if (!c)
        return 1;
    c->ag = ag;
    if (nr_http_init(&d))
        goto out;
    if (confine(ag, &d)) {
        status = NR_EXIT_CONFINED;
        goto out;
    }
    nr_agent_announce(ag);
    read_state(c);
    if (nr_member_http(ag->home, &ag->m, ag->resolve[0] ? ag->resolve : NULL,
            &c->http, &d) == NR_OK)
        status = run(c);
out:
    if (d.err)
        nr_agent_log_diag(ag, &d);
    nr_http_destroy(c->http);
    free(c);
    return status;
}
